//! Any bytes as an event stream: no panic, a final error, the same events in the same order with the same ids; without
//! findings nothing is changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use veilwire_engine::format::Format;
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, run};
use veilwire_fuzz::sse::read;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let case = Case::choose(input.byte());
    let body = input.rest();
    let outcome = run(&case.plan, Format::Sse, [body]);
    let Ok(findings) = &outcome.result else { return };
    let (before, after) = (read(body), read(&outcome.out));
    if case.plain {
        if findings.is_empty() {
            // An event that is not complete when the stream ends is a cut, and dropped.
            assert!(body.starts_with(&outcome.out), "a stream without findings was changed");
        }
        assert_eq!(before.events.len(), after.events.len(), "another number of events");
        for (before, after) in before.events.iter().zip(&after.events) {
            assert!(!is_json(&before.data) || is_json(&after.data), "a masked event is no longer JSON");
        }
    }
    // With channels an event may be added before one closes: it has the id that is current then, and leaves it alone.
    assert!(before.ids == after.ids, "the last event id takes other values");
    let mut left = after.events.iter();
    let kept = before.events.iter().all(|event| left.any(|other| other.id == event.id));
    assert!(kept, "an event has another id");
});

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(data).is_ok()
}
