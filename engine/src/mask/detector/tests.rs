//! Tests of detector sets and of the bit set.

use super::*;
use crate::mask::automaton::{Condition, Near, Role, Tables};

/// An automaton that reports `detector` for one `x`, or for `x` to the power of `length` if that is more.
fn power(detector: u16, length: u16) -> Automaton {
    with_role(detector, length, Role::default())
}

fn with_role(detector: u16, length: u16, role: Role) -> Automaton {
    let mut classes = [0; 256];
    classes[usize::from(b'x')] = 1;
    // 0 dead, 1 reports, 2 start, 3.. after that many x.
    let states = 3 + length;
    let mut rows = vec![0; usize::from(states) * 2];
    let mut ends = vec![0; usize::from(states)];
    for count in 0..length {
        rows[usize::from(2 + count) * 2 + 1] = 3 + count;
    }
    let last = usize::from(2 + length);
    rows[last * 2..last * 2 + 2].fill(1);
    ends[last] = 1;
    let report: DetectorBits = [DetectorId(detector)].into_iter().collect();
    let reports = vec![DetectorBits::default(), report];
    Automaton::new(Tables { classes, stride: 2, rows, ends, starts: [2, 2], reports, lazy: None, role })
        .unwrap()
}

#[test]
fn detectors_and_automata_must_fit() {
    let new = DetectorSet::with_validators;
    assert_eq!(new(vec![power(0, 1), power(1, 3)], vec![None, None]).unwrap().len(), 2);
    assert!(new(vec![], vec![]).unwrap().is_empty());
    let unknown = InvalidDetectors::Unknown { detector: DetectorId(1), count: 1 };
    assert_eq!(new(vec![power(0, 1), power(1, 3)], vec![None]).unwrap_err(), unknown);
    assert_eq!(new(vec![power(0, 1)], vec![None; 2]).unwrap_err(), InvalidDetectors::Missing(DetectorId(1)));
    let twice = vec![power(0, 1), power(0, 2)];
    assert_eq!(new(twice, vec![None]).unwrap_err(), InvalidDetectors::Repeated(DetectorId(0)));
    assert_eq!(new(vec![], vec![None; MAX_DETECTORS + 1]).unwrap_err(), InvalidDetectors::TooMany);
    let many = (0..=64).map(|id| power(id, 1)).collect();
    assert_eq!(new(many, vec![None; 65]).unwrap_err(), InvalidDetectors::TooMany);
}

/// A condition that does not exist would be a detector that never matches.
#[test]
fn conditions_must_exist_and_be_bounded() {
    let new = |automata| DetectorSet::with_validators(automata, vec![None]).map(|set| set.len());
    let behind = |after| with_role(0, 2, Role::Matches(Condition { after: Some(after), near: None }));
    let near = |words, within| {
        with_role(0, 2, Role::Matches(Condition { after: None, near: Some(Near { words, within }) }))
    };
    let (prefixes, words) =
        (|id| with_role(id, 5, Role::Prefixes), |id, length| with_role(id, length, Role::Words));
    assert_eq!(new(vec![prefixes(7), behind(7)]), Ok(1));
    assert_eq!(new(vec![near(3, 128), words(3, 64)]), Ok(1));
    let refused = Err(InvalidDetectors::Condition);
    assert_eq!(new(vec![behind(7)]), refused);
    assert_eq!(new(vec![prefixes(8), behind(7)]), refused);
    assert_eq!(new(vec![near(3, 128)]), refused);
    assert_eq!(new(vec![near(3, 128), words(2, 64)]), refused);
    assert_eq!(new(vec![near(3, 129), words(3, 64)]), refused);
    assert_eq!(new(vec![near(3, 128), words(3, 65)]), refused);
    // Those that begin anywhere come first: their numbers are bits.
    assert_eq!(new(vec![behind(7), prefixes(7)]), Err(InvalidDetectors::TooMany));
}

#[test]
fn bounds_hold_when_a_set_exists() {
    let new = DetectorSet::with_validators;
    let window = u16::try_from(MAX_WINDOW).unwrap();
    assert!(new(vec![power(0, window)], vec![None]).is_ok());
    let long = new(vec![power(0, window + 1)], vec![None]);
    assert_eq!(long.unwrap_err(), InvalidDetectors::Undecided(DetectorId(0)));
    let validated = |length| new(vec![power(0, length)], vec![Some(Validator::Luhn)]);
    assert!(validated(128).is_ok());
    assert_eq!(validated(129).unwrap_err(), InvalidDetectors::Unbounded(DetectorId(0)));
}

#[test]
fn bits_are_a_set() {
    let numbers = [0, 1, 63, 64, 127, 128, 200, 255];
    let bits: DetectorBits = numbers.map(DetectorId).into_iter().collect();
    assert_eq!(bits.iter().map(|id| id.0).collect::<Vec<_>>(), numbers);
    for id in 0..300 {
        assert_eq!(bits.contains(DetectorId(id)), numbers.contains(&id), "{id}");
    }
    let other: DetectorBits = [DetectorId(1), DetectorId(2), DetectorId(256)].into_iter().collect();
    assert_eq!(other.iter().count(), 2, "256 cannot be a member");
    assert_eq!(bits.union(&other).iter().count(), 9);
    assert_eq!(bits.intersection(&other).iter().map(|id| id.0).collect::<Vec<_>>(), [1]);
    assert_eq!(other.difference(&bits).iter().map(|id| id.0).collect::<Vec<_>>(), [2]);
    assert!(bits.intersects(&other) && !bits.is_empty() && DetectorBits::new().is_empty());
}
