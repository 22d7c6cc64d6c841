//! Conditions of a set's automata: what prefixes open, which lists of near words there are, how far words reach.
//!
//! Guarantees: every condition that an automaton names exists, so no detector is silently without matches; near words are
//! of bounded length.

use super::{DetectorBits, InvalidDetectors};
use crate::mask::automaton::{Automaton, Condition, MAX_WITHIN, MAX_WORD, Role};

/// What holds for the conditions of all automata.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    /// Per automaton of prefixes or words: the detectors that depend on it; per other automaton: its own.
    serves: Vec<DetectorBits>,
    /// Prefix, and an automaton that begins behind it; ascending.
    opened: Vec<(u8, u8)>,
    /// Detectors with near words.
    near: DetectorBits,
    /// By list of near words: how far behind one of them something may begin, in bytes.
    reach: Vec<u8>,
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
                    let is_long = |list| automaton.max_length(list).is_none_or(|length| length > MAX_WORD);
                    if automaton.detectors().iter().any(is_long) {
                        return Err(InvalidDetectors::Condition);
                    }
                }
                Role::Matches(Condition { after, near }) => {
                    conditions.opened.extend(after.map(|after| (after, number)));
                    if let Some(near) = near {
                        conditions.near = conditions.near.union(&automaton.detectors());
                        let list = usize::from(near.words);
                        conditions.reach.resize(conditions.reach.len().max(list + 1), 0);
                        if let Some(reach) = conditions.reach.get_mut(list) {
                            *reach = near.within.max(*reach);
                        }
                    }
                }
            }
        }
        conditions.opened.sort_unstable();
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
        let from = self.opened.partition_point(|&(known, _)| known < prefix);
        let opened = self.opened.get(from..).unwrap_or_default();
        opened.iter().take_while(move |(known, _)| *known == prefix).map(|&(_, number)| number)
    }

    /// Number of lists of near words.
    pub(crate) fn lists(&self) -> usize {
        self.reach.len()
    }

    /// How far behind a word of this list something may begin, in bytes.
    pub(crate) fn reach(&self, list: u8) -> u8 {
        self.reach.get(usize::from(list)).copied().unwrap_or(0)
    }
}
