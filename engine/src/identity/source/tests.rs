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
    let cases: [(&[&[u8]], Unauthenticated); 18] = [
        (&[], Missing),
        (&[b""], Missing),
        (&[b"  "], Missing),
        (&[b"Basic YTpi"], OtherScheme),
        (&[b"DPoP a.b.c"], Unauthenticated::Dpop),
        (&[b"dpop"], Unauthenticated::Dpop),
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

fn headers(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// A header, a cookie and a parameter that may carry a token.
fn sources() -> [TokenSource; 3] {
    [
        TokenSource::Header("x-id-token".into()),
        TokenSource::Cookie("session".into()),
        TokenSource::Query("access_token".into()),
    ]
}

#[test]
fn tokens_are_found_where_a_provider_has_them() {
    use Unauthenticated::{Malformed, Missing, MoreThanOne, OtherScheme};
    type Case<'a> = (&'a [(&'a str, &'a str)], Result<&'a str, Unauthenticated>);
    let cases: [Case<'_>; 25] = [
        (&[("x-id-token", "a.b.c")], Ok("a.b.c")),
        (&[("X-Id-Token", " a.b.c ")], Ok("a.b.c")),
        (&[("x-id-token", "Bearer a.b.c")], Err(Malformed)),
        (&[("x-id-token", "a.b.c,d.e.f")], Err(Malformed)),
        (&[("x-id-token", "a.b.c"), ("x-id-token", "a.b.c")], Err(MoreThanOne)),
        (&[("x-id-token", "")], Err(Missing)),
        (&[("cookie", "session=a.b.c")], Ok("a.b.c")),
        (&[("cookie", "theme=dark; session=\"a.b.c\" ;x=1")], Ok("a.b.c")),
        (&[("cookie", "theme=dark"), ("cookie", "session=a.b.c")], Ok("a.b.c")),
        (&[("cookie", "Session=a.b.c; xsession=a.b.c; theme=session=a.b.c")], Err(Missing)),
        (&[("cookie", "session=a.b.c; session=d.e.f")], Err(MoreThanOne)),
        (&[("cookie", "session=a.b.c"), ("cookie", "session=a.b.c")], Err(MoreThanOne)),
        (&[("cookie", "session=")], Err(Malformed)),
        (&[("cookie", "session=a b")], Err(Malformed)),
        (&[(":path", "/x?access_token=a.b.c")], Ok("a.b.c")),
        (&[(":path", "/x?q=1&%61ccess_token=a%2Eb.c&z")], Ok("a.b.c")),
        (&[(":path", "/x?access_token=a.b.c&access%5ftoken=a.b.c")], Err(MoreThanOne)),
        (&[(":path", "/x?access_token=%ff")], Err(Malformed)),
        (&[(":path", "/x?access_token")], Err(Malformed)),
        (&[(":path", "/access_token=a.b.c?x")], Err(Missing)),
        (&[("x-id-token", "a.b.c"), ("cookie", "session=a.b.c")], Err(MoreThanOne)),
        (&[("authorization", "Bearer a.b.c"), (":path", "/x?access_token=a.b.c")], Err(MoreThanOne)),
        (&[("authorization", "Basic YTpi"), ("x-id-token", "a.b.c")], Err(OtherScheme)),
        (&[("authorization", ""), ("x-id-token", "a.b.c")], Ok("a.b.c")),
        (&[("authorization", "Bearer a.b.c"), ("cookie", "theme=dark")], Ok("a.b.c")),
    ];
    for (pairs, expected) in cases {
        let headers = headers(pairs);
        let found = find(&headers, &sources()).map(|credential| credential.token.into_owned());
        assert_eq!(found, expected.map(|token| token.as_bytes().to_vec()), "{pairs:?}");
    }
}

#[test]
fn places_that_no_provider_names_are_not_read() {
    let all =
        headers(&[("x-id-token", "a.b.c"), ("cookie", "session=a.b.c"), (":path", "/x?access_token=a.b.c")]);
    assert_eq!(find(&all, &[]), Err(Unauthenticated::Missing));
    assert_eq!(find(&all, &[TokenSource::Authorization]), Err(Unauthenticated::Missing));
}

#[test]
fn what_is_left_has_no_token() {
    let left = |pairs: &[(&str, &str)]| {
        let headers = headers(pairs);
        find(&headers, &sources()).unwrap().remainder(&headers)
    };
    assert_eq!(left(&[("authorization", "Bearer a.b.c")]), Remainder::Header(b"authorization".to_vec()));
    assert_eq!(left(&[("x-id-token", "a.b.c")]), Remainder::Header(b"x-id-token".to_vec()));
    assert_eq!(left(&[("cookie", "session=a.b.c")]), Remainder::Cookies(None));
    assert_eq!(
        left(&[("cookie", "theme=dark;session=a.b.c"), ("cookie", "x=\"1\"")]),
        Remainder::Cookies(Some(b"theme=dark; x=\"1\"".to_vec()))
    );
    let target = |text: &str| left(&[(":path", text)]);
    assert_eq!(target("/x?access_token=a.b.c"), Remainder::Target("/x".into()));
    assert_eq!(target("/x?q=1&%61ccess_token=a.b.c&z=%20"), Remainder::Target("/x?q=1&z=%20".into()));
}

#[test]
fn a_credential_is_not_printed() {
    let headers = headers(&[("x-id-token", "planted.planted.planted")]);
    let printed = format!("{:?}", find(&headers, &sources()).unwrap());
    assert!(!printed.contains("planted"), "{printed}");
}
