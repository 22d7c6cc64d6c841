//! Any bytes as an event stream: no panic, a final error, the same events in the same order with the same ids; without
//! findings nothing is changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use veilwire_engine::format::Format;
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, run};
use veilwire_fuzz::sse::events;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let case = Case::choose(input.byte());
    let body = input.rest();
    let outcome = run(&case.plan, Format::Sse, [body]);
    let Ok(findings) = &outcome.result else { return };
    let (before, after) = (events(body), events(&outcome.out));
    if case.plain {
        if findings.is_empty() {
            // An event that is not complete when the stream ends is a cut, and dropped.
            assert!(body.starts_with(&outcome.out), "a stream without findings was changed");
        }
        assert_eq!(before.len(), after.len(), "another number of events");
        for (before, after) in before.iter().zip(&after) {
            assert!(!is_json(&before.data) || is_json(&after.data), "a masked event is no longer JSON");
        }
    }
    // With channels an event may be added before one closes; it repeats the id that is current.
    let ids = |list: &[veilwire_fuzz::sse::Event]| {
        let mut ids: Vec<Vec<u8>> = list.iter().map(|event| event.id.clone()).collect();
        ids.dedup();
        ids
    };
    assert_eq!(ids(&before), ids(&after), "other ids");
});

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(data).is_ok()
}
