//! One verdict on every signature: our verifier natively, our verifier in the module, and the library of the host that the module asks.
//!
//! The vectors are those of Wycheproof, the tokens of the attack corpus, and for every algorithm a good signature with everything
//! that can be wrong with one. All of them have the one length that the key demands: of others the host would take some (zeros in front
//! of both numbers), which is why the engine refuses them before anybody is asked.
#![cfg(test)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::RS256KeyPair;
use p521::ecdsa::signature::Signer as _;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use veilwire_engine::identity::{JwtSimpleVerifier, KeySet, SignatureVerifier as _, VerifierError};
use veilwire_engine::policy::model::Algorithm;
use veilwire_tests::deadline::LIMIT;
use veilwire_tests::envoy::Envoy;

const WYCHEPROOF: &str = include_str!("../../engine/tests/data/jwt/wycheproof_signature.json");
const ATTACKS: &str = include_str!("../../engine/tests/data/jwt/attacks.jsonl");
const ATTACKS_JWKS: &str = include_str!("../../engine/tests/data/jwt/attacks_jwks.json");

/// A question to all verifiers.
struct Vector {
    /// What a failure says; the signature itself is nobody's secret, but long.
    name: String,
    jwks: String,
    algorithm: Algorithm,
    text: Vec<u8>,
    signature: Vec<u8>,
    /// What it is known to be.
    good: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
    /// The host is not asked.
    None,
}

#[test]
fn everybody_says_the_same_of_every_signature() {
    let mut vectors = published();
    let count = vectors.len();
    assert!(count > 250, "{count} published vectors");
    vectors.extend(own());
    let told = in_envoy(&vectors);
    assert_eq!(told.len(), vectors.len());
    let (mut asked, mut good) = (0, 0);
    for (vector, [module, host]) in vectors.iter().zip(told) {
        let native = native(vector);
        assert_eq!(module, native, "{}: the module says otherwise", vector.name);
        if host == Verdict::None {
            let alone = !matches!(vector.algorithm.name().get(..2), Some("RS" | "ES"));
            assert!(alone, "{}: the host was not asked", vector.name);
        } else {
            assert_eq!(host, native, "{}: the host says otherwise", vector.name);
            asked += 1;
        }
        let known = vector.good.map(|good| if good { Verdict::Good } else { Verdict::Bad });
        assert!(known.is_none_or(|known| known == native), "{}: {native:?}", vector.name);
        good += usize::from(native == Verdict::Good);
    }
    assert!(asked > 200 && good > 40, "{asked} by the host, {good} good");
    println!(
        "{} vectors, {count} of them published; {asked} by the host as well; {good} good",
        vectors.len()
    );
}

/// What our verifier says in this process.
fn native(vector: &Vector) -> Verdict {
    match verify(vector, &vector.signature) {
        // It comes to the payload, which need not be claims, only behind a good signature.
        Ok(true) | Err(VerifierError::Unreadable) => Verdict::Good,
        Ok(false) | Err(_) => Verdict::Bad,
    }
}

fn verify(vector: &Vector, signature: &[u8]) -> Result<bool, VerifierError> {
    let keys = KeySet::parse_for(&vector.jwks, &[vector.algorithm]).unwrap();
    let key = keys.keys_for(vector.algorithm).next().unwrap();
    JwtSimpleVerifier.verify(vector.algorithm, key, &vector.text, signature)
}

// === Published vectors ===

fn published() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let suite: Value = serde_json::from_str(WYCHEPROOF).unwrap();
    for group in suite["testGroups"].as_array().unwrap() {
        let Some(public) = group.get("public") else { continue };
        for test in group["tests"].as_array().unwrap() {
            let name = format!("Wycheproof {}", test["tcId"]);
            vectors.extend(of_token(&name, &json!({ "keys": [public] }).to_string(), test["jws"].as_str()));
        }
    }
    let keys: Value = serde_json::from_str(ATTACKS_JWKS).unwrap();
    for row in ATTACKS.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        // Each key, whichever the token names.
        for key in keys["keys"].as_array().unwrap() {
            let name = format!("{} under {}", row["name"], key["kid"]);
            vectors.extend(of_token(&name, &json!({ "keys": [key] }).to_string(), row["token"].as_str()));
        }
    }
    vectors
}

/// The signature of a token, if it is one for this key.
fn of_token(name: &str, jwks: &str, token: Option<&str>) -> Option<Vector> {
    let (text, signature) = token?.rsplit_once('.')?;
    let header = URL_SAFE_NO_PAD.decode(text.split('.').next()?).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    let algorithm = Algorithm::named(header["alg"].as_str()?)?;
    let keys = KeySet::parse_for(jwks, &[algorithm]).ok()?;
    let length = keys.keys_for(algorithm).next()?.signature_length();
    let signature = URL_SAFE_NO_PAD.decode(signature).ok().filter(|signature| signature.len() == length)?;
    // Longer than any honest one, and than a request of this test.
    let text = Some(text.as_bytes().to_vec()).filter(|text| text.len() < 1 << 16)?;
    let vector =
        Vector { name: name.to_owned(), jwks: jwks.to_owned(), algorithm, text, signature, good: None };
    // Some headers our verifier does not read on behind (`jwk`, `crit`): such a token is refused before it is asked.
    let wrong = vec![1; vector.signature.len()];
    (verify(&vector, &wrong) == Ok(false)).then_some(vector)
}

// === Vectors of our own ===

/// Claims, so that our verifier reads on behind the signature.
fn text(algorithm: Algorithm, subject: &str) -> Vec<u8> {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(json!({ "alg": algorithm.name() })), part(json!({ "sub": subject }))).into_bytes()
}

fn own() -> Vec<Vector> {
    let mut vectors = Vec::new();
    let [one, other] = [rsa(), rsa()];
    for (algorithm, encoding, hash) in [
        (Algorithm::RS256, &RSA_PKCS1_SHA256 as &'static dyn RsaEncoding, "RS"),
        (Algorithm::RS384, &RSA_PKCS1_SHA384, "RS"),
        (Algorithm::RS512, &RSA_PKCS1_SHA512, "RS"),
        (Algorithm::PS256, &RSA_PSS_SHA256, "PS"),
        (Algorithm::PS384, &RSA_PSS_SHA384, "PS"),
        (Algorithm::PS512, &RSA_PSS_SHA512, "PS"),
    ] {
        let sign = |pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, text: &[u8]| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), text, &mut signature).unwrap();
            signature
        };
        let public = PublicKeyComponents::<Vec<u8>>::from(one.public());
        let jwks = json!({ "keys": [{ "kty": "RSA", "alg": algorithm.name(),
            "n": URL_SAFE_NO_PAD.encode(&public.n), "e": URL_SAFE_NO_PAD.encode(&public.e) }] });
        let stranger = sign(&other, encoding, &text(algorithm, "ada"));
        let good = |text: &[u8]| sign(&one, encoding, text);
        let all = Family { algorithm, jwks: jwks.to_string(), good: &good, stranger };
        vectors.extend(all.vectors());
        // The same key and another hash or padding.
        let others: [(&str, &'static dyn RsaEncoding); 3] = match hash {
            "RS" => {
                [("SHA-512", &RSA_PKCS1_SHA512), ("SHA-384", &RSA_PKCS1_SHA384), ("PSS", &RSA_PSS_SHA256)]
            }
            _ => [("SHA-512", &RSA_PSS_SHA512), ("SHA-384", &RSA_PSS_SHA384), ("PKCS1", &RSA_PKCS1_SHA256)],
        };
        for (name, other) in
            others.into_iter().filter(|(name, _)| !name.ends_with(algorithm.name().trim_start_matches(hash)))
        {
            vectors.push(all.vector(name, sign(&one, other, &text(algorithm, "ada")), Some(false)));
        }
        vectors.push(all.vector("all ones", vec![0xff; public.n.len()], Some(false)));
        vectors.push(all.vector("the modulus", public.n, Some(false)));
    }
    vectors.extend(curve(Algorithm::ES256, "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING, ORDER_256));
    vectors.extend(curve(Algorithm::ES384, "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING, ORDER_384));
    vectors.extend(p521_vectors());
    vectors.extend(ed25519());
    vectors
}

fn rsa() -> RsaKeyPair {
    let der = RS256KeyPair::generate(2048).unwrap().to_der().unwrap();
    RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der)).unwrap()
}

/// What is common to all algorithms.
struct Family<'a> {
    algorithm: Algorithm,
    jwks: String,
    good: &'a dyn Fn(&[u8]) -> Vec<u8>,
    /// A signature of another key over the same text.
    stranger: Vec<u8>,
}

impl Family<'_> {
    fn vector(&self, what: &str, signature: Vec<u8>, good: Option<bool>) -> Vector {
        let name = format!("{} {what}", self.algorithm.name());
        let text = text(self.algorithm, "ada");
        Vector { name, jwks: self.jwks.clone(), algorithm: self.algorithm, text, signature, good }
    }

    fn vectors(&self) -> Vec<Vector> {
        let signature = (self.good)(&text(self.algorithm, "ada"));
        let length = signature.len();
        let mut all = vec![
            self.vector("good", signature.clone(), Some(true)),
            self.vector("another key", self.stranger.clone(), Some(false)),
            self.vector("another text", (self.good)(&text(self.algorithm, "eve")), Some(false)),
            self.vector("zeros", vec![0; length], Some(false)),
        ];
        for at in [0, 1, length / 4, length / 2 - 1, length / 2, length - 2, length - 1] {
            let mut flipped = signature.clone();
            flipped[at] ^= 1 << (at % 8);
            all.push(self.vector(&format!("flipped at {at}"), flipped, Some(false)));
        }
        all
    }

    /// What can be wrong with a pair of numbers below this order.
    fn pairs(&self, order: &str) -> Vec<Vector> {
        let signature = (self.good)(&text(self.algorithm, "ada"));
        let (r, s) = signature.split_at(signature.len() / 2);
        let order = unhex(order);
        let zero = vec![0; r.len()];
        let one = [&zero[1..], &[1]].concat();
        let mut all = vec![
            self.vector("swapped", [s, r].concat(), Some(false)),
            self.vector("r is zero", [&zero, s].concat(), Some(false)),
            self.vector("s is zero", [r, &zero].concat(), Some(false)),
            self.vector("both are one", [&one[..], &one].concat(), Some(false)),
            self.vector("r is the order", [&order, s].concat(), Some(false)),
            self.vector("s is the order", [r, &order].concat(), Some(false)),
            // RFC 7518 knows no rule against it: the other of the two signatures that there always are.
            self.vector("the other s", [r, &minus(&order, s)].concat(), Some(true)),
        ];
        if let Some(sum) = plus(&order, s) {
            all.push(self.vector("s beyond the order", [r, &sum].concat(), Some(false)));
        }
        if let Some(sum) = plus(&order, r) {
            all.push(self.vector("r beyond the order", [&sum, s].concat(), Some(false)));
        }
        all
    }
}

const ORDER_256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const ORDER_384: &str =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
const ORDER_521: &str = "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409";

fn curve(
    algorithm: Algorithm,
    name: &str,
    signing: &'static EcdsaSigningAlgorithm,
    order: &str,
) -> Vec<Vector> {
    let random = SystemRandom::new();
    let [one, other] = [(); 2].map(|()| {
        let der = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(signing, der.as_ref(), &random).unwrap()
    });
    let sign = |pair: &EcdsaKeyPair, text: &[u8]| pair.sign(&random, text).unwrap().as_ref().to_vec();
    let stranger = sign(&other, &text(algorithm, "ada"));
    let good = |text: &[u8]| sign(&one, text);
    let all = Family { algorithm, jwks: point(name, one.public_key().as_ref()), good: &good, stranger };
    // A key that is drawn by lot: several signatures of it.
    let several = (0..4).map(|_| all.vector("good", good(&text(algorithm, "ada")), Some(true)));
    several.chain(all.vectors()).chain(all.pairs(order)).collect()
}

fn p521_vectors() -> Vec<Vector> {
    let algorithm = Algorithm::ES512;
    let [one, other] = [[7_u8; 66], [9; 66]].map(|mut secret| {
        secret[0] = 0;
        p521::ecdsa::SigningKey::from_slice(&secret).unwrap()
    });
    let sign = |pair: &p521::ecdsa::SigningKey, text: &[u8]| {
        let signature: p521::ecdsa::Signature = pair.sign(text);
        signature.to_bytes().to_vec()
    };
    let stranger = sign(&other, &text(algorithm, "ada"));
    let good = |text: &[u8]| sign(&one, text);
    let public = one.verifying_key().to_sec1_point(false);
    let all = Family { algorithm, jwks: point("P-521", public.as_bytes()), good: &good, stranger };
    all.vectors().into_iter().chain(all.pairs(ORDER_521)).collect()
}

fn ed25519() -> Vec<Vector> {
    let algorithm = Algorithm::EdDSA;
    let random = SystemRandom::new();
    let [one, other] = [(); 2].map(|()| {
        Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap()
    });
    let stranger = other.sign(&text(algorithm, "ada")).as_ref().to_vec();
    let good = |text: &[u8]| one.sign(text).as_ref().to_vec();
    let x = URL_SAFE_NO_PAD.encode(one.public_key().as_ref());
    let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] }).to_string();
    Family { algorithm, jwks, good: &good, stranger }.vectors()
}

/// A key set of an uncompressed point (SEC 1 section 2.3.3).
fn point(curve: &str, bytes: &[u8]) -> String {
    let (x, y) = bytes[1..].split_at(bytes.len() / 2);
    let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
    json!({ "keys": [{ "kty": "EC", "crv": curve, "x": x, "y": y }] }).to_string()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// `a - b` for `a` not below `b`, of equal length.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0_i16;
    let mut digits: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let digit = i16::from(*a) - i16::from(*b) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit.rem_euclid(256)).unwrap()
        })
        .collect();
    digits.reverse();
    digits
}

/// `a + b`, if that is as long.
fn plus(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0_u16;
    let mut digits: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let digit = u16::from(*a) + u16::from(*b) + carry;
            carry = digit >> 8;
            u8::try_from(digit & 0xff).unwrap()
        })
        .collect();
    digits.reverse();
    (carry == 0).then_some(digits)
}

// === Envoy ===

/// Questions in one request: the module answers them in one go, and others wait meanwhile.
const AT_ONCE: usize = 40;

fn config(module: &Path) -> Value {
    let wasm = json!({
        "name": "signatures",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": "signatures",
                "root_id": "signatures",
                "allow_on_headers_stop_iteration": true,
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": module } },
                },
            },
        },
    });
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "signatures",
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 500 } }],
        }] },
        "http_filters": [wasm, router],
    });
    let listener = json!({
        "name": "signatures",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }] }],
    });
    json!({
        "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } } },
        "static_resources": { "listeners": [listener] },
    })
}

/// What both verifiers of the module say: ours, and the host's.
fn in_envoy(vectors: &[Vector]) -> Vec<[Verdict; 2]> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/signature_filter.wasm");
    assert!(module.is_file(), "`{}` is missing; `cargo xtask test` builds it", module.display());
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("envoy.json");
    std::fs::write(&file, config(&module.canonicalize().unwrap()).to_string()).unwrap();
    let envoy = Envoy::start(&file).unwrap();
    let address = envoy.address("signatures").unwrap();
    let mut verdicts = Vec::new();
    for some in vectors.chunks(AT_ONCE) {
        let questions: Vec<[String; 4]> = some
            .iter()
            .map(|vector| {
                let [text, signature] =
                    [&vector.text, &vector.signature].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
                [vector.jwks.clone(), vector.algorithm.name().to_owned(), text, signature]
            })
            .collect();
        let body = serde_json::to_string(&questions).unwrap();
        let mut stream = TcpStream::connect_timeout(&address, LIMIT).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|error| {
            panic!("{error}: {} of {}\n{}", verdicts.len(), vectors.len(), envoy.log_tail())
        });
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}\n{}", envoy.log_tail());
        let answers: Vec<[String; 2]> = serde_json::from_str(body).unwrap();
        verdicts.extend(answers.iter().map(|answer| answer.each_ref().map(|word| verdict(word))));
    }
    verdicts
}

fn verdict(word: &str) -> Verdict {
    match word {
        "good" | "unreadable" => Verdict::Good,
        "bad" => Verdict::Bad,
        "none" => Verdict::None,
        other => panic!("{other}"),
    }
}
