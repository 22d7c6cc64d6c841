//! What must hold for any traffic: work grows with the length of a body and no faster, however hostile it is; the state of
//! a stream stays small however long it is; and hardly any text waits.
//!
//! Nothing here looks at a clock: work is counted in table steps. The benchmarks measure the same bodies by time.
#![cfg(test)]
#![expect(unreachable_pub, reason = "its modules are shared with the benchmarks")]
#![expect(dead_code, reason = "the benchmarks use more of them")]

#[path = "../benches/mask/hold_back.rs"]
mod hold_back;
#[path = "../benches/mask/hostile.rs"]
mod hostile;
#[path = "../benches/mask/packs.rs"]
mod packs;
#[path = "../benches/mask/shapes.rs"]
mod shapes;

use hold_back::HoldBack;
use packs::{Packs, Plans};
use std::path::Path;
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::detector::DetectorSet;
use veilwire_engine::mask::scan::Scan;
use veilwire_engine::mask::{MaskPlan, Masker};

/// Decision: what an exchange holds at rest, whatever its length.
const STATE: usize = 64 * 1024;

/// Steps for a text in pieces of `chunk` bytes.
fn steps(set: &DetectorSet, text: &[u8], chunk: usize) -> u64 {
    let mut scan = Scan::new();
    for part in text.chunks(chunk) {
        scan.feed(set, &set.all(), part);
        while scan.pop_span().is_some() {}
        assert!(scan.held() <= STATE / 4, "{} bytes of state", scan.held());
    }
    scan.finish(set, &set.all());
    assert!(!scan.overflowed());
    scan.steps()
}

/// Decision: `time(2n) <= 2.1 time(n)`, in steps; and never more than so many a byte.
#[test]
fn hostile_texts_take_linear_work() {
    let (packs, wide) = (Packs::new().expect("packs"), Packs::wide().expect("packs"));
    for (set, limit) in [(&packs.set, 12), (&wide.set, 22)] {
        let mut most = (0, "");
        for (name, unit) in hostile::TEXTS {
            for chunk in [usize::MAX, 7] {
                let [once, twice] = [8 * 1024, 16 * 1024]
                    .map(|size: usize| steps(set, unit.repeat(size / unit.len()).as_bytes(), chunk));
                assert!(10 * twice <= 21 * once.max(100), "{name}: {once} steps, then {twice}");
                assert!(twice <= limit * 16 * 1024, "{name}: {twice} steps for 16 KiB");
                most = most.max((twice, name));
            }
        }
        println!("{} detectors: at most {:.1} steps a byte ({})", set.len(), most.0 as f64 / 16384.0, most.1);
    }
}

/// The most that a masker holds after a write of this body in pieces of 4 KiB, and how long its output is.
fn drive(plan: &Arc<MaskPlan>, format: Format, pieces: impl Iterator<Item = Vec<u8>>) -> (usize, usize) {
    let mut masker = Masker::new(Arc::clone(plan), format);
    let (mut out, mut most, mut length) = (Vec::new(), 0, 0);
    for piece in pieces {
        masker.write(&piece, &mut out).expect("accepted");
        most = most.max(masker.held());
        length += out.len();
        out.clear();
    }
    masker.end(&mut out).expect("accepted");
    (most, length + out.len())
}

#[test]
fn hostile_bodies_are_held_by_no_more_than_the_state() {
    let plans = Plans::new().expect("packs");
    for plan in [&plans.plain, &plans.wide] {
        for family in hostile::families() {
            let [once, twice] = [16 * 1024, 32 * 1024].map(|size| {
                let body = family.body(size);
                drive(plan, family.format, body.chunks(4096).map(<[u8]>::to_vec))
            });
            assert!(twice.0 <= STATE, "{}: {} bytes held", family.name, twice.0);
            assert!(twice.0 <= once.0 + 4096, "{}: held {} bytes, then {}", family.name, once.0, twice.0);
        }
    }
}

/// Long streams hold at their end what they held at their begin. The benchmarks do the same with 100 MB.
#[test]
fn a_long_stream_holds_no_more_than_a_short_one() {
    let plans = Plans::new().expect("packs");
    for stream in hostile::Stream::ALL {
        let plan = if stream.format() == Format::Sse { &plans.chat } else { &plans.plain };
        let [short, long] =
            [64 * 1024, 2 * 1024 * 1024].map(|size| drive(plan, stream.format(), stream.pieces(size)));
        assert!(long.0 <= STATE, "{stream:?}: {} bytes held", long.0);
        assert!(long.0 <= short.0 + 1024, "{stream:?}: held {} bytes, then {}", short.0, long.0);
        assert!(long.1 > 1024 * 1024, "{stream:?}: only {} bytes came out", long.1);
    }
}

/// One object, whose members all have names of their own.
#[test]
fn a_million_keys_are_held_one_at_a_time() {
    let plans = Plans::new().expect("packs");
    let members = |count: usize, key: fn(usize) -> String| {
        let begin = std::iter::once(b"{\"first\":0".to_vec());
        let member =
            move |at: usize| (at..at + 1000).map(|at| format!(",\"{}\":1", key(at))).collect::<String>();
        let all = (0..count).step_by(1000).map(move |at| member(at).into_bytes());
        begin.chain(all).chain(std::iter::once(b"}".to_vec()))
    };
    let plain = |at: usize| format!("k{at:x}");
    let (few, many) = (
        drive(&plans.plain, Format::Json, members(10_000, plain)),
        drive(&plans.plain, Format::Json, members(1_000_000, plain)),
    );
    assert!(many.0 <= few.0 + 64, "held {} bytes, then {}", few.0, many.0);
    assert!(many.1 > 9_000_000, "only {} bytes came out", many.1);
    // Names that are masked must be told apart: what that takes is bounded too, and nothing of them leaves.
    let mut masker = Masker::new(Arc::clone(&plans.plain), Format::Json);
    let mut out = Vec::new();
    for piece in members(100_000, |at| format!("u{at}@example.com")) {
        if masker.write(&piece, &mut out).is_err() {
            break;
        }
        assert!(masker.held() <= STATE, "{} bytes held", masker.held());
    }
    assert!(memchr::memmem::find(&out, b"@example").is_none(), "a name came out");
}

/// Decision: with credentials only, at least 99 % of the deltas leave nothing behind; with all default packs, text runs at
/// most one word late.
#[test]
fn recorded_streams_wait_for_a_word_at_most() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recorded");
    let channels = hold_back::channels(&folder).expect("recorded streams");
    let packs = Packs::new().expect("packs");
    for (name, active) in packs.each.iter().chain([&("all", packs.set.all())]) {
        let waits = HoldBack::of(&packs.set, active, &channels);
        println!("{name}: {:.2} % free, mean {:.2}, {waits:?}", waits.free_percent(), waits.mean());
        assert!(waits.deltas > 1_000, "only {} deltas", waits.deltas);
        assert_eq!(waits.late, 0, "{name}: more than a word waits, {waits:?}");
        if *name == "secrets" {
            assert!(waits.free * 100 >= waits.deltas * 99, "{name}: {waits:?}");
        }
    }
}
