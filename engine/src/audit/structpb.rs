//! JSON values as `google.protobuf.Struct` (protobuf well-known types), in wire format.
//!
//! Envoy logs a typed filter state object of this message as nested JSON. Only an encoder for values of our own making: numbers
//! become doubles, as `Struct` has no others.

use serde_json::{Map, Value};

/// Length-delimited field of the given number.
const fn delimited(field: u8) -> u8 {
    field << 3 | 2
}

const FIELDS: u8 = delimited(1);
const KEY: u8 = delimited(1);
const VALUE: u8 = delimited(2);
const NULL: u8 = 1 << 3;
const NUMBER: u8 = 2 << 3 | 1;
const STRING: u8 = delimited(3);
const BOOL: u8 = 4 << 3;
const STRUCT: u8 = delimited(5);
const LIST: u8 = delimited(6);
const ITEM: u8 = delimited(1);

/// Bytes of an event without findings, so that most are written without growing.
const USUAL: usize = 1024;

/// The `Struct` of a JSON object; of anything else the empty one.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL);
    if let Some(map) = value.as_object() {
        write_map(map, &mut out);
    }
    out
}

fn write_map(map: &Map<String, Value>, out: &mut Vec<u8>) {
    for (key, value) in map {
        out.push(FIELDS);
        let entry = out.len();
        put(out, KEY, key.as_bytes());
        write_nested(VALUE, value, out);
        close(out, entry);
    }
}

fn write_nested(tag: u8, value: &Value, out: &mut Vec<u8>) {
    out.push(tag);
    let start = out.len();
    write_value(value, out);
    close(out, start);
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(&[NULL, 0]),
        Value::Bool(value) => out.extend_from_slice(&[BOOL, u8::from(*value)]),
        Value::Number(number) => {
            out.push(NUMBER);
            out.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
        }
        Value::String(text) => put(out, STRING, text.as_bytes()),
        Value::Object(map) => {
            out.push(STRUCT);
            let start = out.len();
            write_map(map, out);
            close(out, start);
        }
        Value::Array(items) => {
            out.push(LIST);
            let start = out.len();
            for item in items {
                write_nested(ITEM, item, out);
            }
            close(out, start);
        }
    }
}

fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    let start = out.len();
    out.extend_from_slice(bytes);
    close(out, start);
}

/// Puts the length of what was written since `start` in front of it.
fn close(out: &mut Vec<u8>, start: usize) {
    let mut length = out.len() - start;
    let mut at = start;
    loop {
        // Seven bits at a time; the value was reduced to them.
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        let more = if length == 0 { 0 } else { 0x80 };
        out.insert(at, low | more);
        if length == 0 {
            return;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_has_its_bytes() {
        // Checked by hand against struct.proto: fields = 1 {key = 1, value = 2 {...}}.
        assert_eq!(encode(&json!({"a": "b"})), [0x0a, 8, 0x0a, 1, b'a', 0x12, 3, 0x1a, 1, b'b']);
        assert_eq!(encode(&json!({"a": true})), [0x0a, 7, 0x0a, 1, b'a', 0x12, 2, 0x20, 1]);
        assert_eq!(encode(&json!({"a": null})), [0x0a, 7, 0x0a, 1, b'a', 0x12, 2, 0x08, 0]);
        assert_eq!(encode(&json!({"a": 1}))[..7], [0x0a, 14, 0x0a, 1, b'a', 0x12, 9]);
        assert_eq!(encode(&json!({"a": []})), [0x0a, 7, 0x0a, 1, b'a', 0x12, 2, 0x32, 0]);
        assert_eq!(encode(&json!({"a": {}})), [0x0a, 7, 0x0a, 1, b'a', 0x12, 2, 0x2a, 0]);
        assert!(encode(&json!([1])).is_empty());
    }

    #[test]
    fn long_strings_have_long_lengths() {
        let bytes = encode(&json!({"a": "x".repeat(300)}));
        // value { string_value: 300 bytes }: tag, varint 0xac 0x02.
        assert!(bytes.windows(3).any(|w| w == [0x1a, 0xac, 0x02]));
    }
}
