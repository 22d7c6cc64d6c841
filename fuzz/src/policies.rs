//! Policies, compiled once from the files in `fuzz/policies` by the product's own compiler.

use std::sync::{Arc, LazyLock};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::model::{Approval, Model};
use veilwire_policy_compiler::files::MemoryFiles;
use veilwire_policy_compiler::{Compiled, Deployment, Source, compile_policy};

/// The public key of RFC 8037, appendix A.2. Nothing here is ever signed with it.
pub const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// What the compiler takes for a certificate: it looks at the armour and leaves the rest to Envoy.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/// What a policy may refer to.
pub fn files() -> MemoryFiles {
    MemoryFiles::default()
        .with("jwks.json", JWKS)
        .with("server.pem", CERTIFICATE)
        .with("server.key", "")
        .with("ca.pem", CERTIFICATE)
}

/// Where an Envoy would find things.
pub fn deployment() -> Deployment {
    Deployment { files: "/etc/veilwire".into(), wasm: "/etc/veilwire/veilwire_filter.wasm".into() }
}

fn compile(name: &str, text: &str) -> Compiled {
    compile_policy(&Source::new(name, text), &files(), &deployment())
        .unwrap_or_else(|problems| panic!("{name} does not compile: {problems:?}"))
}

/// Every pack. The rule `agents-export` needs an approval, which the language cannot say yet.
pub static FULL_MODEL: LazyLock<Model> = LazyLock::new(|| {
    let mut model = compile("full.yaml", include_str!("../policies/full.yaml")).model;
    let rule =
        model.rules.iter_mut().find(|rule| rule.name == "agents-export").expect("the rule is in the file");
    rule.approval =
        Some(Approval { cluster: "approvals".into(), path: "/v1/requests".into(), timeout_ms: 60_000 });
    model
});

/// [`FULL_MODEL`], checked.
pub static FULL: LazyLock<Arc<Policy>> =
    LazyLock::new(|| Arc::new(Policy::from_model(&FULL_MODEL).expect("the compiler accepted it")));

/// What the full policy has no route for: the APIs of the other syntaxes.
pub static FORMATS_MODEL: LazyLock<Model> =
    LazyLock::new(|| compile("formats.yaml", include_str!("../policies/formats.yaml")).model);

/// [`FORMATS_MODEL`], checked.
pub static FORMATS: LazyLock<Policy> =
    LazyLock::new(|| Policy::from_model(&FORMATS_MODEL).expect("the compiler accepted it"));

/// An artifact with every pack.
pub static FULL_ARTIFACT: LazyLock<Vec<u8>> =
    LazyLock::new(|| compile("full.yaml", include_str!("../policies/full.yaml")).artifact);

/// A small artifact.
pub static SMALL_ARTIFACT: LazyLock<Vec<u8>> =
    LazyLock::new(|| compile("small.yaml", include_str!("../policies/small.yaml")).artifact);

/// Rules of every kind.
pub static RULES_MODEL: LazyLock<Model> =
    LazyLock::new(|| compile("rules.yaml", include_str!("../policies/rules.yaml")).model);
