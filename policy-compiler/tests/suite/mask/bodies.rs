//! One body of every format, with values in it, and what comes out.

use super::{EMAIL, KEY, SSN};

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) arguments: &'static [&'static str],
    pub(super) body: Vec<u8>,
    pub(super) masked: Vec<u8>,
    pub(super) format: &'static str,
}

/// One body of every family of content types, with what must come out.
pub(super) fn cases() -> Vec<Case> {
    let case = |name, arguments, format, body: String, masked: String| Case {
        name,
        arguments,
        body: body.into_bytes(),
        masked: masked.into_bytes(),
        format,
    };
    let sse = |pieces: &[&str]| -> String {
        let event = |text: &&str| {
            format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
            )
        };
        let events: String = pieces.iter().map(event).collect();
        format!(
            "{events}data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
        )
    };
    let part = |text: &str| {
        format!("--cut\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n{text}\r\n--cut--\r\n")
    };
    let frames = |text: &str| {
        let document = format!("{{\"type\":\"message_start\",\"message\":{{\"note\":\"{text}\"}}}}");
        frame(format!("{{\"bytes\":\"{}\"}}", base64(document.as_bytes())).as_bytes())
    };
    let document = |mail: &str, owner: &str| format!("{{\"a\": \"to {mail}\",\r\n \"owner\": {owner}}}");
    let masked_document = document("[EMAIL]", "\"[CONTACT]\"");
    vec![
        case(
            "json",
            &["--route", "items", "--direction", "request"],
            "json",
            document(EMAIL, "[4, 7]"),
            masked_document.clone(),
        ),
        Case {
            name: "gzip",
            arguments: &["--route", "items", "--direction", "response", "--content-encoding", "gzip"],
            body: gzip(document(EMAIL, "[4, 7]").as_bytes()),
            masked: masked_document.into_bytes(),
            format: "json",
        },
        case(
            "lines",
            &["--route", "items", "--direction", "response", "--content-type", "application/x-ndjson"],
            "lines",
            format!("{{\"a\":\"{EMAIL}\"}}\n{{\"b\":\"{KEY}\"}}\n"),
            "{\"a\":\"[EMAIL]\"}\n{\"b\":\"[SECRET]\"}\n".to_owned(),
        ),
        case(
            "sse",
            &["--route", "chat", "--direction", "response", "--content-type", "text/event-stream"],
            "sse",
            sse(&["mail ada.lov", "elace@exam", "ple.com. ", "Then. "]),
            sse(&["mail ", "", "[EMAIL]. ", "Then. "]),
        ),
        case(
            "text",
            &["--route", "items", "--direction", "response", "--content-type", "text/csv"],
            "text",
            format!("name;mail\nAda;{EMAIL}\n"),
            "name;mail\nAda;[EMAIL]\n".to_owned(),
        ),
        case(
            "form",
            &[
                "--route",
                "items",
                "--direction",
                "request",
                "--content-type",
                "application/x-www-form-urlencoded",
            ],
            "form",
            format!("id=7&mail={}&q=a+b", EMAIL.replace('@', "%40")),
            "id=7&mail=%5BEMAIL%5D&q=a+b".to_owned(),
        ),
        case(
            "multipart",
            &[
                "--route",
                "items",
                "--direction",
                "request",
                "--content-type",
                "multipart/form-data; boundary=cut",
            ],
            "multipart",
            part(&format!("ssn {SSN}")),
            part("ssn [ID]"),
        ),
        Case {
            name: "protobuf",
            arguments: &[
                "--route",
                "traces",
                "--direction",
                "request",
                "--content-type",
                "application/x-protobuf",
            ],
            body: spans(EMAIL),
            masked: spans("[EMAIL]"),
            format: "protobuf",
        },
        Case {
            name: "grpc",
            arguments: &["--route", "traces", "--direction", "request", "--content-type", "application/grpc"],
            body: [message(&spans(EMAIL)), message(&spans("quiet"))].concat(),
            masked: [message(&spans("[EMAIL]")), message(&spans("quiet"))].concat(),
            format: "grpc",
        },
        Case {
            name: "eventstream",
            arguments: &[
                "--route",
                "invoke",
                "--direction",
                "response",
                "--content-type",
                "application/vnd.amazon.eventstream",
            ],
            body: frames(&format!("to {EMAIL}")),
            masked: frames("to [EMAIL]"),
            format: "eventstream",
        },
    ]
}

/// A span of this name, in OTLP.
fn spans(name: &str) -> Vec<u8> {
    let span = [sized(1, &[0xAB; 16]), sized(2, &[0xCD; 8]), sized(5, name.as_bytes())].concat();
    sized(1, &sized(2, &sized(2, &span)))
}

fn sized(number: u8, body: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(body.len()).unwrap()], body].concat()
}

/// A message of gRPC.
fn message(body: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

/// A frame of an event stream of AWS, without headers.
fn frame(payload: &[u8]) -> Vec<u8> {
    let total = u32::try_from(16 + payload.len()).unwrap();
    let mut frame = [total.to_be_bytes(), [0; 4]].concat();
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend_from_slice(payload);
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

/// RFC 1952 around a stored block of RFC 1951.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let mut out = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend_from_slice(bytes);
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
