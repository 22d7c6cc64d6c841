//! Files that policies of tests refer to, in memory.

use veilwire_policy_compiler::files::MemoryFiles;
use veilwire_policy_compiler::{Deployment, Source};

/// Public keys of RFC 7515 appendix A.3 (P-256) and RFC 8037 appendix A (Ed25519).
pub(crate) const JWKS: &str = r#"{"keys": [
  {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
  {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "use": "sig", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
]}"#;

/// The compiler looks at the markers; Envoy reads the rest.
pub(crate) const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// What policies of tests refer to.
pub(crate) fn files() -> MemoryFiles {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
    let certificates = [
        "ca.pem",
        "server.pem",
        "pki/server.pem",
        "pki/upstream-ca.pem",
        "pki/envoy-client.pem",
        "/etc/pki/internal-ca.pem",
        "/etc/ssl/certs/ca-certificates.crt",
    ];
    certificates
        .into_iter()
        .fold(MemoryFiles::default(), |files, name| files.with(name, CERTIFICATE))
        .with("E0314-pack-drift.lock", format!("openai@1 sha256:{}\n", "0".repeat(64)))
        .with("E0315-lock.lock", "openai@1\n")
        .with("jwks.json", JWKS)
        .with("empty-jwks.json", r#"{"keys": []}"#)
        .with("server.key", key)
        .with("pki/server.key", key)
        .with("pki/envoy-client.key", key)
}

/// A deployment under `/etc/veilwire`.
pub(crate) fn deployment() -> Deployment {
    Deployment { files: "/etc/veilwire".to_owned(), wasm: "/etc/veilwire/veilwire_filter.wasm".to_owned() }
}

/// A file of this repository as a source under its last name.
pub(crate) fn source(path: &str) -> Source {
    let full = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&full).unwrap_or_else(|error| panic!("{full}: {error}"));
    Source::new(path.rsplit('/').next().unwrap_or(path), text)
}
