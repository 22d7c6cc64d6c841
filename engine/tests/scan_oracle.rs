//! The scan against an oracle that shares no code with it: a backtracking-free simulation of the expressions (PikeVM)
//! that tries every start and every end with their true context, applies the validators, and unites what it finds.
//!
//! For every text and every way to cut it: the spans and their detectors are those of the oracle; while the text comes in,
//! every byte that the scan calls decided is covered if and only if the oracle says so (no leak, no false mask); and
//! the first undecided byte is one about which no exact scan could be sure.
//!
//! `VEILWIRE_ORACLE_TEXTS` sets the number of texts per test for long runs; the default takes seconds.
#![cfg(test)]

#[path = "scan_oracle/oracle.rs"]
mod oracle;
#[path = "scan_oracle/texts.rs"]
mod texts;

use oracle::{Oracle, Text};
use texts::Random;
use veilwire_engine::compile::{Built, Near, Pattern, build};
use veilwire_engine::mask::detector::{DetectorBits, DetectorSet};
use veilwire_engine::mask::scan::{Scan, Span};
use veilwire_engine::policy::id::DetectorId;
use veilwire_engine::policy::model::Validator;

const WINDOW: u32 = 512;

/// The shapes that every default policy uses.
fn default_patterns() -> Vec<Pattern> {
    patterns(&[
        (r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}\b", None),
        (r"\b[2-6][0-9]{3}(?:[ -]?[0-9]){8,15}\b", Some(Validator::Luhn)),
        (r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", Some(Validator::UsSsn)),
        (r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", None),
        (r"\bsk-(?:proj-|svcacct-|admin-)[A-Za-z0-9_-]{20,}|\bsk-[A-Za-z0-9]{20,}", None),
        (r"\bsk-ant-[a-z0-9]{3,6}-[A-Za-z0-9_-]{20,}", None),
    ])
}

fn patterns(list: &[(&str, Option<Validator>)]) -> Vec<Pattern> {
    let numbered = list.iter().zip(0..);
    numbered
        .map(|((regex, validator), id)| Pattern {
            detector: DetectorId(id),
            regex: (*regex).into(),
            validator: *validator,
            ..Pattern::default()
        })
        .collect()
}

fn near(words: &[&str], within: u8) -> Option<Near> {
    Some(Near { words: words.iter().map(|&word| word.into()).collect(), within })
}

/// A compiled set and the oracle for the same patterns.
struct Bench {
    set: DetectorSet,
    /// The same set, with every byte stepped.
    unfiltered: DetectorSet,
    oracle: Oracle,
    count: u16,
    is_conditional: bool,
}

impl Bench {
    fn new(patterns: &[Pattern]) -> Bench {
        Bench::try_new(patterns).expect("patterns compile")
    }

    fn try_new(patterns: &[Pattern]) -> Option<Bench> {
        let Built { automata, .. } = build(patterns, WINDOW).ok()?;
        let validators = patterns.iter().map(|pattern| pattern.validator).collect();
        let set = DetectorSet::with_validators(automata, validators).expect("what is built is accepted");
        let unfiltered = set.clone().unfiltered();
        let is_conditional = patterns.iter().any(|pattern| pattern.prefix.is_some());
        let count = patterns.len() as u16;
        Some(Bench { set, unfiltered, oracle: Oracle::new(patterns), count, is_conditional })
    }

    /// Every active set worth trying for one text: all, and now and then a random part.
    fn active(&self, random: &mut Random) -> DetectorBits {
        if random.below(3) > 0 {
            return self.set.all();
        }
        (0..self.count).map(DetectorId).filter(|_| random.below(2) == 0).collect()
    }

    /// One text under many cuts; returns the number of cuts tried.
    fn check(&mut self, case: &str, text: &[u8], random: &mut Random) -> u64 {
        let active = self.active(random);
        let text = self.oracle.examine(text, &active);
        let (mut scan, mut stepped) = (Scan::new(), Scan::new());
        let mut cuttings = vec![vec![], (1..text.bytes.len()).collect()];
        cuttings.push((1..text.bytes.len()).step_by(2 + random.below(7)).collect());
        for _ in 0..2 {
            let mut cuts: Vec<usize> =
                (0..random.below(8)).map(|_| random.below(text.bytes.len().max(1))).collect();
            cuts.sort_unstable();
            cuttings.push(cuts);
        }
        for (kind, cuts) in cuttings.iter().enumerate() {
            scan.reset();
            self.run(&mut scan, &text, &active, cuts, &format!("{case}, cutting {kind}"));
            scan.reset();
            stepped.reset();
            self.compare(&mut scan, &mut stepped, &text, &active, cuts, &format!("{case}, cutting {kind}"));
        }
        cuttings.len() as u64
    }

    fn run(&self, scan: &mut Scan, text: &Text, active: &DetectorBits, cuts: &[usize], case: &str) {
        let mut spans: Vec<Span> = Vec::new();
        let mut checked = 0;
        let mut from = 0;
        for &to in cuts.iter().chain([&text.bytes.len()]) {
            scan.feed(&self.set, active, &text.bytes[from..to]);
            from = to;
            self.check_progress(scan, text, &mut spans, &mut checked, case);
            self.check_optimal(scan, text, active, case);
        }
        scan.finish(&self.set, active);
        self.check_progress(scan, text, &mut spans, &mut checked, case);
        assert!(!scan.overflowed(), "{case}: overflow");
        assert_eq!(scan.decided(), text.bytes.len() as u64, "{case}: all decided at the end");
        assert_eq!(spans, text.spans, "{case}: spans");
        assert_eq!(scan.open_span(), None, "{case}: nothing open at the end");
    }

    /// After every feed the filter has changed nothing: what is decided, what is open, what is held, what was found.
    fn compare(
        &self,
        scan: &mut Scan,
        stepped: &mut Scan,
        text: &Text,
        active: &DetectorBits,
        cuts: &[usize],
        case: &str,
    ) {
        let mut from = 0;
        for &to in cuts.iter().chain([&text.bytes.len()]) {
            scan.feed(&self.set, active, &text.bytes[from..to]);
            stepped.feed(&self.unfiltered, active, &text.bytes[from..to]);
            from = to;
            let (filtered, every) = (parts(scan), parts(stepped));
            assert_eq!(filtered.1, every.1, "{case}: state at {to}");
            // The filter also drops prefixes behind which nothing can begin. They cover nothing.
            assert!(filtered.0 <= every.0, "{case}: live starts at {to}");
            assert!(self.is_conditional || filtered.0 == every.0, "{case}: live starts at {to}");
            assert_eq!(
                (scan.decided(), scan.open_span()),
                (stepped.decided(), stepped.open_span()),
                "{case}"
            );
            while let Some(span) = stepped.pop_span() {
                assert_eq!(scan.pop_span(), Some(span), "{case}: span at {to}");
            }
            assert_eq!(scan.pop_span(), None, "{case}: a span too many at {to}");
            assert!(scan.steps() <= stepped.steps(), "{case}: the filter adds steps");
        }
    }

    /// What is decided now is what the oracle says.
    fn check_progress(
        &self,
        scan: &mut Scan,
        text: &Text,
        spans: &mut Vec<Span>,
        checked: &mut u64,
        case: &str,
    ) {
        while let Some(span) = scan.pop_span() {
            assert_eq!(text.spans.get(spans.len()), Some(&span), "{case}: a popped span is final");
            spans.push(span);
        }
        let decided = scan.decided();
        assert!(*checked <= decided && decided <= scan.position(), "{case}: decided only grows");
        let open = scan.open_span().unwrap_or(u64::MAX);
        for at in *checked..decided {
            let covered = at >= open || spans.iter().any(|span| (span.start..span.end).contains(&at));
            let wanted = text.spans.iter().any(|span| (span.start..span.end).contains(&at));
            assert_eq!(covered, wanted, "{case}: byte {at} of {}", text.bytes.len());
        }
        *checked = decided;
    }

    /// The first undecided byte could still be masked, and is not certain to be.
    fn check_optimal(&self, scan: &Scan, text: &Text, active: &DetectorBits, case: &str) {
        let (decided, position) = (scan.decided(), scan.position());
        if decided == position {
            return;
        }
        assert!(
            !text.certain(decided, position),
            "{case}: byte {decided} is known to be masked at {position}"
        );
        let possible = self.oracle.possible(text, position as usize, decided as usize, active);
        assert!(possible, "{case}: byte {decided} is held at {position} for no reason");
    }
}

/// The number of live starts, and everything else that a scan shows of its state.
fn parts(scan: &Scan) -> (usize, String) {
    let shown = format!("{scan:?}");
    let (before, rest) = shown.split_once(" live: ").expect("live starts are shown");
    let (live, after) = rest.split_once(',').expect("a number");
    (live.parse().expect("a number"), format!("{before}{after}"))
}

fn texts(default: u64) -> u64 {
    std::env::var("VEILWIRE_ORACLE_TEXTS").ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

fn seed() -> u64 {
    std::env::var("VEILWIRE_ORACLE_SEED").ok().and_then(|number| number.parse().ok()).unwrap_or(1)
}

#[test]
fn default_patterns_agree_with_the_oracle() {
    let mut bench = Bench::new(&default_patterns());
    let mut random = Random::new(seed());
    let (mut cuttings, mut bytes) = (0, 0);
    let count = texts(600);
    for case in 0..count {
        let text = texts::secrets(&mut random);
        bytes += text.len();
        cuttings += bench.check(&format!("text {case}"), &text, &mut random);
    }
    println!("{count} texts, {bytes} bytes, {cuttings} cuttings, 0 differences");
}

/// Starts that a validator may still judge must not be merged: here nearly every digit begins a candidate.
#[test]
fn dense_validated_candidates_agree_with_the_oracle() {
    let mut bench = Bench::new(&patterns(&[
        (r"[0-9](?:[ -]?[0-9]){11,13}", Some(Validator::Luhn)),
        (r"[0-9]{3}[ -]?[0-9]{2}[ -]?[0-9]{4}", Some(Validator::UsSsn)),
        (r"[0-9]{4}-[0-9]{4}", None),
        // More live starts than are compared pairwise.
        (r"[0-9][0-9 -]{10}[05]", None),
        // Starts meet in one state after the dash, and only some of them pass.
        (r"[0-9]{2,6}-[0-9]{9,11}", Some(Validator::Luhn)),
        (r"[0-9]{1,9}@[0-9]{1,3}", None),
    ]));
    let mut random = Random::new(seed() + 1);
    for case in 0..texts(600) {
        let text = texts::digits(&mut random);
        bench.check(&format!("text {case}"), &text, &mut random);
    }
}

/// Conditions of every kind: words of several lengths and distances, prefixes with many ends, both at once, with validators and
/// without, beside detectors without conditions.
fn conditional_patterns() -> Vec<Pattern> {
    let mut list = patterns(&[
        (r"\b[0-9]{4,6}\b", None),
        (r"[0-9]{3}-[0-9]{2}-[0-9]{4}", Some(Validator::UsSsn)),
        (r"[^ \n]{4,20}", None),
        (r"[0-9a-z]{2,}", None),
        (r"[a-z0-9]{6,30}", Some(Validator::Secret(20))),
        (r"[0-9]{2,5}", None),
        (r"\b[A-Z]{2}[0-9]{3,}", None),
        (r"[a-z]{1,6}@[a-z]{1,4}", None),
        (r"\b[0-9]{3}\b", None),
    ]);
    list[0].near = near(&[r"\bpin\b", "code"], 12);
    list[1].near = near(&[r"\bssn\b"], 128);
    list[2].prefix = Some(r"(?i:\bpass(?:word)?)[ ]{0,3}[=:] ?".into());
    list[3].prefix = Some(r"\bpw=+".into());
    list[4].prefix = Some(r"\bkey[ =]{1,4}".into());
    list[5].near = near(&[r"\bpin\b", "code"], 0);
    list[7].near = near(&["mail"], 3);
    list[8].prefix = Some("#".into());
    list[8].near = near(&[r"\bpin\b", "code"], 30);
    list
}

#[test]
fn conditions_agree_with_the_oracle() {
    let list = conditional_patterns();
    let mut bench = Bench::new(&list);
    let mut random = Random::new(seed() + 3);
    let mut found = DetectorBits::new();
    for case in 0..texts(400) {
        let text = texts::conditions(&mut random);
        bench.check(&format!("text {case}"), &text, &mut random);
        let all = bench.set.all();
        let spans = bench.oracle.examine(&text, &all).spans;
        found = spans.iter().fold(found, |found, span| found.union(&span.detectors));
    }
    assert_eq!(found, bench.set.all(), "every detector found something");
}

/// Random patterns over a tiny alphabet meet every shape of automaton: shared prefixes, lazy runs, boundaries, loops.
#[test]
fn random_patterns_agree_with_the_oracle() {
    let mut random = Random::new(seed() + 2);
    let (mut built, mut lazy, mut conditions) = (0, 0, 0);
    let sets = texts(750) / 15;
    for case in 0..sets {
        let list: Vec<String> = (0..1 + random.below(5)).map(|_| texts::pattern(&mut random)).collect();
        let list: Vec<(&str, Option<Validator>)> = list.iter().map(|regex| (regex.as_str(), None)).collect();
        // A set with a pattern that is refused still has good ones.
        let usable = list.iter().copied().filter(|one| build(&patterns(&[*one]), WINDOW).is_ok());
        let mut list = patterns(&usable.collect::<Vec<_>>());
        for pattern in &mut list {
            let mut conditional = pattern.clone();
            match random.below(4) {
                0 => conditional.prefix = Some(texts::pattern(&mut random)),
                1 => conditional.near = near(&[&texts::pattern(&mut random)], random.below(6) as u8),
                _ => continue,
            }
            conditional.detector = DetectorId(0);
            if build(std::slice::from_ref(&conditional), WINDOW).is_ok() {
                *pattern = Pattern { detector: pattern.detector, ..conditional };
                conditions += 1;
            }
        }
        let Some(mut bench) = Bench::try_new(&list) else { continue };
        built += list.len();
        lazy += build(&list, WINDOW).expect("built before").costs.iter().filter(|cost| cost.lazy).count();
        for number in 0..15 {
            let text = texts::tiny(&mut random);
            bench.check(&format!("set {case}, text {number}"), &text, &mut random);
        }
    }
    assert!(built as u64 > sets && lazy > 0, "{built} patterns built, {lazy} lazy");
    assert!(conditions as u64 > sets / 4, "{conditions} patterns with a condition");
}

/// Periodic text keeps many starts alive; the work per byte must not grow with its length.
#[test]
fn hostile_texts_take_bounded_steps() {
    let bench = Bench::new(&default_patterns());
    let all = bench.set.all();
    let units: [&[u8]; 15] = [
        b"sk-sk-",
        b"sk-",
        b"a-a-",
        b"sk-ant-",
        b"sk-proj-",
        b"sk-ant-a1b-sk-ant-",
        b"a",
        b"@",
        b"a@",
        b"a@a.",
        b"4111 1111 1111 1111 ",
        b"4111-",
        b"2 2222 ",
        b"2",
        b"222-22-2222-",
    ];
    for unit in units {
        for chunk in [usize::MAX, 1000, 7, 1] {
            let mut per_byte = Vec::new();
            for size in [10 * 1024, 20 * 1024, 40 * 1024] {
                let text: Vec<u8> = unit.iter().copied().cycle().take(size).collect();
                let mut scan = Scan::new();
                for part in text.chunks(chunk) {
                    scan.feed(&bench.set, &all, part);
                    while scan.pop_span().is_some() {}
                    assert!(scan.held() <= 16 * 1024, "{} bytes held", scan.held());
                }
                scan.finish(&bench.set, &all);
                assert!(!scan.overflowed());
                let steps = scan.steps();
                assert!(
                    steps <= 8 * size as u64,
                    "{steps} steps for {size} bytes of {}",
                    unit.escape_ascii()
                );
                per_byte.push(steps as f64 / size as f64);
            }
            let least = per_byte.iter().copied().fold(f64::MAX, f64::min);
            let most = per_byte.iter().copied().fold(0.0, f64::max);
            assert!(most <= least * 1.5 + 0.2, "steps per byte grow: {least} to {most}");
        }
    }
}

/// An accepted token goes on being decided, byte by byte: it is never buffered.
#[test]
fn a_long_token_is_not_held() {
    let bench = Bench::new(&default_patterns());
    // Without e-mail: any token may become the local part of an address.
    let active: DetectorBits = bench.set.all().iter().skip(1).collect();
    let mut scan = Scan::new();
    scan.feed(&bench.set, &active, b"key: sk-proj-");
    assert_eq!(scan.decided(), 5);
    for at in 0..100_000u64 {
        scan.feed(&bench.set, &active, b"q");
        if at > 20 {
            assert!(scan.position() - scan.decided() <= 1, "held at {at}");
            assert_eq!(scan.open_span(), Some(5));
            assert!(scan.held() < 1024, "{} bytes held", scan.held());
        }
    }
    assert_eq!(scan.pop_span(), None, "it may still grow");
    scan.feed(&bench.set, &active, b" ");
    assert_eq!(scan.pop_span().map(|span| (span.start, span.end)), Some((5, 100_013)));
    assert_eq!(scan.decided(), scan.position());
}

/// Decision: with secrets only, text without candidates leaves at once; with e-mail it runs at most one word late.
#[test]
fn prose_is_held_for_at_most_a_word() {
    let bench = Bench::new(&default_patterns());
    let secrets: DetectorBits = bench.set.all().iter().skip(3).collect();
    let prose = "The agent considered whether to query the customer records, because the previous call had returned \
                 an ambiguous result. It then wrote a plan: read the invoice, compare both totals, and ask a human \
                 for a review when they differ by more than one percent. ";
    for (active, word) in [(secrets, false), (bench.set.all(), true)] {
        let mut scan = Scan::new();
        let (mut free, mut deltas) = (0, 0);
        for delta in prose.repeat(51).as_bytes().chunks(4) {
            scan.feed(&bench.set, &active, delta);
            let held = scan.position() - scan.decided();
            free += u32::from(held == 0);
            deltas += 1;
            assert!(held <= if word { 12 } else { 3 }, "{held} bytes held");
        }
        assert!(word || free * 100 >= deltas * 99, "{free} of {deltas} deltas leave nothing");
    }
}
