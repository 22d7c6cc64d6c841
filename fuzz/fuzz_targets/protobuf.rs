//! Traces, logs and metrics as protobuf and in frames of gRPC: the same output however they are cut, the same bytes without findings, fields of
//! the same numbers in the same order, and no piece of a planted value in any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miniz_oxide::deflate::compress_to_vec_zlib;
use veilwire_engine::decision::Direction;
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskError;
use veilwire_engine::policy::model::Schema;
use veilwire_fuzz::inflate::gzip;
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, run_every_way};
use veilwire_fuzz::planted::{Planted, plant};
use veilwire_fuzz::policies::FORMATS_MODEL;
use veilwire_fuzz::wire::{push_sized, push_tag, push_varint, read};

const MAX_FIELDS: usize = 8;
const MAX_DEPTH: usize = 8;
const MAX_MESSAGES: usize = 4;
/// Routes and their contents.
const SIGNALS: [(&str, &str); 3] =
    [("traces", "otel.traces"), ("logs", "otel.logs"), ("metrics", "otel.metrics")];
/// A number that no message of the schema has.
const UNKNOWN: u32 = 77;
/// The longest id that is taken for one.
const ID: usize = 16;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let choice = input.byte();
    let direction = if choice & 4 == 0 { Direction::Request } else { Direction::Response };
    let (route, content) = SIGNALS[usize::from(choice >> 3) % SIGNALS.len()];
    let case = Case::of(route, direction);
    let cuts = [usize::from(input.word()), usize::from(input.word())];
    let schema = Messages(schema(content));
    let root: &'static str = if choice & 4 == 0 { &schema.0.request } else { &schema.0.response };
    let stream = Stream { case, cuts, schema, root };
    match choice & 3 {
        // A value that is planted changes a length.
        0 => stream.one(&Planted::nothing_in(input.rest().to_vec())),
        1 => {
            let mut maker = Maker::of(schema);
            let message = maker.message(root, MAX_DEPTH, &mut input);
            let mut planted = maker.planted();
            planted.body = message;
            stream.one(&planted);
        }
        _ => stream.many(choice & 1 == 0, input),
    }
});

fn schema(name: &str) -> &'static Schema {
    let content = FORMATS_MODEL.contents.iter().find(|content| content.name == name);
    content.and_then(|content| content.protobuf.as_ref()).expect("the pack has it")
}

/// What messages of a content are.
#[derive(Clone, Copy)]
struct Messages(&'static Schema);

struct Stream {
    case: Case,
    cuts: [usize; 2],
    schema: Messages,
    /// What every message is.
    root: &'static str,
}

impl Stream {
    fn one(&self, planted: &Planted) {
        let outcome = run_every_way(&self.case.plan, Format::Protobuf, &planted.body, self.cuts);
        check_verdict(&outcome.result, self.schema.is_valid(&planted.body, self.root));
        let Ok(findings) = &outcome.result else { return };
        assert!(!findings.is_empty() || outcome.out == planted.body, "changed without a finding");
        planted.check_masked(&self.schema.texts(&outcome.out, Some(self.root)));
        self.schema.check_fields(&planted.body, &outcome.out, Some(self.root));
    }

    fn many(&self, raw: bool, mut input: Input<'_>) {
        let (mut body, mut messages, mut compressed) = (Vec::new(), Vec::new(), false);
        let mut maker = Maker::of(self.schema);
        for _ in 0..MAX_MESSAGES {
            if input.is_empty() {
                break;
            }
            let style = input.byte();
            let message = if raw {
                input.take(usize::from(style)).to_vec()
            } else {
                maker.message(self.root, MAX_DEPTH, &mut input)
            };
            let (flag, written) = match style % 8 {
                0 => (1, gzip(&message)),
                1 => (1, compress_to_vec_zlib(&message, 6)),
                _ => (0, message.clone()),
            };
            compressed |= flag == 1;
            body.push(flag);
            body.extend(u32::try_from(written.len()).expect("inputs are short").to_be_bytes());
            body.extend(written);
            messages.push(message);
        }
        // What is left is a message that is cut, or no frame at all.
        let damaged = raw && !input.is_empty();
        body.extend_from_slice(if damaged { input.rest() } else { b"" });
        let outcome = run_every_way(&self.case.plan, Format::Grpc, &body, self.cuts);
        if !damaged {
            check_verdict(
                &outcome.result,
                messages.iter().all(|message| self.schema.is_valid(message, self.root)),
            );
        }
        let Ok(findings) = &outcome.result else { return };
        let same = outcome.out == body || compressed || damaged;
        assert!(same || !findings.is_empty(), "changed without a finding");
        let planted = maker.planted();
        let mut rest = outcome.out.as_slice();
        for message in &messages {
            let (&[flag, a, b, c, d], after) = rest.split_first_chunk::<5>().expect("a prefix");
            assert_eq!(flag, 0, "a message is still compressed");
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).expect("32 bits fit");
            let (found, after) = after.split_at_checked(length).expect("a message of its length");
            planted.check_masked(&self.schema.texts(found, Some(self.root)));
            self.schema.check_fields(message, found, Some(self.root));
            rest = after;
        }
        assert!(damaged || rest.is_empty(), "more than was sent");
    }
}

fn check_verdict<T>(result: &Result<T, MaskError>, valid: bool) {
    match result {
        Ok(_) => assert!(valid, "accepted, and malformed"),
        Err(MaskError::InvalidFrame) => assert!(!valid, "refused as malformed, and it is not"),
        Err(_) => {}
    }
}

impl Messages {
    /// What a message of the schema has in this field.
    fn kind(self, message: Option<&str>, number: u32) -> Option<&'static str> {
        let fields = self.0.messages.get(message?)?;
        let field = fields.iter().find(|field| field.number == number)?;
        Some(field.kind.trim_end_matches("[]"))
    }

    fn is_message(self, kind: Option<&str>) -> bool {
        kind.is_some_and(|kind| self.0.messages.contains_key(kind))
    }

    fn is_valid(self, message: &[u8], name: &str) -> bool {
        let Some(fields) = read(message) else { return false };
        let mut groups = 0_i32;
        fields.iter().all(|field| {
            groups += i32::from(field.wire == 3) - i32::from(field.wire == 4);
            let kind = self.kind(Some(name), field.number).filter(|_| groups == 0 && field.wire == 2);
            match kind {
                Some(kind) if self.is_message(Some(kind)) => self.is_valid(field.body, kind),
                _ => true,
            }
        })
    }

    /// What the fields hold, without tags and lengths: a length may be the digit that a piece of a value lacks.
    fn texts(self, message: &[u8], name: Option<&str>) -> Vec<u8> {
        let (mut out, mut groups) = (Vec::new(), 0_i32);
        for field in read(message).unwrap_or_default() {
            groups += i32::from(field.wire == 3) - i32::from(field.wire == 4);
            let kind = self.kind(name, field.number).filter(|_| groups == 0);
            match kind {
                _ if field.wire != 2 => out.extend_from_slice(field.whole),
                Some(kind) if self.is_message(Some(kind)) => out.extend(self.texts(field.body, Some(kind))),
                // The maker writes messages into unknown fields as well.
                None if read(field.body).is_some() => out.extend(self.texts(field.body, None)),
                _ => out.extend_from_slice(field.body),
            }
            out.push(0);
        }
        out
    }

    /// The same fields: a text may be another one, and an unknown field may be missing.
    fn check_fields(self, before: &[u8], after: &[u8], name: Option<&str>) {
        let before = read(before).expect("what was accepted is a message");
        let after = read(after).expect("what is put out is a message");
        let (mut after, mut groups) = (after.iter().peekable(), 0_i32);
        for field in &before {
            groups += i32::from(field.wire == 3) - i32::from(field.wire == 4);
            let kind = self.kind(name, field.number).filter(|_| groups == 0 && field.wire == 2);
            let next = after.next_if(|next| match kind {
                Some("text") => (next.number, next.wire) == (field.number, 2),
                Some(kind) if self.is_message(Some(kind)) => (next.number, next.wire) == (field.number, 2),
                _ => next.whole == field.whole,
            });
            match (kind, next) {
                (Some(kind), Some(next)) if self.is_message(Some(kind)) => {
                    self.check_fields(field.body, next.body, Some(kind));
                }
                (Some("number" | "id"), None) => {}
                (Some(_), None) => panic!("a known field is missing"),
                (None, None) => assert!(field.wire == 2, "a number is missing"),
                (_, Some(_)) => {}
            }
        }
        assert!(after.next().is_none(), "a field that was not there");
    }
}

/// Makes messages of the schema.
struct Maker {
    schema: Messages,
    planted: Planted,
    /// There are bytes that may hide what follows them in a number or an id.
    raw: bool,
}

impl Maker {
    fn of(schema: Messages) -> Maker {
        Maker { schema, planted: Planted::default(), raw: false }
    }

    /// What must not be seen.
    fn planted(self) -> Planted {
        if self.raw { Planted::default() } else { self.planted }
    }

    /// With unknown fields, groups and numbers that are longer than they need be.
    fn message(&mut self, name: &str, depth: usize, input: &mut Input<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let fields = &self.schema.0.messages[name];
        for _ in 0..1 + usize::from(input.byte()) % MAX_FIELDS {
            if input.is_empty() {
                break;
            }
            let choice = input.byte();
            let padding = usize::from(choice >> 6);
            let field = &fields[usize::from(input.byte()) % fields.len()];
            let kind = field.kind.trim_end_matches("[]");
            match choice % 16 {
                0 => push_sized(UNKNOWN, padding, &self.text(input), &mut out),
                1 if depth > 0 => {
                    let inner = self.message(name, depth - 1, input);
                    push_sized(UNKNOWN, padding, &inner, &mut out);
                }
                2 if depth > 0 => {
                    push_tag(UNKNOWN, 3, &mut out);
                    out.extend(self.message(name, depth - 1, input));
                    push_tag(UNKNOWN, 4, &mut out);
                }
                3 => {
                    // A known field in another wire type.
                    let (wire, size) = input.pick(&[(0, 1), (1, 8), (5, 4)]);
                    push_tag(field.number, wire, &mut out);
                    out.extend_from_slice(&b"12345678"[..size]);
                }
                4 => {
                    self.raw = true;
                    let count = usize::from(input.byte() % 8);
                    out.extend_from_slice(input.take(count));
                }
                // Packed numbers may look like anything, so nothing is planted in them.
                5 if field.kind == "number[]" => {
                    let count = usize::from(input.byte() % 32);
                    let numbers = input.take(count);
                    self.planted.note_shown(numbers);
                    push_sized(field.number, padding, numbers, &mut out);
                }
                5 if kind == "number" => push_sized(field.number, padding, &self.text(input), &mut out),
                _ => match kind {
                    "number" => {
                        push_tag(field.number, 0, &mut out);
                        push_varint(u64::from(input.word()), padding, &mut out);
                    }
                    "id" => {
                        let id = input.take(ID);
                        self.planted.note_shown(id);
                        push_sized(field.number, padding, id, &mut out);
                    }
                    "text" => push_sized(field.number, padding, &self.text(input), &mut out),
                    kind if depth > 0 => {
                        let inner = self.message(kind, depth - 1, input);
                        push_sized(field.number, padding, &inner, &mut out);
                    }
                    _ => push_sized(field.number, padding, b"", &mut out),
                },
            }
        }
        out
    }

    fn text(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let length = usize::from(input.byte() % 32);
        let text = plant(input.take(length));
        self.planted.note(&text);
        text.body
    }
}
