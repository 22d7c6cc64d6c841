//! The masker against an oracle that shares no code with it: a recursive parser over whole documents, and a PikeVM that
//! tries every start and end in every decoded text.
//!
//! For random documents and streams, cut at random: the output is the oracle's, and after every write what is out so far
//! is a beginning of it. So nothing is ever decided wrongly, and nothing leaks before it is decided.
//!
//! `VEILWIRE_ORACLE_TEXTS` sets the number of documents per test for long runs; the default takes seconds.
#![cfg(test)]

mod mask_support;
#[path = "mask_support/oracle.rs"]
mod oracle;
#[expect(dead_code, reason = "the scan's oracle can do more than is needed here")]
#[path = "scan_oracle/oracle.rs"]
mod scan_oracle;

use mask_support::{Random, Setup, send};
use oracle::{Rules, mask_document, mask_text};
use serde_json::Value;
use std::collections::BTreeMap;
use veilwire_engine::format::Format;
use veilwire_engine::mask::Masker;

fn rounds(default: usize) -> usize {
    std::env::var("VEILWIRE_ORACLE_TEXTS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Values, halves of values, and what stands between them.
const PIECES: [&str; 39] = [
    "ada@example.com",
    "bob.lee+x@mail.example.org",
    "ada@example.",
    "@example.com",
    "ada.",
    "x@y.co",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "5555555555554444",
    "4111 1111 ",
    "1111",
    "411111111111111",
    "519-12-1204",
    "519-12",
    "-1204",
    "000-12-3456",
    "AKIAIOSFODNN7EXAMPLE",
    "AKIAIOSFODNN7",
    "sk-abcdefghijklmnopqrst0123",
    "sk-ant-api03-abcdefghijklmnopqrst_-01",
    "sk-ant-",
    "sk-",
    " ",
    " ",
    "\n",
    "\"",
    "\\",
    "/",
    "é",
    "漢",
    "😀",
    "word",
    ", ",
    "a1_",
    "pw=",
    "pw: hunter2",
    "Badge ",
    "40123",
    "badge\n40123",
];

fn text(random: &mut Random, longest: usize) -> String {
    (0..random.below(longest)).map(|_| PIECES[random.below(PIECES.len())]).collect()
}

/// A JSON string: every character as itself or escaped in some way.
fn quote(random: &mut Random, text: &str, odd: bool) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        let units = |out: &mut String| {
            char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| *out += &format!("\\u{unit:04x}"));
        };
        match (char, random.below(12)) {
            (_, 0) => units(&mut out),
            ('"' | '\\', _) | ('/', 1..6) => out.extend(['\\', char]),
            ('\n', 1..9) => out += "\\n",
            ('\0'..' ', _) => units(&mut out),
            _ => out.push(char),
        }
        if odd && random.below(60) == 0 {
            out += ["\\ud83d", "\\ude00", "\\uD83D\\ud83d"][random.below(3)];
        }
    }
    out + "\""
}

fn blank(random: &mut Random) -> &'static str {
    ["", "", "", " ", "\n\t", "\r\n "][random.below(6)]
}

/// A document; `names` are the names that its members may have beside random ones.
fn document(random: &mut Random, names: &[&str], depth: usize) -> String {
    let kind = random.below(if depth == 0 { 4 } else { 9 });
    match kind {
        0 => [
            "true",
            "false",
            "null",
            "0",
            "-1.5e+3",
            "4111111111111111",
            "5555555555554444",
            "12345678901234",
        ][random.below(8)]
        .to_owned(),
        1..=3 => {
            let text = text(random, 6);
            quote(random, &text, true)
        }
        4 => {
            // A document inside a string.
            let inner = document(random, names, 1);
            quote(random, &inner, false)
        }
        5 | 6 => {
            let elements: Vec<String> = (0..random.below(4))
                .map(|_| format!("{}{}{}", blank(random), document(random, names, depth - 1), blank(random)))
                .collect();
            format!("[{}]", elements.join(","))
        }
        _ => {
            let members: Vec<String> = (0..random.below(5))
                .map(|_| {
                    let name = if random.below(3) == 0 {
                        text(random, 3)
                    } else {
                        names[random.below(names.len())].into()
                    };
                    let key = quote(random, &name, false);
                    let value = document(random, names, depth - 1);
                    format!(
                        "{}{key}{}:{}{value}{}",
                        blank(random),
                        blank(random),
                        blank(random),
                        blank(random)
                    )
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// Sends a document in random pieces; after every one, what is out must be a beginning of what is expected.
fn check_document(setup: &Setup, rules: &Rules, body: &str, random: &mut Random) {
    let expected = mask_document(rules, body.as_bytes());
    let plan = setup.plan();
    for longest in [1, 7, body.len()] {
        let mut masker = Masker::new(plan.clone(), Format::Json);
        let mut out = Vec::new();
        for piece in random.cut(body.as_bytes(), longest) {
            masker.write(piece, &mut out).unwrap_or_else(|error| panic!("{error}: {body}"));
            assert!(expected.starts_with(&out), "{body}\n{}\n{}", show(&out), show(&expected));
        }
        masker.end(&mut out).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert!(out == expected, "of     {body}\nis     {}\nshould {}", show(&out), show(&expected));
    }
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn random_documents_are_masked_as_the_oracle_says() {
    let setup =
        Setup { fields: vec![(4, "$.user"), (3, "$..password"), (0, "$.list[*].x")], ..Setup::default() };
    let rules = Rules::new(&setup);
    let mut random = Random(0x5EED_0001);
    for _ in 0..rounds(700) {
        let body = document(&mut random, &["a", "user", "password", "list", "x", "note"], 4);
        check_document(&setup, &rules, &body, &mut random);
    }
}

#[test]
fn random_documents_of_a_content_are_masked_as_the_oracle_says() {
    let mut setup = Setup::of("openai.chat");
    setup.fields = vec![(3, "$..password")];
    let rules = Rules::new(&setup);
    let names = [
        "choices",
        "message",
        "messages",
        "content",
        "tool_calls",
        "function",
        "arguments",
        "logprobs",
        "usage",
        "password",
        "id",
    ];
    let mut random = Random(0x5EED_0002);
    for _ in 0..rounds(500) {
        let inner = document(&mut random, &names, 3);
        let body = match random.below(4) {
            0 => document(&mut random, &names, 5),
            1 => format!("{{\"messages\":[{{\"content\":{}}}]}}", quote(&mut random, &inner, false)),
            2 => format!(
                "{{\"messages\":[{{\"tool_calls\":[{{\"function\":{{\"arguments\":{}}}}}]}}]}}",
                quote(&mut random, &inner, false)
            ),
            _ => format!(
                "{{\"choices\":[{{\"message\":{{\"content\":{}}},\"logprobs\":{inner}}}]}}",
                quote(&mut random, &inner, false)
            ),
        };
        // The elements of an array are a delta stream here, with the paths of a document each: see `mask_lines`.
        if body.starts_with('[') {
            continue;
        }
        check_document(&setup, &rules, &body, &mut random);
    }
}

/// A text of a stream: which choice, which member of the delta, the text itself.
struct Source {
    index: usize,
    member: &'static str,
    text: String,
}

/// The deltas of all texts, cut and interleaved at random; then what closes them.
fn events(random: &mut Random, sources: &[Source]) -> Vec<String> {
    let mut rests: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
    let mut events = Vec::new();
    while rests.iter().any(|rest| !rest.is_empty()) {
        let place = random.below(sources.len());
        let Source { index, member, .. } = sources[place];
        let mut at = (random.below(9)).min(rests[place].len());
        while !rests[place].is_char_boundary(at) {
            at += 1;
        }
        let (fragment, rest) = rests[place].split_at(at);
        rests[place] = rest;
        let fragment = quote(random, fragment, false);
        let delta = match member {
            "arguments" => {
                format!("\"tool_calls\":[{{\"index\":2,\"function\":{{\"arguments\":{fragment}}}}}]")
            }
            member => format!("\"{member}\":{fragment}"),
        };
        let (before, after) = match random.below(3) {
            0 => (String::new(), format!(",\"index\":{index}")),
            _ => (format!("\"index\":{index},"), String::new()),
        };
        events.push(format!("data: {{\"choices\":[{{{before}\"delta\":{{{delta}}}{after}}}]}}\n\n"));
        if random.below(10) == 0 {
            events.push(": keep-alive\n\n".to_owned());
        }
    }
    for index in 0..2 {
        events.push(format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n"
        ));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

/// The joined texts of a masked stream, by choice and member.
type Texts = BTreeMap<(usize, String), String>;

/// Adds the texts of further events.
fn collect(out: &[u8], texts: &mut Texts) {
    for line in std::str::from_utf8(out).unwrap().lines() {
        let Some(Ok(event)) = line.strip_prefix("data: ").map(serde_json::from_str::<Value>) else {
            continue;
        };
        let choice = &event["choices"][0];
        let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
        for (member, value) in choice["delta"].as_object().unwrap() {
            let text = match member.as_str() {
                "tool_calls" => &value[0]["function"]["arguments"],
                _ => value,
            };
            texts.entry((index, member.clone())).or_default().push_str(text.as_str().unwrap());
        }
    }
}

#[test]
fn recut_and_interleaved_deltas_give_the_same_masked_texts() {
    let setup = Setup::of("openai.chat");
    let rules = Rules::new(&setup);
    let plan = setup.plan();
    let mut random = Random(0x5EED_0003);
    for _ in 0..rounds(20) {
        let mut sources = Vec::new();
        for index in 0..2 {
            for member in ["content", "reasoning", "arguments"] {
                let text = match member {
                    "arguments" => {
                        let inner = document(&mut random, &["a", "b"], 3);
                        format!("{{\"v\":{inner}}}")
                    }
                    // A text that begins like a document is another matter.
                    _ => format!("t{}", text(&mut random, 8)),
                };
                sources.push(Source { index, member, text });
            }
        }
        let expected: Texts = sources
            .iter()
            .map(|source| {
                let (name, masked) = match source.member {
                    "arguments" => ("tool_calls", mask_document(&rules.inner(), source.text.as_bytes())),
                    member => (member, mask_text(&rules, source.text.as_bytes())),
                };
                ((source.index, name.to_owned()), String::from_utf8(masked).unwrap())
            })
            .collect();
        for _ in 0..3 {
            let events = events(&mut random, &sources);
            let mut masker = Masker::new(plan.clone(), Format::Sse);
            let (mut out, mut texts) = (Vec::new(), Texts::new());
            for event in &events {
                let start = out.len();
                masker.write(event.as_bytes(), &mut out).unwrap_or_else(|error| panic!("{error}: {event}"));
                collect(&out[start..], &mut texts);
                for (name, text) in &texts {
                    let whole = &expected[name];
                    assert!(whole.starts_with(text), "{name:?}: {text:?} is no beginning of {whole:?}");
                }
            }
            masker.end(&mut out).unwrap();
            texts.retain(|_, text| !text.is_empty());
            assert_eq!(texts, expected, "{events:#?}");
            let body = events.concat();
            let (cut, ended) = send(&plan, Format::Sse, random.cut(body.as_bytes(), 40));
            assert!(ended.is_ok() && cut == out, "depends on the cut: {body}");
        }
    }
}
