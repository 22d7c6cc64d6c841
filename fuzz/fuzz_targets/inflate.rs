//! Content codings: a body in gzip or deflate is masked as its content is, however it is cut, and no other body is accepted;
//! nor is one out of which more comes than the ratio allows. What is in it says a reader of its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miniz_oxide::deflate::compress_to_vec;
use veilwire_engine::format::{Coding, Format};
use veilwire_engine::mask::MaskError;
use veilwire_fuzz::inflate::{Broken, Writer, open, wrapped};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, Reader, run};
use veilwire_fuzz::planted::plant;
use veilwire_fuzz::policies::FULL;

/// What may come out of any body.
const ALLOWANCE: usize = 256 * 1024;
const MAX_BLOCKS: usize = 8;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let kind = input.byte();
    let coding = input.pick(&[Coding::Gzip, Coding::Deflate]);
    let format = input.pick(&[Format::Text, Format::Json, Format::Sse, Format::Form]);
    let cuts = [usize::from(input.word()), usize::from(input.word())];
    let body = match kind % 4 {
        0 => input.rest().to_vec(),
        1 => {
            let (style, level) = (input.byte(), input.byte() % 10);
            let end = damage(&mut input);
            let content = plant(input.rest()).body;
            end.done_to(wrapped(coding, &content, compress_to_vec(&content, level), style))
        }
        _ => {
            let style = input.byte();
            let end = damage(&mut input);
            let (data, content) = blocks(&mut input);
            end.done_to(wrapped(coding, &content, data, style))
        }
    };
    check(coding, format, &body, cuts);
});

fn check(coding: Coding, format: Format, body: &[u8], cuts: [usize; 2]) {
    let case = Case::response("chat");
    let reader = Reader { plan: &case.plan, format, coding: Some(coding) };
    let outcome = reader.run_every_way(body, cuts);
    let content = match open(coding, body) {
        Ok(content) => content,
        Err(Broken::Truncated | Broken::Trailing) => {
            assert!(!outcome.accepted(), "accepted, and it has another end");
            return;
        }
        // What is damaged may still be read in one way only, and is put out without its coding.
        Err(Broken::Damaged) => return,
    };
    let ratio = usize::try_from(FULL.model().limits.inflate_ratio).expect("32 bits fit");
    if content.len() > ALLOWANCE + ratio * body.len() {
        assert!(!outcome.accepted(), "more came out than the ratio allows");
        return;
    }
    if outcome.result == Err(MaskError::InflateRatio) {
        assert!(content.len() > ALLOWANCE, "refused for a ratio that it does not have");
        return;
    }
    let expected = run(&case.plan, format, [content.as_slice()]);
    assert_eq!(expected.result, outcome.result, "encoded, another verdict");
    assert!(expected.result.is_err() || expected.out == outcome.out, "encoded, another output");
}

/// What happens to the end of a body.
enum End {
    Nothing,
    Cut(usize),
    More(Vec<u8>),
    Flip(usize),
}

fn damage(input: &mut Input<'_>) -> End {
    let choice = input.byte();
    let place = usize::from(input.byte());
    match choice {
        0xF0..0xF6 => End::Cut(place),
        0xF6..0xFA => End::More(input.take(1 + place % 4).to_vec()),
        0xFA.. => End::Flip(place),
        _ => End::Nothing,
    }
}

impl End {
    fn done_to(self, mut body: Vec<u8>) -> Vec<u8> {
        match self {
            End::Nothing => {}
            End::Cut(count) => body.truncate(body.len().saturating_sub(count)),
            End::More(bytes) => body.extend(bytes),
            End::Flip(place) => {
                let length = body.len().max(1);
                if let Some(byte) = body.get_mut(place % length) {
                    *byte ^= 0x40;
                }
            }
        }
        body
    }
}

/// Blocks as the input says, seldom with much in them: compressed content and what it stands for.
fn blocks(input: &mut Input<'_>) -> (Vec<u8>, Vec<u8>) {
    let mut writer = Writer::default();
    for _ in 0..MAX_BLOCKS {
        if input.is_empty() {
            break;
        }
        let kind = input.byte();
        let length = usize::from(input.byte() % 64);
        let text = plant(input.take(length)).body;
        match kind {
            0..0x40 => writer.stored(&text),
            0xFF => {
                let length = 3 + usize::from(input.byte());
                writer.fixed(&text, 4 * usize::from(input.byte()), length, usize::from(input.byte()));
            }
            _ => {
                let (length, distance) = (usize::from(input.byte()), usize::from(input.word()));
                writer.fixed(&text, usize::from(kind % 4), length, distance);
            }
        }
    }
    writer.finish()
}
