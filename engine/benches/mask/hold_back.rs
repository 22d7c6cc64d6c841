//! How much of a stream waits: the text of every channel of the recorded streams, delta by delta, and what of it is not
//! decided after each.
//!
//! Shared by a test, which holds it to a bound, and by the benchmarks, which print it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use veilwire_engine::mask::detector::{DetectorBits, DetectorSet};
use veilwire_engine::mask::scan::Scan;

/// The texts of one channel, in the order in which they came.
pub type Deltas = Vec<String>;

/// What waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldBack {
    /// Deltas with text.
    pub deltas: u64,
    /// Those after which nothing waited.
    pub free: u64,
    /// Bytes that waited, over all deltas.
    pub held: u64,
    /// The most bytes that waited after a delta.
    pub most: u64,
    /// Deltas after which more than one word waited.
    pub late: u64,
}

impl HoldBack {
    /// Runs these channels through a scan each.
    #[must_use]
    pub fn of(set: &DetectorSet, active: &DetectorBits, channels: &[Deltas]) -> HoldBack {
        let mut sum = HoldBack::default();
        for channel in channels {
            let (mut scan, mut text) = (Scan::new(), Vec::new());
            for delta in channel {
                scan.feed(set, active, delta.as_bytes());
                while scan.pop_span().is_some() {}
                text.extend_from_slice(delta.as_bytes());
                let held = scan.position().saturating_sub(scan.decided());
                sum.deltas += 1;
                sum.free += u64::from(held == 0);
                sum.held += held;
                sum.most = sum.most.max(held);
                let waits = usize::try_from(scan.decided()).ok().and_then(|decided| text.get(decided..));
                sum.late += u64::from(!waits.is_some_and(is_one_word));
            }
        }
        sum
    }

    /// Share of the deltas after which nothing waits, in percent.
    #[must_use]
    pub fn free_percent(&self) -> f64 {
        100.0 * ratio(self.free, self.deltas)
    }

    /// Bytes that wait after a delta, on average.
    #[must_use]
    pub fn mean(&self) -> f64 {
        ratio(self.held, self.deltas)
    }
}

/// No white space but between digits or after them: a number that is written in groups is one word.
fn is_one_word(text: &[u8]) -> bool {
    let place_of_blank = |(at, byte): (usize, &u8)| byte.is_ascii_whitespace().then_some(at);
    text.iter().enumerate().filter_map(place_of_blank).all(|at| {
        let is_digit = |at: Option<usize>| at.and_then(|at| text.get(at)).map(u8::is_ascii_digit);
        is_digit(at.checked_sub(1)) == Some(true) && is_digit(Some(at + 1)) != Some(false)
    })
}

fn ratio(part: u64, whole: u64) -> f64 {
    let float = |number| u32::try_from(number).map_or(f64::NAN, f64::from);
    float(part) / float(whole)
}

/// Every channel of every recorded stream (events and lines) in a folder.
///
/// # Errors
/// The folder cannot be read, or no channel is in it.
pub fn channels(folder: &Path) -> std::io::Result<Vec<Deltas>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut channels = Vec::new();
    for file in files {
        let name = file.file_name().into_string().unwrap_or_default();
        if name.ends_with(".sse") || name.ends_with(".ndjson") {
            let mut joined: BTreeMap<String, Deltas> = BTreeMap::new();
            for line in std::fs::read_to_string(file.path())?.lines() {
                let data = line.strip_prefix("data:").unwrap_or(line);
                if let Ok(event) = serde_json::from_str::<Value>(data) {
                    collect(&event, &mut index_of(&event), false, &mut joined);
                }
            }
            channels.extend(joined.into_values());
        }
    }
    if channels.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(channels) }
}

/// What tells the blocks of an answer apart where they are not elements of an array.
fn index_of(event: &Value) -> String {
    let numbers =
        ["index", "output_index", "content_index"].map(|name| event.get(name).and_then(Value::as_u64));
    numbers.map(|number| format!("{}/", number.unwrap_or(0))).concat()
}

/// Members that hold fragments, in the APIs that the recordings are of.
const FRAGMENTS: [&str; 9] = [
    "content",
    "reasoning",
    "reasoning_content",
    "refusal",
    "arguments",
    "text",
    "thinking",
    "partial_json",
    "delta",
];
/// Members below which they are fragments.
const PARENTS: [&str; 3] = ["delta", "candidates", "message"];

fn collect(value: &Value, path: &mut String, below: bool, into: &mut BTreeMap<String, Deltas>) {
    let length = path.len();
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                path.push('.');
                path.push_str(name);
                let below = below || PARENTS.contains(&name.as_str());
                match member {
                    Value::String(text)
                        if below && FRAGMENTS.contains(&name.as_str()) && !text.is_empty() =>
                    {
                        into.entry(path.clone()).or_default().push(text.clone());
                    }
                    _ => collect(member, path, below, into),
                }
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                // Choices and calls say themselves which they are.
                let place = item
                    .get("index")
                    .and_then(Value::as_u64)
                    .map_or(place.to_string(), |own| own.to_string());
                path.push('[');
                path.push_str(&place);
                collect(item, path, below, into);
                path.truncate(length);
            }
        }
        _ => {}
    }
}
