//! Patterns of predicates: an expression that must match a whole text.

use crate::policy::pattern::{MAX_CELLS, Pattern};
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};
use std::collections::{BTreeMap, VecDeque};

/// Most bytes of the intermediate table, whose cells are twice as wide and whose rows may be twice as long.
const TABLE_LIMIT: usize = 4 * 2 * MAX_CELLS;
/// Working memory while a pattern is built; bounds the time of an attempt that fails.
const WORK_LIMIT: usize = 4 << 20;

/// Why there is no pattern of an expression.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WholeError {
    /// It is no expression over ASCII, or looks around in a way that is not supported.
    #[error("{0}")]
    Syntax(String),
    /// Its automaton would be too large.
    #[error("its automaton would be too large")]
    TooLarge,
}

/// The pattern of a regular expression over bytes: ASCII classes, no back-references.
///
/// # Errors
/// See [`WholeError`].
pub fn whole_pattern(expression: &str) -> Result<Pattern, WholeError> {
    // On its own first, so that a stray `)` cannot end the group around it.
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(expression)
        .map_err(|error| WholeError::Syntax(error.to_string()))?;
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .minimize(false)
        .accelerate(false)
        .dfa_size_limit(Some(TABLE_LIMIT))
        .determinize_size_limit(Some(WORK_LIMIT));
    let dfa = dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .thompson(regex_automata::nfa::thompson::Config::new().utf8(false).nfa_size_limit(Some(WORK_LIMIT)))
        .build(&format!("(?:{expression})\\z"))
        .map_err(|error| {
            if error.is_size_limit_exceeded() {
                WholeError::TooLarge
            } else {
                WholeError::Syntax(error.to_string())
            }
        })?;
    table(&dfa)
}

/// Everything reachable from the start, in the order of a breadth-first walk.
fn table(dfa: &dense::DFA<Vec<u32>>) -> Result<Pattern, WholeError> {
    let alphabet = dfa.byte_classes();
    let classes: Vec<u8> = (0..=255).map(|byte| alphabet.get(byte)).collect();
    let stride = classes.iter().max().map_or(0, |class| usize::from(*class) + 1);
    let member = |class: usize| {
        let at = classes.iter().position(|known| usize::from(*known) == class).unwrap_or_default();
        u8::try_from(at).unwrap_or_default()
    };
    let members: Vec<u8> = (0..stride).map(member).collect();
    let mut numbers: BTreeMap<StateID, u16> = BTreeMap::new();
    let mut queue = VecDeque::new();
    let mut number = |state: StateID, queue: &mut VecDeque<StateID>| {
        if dfa.is_dead_state(state) {
            return Ok(0);
        }
        if let Some(known) = numbers.get(&state) {
            return Ok(*known);
        }
        let next = u16::try_from(numbers.len() + 1).map_err(|_| WholeError::TooLarge)?;
        numbers.insert(state, next);
        queue.push_back(state);
        Ok(next)
    };
    let start = dfa
        .start_state(&start::Config::new().anchored(Anchored::Yes))
        .map_err(|error| WholeError::Syntax(error.to_string()))?;
    number(start, &mut queue)?;
    let (mut rows, mut accepts) = (vec![0; stride], vec![false]);
    while let Some(state) = queue.pop_front() {
        if dfa.is_quit_state(state) || rows.len() + stride > MAX_CELLS {
            return Err(WholeError::TooLarge);
        }
        for byte in &members {
            rows.push(number(dfa.next_state(state, *byte), &mut queue)?);
        }
        accepts.push(dfa.is_match_state(dfa.next_eoi_state(state)));
    }
    let stride = u16::try_from(stride).map_err(|_| WholeError::TooLarge)?;
    // What never matches anything has a start that is dead.
    if accepts.len() < 2 {
        rows.extend(vec![0; usize::from(stride)]);
        accepts.push(false);
    }
    Ok(Pattern { classes, stride, rows, accepts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_all_of_a_text_or_nothing() {
        for (expression, good, bad) in [
            ("a|ab", &["a", "ab"][..], &["", "b", "abc", "aab"][..]),
            (
                "[a-z]+(-[0-9]{2,3})?",
                &["x", "team-42", "team-421"],
                &["team-4", "team-4211", "Team-42", "team-42 "],
            ),
            ("", &[""], &["a"]),
            ("^x$", &["x"], &["xx", "x\n"]),
            (
                r"spiffe://acme\.test/agent/.*",
                &["spiffe://acme.test/agent/", "spiffe://acme.test/agent/7"],
                &["spiffe://acmeXtest/agent/7", " spiffe://acme.test/agent/7"],
            ),
            ("(?i)admin", &["admin", "ADMIN"], &["admins"]),
            (r"\bfoo\b", &["foo"], &["foo "]),
            ("[^a]", &["b", "\u{7f}"], &["a", ""]),
            ("[a&&b]", &[], &["", "a", "b"]),
        ] {
            let pattern = whole_pattern(expression).unwrap();
            assert!(pattern.is_sound(), "{expression}");
            for text in good {
                assert!(pattern.matches(text.as_bytes()), "{expression}: {text:?}");
            }
            for text in bad {
                assert!(!pattern.matches(text.as_bytes()), "{expression}: {text:?}");
            }
        }
    }

    #[test]
    fn what_is_no_expression_or_too_large_is_refused() {
        for expression in ["(", "a)|(b", "[", r"\p{Greek}", "(?=a)", "a{1,2}{99999}"] {
            assert!(whole_pattern(expression).is_err(), "{expression}");
        }
        assert!(matches!(whole_pattern("(a|b)*a(a|b){15}"), Err(WholeError::TooLarge)));
    }

    #[test]
    fn damaged_tables_are_not_sound() {
        let good = whole_pattern("ab+").unwrap();
        for damage in [
            |pattern: &mut Pattern| pattern.rows.iter_mut().for_each(|cell| *cell = 999),
            |pattern: &mut Pattern| pattern.rows.truncate(3),
            |pattern: &mut Pattern| pattern.classes.truncate(9),
            |pattern: &mut Pattern| pattern.stride = 1,
            |pattern: &mut Pattern| pattern.accepts[0] = true,
            |pattern: &mut Pattern| pattern.rows[0] = 1,
            |pattern: &mut Pattern| pattern.accepts.clear(),
        ] {
            let mut pattern = good.clone();
            damage(&mut pattern);
            assert!(!pattern.is_sound());
            assert!(!pattern.matches(b"zz"));
        }
    }
}
