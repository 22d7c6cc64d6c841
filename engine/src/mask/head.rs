//! Request line and headers: scanned, and rewritten where that is possible.
//!
//! A path cannot be changed without naming another resource, so a finding in it is only told. A query is a form. The value of
//! a header is looked at with `%XX` decoded and as it stands, for only its receiver knows which it is; where it holds nothing it
//! stays as it is. Headers that frame the message, name its parties or carry the caller's credential are never changed.
//!
//! It does not look into base64 or JSON inside a header.

use super::MaskError;
use super::form::FormBody;
use super::framer::{Framer, Run};
use super::notes::Notes;
use super::plan::{FieldPlan, MaskPlan};
use super::text::{Location, Sink, TextUnit};
use crate::exchange::HEADER_PREFIX;
use crate::format::json::Frame;
use crate::format::paths::StateId;
use crate::host::HeadEdits;
use memchr::memchr;

/// Does a path hold a value, as it stands or decoded?
///
/// # Errors
/// It cannot be scanned.
pub(crate) fn scan_path(path: &[u8], plan: &MaskPlan, notes: &mut Notes) -> Result<bool, MaskError> {
    let at = Location::of("path");
    Ok(mask(path, at, false, plan, notes)?.is_some())
}

/// A query in which something was masked; none if there is nothing to change.
///
/// # Errors
/// It cannot be scanned.
pub(crate) fn mask_query(
    query: &[u8],
    plan: &MaskPlan,
    notes: &mut Notes,
) -> Result<Option<Vec<u8>>, MaskError> {
    let mut out = Vec::new();
    let mut form = FormBody::new("query", plan);
    let mut run = Run { plan, notes, out: &mut out };
    form.write(query, &mut run)?;
    form.end(&mut run)?;
    Ok((out != query).then_some(out))
}

/// Adds the changes that headers need. A header whose very name holds a value is removed.
///
/// # Errors
/// They cannot be scanned.
pub(crate) fn mask_headers(
    headers: &[(Vec<u8>, Vec<u8>)],
    plan: &MaskPlan,
    notes: &mut Notes,
    edits: &mut HeadEdits,
) -> Result<(), MaskError> {
    let mut unit = TextUnit::default();
    let mut dropped = Vec::new();
    for (place, (name, _)) in headers.iter().enumerate() {
        let same = |(other, _): &&(Vec<u8>, Vec<u8>)| other.eq_ignore_ascii_case(name);
        let lower = name.to_ascii_lowercase();
        if is_exempt(&lower) || headers.get(..place).unwrap_or_default().iter().any(|header| same(&header)) {
            continue;
        }
        let named = unit.probe(name, plan)?;
        if !named.is_empty() {
            plan.record(&named, "header", notes);
            edits.remove(name);
            continue;
        }
        let id = plan.paths().name(&lower);
        let field =
            plan.actions(plan.paths().member(StateId::ROOT, id)).and_then(|actions| actions.field.as_ref());
        if field.is_some_and(FieldPlan::is_drop) {
            let mut sink = Sink::new(plan, &mut dropped, notes, plan.state_limit());
            field.into_iter().for_each(|field| sink.drop_field(field, Location::of("header")));
            edits.remove(name);
            continue;
        }
        // SECURITY: what a value may be is more than what a header may hold, so responses keep their tokens.
        let header = Location::of("header");
        let header = if notes.issues() { header } else { header.verbatim() };
        let at = Location { outer: &[Frame::member(id)], ..header };
        // What reads as a URL stays one.
        let percent = [b"location".as_slice(), b"referer"].contains(&lower.as_slice());
        let mut changed = false;
        let mut lines = Vec::new();
        for (_, value) in headers.iter().filter(same) {
            let masked = match field {
                Some(field) => {
                    let mut line = Vec::new();
                    let mut sink = Sink::new(plan, &mut line, notes, plan.state_limit());
                    sink.percent = percent;
                    sink.replace_field(field, Some(value), at);
                    Some(line)
                }
                None => mask(value, at, percent, plan, notes)?,
            };
            changed |= masked.is_some();
            lines.push(masked.unwrap_or_else(|| value.clone()));
        }
        if changed {
            // Lines are kept apart: not every header may be joined (RFC 9110, section 5.3).
            edits.remove(name);
            lines.into_iter().for_each(|line| edits.add(name, line));
        }
    }
    Ok(())
}

/// A text in which something was masked: first with `%XX` decoded, then what is left as it stands.
///
/// SECURITY: in this order. As it stands, a value may end at its first escape, and what is behind it would no longer be
/// known as a part of it.
pub(super) fn mask(
    text: &[u8],
    at: Location<'_>,
    percent: bool,
    plan: &MaskPlan,
    notes: &mut Notes,
) -> Result<Option<Vec<u8>>, MaskError> {
    let mut unit = TextUnit::default();
    let (mut line, mut at, mut replaced) = (Vec::new(), at, 0);
    if memchr(b'%', text).is_some() {
        let mut sink = Sink::new(plan, &mut line, notes, plan.state_limit());
        sink.percent = percent;
        unit.percent_encoded(text, &mut sink, at)?;
        unit.finish(&mut sink, at)?;
        replaced = sink.replaced;
        // The tokens are those of the first look.
        at = at.verbatim();
    }
    let decoded = std::mem::take(&mut line);
    let text = if replaced > 0 { &decoded } else { text };
    let mut sink = Sink::new(plan, &mut line, notes, plan.state_limit());
    sink.percent = percent;
    unit.literal(text, &mut sink, at)?;
    unit.finish(&mut sink, at)?;
    replaced += sink.replaced;
    Ok((replaced > 0).then_some(line))
}

/// Is the header of this lower-case name never changed?
pub(crate) fn is_exempt(name: &[u8]) -> bool {
    // Those of one hop (RFC 9110, section 7.6.1), and the credential that this hop checks and removes.
    const HOP: [&[u8]; 10] = [
        b"authorization",
        b"connection",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
    ];
    name.starts_with(b":")
        || name.starts_with(b"content-")
        || name.starts_with(HEADER_PREFIX)
        || name == b"upgrade"
        || HOP.contains(&name)
}
