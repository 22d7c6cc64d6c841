//! The demo's story, told to a buffer: every step, every check.
#![cfg(test)]

use veilwire_tests::demo::{self, Ending};

/// Checks of each step of the story; a check that is skipped is a failure.
const CHECKS: [usize; 8] = [3, 1, 2, 2, 4, 6, 4, 4];

#[test]
fn every_step_of_the_story_is_as_expected() {
    let mut out = Vec::new();
    let checks = demo::run(&mut out, false, Ending::Once).unwrap();
    let told = String::from_utf8(out).unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed).collect();
    assert!(failed.is_empty(), "{failed:#?}\n{told}");
    let counts: Vec<usize> =
        (1..=8).map(|step| checks.iter().filter(|check| check.step == step).count()).collect();
    assert_eq!(counts, CHECKS, "{told}");
    assert_eq!(told.matches('✓').count(), checks.len());
    assert!(!told.contains('✗') && !told.contains('\x1b'));
}
