//! Plans with the usual detectors, and ways to send a body through a masker.

#![expect(dead_code, reason = "every test binary uses its own part of this module")]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use veilwire_engine::compile::{Near, Pattern, build};
use veilwire_engine::decision::Direction;
use veilwire_engine::format::Format;
use veilwire_engine::mask::detector::DetectorSet;
use veilwire_engine::mask::{Findings, MaskError, MaskPlan, Masker};
use veilwire_engine::policy::id::{DetectorId, MaskId, TagId};
use veilwire_engine::policy::model::*;

/// Pattern, validator, tag. The last two have a condition: see [`patterns`].
pub(crate) const DETECTORS: [(&str, Option<Validator>, u16); 8] = [
    (r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}\b", None, 0),
    (r"\b[2-6][0-9]{3}(?:[ -]?[0-9]){8,15}\b", Some(Validator::Luhn), 1),
    (r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", Some(Validator::UsSsn), 2),
    (r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", None, 3),
    (r"\bsk-(?:proj-|svcacct-|admin-)[A-Za-z0-9_-]{20,}|\bsk-[A-Za-z0-9]{20,}", None, 3),
    (r"\bsk-ant-[a-z0-9]{3,6}-[A-Za-z0-9_-]{20,}", None, 3),
    (r"[a-z0-9]{4,}", None, 3),
    (r"\b[0-9]{5}\b", None, 2),
];

/// Name, severity, placeholder.
pub(crate) const TAGS: [(&str, Severity, &str); 5] = [
    ("pii.email", Severity::High, "[EMAIL]"),
    ("pci.pan", Severity::Critical, "[CARD]"),
    ("pii.gov-id", Severity::High, "[ID]"),
    ("secret", Severity::Critical, "[SECRET]"),
    ("pii.contact", Severity::Medium, "[CONTACT]"),
];

pub(crate) fn patterns() -> Vec<Pattern> {
    let numbered = DETECTORS.iter().zip(0..);
    let pattern = |(&(regex, validator, _), id): (&(&str, _, _), u16)| Pattern {
        detector: DetectorId(id),
        regex: regex.to_owned(),
        validator,
        ..Pattern::default()
    };
    let mut patterns: Vec<Pattern> = numbered.map(pattern).collect();
    patterns[6].prefix = Some(r"\bpw[=:] ?".to_owned());
    patterns[7].near = Some(Near { words: vec![r"\bbadge\b".to_owned()], within: 12 });
    patterns
}

pub(crate) fn tags() -> Vec<Tag> {
    let tag = |&(name, severity, text): &(&str, Severity, &str)| Tag {
        name: name.to_owned(),
        severity,
        replacement: Replacement::Placeholder(text.to_owned()),
        numbers: Numbers::String,
    };
    TAGS.iter().map(tag).collect()
}

pub(crate) fn detectors() -> Vec<Detector> {
    let detector = |&(_, validator, tag): &(&str, Option<Validator>, u16)| Detector {
        name: format!("d{tag}"),
        tag: TagId(tag),
        validator,
    };
    DETECTORS.iter().map(detector).collect()
}

pub(crate) fn set() -> Arc<DetectorSet> {
    static SET: OnceLock<Arc<DetectorSet>> = OnceLock::new();
    let make =
        || Arc::new(DetectorSet::new(build(&patterns(), 512).unwrap().automata, &detectors()).unwrap());
    Arc::clone(SET.get_or_init(make))
}

/// A content of the packs.
pub(crate) fn content(name: &str) -> Content {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../policy-compiler/packs/content");
    let text = std::fs::read_to_string(path.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What a plan is made of; `Default` scans everything.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) content: Option<Content>,
    /// Tag and path.
    pub(crate) fields: Vec<(u16, &'static str)>,
    /// The same for forms.
    pub(crate) form_fields: Vec<(u16, &'static str)>,
    /// Tag and key.
    pub(crate) attributes: Vec<(u16, &'static str)>,
    pub(crate) detectors: Vec<u16>,
    pub(crate) thinking: Thinking,
    pub(crate) limits: Limits,
    pub(crate) direction: Direction,
    /// What stands for e-mail addresses.
    pub(crate) placeholder: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            content: None,
            fields: Vec::new(),
            form_fields: Vec::new(),
            attributes: Vec::new(),
            detectors: (0..6).collect(),
            thinking: Thinking::Refuse,
            limits: Limits::default(),
            direction: Direction::Response,
            placeholder: "[EMAIL]",
        }
    }
}

impl Setup {
    pub(crate) fn of(name: &str) -> Setup {
        Setup { content: Some(content(name)), ..Setup::default() }
    }

    pub(crate) fn plan(&self) -> Arc<MaskPlan> {
        let mut tags = tags();
        tags[0].replacement = Replacement::Placeholder(self.placeholder.to_owned());
        self.plan_with(&tags)
    }

    /// With other tags in the place of [`TAGS`].
    pub(crate) fn plan_with(&self, tags: &[Tag]) -> Arc<MaskPlan> {
        let field = |&(tag, path): &(u16, &str)| Field { tag: TagId(tag), at: path.parse().unwrap() };
        let attribute = |&(tag, key): &(u16, &str)| Attribute { tag: TagId(tag), key: key.to_owned() };
        let mask = Mask {
            name: "all".into(),
            detectors: self.detectors.iter().copied().map(DetectorId).collect(),
            request_body: true,
            response_body: true,
            fields: self.fields.iter().map(field).collect(),
            form_fields: self.form_fields.iter().map(field).collect(),
            attributes: self.attributes.iter().map(attribute).collect(),
            ..Mask::default()
        };
        let plan = MaskPlan::new(
            set(),
            &detectors(),
            tags,
            &[(MaskId(0), &mask)],
            self.content.as_ref(),
            self.direction,
            self.thinking,
            &self.limits,
        );
        Arc::new(plan.unwrap())
    }
}

/// Everything that came out, and how it ended.
pub(crate) type Outcome = (Vec<u8>, Result<Findings, MaskError>);

/// Sends chunks through a masker. Checks that an error is final, and that held bytes stay within the limit.
pub(crate) fn send<'c>(
    plan: &Arc<MaskPlan>,
    format: Format,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> Outcome {
    let mut masker = Masker::new(Arc::clone(plan), format);
    let mut out = Vec::new();
    for chunk in chunks {
        if let Err(error) = masker.write(chunk, &mut out) {
            let length = out.len();
            assert_eq!(masker.write(b"more", &mut out), Err(error));
            assert_eq!(masker.end(&mut out), Err(error));
            assert_eq!(out.len(), length, "output after an error");
            return (out, Err(error));
        }
        assert!(masker.held() <= 128 * 1024, "{} bytes held", masker.held());
    }
    let ended = masker.end(&mut out).map(|summary| summary.findings);
    (out, ended)
}

pub(crate) fn whole(plan: &Arc<MaskPlan>, format: Format, body: &[u8]) -> Outcome {
    send(plan, format, [body])
}

/// The bytes of a body that passes.
pub(crate) fn masked(plan: &Arc<MaskPlan>, format: Format, body: impl AsRef<[u8]>) -> String {
    let (out, ended) = whole(plan, format, body.as_ref());
    assert_eq!(ended.err(), None, "refused after {} bytes", out.len());
    String::from_utf8(out).expect("UTF-8")
}

/// Checks every two-way split, and one byte at a time, against the whole.
pub(crate) fn check_splits(plan: &Arc<MaskPlan>, format: Format, body: &[u8]) -> Outcome {
    let expected = whole(plan, format, body);
    for at in 0..=body.len() {
        let (head, tail) = body.split_at(at);
        assert!(send(plan, format, [head, tail]) == expected, "split at {at} of {}", body.len());
    }
    assert!(send(plan, format, body.chunks(1)) == expected, "byte by byte");
    expected
}

/// The recorded bodies whose names begin and end like this, with their names.
pub(crate) fn recorded(prefix: &str, suffix: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/recorded");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.starts_with(prefix) && name.ends_with(suffix));
    names.sort();
    assert!(!names.is_empty(), "no recorded body {prefix}*{suffix}");
    names.into_iter().map(|name| (name.clone(), std::fs::read(folder.join(&name)).unwrap())).collect()
}

/// A small deterministic random number generator (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end.max(1)
    }

    /// Cuts a body into random pieces.
    pub(crate) fn cut<'b>(&mut self, body: &'b [u8], longest: usize) -> Vec<&'b [u8]> {
        let mut rest = body;
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + self.below(longest)).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces
    }
}
