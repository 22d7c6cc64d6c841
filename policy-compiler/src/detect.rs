//! Detectors at work in the compiler: build them, and look with them at a text.
//!
//! The automata and the scan are the engine's own, so what is found here is what the filter finds.

use std::ops::Range;
use veilwire_engine::compile::{self, Built, CompileError, Near, Part, Pattern};
use veilwire_engine::mask::automaton::Automaton;
use veilwire_engine::mask::detector::{DetectorBits, DetectorSet};
use veilwire_engine::mask::scan::{Scan, Span};
use veilwire_engine::policy::id::{DetectorId, TagId};
use veilwire_engine::policy::model::{Detector, Model, Validator};

/// A detector to build.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Full name.
    pub name: &'a str,
    /// What it finds.
    pub rule: &'a Rule,
}

/// What a detector finds, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Regular expression of what is covered.
    pub pattern: String,
    /// Check of what matched.
    pub validator: Option<Validator>,
    /// Regular expression of what stands before it.
    pub prefix: Option<String>,
    /// Words of which one stands shortly before it.
    pub near: Option<Near>,
}

/// Detectors, built.
#[derive(Debug)]
pub struct Probe {
    set: DetectorSet,
    names: Vec<String>,
}

/// A stretch of text that detectors cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// Full names of every detector with a match inside.
    pub detectors: Vec<String>,
}

/// What one detector finds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Place of the detector in the list that the probe was built from.
    pub detector: usize,
}

/// Why detectors cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The pattern is not a regular expression.
    #[error("pattern does not parse: {0}")]
    Syntax(SyntaxTrouble),
    /// Look-around or a back-reference.
    #[error("{0} is not supported")]
    LookAround(String),
    /// Can hold back text for ever, after this text.
    #[error("text can stay undecided for ever after `{0}`")]
    Unbounded(String),
    /// Can hold back this many bytes.
    #[error("up to {0} bytes can stay undecided")]
    Longer(u32),
    /// A validator would have to wait for too long a match.
    #[error("a validated match can be too long")]
    LongMatch,
    /// The automaton is too large.
    #[error("the automaton is too large")]
    TooLarge,
    /// Matches the empty text, or nothing.
    #[error("the pattern matches the empty text, or nothing at all")]
    Empty,
    /// A near word can be too long.
    #[error("a near word can be longer than 64 bytes")]
    LongWord,
    /// A part of its condition has this trouble.
    #[error("{1}, in its {0}")]
    Condition(Part, Box<Trouble>),
    /// Something else, in words.
    #[error("{0}")]
    Other(String),
}

/// What is wrong in a pattern, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SyntaxTrouble {
    /// In words.
    pub text: String,
    /// Bytes of the pattern.
    pub range: Range<usize>,
}

/// Compiles detectors to automata; a detector's number is its place in the list.
///
/// # Errors
/// See [`Trouble`].
pub fn build(wanted: &[Wanted<'_>], window: u32) -> Result<Vec<Automaton>, Trouble> {
    compiled(wanted, window).map(|built| built.automata)
}

fn compiled(wanted: &[Wanted<'_>], window: u32) -> Result<Built, Trouble> {
    let patterns: Vec<Pattern> = wanted
        .iter()
        .zip(0..)
        .map(|(wanted, number)| Pattern {
            detector: DetectorId(number),
            regex: wanted.rule.pattern.clone(),
            validator: wanted.rule.validator,
            prefix: wanted.rule.prefix.clone(),
            near: wanted.rule.near.clone(),
        })
        .collect();
    compile::build(&patterns, window).map_err(|error| Trouble::from_engine(&error))
}

/// How large built detectors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// States of the automata.
    pub states: usize,
    /// Bytes of the tables as an artifact carries them.
    pub bytes: usize,
    /// Most bytes of text that one of them can leave undecided.
    pub indecision: u32,
}

/// Measures detectors, built together.
///
/// # Errors
/// See [`Trouble`].
pub fn size(wanted: &[Wanted<'_>], window: u32) -> Result<Size, Trouble> {
    let built = compiled(wanted, window)?;
    let mut bytes = Vec::new();
    built.automata.iter().for_each(|automaton| automaton.encode(&mut bytes));
    Ok(Size {
        states: built.automata.iter().map(Automaton::states).sum(),
        bytes: bytes.len(),
        indecision: built.costs.iter().map(|cost| cost.indecision).max().unwrap_or(0),
    })
}

impl Probe {
    /// Builds detectors.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub fn new(wanted: &[Wanted<'_>], window: u32) -> Result<Probe, Trouble> {
        let automata = build(wanted, window)?;
        let detectors: Vec<Detector> = wanted
            .iter()
            .map(|wanted| Detector {
                name: wanted.name.to_owned(),
                tag: TagId(0),
                validator: wanted.rule.validator,
            })
            .collect();
        let set =
            DetectorSet::new(automata, &detectors).map_err(|error| Trouble::Other(error.to_string()))?;
        Ok(Probe { set, names: wanted.iter().map(|wanted| wanted.name.to_owned()).collect() })
    }

    /// The detectors of a compiled policy.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub fn from_model(model: &Model) -> Result<Probe, Trouble> {
        let set = DetectorSet::new(model.automata.clone(), &model.detectors)
            .map_err(|error| Trouble::Other(error.to_string()))?;
        Ok(Probe { set, names: model.detectors.iter().map(|detector| detector.name.clone()).collect() })
    }

    /// Every covered stretch of `text`, in order. The text is one unit: matches may cross its lines.
    ///
    /// # Errors
    /// [`ScanOverflow`] if the scan gave up: what was found until then would not be all.
    pub fn find(&self, text: &[u8]) -> Result<Vec<Hit>, ScanOverflow> {
        let mut hits = Vec::new();
        self.spans(text, &self.set.all(), |span| {
            let names = span.detectors.iter().filter_map(|id| self.names.get(id.index()).cloned());
            hits.push(Hit { range: place(span.start)..place(span.end), detectors: names.collect() });
        })?;
        Ok(hits)
    }

    /// What each detector finds by itself, by place. Where several meet in one covered stretch, each of them reports what
    /// it would have found alone.
    ///
    /// # Errors
    /// [`ScanOverflow`], as for [`Probe::find`].
    pub fn each(&self, text: &[u8]) -> Result<Vec<Finding>, ScanOverflow> {
        let mut found = Vec::new();
        let mut mixed = DetectorBits::new();
        self.spans(text, &self.set.all(), |span| {
            let mut members = span.detectors.iter();
            match (members.next(), members.next()) {
                (Some(only), None) => found.push(Finding::new(&span, only)),
                _ => mixed = mixed.union(&span.detectors),
            }
        })?;
        for detector in mixed.iter() {
            found.retain(|finding| finding.detector != detector.index());
            let alone = DetectorBits::from_iter([detector]);
            self.spans(text, &alone, |span| found.push(Finding::new(&span, detector)))?;
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The same patterns, without what else decides.
    #[must_use]
    pub fn unchecked(&self) -> Probe {
        Probe { set: self.set.clone().unchecked(), names: self.names.clone() }
    }

    fn spans(
        &self,
        text: &[u8],
        active: &DetectorBits,
        mut take: impl FnMut(Span),
    ) -> Result<(), ScanOverflow> {
        let mut scan = Scan::new();
        for piece in text.chunks(PIECE) {
            scan.feed(&self.set, active, piece);
            while let Some(span) = scan.pop_span() {
                take(span);
            }
        }
        scan.finish(&self.set, active);
        while let Some(span) = scan.pop_span() {
            take(span);
        }
        if scan.overflowed() { Err(ScanOverflow) } else { Ok(()) }
    }

    /// Whether anything in `text` is found; a scan that gives up counts as found.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        self.find(text.as_bytes()).map_or(true, |hits| !hits.is_empty())
    }

    /// Whether text waits at most words: more than half of the letters, at the begin of a word, are held back.
    #[must_use]
    pub fn holds_words(&self) -> bool {
        let waits = |letter: &u8| {
            let mut scan = Scan::new();
            scan.feed(&self.set, &self.set.all(), &[b' ', *letter]);
            scan.decided() < scan.position()
        };
        (b'a'..=b'z').filter(waits).count() > 13
    }
}

impl Finding {
    fn new(span: &Span, detector: DetectorId) -> Finding {
        Finding { start: place(span.start), end: place(span.end), detector: detector.index() }
    }

    /// Bytes of the text.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

fn place(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// Bytes fed at a time: final spans are taken out in between, so memory does not grow with the text.
const PIECE: usize = 64 << 10;

/// The scan gave up before the end of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scan exceeded its bounds")]
pub struct ScanOverflow;

impl Trouble {
    fn from_engine(error: &CompileError) -> Trouble {
        match error {
            CompileError::Syntax { offset, source, .. } => Trouble::from_syntax(source, *offset),
            CompileError::LookAround { look, .. } => Trouble::LookAround(look.to_string()),
            CompileError::EmptyMatch { .. } | CompileError::NeverMatches { .. } => Trouble::Empty,
            CompileError::TooLarge { .. } => Trouble::TooLarge,
            CompileError::Undecided { witness, .. } => Trouble::Unbounded(witness.escape_ascii().to_string()),
            CompileError::Window { indecision, .. } => Trouble::Longer(*indecision),
            CompileError::ValidatedTooLong { .. } => Trouble::LongMatch,
            CompileError::LongWord { .. } => Trouble::LongWord,
            CompileError::Condition { part, source } => {
                Trouble::Condition(*part, Box::new(Trouble::from_engine(source)))
            }
            other => Trouble::Other(other.to_string()),
        }
    }

    fn from_syntax(error: &regex_syntax::Error, offset: usize) -> Trouble {
        use regex_syntax::ast::ErrorKind;
        let (text, range) = match error {
            regex_syntax::Error::Parse(error) => match error.kind() {
                ErrorKind::UnsupportedLookAround => return Trouble::LookAround("look-around".to_owned()),
                ErrorKind::UnsupportedBackreference => {
                    return Trouble::LookAround("a back-reference".to_owned());
                }
                kind => (kind.to_string(), error.span().start.offset..error.span().end.offset),
            },
            regex_syntax::Error::Translate(error) => {
                (error.kind().to_string(), error.span().start.offset..error.span().end.offset)
            }
            _ => ("not a regular expression".to_owned(), offset..offset),
        };
        Trouble::Syntax(SyntaxTrouble { text, range })
    }
}
