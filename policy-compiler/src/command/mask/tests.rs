//! The corpus of the filter, through this command's body: what every other runner gets out of it must come out here.

use super::body::{Answer, Body, Head};
use super::target::Target;
use crate::files::MemoryFiles;
use crate::{Deployment, Source, compile_policy};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use veilwire_engine::decision::Direction;
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::model::Key;

fn policy() -> Policy {
    let path = format!("{}/../tests/policies/corpus.yaml", env!("CARGO_MANIFEST_DIR"));
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    // The key of RFC 8037, appendix A.2.
    let keys = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let files = [
        "pki/server.pem",
        "pki/server.key",
        "pki/upstream-ca.pem",
        "pki/envoy-client.pem",
        "pki/envoy-client.key",
    ]
    .into_iter()
    .fold(MemoryFiles::default().with("jwks.json", keys), |files, name| files.with(name, certificate));
    let deployment = Deployment { files: "/".to_owned(), wasm: "/filter.wasm".to_owned() };
    let source = Source::new("corpus.yaml", std::fs::read_to_string(path).unwrap());
    let compiled = compile_policy(&source, &files, &deployment).unwrap();
    // The key that the other runners have: 32 times `A`.
    let key = |_: &Key| Some(STANDARD.encode([b'A'; 32]).into_bytes());
    Policy::load_with_keys(&compiled.artifact, &key).unwrap()
}

/// What comes out, or why it is refused.
fn mask(
    policy: &Policy,
    target: &Target,
    direction: Direction,
    kind: &str,
    body: &[u8],
    piece: usize,
) -> Result<Vec<u8>, &'static str> {
    let head = Head { content_type: Some(kind), content_encoding: None, start: body };
    let mut masked = Body::open(policy, target, direction, &head).unwrap();
    let mut out = Vec::new();
    for piece in body.chunks(piece) {
        if let Answer::Refused(refusal) = masked.write(piece, &mut out) {
            return Err(refusal.reason.word());
        }
    }
    match masked.end(&mut out) {
        Answer::Refused(refusal) => Err(refusal.reason.word()),
        Answer::Complete | Answer::More => Ok(out),
    }
}

#[test]
fn the_corpus_comes_out_as_it_does_of_the_filter() {
    let policy = policy();
    let folder = format!("{}/../tests/corpus", env!("CARGO_MANIFEST_DIR"));
    let (mut masked, mut refused) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let file: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        for case in file["case"].as_array().unwrap() {
            let text = |key: &str| case.get(key).map(|value| value.as_str().unwrap().to_owned());
            let bytes = |key: &str| {
                let encoded = text(&format!("{key}-base64")).map(|text| STANDARD.decode(text).unwrap());
                text(key).map(String::into_bytes).or(encoded)
            };
            // This command sees one body, and so gives no pseudonym back.
            if case.get("request").is_some() {
                continue;
            }
            let name = text("name").unwrap();
            let target = Target::find(&policy, &text("route").unwrap(), &[]).unwrap();
            let kind = text("content-type").unwrap();
            let input = bytes("input").unwrap();
            let expected = match text("refuse") {
                Some(reason) => Err(reason),
                None => Ok(bytes("expect").unwrap()),
            };
            for direction in [Direction::Request, Direction::Response] {
                let word = if direction == Direction::Request { "request" } else { "response" };
                if text("direction").is_some_and(|only| only != word) {
                    continue;
                }
                for piece in [usize::MAX, 3] {
                    let came = mask(&policy, &target, direction, &kind, &input, piece).map_err(str::to_owned);
                    assert!(came == expected, "{}: {name} ({word}, pieces of {piece})", path.display());
                }
                masked += usize::from(expected.is_ok());
                refused += usize::from(expected.is_err());
            }
        }
    }
    assert!(masked > 80 && refused > 20, "{masked} masked, {refused} refused: the corpus is gone");
}
