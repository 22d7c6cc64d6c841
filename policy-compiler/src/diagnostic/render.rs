//! Diagnostics for people (the look of rustc) and for programs (one JSON document). Neither shows credentials, wherever they stand.

use super::redact::redacted;
use super::{Diagnostic, Diagnostics, Severity, Span};
use crate::source::Source;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

/// All diagnostics, one block each, and a last line that counts them; empty when there is nothing to say.
#[must_use]
pub fn human(source: &Source, diagnostics: &Diagnostics, color: bool) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let source = &Source::new(source.name.as_str(), redacted(&source.text));
    let diagnostics = &diagnostics.redacted();
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for item in diagnostics.items() {
        text.push_str(&renderer.render(&[group(source, item)]));
        text.push_str("\n\n");
    }
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    text.push_str(&format!(
        "{}: {}, {}\n",
        source.name,
        counted(diagnostics.count(Severity::Error), "error"),
        counted(diagnostics.count(Severity::Warning), "warning"),
    ));
    text
}

/// All diagnostics as one JSON document: `{"file", "errors", "warnings", "diagnostics": […]}`.
#[must_use]
pub fn json(source: &Source, diagnostics: &Diagnostics) -> String {
    let diagnostics = &diagnostics.redacted();
    let document = Document {
        file: &source.name,
        errors: diagnostics.count(Severity::Error),
        warnings: diagnostics.count(Severity::Warning),
        diagnostics: diagnostics.items().iter().map(|item| Item::new(source, item)).collect(),
    };
    serde_json::to_string_pretty(&document).unwrap_or_else(|_| "{}".to_owned())
}

fn group<'a>(source: &'a Source, item: &'a Diagnostic) -> Group<'a> {
    let level = match item.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&item.message).id(item.code.as_str()));
    if let Some(span) = item.span {
        let mut primary = AnnotationKind::Primary.span(range(source, span));
        if !item.label.is_empty() {
            primary = primary.label(&item.label);
        }
        let others = item
            .also
            .iter()
            .map(|label| AnnotationKind::Context.span(range(source, label.span)).label(&label.text));
        group = group.element(
            Snippet::source(&source.text)
                .path(&source.name)
                .fold(true)
                .annotation(primary)
                .annotations(others),
        );
    } else {
        group = group.element(annotate_snippets::Origin::path(&source.name));
    }
    group = group.elements(item.notes.iter().map(|note| Level::NOTE.message(note)));
    group.elements(item.helps.iter().map(|help| Level::HELP.message(help)))
}

/// INVARIANT: within the text and on character borders, whatever the span says.
fn range(source: &Source, span: Span) -> std::ops::Range<usize> {
    let floor = |mut at: usize| {
        while !source.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start.min(source.text.len()));
    start..floor(span.end.min(source.text.len())).max(start)
}

#[derive(Serialize)]
struct Document<'a> {
    file: &'a str,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    code: &'static str,
    severity: Severity,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<Other<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    helps: &'a [String],
}

#[derive(Serialize)]
struct Other<'a> {
    place: Place,
    text: &'a str,
}

/// Bytes from 0, lines and columns from 1; columns count characters.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    start: usize,
    end: usize,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl<'a> Item<'a> {
    fn new(source: &Source, item: &'a Diagnostic) -> Self {
        Item {
            code: item.code.as_str(),
            severity: item.severity(),
            message: &item.message,
            place: item.span.map(|span| Place::new(source, span)),
            label: &item.label,
            also: item
                .also
                .iter()
                .map(|label| Other { place: Place::new(source, label.span), text: &label.text })
                .collect(),
            notes: &item.notes,
            helps: &item.helps,
        }
    }
}

impl Place {
    fn new(source: &Source, span: Span) -> Self {
        let range = range(source, span);
        let position = |at: usize| {
            let before = source.text.get(..at).unwrap_or("");
            let column = before.rsplit('\n').next().unwrap_or("").chars().count();
            (before.matches('\n').count() + 1, column + 1)
        };
        let (line, column) = position(range.start);
        let (end_line, end_column) = position(range.end);
        Place { start: range.start, end: range.end, line, column, end_line, end_column }
    }
}
