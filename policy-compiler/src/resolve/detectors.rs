//! Detectors: the policy's own and those of imported packs, under one roof.

use super::tags::{self, Replaced};
use crate::detect::{self, Rule, Trouble};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, Text};
use crate::pack::Pack;
use crate::source::Policy;
use crate::source::detectors::Detector;
use std::collections::BTreeMap;
use veilwire_engine::compile::Part;
use veilwire_engine::policy::model::Limits;

/// A detector that can be named.
#[derive(Clone, Debug)]
pub struct Catalogued {
    /// Tag; empty while its own error is not mended.
    pub tag: String,
    /// What it finds; empty while its own error is not mended.
    pub rule: Rule,
    /// The name under which it is compiled and reported: of detectors that several packs carry, that of the first pack.
    pub known_as: String,
    /// Declared by the policy, at this place.
    pub own: Option<Span>,
    /// It can be built.
    pub usable: bool,
}

/// All detectors by full name. Own ones are tried alone, and against their examples.
pub(super) fn resolve(
    policy: &Policy,
    packs: &[Pack],
    tags: &BTreeMap<String, Replaced>,
    out: &mut Diagnostics,
) -> BTreeMap<String, Catalogued> {
    let window = window(policy);
    let mut detectors = BTreeMap::new();
    let mut ranked: Vec<&Pack> = packs.iter().collect();
    ranked.sort_by_key(|pack| pack.rank);
    for pack in &ranked {
        for entry in &pack.detectors {
            let carries =
                |other: &&&Pack| other.detectors.iter().any(|known| known.name.value == entry.name.value);
            let first = ranked.iter().find(carries).unwrap_or(pack);
            let known_as = first.full_name(&entry.name);
            detectors.insert(pack.full_name(&entry.name), catalogue(&entry.body, known_as, None, true));
        }
    }
    for entry in &policy.detectors {
        if let Some(tag) = &entry.body.tag {
            tags::refer(tag, tags, out);
        }
        let usable = try_alone(&entry.name, &entry.body, window, out);
        let name = entry.name.value.clone();
        detectors.insert(name.clone(), catalogue(&entry.body, name, Some(entry.name.span), usable));
    }
    detectors
}

/// The window of this policy in bytes.
pub(crate) fn window(policy: &Policy) -> u32 {
    let written = policy.settings.window.as_ref().and_then(|window| u32::try_from(window.value).ok());
    written.unwrap_or_else(|| Limits::default().window)
}

fn catalogue(detector: &Detector, known_as: String, own: Option<Span>, usable: bool) -> Catalogued {
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.value.clone()).unwrap_or_default();
    let rule = detector.rule();
    let usable = usable && rule.is_some();
    Catalogued { tag: text(&detector.tag), rule: rule.unwrap_or_default(), known_as, own, usable }
}

/// Builds one detector by itself, so that an error names it, and runs its examples.
fn try_alone(name: &Text, detector: &Detector, window: u32, out: &mut Diagnostics) -> bool {
    let (Some(pattern), Some(rule)) = (&detector.pattern, &detector.rule()) else { return false };
    let probe = match detect::Probe::new(&[detect::Wanted { name: &name.value, rule }], window) {
        Ok(probe) => probe,
        Err(Trouble::Condition(part, trouble)) => {
            let word = |place: usize| detector.near.as_ref().and_then(|near| near.words.get(place));
            let written = match part {
                Part::Pattern => None,
                Part::Prefix => detector.prefix.as_ref(),
                Part::Word(place) => word(place),
            };
            out.push(explain(name, written.unwrap_or(pattern), &trouble, window));
            return false;
        }
        Err(trouble) => {
            out.push(explain(name, pattern, &trouble, window));
            return false;
        }
    };
    if probe.holds_words() {
        let message = format!("detector `{}` makes text wait at nearly every word", name.value);
        out.push(
            Diagnostic::at(Code::W0511, pattern.span, message)
                .label("begins with what ordinary words begin with")
                .note("a streamed answer runs one word late, and every word is looked at")
                .help("let it begin with what is rare: a fixed prefix, digits, capitals"),
        );
    }
    for example in detector.matches.iter().filter(|example| !probe.finds(&example.value)) {
        let message = format!("detector `{}` does not find its own example", name.value);
        out.push(
            Diagnostic::at(Code::E0503, example.span, message)
                .label("expected a match")
                .also(pattern.span, "by this pattern"),
        );
    }
    for example in detector.ignores.iter().filter(|example| probe.finds(&example.value)) {
        let message = format!("detector `{}` finds what its examples say it ignores", name.value);
        out.push(
            Diagnostic::at(Code::E0503, example.span, message)
                .label("expected no match")
                .also(pattern.span, "by this pattern"),
        );
    }
    true
}

/// What is wrong with a pattern, at the pattern.
fn explain(name: &Text, pattern: &Text, trouble: &Trouble, window: u32) -> Diagnostic {
    let at = |code, message: String| Diagnostic::at(code, pattern.span, message);
    let name = &name.value;
    match trouble {
        Trouble::Unbounded(after) => at(
            Code::E0501,
            format!("detector `{name}` can hold back text without limit"),
        )
        .label(format!("after `{after}` text can stay undecided for ever"))
        .note(format!("bytes are released only when no match can still cover them; the window is {window}B"))
        .help(
            "bound the loop (`{1,64}` instead of `+`), or drop what must follow it, such as a trailing `\\b`",
        ),
        Trouble::Longer(bytes) => {
            at(Code::E0501, format!("detector `{name}` can hold back {bytes} bytes of text"))
                .note(format!(
                    "bytes are released only when no match can still cover them; the window is {window}B"
                ))
                .help("shorten the loops, or widen `streaming: {window: …}` (at most 4096B)")
        }
        Trouble::LongMatch => {
            at(Code::E0506, format!("detector `{name}` validates matches of more than 128 bytes"))
                .note("a validator decides over a whole match, which is held until then")
                .help("bound the loops, or remove `validate`")
        }
        Trouble::Syntax(reason) => {
            let mut diagnostic =
                at(Code::E0502, format!("pattern of `{name}` is not understood: {}", reason.text));
            if let Some(span) = inside(pattern, reason.range.clone()) {
                diagnostic.span = Some(span);
            }
            diagnostic
        }
        Trouble::LookAround(what) => {
            at(Code::E0507, format!("pattern of `{name}` has {what}, which is not supported")).note(
                "matching is linear in time and streams; of what surrounds a match only `\\b` is looked at",
            )
        }
        Trouble::TooLarge => at(
            Code::E0504,
            format!("detector `{name}` needs an automaton larger than is allowed"),
        )
        .help(
            "shorten counted repeats, above all those before a fixed word: masking begins at the word anyway",
        ),
        Trouble::Empty => {
            at(Code::E0505, format!("detector `{name}` matches the empty text, or nothing at all"))
        }
        Trouble::LongWord => at(Code::E0506, format!("a near word of `{name}` can be longer than 64 bytes"))
            .note("near words are looked for backwards, over a bounded stretch of text")
            .help("bound the loops of the word"),
        Trouble::Condition(_, trouble) => {
            at(Code::E0502, format!("a condition of `{name}` cannot be used: {trouble}"))
        }
        Trouble::Other(reason) => at(Code::E0502, format!("pattern of `{name}` cannot be used: {reason}")),
    }
}

/// A byte range of the pattern as a place in the policy, if the pattern is written without quotes or escapes that shift it.
fn inside(pattern: &Text, range: std::ops::Range<usize>) -> Option<Span> {
    let written = pattern.span.end.checked_sub(pattern.span.start)?;
    let quote = match written.checked_sub(pattern.value.len())? {
        0 => 0,
        2 => 1,
        _ => return None,
    };
    let start = pattern.span.start + quote + range.start;
    let end = pattern.span.start + quote + range.end.max(range.start + 1);
    Some(Span::new(start, end.min(pattern.span.end)))
}
