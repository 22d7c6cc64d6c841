//! Messages of OpenTelemetry's protocol (opentelemetry-proto, `trace_service.proto`), byte by byte.

/// Field `number` of a protobuf message (length-delimited).
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(content);
    out
}

/// `ExportTraceServiceRequest` with one span of this name.
pub(crate) fn spans(name: &str) -> Vec<u8> {
    field(1, &field(2, &field(2, &field(5, name.as_bytes()))))
}

/// `ExportTraceServiceResponse` with this message.
pub(crate) fn exported(text: &str) -> Vec<u8> {
    field(1, &field(2, text.as_bytes()))
}

/// A message with the prefix of gRPC (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}
