//! From automata to the buckets of the [`Filter`](super::filter::Filter).
//!
//! A [`Way`] says, pair by pair, how matches of one detector begin that report after the same number of bytes, or not within
//! those that are looked at. It lets through every start that is alive after these bytes and every start that reports
//! within them. What begins with a prefix is followed behind it, into what the prefix opens: a prefix that opens nothing
//! is of no interest. All ways together go to eight buckets. Uniting only widens, so it is a matter of speed and not of
//! soundness which way goes where: the compiler tries it out, and its automata remember.

use super::{Conditions, DEAD, DetectorBits, Starts, is_word};
use crate::mask::automaton::Role;
use crate::policy::id::DetectorId;
use std::collections::BTreeMap;

/// Pairs of neighbours that are looked at: the byte before a match with its first byte, and so on.
pub(crate) const PAIRS: usize = 8;

/// How many buckets there are.
pub(crate) const BUCKETS: usize = 8;

/// Cells that may be looked at in all; beyond, everything is let through. Several times what all packs need.
const MAX_WORK: usize = 1 << 27;

/// What a source costs beside its cells, in cells: it bounds their number.
const SOURCE_WORK: usize = 4096;

/// Ways that are looked for as one.
pub(super) struct Bucket {
    /// By place: which bytes may follow which.
    pairs: Vec<Pairs>,
    /// A bit for each automaton that it belongs to.
    automata: u64,
}

/// Pairs of bytes, their highest bits left out: a row of second bytes for each first one.
pub(crate) type Pairs = [u128; 128];

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSet([u64; 4]);

/// Where ways come from: matches of a detector, whose first byte leads an automaton to a state.
#[derive(Clone, Copy)]
struct Source {
    automaton: u8,
    after_word: bool,
    first: u16,
    detector: DetectorId,
}

/// How matches begin.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Way {
    /// Places, and bytes of which one of the second set may follow one of the first there.
    steps: Vec<(usize, ByteSet, ByteSet)>,
}

/// At most eight buckets that together let everything through that matters. Of the automata that begin anywhere, those with a
/// bit in `chosen` count.
pub(super) fn of(automata: &[Starts], chosen: u64, conditions: &Conditions) -> Vec<Bucket> {
    within(automata, chosen, conditions, MAX_WORK)
}

fn within(automata: &[Starts], chosen: u64, conditions: &Conditions, work: usize) -> Vec<Bucket> {
    let bucket = || Bucket { pairs: vec![[0; 128]; PAIRS], automata: 0 };
    let mut buckets: Vec<Bucket> = (0..BUCKETS).map(|_| bucket()).collect();
    let is_complete = walk(automata, chosen, conditions, work, |automaton, number, way| {
        let known =
            automata.get(usize::from(automaton)).and_then(|starts| starts.automaton.buckets().get(number));
        let place = known.map_or(number, |&known| usize::from(known)) % BUCKETS;
        if let Some(bucket) = buckets.get_mut(place) {
            way.allow(&mut bucket.pairs);
            bucket.automata |= super::bit(automaton.into());
        }
    });
    if !is_complete {
        // SECURITY: what was not looked at to its end is not known: everything fits.
        return vec![Bucket { pairs: vec![[u128::MAX; 128]; PAIRS], automata: chosen }];
    }
    buckets
}

/// Tells `visit` the ways of these automata, each with its automaton and its number there. Where they are too many to look
/// at, some are left out.
#[cfg(feature = "compile")]
pub(crate) fn each_way(
    automata: &[Starts],
    chosen: u64,
    conditions: &Conditions,
    visit: impl FnMut(u8, usize, &Way),
) {
    walk(automata, chosen, conditions, MAX_WORK, visit);
}

/// Tells `visit` the ways, and the caller whether these are all.
fn walk(
    automata: &[Starts],
    chosen: u64,
    conditions: &Conditions,
    work: usize,
    mut visit: impl FnMut(u8, usize, &Way),
) -> bool {
    let mut walk = Walk::new(automata, conditions, work);
    for (Starts { automaton, .. }, number) in automata.iter().zip(0u8..) {
        if chosen & super::bit(number.into()) == 0 {
            continue;
        }
        let mut count = 0;
        for after_word in [false, true] {
            let mut firsts = automaton.row(automaton.start(after_word)).to_vec();
            firsts.sort_unstable();
            firsts.dedup();
            for first in firsts.into_iter().filter(|&first| first != DEAD) {
                for detector in automaton.reach(first).iter() {
                    let ways = walk.ways(Source { automaton: number, after_word, first, detector });
                    if walk.work == 0 {
                        return false;
                    }
                    for way in ways {
                        visit(number, count, &way);
                        count += 1;
                    }
                }
            }
        }
    }
    true
}

/// Follows matches through the automata.
struct Walk<'a> {
    automata: &'a [Starts],
    conditions: &'a Conditions,
    /// Per automaton: the bytes of each class.
    classes: Vec<Vec<ByteSet>>,
    /// Cells that may still be looked at.
    work: usize,
}

/// What a start may be in after some bytes.
#[derive(Default)]
struct Layer {
    nodes: Vec<Node>,
    places: BTreeMap<Node, usize>,
    /// By the place of the node before and the place of the node here: the bytes that lead there.
    edges: BTreeMap<(usize, usize), ByteSet>,
}

/// A state of an automaton.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    automaton: u8,
    state: u16,
    /// Something was reported: what follows is of no interest.
    reports: bool,
}

impl<'a> Walk<'a> {
    fn new(automata: &'a [Starts], conditions: &'a Conditions, work: usize) -> Walk<'a> {
        let classes = automata.iter().map(|Starts { automaton, .. }| {
            let mut classes = vec![ByteSet::default(); automaton.class_count()];
            for byte in 0..=u8::MAX {
                if let Some(class) = classes.get_mut(automaton.class(byte)) {
                    class.insert(byte);
                }
            }
            classes
        });
        Walk { automata, conditions, classes: classes.collect(), work }
    }

    /// All ways of a source: one for each number of bytes after which something is reported, and one for all others. None of
    /// them where the work is used up.
    fn ways(&mut self, source: Source) -> Vec<Way> {
        self.work = self.work.saturating_sub(SOURCE_WORK);
        let start = self
            .automata
            .get(usize::from(source.automaton))
            .map(|starts| starts.automaton.start(source.after_word));
        let start = Node { automaton: source.automaton, state: start.unwrap_or(DEAD), reports: false };
        let before = ByteSet::of(|byte| is_word(byte) == source.after_word);
        let mut first = Layer::default();
        first.add(0, start, before);
        let mut layers = vec![first];
        for _ in 0..PAIRS {
            let next = layers.last().map(|layer| self.next(source, layer, layers.len() == 1));
            layers.extend(next);
        }
        if self.work == 0 {
            return Vec::new();
        }
        let ways = (1..=PAIRS + 1).filter_map(|length| self.way(source, &layers, length));
        ways.collect()
    }

    /// What may follow a layer.
    fn next(&mut self, source: Source, layer: &Layer, is_first: bool) -> Layer {
        let mut next = Layer::default();
        let mut before = vec![ByteSet::default(); layer.nodes.len()];
        for ((_, to), bytes) in &layer.edges {
            if let Some(before) = before.get_mut(*to) {
                *before = before.union(bytes);
            }
        }
        for (from, (node, before)) in
            layer.nodes.iter().zip(before).enumerate().filter(|(_, (node, _))| !node.reports)
        {
            let number = usize::from(node.automaton);
            let (Some(starts), Some(classes)) = (self.automata.get(number), self.classes.get(number)) else {
                continue;
            };
            let automaton = &starts.automaton;
            self.work = self.work.saturating_sub(classes.len());
            if self.work == 0 {
                break;
            }
            for (&to, &bytes) in automaton.row(node.state).iter().zip(classes) {
                if to == DEAD || is_first && to != source.first {
                    continue;
                }
                let reports = source.concerns(node.automaton, automaton.reports(to));
                let opens = reports && automaton.role() == Role::Prefixes;
                if opens {
                    self.work = self.work.saturating_sub(256);
                    self.open(source, from, before, bytes, &mut next);
                }
                let reports = reports && !opens;
                if reports || source.concerns(node.automaton, automaton.reach(to)) {
                    next.add(from, Node { automaton: node.automaton, state: to, reports }, bytes);
                }
            }
        }
        next
    }

    /// Adds what the prefix of this source opens where one of `bytes` follows it.
    fn open(&self, source: Source, from: usize, before: ByteSet, bytes: ByteSet, next: &mut Layer) {
        // INVARIANT: an automaton numbers what it reports with a byte.
        let prefix = u8::try_from(source.detector.0).unwrap_or(u8::MAX);
        for number in self.conditions.opened(prefix) {
            let Some(starts) = self.automata.get(usize::from(number)) else { continue };
            for after_word in [false, true] {
                if before.is_disjoint(&ByteSet::of(|byte| is_word(byte) == after_word)) {
                    continue;
                }
                let mut firsts: BTreeMap<u16, ByteSet> = BTreeMap::new();
                for byte in (0..=u8::MAX).filter(|&byte| bytes.contains(byte)) {
                    firsts.entry(starts.first(after_word, byte)).or_default().insert(byte);
                }
                for (state, bytes) in firsts.into_iter().filter(|(state, _)| *state != DEAD) {
                    next.add(from, Node { automaton: number, state, reports: false }, bytes);
                }
            }
        }
    }

    /// The way of those matches that report after `length` bytes; beyond [`PAIRS`], of all others. `None` if there are none.
    fn way(&self, source: Source, layers: &[Layer], length: usize) -> Option<Way> {
        let is_last = length > PAIRS;
        // From the last layer back: what leads to where something is reported, or would be at the end of the text.
        let mut kept: Vec<Vec<bool>> = Vec::new();
        for (number, layer) in layers.iter().enumerate().rev() {
            let aims = layer.nodes.iter().map(|node| match number {
                number if is_last && number == PAIRS => !node.reports,
                number if number == length => node.reports,
                number if number + 1 == length => number > 0 && self.ends(source, node),
                _ => false,
            });
            let mut kept_here: Vec<bool> = aims.collect();
            if let (Some(later), Some(kept_later)) = (layers.get(number + 1), kept.last()) {
                for &(from, to) in later.edges.keys() {
                    if let Some(here) = kept_here.get_mut(from) {
                        *here |= kept_later.get(to).is_some_and(|kept| *kept);
                    }
                }
            }
            kept.push(kept_here);
        }
        kept.reverse();
        if !kept.first().is_some_and(|start| start.contains(&true)) {
            return None;
        }
        let mut way = Way { steps: Vec::new() };
        let mut before = Vec::new();
        for (number, (layer, kept)) in layers.iter().zip(&kept).enumerate() {
            let mut here = vec![ByteSet::default(); layer.nodes.len()];
            for (&(from, to), bytes) in &layer.edges {
                let (true, Some(led)) = (kept.get(to).is_some_and(|kept| *kept), here.get_mut(to)) else {
                    continue;
                };
                *led = led.union(bytes);
                if let (Some(place), Some(&before)) = (number.checked_sub(1), before.get(from)) {
                    way.steps.push((place, before, *bytes));
                }
            }
            before = here;
        }
        // SECURITY: after a report every byte must fit: what was found must not be dropped.
        way.steps.extend((length..PAIRS).map(|place| (place, ByteSet::ALL, ByteSet::ALL)));
        Some(way)
    }

    /// Does a match end if the text ends here?
    fn ends(&self, source: Source, node: &Node) -> bool {
        let Some(Starts { automaton, .. }) = self.automata.get(usize::from(node.automaton)) else {
            return true;
        };
        let reports = automaton.reports(automaton.end(node.state));
        automaton.role().is_matches() && source.concerns(node.automaton, reports)
    }
}

impl Source {
    /// Are these reports of an automaton, or what it may still report, of interest? All are behind a prefix.
    fn concerns(&self, automaton: u8, detectors: DetectorBits) -> bool {
        if automaton == self.automaton { detectors.contains(self.detector) } else { !detectors.is_empty() }
    }
}

impl Layer {
    /// Adds a node, if it is new, and what leads there.
    fn add(&mut self, from: usize, node: Node, bytes: ByteSet) {
        let place = *self.places.entry(node).or_insert(self.nodes.len());
        if place == self.nodes.len() {
            self.nodes.push(node);
        }
        let known = self.edges.entry((from, place)).or_default();
        *known = known.union(&bytes);
    }
}

impl Way {
    /// Adds its pairs, by place.
    pub(crate) fn allow(&self, pairs: &mut [Pairs]) {
        for &(place, before, byte) in &self.steps {
            let (firsts, seconds) = (before.folded(), byte.folded());
            for (first, row) in pairs.get_mut(place).into_iter().flatten().enumerate() {
                if firsts >> first & 1 == 1 {
                    *row |= seconds;
                }
            }
        }
    }
}

impl Bucket {
    /// Which bytes may follow which, place by place.
    pub(super) fn places(&self) -> impl Iterator<Item = (u32, &Pairs)> {
        (0..).zip(&self.pairs)
    }

    /// May `second` follow `first` at this place?
    #[cfg(test)]
    fn fits(&self, place: usize, first: u8, second: u8) -> bool {
        self.pairs.get(place).is_none_or(|pairs| is_pair(pairs, first, second))
    }

    pub(super) fn automata(&self) -> u64 {
        self.automata
    }
}

/// Are these two among the pairs?
#[cfg(any(test, feature = "compile"))]
pub(crate) fn is_pair(pairs: &Pairs, first: u8, second: u8) -> bool {
    let row = pairs.get(usize::from(first & 0x7F)).copied().unwrap_or(u128::MAX);
    row >> (second & 0x7F) & 1 == 1
}

impl ByteSet {
    const ALL: ByteSet = ByteSet([u64::MAX; 4]);

    pub(crate) fn of(is_member: impl Fn(u8) -> bool) -> ByteSet {
        let mut set = ByteSet::default();
        (0..=u8::MAX).filter(|&byte| is_member(byte)).for_each(|byte| set.insert(byte));
        set
    }

    pub(crate) fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    fn union(&self, other: &ByteSet) -> ByteSet {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        ByteSet([a | e, b | f, c | g, d | h])
    }

    fn is_disjoint(&self, other: &ByteSet) -> bool {
        self.0.iter().zip(other.0).all(|(own, other)| own & other == 0)
    }

    /// Bit by bit, with bytes that differ in the highest bit taken for one.
    fn folded(&self) -> u128 {
        let [a, b, c, d] = self.0;
        u128::from(b | d) << 64 | u128::from(a | c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::automaton::{Automaton, Role, Tables};

    /// One automaton: `ab` and no more.
    fn starts() -> Vec<Starts> {
        let mut classes = [0; 256];
        (classes[usize::from(b'a')], classes[usize::from(b'b')]) = (1, 2);
        // 0 dead, 1 reports, 2 start, 3 behind `a`, 4 behind `b`.
        let rows = [[0, 0, 0], [0, 0, 0], [0, 3, 0], [0, 0, 4], [1, 1, 1]].concat();
        let report = [DetectorId(0)].into_iter().collect();
        let tables = Tables {
            classes,
            stride: 3,
            rows,
            ends: vec![0, 0, 0, 0, 1],
            starts: [2, 2],
            reports: vec![DetectorBits::default(), report],
            lazy: None,
            role: Role::default(),
        };
        crate::mask::detector::starts(vec![Automaton::new(tables).unwrap()]).0
    }

    #[test]
    fn a_way_lets_through_what_reports_and_whatever_follows() {
        let buckets = of(&starts(), 1, &Conditions::default());
        let fits = |place, first, second| buckets.iter().any(|bucket| bucket.fits(place, first, second));
        assert!(fits(0, b' ', b'a') && fits(0, b'x', b'a') && !fits(0, b' ', b'b'));
        assert!(fits(1, b'a', b'b') && !fits(1, b'a', b'a') && !fits(1, b'b', b'b'));
        // The report comes one byte late; from there on nothing may be dropped.
        assert!(fits(2, b'b', b'?') && fits(3, b'?', b'!') && fits(7, b'z', b'z'));
        assert!(buckets.iter().any(|bucket| bucket.automata() == 1));
    }

    /// A set too large to be looked at is scanned in full, not in part.
    #[test]
    fn where_the_work_is_used_up_everything_fits() {
        for work in [0, 1, SOURCE_WORK, SOURCE_WORK + 5, 2 * SOURCE_WORK + 10] {
            let buckets = within(&starts(), 1, &Conditions::default(), work);
            let [bucket] = buckets.as_slice() else { panic!("{} buckets after {work}", buckets.len()) };
            assert!((0..PAIRS).all(|place| bucket.fits(place, b'x', b'y')), "{work}");
            assert_eq!(bucket.automata(), 1, "{work}");
        }
    }
}
