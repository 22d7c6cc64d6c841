//! Which ways of beginning go well together: tried out on text.
//!
//! The filter in front of the automata has eight buckets for all ways in which matches begin. What a bucket lets through
//! grows with what is put into it, so ways are distributed until as little of a sample is let through as can be. Only
//! speed depends on it: the engine takes any distribution.

use crate::mask::automaton::Automaton;
use crate::mask::detector::{BUCKETS, DetectorSet, PAIRS, Way, is_pair};
use std::collections::BTreeMap;

/// Text as it passes: prose, code, and JSON of the usual interfaces.
const SAMPLE: [&[u8]; 7] = [
    include_bytes!("sample.txt"),
    include_bytes!("../../tests/data/recorded/bedrock-json-902b2b83.resp.json"),
    include_bytes!("../../tests/data/recorded/gemini-json-2378c9f3.resp.json"),
    include_bytes!("../../tests/data/recorded/ollama-json-reasoning-e58eb077.resp.json"),
    include_bytes!("../../tests/data/recorded/openai-chat-json-90043a7d.resp.json"),
    include_bytes!("../../tests/data/recorded/openai-responses-json-reasoning-1b4f7f0e.resp.json"),
    include_bytes!("../../tests/data/recorded/otlp-json-json-17d17e93.resp.json"),
];

/// Most bytes of each.
const PART: usize = 2 * 1024;

/// How often every way is asked whether another bucket suits it better.
const ROUNDS: usize = 1;

/// Most kinds for that, since every one of them looks at all: more are left where they went at first.
const MANY: usize = 2048;

/// Ways that fit the sample alike.
struct Kind {
    fits: Fits,
    /// By automaton and number.
    ways: Vec<(u8, usize)>,
    cost: u64,
}

/// A bit for each pair of neighbours in the sample that fits; place after place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fits(Vec<u64>);

/// The same automata, with a bucket for each of their ways.
pub(super) fn distribute(automata: Vec<Automaton>) -> Vec<Automaton> {
    let sample: Vec<u8> = SAMPLE.iter().flat_map(|part| part.iter().take(PART).copied()).collect();
    let words = sample.len().div_ceil(64);
    let mut buckets: Vec<Vec<u8>> = vec![Vec::new(); automata.len()];
    for ways in DetectorSet::ways(&automata) {
        let mut kinds: BTreeMap<Fits, Vec<(u8, usize)>> = BTreeMap::new();
        let mut known: Vec<(Way, Fits)> = Vec::new();
        for (automaton, number, way) in ways {
            let fits = match known.iter().find(|(other, _)| *other == way) {
                Some((_, fits)) => fits.clone(),
                None => {
                    let fits = Fits::new(&way, &sample, words);
                    known.push((way, fits.clone()));
                    fits
                }
            };
            kinds.entry(fits).or_default().push((automaton, number));
            if let Some(list) = buckets.get_mut(usize::from(automaton)) {
                list.push(0);
            }
        }
        let mut kinds: Vec<Kind> =
            kinds.into_iter().map(|(fits, ways)| Kind { cost: fits.cost(), fits, ways }).collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.cost));
        for (kind, bucket) in kinds.iter().zip(places(&kinds, words)) {
            for &(automaton, number) in &kind.ways {
                let list = buckets.get_mut(usize::from(automaton));
                if let Some(cell) = list.and_then(|list| list.get_mut(number)) {
                    *cell = bucket;
                }
            }
        }
    }
    automata.into_iter().zip(buckets).map(|(automaton, buckets)| automaton.with_buckets(buckets)).collect()
}

/// A bucket for each kind. Those that cost most come first.
fn places(kinds: &[Kind], words: usize) -> Vec<u8> {
    let none = Fits(vec![0; words * PAIRS]);
    let mut groups: Vec<(Fits, u64)> = vec![(none.clone(), 0); BUCKETS];
    let mut places: Vec<u8> = Vec::new();
    for kind in kinds {
        places.push(join(&mut groups, &kind.fits));
    }
    let rounds = if kinds.len() > MANY { 0 } else { ROUNDS };
    for _ in 0..rounds {
        for (number, kind) in kinds.iter().enumerate() {
            let Some(&from) = places.get(number) else { continue };
            let mut without = none.clone();
            for (other, (kind, &place)) in kinds.iter().zip(&places).enumerate() {
                if other != number && place == from {
                    without.unite(&kind.fits);
                }
            }
            if let Some(group) = groups.get_mut(usize::from(from)) {
                *group = (without.clone(), without.cost());
            }
            let to = join(&mut groups, &kind.fits);
            if let Some(place) = places.get_mut(number) {
                *place = to;
            }
        }
    }
    places
}

/// Adds to the group whose cost grows least.
fn join(groups: &mut [(Fits, u64)], new: &Fits) -> u8 {
    let added = groups.iter().map(|(group, cost)| group.united_cost(new).saturating_sub(*cost));
    let best = added.enumerate().min_by_key(|&(_, added)| added).map_or(0, |(place, _)| place);
    if let Some((group, cost)) = groups.get_mut(best) {
        group.unite(new);
        *cost = group.cost();
    }
    u8::try_from(best).unwrap_or(0)
}

impl Fits {
    fn new(way: &Way, sample: &[u8], words: usize) -> Fits {
        let mut allowed = [[0; 128]; PAIRS];
        way.allow(&mut allowed);
        let mut fits = vec![0u64; words * PAIRS];
        for (fits, pairs) in fits.chunks_exact_mut(words).zip(&allowed) {
            for (position, pair) in sample.windows(2).enumerate() {
                if let (Some(word), &[first, second]) = (fits.get_mut(position / 64), pair) {
                    *word |= u64::from(is_pair(pairs, first, second)) << (position % 64);
                }
            }
        }
        Fits(fits)
    }

    fn unite(&mut self, other: &Fits) {
        for (fits, others) in self.0.iter_mut().zip(&other.0) {
            *fits |= others;
        }
    }

    fn cost(&self) -> u64 {
        self.united_cost(self)
    }

    /// What both together let through: positions at which more pairs fit count more, up to all of them.
    fn united_cost(&self, other: &Fits) -> u64 {
        let words = self.0.len() / PAIRS;
        let at = |place: usize, word: usize| {
            let here = place * words + word;
            let own = self.0.get(here).copied().unwrap_or(0);
            own | other.0.get(here).copied().unwrap_or(0)
        };
        let mut cost = 0;
        for word in 0..words {
            let mut fits = at(0, word);
            for place in 0..PAIRS {
                if place > 0 {
                    // The pair of a later place stands that much later in the sample.
                    let next = if word + 1 < words { at(place, word + 1) } else { 0 };
                    fits &= at(place, word) >> place | next << (64 - place);
                }
                if fits == 0 {
                    break;
                }
                cost += u64::from(fits.count_ones()) << place;
            }
        }
        cost
    }
}
