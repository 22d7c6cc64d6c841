//! Recorded streams of any framing, with values planted over the borders of their frames.
//!
//! Planting changes the strings of one channel and what repeats them later, and nothing else: no frame is added.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value as Json;
use veilwire_tests::demo::values::Value;

/// A stream, frame by frame, each with its end.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    frames: Vec<String>,
}

/// Where the text of a channel is in a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Channel {
    /// JSON pointer of the text.
    pub(crate) at: &'static str,
    /// What else must be in the frame: a pointer and its value.
    pub(crate) when: Option<(&'static str, &'static str)>,
}

impl Recording {
    /// Cuts a recording behind every `end`.
    pub(crate) fn new(text: &str, end: &str) -> Result<Self> {
        ensure!(text.ends_with(end), "the recording ends in the middle of a frame");
        Ok(Self { frames: text.split_inclusive(end).map(str::to_owned).collect() })
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.frames.concat().into_bytes()
    }

    /// Plants a value over four texts of a channel, from its `nth` on. What these said moves behind the value.
    pub(crate) fn plant(&mut self, channel: Channel, nth: usize, value: Value) -> Result<()> {
        let place = || format!("{} in {}", value.name, channel.at);
        let texts: Vec<(usize, String)> = self
            .frames
            .iter()
            .enumerate()
            .filter_map(|(at, frame)| Some((at, channel.text(frame)?)))
            .collect();
        let run = texts.get(nth..nth + 4).with_context(place)?;
        let pieces = quarters(value.text);
        let said: String = run.iter().map(|(_, text)| text.as_str()).collect();
        let before: String = texts.iter().map(|(_, text)| text.as_str()).collect();
        for (number, ((at, old), piece)) in run.iter().zip(&pieces).enumerate() {
            let new = match number {
                0 => format!(" {piece}"),
                3 => format!("{piece} {said}"),
                _ => piece.clone(),
            };
            let frame = self.frames.get_mut(*at).with_context(place)?;
            *frame = channel.with_text(frame, old, &new).with_context(place)?;
        }
        let after: String = self.frames.iter().filter_map(|frame| channel.text(frame)).collect();
        let (before, after) = (inside(&before)?, inside(&after)?);
        for frame in self.frames.iter_mut().skip(texts.last().map_or(0, |(at, _)| at + 1)) {
            *frame = frame.replace(&before, &after);
        }
        Ok(())
    }
}

impl Channel {
    fn text(&self, frame: &str) -> Option<String> {
        let json = json(frame)?;
        if let Some((at, wanted)) = self.when
            && json.pointer(at).and_then(Json::as_str) != Some(wanted)
        {
            return None;
        }
        json.pointer(self.at)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Exchanges the text in the bytes of a frame, however the recording spaces its members.
    fn with_text(&self, frame: &str, old: &str, new: &str) -> Result<String> {
        let member = self.at.rsplit('/').next().context("no member")?;
        for colon in [":", ": "] {
            let written =
                |text: &str| Ok::<_, anyhow::Error>(format!("\"{member}\"{colon}\"{}\"", inside(text)?));
            let old = written(old)?;
            if frame.matches(&old).count() == 1 {
                return Ok(frame.replace(&old, &written(new)?));
            }
        }
        anyhow::bail!("the text is not written as expected")
    }
}

/// The JSON of a frame: of its `data:`, or all of it.
fn json(frame: &str) -> Option<Json> {
    let data = frame.lines().find_map(|line| line.strip_prefix("data:"));
    serde_json::from_str(data.unwrap_or(frame)).ok()
}

/// A text as it stands between the quotes of a JSON string.
fn inside(text: &str) -> Result<String> {
    let written = serde_json::to_string(text)?;
    let inside = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Ok(inside.context("no JSON string")?.to_owned())
}

fn quarters(value: &str) -> Vec<String> {
    let characters: Vec<char> = value.chars().collect();
    let mut pieces: Vec<String> =
        characters.chunks(characters.len().div_ceil(4)).map(String::from_iter).collect();
    pieces.resize(4, String::new());
    pieces
}
