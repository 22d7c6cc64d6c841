//! From parsed patterns to as few automata as fit, in our own table form.

use super::pattern::Parsed;
use super::{CompileError, DecodeError, Part};
use crate::mask::automaton::{self, Automaton, Condition, LazyPrefix, Role, Tables};
use crate::mask::detector::{DetectorBits, MAX_LAZY};
use crate::policy::id::DetectorId;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::Hir;
use std::collections::{BTreeMap, VecDeque};

mod minimize;

/// Working memory for one group, as a multiple of the limit of its table; bounds the time of an attempt that fails.
const WORK_FACTOR: usize = 2;

/// A detector with the expression to compile for it.
type Member<'a> = (DetectorId, &'a Hir);

/// Compiles all patterns: those with the same lazy prefix together, those with the same condition together, all others
/// together, each split where too large; then the conditions. Those that begin anywhere come first.
pub(super) fn build(patterns: &[Parsed], limit: usize) -> Result<Vec<Automaton>, CompileError> {
    let mut groups: Vec<(Kind, Vec<Member<'_>>)> = vec![(Kind::default(), Vec::new())];
    let mut join = |kind: Kind, member, limit: usize| {
        let room = groups.iter().filter(|(known, _)| known.lazy.is_some()).count() < limit;
        match groups.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, members)) => members.push(member),
            None if room => groups.push((kind, vec![member])),
            None => return false,
        }
        true
    };
    let (mut prefixes, mut words) = (Vec::new(), Vec::new());
    for pattern in patterns {
        let whole = (pattern.detector, &pattern.whole);
        if let Some((lazy, rest)) = &pattern.lazy {
            let kind = Kind { lazy: Some(*lazy), ..Kind::default() };
            if join(kind, (pattern.detector, rest), MAX_LAZY) {
                continue;
            }
        }
        let mut condition = Condition::default();
        if let Some((text, parsed)) = &pattern.prefix {
            condition.after = Some(number(&mut prefixes, text, parsed)?);
        }
        if let Some((near, parsed)) = &pattern.near {
            let list = number(&mut words, &near.words, parsed)?;
            condition.near = Some(automaton::Near { words: list, within: near.within });
        }
        join(Kind { lazy: None, role: Role::Matches(condition) }, whole, usize::MAX);
    }
    groups.push((Kind { lazy: None, role: Role::Prefixes }, numbered(&prefixes)));
    groups.push((Kind { lazy: None, role: Role::Words }, numbered(&words)));
    groups.sort_by_key(|(kind, _)| !kind.role.begins_anywhere());
    let mut automata = Vec::new();
    for (kind, members) in &groups {
        unite(members, *kind, limit, &mut automata).map_err(|error| match kind.role {
            Role::Matches(_) => error,
            Role::Prefixes => of_first(error, patterns, |pattern| pattern.prefix.is_some(), Part::Prefix),
            Role::Words => of_first(error, patterns, |pattern| pattern.near.is_some(), Part::Word(0)),
        })?;
    }
    Ok(automata)
}

/// An error about conditions, which are numbered apart, as one of the first detector that has such a condition.
fn of_first(error: CompileError, patterns: &[Parsed], has: fn(&Parsed) -> bool, part: Part) -> CompileError {
    let Some(detector) = patterns.iter().find(|pattern| has(pattern)).map(|pattern| pattern.detector) else {
        return error;
    };
    let error = match error {
        CompileError::TooLarge { limit, .. } => CompileError::TooLarge { detector, limit },
        CompileError::Unsupported { source, .. } => CompileError::Unsupported { detector, source },
        CompileError::Unsound { source, .. } => CompileError::Unsound { detector, source },
        other => return other,
    };
    error.in_part(part)
}

/// What automata have in common that may be one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Kind {
    lazy: Option<LazyPrefix>,
    role: Role,
}

/// The place of `key` in the list, to which it is added if it is new.
fn number<'a, K: PartialEq>(
    list: &mut Vec<(&'a K, &'a Hir)>,
    key: &'a K,
    parsed: &'a Hir,
) -> Result<u8, CompileError> {
    let place = list.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        list.push((key, parsed));
        list.len() - 1
    });
    u8::try_from(place)
        .map_err(|_| CompileError::TooManyAutomata { count: place, limit: usize::from(u8::MAX) })
}

fn numbered<'a, K>(list: &[(&'a K, &'a Hir)]) -> Vec<Member<'a>> {
    list.iter().zip(0..).map(|(&(_, parsed), place)| (DetectorId(place), parsed)).collect()
}

/// One automaton for all members if it fits, else one or more for each half.
fn unite(
    members: &[Member<'_>],
    kind: Kind,
    limit: usize,
    automata: &mut Vec<Automaton>,
) -> Result<(), CompileError> {
    let Some(&(detector, _)) = members.first() else { return Ok(()) };
    match compile(members, kind, limit) {
        Ok(automaton) => automata.push(automaton),
        Err(Failure::TooLarge) if members.len() > 1 => {
            let (left, right) = members.split_at_checked(members.len() / 2).unwrap_or((members, &[]));
            unite(left, kind, limit, automata)?;
            unite(right, kind, limit, automata)?;
        }
        Err(Failure::TooLarge) => return Err(CompileError::TooLarge { detector, limit }),
        Err(Failure::Unsupported(source)) => return Err(CompileError::Unsupported { detector, source }),
        Err(Failure::Unsound(source)) => return Err(CompileError::Unsound { detector, source }),
    }
    Ok(())
}

enum Failure {
    TooLarge,
    Unsupported(Box<dense::BuildError>),
    Unsound(DecodeError),
}

fn compile(members: &[Member<'_>], kind: Kind, limit: usize) -> Result<Automaton, Failure> {
    let work_limit = limit.saturating_mul(WORK_FACTOR);
    let expressions: Vec<&Hir> = members.iter().map(|&(_, hir)| hir).collect();
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(thompson::WhichCaptures::None)
                .nfa_size_limit(Some(work_limit)),
        )
        .build_many_from_hir(&expressions)
        .map_err(|error| match error.size_limit() {
            Some(_) => Failure::TooLarge,
            None => Failure::Unsound(DecodeError::Inconsistent),
        })?;
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .minimize(false)
        .accelerate(false)
        .dfa_size_limit(Some(limit))
        .determinize_size_limit(Some(work_limit));
    let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|error| {
        if error.is_size_limit_exceeded() { Failure::TooLarge } else { Failure::Unsupported(Box::new(error)) }
    })?;
    let detectors: Vec<DetectorId> = members.iter().map(|&(detector, _)| detector).collect();
    let graph = Graph::explore(&dfa, &detectors)?.minimized();
    let tables = graph.into_tables(kind).ok_or(Failure::TooLarge)?;
    Automaton::new(tables).map_err(|error| match error {
        DecodeError::TooLarge => Failure::TooLarge,
        other => Failure::Unsound(other),
    })
}

/// An automaton while it is worked on. Node 0 is dead. Rows have one cell per class and one more for the end.
struct Graph {
    /// Class of each byte.
    classes: [u8; 256],
    /// Cells of a row: classes and the end.
    width: usize,
    rows: Vec<usize>,
    reports: Vec<DetectorBits>,
    starts: [usize; 2],
}

impl Graph {
    /// Everything reachable from the two start states, in the order of a breadth-first walk.
    fn explore(dfa: &dense::DFA<Vec<u32>>, detectors: &[DetectorId]) -> Result<Graph, Failure> {
        let (classes, representatives) = representatives(dfa);
        let start = |look_behind: Option<u8>| {
            let config = start::Config::new().anchored(Anchored::Yes).look_behind(look_behind);
            dfa.start_state(&config).map_err(|_| Failure::Unsound(DecodeError::State))
        };
        let mut walk = Walk { dfa, numbers: BTreeMap::new(), queue: VecDeque::new() };
        let starts = [walk.number(start(None)?), walk.number(start(Some(b'a'))?)];
        let width = representatives.len() + 1;
        let mut rows = vec![0; width];
        let mut reports = vec![DetectorBits::default()];
        while let Some(state) = walk.queue.pop_front() {
            if dfa.is_quit_state(state) || reports.len() > usize::from(u16::MAX) {
                return Err(Failure::TooLarge);
            }
            let mut report = DetectorBits::default();
            if dfa.is_match_state(state) {
                let patterns =
                    (0..dfa.match_len(state)).map(|index| dfa.match_pattern(state, index).as_usize());
                report = patterns.filter_map(|pattern| detectors.get(pattern).copied()).collect();
            }
            reports.push(report);
            for &byte in &representatives {
                rows.push(walk.number(dfa.next_state(state, byte)));
            }
            rows.push(walk.number(dfa.next_eoi_state(state)));
        }
        Ok(Graph { classes, width, rows, reports, starts })
    }

    fn row(&self, node: usize) -> &[usize] {
        self.rows.get(node * self.width..(node + 1) * self.width).unwrap_or_default()
    }

    /// Merges equivalent nodes; those without a future, and those that a run cannot reach, fall away.
    fn minimized(self) -> Graph {
        let blocks = minimize::blocks(&self.rows, self.width, &self.reports);
        let block = |node: usize| blocks.get(node).copied().unwrap_or(0);
        let dead = block(0);
        let mut numbers = BTreeMap::from([(dead, 0)]);
        let mut order = vec![0];
        let mut queue: VecDeque<usize> = VecDeque::new();
        let mut number = |node: usize, queue: &mut VecDeque<usize>| {
            let next = numbers.len();
            *numbers.entry(block(node)).or_insert_with(|| {
                order.push(node);
                queue.push_back(node);
                next
            })
        };
        let starts = self.starts.map(|start| number(start, &mut queue));
        let mut rows = vec![0; self.width];
        while let Some(node) = queue.pop_front() {
            rows.extend(self.row(node).iter().map(|&target| number(target, &mut queue)));
        }
        let reports = order.iter().map(|&node| self.reports.get(node).copied().unwrap_or_default()).collect();
        Graph { classes: self.classes, width: self.width, rows, reports, starts }
    }

    /// Final numbers: dead, reporting, others. `None` if there are too many.
    fn into_tables(self, kind: Kind) -> Option<Tables> {
        let nodes = 0..self.reports.len();
        let reports_any = |&node: &usize| self.reports.get(node).is_some_and(|set| !set.is_empty());
        let reporting: Vec<usize> = nodes.clone().skip(1).filter(reports_any).collect();
        let silent = nodes.skip(1).filter(|node| !reports_any(node));
        let order: Vec<usize> = [0].into_iter().chain(reporting.iter().copied()).chain(silent).collect();
        let mut numbers = vec![0u16; order.len()];
        for (place, &node) in order.iter().enumerate() {
            *numbers.get_mut(node)? = u16::try_from(place).ok()?;
        }
        let number = |node: &usize| numbers.get(*node).copied();
        let columns: Vec<Vec<u16>> = (0..self.width)
            .map(|column| order.iter().filter_map(|&node| number(self.row(node).get(column)?)).collect())
            .collect();
        let (ends, columns) = columns.split_last()?;
        let (classes, kept) = distinct(&self.classes, columns)?;
        let rows =
            (0..order.len()).flat_map(|node| kept.iter().filter_map(move |column| column.get(node).copied()));
        Some(Tables {
            classes,
            stride: u16::try_from(kept.len()).ok()?,
            rows: rows.collect(),
            ends: ends.clone(),
            starts: [number(&self.starts[0])?, number(&self.starts[1])?],
            reports: order
                .iter()
                .take(reporting.len() + 1)
                .map(|&node| self.reports.get(node).copied())
                .collect::<Option<_>>()?,
            lazy: kind.lazy,
            role: kind.role,
        })
    }
}

/// Numbers of states, in the order in which they are met.
struct Walk<'a> {
    dfa: &'a dense::DFA<Vec<u32>>,
    numbers: BTreeMap<StateID, usize>,
    queue: VecDeque<StateID>,
}

impl Walk<'_> {
    fn number(&mut self, state: StateID) -> usize {
        if self.dfa.is_dead_state(state) {
            return 0;
        }
        let next = self.numbers.len() + 1;
        *self.numbers.entry(state).or_insert_with(|| {
            self.queue.push_back(state);
            next
        })
    }
}

/// The class of each byte, and one byte of each class.
fn representatives(dfa: &dense::DFA<Vec<u32>>) -> ([u8; 256], Vec<u8>) {
    let mut classes = [0; 256];
    let mut representatives: Vec<u8> = Vec::new();
    for (byte, class) in (0..=u8::MAX).zip(&mut classes) {
        let of = dfa.byte_classes().get(byte);
        let place = representatives.iter().position(|&known| dfa.byte_classes().get(known) == of);
        let place = place.unwrap_or_else(|| {
            representatives.push(byte);
            representatives.len() - 1
        });
        // INVARIANT: at most 256 classes of bytes.
        *class = u8::try_from(place).unwrap_or(u8::MAX);
    }
    (classes, representatives)
}

/// Classes whose columns are equal become one.
fn distinct<'a>(classes: &[u8; 256], columns: &'a [Vec<u16>]) -> Option<([u8; 256], Vec<&'a Vec<u16>>)> {
    let mut places: BTreeMap<&Vec<u16>, u8> = BTreeMap::new();
    let mut kept = Vec::new();
    let mut renamed = [0; 256];
    for (class, new) in classes.iter().zip(&mut renamed) {
        let column = columns.get(usize::from(*class))?;
        *new = match places.get(column) {
            Some(&place) => place,
            None => {
                let place = u8::try_from(kept.len()).ok()?;
                places.insert(column, place);
                kept.push(column);
                place
            }
        };
    }
    Some((renamed, kept))
}
