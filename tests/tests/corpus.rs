//! The corpus on the native engine: whole, and cut every way that `splits` knows.
#![cfg(test)]

use std::sync::Arc;

use veilwire_engine::decision::Direction::{self, Request, Response};
use veilwire_engine::format::Format;
use veilwire_engine::mask::{Findings, MaskError, MaskPlan, Masker, Pseudonyms};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{MaskId, RouteId};
use veilwire_engine::policy::model::{Effect, Key, Model};
use veilwire_policy_compiler::files::MemoryFiles;
use veilwire_policy_compiler::{Deployment, Source, compile_policy};
use veilwire_tests::corpus::{self, Case, Expect, Finding};
use veilwire_tests::pki::Pki;
use veilwire_tests::site::{KEYS, POLICY, PSEUDONYM_KEY};
use veilwire_tests::splits;

/// A key nobody has: the corpus needs none to be right, only to be there (RFC 8037 appendix A.2).
const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

struct Native {
    policy: Policy,
    model: Model,
}

impl Native {
    fn new() -> Self {
        let pki = Pki::temporary().unwrap();
        let mut files = MemoryFiles::default().with("jwks.json", JWKS);
        for (name, made) in KEYS {
            files = files.with(format!("pki/{name}"), std::fs::read(pki.path(made)).unwrap());
        }
        let deployment = Deployment { files: ".".into(), wasm: "filter.wasm".into() };
        let source = Source::new("corpus.yaml", POLICY);
        let compiled = compile_policy(&source, &files, &deployment).unwrap_or_else(|refused| {
            panic!("{}", veilwire_policy_compiler::diagnostic::render::human(&source, &refused, false))
        });
        let key = |_: &Key| Some(PSEUDONYM_KEY.1.into());
        let policy = Policy::load_with_keys(&compiled.artifact, &key).unwrap();
        Native { policy, model: compiled.model }
    }

    fn plan(&self, case: &Case, direction: Direction) -> Arc<MaskPlan> {
        let route = self.model.routes.iter().position(|route| route.name == case.route);
        let route =
            RouteId(u16::try_from(route.unwrap_or_else(|| panic!("{}: no such route", case.name))).unwrap());
        let rules =
            self.model.rules.iter().filter(|rule| rule.effect == Effect::May && rule.routes.contains(&route));
        let mut masks: Vec<MaskId> = rules.flat_map(|rule| rule.masks.clone()).collect();
        masks.sort_unstable();
        masks.dedup();
        self.policy.plan(&masks, route, direction).unwrap().unwrap()
    }

    /// A masker of the body; of a response, after its request, whose pseudonyms it gives back.
    fn masker(&self, case: &Case) -> Masker {
        let format = Format::of(case.content_type.as_bytes()).unwrap();
        let table = Pseudonyms::default();
        if case.direction == corpus::Direction::Request {
            return Masker::new(self.plan(case, Request), format).sharing(&table, Request);
        }
        let asked = Format::of(b"application/json").unwrap();
        let mut masker = Masker::new(self.plan(case, Request), asked).sharing(&table, Request);
        let mut out = Vec::new();
        masker.write(&case.asked.input, &mut out).unwrap();
        masker.end(&mut out).unwrap();
        let [seen, expected] = [&out, &case.asked.expect].map(|body| String::from_utf8_lossy(body));
        assert_eq!(seen, expected, "{}: the upstream was asked", case.name);
        Masker::new(self.plan(case, Response), format).sharing(&table, Response)
    }

    /// What comes out of a body in these pieces, what was found, and why it was refused.
    fn run(&self, case: &Case, pieces: &[&[u8]]) -> (Vec<u8>, Findings, Option<MaskError>) {
        let mut masker = self.masker(case);
        let mut out = Vec::new();
        for piece in pieces {
            if let Err(error) = masker.write(piece, &mut out) {
                let before = out.len();
                assert_eq!(masker.write(b" ", &mut out), Err(error), "{}: an error is final", case.name);
                assert_eq!(out.len(), before, "{}: nothing leaves after an error", case.name);
                return (out, masker.findings().clone(), Some(error));
            }
        }
        let findings = masker.findings().clone();
        match masker.end(&mut out) {
            Ok(summary) => (out, summary.findings, None),
            Err(error) => (out, findings, Some(error)),
        }
    }

    fn check(&self, case: &Case, cuts: &[usize]) -> Findings {
        let (out, findings, error) = self.run(case, &splits::pieces(&case.input, cuts));
        match &case.expect {
            Expect::Output(expected) => {
                assert_eq!(error, None, "{}, cut at {cuts:?}", case.name);
                assert_eq!(
                    String::from_utf8_lossy(&out),
                    String::from_utf8_lossy(expected),
                    "{}, cut at {cuts:?}",
                    case.name
                );
                assert_eq!(&out, expected, "{}, cut at {cuts:?}", case.name);
            }
            Expect::Refused(reason) => {
                assert_eq!(
                    error.map(MaskError::reason),
                    Some(reason.as_str()),
                    "{}, cut at {cuts:?}",
                    case.name
                );
            }
        }
        findings
    }

    fn listed(&self, findings: &Findings) -> Vec<Finding> {
        let list = findings.iter().map(|finding| Finding {
            detector: finding.detector().map(|id| self.model.detectors[id.index()].name.clone()),
            tag: finding.tag().map(|id| self.model.tags[id.index()].name.clone()),
            location: finding.location.clone(),
            count: finding.count,
        });
        list.collect()
    }
}

fn cases() -> Vec<Case> {
    let cases = corpus::load().unwrap();
    cases.into_iter().filter(|case| !case.disabled.contains_key("native")).collect()
}

#[test]
fn whole() {
    let native = Native::new();
    let mut failures = Vec::new();
    for case in cases() {
        let run = || {
            let findings = native.listed(&native.check(&case, &[]));
            if let Some(expected) = &case.findings {
                assert_eq!(&findings, expected, "{}", case.name);
            }
        };
        if let Err(cause) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
            failures.push(cause.downcast_ref::<String>().cloned().unwrap_or_default());
        }
    }
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn every_split() {
    let native = Native::new();
    for case in cases() {
        let whole = native.check(&case, &[]);
        for cuts in splits::cuts(case.input.len(), &[]) {
            let findings = native.check(&case, &cuts);
            assert_eq!(findings, whole, "{}, cut at {cuts:?}", case.name);
        }
    }
}

#[test]
fn every_prefix_leaves_nothing_that_more_input_takes_back() {
    let native = Native::new();
    for case in cases() {
        let Expect::Output(expected) = &case.expect else { continue };
        for length in 0..case.input.len() {
            let mut masker = native.masker(&case);
            let mut out = Vec::new();
            masker.write(&case.input[..length], &mut out).unwrap();
            assert!(
                expected.starts_with(&out),
                "{}: prefix of {length} bytes put out something else",
                case.name
            );
        }
    }
}
