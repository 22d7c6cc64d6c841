use super::*;

fn credential(values: &[&[u8]]) -> Result<Vec<u8>, Unauthenticated> {
    let mut headers =
        vec![(b":path".to_vec(), b"/".to_vec()), (b"x-authorization".to_vec(), b"Bearer no".to_vec())];
    headers.extend(values.iter().map(|value| (b"authorization".to_vec(), value.to_vec())));
    bearer_token(&headers).map(<[u8]>::to_vec)
}

#[test]
fn one_bearer_token_is_found() {
    for value in [&b"Bearer a.b.c"[..], b"bearer a.b.c", b"BEARER   a.b.c", b" Bearer a.b.c\t"] {
        assert_eq!(credential(&[value]), Ok(b"a.b.c".to_vec()));
    }
    let mixed_case = [(b"Authorization".to_vec(), b"Bearer a.b.c".to_vec())];
    assert_eq!(bearer_token(&mixed_case), Ok(&b"a.b.c"[..]));
}

#[test]
fn everything_else_is_refused() {
    use Unauthenticated::{Malformed, Missing, MoreThanOne, OtherScheme};
    let cases: [(&[&[u8]], Unauthenticated); 17] = [
        (&[], Missing),
        (&[b""], Missing),
        (&[b"  "], Missing),
        (&[b"Basic YTpi"], OtherScheme),
        (&[b"DPoP a.b.c"], OtherScheme),
        (&[b"Bearer-ish a.b.c"], OtherScheme),
        (&[b"Bearer a.b.c", b"Bearer a.b.c"], MoreThanOne),
        (&[b"Basic YTpi", b"Bearer a.b.c"], MoreThanOne),
        (&[b"Bearer a.b.c", b""], MoreThanOne),
        (&[b"Bearer a.b.c,Bearer d.e.f"], MoreThanOne),
        (&[b"Bearer a.b.c, Basic YTpi"], MoreThanOne),
        (&[b"Bearer"], Malformed),
        (&[b"Bearer a.b.c d.e.f"], Malformed),
        (&[b"Bearer\ta.b.c"], Malformed),
        (&[b"Bearer a.b\xe9.c"], Malformed),
        (&[b"\xe9"], Malformed),
        (&[b"Bearer a.b.c\x00"], Malformed),
    ];
    for (values, expected) in cases {
        let shown: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
        assert_eq!(credential(values), Err(expected), "{shown:?}");
    }
}

#[test]
fn answers_tell_missing_from_bad_and_nothing_else() {
    let missing = r#"Bearer realm="veilwire""#;
    let bad = r#"Bearer realm="veilwire", error="invalid_token""#;
    for (refusal, expected) in [
        (Unauthenticated::Missing, missing),
        (Unauthenticated::OtherScheme, missing),
        (Unauthenticated::Malformed, bad),
        (Unauthenticated::MoreThanOne, bad),
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
        let identity = Identity { provider: ProviderId(0), subject: subject.into(), groups: Vec::new() };
        assert_eq!(identity.header_subject(), expected);
    }
}
