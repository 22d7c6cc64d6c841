use super::*;

#[test]
fn answers_tell_missing_from_bad_and_nothing_else() {
    let missing = r#"Bearer realm="veilwire""#;
    let bad = r#"Bearer realm="veilwire", error="invalid_token""#;
    for (refusal, expected) in [
        (Unauthenticated::Missing, missing),
        (Unauthenticated::OtherScheme, missing),
        (Unauthenticated::Malformed, bad),
        (Unauthenticated::MoreThanOne, bad),
        (Unauthenticated::Misplaced, bad),
        (TokenError::Expired.into(), bad),
        (TokenError::Signature.into(), bad),
        (TokenError::KeyUnknown.into(), bad),
    ] {
        assert_eq!(refusal.www_authenticate(), expected);
        assert!(refusal.is_caller_fault());
    }
    assert!(!Unauthenticated::Invalid(TokenError::Unverifiable).is_caller_fault());
    assert_eq!(Unauthenticated::Invalid(TokenError::Expired).reason(), "token-expired");
    assert_eq!(Unauthenticated::Missing.reason(), "credential-missing");
}

#[test]
fn header_subjects_are_safe_and_reversible() {
    for (subject, expected) in [
        ("alice@example.com", "alice@example.com"),
        ("auth0|5f7c8ec7c33c6c004bbafe82", "auth0|5f7c8ec7c33c6c004bbafe82"),
        ("a+b", "a%2Bb"),
        ("100%", "100%25"),
        ("a b,c;\"d\"", "a%20b%2Cc%3B%22d%22"),
        ("álïçé 😀", "%C3%A1l%C3%AF%C3%A7%C3%A9%20%F0%9F%98%80"),
        ("x\r\nx-admin: 1", "x%0D%0Ax-admin:%201"),
    ] {
        let identity = Identity::named(subject);
        assert_eq!(identity.header_subject(), expected);
    }
}
