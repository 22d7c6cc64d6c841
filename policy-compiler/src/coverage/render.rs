//! Coverage in words: Markdown for documents, plain text for a terminal.

use super::head::{Difference, Head, Maker};
use super::media::{Answer, TypeCoverage};
use super::routes::Replaced;
use super::{ContentCoverage, Coverage, PlaceCoverage, PolicyCoverage};
use std::collections::BTreeMap;

/// As a page of the reference.
#[must_use]
pub fn markdown(coverage: &Coverage) -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("\n## Bodies\n\n| content type | read as | on masked routes |\n|---|---|---|\n");
    types(coverage, &mut text);
    text.push_str("\n| | accepted | refused |\n|---|---|---|\n");
    for (what, answers) in [("charsets", &coverage.charsets), ("content encodings", &coverage.encodings)] {
        let of = |accepted: bool| {
            let names =
                answers.iter().filter(|answer| answer.accepted == accepted).map(|Answer { name, .. }| name);
            code(names)
        };
        text.push_str(&format!("| {what} | {} | {}, and every other |\n", of(true), of(false)));
    }
    text.push_str("\nSeveral content encodings on one body are refused. Text that says it is UTF-8 and begins like UTF-16 or UTF-32, or holds a NUL, is refused.\n");
    text.push_str(
        "\n## Contents\n\nThe paths are those of one document: a body, an event, a line, an element of an array. \
         Of an object or array that is never touched this holds for its numbers:\ntexts and keys in it are inspected.\n",
    );
    coverage.contents.iter().for_each(|content| content_page(content, &mut text));
    text.push_str("\n## Not looked at\n\n");
    coverage.not_covered.iter().for_each(|line| text.push_str(&format!("- {line}\n")));
    text.push_str(DIFFERENCES);
    for (head, title) in [
        (Head::Request, "Requests, as the upstream gets them"),
        (Head::Response, "Responses, as the caller gets them"),
    ] {
        text.push_str(&format!(
            "\n### {title}\n\n| header | change | when | by | why |\n|---|---|---|---|---|\n"
        ));
        for Difference { headers, change, when, by, why, .. } in
            coverage.header_differences.iter().filter(|difference| difference.head == head)
        {
            let by = match by {
                Maker::Filter => "filter",
                Maker::Envoy => "Envoy",
            };
            text.push_str(&format!("| {} | {change} | {} | {by} | {why} |\n", code(*headers), when.words()));
        }
    }
    text
}

/// Types that are treated alike, in one row.
fn types(coverage: &Coverage, text: &mut String) {
    let mut rows: Vec<(Vec<&str>, &TypeCoverage)> = Vec::new();
    for one in &coverage.content_types {
        let same = |row: &TypeCoverage| {
            (row.format, &row.contents, &row.refused) == (one.format, &one.contents, &one.refused)
        };
        match rows.iter_mut().find(|(_, row)| same(row)) {
            Some((names, _)) => names.push(one.content_type),
            None => rows.push((vec![one.content_type], one)),
        }
    }
    for (names, row) in &rows {
        let Some(format) = row.format else { continue };
        let every = row.contents.len() == coverage.contents.len();
        let contents = if every { "every content".to_owned() } else { code(&row.contents) };
        text.push_str(&format!("| {} | {format} | {contents} |\n", code(names)));
    }
    text.push_str("\nOn other contents these types are refused. Every type that is not named above is refused everywhere, such as:\n\n");
    for (names, row) in rows.iter().filter(|(_, row)| row.format.is_none()) {
        let reason = row.refused.as_deref().unwrap_or_default();
        let names = if names.concat().is_empty() { String::new() } else { format!(": {}", code(names)) };
        text.push_str(&format!("- {reason}{names}\n"));
    }
}

const INTRODUCTION: &str = "<!-- Written by `veilwire coverage --format markdown`; a test compares. Change the packs or the engine, not this page. -->

# What is inspected

On a masked route every string, key and number of a body is inspected, outside of what a content never touches. What is not looked at passes only by design, and is listed
here; what cannot be inspected is refused: 415 for a request, 502 for a response. What a policy makes of this, route by route: `veilwire coverage POLICY`.
";

const DIFFERENCES: &str = "
## Heads of messages

Veilwire is byte-exact: what no mask touches comes out as it came in, after content decoding. The heads differ from those without a filter in these lines and no
others. Where no mask looks at a body, only those marked `always` (and `audit.headers.response`) apply, and the body is not even read. Headers in which a mask finds something are
rewritten beside this. Headers of one hop (`connection`, `keep-alive`, `proxy-connection`, `transfer-encoding`) and the case of names over HTTP/1.1 are Envoy's own business. Trailers of masked bodies lose the same digests.
";

fn content_page(content: &ContentCoverage, text: &mut String) {
    text.push_str(&format!("\n### `{}`\n\n", content.name));
    if let Some(pack) = content.pack {
        text.push_str(&format!("Pack `{pack}`. "));
    }
    text.push_str(&format!("Read as {}.", content.formats.join(", ")));
    if content.lines {
        text.push_str(" JSON may be one document a line, whatever its type says.");
    }
    text.push_str("\n\n");
    let mut line = |title: &str, paths: &[String]| {
        if !paths.is_empty() {
            text.push_str(&format!("- {title}: {}\n", code(paths)));
        }
    };
    line("strings that carry JSON, looked at one level down", &content.nested);
    line("signed texts, where a finding refuses or drops the signature", &content.signed);
    line("becomes `null`, for it repeats a text in other words", &content.nulled);
    for untouched in &content.never_touched {
        line(&format!("never touched, {}", untouched.why), &untouched.paths);
    }
    for asked in &content.asked {
        line(&format!("rules can ask for `{}`", asked.attribute), &asked.paths);
    }
    if content.never_touched.is_empty() && content.messages.is_empty() {
        text.push_str("- never touched: nothing\n");
    }
    if !content.joined.is_empty() {
        text.push_str("\n| joined | fragments | told apart by | ends with |\n|---|---|---|---|\n");
        for joined in &content.joined {
            let json = if joined.json { " (as JSON, where it is)" } else { "" };
            let (fragments, key, end) = (code(&joined.fragments), code(&joined.key), code(&joined.closed_by));
            let end = if end.is_empty() { "the body".to_owned() } else { end };
            text.push_str(&format!("| `{}`{json} | {fragments} | {key} | {end} |\n", joined.name));
        }
    }
    if !content.messages.is_empty() {
        text.push_str(
            "\n| message | inspected | never touched: numbers, ids of up to 16 bytes |\n|---|---|---|\n",
        );
        for message in content
            .messages
            .iter()
            .filter(|message| !message.inspected.is_empty() || !message.never_touched.is_empty())
        {
            let (inspected, untouched) = (code(&message.inspected), code(&message.never_touched));
            text.push_str(&format!("| `{}` | {inspected} | {untouched} |\n", message.name));
        }
    }
}

/// What a policy covers, as a page.
#[must_use]
pub fn policy_markdown(policy: &PolicyCoverage) -> String {
    let mut text = format!(
        "# What `{}` covers\n\nRevision {}, sha256 `{}`.\n",
        policy.name, policy.revision, policy.digest
    );
    let unmasked = policy.unmasked_answers();
    if !unmasked.is_empty() {
        text.push_str("\n**Answers that pass unmasked:**\n\n");
        for (route, groups) in unmasked {
            text.push_str(&format!("- `{route}`, to {}\n", code(groups)));
        }
    }
    for route in &policy.routes {
        text.push_str(&format!(
            "\n## `{}`\n\n`{}`, content `{}`.\n",
            route.name, route.request, route.content
        ));
        if let Some(said) = route.signed_reasoning {
            text.push_str(&format!("\nSigned reasoning: {said}.\n"));
        }
        if route.callers.is_empty() {
            text.push_str("\nNobody may use it.\n");
        }
        for caller in &route.callers {
            let masks = if caller.masks.is_empty() { "no mask".to_owned() } else { code(&caller.masks) };
            text.push_str(&format!(
                "\n{} (rules {}), {masks}:\n\n",
                code(&caller.groups),
                code(&caller.rules)
            ));
            text.push_str("| place | detectors | fields | bodies may be |\n|---|---|---|---|\n");
            for place in &caller.places {
                let name = place.place;
                if place.covered {
                    let list =
                        |list: &[Replaced]| grouped(list, |names, by| format!("{} → `{by}`", code(names)));
                    let (detectors, fields) = (list(&place.detectors), list(&place.fields));
                    let mut formats = place.formats.join(", ");
                    if !place.passing.is_empty() {
                        formats.push_str(&format!("; **not looked at**: {}", code(&place.passing)));
                    }
                    text.push_str(&format!("| {name} | {detectors} | {fields} | {formats} |\n"));
                } else {
                    text.push_str(&format!("| {name} | {} | | |\n", not_looked_at(place)));
                }
            }
        }
    }
    text
}

/// For a terminal, shorter.
#[must_use]
pub fn human(coverage: &Coverage) -> String {
    let mut text = String::new();
    for content in &coverage.contents {
        text.push_str(&format!("{}  {}\n", content.name, content.pack.unwrap_or("no pack")));
        text.push_str(&format!("  read as        {}\n", content.formats.join(", ")));
        let joined: Vec<&str> = content.joined.iter().map(|joined| joined.name.as_str()).collect();
        let mut line = |title: &str, said: String| {
            if !said.is_empty() {
                text.push_str(&format!("  {title:<15}{said}\n"));
            }
        };
        line("joined", joined.join(", "));
        line("JSON inside of", some(content.nested.len(), "path"));
        line("becomes null", some(content.nulled.len(), "path"));
        let untouched: usize = content.never_touched.iter().map(|untouched| untouched.paths.len()).sum();
        line("never touched", some(untouched, "path"));
        line("protobuf", some(content.messages.len(), "message"));
        let asked: Vec<&str> = content.asked.iter().map(|asked| asked.attribute).collect();
        line("rules ask for", asked.join(", "));
    }
    let refused =
        coverage.content_types.iter().filter(|row| row.format.is_none() && !row.content_type.is_empty());
    let refused: Vec<&str> = refused.map(|row| row.content_type).collect();
    text.push_str(&format!("refused everywhere, among others: {}\n", refused.join(", ")));
    text.push_str("every path: --format markdown or json; what a policy does: veilwire coverage POLICY\n");
    text
}

/// What a policy covers, for a terminal.
#[must_use]
pub fn policy_human(policy: &PolicyCoverage) -> String {
    let mut text = String::new();
    for route in &policy.routes {
        text.push_str(&format!("{}  {}  ({})\n", route.name, route.request, route.content));
        if let Some(said) = route.signed_reasoning {
            text.push_str(&format!("  signed reasoning: {said}\n"));
        }
        if route.callers.is_empty() {
            text.push_str("  nobody may use it\n");
        }
        for caller in &route.callers {
            let masks = if caller.masks.is_empty() { "no mask".to_owned() } else { caller.masks.join(", ") };
            text.push_str(&format!(
                "  {}  ({}): {masks}\n",
                caller.groups.join(", "),
                caller.rules.join(", ")
            ));
            for place in &caller.places {
                text.push_str(&format!("    {:<13} {}\n", place.place, place_text(place)));
            }
        }
    }
    for (route, groups) in policy.unmasked_answers() {
        text.push_str(&format!(
            "UNMASKED: answers on route {route} reach {} as the upstream sends them\n",
            groups.join(", ")
        ));
    }
    text
}

fn place_text(place: &PlaceCoverage) -> String {
    if !place.covered {
        return not_looked_at(place).replace("**", "");
    }
    let mut said = Vec::new();
    let list = |list: &[Replaced]| grouped(list, |names, by| format!("{} -> {by}", names.join(", ")));
    if !place.detectors.is_empty() {
        said.push(list(&place.detectors));
    }
    if !place.fields.is_empty() {
        said.push(format!("fields {}", list(&place.fields)));
    }
    if !place.formats.is_empty() {
        said.push(format!("as {}", place.formats.join(", ")));
    }
    if !place.passing.is_empty() {
        said.push(format!("NOT LOOKED AT: {}", place.passing.join(", ")));
    }
    said.join("; ")
}

/// What is replaced alike, together.
fn grouped(list: &[Replaced], words: impl Fn(&[&str], &str) -> String) -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in list {
        groups.entry(&one.by).or_default().push(&one.what);
    }
    groups.iter().map(|(by, names)| words(names, by)).collect::<Vec<_>>().join("; ")
}

/// A body that nobody looks at is said louder than a path.
fn not_looked_at(place: &PlaceCoverage) -> &'static str {
    if place.place.ends_with("Body") {
        "**NOT MASKED**: passes as it is, whatever it is"
    } else {
        "not looked at"
    }
}

fn some(count: usize, what: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// `` `a`, `b` ``.
fn code<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
