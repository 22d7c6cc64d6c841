//! The default packs as mask plans: every detector, and the channels of the model APIs.
//!
//! The engine does not read YAML; the policy compiler does. Its pack files are plain enough to be read here line by line,
//! so that the benchmark runs what is shipped and not a copy that grows old.

use std::sync::Arc;
use veilwire_engine::compile::{Pattern, build};
use veilwire_engine::decision::Direction;
use veilwire_engine::mask::MaskPlan;
use veilwire_engine::mask::detector::DetectorSet;
use veilwire_engine::policy::id::{DetectorId, MaskId, TagId};
use veilwire_engine::policy::model::{
    Content, Detector, Limits, Mask, Replacement, Severity, Tag, Thinking, Validator,
};

type Failure = Box<dyn std::error::Error>;

const PACKS: [&str; 3] = [
    include_str!("../../../policy-compiler/packs/pci.yaml"),
    include_str!("../../../policy-compiler/packs/pii-us.yaml"),
    include_str!("../../../policy-compiler/packs/secrets.yaml"),
];
const OPENAI_CHAT: &str = include_str!("../../../policy-compiler/packs/content/openai.chat.json");

/// Every detector, on generic JSON and on OpenAI chat.
pub struct Plans {
    /// Any JSON or event stream: every string on its own.
    pub plain: Arc<MaskPlan>,
    /// Answers of the OpenAI chat API, with their channels.
    pub chat: Arc<MaskPlan>,
}

impl Plans {
    /// Compiles the packs.
    pub fn new() -> Result<Plans, Failure> {
        let (detectors, patterns) = detectors()?;
        let limits = Limits::default();
        let set = Arc::new(DetectorSet::new(build(&patterns, limits.window)?.automata, &detectors)?);
        let tags = [Tag {
            name: "found".to_owned(),
            severity: Severity::High,
            replacement: Replacement::Placeholder("[FOUND]".to_owned()),
        }];
        let mask = Mask {
            name: "all".to_owned(),
            detectors: patterns.iter().map(|pattern| pattern.detector).collect(),
            request_body: true,
            response_body: true,
            fields: Vec::new(),
            ..Mask::default()
        };
        let content: Content = serde_json::from_str(OPENAI_CHAT)?;
        let plan = |content| {
            let masks = [(MaskId(0), &mask)];
            let set = Arc::clone(&set);
            MaskPlan::new(
                set,
                &detectors,
                &tags,
                &masks,
                content,
                Direction::Response,
                Thinking::Refuse,
                &limits,
            )
        };
        Ok(Plans { plain: Arc::new(plan(None)?), chat: Arc::new(plan(Some(&content))?) })
    }
}

/// `pattern:` begins a detector, and `validate:` belongs to the one before it.
fn detectors() -> Result<(Vec<Detector>, Vec<Pattern>), Failure> {
    let (mut detectors, mut patterns): (Vec<Detector>, Vec<Pattern>) = (Vec::new(), Vec::new());
    for line in PACKS.iter().flat_map(|pack| pack.lines()).map(str::trim) {
        if let Some(quoted) = line.strip_prefix("pattern: ") {
            let regex = quoted
                .strip_prefix('\'')
                .and_then(|text| text.strip_suffix('\''))
                .ok_or("a pattern in an unknown form")?;
            let detector = DetectorId(u16::try_from(patterns.len())?);
            patterns.push(Pattern { detector, regex: regex.replace("''", "'"), validator: None });
            detectors.push(Detector { name: detector.0.to_string(), tag: TagId(0), validator: None });
        } else if let Some(word) = line.strip_prefix("validate: ") {
            let validator: Validator = serde_json::from_value(word.into())?;
            let (Some(pattern), Some(detector)) = (patterns.last_mut(), detectors.last_mut()) else {
                return Err("a validator without a pattern".into());
            };
            pattern.validator = Some(validator);
            detector.validator = Some(validator);
        }
    }
    let declared = PACKS
        .iter()
        .flat_map(|pack| pack.lines())
        .filter(|line| line.trim_start().starts_with("tag: "))
        .count();
    if patterns.len() != declared || patterns.is_empty() {
        return Err(format!("{} patterns for {declared} detectors", patterns.len()).into());
    }
    Ok((detectors, patterns))
}
