//! Any key set: no panic, one reading; what is taken from it is public, has one algorithm and one name, and is the key that
//! the document says.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use veilwire_engine::identity::{KeySet, VerifyingKey};
use veilwire_engine::policy::model::Algorithm;
use veilwire_fuzz::input::Input;

/// Keys of RFC 7515 (A.2, A.3), RFC 8037 (A.2) and RFC 7520 (3.1, 3.3).
const KEYS: [&str; 5] = [
    r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    r#"{"kty":"EC","crv":"P-521","x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}"#,
    r#"{"kty":"EC","crv":"P-384","x":"qosxfPIVs6VEEKumlY6NDzyIRWUPvdJHnyQRbLkMcGVzS4x6QSyXF6gWyqqkQzXi","y":"EHqQxQeEbk9zXxMUkhnVBmrVXRM1lwTHLmHe8Ub-2EJWNpyvPLw4m47L7Yo-uhHM"}"#,
];

const NAMES: [&str; 18] = [
    "kty", "crv", "alg", "use", "key_ops", "kid", "x", "y", "n", "e", "d", "k", "p", "oth", "priv", "x5c",
    "ext", "KTY",
];

const TEXTS: [&str; 24] = [
    "RSA", "EC", "OKP", "oct", "AKP", "P-256", "P-384", "P-521", "Ed25519", "X25519", "RS256", "PS512",
    "ES256", "ES384", "ES512", "EdDSA", "HS256", "none", "sig", "enc", "verify", "AQAB", "", "k1",
];

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let algorithms: Vec<Algorithm> = (0..input.byte() % 3).map(|_| input.pick(&Algorithm::ALL)).collect();
    let text = match input.byte() % 4 {
        0 => match std::str::from_utf8(input.rest()) {
            Ok(text) => text.to_owned(),
            Err(_) => return,
        },
        _ => {
            let entries: Vec<Value> = (0..1 + input.byte() % 4).map(|_| entry(&mut input)).collect();
            let mut document = json!({ "keys": entries });
            if input.byte() % 8 == 0 {
                document = any(&mut input);
            }
            document.to_string()
        }
    };
    let (first, again) = (KeySet::parse_for(&text, &algorithms), KeySet::parse_for(&text, &algorithms));
    match (first, again) {
        (Ok(first), Ok(again)) => {
            assert_eq!(keys(&first), keys(&again), "a set with two readings");
            check(&first, &text);
        }
        (Err(first), Err(again)) => assert_eq!(first, again),
        _ => panic!("a set that is good only once"),
    }
});

fn keys(set: &KeySet) -> Vec<(Option<&str>, Algorithm, &[u8])> {
    let all = Algorithm::ALL.into_iter().flat_map(|algorithm| set.keys_for(algorithm));
    all.map(|key| (key.key_id(), key.algorithm(), key.spki_der())).collect()
}

/// What is in a set that was taken, against its document.
fn check(set: &KeySet, text: &str) {
    let document: Value = serde_json::from_str(text).expect("it was read");
    let entries: Vec<&Map<String, Value>> = document["keys"]
        .as_array()
        .expect("it has keys")
        .iter()
        .map(|entry| entry.as_object().expect("an object"))
        .collect();
    let mut ids = BTreeSet::new();
    for entry in &entries {
        let secret = ["k", "d", "p", "q", "dp", "dq", "qi", "oth", "priv"];
        assert!(entry["kty"] != "oct" && !secret.iter().any(|name| entry.contains_key(*name)), "a secret");
        if let Some(id) = entry.get("kid") {
            assert!(ids.insert(id.as_str().expect("a text")), "a name of two keys");
        }
    }
    let taken = keys(set).len();
    assert!((1..=entries.len()).contains(&taken));
    for algorithm in Algorithm::ALL {
        for key in set.keys_for(algorithm) {
            assert!(key.algorithm() == algorithm && algorithm.mac_length().is_none());
            // A key without a name: any entry may be it.
            let is_it =
                |entry: &&&Map<String, Value>| entry.get("kid").and_then(Value::as_str) == key.key_id();
            assert!(
                entries.iter().filter(is_it).any(|entry| is_key(key, entry)),
                "another key than was written"
            );
        }
    }
    for id in ids {
        assert_eq!(set.key(id).is_some(), keys(set).iter().any(|(name, ..)| *name == Some(id)));
    }
}

/// Is this the key of the entry, for the use that the entry allows?
fn is_key(key: &VerifyingKey, entry: &Map<String, Value>) -> bool {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(entry.get(name)?.as_str()?).ok();
    let (algorithm, spki) = (key.algorithm(), key.spki_der());
    let named = entry.get("alg").is_none_or(|name| name == algorithm.name());
    let allowed = entry.get("use").is_none_or(|key_use| key_use == "sig")
        && entry
            .get("key_ops")
            .is_none_or(|operations| operations.as_array().is_some_and(|all| all.contains(&"verify".into())));
    let point = |length: usize| {
        let (Some(x), Some(y)) = (bytes("x"), bytes("y")) else { return false };
        x.len() == length && spki.ends_with(&[&[4], &x[..], &y[..]].concat())
    };
    let (fits, length) = match (entry["kty"].as_str(), entry.get("crv").and_then(Value::as_str)) {
        (Some("EC"), Some("P-256")) => (algorithm == Algorithm::ES256 && point(32), 64),
        (Some("EC"), Some("P-384")) => (algorithm == Algorithm::ES384 && point(48), 96),
        (Some("EC"), Some("P-521")) => (algorithm == Algorithm::ES512 && point(66), 132),
        (Some("OKP"), Some("Ed25519")) => {
            (algorithm == Algorithm::EdDSA && bytes("x").is_some_and(|x| spki.ends_with(&x)), 64)
        }
        (Some("RSA"), None) => {
            let modulus = bytes("n").unwrap_or_default();
            let modulus = modulus.strip_prefix(&[0]).unwrap_or(&modulus);
            let held = spki.windows(modulus.len().max(1)).any(|part| part == modulus);
            let sound = (256..=512).contains(&modulus.len()) && bytes("e").as_deref() == Some(&[1, 0, 1]);
            (algorithm.is_rsa() && held && sound, modulus.len())
        }
        _ => (false, 0),
    };
    named && allowed && fits && key.signature_length() == length
}

/// A published key, or a made-up one, with changes.
fn entry(input: &mut Input<'_>) -> Value {
    let choice = usize::from(input.byte());
    let published = KEYS.get(choice % (KEYS.len() + 1));
    let mut entry: Map<String, Value> =
        published.map(|key| serde_json::from_str(key).expect("published")).unwrap_or_default();
    for _ in 0..input.byte() % 4 {
        let name = input.pick(&NAMES).to_owned();
        match input.byte() % 4 {
            0 => drop(entry.remove(&name)),
            1 => drop(entry.insert(name, any(input))),
            2 => {
                // One bit of a value that is there.
                let Some(Value::String(text)) = entry.get(&name) else { continue };
                let Ok(mut bytes) = URL_SAFE_NO_PAD.decode(text) else { continue };
                let at = usize::from(input.word()) % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (input.byte() % 8);
                }
                entry.insert(name, URL_SAFE_NO_PAD.encode(bytes).into());
            }
            _ => drop(entry.insert(name, input.pick(&TEXTS).into())),
        }
    }
    entry.into()
}

fn any(input: &mut Input<'_>) -> Value {
    match input.byte() % 6 {
        0 => Value::Null,
        1 => input.byte().into(),
        2 => json!([input.pick(&TEXTS)]),
        3 => json!({ "keys": [input.pick(&TEXTS)] }),
        4 => String::from_utf8_lossy(input.take(12)).into(),
        _ => input.pick(&TEXTS).into(),
    }
}
