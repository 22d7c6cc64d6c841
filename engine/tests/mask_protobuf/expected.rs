//! The oracle: a simple recursive decoder, which shares no code with the walker, and what a message must become.

use super::varint;
use crate::oracle::{Rules, mask_document, mask_text};
use veilwire_engine::policy::model::Schema;

/// A field, read by the simple decoder: how it is written, number, wire type, body.
struct Read<'m> {
    head: &'m [u8],
    number: u32,
    wire: u8,
    body: &'m [u8],
}

/// The fields of a message that is known to be one.
fn read(message: &[u8]) -> Vec<Read<'_>> {
    let number = |at: &mut usize| -> u64 {
        let mut value = 0;
        for place in 0.. {
            let byte = message[*at];
            *at += 1;
            value |= u64::from(byte & 0x7F) << (7 * place);
            if byte < 0x80 {
                return value;
            }
        }
        panic!("a number without an end")
    };
    let (mut at, mut fields) = (0, Vec::new());
    while at < message.len() {
        let start = at;
        let tag = number(&mut at);
        let wire = (tag & 7) as u8;
        let mut body = at;
        match wire {
            0 => drop(number(&mut at)),
            1 => at += 8,
            5 => at += 4,
            2 => {
                let length = number(&mut at) as usize;
                body = at;
                at += length;
            }
            _ => {}
        }
        let number = (tag >> 3) as u32;
        fields.push(Read { head: &message[start..body], number, wire, body: &message[body..at] });
    }
    fields
}

/// The oracle: what a message must become.
pub(crate) fn expected(message: &[u8], name: &str, schema: &Schema, rules: &Rules) -> Vec<u8> {
    let mut out = Vec::new();
    let mut groups = 0;
    for field in read(message) {
        let known = schema.messages[name].iter().find(|known| known.number == field.number && groups == 0);
        // Only many numbers have a length.
        let known = known.filter(|known| field.wire != 2 || known.kind != "number");
        let kind = known.map(|known| known.kind.trim_end_matches("[]"));
        groups += i32::from(field.wire == 3) - i32::from(field.wire == 4);
        let body = match kind {
            _ if field.wire != 2 => field.body.to_vec(),
            Some("number" | "id") => field.body.to_vec(),
            Some("text") if known.is_some_and(|known| known.name == "stringValue") => {
                expected_string(field.body, rules)
            }
            Some("text") => mask_text(rules, field.body),
            Some(message) => expected(field.body, message, schema, rules),
            None if mask_text(rules, field.body) == field.body => field.body.to_vec(),
            None => continue,
        };
        if field.wire != 2 || body.len() == field.body.len() {
            out.extend_from_slice(field.head);
        } else {
            let tag = field.head.iter().position(|byte| byte & 0x80 == 0).unwrap();
            out.extend_from_slice(&field.head[..=tag]);
            out.extend(varint(body.len() as u64, 0));
        }
        out.extend(body);
    }
    out
}

/// JSON in a string is masked as JSON.
fn expected_string(text: &[u8], rules: &Rules) -> Vec<u8> {
    match serde_json::from_slice::<serde_json::Value>(text) {
        Ok(value) if value.is_object() || value.is_array() => mask_document(&rules.inner(), text),
        _ => mask_text(rules, text),
    }
}
