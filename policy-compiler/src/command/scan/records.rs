//! Records: a JSON object per line, of which one field is the text.

use super::{Arguments, Totals, json};
use crate::catalog::Catalog;
use crate::cli::Outcome;
use crate::detect::Finding;
use crate::output;
use serde_json::{Map, Value};
use std::path::Path;

/// Bytes of output after which it is written.
const BATCH: usize = 64 << 10;

/// Prints one object per record, in order: its number from 0, and its findings with places in bytes of the text.
pub(super) fn scan(
    arguments: &Arguments,
    catalog: &Catalog,
    (file, several): (&Path, bool),
    content: &[u8],
    totals: &mut Totals,
) -> Result<(), Outcome> {
    let field = arguments.field.as_deref().unwrap_or("text");
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let mut out = String::new();
    for (index, line) in lines.enumerate() {
        let Some(text) = text_of(line, field) else {
            output::print(&out);
            let name = file.display();
            output::report(&format!(
                "error: {name}: record {index} is no JSON object with a string `{field}`\n"
            ));
            return Err(Outcome::Io);
        };
        let found = totals.timed(text.as_bytes(), || catalog.find(text.as_bytes()))?;
        totals.findings += found.len();
        let mut record = Map::new();
        if several {
            record.insert("file".to_owned(), file.display().to_string().into());
        }
        record.insert("index".to_owned(), index.into());
        record.insert("findings".to_owned(), objects(arguments, catalog, &text, &found));
        if arguments.why {
            let missed = catalog.near_misses(text.as_bytes()).map_err(|error| super::broken(&error))?;
            record.insert("nearMisses".to_owned(), objects(arguments, catalog, &text, &missed));
        }
        out.push_str(&format!("{}\n", Value::Object(record)));
        if out.len() > BATCH {
            output::print(&out);
            out.clear();
        }
    }
    output::print(&out);
    Ok(())
}

fn text_of(line: &[u8], field: &str) -> Option<String> {
    match serde_json::from_slice::<Map<String, Value>>(line).ok()?.remove(field)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn objects(arguments: &Arguments, catalog: &Catalog, text: &str, findings: &[Finding]) -> Value {
    let object = |finding: &Finding| {
        let mut object = Map::new();
        json::describe(&mut object, finding, catalog.entries().get(finding.detector)?);
        object.remove("checks");
        if arguments.show {
            object.insert("value".to_owned(), text.get(finding.range()).into());
        }
        Some(Value::Object(object))
    };
    findings.iter().filter_map(object).collect()
}
