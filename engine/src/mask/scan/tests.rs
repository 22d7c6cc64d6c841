//! Tests of the scan's surface; its exactness is checked against an oracle in `tests/scan_oracle.rs`.

use super::*;
use crate::compile::{Near, Pattern, build};
use crate::policy::id::DetectorId;
use crate::policy::model::Validator;

const CARD: DetectorId = DetectorId(0);
const KEY: DetectorId = DetectorId(1);
const MAIL: DetectorId = DetectorId(2);

fn set() -> DetectorSet {
    set_with(|automaton| automaton)
}

/// The same set, after every automaton was changed.
fn set_with(change: impl Fn(Automaton) -> Automaton) -> DetectorSet {
    let list = [
        (r"\b[0-9]{4}(?:[ -]?[0-9]){8,15}\b", Some(Validator::Luhn)),
        (r"\bkey-[a-z0-9]{4,}", None),
        (r"[a-z.]{1,8}@[a-z]{2,8}\b", None),
    ];
    let numbered = list.into_iter().zip(0..);
    let patterns: Vec<Pattern> = numbered
        .map(|((regex, validator), id)| Pattern {
            detector: DetectorId(id),
            regex: regex.into(),
            validator,
            ..Pattern::default()
        })
        .collect();
    let validators = patterns.iter().map(|pattern| pattern.validator).collect();
    let automata = build(&patterns, 512).unwrap().automata.into_iter().map(change).collect();
    DetectorSet::with_validators(automata, validators).unwrap()
}

fn spans(scan: &mut Scan) -> Vec<(u64, u64, Vec<DetectorId>)> {
    std::iter::from_fn(|| scan.pop_span())
        .map(|span| (span.start, span.end, span.detectors.iter().collect()))
        .collect()
}

#[test]
fn text_is_decided_as_it_comes() {
    let set = set();
    let all = set.all();
    let mut scan = Scan::new();
    let mut state = |text: &str| {
        scan.feed(&set, &all, text.as_bytes());
        (scan.decided(), scan.open_span(), spans(&mut scan))
    };
    assert_eq!(state("use "), (4, None, vec![]));
    assert_eq!(state("key"), (4, None, vec![]), "may become a key");
    assert_eq!(state("-ab1"), (4, None, vec![]), "four bytes, but the next is not known");
    assert_eq!(state("2"), (4, None, vec![]), "reports come one byte late");
    assert_eq!(state("3"), (12, Some(4), vec![]), "covered, and may go on");
    assert_eq!(state(" "), (14, None, vec![(4, 13, vec![KEY])]));
    assert_eq!(state("jo.do"), (14, None, vec![]), "may become a mail address");
    assert_eq!(state("!"), (20, None, vec![]));
}

#[test]
fn overlapping_matches_are_one_span_and_neighbours_are_two() {
    let set = set();
    let mut scan = Scan::new();
    scan.feed(&set, &set.all(), b"4111-1111-1111-1111@ab key-abcd@cd,ab@cd");
    scan.finish(&set, &set.all());
    let found = spans(&mut scan);
    assert_eq!(found, [(0, 19, vec![CARD]), (23, 34, vec![KEY, MAIL]), (35, 40, vec![MAIL])]);
    assert_eq!((scan.decided(), scan.open_span()), (40, None));
}

#[test]
fn only_active_detectors_count_and_hold() {
    let set = set();
    let active: DetectorBits = [KEY].into_iter().collect();
    let mut scan = Scan::new();
    scan.feed(&set, &active, b"4111 1111 1111 1111 jo@do 4111 mail");
    assert_eq!(scan.decided(), scan.position(), "neither a card nor a mail address can hold text");
    scan.feed(&set, &active, b" key-abcd@ef");
    scan.finish(&set, &active);
    assert_eq!(spans(&mut scan), [(36, 44, vec![KEY])]);
    let none = DetectorBits::new();
    scan.reset();
    scan.feed(&set, &none, b"key-abcd");
    assert_eq!((scan.decided(), scan.pop_span()), (8, None));
}

#[test]
fn a_reset_scan_is_new() {
    let set = set();
    let all = set.all();
    let mut scan = Scan::new();
    assert_eq!(scan.held(), 0);
    for text in ["key-abcd jo@do 4111 1111 1111", "key-abcd", "some.loc", "word", "4"] {
        scan.feed(&set, &all, text.as_bytes());
        scan.reset();
        assert_eq!((scan.position(), scan.decided(), scan.open_span()), (0, 0, None));
        scan.feed(&set, &all, b"@do key-abcd");
        scan.finish(&set, &all);
        assert_eq!(spans(&mut scan), [(4, 12, vec![KEY])], "nothing of the old text counts");
        scan.reset();
    }
}

#[test]
fn what_is_held_is_bounded_and_let_go() {
    let set = set();
    let all = set.all();
    let mut scan = Scan::new();
    for _ in 0..1000 {
        for part in ["4111 ", "1", "111 1111 111", "1 jo", "@do", " key-", "abcdefgh "] {
            scan.feed(&set, &all, part.as_bytes());
            assert!(scan.tail.len() <= MAX_VALIDATED, "{} bytes of text", scan.tail.len());
            while scan.pop_span().is_some() {}
            assert!(scan.held() < 4096, "{} bytes", scan.held());
        }
    }
    scan.feed(&set, &all, "jo@do,".repeat(10_000).as_bytes());
    assert_eq!(spans(&mut scan).len(), 10_000);
    assert!(scan.held() < 4096, "{} bytes after many spans", scan.held());
}

#[test]
fn a_text_that_goes_on_after_its_end_is_refused() {
    let set = set();
    let all = set.all();
    let mut scan = Scan::new();
    scan.feed(&set, &all, b"key-ab");
    scan.finish(&set, &all);
    scan.finish(&set, &all);
    scan.feed(&set, &all, b"");
    assert!(!scan.overflowed(), "nothing came after the end");
    scan.feed(&set, &all, b"cd");
    assert!(scan.overflowed());
    assert_eq!(scan.decided(), 6, "what came is not decided");
}

#[test]
fn debug_shows_no_text() {
    let set = set();
    let mut scan = Scan::new();
    scan.feed(&set, &set.all(), b"4111 1111 1111 1");
    let printed = format!("{scan:?}");
    assert!(
        printed.contains("tail: 16") && !printed.contains("4111") && !printed.contains("49"),
        "{printed}"
    );
}

/// Which bucket of the filter a way to begin goes to is a hint of the artifact: none changes what is found, or when.
#[test]
fn any_hint_for_the_filter_gives_the_same_scan() {
    let text = b"use key-ab12, ab@cd and 4111-1111-1111-1111; not 4111-1111-1111-1112 nor xkey-abcd.ab@cdef!";
    let usual = set();
    let hints: [fn(usize) -> Vec<u8>; 4] = [
        |_| Vec::new(),
        |_| vec![7; 3],
        |count| vec![255; count + 9],
        |count| (0..=200).take(count).collect(),
    ];
    for hint in hints {
        let other = set_with(|automaton| {
            let count = automaton.buckets().len();
            assert!(count > 0, "the compiler gives hints");
            automaton.with_buckets(hint(count))
        });
        for size in [1, 3, 16, text.len()] {
            let (mut scan, mut hinted) = (Scan::new(), Scan::new());
            for piece in text.chunks(size) {
                scan.feed(&usual, &usual.all(), piece);
                hinted.feed(&other, &other.all(), piece);
                assert_eq!(format!("{scan:?}"), format!("{hinted:?}"), "pieces of {size}");
            }
            scan.finish(&usual, &usual.all());
            hinted.finish(&other, &other.all());
            let found = spans(&mut scan);
            assert_eq!((found.len(), &found), (4, &spans(&mut hinted)), "pieces of {size}");
        }
    }
}

/// A text that is told to be clear at a glance has no match, whatever opens or ends it; and most that have none are told.
#[test]
fn what_is_clear_at_a_glance_has_no_match() {
    let near = Near { words: vec!["ssn".into(), "tax id".into()], within: 12 };
    let patterns: Vec<Pattern> = [
        (r"\b[0-9]{4}(?:[ -]?[0-9]){4,15}\b", None, None),
        (r"\bkey-[a-z0-9]{4,}", None, None),
        (r"[a-z.]{1,8}@[a-z]{2,8}\b", None, None),
        (r"[a-z0-9]{4}", Some("(?i)pass(?:word)?[=:]"), None),
        (r"\b[0-9]{3}-[0-9]{2}\b", None, Some(near)),
        ("ab", None, None),
    ]
    .into_iter()
    .zip(0..)
    .map(|((regex, prefix, near), id)| Pattern {
        detector: DetectorId(id),
        regex: regex.into(),
        validator: None,
        prefix: prefix.map(str::to_owned),
        near,
    })
    .collect();
    let set = DetectorSet::with_validators(build(&patterns, 512).unwrap().automata, vec![None; 6]).unwrap();
    let stepped = set.clone().unfiltered();
    let pieces = [
        "key-",
        "ab1",
        "a",
        "b",
        "2",
        "jo",
        "@x",
        "io",
        ".",
        " ",
        "4111",
        "-11",
        "SSN",
        "tax id",
        "123-45",
        "pass=",
        "Password:",
        "_",
        "\u{e9}",
        "wxyz",
        "the",
        "-",
    ];
    let (mut seed, mut found_none, mut clear) = (7u32, 0, 0);
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..seed % 7 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(pieces[usize::try_from(seed >> 16).unwrap() % pieces.len()]);
        }
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) ^ 1;
        let mut scan = Scan::new();
        scan.feed(&stepped, &stepped.all(), text.as_bytes());
        scan.finish(&stepped, &stepped.all());
        let nothing = spans(&mut scan).is_empty();
        let told = set.is_clear(text.as_bytes());
        assert!(nothing || !told, "{text:?} is not clear");
        assert!(told || !stepped.is_clear(text.as_bytes()), "{text:?}: the filter only tells of more");
        found_none += u32::from(nothing);
        clear += u32::from(told);
    }
    assert!(clear > 5_000 && clear * 10 > found_none * 7, "{clear} of {found_none}");
}
