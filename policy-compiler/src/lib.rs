//! The policy compiler of Veilwire, as a library; the binary `veilwire` is a thin shell around it.
//!
//! ```text
//! policy.yaml ─► source ─► resolve ─► lint ─► lower ─► Model ─► artifact
//!                (spans)   (names)                        └────► envoy.yaml
//! ```
//! Guarantees: all problems of a policy are reported at once, sorted by place; what the language has and this compiler has not is refused, never
//! ignored; the same input gives the same bytes; private keys are never read. What it does not do: talk to a network, write
//! files (the CLI does), read a clock.
//!
//! ```
//! use veilwire_policy_compiler::{Deployment, Source, compile_policy, files::MemoryFiles};
//!
//! let source = Source::new("policy.yaml", "apiVersion: veilwire.dev/v1\nkind: Polcy\n");
//! let deployment = Deployment { files: "/etc/veilwire".into(), wasm: "/etc/veilwire/veilwire_filter.wasm".into() };
//! let refused = compile_policy(&source, &MemoryFiles::default(), &deployment).unwrap_err();
//! assert_eq!(refused.items()[0].code.as_str(), "E0207");
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod catalog;
pub mod cli;
pub mod command;
pub mod coverage;
pub mod detect;
pub mod diagnostic;
pub mod emit;
pub mod files;
pub mod library;
pub mod lint;
pub mod lock;
pub mod lower;
pub mod output;
pub mod pack;
pub mod resolve;
pub mod source;

pub use diagnostic::Diagnostics;
pub use emit::envoy::Deployment;
pub use source::Source;

use diagnostic::{Code, Diagnostic};
use files::Files;
use resolve::Resolved;
use source::Policy as SourcePolicy;
use veilwire_engine::mask::InvalidPlan;
use veilwire_engine::policy::model::Model;
use veilwire_engine::policy::{InvalidPolicy, Policy, artifact};

/// What a policy compiles to.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// What the filter loads.
    pub artifact: Vec<u8>,
    /// SHA-256 of the artifact, lower-case hex.
    pub digest: String,
    /// The compiled model.
    pub model: Model,
    /// The complete Envoy bootstrap.
    pub envoy_yaml: String,
    /// What somebody should look at; no errors.
    pub warnings: Diagnostics,
}

/// Compiles a policy.
///
/// # Errors
/// Everything that is wrong with it, sorted by place, warnings included.
pub fn compile_policy(
    source: &Source,
    files: &dyn Files,
    deployment: &Deployment,
) -> Result<Compiled, Diagnostics> {
    let mut out = Diagnostics::default();
    match attempt(source, files, deployment, &mut out) {
        Some(compiled) => Ok(Compiled { warnings: out.sorted(), ..compiled }),
        None => Err(out.sorted()),
    }
}

fn attempt(
    source: &Source,
    files: &dyn Files,
    deployment: &Deployment,
    out: &mut Diagnostics,
) -> Option<Compiled> {
    let policy = SourcePolicy::read(source, out)?;
    let resolved = match Resolved::new(&policy, files, out) {
        Ok(resolved) => resolved,
        Err(broken) => return contradiction(out, &broken),
    };
    lock::check(&source.name, &resolved, files, out);
    lint::run(&resolved, out);
    if out.has_errors() {
        return None;
    }
    let model = match lower::lower(&resolved) {
        Ok(model) => model,
        Err(error @ (lower::LowerError::TooMany(_) | lower::LowerError::Detectors(_))) => {
            out.push(Diagnostic::whole(Code::E0902, error.to_string()));
            return None;
        }
        Err(error) => return contradiction(out, &error),
    };
    lint::placeholders::run(&resolved, &model, out);
    let artifact = match artifact::encode(&model) {
        Ok(artifact) => artifact,
        Err(error) => return too_large(out, &error),
    };
    // The filter's own check, so that what is written is what it accepts.
    let digest = match Policy::load(&artifact) {
        Ok(policy) => policy.digest().to_owned(),
        Err(error @ (InvalidPolicy::TooMany(_) | InvalidPolicy::Plan(InvalidPlan::Paths))) => {
            return too_large(out, &error);
        }
        Err(error) => return contradiction(out, &error),
    };
    match emit::envoy::emit(&policy, &model, &artifact, &digest, deployment) {
        Ok(envoy_yaml) => {
            Some(Compiled { artifact, digest, model, envoy_yaml, warnings: Diagnostics::default() })
        }
        Err(error) => contradiction(out, &error),
    }
}

fn too_large<T>(out: &mut Diagnostics, error: &dyn std::error::Error) -> Option<T> {
    out.push(Diagnostic::whole(Code::E0902, format!("a filter would not accept this policy: {error}")));
    None
}

fn contradiction<T>(out: &mut Diagnostics, error: &dyn std::error::Error) -> Option<T> {
    let message = format!("the compiler contradicts itself: {error}");
    out.push(
        Diagnostic::whole(Code::E0999, message)
            .help("this is a mistake in veilwire, not in the policy; please report it"),
    );
    None
}
