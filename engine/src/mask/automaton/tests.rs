//! Tests of the automaton: small hand-made tables, and every damage to their bytes.

use super::*;
use crate::policy::id::DetectorId;

const ID: DetectorId = DetectorId(3);

/// `ab{1,}` as detector 3: states 1 = after b, when more came; 2 = start; 3 = after a; 4 = after b.
fn tables() -> Tables {
    let mut classes = [0; 256];
    classes[usize::from(b'a')] = 1;
    classes[usize::from(b'b')] = 2;
    let rows = [
        [0, 0, 0], // dead
        [0, 0, 0], // 1: reports, no more to come
        [0, 0, 0], // 2: reports; another b follows
        [0, 4, 0], // 3: start
        [0, 0, 5], // 4: a
        [1, 1, 2], // 5: ab
    ];
    let mut rows: Vec<u16> = rows.concat();
    rows.splice(6..9, [1, 1, 2]);
    let report: DetectorBits = [ID].into_iter().collect();
    Tables {
        classes,
        stride: 3,
        rows,
        ends: vec![0, 0, 1, 0, 0, 1],
        starts: [3, DEAD],
        reports: vec![DetectorBits::default(), report, report],
        lazy: None,
        role: Role::default(),
    }
}

fn lazy_tables() -> Tables {
    let mut class = [0; 4];
    class[1] = 1 << (b'x' - 64);
    Tables { lazy: LazyPrefix::new(class, 7, b'a'), ..tables() }
}

/// Every kind of role, on the same automaton.
fn roles() -> impl Iterator<Item = Tables> {
    let condition = |after, near| Role::Matches(Condition { after, near });
    let near = Some(Near { words: 3, within: MAX_WITHIN });
    let roles = [
        condition(Some(255), None),
        condition(None, near),
        condition(Some(0), near),
        Role::Prefixes,
        Role::Words,
    ];
    roles.into_iter().map(|role| Tables { role, ..tables() })
}

fn encoded(automaton: &Automaton) -> Vec<u8> {
    let mut bytes = Vec::new();
    automaton.encode(&mut bytes);
    bytes
}

#[test]
fn encoding_returns_the_same_automaton() {
    for tables in roles().chain([tables(), lazy_tables()]) {
        let automaton = Automaton::new(tables).unwrap();
        assert_eq!(Automaton::decode(&encoded(&automaton)), Ok(automaton));
    }
}

#[test]
fn reports_come_one_byte_late_and_name_what_can_follow() {
    let automaton = Automaton::new(tables()).unwrap();
    assert!(automaton.detectors().contains(ID));
    let start = automaton.start(false);
    let ab = automaton.next(automaton.next(start, b'a'), b'b');
    assert!(automaton.reports(ab).is_empty());
    let abb = automaton.next(ab, b'b');
    assert!(automaton.reports(abb).contains(ID) && automaton.reach(abb).contains(ID));
    let over = automaton.next(abb, b'x');
    assert!(automaton.reports(over).contains(ID) && automaton.reach(over).is_empty());
    assert!(automaton.reports(automaton.end(ab)).contains(ID));
    assert_eq!(automaton.start(true), DEAD);
}

#[test]
fn lengths_are_measured() {
    let automaton = Automaton::new(tables()).unwrap();
    assert_eq!(automaton.indecision(ID), Indecision::Bounded(2));
    assert_eq!(automaton.max_length(ID), None, "b repeats");
    let lazy = Automaton::new(lazy_tables()).unwrap();
    assert_eq!(lazy.indecision(ID), Indecision::Bounded(9));
}

#[test]
fn a_cycle_without_report_is_found() {
    let mut endless = tables();
    // `a` may be followed by any number of `a`.
    endless.rows[4 * 3 + 1] = 4;
    let automaton = Automaton::new(endless).unwrap();
    let Indecision::Unbounded { witness } = automaton.indecision(ID) else { panic!("there is a cycle") };
    assert_eq!(witness, b"a");
}

#[test]
fn every_truncation_is_refused() {
    for tables in roles().chain([tables(), lazy_tables()]) {
        let bytes = encoded(&Automaton::new(tables).unwrap());
        for length in 0..bytes.len() {
            assert!(Automaton::decode(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
        }
        assert_eq!(Automaton::decode(&[bytes.as_slice(), &[0]].concat()), Err(DecodeError::Trailing));
    }
}

/// Whatever one byte becomes, the result is refused or every lookup stays in range.
#[test]
fn every_damaged_byte_is_refused_or_harmless() {
    let (mut refused, mut accepted) = (0, 0);
    for tables in roles().chain([tables(), lazy_tables()]) {
        let bytes = encoded(&Automaton::new(tables).unwrap());
        for at in 0..bytes.len() {
            for value in 0..=u8::MAX {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                match Automaton::decode(&damaged) {
                    Ok(automaton) => {
                        accepted += 1;
                        assert_in_range(&automaton);
                        assert_eq!(Automaton::decode(&encoded(&automaton)), Ok(automaton));
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 1000 && accepted > 1000, "{refused} refused, {accepted} accepted");
}

fn assert_in_range(automaton: &Automaton) {
    let states = u16::try_from(automaton.states()).unwrap();
    assert_eq!(automaton.rows.len(), automaton.states() * automaton.class_count());
    assert!(automaton.reports.len() <= automaton.states());
    for state in 0..states {
        for byte in 0..=u8::MAX {
            let next = automaton.next(state, byte);
            assert!(next < states);
            assert!(state != DEAD || next == DEAD);
        }
        assert!(automaton.end(state) <= automaton.last_special());
        assert_eq!(state <= automaton.last_special() && state != DEAD, !automaton.reports(state).is_empty());
        assert!(state <= automaton.last_special() || !automaton.reach(state).is_empty());
        let _ = automaton.indecision(ID);
    }
    for start in [automaton.start(false), automaton.start(true)] {
        assert!(start < states);
    }
}

#[test]
fn a_small_input_cannot_reserve_a_large_table() {
    let mut bytes = vec![255]; // 256 classes
    bytes.extend_from_slice(&[0; 256]);
    bytes.extend_from_slice(&u16::MAX.to_le_bytes());
    bytes.extend_from_slice(&[0; 64]);
    assert_eq!(Automaton::decode(&bytes), Err(DecodeError::TooLarge));
    bytes[0] = 0;
    assert_eq!(Automaton::decode(&bytes), Err(DecodeError::TooLarge), "states that the input cannot hold");
}

#[test]
fn unsound_tables_are_refused() {
    let refused = |change: fn(&mut Tables)| {
        let mut tables = tables();
        change(&mut tables);
        Automaton::new(tables).unwrap_err()
    };
    assert_eq!(refused(|tables| tables.classes[9] = 3), DecodeError::Class);
    assert_eq!(refused(|tables| tables.rows[10] = 6), DecodeError::State);
    assert_eq!(refused(|tables| tables.rows[0] = 1), DecodeError::State);
    assert_eq!(refused(|tables| tables.ends[3] = 4), DecodeError::State);
    assert_eq!(refused(|tables| tables.starts[1] = 6), DecodeError::State);
    assert_eq!(refused(|tables| tables.reports[1] = DetectorBits::default()), DecodeError::Reports);
    assert_eq!(refused(|tables| tables.reports[0].insert(ID)), DecodeError::Reports);
    assert_eq!(refused(|tables| tables.rows.truncate(9)), DecodeError::Inconsistent);
    assert_eq!(refused(|tables| tables.rows[3 * 3] = 1), DecodeError::EmptyMatch);
    assert_eq!(refused(|tables| tables.ends[3] = 1), DecodeError::EmptyMatch);
    let barren = |tables: &mut Tables| {
        tables.rows[5 * 3..].fill(0);
        tables.ends[5] = 0;
    };
    assert_eq!(refused(barren), DecodeError::Barren);
    let other_start = |tables: &mut Tables| tables.lazy = LazyPrefix::new([u64::MAX, 0, 0, 0], 3, b'b');
    assert_eq!(refused(other_start), DecodeError::Lazy);
}

#[test]
fn roles_that_make_no_sense_are_refused() {
    let lazy = |role| Automaton::new(Tables { role, ..lazy_tables() });
    assert_eq!(lazy(Role::Prefixes).unwrap_err(), DecodeError::Role);
    assert_eq!(lazy(Role::Matches(Condition { after: Some(0), near: None })).unwrap_err(), DecodeError::Role);
    let bytes = encoded(&Automaton::new(tables()).unwrap());
    // Behind the stride, the classes, two counts and two starts.
    let flags = 1 + 256 + 8;
    for value in 0..=u8::MAX {
        let mut changed = bytes.clone();
        changed[flags] = value;
        let both = value & 24 == 24 || (value & 24 != 0 && value & 7 != 0);
        if value > 31 || both {
            assert!(Automaton::decode(&changed).is_err(), "{value}");
        }
    }
    let far = Near { words: 0, within: MAX_WITHIN + 1 };
    let far = Tables { role: Role::Matches(Condition { after: None, near: Some(far) }), ..tables() };
    let bytes = encoded(&Automaton::new(far).unwrap());
    assert_eq!(Automaton::decode(&bytes), Err(DecodeError::Role));
}

#[test]
fn a_lazy_prefix_never_contains_its_trigger() {
    assert_eq!(LazyPrefix::new([u64::MAX; 4], 3, b'@'), None);
    assert_eq!(LazyPrefix::new([0; 4], 3, b'@'), None);
    assert_eq!(LazyPrefix::new([1, 0, 0, 0], 0, b'@'), None);
    assert_eq!(LazyPrefix::new([1, 0, 0, 0], MAX_LAZY_PREFIX + 1, b'@'), None);
    assert!(LazyPrefix::new([1, 0, 0, 0], MAX_LAZY_PREFIX, b'@').is_some_and(|lazy| lazy.contains(0)));
}

#[test]
fn debug_is_short() {
    let printed = format!("{:?}", Automaton::new(tables()).unwrap());
    assert!(printed.len() < 120, "{printed}");
}
