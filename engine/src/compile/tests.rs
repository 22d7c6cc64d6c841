//! Tests of compiling: what is refused and why, what it costs, and that it is repeatable.

use super::*;

fn one(regex: &str) -> Result<Built, CompileError> {
    compile(&[(regex, None)])
}

fn compile(list: &[(&str, Option<Validator>)]) -> Result<Built, CompileError> {
    build(&patterns(list), 512)
}

fn patterns(list: &[(&str, Option<Validator>)]) -> Vec<Pattern> {
    let numbered = list.iter().zip(0..);
    numbered
        .map(|(&(regex, validator), id)| Pattern {
            detector: DetectorId(id),
            regex: regex.into(),
            validator,
            ..Pattern::default()
        })
        .collect()
}

fn indecision(regex: &str) -> u32 {
    one(regex).unwrap().costs[0].indecision
}

const EMAIL: &str = r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}\b";

#[test]
fn look_around_other_than_a_boundary_is_refused() {
    for (regex, wanted) in [
        ("^a", LookAround::Anchor),
        ("a$", LookAround::Anchor),
        (r"\Aa", LookAround::Anchor),
        (r"a\z", LookAround::Anchor),
        ("(?m)^a", LookAround::Anchor),
        ("(?mR)a$", LookAround::Anchor),
        (r"a\Bb", LookAround::NoBoundary),
        (r"\b{start}a", LookAround::HalfBoundary),
        (r"a\b{end-half}", LookAround::HalfBoundary),
        (r"(?u:\b)a", LookAround::UnicodeBoundary),
    ] {
        let error = compile(&[("good", None), (regex, None)]).unwrap_err();
        let CompileError::LookAround { detector, look } = error else { panic!("{regex}: {error}") };
        assert_eq!((detector, look), (DetectorId(1), wanted), "{regex}");
    }
}

#[test]
fn patterns_that_match_nothing_or_the_empty_string_are_refused() {
    for regex in ["", "a*", "a?", r"\b", "(?:a|)", "(?:)"] {
        assert!(matches!(one(regex), Err(CompileError::EmptyMatch { .. })), "{regex}");
    }
    for regex in ["[a&&b]", r"a\ba", r"-\b-"] {
        assert!(matches!(one(regex), Err(CompileError::NeverMatches { .. })), "{regex}");
    }
}

#[test]
fn syntax_errors_point_into_the_pattern() {
    let error = one("abc(").unwrap_err();
    assert!(matches!(error, CompileError::Syntax { detector: DetectorId(0), offset: 3, .. }), "{error:?}");
    assert!(matches!(one(r"\pL"), Err(CompileError::Syntax { .. })), "unicode classes");
    assert!(matches!(one("(?=a)"), Err(CompileError::Syntax { .. })), "general look-around");
}

#[test]
fn endless_indecision_is_refused_with_a_witness() {
    for (regex, begins) in [
        (r"sk-[A-Za-z0-9]{20,}\b", "sk-"),
        ("[a-z.]+@[a-z]{2}", ""),
        ("eyJ[a-z]+[.][a-z]+[.][a-z]+", "eyJ"),
        ("a(?:b+c)", "a"),
    ] {
        let error = one(regex).unwrap_err();
        let CompileError::Undecided { witness, .. } = error else { panic!("{regex}: {error}") };
        assert!(
            witness.starts_with(begins.as_bytes()) && witness.len() < 30,
            "{regex}: {}",
            witness.escape_ascii()
        );
    }
}

#[test]
fn the_window_bounds_indecision() {
    let pattern = |regex: &str| [Pattern { regex: regex.into(), ..Pattern::default() }];
    assert!(build(&pattern("a{100}"), 100).is_ok());
    let error = build(&pattern("a{101}"), 100).unwrap_err();
    assert!(matches!(error, CompileError::Window { indecision: 101, window: 100, .. }), "{error:?}");
    let error = build(&pattern("a{5000}"), u32::MAX).unwrap_err();
    assert!(matches!(error, CompileError::Window { window: MAX_WINDOW, .. }), "{error:?}");
}

/// The figures for these shapes are known from the definition: the longest text that is still undecided.
#[test]
fn indecision_is_measured() {
    assert_eq!(indecision(r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b"), 11);
    assert_eq!(indecision(EMAIL), 64 + 1 + 4 * 64 + 24);
    assert_eq!(indecision("sk-[A-Za-z0-9]{20,}"), 23);
    assert_eq!(indecision(r"\bsk-ant-[a-z0-9]{3,6}-[A-Za-z0-9_-]{20,}"), 34);
    assert_eq!(indecision("a"), 1);
    assert_eq!(indecision("ab?"), 1);
    assert_eq!(
        indecision("a(?:bcd)?"),
        3,
        "after `a` is decided, `bc` waits behind the byte that decided it"
    );
}

#[test]
fn validated_patterns_must_be_short() {
    assert!(compile(&[("[0-9]{12,128}", Some(Validator::Luhn))]).is_ok());
    let error = compile(&[("[0-9]{12,129}", Some(Validator::Luhn))]).unwrap_err();
    assert!(matches!(error, CompileError::ValidatedTooLong { length: Some(129), .. }), "{error:?}");
    let error = compile(&[("[0-9]{12,}", Some(Validator::Luhn))]).unwrap_err();
    assert!(matches!(error, CompileError::ValidatedTooLong { length: None, .. }), "{error:?}");
}

#[test]
fn the_lazy_shape_is_recognised() {
    let lazy = |regex: &str| one(regex).unwrap().costs[0].lazy;
    for regex in [EMAIL, "a{1,9}@b", r"[\w.]{1,64}@x\b", "[a-z]{1,256}:x"] {
        assert!(lazy(regex), "{regex}");
    }
    for regex in [
        r"\ba{1,9}@b",
        "([a-z]){1,9}@",
        "a{2,9}@b",
        "[a@]{1,9}@b",
        "a{1,257}@b",
        r"a{1,9}\b@b",
        "a{1,9}[@b]c",
        "a{1,9}@b|c",
    ] {
        assert!(!lazy(regex), "{regex}");
    }
    assert!(!compile(&[("[0-9]{1,9}@[0-9]", Some(Validator::Luhn))]).unwrap().costs[0].lazy);
    // Equal prefixes share an automaton; beyond the limit of lazy automata patterns are compiled whole.
    let built = compile(&[("a{1,9}@b", None), ("a{1,9}@c", None)]).unwrap();
    assert_eq!(built.automata.len(), 1);
    let many = ["a{1,2}@", "a{1,3}@", "a{1,4}@", "a{1,5}@", "a{1,6}@", "a{1,7}@"].map(|regex| (regex, None));
    let built = compile(&many).unwrap();
    assert_eq!(built.costs.iter().filter(|cost| cost.lazy).count(), 4);
    assert_eq!(built.automata.len(), 5);
}

#[test]
fn equal_patterns_give_equal_bytes() {
    let list = [
        (EMAIL, None),
        (r"\b[2-6][0-9]{3}(?:[ -]?[0-9]){8,15}\b", Some(Validator::Luhn)),
        ("sk-[a-z]{20,}", None),
    ];
    let bytes = || {
        let mut out = Vec::new();
        compile(&list).unwrap().automata.iter().for_each(|automaton| automaton.encode(&mut out));
        out
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn a_group_that_is_too_large_is_split_and_a_single_pattern_refused() {
    let list = ["a[a-z]{9}x", "b[a-z]{19}x", "c[a-z]{29}x", "d[a-z]{39}x"].map(|regex| (regex, None));
    let sizes = |limit| {
        let built = build_within(&patterns(&list), 512, limit).map_err(|error| error.to_string())?;
        assert_eq!(built.costs.len(), list.len());
        let all: Vec<Vec<u16>> =
            built.automata.iter().map(|one| one.detectors().iter().map(|id| id.0).collect()).collect();
        Ok::<_, String>(all)
    };
    assert_eq!(sizes(1 << 20).unwrap(), [[0, 1, 2, 3]]);
    assert_eq!(sizes(6 << 10).unwrap(), [[0, 1], [2, 3]]);
    assert_eq!(sizes(1 << 10).unwrap_err(), "detector 2: automaton is larger than 1024 bytes");
    let error = one("(?:[a-z]{1,400}x[a-z]{90}){1,20}").unwrap_err();
    assert!(matches!(error, CompileError::TooLarge { detector: DetectorId(0), .. }), "{error:?}");
}

#[test]
fn numbers_are_places() {
    let pattern = Pattern { detector: DetectorId(1), regex: "a".into(), ..Pattern::default() };
    assert!(matches!(build(&[pattern], 512), Err(CompileError::Misnumbered { detector: DetectorId(1) })));
    let many: Vec<Pattern> = (0..257)
        .map(|id| Pattern { detector: DetectorId(id), regex: "a".into(), ..Pattern::default() })
        .collect();
    assert!(matches!(build(&many, 512), Err(CompileError::TooManyDetectors { count: 257 })));
    assert!(build(&[], 512).unwrap().automata.is_empty());
}

#[test]
fn errors_are_lowercase_and_name_the_detector() {
    for regex in ["^a", "a*", "abc(", "[a&&b]", r"a+\b", "a{600}"] {
        let error = one(regex).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("detector 0: "), "{text}");
        assert_eq!(error.detector(), Some(DetectorId(0)));
    }
}
