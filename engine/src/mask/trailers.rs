//! Trailers of a message that was masked: scanned, rewritten, kept.
//!
//! Every value is a text of its own. `grpc-message` is read with its percent-encoding (gRPC over HTTP/2, "Responses"); what
//! is binary (`-bin`, base64) goes if any reading of it shows a value, for nobody says how to change it. A trailer whose
//! very name holds a value goes as well.

use super::MaskError;
use super::message::MessageWriter;
use super::notes::Notes;
use super::plan::MaskPlan;
use super::text::{Location, Sink, TextUnit};
use crate::host::HeadEdits;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

const AT: Location<'static> = Location::of("trailer").verbatim();

/// What must become of trailers; repeated ones of which one is changed become one line.
///
/// # Errors
/// They cannot be scanned, so the message is refused.
pub(crate) fn mask_trailers(
    trailers: &[(Vec<u8>, Vec<u8>)],
    plan: &MaskPlan,
    notes: &mut Notes,
) -> Result<HeadEdits, MaskError> {
    let mut edits = HeadEdits::default();
    let mut unit = TextUnit::default();
    for (place, (name, _)) in trailers.iter().enumerate() {
        let seen = trailers.get(..place).unwrap_or_default();
        if seen.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            continue;
        }
        let named = unit.probe(name, plan)?;
        if !named.is_empty() {
            plan.record(&named, AT.root, notes);
            edits.remove(name);
            continue;
        }
        let mut line = Vec::new();
        let mut sink = Sink::new(plan, &mut line, notes, plan.state_limit());
        let mut same =
            trailers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        if name.to_ascii_lowercase().ends_with(b"-bin") {
            let mut writer = MessageWriter::new(plan, AT.root);
            // SECURITY: what is no base64 is read by others in ways that nobody knows.
            if !same.all(|value| matches!(shows_binary(value, &mut writer, &mut sink), Ok(false))) {
                edits.remove(name);
            }
            continue;
        }
        for (number, value) in same.enumerate() {
            if number > 0 {
                sink.out.extend_from_slice(b", ");
            }
            if name.eq_ignore_ascii_case(b"grpc-message") {
                unit.percent_encoded(value, &mut sink, AT)?;
            } else {
                unit.literal(value, &mut sink, AT)?;
            }
            unit.finish(&mut sink, AT)?;
        }
        if sink.replaced > 0 {
            edits.rewrite(name, line);
        }
    }
    Ok(edits)
}

/// Does a list of base64 values show anything? Padding is optional.
fn shows_binary(values: &[u8], writer: &mut MessageWriter, sink: &mut Sink<'_>) -> Result<bool, MaskError> {
    for value in values.split(|&byte| byte == b',') {
        let value = value.trim_ascii();
        let unpadded = value.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
        let decoded = STANDARD_NO_PAD.decode(value.get(..unpadded).unwrap_or(value));
        if writer.shows(&decoded.map_err(|_| MaskError::InvalidFrame)?, sink)? {
            return Ok(true);
        }
    }
    Ok(false)
}
