//! Frames that repeat an earlier one but for their fragments take a short cut: it must change nothing.
//!
//! With little room nothing is remembered, so every stream is masked twice: with the usual limit of state and with one
//! that is too small for short cuts.
#![cfg(test)]

mod mask_support;

use mask_support::{Random, Setup, recorded, send, whole};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskPlan;

/// Below this limit of state no frame is remembered.
const NO_ROOM: u32 = 16 * 1024 - 1;

struct Twins {
    usual: Arc<MaskPlan>,
    forgetful: Arc<MaskPlan>,
}

impl Twins {
    fn new(content: &str, fields: &[(u16, &'static str)]) -> Twins {
        Twins::of(Setup { fields: fields.to_vec(), ..Setup::of(content) })
    }

    fn of(mut setup: Setup) -> Twins {
        let usual = setup.plan();
        setup.limits.state = NO_ROOM;
        Twins { usual, forgetful: setup.plan() }
    }

    fn check(&self, stream: &str, random: &mut Random) {
        let expected = whole(&self.forgetful, Format::Sse, stream.as_bytes());
        for _ in 0..3 {
            let pieces = random.cut(stream.as_bytes(), 400);
            let found = send(&self.usual, Format::Sse, pieces);
            assert_eq!(
                (String::from_utf8_lossy(&found.0), &found.1),
                (String::from_utf8_lossy(&expected.0), &expected.1),
                "of {stream}"
            );
        }
    }
}

/// Pieces of text that together become values, and texts that end a string early or not at all.
const TEXTS: [&str; 22] = [
    "",
    "Hello",
    " ada",
    "@exam",
    "ple.com ",
    "4111 11",
    "11 1111 1111",
    " and\\n",
    "\\u0040",
    "\\\"quoted\\\"",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\u{e9}\u{1F600}",
    "sk-ant-api03-",
    "abcdefghijklmnopqrst_0123",
    " 519-12",
    "-1204.",
    "\\u00",
    "\\x",
    "\t",
    "[EMAIL]",
    "a@b.co\",\"x\":\"y",
];

/// Numbers, some with a finding, some no JSON.
fn number(random: &mut Random) -> &'static str {
    const NUMBERS: [&str; 12] = [
        "0",
        "1",
        "12",
        "-7",
        "1.5e3",
        "4111111111111111",
        "41",
        "411111111111111",
        "1752169304",
        "0",
        "99",
        "2",
    ];
    if random.below(40) == 0 {
        ["01", "1.", "-", "x", "1 1"][random.below(5)]
    } else {
        NUMBERS[random.below(12)]
    }
}

/// Texts of their own, some with a finding.
fn value(random: &mut Random) -> &'static str {
    const VALUES: [&str; 10] = [
        "",
        "x",
        "abc",
        "ada@example.com",
        "ada@",
        "4111 1111 1111 1111",
        "\\u0040",
        "a\\nb",
        "[EMAIL]",
        "519-12-1204",
    ];
    VALUES[random.below(10)]
}

#[test]
fn streams_are_masked_as_without_short_cuts() {
    let forms: [fn(&mut Random, &str, &str) -> String; 16] = [
        |random, a, _| {
            let (n, w, s) = (number(random), value(random), " ".repeat(random.below(4)));
            format!(r#"{{"seq":{n},"choices":[{{"index":0,"delta":{{"content":"{a}"}}}}],"pad":"{w}"{s}}}"#)
        },
        |random, a, _| {
            let (n, w) = (number(random), value(random));
            format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{a}","x":["{w}",{n}]}}}}]}}"#)
        },
        |random, a, _| {
            let (n, i) = (number(random), random.below(3));
            format!(r#"{{"id":"{n}","choices":[{{"index":{i},"delta":{{"content":"{a}"}}}}],"n":{n} }}"#)
        },
        |random, _, _| {
            format!(
                r#"{{"type":"ping","n":[{},{}]{}}}"#,
                number(random),
                number(random),
                " ".repeat(random.below(2))
            )
        },
        |_, a, _| {
            format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{a}"}},"finish_reason":null}}]}}"#)
        },
        |_, a, b| {
            format!(
                r#"{{"choices":[{{"index":0,"delta":{{"content":"{a}","reasoning":"{b}"}},"logprobs":null}}]}}"#
            )
        },
        |_, a, b| {
            format!(
                r#"{{"choices":[{{"delta":{{"content":"{a}"}},"index":0}},{{"delta":{{"content":"{b}"}},"index":1}}]}}"#
            )
        },
        |random, a, _| {
            format!(r#"{{"n":{},"choices":[{{"index":0,"delta":{{"content":"{a}"}}}}]}}"#, random.below(12))
        },
        |_, a, _| {
            format!(r#"{{"user":"ada@example.com","choices":[{{"index":0,"delta":{{"content":"{a}"}}}}]}}"#)
        },
        |_, a, _| {
            format!(
                r#"{{"choices":[{{"index":0,"delta":{{"content":"{a}"}},"logprobs":{{"content":["x"]}}}}]}}"#
            )
        },
        |_, a, _| {
            format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{a}"}},"finish_reason":"stop"}}]}}"#)
        },
        |_, a, _| {
            format!(r#"{{"password":{{"x":"{a}"}},"choices":[{{"index":0,"delta":{{"content":"{a}"}}}}]}}"#)
        },
        |_, a, b| {
            let call = format!(r#"{{"index":1,"function":{{"name":"f","arguments":"{a}"}}}}"#);
            format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{call}],"content":"{b}"}}}}]}}"#)
        },
        |_, a, _| format!("{{\"choices\":[{{\"index\":0,\ndata: \"delta\":{{\"content\":\"{a}\"}}}}]}}"),
        |_, a, _| format!(r#"{{"id":"{a}","choices":[{{"index":0,"delta":{{"content":"x"}}}}]}}"#),
        |_, _, _| "[DONE]".to_owned(),
    ];
    let plain = Twins::new("openai.chat", &[]);
    let bare = Twins::of(Setup::default());
    let fields = Twins::new("openai.chat", &[(3, "$..password")]);
    let mut random = Random(0x5EED_0003);
    for _ in 0..600 {
        let mut stream = String::new();
        // Few forms in one stream, so that frames do come again.
        let chosen: Vec<_> = (0..1 + random.below(3)).map(|_| forms[random.below(forms.len())]).collect();
        let end = if random.below(3) == 0 { "\r\n" } else { "\n" };
        let wild = random.below(4) == 0;
        for _ in 0..2 + random.below(14) {
            let texts = if wild { TEXTS.len() } else { 17 };
            let (a, b) = (TEXTS[random.below(texts)], TEXTS[random.below(texts)]);
            let document = chosen[random.below(chosen.len())](&mut random, a, b);
            if random.below(9) == 0 {
                stream += ": keep-alive ada@example.com\n\n";
            }
            if random.below(4) == 0 {
                stream += "event: delta\n";
            }
            stream += &format!("data: {document}{end}{end}");
        }
        plain.check(&stream, &mut random);
        bare.check(&stream, &mut random);
        fields.check(&stream, &mut random);
    }
}

#[test]
fn recorded_streams_are_masked_as_without_short_cuts() {
    for (content, prefix) in [("openai.chat", "openai-chat"), ("anthropic.messages", "anthropic")] {
        let twins = Twins::new(content, &[]);
        for (name, body) in recorded(prefix, ".sse") {
            let expected = whole(&twins.forgetful, Format::Sse, &body);
            assert!(whole(&twins.usual, Format::Sse, &body) == expected, "{name}");
        }
    }
}
