//! Headers with credentials in all places where they may be: what counts is the only one there is, the order of headers means
//! nothing, and what is left of the request once it is taken out has no credential, but everything else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use veilwire_engine::identity::{Authenticator, Credential, Remainder, Unauthenticated};
use veilwire_engine::policy::id::ProviderId;
use veilwire_engine::policy::model::{
    Algorithm, ApiKey, ApiKeys, Group, Provider, ProviderKind, TokenSource,
};
use veilwire_fuzz::caller::{Credulous, NOW, good_token};
use veilwire_fuzz::form;
use veilwire_fuzz::input::Input;
use veilwire_fuzz::policies::JWKS;

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

const COOKIE: &str = "session";
const PARAMETER: &str = "access_token";
const HEADER: &str = "x-token";
const KEY: &str = "x-api-key";

static EVERYWHERE: LazyLock<Authenticator> = LazyLock::new(|| {
    let tokens = Provider {
        name: "idp".into(),
        issuer: "https://idp.test".into(),
        audiences: vec!["gateway".into()],
        algorithms: vec![Algorithm::EdDSA],
        jwks: JWKS.into(),
        groups_claim: "groups".into(),
        sources: vec![
            TokenSource::Authorization,
            TokenSource::Header(HEADER.into()),
            TokenSource::Cookie(COOKIE.into()),
            TokenSource::Query(PARAMETER.into()),
        ],
        ..Provider::default()
    };
    // Nobody's key: what it is compared with is tested elsewhere.
    let key = ApiKey { id: "job".into(), salt: "00".repeat(16), hash: "00".repeat(32), ..ApiKey::default() };
    let keys = Provider {
        name: "jobs".into(),
        kind: ProviderKind::ApiKeys(ApiKeys { header: KEY.into(), keys: vec![key] }),
        ..Provider::default()
    };
    let group = Group { name: "agents".into(), from: vec![(ProviderId(0), "agents".into())] };
    Authenticator::new(&[tokens, keys], &[group]).expect("they are sound")
});

static TOKEN: LazyLock<String> =
    LazyLock::new(|| String::from_utf8(good_token("agents")).expect("it is text"));

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let headers: Headers = (0..input.byte() % 6).filter_map(|_| header(&mut input)).collect();
    // Of a pseudo-header there is one.
    let paths = headers.iter().filter(|(name, _)| name == b":path").count();
    if paths > 1 {
        return;
    }
    let backwards: Headers = headers.iter().rev().cloned().collect();
    let (found, again) = (EVERYWHERE.credential(&headers), EVERYWHERE.credential(&backwards));
    assert_eq!(found.is_ok(), again.is_ok(), "the order of headers matters");
    let identity = EVERYWHERE.authenticate(&headers, NOW, &Credulous);
    let Ok(credential) = found else {
        assert!(identity.is_err(), "somebody without a credential");
        return;
    };
    assert_eq!(credential, again.expect("it was there"), "the order of headers matters");
    assert_eq!(credentials(&headers), 1, "one of several was chosen");
    if let Ok(identity) = &identity {
        assert_eq!((identity.provider, identity.subject.as_str()), (ProviderId(0), "agent-7"));
    }
    let left = without(&headers, &credential);
    assert_eq!(credentials(&left), 0, "it goes on to the upstream");
    assert!(
        matches!(EVERYWHERE.credential(&left), Err(Unauthenticated::Missing)),
        "it goes on to the upstream"
    );
    assert_eq!(others(&left), others(&headers), "something else is gone");
});

fn header(input: &mut Input<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let name = input.pick(&[
        "authorization",
        "Authorization",
        HEADER,
        "X-Token",
        KEY,
        "cookie",
        "Cookie",
        ":path",
        "accept",
    ]);
    let separator = match name.to_ascii_lowercase().as_str() {
        "cookie" => input.pick(&["; ", ";", " ;"]),
        ":path" => "&",
        _ => ",",
    };
    let pieces: Vec<Vec<u8>> = (0..1 + input.byte() % 3).map(|_| piece(input)).collect();
    let value = pieces.join(separator.as_bytes());
    if name != ":path" {
        return Some((name.into(), value));
    }
    // Envoy lets no other through.
    std::str::from_utf8(&value).ok()?;
    Some((name.into(), [b"/a?".as_slice(), &value].concat()))
}

fn piece(input: &mut Input<'_>) -> Vec<u8> {
    let token = TOKEN.as_str();
    match input.byte() % 12 {
        0 => format!("Bearer {token}").into(),
        1 => format!("bearer  {token}").into(),
        2 => token.into(),
        3 => format!("{COOKIE}={token}").into(),
        4 => format!("{COOKIE}=\"{token}\"").into(),
        5 => format!("{PARAMETER}={token}").into(),
        6 => format!("access%5Ftoken={token}").into(),
        7 => input.pick(&["DPoP x", "Basic YTpi", "Bearer", "Bearer ", "Negotiate", ""]).into(),
        8 => format!("{}=1", input.pick(&["Session", "sessio", "accesstoken", "a", "", "%zz"])).into(),
        9 => input.pick(&[COOKIE, PARAMETER, "session=", "access_token=", "=", "a=b=c"]).into(),
        10 => input.pick(&["x", "short", "two words", "\u{e9}"]).into(),
        _ => input.take(6).into(),
    }
}

fn named<'a>(headers: &'a Headers, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value.as_slice())
}

fn cookies(headers: &Headers) -> Vec<&[u8]> {
    let pairs = named(headers, "cookie").flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()).collect()
}

fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii_end()
}

fn parameters(headers: &Headers) -> Vec<(Vec<u8>, Vec<u8>)> {
    let target = named(headers, ":path").next().unwrap_or_default();
    let at = target.iter().position(|byte| *byte == b'?').map_or(target.len(), |at| at + 1);
    let pairs = form::pairs(&target[at..]).filter(|(name, value)| !name.is_empty() || value.is_some());
    pairs.map(|(name, value)| (form::decode(name), value.unwrap_or_default().to_vec())).collect()
}

/// How many credentials are written, good or bad.
fn credentials(headers: &Headers) -> usize {
    let lines = ["authorization", HEADER, KEY].iter().flat_map(|name| named(headers, name));
    let lines = lines.filter(|value| !value.trim_ascii().is_empty()).count();
    let cookies = cookies(headers).into_iter().filter(|pair| name_of(pair) == COOKIE.as_bytes()).count();
    let parameters = parameters(headers).iter().filter(|(name, _)| name == PARAMETER.as_bytes()).count();
    lines + cookies + parameters
}

/// All that is no credential: lines, cookies, parameters.
fn others(headers: &Headers) -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>) {
    let kept = ["authorization", HEADER, KEY, "cookie", ":path"];
    let is_other = |name: &[u8]| !kept.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
    let lines = headers.iter().filter(|(name, _)| is_other(name)).map(|(_, value)| value.clone()).collect();
    let cookies =
        cookies(headers).into_iter().filter(|pair| name_of(pair) != COOKIE.as_bytes()).map(<[u8]>::to_vec);
    let parameters = parameters(headers).into_iter().filter(|(name, _)| name != PARAMETER.as_bytes());
    (lines, cookies.collect(), parameters.collect())
}

/// The request as it goes on.
fn without(headers: &Headers, credential: &Credential<'_>) -> Headers {
    let is = |key: &[u8], name: &[u8]| key.eq_ignore_ascii_case(name);
    let mut left = headers.clone();
    match credential.remainder(headers) {
        Remainder::Header(name) => left.retain(|(key, _)| !is(key, &name)),
        Remainder::Cookies(cookies) => {
            left.retain(|(key, _)| !is(key, b"cookie"));
            left.extend(cookies.map(|cookies| (b"cookie".to_vec(), cookies)));
        }
        Remainder::Target(target) => {
            left.retain(|(key, _)| !is(key, b":path"));
            left.push((b":path".to_vec(), target.into_bytes()));
        }
    }
    left
}
