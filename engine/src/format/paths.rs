//! Many path patterns as one automaton over the members and elements of a JSON document.
//!
//! A document is followed with one state per nesting level; each state knows which patterns end there. Members are
//! compared by name ids, so a key is looked up once, and no key that nobody wrote in a pattern is ever kept.

use crate::policy::path::PathStep;
use std::collections::{BTreeMap, BTreeSet};

/// A place in the patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StateId(u16);

/// A name that some pattern mentions, or [`NameId::OTHER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NameId(u16);

/// Compiled patterns.
#[derive(Debug)]
pub(crate) struct Paths {
    /// By length, then bytes.
    names: Vec<Box<[u8]>>,
    /// Where the names of each length begin; one more entry than the longest name is long, and one for the end.
    lengths: Vec<usize>,
    longest: usize,
    states: Vec<State>,
}

#[derive(Debug, Default)]
struct State {
    members: Vec<(NameId, StateId)>,
    other: StateId,
    element: StateId,
    patterns: Vec<usize>,
}

/// The patterns need more than [`Paths::MAX_STATES`] states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyStates;

/// Pattern and step; the step after the last one means that the pattern ends here.
type Position = (usize, usize);

impl StateId {
    /// The state of the document itself.
    pub(crate) const ROOT: StateId = StateId(0);

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for StateId {
    fn default() -> Self {
        StateId::ROOT
    }
}

impl NameId {
    /// A name that no pattern mentions.
    pub(crate) const OTHER: NameId = NameId(u16::MAX);

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Paths {
    /// Most states. Patterns with several `..` multiply; a policy that needs more is refused.
    pub(crate) const MAX_STATES: usize = 4096;

    /// Compiles patterns; their numbers are their places in the slice. The names of `more` are known too.
    pub(crate) fn new<'n>(
        patterns: &[&'n [PathStep]],
        more: impl IntoIterator<Item = &'n str>,
    ) -> Result<Paths, TooManyStates> {
        let mut names: BTreeSet<_> = more.into_iter().map(|name| (name.len(), name.as_bytes())).collect();
        for step in patterns.iter().copied().flatten() {
            if let PathStep::Key(name) = step {
                names.insert((name.len(), name.as_bytes()));
            }
        }
        if names.len() >= usize::from(u16::MAX) {
            return Err(TooManyStates);
        }
        let names: Vec<Box<[u8]>> = names.into_iter().map(|(_, name)| name.into()).collect();
        let longest = names.last().map_or(0, |name| name.len());
        let lengths =
            (0..=longest + 1).map(|length| names.partition_point(|name| name.len() < length)).collect();
        let mut paths = Paths { names, lengths, longest, states: Vec::new() };
        let start = closure(patterns, (0..patterns.len()).map(|pattern| (pattern, 0)));
        let mut known = BTreeMap::from([(start.clone(), StateId::ROOT)]);
        let mut open = vec![start];
        while let Some(set) = open.get(paths.states.len()).cloned() {
            let mut go = |to: BTreeSet<Position>| -> Result<StateId, TooManyStates> {
                if let Some(&state) = known.get(&to) {
                    return Ok(state);
                }
                let id = u16::try_from(open.len())
                    .ok()
                    .filter(|_| open.len() < Self::MAX_STATES)
                    .ok_or(TooManyStates)?;
                known.insert(to.clone(), StateId(id));
                open.push(to);
                Ok(StateId(id))
            };
            let mut members = Vec::new();
            for (place, name) in paths.names.iter().enumerate() {
                let named = |step: &PathStep| matches!(step, PathStep::Key(key) if key.as_bytes() == &**name);
                if set.iter().any(|&position| step_at(patterns, position).is_some_and(named)) {
                    let to = advance(patterns, &set, |step| named(step) || *step == PathStep::AnyKey);
                    members.push((NameId(u16::try_from(place).map_err(|_| TooManyStates)?), go(to)?));
                }
            }
            let other = go(advance(patterns, &set, |step| *step == PathStep::AnyKey))?;
            let element = go(advance(patterns, &set, |step| *step == PathStep::AnyElement))?;
            let ended = set.iter().filter(|&&position| step_at(patterns, position).is_none());
            let patterns = ended.map(|&(pattern, _)| pattern).collect();
            paths.states.push(State { members, other, element, patterns });
        }
        Ok(paths)
    }

    /// The id of a decoded key.
    pub(crate) fn name(&self, key: &[u8]) -> NameId {
        let range = self.lengths.get(key.len()).zip(self.lengths.get(key.len() + 1));
        let Some((&start, &end)) = range else { return NameId::OTHER };
        // Few names are equally long, and most of them differ in the first byte.
        let mut names = self.names.get(start..end).unwrap_or_default().iter();
        let found = names.position(|name| name.first() == key.first() && **name == *key);
        found.and_then(|place| u16::try_from(start + place).ok()).map_or(NameId::OTHER, NameId)
    }

    /// The text of a name; none for [`NameId::OTHER`].
    pub(crate) fn text(&self, name: NameId) -> Option<&[u8]> {
        self.names.get(name.index()).map(|name| &**name)
    }

    /// All names, in the order of their ids.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(|name| &**name)
    }

    /// Length of the longest name: a longer key is no name.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// From an object to its member.
    pub(crate) fn member(&self, object: StateId, name: NameId) -> StateId {
        let Some(state) = self.states.get(object.index()) else { return StateId::ROOT };
        match state.members.binary_search_by_key(&name, |&(known, _)| known) {
            Ok(place) => state.members.get(place).map_or(state.other, |&(_, to)| to),
            Err(_) => state.other,
        }
    }

    /// From an array to its elements.
    pub(crate) fn element(&self, array: StateId) -> StateId {
        self.states.get(array.index()).map_or(StateId::ROOT, |state| state.element)
    }

    /// The patterns that end in each state, in the order of the states.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &[usize]> {
        self.states.iter().map(|state| state.patterns.as_slice())
    }
}

fn step_at<'p>(patterns: &[&'p [PathStep]], (pattern, step): Position) -> Option<&'p PathStep> {
    patterns.get(pattern)?.get(step)
}

/// With every position also the one behind its `..`, which may stand for nothing.
fn closure(patterns: &[&[PathStep]], positions: impl Iterator<Item = Position>) -> BTreeSet<Position> {
    let mut set = BTreeSet::new();
    for (pattern, mut step) in positions {
        while set.insert((pattern, step)) && step_at(patterns, (pattern, step)) == Some(&PathStep::Descend) {
            step += 1;
        }
    }
    set
}

fn advance(
    patterns: &[&[PathStep]],
    set: &BTreeSet<Position>,
    takes: impl Fn(&PathStep) -> bool,
) -> BTreeSet<Position> {
    let next = set.iter().filter_map(|&(pattern, step)| match step_at(patterns, (pattern, step))? {
        PathStep::Descend => Some((pattern, step)),
        taken if takes(taken) => Some((pattern, step + 1)),
        _ => None,
    });
    closure(patterns, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::path::PathPattern;

    /// Follows `.name` and `[]` steps and returns the patterns that end there.
    fn ends(patterns: &[&str], place: &[&str]) -> Vec<usize> {
        let patterns: Vec<PathPattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        let steps: Vec<&[PathStep]> = patterns.iter().map(PathPattern::steps).collect();
        let paths = Paths::new(&steps, []).unwrap();
        let end = place.iter().fold(StateId::ROOT, |state, step| match *step {
            "[]" => paths.element(state),
            name => paths.member(state, paths.name(name.as_bytes())),
        });
        paths.ends().nth(end.index()).unwrap().to_vec()
    }

    #[test]
    fn patterns_end_where_they_say() {
        let patterns = ["$", "$.a.b", "$.a[*].b", "$..b", "$.a.*", "$.x..b.c"];
        assert_eq!(ends(&patterns, &[]), [0]);
        assert_eq!(ends(&patterns, &["a"]), [0usize; 0]);
        assert_eq!(ends(&patterns, &["a", "b"]), [1, 3, 4]);
        assert_eq!(ends(&patterns, &["a", "[]", "b"]), [2, 3]);
        assert_eq!(ends(&patterns, &["a", "zzz"]), [4]);
        assert_eq!(ends(&patterns, &["[]", "[]", "q", "b"]), [3]);
        assert_eq!(ends(&patterns, &["b", "b", "b"]), [3]);
        assert_eq!(ends(&patterns, &["x", "b", "c"]), [5]);
        assert_eq!(ends(&patterns, &["x", "b", "b", "c"]), [5]);
        assert_eq!(ends(&patterns, &["x", "q", "[]", "b", "c"]), [5]);
        assert_eq!(ends(&patterns, &["x", "b", "d", "c"]), [0usize; 0]);
        assert_eq!(ends(&[], &["x", "[]"]), [0usize; 0]);
    }

    #[test]
    fn names_are_found_by_all_their_bytes() {
        let pattern: PathPattern = "$.a.ab.abc.abd.b.x_y".parse().unwrap();
        let paths = Paths::new(&[pattern.steps()], []).unwrap();
        for name in ["a", "ab", "abc", "abd", "b", "x_y"] {
            assert_eq!(paths.text(paths.name(name.as_bytes())), Some(name.as_bytes()));
        }
        for other in ["", "c", "ac", "abcd", "abe", "A", "x_z"] {
            assert_eq!(paths.name(other.as_bytes()), NameId::OTHER, "{other}");
        }
        assert_eq!(Paths::new(&[], []).unwrap().name(b""), NameId::OTHER);
    }

    #[test]
    fn an_explosion_of_states_is_refused() {
        let deep = format!("$..a{}", ".*".repeat(20));
        let pattern: PathPattern = deep.parse().unwrap();
        assert_eq!(Paths::new(&[pattern.steps()], []).err(), Some(TooManyStates));
    }
}
