//! Recorded event streams: cut into events, with values planted into the texts of their deltas.
//!
//! Planting changes the strings of deltas and nothing else: no event is added, and every other byte stays as recorded.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value as Json;

use super::values::Value;

/// Members of a delta that carry a channel's text, OpenAI's and Anthropic's.
const TEXTS: [&str; 5] = ["content", "reasoning", "text", "thinking", "partial_json"];
const EVENT_END: &[u8] = b"\n\n";

/// A stream as it was recorded, event by event, each with its empty line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    events: Vec<Vec<u8>>,
}

/// The text that an event adds to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Member that carries the text.
    pub member: &'static str,
    /// Block that it belongs to, where the API has blocks.
    pub block: Option<u64>,
    /// The text.
    pub text: String,
}

/// Where a value goes and how it is cut.
#[derive(Debug, Clone, Copy)]
pub struct Planting {
    /// Member whose channel gets the value.
    pub member: &'static str,
    /// The value goes behind this text, which ends a delta.
    pub behind: &'static str,
    /// Written before the value, with its first piece.
    pub lead: &'static str,
    /// The value.
    pub value: Value,
    /// Bytes of the value in each delta but the last.
    pub cuts: &'static [usize],
}

impl Recording {
    /// Cuts a recording into its events.
    ///
    /// # Errors
    /// When it does not end with an empty line.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let mut splitter = Splitter::default();
        let events = splitter.push(bytes);
        ensure!(splitter.rest().is_empty(), "the recording ends in the middle of an event");
        Ok(Self { events })
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &[Vec<u8>] {
        &self.events
    }

    /// Plants a value over consecutive deltas of one channel. Text of the deltas between moves behind the value.
    ///
    /// # Errors
    /// When there is no such place, or when the channel ends too early.
    pub fn plant(&mut self, planting: &Planting) -> Result<()> {
        let deltas: Vec<(usize, Delta)> =
            self.events.iter().enumerate().filter_map(|(at, event)| Some((at, delta(event)?))).collect();
        let is_place =
            |found: &Delta| found.member == planting.member && found.text.ends_with(planting.behind);
        let first = deltas.iter().position(|(_, delta)| is_place(delta));
        let first = first.with_context(|| format!("no delta ends with {:?}", planting.behind))?;
        let run = deltas.get(first..=first + planting.cuts.len()).context("the recording ends too early")?;
        let (_, begin) = run.first().context("no delta")?;
        let same = |other: &Delta| other.member == begin.member && other.block == begin.block;
        ensure!(run.iter().all(|(_, delta)| same(delta)), "the channel ends too early");

        let mut pushed_on = String::new();
        let pieces = pieces(planting.value.text, planting.cuts)?;
        for (number, ((at, delta), piece)) in run.iter().zip(pieces).enumerate() {
            let text = if number == 0 {
                format!("{}{}{piece}", delta.text, planting.lead)
            } else if number < planting.cuts.len() {
                pushed_on.push_str(&delta.text);
                piece.to_owned()
            } else {
                format!("{piece}{pushed_on}{}", delta.text)
            };
            let event = self.events.get_mut(*at).context("no such event")?;
            *event = with_text(event, delta, &text)?;
        }
        Ok(())
    }

    /// The joined text of every channel, in order of appearance.
    #[must_use]
    pub fn channels(&self) -> Vec<(String, String)> {
        joined(self.events.iter().map(Vec::as_slice))
    }
}

impl Delta {
    /// Name of the channel, for people: `thinking` or `text, block 3`.
    #[must_use]
    pub fn channel(&self) -> String {
        self.block.map_or_else(|| self.member.to_owned(), |block| format!("{}, block {block}", self.member))
    }
}

/// Joins the deltas of each channel.
pub fn joined<'e>(events: impl IntoIterator<Item = &'e [u8]>) -> Vec<(String, String)> {
    let mut channels: Vec<(String, String)> = Vec::new();
    for delta in events.into_iter().filter_map(delta) {
        let name = delta.channel();
        match channels.iter_mut().find(|(known, _)| *known == name) {
            Some((_, text)) => text.push_str(&delta.text),
            None => channels.push((name, delta.text)),
        }
    }
    channels
}

/// The delta of an event, if it is one.
#[must_use]
pub fn delta(event: &[u8]) -> Option<Delta> {
    let json = data(event)?;
    let inner = json.pointer("/choices/0/delta").or_else(|| json.pointer("/delta"))?;
    let (member, text) = TEXTS.iter().find_map(|name| Some((*name, inner.get(name)?.as_str()?)))?;
    Some(Delta { member, block: json.get("index").and_then(Json::as_u64), text: text.to_owned() })
}

/// The JSON of an event's `data:`, if it is JSON.
#[must_use]
pub fn data(event: &[u8]) -> Option<Json> {
    let line = event.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"data:"))?;
    serde_json::from_slice(line).ok()
}

/// What masking leaves alone of an event: everything but the content of its strings. Two deltas of one channel have
/// the same skeleton, a delta and what closes its channel have not.
#[must_use]
pub fn skeleton(event: &[u8]) -> String {
    match data(event) {
        Some(json) => hollow("", &json).to_string(),
        None => String::from_utf8_lossy(event).into_owned(),
    }
}

fn hollow(name: &str, json: &Json) -> Json {
    match json {
        Json::String(_) if !matches!(name, "type" | "object" | "finish_reason" | "stop_reason") => {
            Json::String(String::new())
        }
        Json::Array(items) => items.iter().map(|item| hollow(name, item)).collect(),
        // A masked route empties them: they repeat the text.
        Json::Object(members) => Json::Object(
            members
                .iter()
                .filter(|(name, _)| *name != "logprobs")
                .map(|(name, value)| (name.clone(), hollow(name, value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// Exchanges the text of a delta in the bytes of its event.
fn with_text(event: &[u8], delta: &Delta, text: &str) -> Result<Vec<u8>> {
    let event = std::str::from_utf8(event).context("an event is not UTF-8")?;
    let member =
        |text: &str| Ok::<_, anyhow::Error>(format!("\"{}\":{}", delta.member, serde_json::to_string(text)?));
    let old = member(&delta.text)?;
    ensure!(event.matches(&old).count() == 1, "a delta's text is not written as expected");
    Ok(event.replace(&old, &member(text)?).into_bytes())
}

fn pieces<'v>(value: &'v str, cuts: &[usize]) -> Result<Vec<&'v str>> {
    let mut rest = value;
    let mut pieces = Vec::new();
    for &cut in cuts {
        let Some((piece, tail)) = rest.split_at_checked(cut) else { bail!("a cut lies outside the value") };
        pieces.push(piece);
        rest = tail;
    }
    pieces.push(rest);
    ensure!(pieces.iter().all(|piece| !piece.is_empty()), "a piece is empty");
    Ok(pieces)
}

/// Cuts arriving bytes into events, which end with an empty line.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
}

impl Splitter {
    /// Takes bytes and gives out the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(at) = self.buffer.windows(EVENT_END.len()).position(|window| window == EVENT_END) {
            events.push(self.buffer.drain(..at + EVENT_END.len()).collect());
        }
        events
    }

    /// Bytes of an event that is not complete.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::{CONTENT_CARD, THINKING_SSN};
    use super::*;

    const CHAT: &[u8] = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"pay\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" now\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" please\"}}]}\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

    fn planting(cuts: &'static [usize]) -> Planting {
        Planting { member: "content", behind: "pay", lead: " with ", value: CONTENT_CARD, cuts }
    }

    #[test]
    fn a_value_is_spread_over_deltas_and_no_text_is_lost() {
        let mut recording = Recording::new(CHAT).unwrap();
        recording.plant(&planting(&[4, 10])).unwrap();
        let texts: Vec<String> = recording.events().iter().filter_map(|e| delta(e)).map(|d| d.text).collect();
        assert_eq!(texts, ["pay with 5555", " 5555 5555", " 4444 now please"]);
        assert_eq!(
            recording.channels(),
            [("content".to_owned(), format!("pay with {} now please", CONTENT_CARD.text))]
        );
        assert_eq!(recording.events().len(), 5);
    }

    #[test]
    fn a_place_that_is_not_there_is_an_error() {
        let mut recording = Recording::new(CHAT).unwrap();
        assert!(recording.plant(&planting(&[4, 5, 5])).is_err());
        assert!(recording.plant(&Planting { behind: "nowhere", ..planting(&[4]) }).is_err());
        assert!(recording.plant(&Planting { member: "reasoning", ..planting(&[4]) }).is_err());
        assert!(recording.plant(&Planting { value: THINKING_SSN, ..planting(&[40]) }).is_err());
        assert!(Recording::new(b"data: {}\n").is_err());
    }

    #[test]
    fn skeletons_tell_deltas_from_what_closes_them() {
        let recording = Recording::new(CHAT).unwrap();
        let all: Vec<String> = recording.events().iter().map(|e| skeleton(e)).collect();
        assert_eq!(all[0], all[1]);
        assert_ne!(all[2], all[3]);
        assert_ne!(all[3], all[4]);
    }

    #[test]
    fn events_are_cut_at_every_split() {
        for at in 0..CHAT.len() {
            let mut splitter = Splitter::default();
            let mut events = splitter.push(&CHAT[..at]);
            events.extend(splitter.push(&CHAT[at..]));
            assert_eq!(events.concat(), CHAT);
            assert_eq!(events.len(), 5);
        }
    }
}
