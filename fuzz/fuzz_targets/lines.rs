//! Documents one after the other, on lines or as elements of an array: deltas are joined as in event streams; any bytes have
//! the same output however they are cut, which is JSON where they were, and no piece of a planted value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use veilwire_engine::format::Format;
use veilwire_fuzz::deltas::{Api, Delta, check, literal};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, documents_are_json, run_every_way};
use veilwire_fuzz::planted::plant;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    match input.byte() % 4 {
        0 => check(&Ollama, input),
        1 => check(&Gemini, input),
        _ => any_body(input),
    }
});

fn any_body(mut input: Input<'_>) {
    let case = Case::response(input.pick(&["json", "ollama", "gemini", "chat"]));
    let format = input.pick(&[Format::Lines, Format::Json]);
    let cuts = [usize::from(input.word()), usize::from(input.word())];
    let planted = plant(input.rest());
    let outcome = run_every_way(&case.plan, format, &planted.body, cuts);
    let Ok(findings) = &outcome.result else { return };
    assert!(documents_are_json(&planted.body), "accepted, and not JSON");
    assert!(documents_are_json(&outcome.out), "masked, and no longer JSON");
    if is_lines(&planted.body) {
        assert!(is_lines(&outcome.out), "a document is no longer on a line of its own");
    }
    if case.plain {
        planted.check_masked(&outcome.out);
        assert!(!findings.is_empty() || outcome.out == planted.body, "changed without a finding");
    }
}

/// Is every line that is not blank one document?
fn is_lines(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.all(|line| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok())
}

/// Lines: `application/x-ndjson`.
struct Ollama;

/// Elements of an array.
struct Gemini;

impl Api for Ollama {
    fn route(&self) -> &'static str {
        "ollama"
    }

    fn format(&self) -> Format {
        Format::Lines
    }

    fn channels(&self) -> usize {
        2
    }

    fn stream(&self, deltas: &[Delta], mut style: Input<'_>) -> Vec<u8> {
        let mut out = String::new();
        for Delta { channel, text } in deltas {
            let text = literal(text, &mut style);
            let member = ["content", "thinking"][*channel];
            let end = style.pick(&["\n", "\n", "\r\n", " \n\n"]);
            out += &format!(
                r#"{{"model":"m","message":{{"role":"assistant","{member}":{text}}},"done":false}}{end}"#
            );
        }
        out += "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true}\n";
        out.into_bytes()
    }

    fn joined(&self, stream: &[u8]) -> Vec<String> {
        let mut joined = vec![String::new(); 2];
        for line in stream.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let document: Value = serde_json::from_slice(line).expect("a masked line is JSON");
            for (text, member) in joined.iter_mut().zip(["content", "thinking"]) {
                text.push_str(document["message"][member].as_str().unwrap_or_default());
            }
        }
        joined
    }
}

impl Api for Gemini {
    fn route(&self) -> &'static str {
        "gemini"
    }

    fn format(&self) -> Format {
        Format::Json
    }

    fn channels(&self) -> usize {
        3
    }

    fn stream(&self, deltas: &[Delta], mut style: Input<'_>) -> Vec<u8> {
        let mut out = String::from("[");
        // Without an end of their own, the end of the array ends the texts.
        let closed = style.byte() % 2 == 0;
        for Delta { channel, text } in deltas {
            let text = literal(text, &mut style);
            let (index, thought) = [(0, ""), (0, ",\"thought\":true"), (1, "")][*channel];
            let next = style.pick(&[",\n", ",", "\r\n , "]);
            out += &format!(
                r#"{{"candidates":[{{"index":{index},"content":{{"role":"model","parts":[{{"text":{text}{thought}}}]}}}}]}}{next}"#
            );
        }
        out += if closed {
            r#"{"candidates":[{"index":0,"finishReason":"STOP"}]},{"candidates":[{"index":1,"finishReason":"STOP"}]}]"#
        } else {
            r#"{"usageMetadata":{"totalTokenCount":1}}]"#
        };
        out.into_bytes()
    }

    fn joined(&self, stream: &[u8]) -> Vec<String> {
        let mut joined = vec![String::new(); 3];
        let document: Value = serde_json::from_slice(stream).expect("a masked array is JSON");
        for element in document.as_array().expect("it stays an array") {
            let candidate = &element["candidates"][0];
            let part = &candidate["content"]["parts"][0];
            let text = part["text"].as_str().unwrap_or_default();
            let channel = match (candidate["index"] == 1, part["thought"] == true) {
                (true, _) => 2,
                (false, thought) => usize::from(thought),
            };
            joined[channel].push_str(text);
        }
        joined
    }
}
