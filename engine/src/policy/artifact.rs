//! The artifact: what the policy compiler writes and the filter loads.
//!
//! ```text
//!  0   8  89 56 57 50 0D 0A 1A 0A    magic (`VWP`); its line ends are damaged by text-mode copies on purpose
//!  8   2  format major               differs: refused
//! 10   2  format minor               newer: accepted
//! 12   4  total length
//! 16   4  number of sections (at most 64)
//! 20  32  SHA-256 of the whole file with this field zeroed
//! 52  ..  table: u16 type, u16 flags (bit 0: critical), u32 offset, u32 length; ascending, back to back, each offset 8-aligned
//! ```
//! Little-endian. Sections: `MODEL` (1), the [`Model`] in the postcard wire format 1, and `AUTOMATA` (2), each automaton prefixed with its u32 length.
//! An unknown critical section is refused, another unknown one is skipped.
//!
//! The digest proves that nothing was damaged, not who wrote it: a flipped transition would be a silent mask failure, and the
//! table checks of [`Automaton::decode`] prove only that it is safe to run.

use super::model::Model;
use crate::approval::hex;
use crate::mask::automaton::Automaton;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

const MAGIC: [u8; 8] = *b"\x89VWP\x0d\x0a\x1a\x0a";
const MAJOR: u16 = 1;
#[cfg(feature = "compile")]
const MINOR: u16 = 0;
const HEADER: usize = 52;
const ENTRY: usize = 12;
const DIGEST: std::ops::Range<usize> = 20..52;
const MODEL: u16 = 1;
const AUTOMATA: u16 = 2;
const CRITICAL: u16 = 1;
const MAX_SECTIONS: usize = 64;
const MAX_AUTOMATA: usize = 255;

/// Largest artifact in bytes.
pub const MAX_LENGTH: usize = 4 * 1024 * 1024;

/// Why bytes are not an artifact. Never quotes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not the magic of an artifact.
    #[error("not a veilwire artifact")]
    Foreign,
    /// Written by an incompatible compiler.
    #[error("format {0} is not supported, this filter reads {MAJOR}")]
    Version(u16),
    /// Shorter or longer than it says, or than allowed.
    #[error("truncated, padded or larger than {MAX_LENGTH} bytes")]
    Length,
    /// The content does not match the digest.
    #[error("digest mismatch: the artifact is damaged")]
    Damaged,
    /// The section table is inconsistent.
    #[error("inconsistent section table")]
    Table,
    /// A section that must be understood is unknown.
    #[error("unknown critical section {0}")]
    UnknownSection(u16),
    /// A required section is absent.
    #[error("section {0} is missing")]
    MissingSection(u16),
    /// The model cannot be read.
    #[error("the model section cannot be read")]
    Model,
    /// An automaton cannot be read.
    #[error("automaton {0} cannot be read")]
    Automaton(u16),
}

/// Do these bytes begin like an artifact?
#[must_use]
pub fn is_artifact(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Reads an artifact: the model with its automata, and the digest in lower-case hex.
///
/// # Errors
/// Anything that is not exactly what the compiler wrote.
pub fn decode(bytes: &[u8]) -> Result<(Model, String), DecodeError> {
    if !is_artifact(bytes) {
        return Err(DecodeError::Foreign);
    }
    let major = u16_at(bytes, 8).ok_or(DecodeError::Length)?;
    if major != MAJOR {
        return Err(DecodeError::Version(major));
    }
    let length = u32_at(bytes, 12).ok_or(DecodeError::Length)?;
    if bytes.len() != length || length > MAX_LENGTH {
        return Err(DecodeError::Length);
    }
    let digest = digest_of(bytes).ok_or(DecodeError::Length)?;
    if bytes.get(DIGEST) != Some(digest.as_slice()) {
        return Err(DecodeError::Damaged);
    }
    let mut model = None;
    let mut automata = None;
    for (kind, flags, section) in sections(bytes)? {
        match kind {
            MODEL => model = Some(decode_model(section)?),
            AUTOMATA => automata = Some(decode_automata(section)?),
            unknown if flags & CRITICAL != 0 => return Err(DecodeError::UnknownSection(unknown)),
            _ => {}
        }
    }
    let mut model = model.ok_or(DecodeError::MissingSection(MODEL))?;
    model.automata = automata.ok_or(DecodeError::MissingSection(AUTOMATA))?;
    Ok((model, hex(&digest)))
}

/// The artifact inside a plugin configuration: its bytes (`google.protobuf.BytesValue`), or `{"artifact": "<base64>"}` where the
/// configuration must be JSON.
///
/// # Errors
/// Neither form. The artifact itself is not looked at.
pub fn from_configuration(configuration: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapped {
        artifact: String,
    }
    if configuration.first() != Some(&b'{') {
        return Ok(Cow::Borrowed(configuration));
    }
    // Base64 is longer than what it carries by a third; anything longer is not worth decoding.
    if configuration.len() > MAX_LENGTH / 3 * 4 + 64 {
        return Err(DecodeError::Length);
    }
    let wrapped: Wrapped = serde_json::from_slice(configuration).map_err(|_| DecodeError::Foreign)?;
    STANDARD.decode(wrapped.artifact).map(Cow::Owned).map_err(|_| DecodeError::Foreign)
}

/// One section: type, flags, bytes.
type Section<'a> = (u16, u16, &'a [u8]);

/// Ascending types, back to back after the table: one layout only, so that no byte is unaccounted for.
fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>, DecodeError> {
    let count = u32_at(bytes, 16).ok_or(DecodeError::Table)?;
    if count > MAX_SECTIONS {
        return Err(DecodeError::Table);
    }
    let mut expected = align(HEADER + count * ENTRY);
    let mut last = 0;
    let mut found = Vec::with_capacity(count);
    for index in 0..count {
        let at = HEADER + index * ENTRY;
        let entry = (u16_at(bytes, at), u16_at(bytes, at + 2), u32_at(bytes, at + 4), u32_at(bytes, at + 8));
        let (Some(kind), Some(flags), Some(offset), Some(length)) = entry else {
            return Err(DecodeError::Table);
        };
        if kind <= last || offset != expected {
            return Err(DecodeError::Table);
        }
        let end = offset.checked_add(length).ok_or(DecodeError::Table)?;
        found.push((kind, flags, bytes.get(offset..end).ok_or(DecodeError::Table)?));
        (last, expected) = (kind, align(end));
    }
    if expected == bytes.len() { Ok(found) } else { Err(DecodeError::Table) }
}

/// The whole section and nothing else.
fn decode_model(section: &[u8]) -> Result<Model, DecodeError> {
    match postcard::take_from_bytes(section) {
        Ok((model, [])) => Ok(model),
        _ => Err(DecodeError::Model),
    }
}

fn decode_automata(mut section: &[u8]) -> Result<Vec<Automaton>, DecodeError> {
    let mut automata = Vec::new();
    while !section.is_empty() {
        let index = u16::try_from(automata.len()).unwrap_or(u16::MAX);
        let error = DecodeError::Automaton(index);
        if automata.len() == MAX_AUTOMATA {
            return Err(error);
        }
        let (length, rest) = section.split_first_chunk::<4>().ok_or(error)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| error)?;
        let (body, rest) = rest.split_at_checked(length).ok_or(error)?;
        automata.push(Automaton::decode(body).map_err(|_| error)?);
        section = rest;
    }
    Ok(automata)
}

fn digest_of(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(bytes.get(..DIGEST.start)?);
    hash.update([0; 32]);
    hash.update(bytes.get(DIGEST.end..)?);
    Some(hash.finalize().into())
}

fn align(offset: usize) -> usize {
    offset.next_multiple_of(8)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok()
}

#[cfg(feature = "compile")]
mod encode {
    use super::{
        AUTOMATA, CRITICAL, DIGEST, DecodeError, ENTRY, HEADER, MAGIC, MAJOR, MAX_LENGTH, MINOR, MODEL,
        align, digest_of,
    };
    use crate::policy::model::Model;

    /// Writes an artifact. The same model gives the same bytes.
    ///
    /// # Errors
    /// [`DecodeError::Length`] if it would be larger than [`MAX_LENGTH`], [`DecodeError::Model`] if the model cannot be written.
    pub fn encode(model: &Model) -> Result<Vec<u8>, DecodeError> {
        let mut automata = Vec::new();
        for automaton in &model.automata {
            let mut body = Vec::new();
            automaton.encode(&mut body);
            automata.extend_from_slice(
                &u32::try_from(body.len()).map_err(|_| DecodeError::Length)?.to_le_bytes(),
            );
            automata.extend_from_slice(&body);
        }
        let model = postcard::to_allocvec(model).map_err(|_| DecodeError::Model)?;
        assemble(&[(MODEL, CRITICAL, &model), (AUTOMATA, CRITICAL, &automata)])
    }

    /// Puts sections into a container.
    pub(super) fn assemble(sections: &[(u16, u16, &[u8])]) -> Result<Vec<u8>, DecodeError> {
        let u32_of = |value: usize| u32::try_from(value).map_err(|_| DecodeError::Length);
        let mut table = Vec::new();
        let mut bodies = Vec::new();
        let base = align(HEADER + sections.len() * ENTRY);
        for (kind, flags, body) in sections {
            table.extend_from_slice(&kind.to_le_bytes());
            table.extend_from_slice(&flags.to_le_bytes());
            table.extend_from_slice(&u32_of(base + bodies.len())?.to_le_bytes());
            table.extend_from_slice(&u32_of(body.len())?.to_le_bytes());
            bodies.extend_from_slice(body);
            bodies.resize(align(bodies.len()), 0);
        }
        let mut bytes = Vec::with_capacity(base + bodies.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&MAJOR.to_le_bytes());
        bytes.extend_from_slice(&MINOR.to_le_bytes());
        bytes.extend_from_slice(&u32_of(base + bodies.len())?.to_le_bytes());
        bytes.extend_from_slice(&u32_of(sections.len())?.to_le_bytes());
        bytes.extend_from_slice(&[0; 32]);
        bytes.extend_from_slice(&table);
        bytes.resize(base, 0);
        bytes.extend_from_slice(&bodies);
        if bytes.len() > MAX_LENGTH {
            return Err(DecodeError::Length);
        }
        let digest = digest_of(&bytes).ok_or(DecodeError::Length)?;
        bytes.get_mut(DIGEST).ok_or(DecodeError::Length)?.copy_from_slice(&digest);
        Ok(bytes)
    }
}
#[cfg(feature = "compile")]
pub use encode::encode;
