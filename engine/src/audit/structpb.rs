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

/// The `Struct` of a JSON object; of anything else the empty one.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    value.as_object().map(encode_map).unwrap_or_default()
}

fn encode_map(map: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in map {
        let mut entry = Vec::new();
        put(&mut entry, KEY, key.as_bytes());
        put(&mut entry, VALUE, &encode_value(value));
        put(&mut out, FIELDS, &entry);
    }
    out
}

fn encode_value(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Null => out.extend_from_slice(&[NULL, 0]),
        Value::Bool(value) => out.extend_from_slice(&[BOOL, u8::from(*value)]),
        Value::Number(number) => {
            out.push(NUMBER);
            out.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
        }
        Value::String(text) => put(&mut out, STRING, text.as_bytes()),
        Value::Object(map) => put(&mut out, STRUCT, &encode_map(map)),
        Value::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                put(&mut list, ITEM, &encode_value(item));
            }
            put(&mut out, LIST, &list);
        }
    }
    out
}

fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    let mut length = bytes.len();
    loop {
        // Seven bits at a time; the value was reduced to them.
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(bytes);
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
