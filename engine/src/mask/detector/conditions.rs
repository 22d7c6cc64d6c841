//! Conditions of a set's automata: what prefixes open, which lists of near words there are, how far back they reach.
//!
//! Guarantees: every condition that an automaton names exists, so no detector is silently without matches; a near word is
//! found by looking back over a bounded number of bytes.

use super::{DetectorBits, InvalidDetectors};
use crate::mask::automaton::{Automaton, Condition, MAX_WITHIN, MAX_WORD, Role};

/// What holds for the conditions of all automata.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    /// Per automaton of prefixes or words: the detectors that depend on it; per other automaton: its own.
    serves: Vec<DetectorBits>,
    /// Prefix, and an automaton that begins behind it; ascending.
    opened: Vec<(u8, u8)>,
    /// Automata of near words.
    words: Vec<u8>,
    /// Detectors with near words.
    near: DetectorBits,
    /// Number of lists of near words.
    lists: usize,
    /// Longest near word in bytes.
    longest: usize,
    /// How far before a match the begin of a near word can be, in bytes.
    reach: usize,
}

impl Conditions {
    /// Collects and checks the conditions.
    pub(super) fn new(automata: &[Automaton]) -> Result<Conditions, InvalidDetectors> {
        let mut conditions = Conditions::default();
        let (mut prefixes, mut lists) = (DetectorBits::new(), DetectorBits::new());
        for (automaton, number) in automata.iter().zip(0u8..) {
            match automaton.role() {
                Role::Prefixes => prefixes = prefixes.union(&automaton.detectors()),
                Role::Words => {
                    lists = lists.union(&automaton.detectors());
                    conditions.words.push(number);
                    for list in automaton.detectors().iter() {
                        let length = automaton.max_length(list).filter(|&length| length <= MAX_WORD);
                        let length = length.and_then(|length| usize::try_from(length).ok());
                        let length = length.ok_or(InvalidDetectors::Condition)?;
                        conditions.longest = conditions.longest.max(length);
                    }
                }
                Role::Matches(Condition { after, near }) => {
                    conditions.opened.extend(after.map(|after| (after, number)));
                    if let Some(near) = near {
                        conditions.near = conditions.near.union(&automaton.detectors());
                        conditions.lists = conditions.lists.max(usize::from(near.words) + 1);
                        conditions.reach = conditions.reach.max(usize::from(near.within));
                    }
                }
            }
        }
        conditions.opened.sort_unstable();
        conditions.reach += if conditions.near.is_empty() { 0 } else { conditions.longest };
        for automaton in automata {
            let Condition { after, near } = automaton.role().condition();
            let known = |set: &DetectorBits, number: u8| set.iter().any(|id| id.0 == u16::from(number));
            let sound = after.is_none_or(|after| known(&prefixes, after))
                && near.is_none_or(|near| known(&lists, near.words) && near.within <= MAX_WITHIN);
            if !sound {
                return Err(InvalidDetectors::Condition);
            }
        }
        conditions.serves = automata.iter().map(|automaton| conditions.served(automaton, automata)).collect();
        Ok(conditions)
    }

    fn served(&self, automaton: &Automaton, automata: &[Automaton]) -> DetectorBits {
        match automaton.role() {
            Role::Matches(_) => automaton.detectors(),
            Role::Words => self.near,
            Role::Prefixes => {
                let own = automaton.detectors();
                let opened =
                    self.opened.iter().filter(|(prefix, _)| own.iter().any(|id| id.0 == u16::from(*prefix)));
                let automata = opened.filter_map(|&(_, number)| automata.get(usize::from(number)));
                automata.fold(DetectorBits::new(), |all, automaton| all.union(&automaton.detectors()))
            }
        }
    }

    /// The detectors that an automaton matters to.
    #[inline]
    pub(crate) fn serves(&self, automaton: u8) -> DetectorBits {
        self.serves.get(usize::from(automaton)).copied().unwrap_or_default()
    }

    /// The automata that begin where a prefix ends.
    pub(crate) fn opened(&self, prefix: u8) -> impl Iterator<Item = u8> + '_ {
        self.opened.iter().filter(move |(known, _)| *known == prefix).map(|&(_, number)| number)
    }

    /// The automata of near words.
    pub(crate) fn words(&self) -> &[u8] {
        &self.words
    }

    /// Number of lists of near words.
    pub(crate) fn lists(&self) -> usize {
        self.lists
    }

    /// Length of the longest near word, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// How far before a match the begin of a near word can be, in bytes.
    pub(crate) fn reach(&self) -> usize {
        self.reach
    }

    /// How much of the text that went by is needed, in bytes: a near word and the byte before it.
    pub(crate) fn context(&self, active: &DetectorBits) -> usize {
        if self.near.intersects(active) { self.reach + 1 } else { 0 }
    }
}
