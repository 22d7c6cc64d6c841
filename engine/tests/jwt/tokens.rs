//! Headers, claims, times, spelling, keys: the edges of every check on a token.

use super::*;
use TokenError::{
    Algorithm as BadAlgorithm, Audience, AuthorizedParty, Bound, Certificate, Claim, Dpop, Expired,
    Extension, IssuedInFuture, Issuer, KeyAmbiguous, KeyMismatch, KeyUnknown, Malformed, NotYetValid,
    Signature, Subject, TooLong, TooOld, Type, Unverifiable,
};
use std::cell::Cell;
use veilwire_engine::identity::{SignatureVerifier, VerifierError, VerifyingKey};

#[test]
fn headers() {
    let claims = standard_claims();
    assert_eq!(verdict(&standard_header(), &claims).err(), None);
    for (members, expected) in [
        (r#""alg":"EdDSA","kid":"own""#, None),
        (r#""alg":"EdDSA""#, None),
        (r#""alg":"EdDSA","typ":"jwt""#, None),
        (r#""alg":"EdDSA","typ":"application/jwt""#, None),
        (r#""alg":"EdDSA","typ":"AT+JWT""#, None),
        (r#""alg":"EdDSA","typ":"application/at+JWT""#, None),
        (r#""alg":"EdDSA","typ":"""#, Some(Type)),
        (r#""alg":"EdDSA","typ":"dpop+jwt""#, Some(Type)),
        (r#""alg":"EdDSA","typ":"id_token+jwt""#, Some(Type)),
        (r#""alg":"EdDSA","typ":"text/jwt""#, Some(Type)),
        (r#""alg":"EdDSA","typ":null"#, Some(Malformed)),
        (r#""alg":"EdDSA","typ":["JWT"]"#, Some(Malformed)),
        // The key is good for EdDSA alone, whatever the token says.
        (r#""alg":"eddsa""#, Some(BadAlgorithm)),
        (r#""alg":"Ed25519""#, Some(BadAlgorithm)),
        (r#""alg":"none""#, Some(BadAlgorithm)),
        (r#""alg":"HS256","kid":"own""#, Some(BadAlgorithm)),
        (r#""alg":"RS256","kid":"own""#, Some(KeyMismatch)),
        (r#""alg":"ES256","kid":"own""#, Some(KeyMismatch)),
        (r#""alg":"RS256""#, Some(KeyUnknown)),
        (r#""alg":["EdDSA"]"#, Some(Malformed)),
        (r#""kid":"own""#, Some(Malformed)),
        (r#""alg":"EdDSA","alg":"EdDSA""#, Some(Malformed)),
        (r#""alg":"EdDSA","\u0061lg":"none""#, Some(Malformed)),
        (r#""alg":"EdDSA","kid":"own","kid":"own""#, Some(Malformed)),
        (r#""alg":"EdDSA","kid":"OWN""#, Some(KeyUnknown)),
        (r#""alg":"EdDSA","kid":"own ""#, Some(KeyUnknown)),
        (r#""alg":"EdDSA","crit":["b64"],"b64":true"#, Some(Extension)),
        (r#""alg":"EdDSA","b64":true"#, Some(Extension)),
        (r#""alg":"EdDSA","crit":null"#, Some(Extension)),
        (r#""alg":"EdDSA","salt":"AAAA""#, Some(Extension)),
        (r#""alg":"EdDSA","jwk":{"kty":"OKP"}"#, Some(Extension)),
        (r#""alg":"EdDSA","jwk":"own""#, Some(Extension)),
        // Carried along, never used.
        (r#""alg":"EdDSA","jku":"https://keys.example/","x5u":"https://keys.example/c.pem""#, None),
        (r#""alg":"EdDSA","x5c":["MIIB"],"x5t":"AAAA","x5t#S256":"AAAA","cty":"JWT""#, None),
        (r#""alg":"EdDSA","unheard-of":{"a":[1,2,3]}"#, None),
        (r#""alg":"EdDSA","jku":1"#, Some(Malformed)),
        (r#""alg":"EdDSA","x5c":"MIIB""#, Some(Malformed)),
        (r#""alg":"EdDSA","x5c":[1]"#, Some(Malformed)),
        (r#""alg":"EdDSA","x5t":null"#, Some(Malformed)),
        (r#""alg":"EdDSA","cty":{}"#, Some(Malformed)),
    ] {
        let header = format!("{{{members}}}");
        assert_eq!(verdict(&header, &claims).err(), expected, "{header}");
    }
    for header in
        ["", "null", "[]", "\"EdDSA\"", "{} {}", "{\"alg\":\"EdDSA\"}x", "\u{feff}{\"alg\":\"EdDSA\"}"]
    {
        assert_eq!(verdict(header, &claims), Err(Malformed), "{header}");
    }
}

#[test]
fn required_claims_and_their_types() {
    let required = ["iss", "sub", "aud", "exp"];
    for name in required {
        assert_eq!(claim_verdict(name, Value::Null), Some(Claim), "{name}");
    }
    for name in ["iat", "nbf", "groups"] {
        assert_eq!(claim_verdict(name, Value::Null), None, "{name}");
    }
    for name in ["iss", "sub", "jti", "nonce"] {
        for value in [json!(1), json!(["alice"]), json!({}), json!(true)] {
            assert_eq!(claim_verdict(name, value), Some(Claim), "{name}");
        }
        let null = standard_claims().replacen('{', &format!("{{\"{name}\":null,"), 1);
        assert!(verdict(&standard_header(), &null).is_err(), "{name}");
    }
    for value in
        [json!("4000000000"), json!([4_000_000_000_u64]), json!({}), json!(true), json!(-1), json!(1e300)]
    {
        for name in ["exp", "nbf", "iat"] {
            assert_eq!(claim_verdict(name, value.clone()), Some(Claim), "{name}: {value}");
        }
    }
    assert_eq!(claim_verdict("exp", json!(253_402_300_799_u64)), None);
    assert_eq!(claim_verdict("exp", json!(253_402_300_800_u64)), Some(Claim));
    assert_eq!(claim_verdict("exp", json!(u64::MAX)), Some(Claim));
    assert_eq!(claim_verdict("jti", json!("unique")), None);
    assert_eq!(claim_verdict("nonce", json!("once")), None);
}

#[test]
fn issuer_and_audience_are_compared_byte_for_byte() {
    for issuer in ["https://idp.test/", "HTTPS://idp.test", "https://idp.test ", "https://idp", "", "*"] {
        assert_eq!(claim_verdict("iss", json!(issuer)), Some(Issuer), "{issuer}");
    }
    for (audience, expected) in [
        (json!("other-gateway"), None),
        (json!(["a", "envoy-gateway"]), None),
        (json!("Envoy-Gateway"), Some(Audience)),
        (json!("envoy-gatewa"), Some(Audience)),
        (json!("envoy-gateway,a"), Some(Audience)),
        (json!(""), Some(Audience)),
        (json!([]), Some(Audience)),
        (json!([["envoy-gateway"]]), Some(Claim)),
        (json!(["envoy-gateway", 1]), Some(Claim)),
        (json!({ "envoy-gateway": true }), Some(Claim)),
    ] {
        assert_eq!(claim_verdict("aud", audience.clone()), expected, "{audience}");
    }
}

#[test]
fn leeway_ends_to_the_millisecond() {
    let at = |changes: &[(&str, Value)], now: Timestamp| {
        verify_with(&own_provider(), &signed(&standard_header(), &claims_with(changes)), now).err()
    };
    let expires = NOW + 60;
    let last = seconds(expires + u64::from(LEEWAY));
    assert_eq!(at(&[], Timestamp(last.0 - 1)), None);
    assert_eq!(at(&[], last), Some(Expired));
    // The first moment that `nbf` and `iat` allow is `leeway` before.
    for (name, error) in [("nbf", NotYetValid), ("iat", IssuedInFuture)] {
        let first = seconds(NOW + 20 - u64::from(LEEWAY));
        let changes = [("iat", Value::Null), ("nbf", Value::Null), (name, json!(NOW + 20))];
        assert_eq!(at(&changes, first), None, "{name}");
        assert_eq!(at(&changes, Timestamp(first.0 - 1)), Some(error), "{name}");
        // Fractions never make a token valid for longer.
        let changes = [("iat", Value::Null), ("nbf", Value::Null), (name, json!((NOW + 20) as f64 + 0.25))];
        assert_eq!(at(&changes, first), Some(error), "{name}");
        assert_eq!(at(&changes, first.saturating_add_millis(250)), None, "{name}");
    }
    // Below a millisecond, `nbf` and `iat` round up and `exp` rounds down.
    for name in ["nbf", "iat"] {
        let first = seconds(NOW + 20 - u64::from(LEEWAY));
        let changes = [("iat", Value::Null), ("nbf", Value::Null), (name, json!((NOW + 20) as f64 + 0.0004))];
        assert!(at(&changes, Timestamp(first.0 + 999_999)).is_some(), "{name}");
        assert_eq!(at(&changes, first.saturating_add_millis(1)), None, "{name}");
    }
    assert_eq!(at(&[("exp", json!(expires as f64 + 0.0009))], last), Some(Expired));
    let fraction = [("exp", json!(expires as f64 + 0.5))];
    assert_eq!(at(&fraction, last.saturating_add_millis(499)), None);
    assert_eq!(at(&fraction, last.saturating_add_millis(500)), Some(Expired));

    let mut strict = own_provider();
    strict.leeway_seconds = 0;
    let token = signed(&standard_header(), &standard_claims());
    assert_eq!(verify_with(&strict, &token, seconds(expires)).err(), Some(Expired));
    assert_eq!(verify_with(&strict, &token, Timestamp(seconds(expires).0 - 1)).err(), None);
    // Clocks at the ends of time wrap nothing.
    assert_eq!(at(&[], Timestamp(0)), Some(NotYetValid));
    assert_eq!(at(&[], Timestamp(u64::MAX)), Some(Expired));
    let mut lenient = own_provider();
    lenient.leeway_seconds = u32::MAX;
    assert_eq!(verify_with(&lenient, &token, Timestamp(0)).err(), None);
}

#[test]
fn subjects() {
    for (subject, expected) in [
        ("a", None),
        ("日本 \u{1f600}", None),
        ("", Some(Subject)),
        ("alice\r\nx-admin: 1", Some(Subject)),
        ("alice\0", Some(Subject)),
        ("alice\u{1b}[2J", Some(Subject)),
        ("alice\u{85}", Some(Subject)),
    ] {
        assert_eq!(claim_verdict("sub", json!(subject)), expected, "{subject:?}");
    }
    assert_eq!(claim_verdict("sub", json!("a".repeat(1024))), None);
    assert_eq!(claim_verdict("sub", json!("a".repeat(1025))), Some(Subject));
}

#[test]
fn bound_tokens_are_no_bearer_tokens() {
    assert_eq!(claim_verdict("cnf", json!({ "x5t#S256": "AAAA" })), Some(Claim));
    assert_eq!(claim_verdict("cnf", json!({ "x5t#S256": "A".repeat(43) })), Some(Certificate));
    assert_eq!(claim_verdict("cnf", json!({ "jkt": "AAAA" })), Some(Dpop));
    assert_eq!(claim_verdict("cnf", json!({ "jwk": {} })), Some(Bound));
}

#[test]
fn payloads_have_one_reading() {
    let nested = |depth: usize| {
        standard_claims().replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(depth), "]".repeat(depth)), 1)
    };
    assert_eq!(verdict(&standard_header(), &nested(31)).err(), None);
    assert_eq!(verdict(&standard_header(), &nested(32)), Err(Malformed));
    assert_eq!(verdict(&standard_header(), &nested(5000)), Err(Malformed));
    for members in [
        r#""sub":"root","#,
        r#""\u0073ub":"root","#,
        r#""x":{"a":1,"a":1},"#,
        r#""x":[{"y":{"a":1,"b":2,"\u0061":1}}],"#,
        r#""x":"\udc00","#,
        r#""x":1e400,"#,
        r#""x":Infinity,"#,
        r#"// comment"#,
        "\u{0},",
    ] {
        let claims = standard_claims().replacen('{', &format!("{{{members}"), 1);
        assert_eq!(verdict(&standard_header(), &claims), Err(Malformed), "{members}");
    }
    for payload in ["", "null", "[]", "foo", "\"a\""] {
        assert_eq!(verdict(&standard_header(), payload), Err(Malformed), "{payload}");
    }
}

#[test]
fn long_tokens_are_refused_before_they_are_read() {
    let padded =
        |length: usize| signed(&standard_header(), &claims_with(&[("pad", json!("x".repeat(length)))]));
    let token = padded(11_800);
    assert!(token.len() < 16 * 1024 && token.len() > 15 * 1024);
    assert_eq!(verify_with(&own_provider(), &token, seconds(NOW)).err(), None);
    assert_eq!(verify_with(&own_provider(), &padded(12_300), seconds(NOW)).err(), Some(TooLong));
    let header = |length: usize| format!(r#"{{"alg":"EdDSA","pad":"{}"}}"#, "x".repeat(length));
    assert_eq!(verdict(&header(6000), &standard_claims()).err(), None);
    assert_eq!(verdict(&header(6200), &standard_claims()), Err(TooLong));
    let dots = ".".repeat(2_000_000);
    assert_eq!(verify_with(&own_provider(), &dots, seconds(NOW)).err(), Some(TooLong));
}

#[test]
fn base64_has_one_spelling() {
    let token = signed(&standard_header(), &standard_claims());
    let parts: Vec<&str> = token.split('.').collect();
    let joined = |parts: &[&str]| parts.join(".");
    for changed in [
        joined(&[parts[0], parts[1]]),
        joined(&[parts[0], parts[1], parts[2], ""]),
        joined(&[parts[0], parts[1], parts[2], parts[2], parts[2]]),
        joined(&["", parts[1], parts[2]]),
        joined(&[parts[0], "", parts[2]]),
        format!("{token}="),
        format!("{token}=="),
        format!("{token}\n"),
        format!(" {token}"),
        token.replacen('.', ".\n", 1),
        format!("{token}."),
        format!(".{token}"),
    ] {
        assert_eq!(
            verify_with(&own_provider(), &changed, seconds(NOW)).err(),
            Some(Malformed),
            "{changed:?}"
        );
    }
    // The 86th character of 64 bytes holds four bits that must be zero.
    let (head, last) = token.split_at(token.len() - 1);
    let same_bits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let group = same_bits.find(last).unwrap() / 16 * 16;
    for (index, character) in same_bits.chars().enumerate() {
        let verdict = verify_with(&own_provider(), &format!("{head}{character}"), seconds(NOW)).err();
        let expected = match index {
            _ if index % 16 != 0 => Some(Malformed),
            _ if index == group => None,
            _ => Some(Signature),
        };
        assert_eq!(verdict, expected, "{character}");
    }
    // An empty signature is well-formed and wrong.
    let unsigned = joined(&[parts[0], parts[1], ""]);
    assert_eq!(verify_with(&own_provider(), &unsigned, seconds(NOW)).err(), Some(Signature));
}

// === What a provider may demand or allow ===

fn demanded(change: impl Fn(&mut Provider), header: &str, claims: &[(&str, Value)]) -> Option<TokenError> {
    let mut provider = own_provider();
    change(&mut provider);
    verify_with(&provider, &signed(header, &claims_with(claims)), seconds(NOW)).err()
}

#[test]
fn a_provider_may_demand_one_type() {
    let header = |typ: &str| format!(r#"{{"alg":"EdDSA"{typ}}}"#);
    for (typ, strict, plain) in [
        ("", Some(Type), Some(Type)),
        (r#","typ":"JWT""#, Some(Type), None),
        (r#","typ":"at+jwt""#, None, Some(Type)),
        (r#","typ":"application/AT+JWT""#, None, Some(Type)),
    ] {
        let required =
            |name: &'static str| move |provider: &mut Provider| provider.required_type = Some(name.into());
        assert_eq!(demanded(required("at+jwt"), &header(typ), &[]), strict, "{typ}");
        assert_eq!(demanded(required("jwt"), &header(typ), &[]), plain, "{typ}");
    }
}

#[test]
fn a_provider_may_name_authorized_parties() {
    let named = |provider: &mut Provider| provider.authorized_parties = vec!["cli".into(), "web".into()];
    for (party, expected) in [
        (json!("cli"), None),
        (json!("web"), None),
        (Value::Null, Some(AuthorizedParty)),
        (json!("CLI"), Some(AuthorizedParty)),
        (json!(""), Some(AuthorizedParty)),
        (json!(["cli"]), Some(Claim)),
    ] {
        assert_eq!(demanded(named, &standard_header(), &[("azp", party.clone())]), expected, "{party}");
    }
    // Where none is named, only its type is checked.
    assert_eq!(claim_verdict("azp", json!("anybody")), None);
    assert_eq!(claim_verdict("azp", json!(1)), Some(Claim));
}

#[test]
fn a_maximum_age_counts_from_iat() {
    let aged = |provider: &mut Provider| provider.max_age_seconds = Some(100);
    let issued = |ago: u64| [("iat", json!(NOW - ago)), ("nbf", Value::Null)];
    let leeway = u64::from(LEEWAY);
    assert_eq!(demanded(aged, &standard_header(), &issued(99 + leeway)), None);
    assert_eq!(demanded(aged, &standard_header(), &issued(100 + leeway)), Some(TooOld));
    assert_eq!(demanded(aged, &standard_header(), &[("iat", Value::Null)]), Some(Claim));
    // It never makes a token live longer.
    let mut provider = own_provider();
    aged(&mut provider);
    let token = signed(&standard_header(), &standard_claims());
    let until = verify_with(&provider, &token, seconds(NOW)).unwrap().good_until;
    assert_eq!(until, seconds(NOW - 60 + 100 + leeway), "sixty seconds old");
    provider.max_age_seconds = Some(u32::MAX);
    let until = verify_with(&provider, &token, seconds(NOW)).unwrap().good_until;
    assert_eq!(until, seconds(NOW + 60 + leeway), "`exp` is earlier");
}

#[test]
fn exp_may_be_left_to_a_maximum_age() {
    let optional = |provider: &mut Provider| {
        provider.max_age_seconds = Some(100);
        provider.expiry_optional = true;
    };
    assert_eq!(demanded(optional, &standard_header(), &[("exp", Value::Null)]), None);
    assert_eq!(demanded(optional, &standard_header(), &[("exp", json!(NOW - 31))]), Some(Expired));
    assert_eq!(demanded(optional, &standard_header(), &[("exp", json!("never"))]), Some(Claim));
    let old = [("exp", Value::Null), ("iat", json!(NOW - 200))];
    assert_eq!(demanded(optional, &standard_header(), &old), Some(TooOld));
    assert_eq!(demanded(|_| {}, &standard_header(), &[("exp", Value::Null)]), Some(Claim));
}

#[test]
fn scopes_have_one_reading() {
    let scopes = |changes: &[(&str, Value)]| {
        verdict(&standard_header(), &claims_with(changes)).map(|claims| claims.scopes)
    };
    let list = |names: &[&str]| Ok(Some(names.iter().map(|name| (*name).to_owned()).collect()));
    assert_eq!(scopes(&[]), Ok(None));
    assert_eq!(scopes(&[("scope", json!("read write"))]), list(&["read", "write"]));
    assert_eq!(scopes(&[("scope", json!(" read  write"))]), list(&["read", "write"]));
    assert_eq!(scopes(&[("scope", json!(""))]), list(&[]));
    assert_eq!(scopes(&[("scp", json!("read write"))]), list(&["read", "write"]));
    assert_eq!(scopes(&[("scp", json!(["read", "write it"]))]), list(&["read", "write it"]));
    for (name, value) in [
        ("scope", json!(["read"])),
        ("scope", json!(1)),
        ("scp", json!({})),
        ("scp", json!(["read", 1])),
        ("scp", json!([["read"]])),
    ] {
        assert_eq!(scopes(&[(name, value.clone())]), Err(Claim), "{name}: {value}");
    }
    assert_eq!(scopes(&[("scope", json!("read")), ("scp", json!("read"))]), Err(Claim));
}

// === Keys and algorithms ===

/// No published document has a token of ES384; the key is that of FIPS 186 examples in RFC 6979, Appendix A.2.6.
#[test]
fn es384_is_verified() {
    use jwt_simple::prelude::{Claims, Duration, ECDSAP384KeyPairLike as _, ES384KeyPair, UnixTimeStamp};
    let secret =
        "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5";
    let pair = ES384KeyPair::from_bytes(&hex(secret)).unwrap().with_key_id("own");
    let mut claims = Claims::create(Duration::from_secs(1))
        .with_issuer("https://idp.test")
        .with_audience("envoy-gateway")
        .with_subject("alice");
    claims.issued_at = Some(UnixTimeStamp::from_secs(NOW));
    claims.invalid_before = None;
    claims.expires_at = Some(UnixTimeStamp::from_secs(NOW + 60));
    let token = pair.sign(claims).unwrap();
    let key: Value = serde_json::from_str(&pair.public_key().to_jwk()).unwrap();
    let (text, signature) = token.rsplit_once('.').unwrap();
    only_this_signature(Algorithm::ES384, &key, text, &URL_SAFE_NO_PAD.decode(signature).unwrap());
}

/// The key of RFC 6979, Appendix A.2.7.
#[test]
fn es512_is_verified() {
    use p521::ecdsa::signature::Signer as _;
    let secret = "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d16fcc1466\
                  f6d8fbec67db89ec0c08b0e996b83538";
    let pair = p521::ecdsa::SigningKey::from_slice(&hex(secret)).unwrap();
    let point = pair.verifying_key().to_sec1_point(false);
    let key = json!({ "kty": "EC", "crv": "P-521", "kid": "own",
        "x": URL_SAFE_NO_PAD.encode(point.x().unwrap()), "y": URL_SAFE_NO_PAD.encode(point.y().unwrap()) });
    let text = signed_text(r#"{"alg":"ES512","kid":"own"}"#, &standard_claims());
    let signature: p521::ecdsa::Signature = pair.sign(text.as_bytes());
    only_this_signature(Algorithm::ES512, &key, &text, &signature.to_bytes());
}

/// The signature is good, every other bit string is not, and neither is it where the provider names other algorithms.
fn only_this_signature(algorithm: Algorithm, key: &Value, text: &str, good: &[u8]) {
    let mut provider = provider(&json!({ "keys": [key] }).to_string());
    provider.algorithms = vec![algorithm];
    let with = |provider: &Provider, signature: &[u8]| {
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
        verify_with(provider, &token, seconds(NOW)).err()
    };
    assert_eq!(with(&provider, good), None);
    for position in 0..good.len() {
        let mut bad = good.to_vec();
        bad[position] ^= 1;
        assert_eq!(with(&provider, &bad), Some(Signature), "{position}");
    }
    let (r, s) = good.split_at(good.len() / 2);
    let none = vec![0; r.len()];
    let all = vec![0xff; r.len()];
    for bad in [&[s, r], &[&none, s], &[r, &none], &[&none, &none], &[&all, s], &[r, &all]] {
        assert_eq!(with(&provider, &bad.concat()), Some(Signature));
    }
    for bad in [&good[..good.len() - 1], &[good, &[0]].concat(), &[]] {
        assert_eq!(with(&provider, bad), Some(Signature));
    }
    provider.algorithms = vec![Algorithm::ES256, Algorithm::RS384];
    assert_eq!(with(&provider, good), Some(BadAlgorithm));
}

fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn tokens_without_key_id_need_exactly_one_key() {
    let mut provider = own_provider();
    let token = signed(r#"{"alg":"EdDSA"}"#, &standard_claims());
    provider.jwks = json!({ "keys": [own_key("a"), own_key("b")] }).to_string();
    assert_eq!(verify_with(&provider, &token, seconds(NOW)).err(), Some(KeyAmbiguous));
    let named = signed(r#"{"alg":"EdDSA","kid":"b"}"#, &standard_claims());
    assert_eq!(verify_with(&provider, &named, seconds(NOW)).err(), None);
    // A key for another algorithm is no alternative.
    let rsa = serde_json::from_str::<Value>(ATTACKS_JWKS).unwrap()["keys"][0].clone();
    provider.jwks = json!({ "keys": [rsa, own_key("a")] }).to_string();
    assert_eq!(verify_with(&provider, &token, seconds(NOW)).err(), None);
}

#[test]
fn algorithms_that_the_provider_does_not_name_are_refused() {
    let mut provider = own_provider();
    provider.algorithms = vec![Algorithm::RS256, Algorithm::ES256];
    let token = signed(&standard_header(), &standard_claims());
    assert_eq!(verify_with(&provider, &token, seconds(NOW)).err(), Some(BadAlgorithm));
}

/// A verifier that counts how often it is asked, and says what it is told to.
struct Told(Result<bool, VerifierError>, Cell<u32>);

impl SignatureVerifier for Told {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        text: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifierError> {
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.signature_length(), signature.len());
        assert_eq!(text.iter().filter(|byte| **byte == b'.').count(), 1);
        self.1.set(self.1.get() + 1);
        self.0
    }
}

#[test]
fn the_verifier_is_asked_last_and_believed_only_when_it_says_yes() {
    let tokens = TokenVerifier::new(&own_provider(), KeySet::parse(&own_jwks()).unwrap());
    let ask = |token: &str, says| {
        let told = Told(says, Cell::new(0));
        let verdict = tokens.verify(token.as_bytes(), seconds(NOW), &told);
        (verdict.err(), told.1.get())
    };
    let token = signed(&standard_header(), &standard_claims());
    assert_eq!(ask(&token, Ok(true)), (None, 1));
    assert_eq!(ask(&token, Ok(false)), (Some(Signature), 1));
    for error in [VerifierError::KeyMismatch, VerifierError::Unreadable, VerifierError::Failed] {
        assert_eq!(ask(&token, Err(error)), (Some(Unverifiable), 1));
        assert!(!Unverifiable.is_caller_fault());
    }
    // A good signature does not make expired claims good, and bad claims are no reason before the signature.
    let expired = signed(&standard_header(), &claims_with(&[("exp", json!(1))]));
    assert_eq!(ask(&expired, Ok(true)), (Some(Expired), 1));
    assert_eq!(ask(&expired, Ok(false)), (Some(Signature), 1));
    // Wrong lengths are refused without asking.
    let text = signed_text(&standard_header(), &standard_claims());
    for length in [0, 1, 63, 65, 128, 256] {
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(vec![7; length]));
        assert_eq!(ask(&token, Ok(true)), (Some(Signature), 0), "{length}");
    }
    let rsa = TokenVerifier::new(&provider(ATTACKS_JWKS), KeySet::parse(ATTACKS_JWKS).unwrap());
    for (header, lengths) in [
        (r#"{"alg":"RS256","kid":"rs-1"}"#, [0, 255, 257, 512]),
        (r#"{"alg":"ES256","kid":"es-1"}"#, [0, 63, 65, 72]),
    ] {
        for length in lengths {
            let text = signed_text(header, &standard_claims());
            let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(vec![7; length]));
            let told = Told(Ok(true), Cell::new(0));
            assert_eq!(rsa.verify(token.as_bytes(), seconds(NOW), &told).err(), Some(Signature));
            assert_eq!(told.1.get(), 0);
        }
    }
}
