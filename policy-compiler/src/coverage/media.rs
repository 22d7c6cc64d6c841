//! Types of bodies, charsets and encodings: each is put to the engine, and its answer is what is told.

use super::content::ContentCoverage;
use serde::Serialize;
use veilwire_engine::format::{Coding, Format, FormatError};

/// A content type on masked routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeCoverage {
    /// As a `content-type` header has it; empty: no such header.
    pub content_type: &'static str,
    /// What it is read as; none if it is refused everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    /// Why it is refused everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// On routes with these contents; elsewhere it is refused.
    pub contents: Vec<String>,
}

/// A name, and whether the engine accepts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The name.
    pub name: &'static str,
    /// Accepted, or refused.
    pub accepted: bool,
}

/// What is asked about. A type that is missing here is masked or refused all the same.
const TYPES: &[&str] = &[
    "application/json",
    "application/problem+json",
    "text/json",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-lines",
    "text/event-stream",
    "text/plain",
    "text/html",
    "text/csv",
    "text/markdown",
    "text/xml",
    "application/xml",
    "application/soap+xml",
    "image/svg+xml",
    "application/yaml",
    "application/javascript",
    "application/graphql",
    "application/sql",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/mixed",
    "application/x-protobuf",
    "application/protobuf",
    "application/grpc",
    "application/grpc+proto",
    "application/vnd.amazon.eventstream",
    "",
    "application/octet-stream",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/msgpack",
    "application/cbor",
    "application/jwt",
    "application/json-seq",
    "application/grpc+json",
    "application/grpc-web",
    "application/grpc-web+proto",
    "multipart/related",
    "multipart/alternative",
    "multipart/byteranges",
    "message/rfc822",
    "text/rtf",
    "text/calendar",
    "text/vcard",
    "image/png",
    "audio/mpeg",
    "video/mp4",
];

const CHARSETS: &[&str] = &[
    "utf-8",
    "us-ascii",
    "iso-8859-1",
    "windows-1252",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "utf-32",
    "utf-7",
    "iso-8859-15",
    "shift_jis",
    "euc-jp",
    "iso-2022-jp",
    "gb18030",
    "big5",
    "euc-kr",
    "koi8-r",
];

const ENCODINGS: &[&str] = &["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "dcb", "dcz"];

/// Every format that a known type is read as, once.
pub(super) fn formats() -> Vec<Format> {
    let mut formats: Vec<Format> = Vec::new();
    for format in TYPES.iter().filter_map(|name| read(name).ok()) {
        if formats.iter().all(|known| known.name() != format.name()) {
            formats.push(format);
        }
    }
    formats
}

pub(super) fn types(contents: &[ContentCoverage]) -> Vec<TypeCoverage> {
    let coverage = |content_type: &&'static str| match read(content_type) {
        Ok(format) => {
            let taking = contents.iter().filter(|content| content.formats.contains(&format.name()));
            TypeCoverage {
                content_type,
                format: Some(format.name()),
                refused: None,
                contents: taking.map(|content| content.name.clone()).collect(),
            }
        }
        Err(error) => {
            let reason =
                if content_type.is_empty() { "no content type".to_owned() } else { error.to_string() };
            TypeCoverage { content_type, format: None, refused: Some(reason), contents: Vec::new() }
        }
    };
    TYPES.iter().map(coverage).collect()
}

pub(super) fn charsets() -> Vec<Answer> {
    let accepted = |name: &str| Format::of(format!("text/plain; charset={name}").as_bytes()).is_ok();
    CHARSETS.iter().map(|name| Answer { name, accepted: accepted(name) }).collect()
}

pub(super) fn encodings() -> Vec<Answer> {
    ENCODINGS.iter().map(|name| Answer { name, accepted: Coding::of(name.as_bytes()).is_some() }).collect()
}

fn read(content_type: &str) -> Result<Format, FormatError> {
    // Without a boundary no multipart body can be read.
    let boundary = if content_type.starts_with("multipart/") { "; boundary=any" } else { "" };
    Format::of(format!("{content_type}{boundary}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_accepted_and_some_are_refused() {
        for answers in [charsets(), encodings()] {
            assert!(answers.iter().any(|answer| answer.accepted));
            assert!(answers.iter().any(|answer| !answer.accepted));
        }
        assert!(formats().len() >= 9);
        assert!(TYPES.iter().filter(|name| read(name).is_err()).count() > 10);
    }
}
