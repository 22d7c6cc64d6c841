//! The default packs as mask plans: every detector, and the channels of the model APIs.
//!
//! The engine does not read YAML; the policy compiler does. Its pack files are plain enough to be read here line by line,
//! so that the benchmark runs what is shipped and not a copy that grows old.

use crate::shapes::SHAPES;
use std::sync::Arc;
use veilwire_engine::compile::{Pattern, build};
use veilwire_engine::decision::Direction;
use veilwire_engine::mask::MaskPlan;
use veilwire_engine::mask::detector::{DetectorBits, DetectorSet};
use veilwire_engine::policy::id::{DetectorId, MaskId, TagId};
use veilwire_engine::policy::model::{
    Content, Detector, Limits, Mask, Numbers, Replacement, Severity, Tag, Thinking, Validator,
};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const PACKS: [(&str, &str); 3] = [
    ("pci", include_str!("../../../policy-compiler/packs/pci.yaml")),
    ("pii-us", include_str!("../../../policy-compiler/packs/pii-us.yaml")),
    ("secrets", include_str!("../../../policy-compiler/packs/secrets.yaml")),
];
const OPENAI_CHAT: &str = include_str!("../../../policy-compiler/packs/content/openai.chat.json");

/// Every detector, on generic JSON and on OpenAI chat.
pub struct Plans {
    /// Any JSON or event stream: every string on its own.
    pub plain: Arc<MaskPlan>,
    /// Answers of the OpenAI chat API, with their channels.
    pub chat: Arc<MaskPlan>,
    /// As `plain`, with twenty more detectors.
    pub wide: Arc<MaskPlan>,
}

/// The detectors of the packs, without a plan.
pub struct Packs {
    /// All of them.
    pub set: Arc<DetectorSet>,
    /// By pack.
    pub each: Vec<(&'static str, DetectorBits)>,
    detectors: Vec<Detector>,
}

impl Plans {
    /// Compiles the packs.
    pub fn new() -> Result<Plans, Failure> {
        let (detectors, patterns) = detectors()?;
        let set = set_of(&detectors, &patterns)?;
        let content: Content = serde_json::from_str(OPENAI_CHAT)?;
        let (plain, chat) = (plan(&set, &detectors, None)?, plan(&set, &detectors, Some(&content))?);
        let (detectors, patterns) = more(detectors, patterns)?;
        let wide = plan(&set_of(&detectors, &patterns)?, &detectors, None)?;
        Ok(Plans { plain, chat, wide })
    }
}

impl Packs {
    /// Compiles the packs.
    pub fn new() -> Result<Packs, Failure> {
        let (detectors, patterns) = detectors()?;
        let mut each = Vec::new();
        let mut ids = patterns.iter().map(|pattern| pattern.detector);
        for (name, pack) in PACKS {
            each.push((name, ids.by_ref().take(declared(pack)).collect()));
        }
        Ok(Packs { set: set_of(&detectors, &patterns)?, each, detectors })
    }

    /// With twenty more detectors, which belong to no pack.
    pub fn wide() -> Result<Packs, Failure> {
        let (detectors, patterns) = detectors()?;
        let (detectors, patterns) = more(detectors, patterns)?;
        Ok(Packs { set: set_of(&detectors, &patterns)?, each: Vec::new(), detectors })
    }

    /// A mask of all detectors over the same set in another form.
    pub fn plan(&self, set: &Arc<DetectorSet>) -> Result<Arc<MaskPlan>, Failure> {
        plan(set, &self.detectors, None)
    }
}

/// Compiles detectors.
fn set_of(detectors: &[Detector], patterns: &[Pattern]) -> Result<Arc<DetectorSet>, Failure> {
    Ok(Arc::new(DetectorSet::new(build(patterns, Limits::default().window)?.automata, detectors)?))
}

/// A mask of all detectors, for answers.
fn plan(
    set: &Arc<DetectorSet>,
    detectors: &[Detector],
    content: Option<&Content>,
) -> Result<Arc<MaskPlan>, Failure> {
    let tags = [Tag {
        name: "found".to_owned(),
        severity: Severity::High,
        replacement: Replacement::Placeholder("[FOUND]".to_owned()),
        numbers: Numbers::String,
    }];
    let mask = Mask {
        name: "all".to_owned(),
        detectors: set.all().iter().collect(),
        request_body: true,
        response_body: true,
        ..Mask::default()
    };
    let masks = [(MaskId(0), &mask)];
    let (side, limits) = (Direction::Response, Limits::default());
    let set = Arc::clone(set);
    Ok(Arc::new(MaskPlan::new(set, detectors, &tags, &masks, content, side, Thinking::Refuse, &limits)?))
}

/// The usual shapes beside the detectors of the packs.
fn more(
    mut detectors: Vec<Detector>,
    mut patterns: Vec<Pattern>,
) -> Result<(Vec<Detector>, Vec<Pattern>), Failure> {
    for (regex, validator) in SHAPES {
        let detector = DetectorId(u16::try_from(patterns.len())?);
        patterns.push(Pattern { detector, regex: regex.to_owned(), validator });
        detectors.push(Detector { name: detector.0.to_string(), tag: TagId(0), validator });
    }
    Ok((detectors, patterns))
}

/// `pattern:` begins a detector, and `validate:` belongs to the one before it.
fn detectors() -> Result<(Vec<Detector>, Vec<Pattern>), Failure> {
    let (mut detectors, mut patterns): (Vec<Detector>, Vec<Pattern>) = (Vec::new(), Vec::new());
    for line in PACKS.iter().flat_map(|(_, pack)| pack.lines()).map(str::trim) {
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
    let declared = PACKS.iter().map(|(_, pack)| declared(pack)).sum::<usize>();
    if patterns.len() != declared || patterns.is_empty() {
        return Err(format!("{} patterns for {declared} detectors", patterns.len()).into());
    }
    Ok((detectors, patterns))
}

/// How many detectors a pack has: each has a tag.
fn declared(pack: &str) -> usize {
    pack.lines().filter(|line| line.trim_start().starts_with("tag: ")).count()
}
