//! The default packs as mask plans: every detector, and the channels of the model APIs.
//!
//! The engine does not read YAML; the policy compiler does. Its files are plain enough to be read here line by line, so that
//! the benchmark runs what is shipped and not a copy that grows old.

use crate::shapes::SHAPES;
use std::path::Path;
use std::sync::Arc;
use veilwire_engine::compile::{Near, Pattern, build};
use veilwire_engine::decision::Direction;
use veilwire_engine::mask::MaskPlan;
use veilwire_engine::mask::detector::{DetectorBits, DetectorSet};
use veilwire_engine::policy::id::{DetectorId, MaskId, TagId};
use veilwire_engine::policy::model::{
    Content, Detector, Limits, Mask, Numbers, Replacement, Scheme, Severity, Tag, Thinking, Validator,
};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The packs that a policy usually imports.
const PACKS: [&str; 3] = ["pci", "pii-us", "secrets"];
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
        let of = |pack: &str| {
            let prefix = format!("{pack}.");
            let own = detectors.iter().zip(0..).filter(|(detector, _)| detector.name.starts_with(&prefix));
            own.map(|(_, number)| DetectorId(number)).collect()
        };
        let each = PACKS.map(|pack| (pack, of(pack))).into();
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
        patterns.push(Pattern { detector, regex: regex.to_owned(), validator, ..Pattern::default() });
        detectors.push(Detector { name: detector.0.to_string(), tag: TagId(0), validator });
    }
    Ok((detectors, patterns))
}

/// The detectors of the packs. A detector of two packs exists once.
fn detectors() -> Result<(Vec<Detector>, Vec<Pattern>), Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-compiler");
    let mut library = String::new();
    let mut files = std::fs::read_dir(folder.join("detectors"))?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        library += &std::fs::read_to_string(file.path())?;
    }
    let (mut detectors, mut patterns): (Vec<Detector>, Vec<Pattern>) = (Vec::new(), Vec::new());
    for pack in PACKS {
        let text = std::fs::read_to_string(folder.join(format!("packs/{pack}.yaml")))?;
        let listed = text.split_once("  detectors: [").and_then(|(_, rest)| rest.split_once(']'));
        let (listed, _) = listed.ok_or("a pack without detectors")?;
        for name in listed.split(',').map(str::trim) {
            if detectors
                .iter()
                .any(|known| known.name.split_once('.').is_some_and(|(_, known)| known == name))
            {
                continue;
            }
            let (_, entry) = library.split_once(&format!("\n  {name}:\n")).ok_or("an unknown detector")?;
            let pattern = pattern(DetectorId(u16::try_from(patterns.len())?), entry)?;
            let (name, validator) = (format!("{pack}.{name}"), pattern.validator);
            detectors.push(Detector { name, tag: TagId(0), validator });
            patterns.push(pattern);
        }
    }
    Ok((detectors, patterns))
}

/// Reads the keys of a detector, which have a line each.
fn pattern(detector: DetectorId, entry: &str) -> Result<Pattern, Failure> {
    let mut pattern = Pattern { detector, ..Pattern::default() };
    for line in entry.lines().take_while(|line| line.starts_with("    ")).map(str::trim) {
        if let Some(text) = line.strip_prefix("pattern: ") {
            pattern.regex = quoted(text).next().ok_or("a pattern in an unknown form")?;
        } else if let Some(text) = line.strip_prefix("prefix: ") {
            pattern.prefix = Some(quoted(text).next().ok_or("a prefix in an unknown form")?);
        } else if let Some(text) = line.strip_prefix("validate: ") {
            pattern.validator = Some(validator(text)?);
        } else if let Some(text) = line.strip_prefix("near: {within: ") {
            let (within, words) = text.split_once("B, words: [").ok_or("near words in an unknown form")?;
            let words = quoted(words).collect();
            pattern.near = Some(Near { words, within: within.parse()? });
        }
    }
    if pattern.regex.is_empty() { Err("a detector without a pattern".into()) } else { Ok(pattern) }
}

/// A word, or `{word: tenths with a point}`.
fn validator(text: &str) -> Result<Validator, Failure> {
    let Some((word, bits)) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')?.split_once(": "))
    else {
        let scheme = serde_json::from_value::<Scheme>(text.into()).map(Validator::Number);
        return Ok(serde_json::from_value(text.into()).or(scheme)?);
    };
    let tenths = bits.parse::<f64>()? * 10.0;
    Ok(serde_json::from_value(serde_json::json!({ word: tenths.round() as u8 }))?)
}

/// The texts in single quotes.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    // A quote in a text is written twice.
    let text = text.replace("''", "\u{0}");
    let parts: Vec<String> =
        text.split('\'').skip(1).step_by(2).map(|part| part.replace('\u{0}', "'")).collect();
    parts.into_iter()
}
