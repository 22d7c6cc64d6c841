//! What an automaton is for: detectors that match anywhere, detectors with a condition, or the conditions themselves.

/// What the reports of an automaton mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Matches of detectors, all of which begin under the same condition.
    Matches(Condition),
    /// Prefixes, by number: where one ends, the automata begin whose condition names it.
    Prefixes,
    /// Lists of near words, by number: shortly behind the end of a word, the automata may begin whose condition names its list.
    Words,
}

/// Where a match may begin. Both parts, if there are two, must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Only where this prefix ends.
    pub after: Option<u8>,
    /// Only where one of these words ended shortly before.
    pub near: Option<Near>,
}

/// "Not more than `within` bytes behind the end of a word of list `words`."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    /// Number of the list.
    pub words: u8,
    /// Most bytes between the end of the word and the begin of the match, at most [`MAX_WITHIN`].
    pub within: u8,
}

/// Farthest near word, in bytes.
pub const MAX_WITHIN: u8 = 128;

/// Longest near word, in bytes.
pub const MAX_WORD: u32 = 64;

impl Default for Role {
    fn default() -> Role {
        Role::Matches(Condition::default())
    }
}

impl Role {
    /// The condition of matches; none for what reports no matches.
    #[must_use]
    pub fn condition(self) -> Condition {
        if let Role::Matches(condition) = self { condition } else { Condition::default() }
    }

    /// Do its starts come from the text alone, wherever a first byte fits?
    pub(crate) fn begins_anywhere(self) -> bool {
        match self {
            Role::Matches(condition) => condition.after.is_none(),
            Role::Prefixes | Role::Words => true,
        }
    }

    /// Does it report matches of detectors?
    #[inline]
    pub(crate) fn is_matches(self) -> bool {
        matches!(self, Role::Matches(_))
    }
}
