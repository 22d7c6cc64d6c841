//! Findings for programs: one JSON object per line.

use super::View;
use crate::catalog::Entry;
use crate::detect::Finding;
use serde_json::{Map, Value, json};

/// One object per finding, and per near miss if they were asked for.
pub(super) fn render(view: &View<'_>) -> String {
    let mut text = String::new();
    for (findings, near) in [(view.found, false), (view.missed, true)] {
        for finding in findings {
            let Some(entry) = view.catalog.entries().get(finding.detector) else { continue };
            let (line, column) = view.lines.position(finding.start);
            let mut object = Map::new();
            object.insert("file".to_owned(), view.file.display().to_string().into());
            object.insert("line".to_owned(), line.into());
            object.insert("column".to_owned(), column.into());
            describe(&mut object, finding, entry);
            if near {
                object.insert("nearMiss".to_owned(), true.into());
            }
            if view.arguments.show {
                let value = view.lines.text.get(finding.range()).unwrap_or_default();
                object.insert("value".to_owned(), String::from_utf8_lossy(value).into());
            }
            text.push_str(&format!("{}\n", Value::Object(object)));
        }
    }
    text
}

/// What every finding says of itself.
pub(super) fn describe(object: &mut Map<String, Value>, finding: &Finding, entry: &Entry) {
    object.insert("start".to_owned(), finding.start.into());
    object.insert("end".to_owned(), finding.end.into());
    object.insert("detector".to_owned(), entry.name.clone().into());
    object.insert("family".to_owned(), entry.family.clone().into());
    object.insert("tag".to_owned(), entry.tag.clone().into());
    if !entry.checks.is_empty() {
        object.insert("checks".to_owned(), json!(entry.checks));
    }
}
