//! Patterns of predicates: automata that say whether they match a whole text.
//!
//! Guarantees: a [`Pattern`] that was checked takes one step per byte and never leaves its tables. It deliberately does not build
//! itself from an expression; see the `compile` feature.

use serde::{Deserialize, Serialize};

/// Most cells of the table of one pattern.
pub const MAX_CELLS: usize = 1 << 15;

/// A deterministic automaton over bytes. State 0 is dead, state 1 the start.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Class of each of the 256 bytes.
    pub(crate) classes: Vec<u8>,
    /// Classes: cells of a row.
    pub(crate) stride: u16,
    /// One row per state.
    pub(crate) rows: Vec<u16>,
    /// Whether a text that ends in the state is matched.
    pub(crate) accepts: Vec<bool>,
}

impl Pattern {
    /// Whether every cell leads to a state.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let (states, stride) = (self.accepts.len(), usize::from(self.stride));
        self.classes.len() == 256
            && self.classes.iter().all(|class| u16::from(*class) < self.stride)
            && states >= 2
            && self.rows.len() <= MAX_CELLS
            && states.checked_mul(stride) == Some(self.rows.len())
            && self.rows.iter().all(|state| usize::from(*state) < states)
            && self.accepts.first() == Some(&false)
            && self.rows.iter().take(stride).all(|state| *state == 0)
    }

    /// Whether it matches all of `text`.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let mut state = 1_usize;
        for byte in text {
            let class = self.classes.get(usize::from(*byte)).copied().unwrap_or_default();
            let cell = self.rows.get(state * usize::from(self.stride) + usize::from(class));
            state = usize::from(cell.copied().unwrap_or_default());
            if state == 0 {
                return false;
            }
        }
        self.accepts.get(state).copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pattern({} states)", self.accepts.len())
    }
}
