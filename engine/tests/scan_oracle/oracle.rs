//! The oracle: every match of every detector, found by trying all starts and all ends, prefixes and near words alike.

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, pikevm};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, Input, MatchKind};
use std::collections::{BTreeMap, BTreeSet};
use veilwire_engine::compile::Pattern;
use veilwire_engine::mask::detector::DetectorBits;
use veilwire_engine::mask::scan::Span;
use veilwire_engine::mask::validate::holds;
use veilwire_engine::policy::id::DetectorId;
use veilwire_engine::policy::model::Validator;

pub(crate) struct Oracle {
    detectors: Vec<Detector>,
}

struct Detector {
    id: DetectorId,
    validator: Option<Validator>,
    machine: Machine,
    prefix: Option<Machine>,
    near: Option<(Vec<Machine>, usize)>,
    /// Only for "can this start still match?".
    future: Future,
}

/// An expression that is tried everywhere.
struct Machine {
    machine: pikevm::PikeVM,
    cache: pikevm::Cache,
}

/// A text with every match in it.
pub(crate) struct Text {
    pub(crate) bytes: Vec<u8>,
    /// Maximal runs of overlapping matches.
    pub(crate) spans: Vec<Span>,
    /// All matches: start, end, detector. Of unvalidated detectors every end too.
    matches: Vec<(u64, u64, DetectorId)>,
    /// Per detector and start: may a match begin there?
    allowed: Vec<Vec<bool>>,
}

impl Text {
    /// Is the byte at `at` in a match whose right context lies before `position`?
    pub(crate) fn certain(&self, at: u64, position: u64) -> bool {
        self.matches.iter().any(|&(start, end, _)| start <= at && at < end && end < position)
    }
}

impl Oracle {
    pub(crate) fn new(patterns: &[Pattern]) -> Oracle {
        let detectors = patterns.iter().map(|pattern| Detector {
            id: pattern.detector,
            validator: pattern.validator,
            machine: Machine::new(&pattern.regex, false),
            prefix: pattern.prefix.as_ref().map(|prefix| Machine::new(prefix, false)),
            near: pattern.near.as_ref().map(|near| {
                let words = near.words.iter().map(|word| Machine::new(word, true));
                (words.collect(), usize::from(near.within))
            }),
            future: Future::new(&pattern.regex),
        });
        Oracle { detectors: detectors.collect() }
    }

    pub(crate) fn examine(&mut self, bytes: &[u8], active: &DetectorBits) -> Text {
        let mut matches = Vec::new();
        let mut allowed = Vec::new();
        for detector in &mut self.detectors {
            let starts = detector.allowed(bytes);
            let Detector { id, validator, machine, .. } = detector;
            if active.contains(*id) {
                machine.matches(bytes, |start, end| {
                    let valid = validator.is_none_or(|validator| holds(validator, &bytes[start..end]));
                    if starts[start] && valid {
                        matches.push((start as u64, end as u64, *id));
                    }
                });
            }
            allowed.push(starts);
        }
        matches.sort_unstable();
        let mut spans: Vec<Span> = Vec::new();
        for &(start, end, id) in &matches {
            match spans.last_mut() {
                Some(span) if start < span.end => {
                    span.end = span.end.max(end);
                    span.detectors.insert(id);
                }
                _ => spans.push(Span { start, end, detectors: [id].into_iter().collect(), whole: false }),
            }
        }
        for span in &mut spans {
            span.whole = matches.iter().any(|&(start, end, _)| (start, end) == (span.start, span.end));
        }
        Text { bytes: bytes.to_vec(), spans, matches, allowed }
    }

    /// Can some continuation of the first `position` bytes bring a match (of any validity) that covers the byte at `at`?
    pub(crate) fn possible(&self, text: &Text, position: usize, at: usize, active: &DetectorBits) -> bool {
        let seen = &text.bytes[..position];
        let of = |(detector, allowed): (&Detector, &Vec<bool>)| {
            (0..=at).any(|start| allowed[start] && detector.future.open(seen, start))
        };
        let detectors = self.detectors.iter().zip(&text.allowed);
        detectors.filter(|(detector, _)| active.contains(detector.id)).any(of)
    }
}

impl Detector {
    /// Per byte: does the condition hold there? It depends on the bytes before and on this one.
    fn allowed(&mut self, bytes: &[u8]) -> Vec<bool> {
        let mut allowed = vec![true; bytes.len()];
        if let Some(prefix) = &mut self.prefix {
            let mut ends = vec![false; bytes.len() + 1];
            prefix.matches(bytes, |_, end| ends[end] = true);
            allowed.copy_from_slice(&ends[..bytes.len()]);
        }
        if let Some((words, within)) = &mut self.near {
            let mut near = vec![false; bytes.len() + *within + 1];
            for word in words {
                word.matches(bytes, |_, end| near[end..=end + *within].fill(true));
            }
            allowed.iter_mut().zip(near).for_each(|(allowed, near)| *allowed &= near);
        }
        allowed
    }
}

impl Machine {
    fn new(regex: &str, any_case: bool) -> Machine {
        let machine = pikevm::PikeVM::builder()
            .syntax(syntax::Config::new().unicode(false).utf8(false).case_insensitive(any_case))
            .configure(pikevm::Config::new().match_kind(MatchKind::All))
            .thompson(thompson::Config::new().utf8(false))
            .build(regex)
            .unwrap();
        let cache = machine.create_cache();
        Machine { machine, cache }
    }

    /// Every match, with its start and end.
    fn matches(&mut self, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        for start in 0..bytes.len() {
            // The longest match that ends at or before `end`, in the context of the whole text; then shorter ones.
            let mut end = bytes.len();
            while end > start {
                let input = Input::new(bytes).span(start..end).anchored(Anchored::Yes);
                let Some(one) = self.machine.find(&mut self.cache, input) else { break };
                assert_eq!(one.start(), start);
                found(start, one.end());
                end = one.end() - 1;
            }
        }
    }
}

/// The states of one detector's automaton from which a match is still to come.
struct Future {
    dfa: dense::DFA<Vec<u32>>,
    open: BTreeSet<StateID>,
}

impl Future {
    fn new(regex: &str) -> Future {
        let dfa = dense::Builder::new()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false))
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::All)
                    .start_kind(StartKind::Anchored)
                    .accelerate(false),
            )
            .build(regex)
            .unwrap();
        // All states and their successors; then backwards from those that report.
        let mut after: BTreeMap<StateID, BTreeSet<StateID>> = BTreeMap::new();
        let mut todo: Vec<StateID> =
            [None, Some(b'a'), Some(b' '), Some(b'\n'), Some(b'\r')].map(|before| start(&dfa, before)).into();
        while let Some(state) = todo.pop() {
            if after.contains_key(&state) {
                continue;
            }
            let bytes = dfa.byte_classes().representatives(0..=255).filter_map(|unit| unit.as_u8());
            let mut next: BTreeSet<StateID> = bytes.map(|byte| dfa.next_state(state, byte)).collect();
            next.insert(dfa.next_eoi_state(state));
            todo.extend(&next);
            after.insert(state, next);
        }
        let mut open: BTreeSet<StateID> = BTreeSet::new();
        loop {
            let known = open.len();
            for (state, next) in &after {
                if next.iter().any(|next| open.contains(next) || dfa.is_match_state(*next)) {
                    open.insert(*state);
                }
            }
            if open.len() == known {
                break Future { dfa, open };
            }
        }
    }

    fn open(&self, text: &[u8], from: usize) -> bool {
        let before = from.checked_sub(1).map(|at| text[at]);
        let mut state = start(&self.dfa, before);
        for &byte in &text[from..] {
            state = self.dfa.next_state(state, byte);
            if !self.open.contains(&state) {
                return false;
            }
        }
        true
    }
}

fn start(dfa: &dense::DFA<Vec<u32>>, before: Option<u8>) -> StateID {
    dfa.start_state(&start::Config::new().anchored(Anchored::Yes).look_behind(before)).unwrap()
}
