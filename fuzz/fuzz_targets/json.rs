//! Any bytes as a JSON body: no panic, a final error, left alone without findings, accepted exactly when it is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskError;
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, check_still_json, documents_are_json, run};

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let case = Case::choose(input.byte());
    let body = input.rest();
    let outcome = run(&case.plan, Format::Json, [body]);
    check_still_json(&case, &outcome);
    match &outcome.result {
        Ok(findings) => {
            if case.plain && findings.is_empty() {
                assert!(outcome.out == body, "a body without findings was changed");
            }
            assert!(documents_are_json(body), "accepted, and not JSON");
            assert!(documents_are_json(&outcome.out), "masked, and no longer JSON");
        }
        Err(MaskError::InvalidJson | MaskError::Truncated) => {
            let json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
            assert!(!json, "refused as malformed, and it is JSON");
        }
        Err(_) => {}
    }
});
