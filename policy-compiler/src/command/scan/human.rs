//! Findings for people: place, detector, form, why, and the line around it.

use super::text::{form, preview};
use super::{View, counted};
use crate::detect::Finding;
use std::ops::Range;

/// Bytes shown on each side of a finding.
const AROUND: usize = 40;

/// All findings and near misses of one text, in the order of their places.
pub(super) fn render(view: &View<'_>, color: bool) -> String {
    let paint = Paint { color };
    let covered = covered(view);
    let mut all: Vec<(&Finding, bool)> = view.found.iter().map(|finding| (finding, true)).collect();
    all.extend(view.missed.iter().map(|missed| (missed, false)));
    all.sort();
    let mut text = String::new();
    for (finding, found) in all {
        text.push_str(&headline(view, finding, found, paint));
        text.push_str(&context(view, &covered, (finding, found), paint));
    }
    let mut end = format!("{}: {}", view.file.display(), counted(view.found.len(), "finding"));
    if view.arguments.why {
        let misses = if view.missed.len() == 1 { "near miss" } else { "near misses" };
        end.push_str(&format!(", {} {misses}", view.missed.len()));
    }
    text + &end + "\n"
}

fn headline(view: &View<'_>, finding: &Finding, found: bool, paint: Paint) -> String {
    let (line, column) = view.lines.position(finding.start);
    let value = view.lines.text.get(finding.range()).unwrap_or_default();
    let shown = if view.arguments.show {
        String::from_utf8_lossy(value).escape_debug().to_string()
    } else {
        preview(value)
    };
    let place = paint.faint(&format!("{}:{line}:{column}:", view.file.display()));
    let Some(entry) = view.catalog.entries().get(finding.detector) else { return String::new() };
    let checks = entry.checks.join(", ");
    let (name, tag) = (&entry.name, &entry.tag);
    if found {
        let why = if checks.is_empty() { String::new() } else { format!("  [{checks}]") };
        format!("{place} {} ({tag}): {shown}{why}\n", paint.found(name))
    } else {
        let why = if checks.is_empty() { "its surroundings" } else { &checks };
        format!("{place} {} ({tag}): {shown}  [near miss: not found for lack of {why}]\n", paint.missed(name))
    }
}

/// The line around a finding with a mark below it.
fn context(
    view: &View<'_>,
    covered: &[Range<usize>],
    (finding, found): (&Finding, bool),
    paint: Paint,
) -> String {
    let (line, line_end) = view.lines.around(finding.start);
    let end = finding.end.min(line_end);
    let from = boundary(view.lines.text, finding.start.saturating_sub(AROUND).max(line));
    let to = boundary(view.lines.text, end.saturating_add(AROUND).min(line_end));
    let before = plain(view.lines.text, covered, from..finding.start);
    let value = plain(view.lines.text, covered, finding.start..end);
    let after = plain(view.lines.text, covered, end..to);
    let [left, right] = [from > line, to < line_end].map(|cut| if cut { "…" } else { "" });
    let blank = " ".repeat(left.chars().count() + before.chars().count());
    let mark = "^".repeat(value.chars().count().max(1));
    let (value, mark) = if found {
        (paint.found(&value), paint.found(&mark))
    } else {
        (paint.missed(&value), paint.missed(&mark))
    };
    format!("    {left}{before}{value}{after}{right}\n    {blank}{mark}\n")
}

/// Values and near misses that are not to be printed, united, in order.
fn covered(view: &View<'_>) -> Vec<Range<usize>> {
    let hidden = if view.arguments.show { &[][..] } else { view.found };
    let missed = if view.arguments.show { &[][..] } else { view.missed };
    let mut ranges: Vec<Range<usize>> = hidden.iter().chain(missed).map(Finding::range).collect();
    ranges.sort_by_key(|range| range.start);
    let mut united: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match united.last_mut().filter(|last| last.end >= range.start) {
            Some(last) => last.end = last.end.max(range.end),
            None => united.push(range),
        }
    }
    united
}

/// Text as it may be printed: what is covered as its form, nothing that a terminal would obey.
fn plain(all: &[u8], covered: &[Range<usize>], range: Range<usize>) -> String {
    let secret = |at: usize| {
        let next = covered.partition_point(|range| range.end <= at);
        covered.get(next).is_some_and(|range| range.start <= at)
    };
    let bytes = all.get(range.clone()).unwrap_or_default();
    let mut text = String::new();
    let mut at = range.start;
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            let width = char.len_utf8();
            if (at..at + width).any(secret) {
                text.extend(u8::try_from(u32::from(char)).map_or(['?'], |byte| [form(byte)]));
            } else {
                text.push(if char.is_control() { ' ' } else { char });
            }
            at += width;
        }
        text.extend(chunk.invalid().iter().map(|_| '?'));
        at += chunk.invalid().len();
    }
    text
}

/// The next place from `at` on where a character begins.
fn boundary(text: &[u8], at: usize) -> usize {
    let continues = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
    (at..text.len()).find(|at| !continues(at)).unwrap_or(text.len())
}

/// Colours, or none.
#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn found(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn missed(self, text: &str) -> String {
        self.with("33", text)
    }

    fn faint(self, text: &str) -> String {
        self.with("2", text)
    }
}
