//! Recorded traffic: nothing is refused, nothing is lost, and values planted across events come out masked.
#![cfg(test)]

mod mask_support;

use mask_support::{Random, Setup, masked, recorded, send, whole};
use serde_json::Value;
use std::collections::BTreeMap;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, What};
use veilwire_engine::policy::id::DetectorId;
use veilwire_engine::policy::model::Thinking;

const APIS: [(&str, &str); 2] = [("openai.chat", "openai-chat"), ("anthropic.messages", "anthropic")];

/// Last names of the members that are fragments.
const FRAGMENTS: [&str; 12] = [
    "content",
    "reasoning",
    "reasoning_content",
    "refusal",
    "arguments",
    "text",
    "summary",
    "transcript",
    "thinking",
    "partial_json",
    "input",
    "signature",
];

#[test]
fn whole_documents_pass_unchanged() {
    for (api, prefix) in APIS {
        let plan = Setup::of(api).plan();
        for (name, body) in recorded(prefix, ".json") {
            for longest in [usize::MAX, 1, 1000] {
                let (out, ended) = send(&plan, Format::Json, body.chunks(longest.min(body.len())));
                assert!(ended.unwrap_or_else(|error| panic!("{name}: {error}")).is_empty(), "{name}");
                assert!(out == body, "{name} changed");
            }
        }
    }
}

#[test]
fn deltas_on_lines_are_joined_where_lines_are_announced() {
    for (name, body) in recorded("anthropic", ".ndjson") {
        let plan = Setup::of("anthropic.messages").plan();
        let (out, ended) = whole(&plan, Format::Lines, &body);
        assert!(ended.is_ok_and(|findings| findings.is_empty()), "{name}");
        assert!(line_texts(&out) == line_texts(&body), "{name}: text of a channel changed");
        let (_, ended) = whole(&plan, Format::Json, &body);
        assert_eq!(ended.err(), Some(MaskError::InvalidJson), "{name}");
        let (out, ended) = whole(&Setup::default().plan(), Format::Json, &body);
        assert!(ended.is_ok_and(|findings| findings.is_empty()) && out == body, "{name}");
    }
}

/// As [`texts`], of a body with one event a line.
fn line_texts(body: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(body).unwrap();
    texts(text.lines().map(|line| format!("data: {line}\n\n")).collect::<String>().as_bytes())
}

#[test]
fn streams_keep_their_events_and_the_text_of_their_channels() {
    for (api, prefix) in APIS {
        let plan = Setup::of(api).plan();
        for (name, body) in recorded(prefix, ".sse") {
            let (out, ended) = whole(&plan, Format::Sse, &body);
            let findings = ended.unwrap_or_else(|error| panic!("{name}: {error}"));
            if findings.is_empty() {
                assert!(texts(&body) == texts(&out), "{name}: text of a channel changed");
            } else {
                // A web page with the addresses of its authors.
                assert_eq!(name, "anthropic-messages-sse-reasoning-2204d605.resp.sse");
                assert_eq!(findings.total(), 4);
                let only = findings.iter().next().unwrap();
                assert_eq!(only.what, What::Detector(DetectorId(0)));
                assert_eq!(only.location, "$.content_block.content.content.*.data");
            }
            check_events(&name, &body, &out);
            let mut random = Random(7);
            for _ in 0..20 {
                let (cut, _) = send(&plan, Format::Sse, random.cut(&body, 2000));
                assert!(cut == out, "{name}: depends on the cut");
            }
        }
    }
}

/// Planted values; no piece of them occurs in the recordings.
const PLANTED: [&str; 5] = [
    "zqx.wvk@qjxvwkz.zqvjq",
    "4929 7221 8315 6024",
    "457-55-5462",
    "AKIAQ7ZX3WJ5K2NVBH6D",
    "sk-ant-api03-q9Zx7Wv5Kj3Hg1Fd-_Sa2Po4",
];

#[test]
fn values_planted_across_events_leave_no_piece() {
    let members =
        ["content", "reasoning", "reasoning_content", "text", "thinking", "arguments", "partial_json"];
    let mut random = Random(11);
    let mut planted = BTreeMap::<&str, usize>::new();
    for (api, prefix) in APIS {
        let setup = Setup { thinking: Thinking::MaskAndDropSignature, ..Setup::of(api) };
        let plan = setup.plan();
        for (name, body) in recorded(prefix, ".sse") {
            for member in members {
                let Some((dirty, count)) = plant(&body, member, &mut random) else { continue };
                *planted.entry(member).or_default() += count;
                let out = masked(&plan, Format::Sse, &dirty);
                let joined: String = texts(out.as_bytes()).into_values().collect();
                for value in PLANTED {
                    for piece in value.as_bytes().windows(6) {
                        let piece = std::str::from_utf8(piece).unwrap();
                        assert!(
                            !out.contains(piece) && !joined.contains(piece),
                            "{name}: piece of {value} in {member}"
                        );
                    }
                }
                let (cut, _) = send(&plan, Format::Sse, random.cut(&dirty, 300));
                assert!(cut == out.as_bytes(), "{name}: depends on the cut");
            }
        }
    }
    for member in members {
        assert!(planted.get(member).is_some_and(|&count| count >= PLANTED.len()), "{member}: {planted:?}");
    }
}

/// Replaces the fragments of one member by a text with all planted values, cut at random. How many values were planted?
fn plant(body: &[u8], member: &str, random: &mut Random) -> Option<(Vec<u8>, usize)> {
    let start = format!("\"{member}\":\"");
    let mut blocks = blocks(body);
    let indices = |block: &str| -> Vec<String> {
        let rests = block.split("\"index\":").skip(1);
        rests.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect()).collect()
    };
    let mut places: Vec<usize> = blocks
        .iter()
        .enumerate()
        .filter(|(_, block)| {
            let fragment = block.split_once(&start).map(|(_, rest)| rest);
            // Not the empty one of a first delta or of an event with another fragment.
            fragment.is_some_and(|rest| !rest.starts_with('"')) && block.contains("delta")
        })
        .map(|(place, _)| place)
        .collect();
    // One text: one choice, one call, one block.
    let named = indices(&blocks[*places.last()?]);
    places.retain(|&place| indices(&blocks[place]) == named);
    if places.len() < 3 {
        return None;
    }
    let text: String = PLANTED.iter().map(|value| format!("is {value}. ")).collect();
    let mut cuts: Vec<usize> = (1..places.len()).map(|_| random.below(text.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(text.len());
    let mut from = 0;
    for (place, to) in places.into_iter().zip(cuts) {
        let (before, rest) = blocks[place].split_once(&start)?;
        let mut escaped = false;
        let end = rest.find(|char| {
            let end = char == '"' && !escaped;
            escaped = char == '\\' && !escaped;
            end
        })?;
        let after = rest.split_at(end + 1).1;
        let fragment = text.split_at(to).0.split_at(from).1;
        blocks[place] = format!("{before}{start}{fragment}\"{after}");
        from = to;
    }
    Some((blocks.concat().into_bytes(), PLANTED.len()))
}

/// Every event of the input is there, in order, and differs only in fragments; between them only deltas are added.
fn check_events(name: &str, body: &[u8], out: &[u8]) {
    let (before, after) = (blocks(body), blocks(out));
    let mut rest = after.iter();
    let mut added = 0;
    for block in &before {
        let wanted = skeleton(block);
        loop {
            let found = rest.next().unwrap_or_else(|| panic!("{name}: an event is missing"));
            if skeleton(found) == wanted {
                if !has_fragment(block) && !block.contains("token_id") && !block.contains("pydantic") {
                    assert_eq!(block, found, "{name}: an event without fragments changed");
                }
                break;
            }
            assert!(has_fragment(found), "{name}: an event was added that is no delta: {found}");
            added += 1;
        }
    }
    assert!(rest.next().is_none(), "{name}: an event was added at the end");
    let closed = texts(body).len();
    assert!(added <= closed, "{name}: {added} events added for {closed} texts");
}

fn blocks(body: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(body).unwrap().replace("\r\n", "\n");
    text.split_inclusive("\n\n").map(str::to_owned).collect()
}

fn payload(block: &str) -> Option<Value> {
    let data: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix("data:")).collect();
    serde_json::from_str(&data.join("\n")).ok()
}

/// The event with all fragments, token ids and masked text emptied.
fn skeleton(block: &str) -> String {
    fn empty(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::String(text) if FRAGMENTS.contains(&name.as_str()) || name == "data" => {
                            text.clear()
                        }
                        value if name == "token_id" => *value = Value::Null,
                        value => empty(value),
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(empty),
            _ => {}
        }
    }
    match payload(block) {
        Some(mut value) => {
            empty(&mut value);
            value.to_string()
        }
        None => block.to_owned(),
    }
}

fn has_fragment(block: &str) -> bool {
    payload(block).is_some_and(|value| {
        let mut found = BTreeMap::new();
        collect(&value, &mut Vec::new(), &mut found);
        !found.is_empty()
    })
}

/// The joined text of every channel, by a name of its own making: independent of the masker's idea of channels.
fn texts(body: &[u8]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for value in blocks(body).iter().filter_map(|block| payload(block)) {
        let mut found = BTreeMap::new();
        let index = value.get("index").map(ToString::to_string).unwrap_or_default();
        collect(&value, &mut vec![index], &mut found);
        for (place, text) in found {
            all.entry(place.replace("content_block/", "delta/")).or_default().push_str(&text);
        }
    }
    all.retain(|_, text| !text.is_empty());
    all
}

fn collect(value: &Value, place: &mut Vec<String>, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                place.push(name.clone());
                match value {
                    Value::String(text)
                        if FRAGMENTS.contains(&name.as_str())
                            && place.iter().any(|step| {
                                step == "delta" || step == "content_block" || step == "choices"
                            }) =>
                    {
                        found.entry(place.join("/")).or_default().push_str(text);
                    }
                    value => collect(value, place, found),
                }
                place.pop();
            }
        }
        Value::Array(elements) => {
            for (number, value) in elements.iter().enumerate() {
                place.push(value.get("index").map_or(number.to_string(), ToString::to_string));
                collect(value, place, found);
                place.pop();
            }
        }
        _ => {}
    }
}
