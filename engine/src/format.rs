//! Syntax of bodies: where text is. Whether a text holds anything is the business of [`mask`](crate::mask).

mod crc32;
pub(crate) mod eventstream;
pub(crate) mod inflate;
pub(crate) mod json;
pub(crate) mod multipart;
pub(crate) mod objects;
pub(crate) mod paths;
pub(crate) mod protobuf;
pub(crate) mod sse;

pub use inflate::Coding;
pub use multipart::Boundary;

/// A format that can be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON (RFC 8259).
    Json,
    /// JSON documents, one a line (NDJSON, JSON Lines).
    Lines,
    /// Server-sent events (WHATWG HTML, section 9.2).
    Sse,
    /// Text that means what its bytes say: plain text, markup, tables, source code.
    Text,
    /// A form (`application/x-www-form-urlencoded`, WHATWG URL, section 5).
    Form,
    /// Parts of any of these formats (RFC 2046, section 5.1).
    Multipart {
        /// Every part must name the field of a form that it is (RFC 7578).
        form: bool,
        /// What is between the parts.
        boundary: Boundary,
    },
    /// One protobuf message.
    Protobuf,
    /// gRPC (gRPC over HTTP/2): protobuf messages, each with its length in front.
    Grpc,
    /// Frames with headers and checksums (`application/vnd.amazon.eventstream`).
    EventStream,
    /// What nobody here can read and the policy lets pass by this name of its list.
    Opaque(PassId),
}

/// An entry of `limits.unknownContent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PassId(pub(crate) usize);

/// Bytes are not of the format they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Why a `content-type` cannot be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Not a media type (RFC 9110, section 8.3.1).
    #[error("malformed content type")]
    Malformed,
    /// No framer for it.
    #[error("content type without a framer")]
    UnknownType,
    /// Text in which an ASCII byte does not mean itself, or an unknown charset.
    #[error("unsupported charset")]
    UnsupportedCharset,
}

impl Format {
    /// The format of a `content-type` value.
    ///
    /// Charsets in which every ASCII byte means itself pass as bytes: UTF-8, US-ASCII, ISO-8859-1, windows-1252.
    ///
    /// # Errors
    /// Everything else is refused: no framer, UTF-16, an unknown or repeated charset.
    pub fn of(content_type: &[u8]) -> Result<Format, FormatError> {
        let text = std::str::from_utf8(content_type).map_err(|_| FormatError::Malformed)?;
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim_matches(BLANK).to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/').ok_or(FormatError::Malformed)?;
        if !is_token(kind) || !is_token(subtype) {
            return Err(FormatError::Malformed);
        }
        let boundary = check_parameters(parameters)?.and_then(|text| Boundary::new(text.as_bytes()));
        let format = match (kind, subtype) {
            ("text", "event-stream") => Format::Sse,
            ("application" | "text", "json") => Format::Json,
            ("application", "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "json-lines") => Format::Lines,
            ("application", "vnd.amazon.eventstream") => Format::EventStream,
            ("application", "x-protobuf" | "protobuf") => Format::Protobuf,
            ("application", "grpc" | "grpc+proto") => Format::Grpc,
            // Its messages have a prefix, and are no documents.
            ("application", "grpc+json" | "grpc-web+json") => return Err(FormatError::UnknownType),
            (_, subtype) if subtype.ends_with("+json") => Format::Json,
            ("text", subtype) if !FOLDED.contains(&subtype) => Format::Text,
            ("application", "x-www-form-urlencoded") => Format::Form,
            ("application", subtype) if TEXT.contains(&subtype) => Format::Text,
            ("multipart", "form-data" | "mixed") => {
                let form = subtype == "form-data";
                Format::Multipart { form, boundary: boundary.ok_or(FormatError::Malformed)? }
            }
            (_, subtype) if subtype.ends_with("+xml") => Format::Text,
            _ => return Err(FormatError::UnknownType),
        };
        Ok(format)
    }

    /// How reports call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Lines => "lines",
            Format::Sse => "sse",
            Format::Text => "text",
            Format::Form => "form",
            Format::Multipart { .. } => "multipart",
            Format::Protobuf => "protobuf",
            Format::Grpc => "grpc",
            Format::EventStream => "eventstream",
            Format::Opaque(_) => "opaque",
        }
    }
}

/// The entry of `names` that covers a media type: itself, its kind (`image/*`), or all (`*/*`).
///
/// SECURITY: what holds other messages (`multipart`, `message`) is never covered, whatever the names say.
pub(crate) fn covering(content_type: &[u8], names: &[String]) -> Option<PassId> {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    let essence = std::str::from_utf8(essence).ok()?.trim_matches(BLANK).to_ascii_lowercase();
    let (kind, _) = essence.split_once('/')?;
    let covers = |name: &String| {
        *name == essence || name == "*/*" || name.strip_suffix("/*").is_some_and(|covered| covered == kind)
    };
    let place = names.iter().position(covers)?;
    (!["multipart", "message"].contains(&kind)).then_some(PassId(place))
}

/// Kinds of text with escapes, or lines that are folded anywhere: their bytes do not show what they say.
const FOLDED: [&str; 8] =
    ["rtf", "richtext", "enriched", "calendar", "vcard", "x-vcard", "x-vcalendar", "directory"];

/// Text that is filed under `application`.
const TEXT: [&str; 9] =
    ["xml", "xml-dtd", "yaml", "x-yaml", "javascript", "x-javascript", "ecmascript", "graphql", "sql"];

const BLANK: [char; 2] = [' ', '\t'];

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// Reads the parameters; quoted strings may hold `;`. Checks the charset and returns the boundary.
fn check_parameters(mut rest: &str) -> Result<Option<&str>, FormatError> {
    let mut seen = false;
    let mut boundary = None;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Ok(boundary);
        }
        let (name, after) = rest.split_once('=').ok_or(FormatError::Malformed)?;
        let name = name.trim_matches(BLANK);
        if !is_token(name) {
            return Err(FormatError::Malformed);
        }
        let after = after.trim_start_matches(BLANK);
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            quoted.split_once('"').ok_or(FormatError::Malformed)?
        } else {
            after.split_at(after.find(';').unwrap_or(after.len()))
        };
        if name.eq_ignore_ascii_case("charset") {
            // SECURITY: two charsets would let two readers disagree.
            if seen || !is_ascii_compatible(value.trim_matches(BLANK)) {
                return Err(FormatError::UnsupportedCharset);
            }
            seen = true;
        }
        // SECURITY: as with the charset; whoever reads the other one cuts elsewhere.
        if name.eq_ignore_ascii_case("boundary") && boundary.replace(value.trim_matches(BLANK)).is_some() {
            return Err(FormatError::Malformed);
        }
        rest = after;
    }
}

/// Charsets (WHATWG labels) in which every byte below 0x80 is the ASCII character, wherever it stands.
fn is_ascii_compatible(charset: &str) -> bool {
    const LABELS: [&str; 10] = [
        "utf-8",
        "utf8",
        "us-ascii",
        "ascii",
        "iso-8859-1",
        "iso8859-1",
        "latin1",
        "windows-1252",
        "cp1252",
        "l1",
    ];
    LABELS.iter().any(|label| label.eq_ignore_ascii_case(charset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_and_charsets_decide() {
        for (value, expected) in [
            ("application/json", Ok(Format::Json)),
            ("Application/JSON ; Charset=UTF-8", Ok(Format::Json)),
            ("application/json; charset=\"utf-8\"; profile=\"a;b\"", Ok(Format::Json)),
            ("application/problem+json", Ok(Format::Json)),
            ("application/x-ndjson", Ok(Format::Lines)),
            ("application/json; charset=latin1", Ok(Format::Json)),
            ("application/json;", Ok(Format::Json)),
            ("application/x-protobuf", Ok(Format::Protobuf)),
            ("application/vnd.amazon.eventstream", Ok(Format::EventStream)),
            ("application/protobuf; proto=x", Ok(Format::Protobuf)),
            ("application/grpc", Ok(Format::Grpc)),
            ("application/grpc+proto", Ok(Format::Grpc)),
            ("application/grpc-web", Err(FormatError::UnknownType)),
            ("application/grpc+json", Err(FormatError::UnknownType)),
            ("application/grpc+thrift", Err(FormatError::UnknownType)),
            ("text/event-stream; charset=utf-8", Ok(Format::Sse)),
            ("text/event-stream;charset=windows-1252", Ok(Format::Sse)),
            ("application/json; charset=utf-16", Err(FormatError::UnsupportedCharset)),
            ("application/json; charset=utf-7", Err(FormatError::UnsupportedCharset)),
            ("application/json; charset=shift_jis", Err(FormatError::UnsupportedCharset)),
            ("application/json; charset=utf-8; charset=utf-16le", Err(FormatError::UnsupportedCharset)),
            ("application/json; charset=", Err(FormatError::UnsupportedCharset)),
            ("application/json; charset", Err(FormatError::Malformed)),
            ("application/json; charset=\"utf-8", Err(FormatError::Malformed)),
            ("json", Err(FormatError::Malformed)),
            ("application/json, text/html", Err(FormatError::Malformed)),
            ("", Err(FormatError::Malformed)),
            ("text/plain", Ok(Format::Text)),
            ("text/csv; header=present; charset=utf-8", Ok(Format::Text)),
            ("application/xml", Ok(Format::Text)),
            ("application/x-www-form-urlencoded; charset=UTF-8", Ok(Format::Form)),
            ("image/svg+xml", Ok(Format::Text)),
            ("text/plain; charset=utf-16", Err(FormatError::UnsupportedCharset)),
            ("text/vcard", Err(FormatError::UnknownType)),
            ("multipart/related; boundary=a", Err(FormatError::UnknownType)),
            ("multipart/form-data", Err(FormatError::Malformed)),
            ("multipart/form-data; boundary=\"a", Err(FormatError::Malformed)),
            ("multipart/form-data; boundary=a; boundary=b", Err(FormatError::Malformed)),
            ("multipart/form-data; boundary=a*b", Err(FormatError::Malformed)),
            ("message/rfc822", Err(FormatError::UnknownType)),
            ("application/octet-stream", Err(FormatError::UnknownType)),
        ] {
            assert_eq!(Format::of(value.as_bytes()), expected, "{value}");
        }
        let boundary = Boundary::new(b"a b").unwrap();
        for (value, form) in [("form-data", true), ("mixed", false)] {
            let value = format!("Multipart/{value}; BOUNDARY=\"a b\"");
            assert_eq!(Format::of(value.as_bytes()), Ok(Format::Multipart { form, boundary }));
        }
        assert_eq!(Format::of(b"application/json\xFF"), Err(FormatError::Malformed));
    }
}
