//! What is inspected, what is not, and what is refused: told by the packs and the engine, not by hand.
//!
//! What it guarantees: contents come from the packs, whether a type of body can be masked from [`Format::of`] and
//! [`MaskPlan::takes`], what a policy covers from [`Policy::plan`]: nothing here knows it a second time. What it does not do:
//! look at bodies, or say how good a detector is.
//!
//! [`Format::of`]: veilwire_engine::format::Format::of
//! [`MaskPlan::takes`]: veilwire_engine::mask::MaskPlan::takes

mod content;
pub mod head;
mod media;
mod reason;
mod render;
mod routes;

pub use content::{ContentCoverage, Joined, Message, Untouched};
pub use media::{Answer, TypeCoverage};
pub use render::{human, markdown, policy_human, policy_markdown};
pub(crate) use routes::request_of;
pub use routes::{CallerCoverage, PlaceCoverage, PolicyCoverage, Replaced, RouteCoverage};

use crate::files::MemoryFiles;
use crate::{Deployment, Source, compile_policy, pack};
use head::Difference;
use serde::Serialize;
use veilwire_engine::mask::InvalidPlan;
use veilwire_engine::policy::Policy;

/// Everything that can be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Types of bodies, with what the engine makes of them on masked routes.
    pub content_types: Vec<TypeCoverage>,
    /// Charsets of texts.
    pub charsets: Vec<Answer>,
    /// Content encodings.
    pub encodings: Vec<Answer>,
    /// What is known of each content; plain JSON first.
    pub contents: Vec<ContentCoverage>,
    /// What is not looked at, whatever a policy says.
    pub not_covered: &'static [&'static str],
    /// How a message with Veilwire on its way differs from one without, beside its masked values.
    pub header_differences: &'static [Difference],
    /// What a policy does, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyCoverage>,
}

/// Coverage cannot be told: a mistake in this crate, found by its tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCoverage {
    /// The policy that asks the engine about every content is refused.
    #[error("the packs do not make a policy")]
    Packs,
    /// The masks of a checked policy cannot be carried out.
    #[error("mask: {0}")]
    Plan(#[from] InvalidPlan),
}

/// Name of routes without a content.
const JSON: &str = "json";

const NOT_COVERED: &[&str] = &[
    "What a caller or an upstream puts into a path, query or header, unless the mask has `path`, `query` or `headers` in its `in` (trailers of masked bodies are scanned anyway).",
    "Values inside of an encoding: base64 (but for event streams of AWS, binary trailers), percent-encoding outside of forms, queries and headers, character references of HTML and XML, images, sound, documents, anything encrypted.",
    "Values that are disguised: homoglyphs, zero-width characters, markup in their middle.",
    "A value that is cut over several messages, several JSON strings that are no channel, or several fields: each is a text of its own.",
    "An injected credential that an upstream echoes. Echoes of a credential are masked only where the filter itself places it, and this version places none: an echo is not covered, unless a detector knows its form.",
    "What no detector of the mask finds and no field of it names.",
];

impl Coverage {
    /// What holds whatever the policy.
    ///
    /// # Errors
    /// See [`NoCoverage`].
    pub fn of_packs() -> Result<Coverage, NoCoverage> {
        let policy = every_content()?;
        let contents = content::all(&policy)?;
        Ok(Coverage {
            content_types: media::types(&contents),
            charsets: media::charsets(),
            encodings: media::encodings(),
            contents,
            not_covered: NOT_COVERED,
            header_differences: head::DIFFERENCES,
            policy: None,
        })
    }

    /// The same, with what this policy does.
    ///
    /// # Errors
    /// See [`NoCoverage`].
    pub fn of_policy(policy: &Policy) -> Result<Coverage, NoCoverage> {
        let policy = PolicyCoverage::new(policy)?;
        Ok(Coverage { policy: Some(policy), ..Coverage::of_packs()? })
    }
}

/// A policy with a masked route for every content: whoever asks it is answered by the engine.
fn every_content() -> Result<Policy, NoCoverage> {
    let contents: Vec<&str> = pack::homes().map(|(content, _)| content).collect();
    let name = |content: &str| content.replace('.', "-");
    let routes: String = contents
        .iter()
        .chain(&[JSON])
        .map(|content| {
            let name = name(content);
            format!(
                "    {name}: {{match: {{host: any, path: /{name}}}, upstream: any, content: {content}}}\n"
            )
        })
        .collect();
    let packs = pack::references().collect::<Vec<_>>().join(", ");
    let may = contents.iter().chain(&[JSON]).map(|content| name(content)).collect::<Vec<_>>().join(", ");
    let text = EVERY_CONTENT.replace("PACKS", &packs).replace("    ROUTES\n", &routes).replace("MAY", &may);
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let files = MemoryFiles::default().with("any", certificate).with("keys", KEYS);
    let deployment = Deployment { files: "/".to_owned(), wasm: "/any".to_owned() };
    let compiled = compile_policy(&Source::new("every content", text), &files, &deployment)
        .map_err(|_| NoCoverage::Packs)?;
    Policy::load(&compiled.artifact).map_err(|_| NoCoverage::Packs)
}

/// Nobody is served by it. Only answers are masked: some requests cannot be.
const EVERY_CONTENT: &str = "apiVersion: veilwire.dev/v1
kind: Policy
metadata: {name: every-content, revision: 1}
spec:
  packs: [PACKS]
  tags: {any: {severity: low, replace: {placeholder: '[ANY]'}}}
  detectors: {any: {tag: any, pattern: 'needle', examples: {match: [needle]}}}
  identity:
    any: {jwt: {issuer: https://any.invalid, audiences: [any], algorithms: [EdDSA], jwks: {inline: {file: keys}}, groupsClaim: any}}
  groups: {any: {any: any}}
  tls: {require: always, profile: modern, downstream: {certificate: {files: {chain: any, key: any}}}, trust: {any: {file: any}}}
  listeners: {http: {address: 127.0.0.1, port: 1}}
  upstreams: {any: {http: {host: any.invalid, port: 1, trust: any}}}
  routes:
    ROUTES
  masks: {any: {scan: {detectors: [any], in: [responseBody]}}}
  rules: {any: {who: {groups: [any]}, may: [MAY], mask: [any]}}
";

/// The key of RFC 8037, appendix A.2: a policy needs one.
const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "any", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_content_of_the_packs_is_told() {
        let coverage = Coverage::of_packs().unwrap();
        let told: Vec<&str> = coverage.contents.iter().map(|content| content.name.as_str()).collect();
        for (content, _) in pack::homes() {
            assert!(told.contains(&content), "{content}");
        }
        assert_eq!((told.first(), told.len()), (Some(&JSON), pack::homes().count() + 1));
    }
}
