//! Step 6: two recorded streams with values planted across event borders, relayed in lock step.

use anyhow::{Context as _, Result, anyhow};

use super::Story;
use crate::demo::recording::{Planting, Recording, data, delta, joined};
use crate::demo::relay::{Row, relay};
use crate::demo::show::Teller;
use crate::demo::stage::{ANTHROPIC, OPENAI, post};
use crate::demo::values::{
    CONTENT_CARD, IN_ANTHROPIC, IN_OPENAI, REASONING_AWS_KEY, REASONING_EMAIL, TEXT_API_KEY, TEXT_EMAIL,
    THINKING_SSN, TOOL_INPUT_EMPLOYEE, Value, masked,
};
use crate::upstream::Exchange;
use crate::wire::{ResponseHead, value};

const OPENAI_REQUEST: &str = include_str!("../../../demo-data/openai-chat.request.json");
const OPENAI_STREAM: &[u8] = include_bytes!("../../../demo-data/openai-chat.response.sse");
const ANTHROPIC_REQUEST: &str = include_str!("../../../demo-data/anthropic-messages.request.json");
const ANTHROPIC_STREAM: &[u8] = include_bytes!("../../../demo-data/anthropic-messages.response.sse");

/// Rows of a table shown before the end of a planted value: it lies in at most four events.
const BEFORE: usize = 3;
/// Rows shown behind it.
const BEHIND: usize = 1;

const OPENAI_PLANTINGS: [Planting; 3] = [
    Planting { member: "reasoning", behind: " tool", lead: " of ", value: REASONING_EMAIL, cuts: &[3, 9] },
    Planting {
        member: "reasoning",
        behind: " succeeded",
        lead: " with ",
        value: REASONING_AWS_KEY,
        cuts: &[2, 6, 7],
    },
    Planting { member: "content", behind: " result", lead: ", card ", value: CONTENT_CARD, cuts: &[4, 6, 4] },
];
const ANTHROPIC_PLANTINGS: [Planting; 4] = [
    Planting {
        member: "thinking",
        behind: "a short answer about",
        lead: " ",
        value: THINKING_SSN,
        cuts: &[5],
    },
    Planting {
        member: "partial_json",
        behind: "\": \"What",
        lead: " ",
        value: TOOL_INPUT_EMPLOYEE,
        cuts: &[2, 4],
    },
    Planting { member: "text", behind: "** - Works", lead: " with ", value: TEXT_API_KEY, cuts: &[5, 9, 12] },
    Planting {
        member: "text",
        behind: "production-ready AI agents",
        lead: " by ",
        value: TEXT_EMAIL,
        cuts: &[8],
    },
];

/// A stream, how it is asked for and what is in it.
struct Stream {
    name: &'static str,
    path: &'static str,
    request: &'static str,
    http2: bool,
    recording: Recording,
    values: &'static [Value],
}

/// What came of a stream.
struct Relayed {
    rows: Vec<Row>,
    /// The request's id, as the caller got it.
    id: Option<String>,
}

impl Story<'_> {
    pub(super) fn masked_streams(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        teller.step("Recorded streams, values planted across event borders, masked while they stream")?;
        self.streamed = self.stream(teller, openai_stream())?;
        self.stream(teller, anthropic_stream())?;
        Ok(())
    }

    /// Returns the request's id.
    fn stream(&mut self, teller: &mut Teller<'_>, stream: Result<Stream>) -> Result<Option<String>> {
        let relayed = stream.map(|stream| (self.play(&stream), stream));
        let (relayed, stream) = match relayed {
            Ok((Ok(relayed), stream)) => (relayed, stream),
            Ok((Err(error), stream)) => {
                teller.check(stream.name, "it arrives event by event", || Err(error))?;
                return Ok(None);
            }
            Err(error) => {
                teller.check("a recorded stream", "values can be planted", || Err(error))?;
                return Ok(None);
            }
        };
        let Stream { name, recording, values, .. } = &stream;
        let rows = &relayed.rows;
        let events = recording.events().len();
        let expected = format!("{events} events, each sent only after the one before had arrived");
        teller.check(name, &expected, || {
            Ok((
                format!("{} events in lock step, {} deltas added before a close", rows.len(), added(rows)),
                { rows.len() == events && added(rows) <= recording.channels().len() },
            ))
        })?;
        let names: Vec<&str> = values.iter().map(|value| value.name).collect();
        teller.check(&names.join(", "), "masked; every channel's text is otherwise as sent", || {
            compare_channels(recording, rows)
        })?;
        teller.check(
            "everything that is not a delta",
            "as sent; a signature goes only if its block changed",
            || compare_others(rows),
        )?;
        show_table(teller, rows)?;
        Ok(relayed.id)
    }

    fn play(&mut self, stream: &Stream) -> Result<Relayed> {
        let token = self.agent()?;
        let mut head = post(stream.path, Some(&token));
        let body = stream.request.as_bytes();
        if stream.http2 {
            let mut client = self.stage.http2()?;
            let mut call = client.start(&head, false)?;
            call.send(body, true)?;
            let mut exchange = self.begin()?;
            let request = exchange.body()?;
            let answer = call.response_head()?;
            let rows = relay(&exchange, stream.recording.events(), &mut || call.next_piece());
            self.close(&exchange, &request, &answer, rows)
        } else {
            head.headers.push((b"content-length".to_vec(), body.len().to_string().into_bytes()));
            let mut client = self.stage.http1()?;
            client.send_head(&head)?;
            client.send(body)?;
            let mut exchange = self.begin()?;
            let request = exchange.body()?;
            let answer = client.response_head()?;
            let rows = relay(&exchange, stream.recording.events(), &mut || client.next_piece());
            self.close(&exchange, &request, &answer, rows)
        }
    }

    /// The request at the upstream, and the head of a stream in answer.
    fn begin(&self) -> Result<Exchange> {
        let exchange = self.stage.upstream.accept().with_context(|| self.stage.envoy.log_tail())?;
        exchange.respond(ResponseHead::new(200, &[("content-type", "text/event-stream; charset=utf-8")]))?;
        Ok(exchange)
    }

    fn close(
        &mut self,
        exchange: &Exchange,
        request: &[u8],
        answer: &ResponseHead,
        rows: Result<Vec<Row>>,
    ) -> Result<Relayed> {
        let rows = rows.with_context(|| self.stage.envoy.log_tail())?;
        self.upstream_saw(exchange, request);
        self.client_saw(answer, &received(&rows).concat());
        let id = value(&answer.headers, "x-veilwire-request-id");
        Ok(Relayed { rows, id: id.map(|id| String::from_utf8_lossy(id).into_owned()) })
    }
}

/// The OpenAI stream with its values.
///
/// # Errors
/// When a value does not fit into the recording.
fn openai_stream() -> Result<Stream> {
    Ok(Stream {
        name: "a recorded OpenAI chat stream with reasoning, HTTP/1.1",
        path: OPENAI,
        request: OPENAI_REQUEST,
        http2: false,
        recording: planted(OPENAI_STREAM, &OPENAI_PLANTINGS)?,
        values: &IN_OPENAI,
    })
}

/// The Anthropic stream with its values.
///
/// # Errors
/// When a value does not fit into the recording.
fn anthropic_stream() -> Result<Stream> {
    Ok(Stream {
        name: "a recorded Anthropic stream with thinking, HTTP/2",
        path: ANTHROPIC,
        request: ANTHROPIC_REQUEST,
        http2: true,
        recording: planted(ANTHROPIC_STREAM, &ANTHROPIC_PLANTINGS)?,
        values: &IN_ANTHROPIC,
    })
}

/// The recordings with their values, for whoever replays them without the story: OpenAI's, Anthropic's.
///
/// # Errors
/// When a value does not fit into a recording.
pub(in crate::demo) fn planted_streams() -> Result<(Recording, Recording)> {
    Ok((openai_stream()?.recording, anthropic_stream()?.recording))
}

fn planted(bytes: &[u8], plantings: &[Planting]) -> Result<Recording> {
    let mut recording = Recording::new(bytes)?;
    for planting in plantings {
        recording.plant(planting).with_context(|| format!("the {} does not fit", planting.value.name))?;
    }
    Ok(recording)
}

fn received(rows: &[Row]) -> Vec<Vec<u8>> {
    rows.iter().flat_map(|row| row.received.iter().cloned()).collect()
}

fn added(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.received.len().saturating_sub(1)).sum()
}

fn compare_channels(recording: &Recording, rows: &[Row]) -> Result<(String, bool)> {
    let came = joined(rows.iter().flat_map(|row| row.received.iter().map(Vec::as_slice)));
    let sent = recording.channels();
    for (name, text) in &sent {
        let (_, came) =
            came.iter().find(|(other, _)| other == name).with_context(|| format!("no {name} came"))?;
        if *came != masked(text) {
            return Ok((format!("{name} differs"), false));
        }
    }
    let names: Vec<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
    Ok((format!("{} channels as expected: {}", sent.len(), names.join("; ")), came.len() == sent.len()))
}

fn compare_others(rows: &[Row]) -> Result<(String, bool)> {
    let mut same = 0;
    let mut signatures = 0;
    for row in rows.iter().filter(|row| delta(&row.sent).is_none()) {
        let came = row.received.last().ok_or_else(|| anyhow!("an event did not arrive"))?;
        if *came == row.sent {
            same += 1;
        } else if dropped_signature(&row.sent, came) {
            signatures += 1;
        } else {
            return Ok((String::from_utf8_lossy(came).into_owned(), false));
        }
    }
    // One thinking block at most has a signature, and its text was changed.
    let signed = rows.iter().filter(|row| signature(&row.sent).is_some()).count();
    Ok((
        format!("{same} events byte for byte, {signatures} of {signed} signatures dropped"),
        signatures == signed,
    ))
}

fn signature(event: &[u8]) -> Option<String> {
    Some(data(event)?.pointer("/delta/signature")?.as_str()?.to_owned())
}

fn dropped_signature(sent: &[u8], came: &[u8]) -> bool {
    signature(sent).is_some_and(|text| !text.is_empty())
        && signature(came).is_some_and(|text| text.is_empty())
}

/// The rows around planted values: what the upstream sent, what the caller got.
fn show_table(teller: &mut Teller<'_>, rows: &[Row]) -> Result<()> {
    let touched: Vec<bool> = rows.iter().map(is_touched).collect();
    teller.row("sent by the upstream", "received by the caller")?;
    teller.row(&"─".repeat(44), &"─".repeat(44))?;
    let mut hidden = 0;
    for (at, row) in rows.iter().enumerate() {
        let near = at.saturating_sub(BEHIND)..=at + BEFORE;
        if !touched.iter().enumerate().any(|(other, touched)| *touched && near.contains(&other)) {
            hidden += 1;
            continue;
        }
        show_hidden(teller, &mut hidden)?;
        for (number, event) in row.received.iter().enumerate() {
            let sent = if number + 1 == row.received.len() { describe(&row.sent) } else { String::new() };
            teller.row(&sent, &describe(event))?;
        }
    }
    show_hidden(teller, &mut hidden)?;
    teller.line("")?;
    Ok(())
}

fn show_hidden(teller: &mut Teller<'_>, hidden: &mut usize) -> Result<()> {
    if *hidden > 0 {
        teller.row(&format!("      ({hidden} events)"), "")?;
        *hidden = 0;
    }
    Ok(())
}

/// Whether an event was changed by more than a word that waits for the next event.
fn is_touched(row: &Row) -> bool {
    let came =
        row.received.iter().filter_map(|event| delta(event)).map(|delta| delta.text).collect::<String>();
    let sent = delta(&row.sent).map(|delta| delta.text).unwrap_or_default();
    let placeholder = |text: &str| text.contains('[') && text.contains(']') && !sent.contains('[');
    placeholder(&came) || dropped_signature(&row.sent, row.received.last().map_or(&[][..], Vec::as_slice))
}

fn describe(event: &[u8]) -> String {
    if let Some(delta) = delta(event) {
        return format!("{} {:?}", delta.member, delta.text);
    }
    if let Some(text) = signature(event) {
        return format!("signature {text:?}");
    }
    let json = data(event);
    let kind = json.as_ref().and_then(|json| json.get("type")).and_then(serde_json::Value::as_str);
    kind.map_or_else(|| String::from_utf8_lossy(event).trim_end().to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_planted_over_two_to_four_events() {
        for (stream, plantings) in [
            (openai_stream().unwrap(), &OPENAI_PLANTINGS[..]),
            (anthropic_stream().unwrap(), &ANTHROPIC_PLANTINGS[..]),
        ] {
            let texts: String = stream.recording.channels().into_iter().map(|(_, text)| text).collect();
            let bytes = stream.recording.events().concat();
            let bytes = String::from_utf8(bytes).unwrap();
            for planting in plantings {
                assert!(texts.contains(planting.value.text), "{}", planting.value.name);
                assert!(!bytes.contains(planting.value.text), "{}", planting.value.name);
                assert!((2..=4).contains(&(planting.cuts.len() + 1)));
            }
            assert_eq!(plantings.len(), stream.values.len());
        }
    }

    #[test]
    fn planting_adds_no_event() {
        let count = |bytes: &[u8]| Recording::new(bytes).unwrap().events().len();
        assert_eq!(openai_stream().unwrap().recording.events().len(), count(OPENAI_STREAM));
        assert_eq!(anthropic_stream().unwrap().recording.events().len(), count(ANTHROPIC_STREAM));
    }
}
