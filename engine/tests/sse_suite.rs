//! Event streams from other projects' tests: what comes out parses to the events that they expect, however it is cut.
#![cfg(test)]

mod mask_support;

use mask_support::{Setup, send};
use serde_json::Value;
use veilwire_engine::format::Format;

/// An event as a reader dispatches it: type, data, last id.
type Event = (String, String, String);

#[test]
fn streams_mean_the_same_to_a_reader() {
    let plan = Setup::default().plan();
    let cases = include_str!("data/sse/cases.jsonl");
    let mut count = 0;
    for case in cases.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let name = case["name"].as_str().unwrap();
        let decode = |chunk: &Value| {
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, chunk.as_str().unwrap())
                .unwrap()
        };
        let chunks: Vec<Vec<u8>> = case["chunks_b64"].as_array().unwrap().iter().map(decode).collect();
        let body = chunks.concat();
        let (out, ended) = send(&plan, Format::Sse, chunks.iter().map(Vec::as_slice));
        assert_eq!(ended.map(|findings| findings.total()), Ok(0), "{name}");
        assert_eq!(read(&out), read(&body), "{name}");
        if body.len() == out.len() {
            assert!(matches(&read(&out), &case["expected"]), "{name}: {:?}", read(&out));
        }
        assert!(body.starts_with(&out), "{name}: bytes changed");
        for cut in [send(&plan, Format::Sse, body.chunks(1)).0, send(&plan, Format::Sse, [body.as_slice()]).0]
        {
            assert!(cut == out, "{name}: depends on the cut");
        }
        count += 1;
    }
    assert!(count > 20, "{count} cases");
}

/// The events of a case; some projects leave out what is not set.
fn matches(events: &[Event], expected: &Value) -> bool {
    let expected = expected.as_array().unwrap();
    let same = |(kind, data, _): &Event, wanted: &Value| {
        let kind_of = wanted["type"].as_str().unwrap_or("message");
        (kind_of.is_empty() || kind_of == kind) && wanted["data"].as_str().is_none_or(|wanted| wanted == data)
    };
    events.len() == expected.len() && events.iter().zip(expected).all(|(event, wanted)| same(event, wanted))
}

/// A plain reader after the specification's own words (WHATWG HTML, 9.2.6).
fn read(body: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(body).into_owned();
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut kind, mut data, mut id) = (Vec::new(), String::new(), String::new(), String::new());
    let Some((complete, _)) = text.rsplit_once('\n') else { return events };
    for line in complete.split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                let kind = if kind.is_empty() { "message".to_owned() } else { kind.clone() };
                events.push((kind, std::mem::take(&mut data), id.clone()));
            }
            kind.clear();
            data.clear();
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => kind = value.to_owned(),
            "data" => data += &format!("{value}\n"),
            "id" if !value.contains('\0') => id = value.to_owned(),
            _ => {}
        }
    }
    events
}
