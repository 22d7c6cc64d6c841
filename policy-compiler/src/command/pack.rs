//! `veilwire pack`: which packs there are, what each brings, and the lock of a policy.

use super::{read_source, show, write};
use crate::catalog::Entry;
use crate::cli::{Format, Outcome};
use crate::diagnostic::{Diagnostics, listing};
use crate::lock::{self, Lock};
use crate::output;
use crate::pack::{self, Pack};
use crate::resolve;
use crate::source::Policy;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments of `pack`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

/// What `pack` does.
#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// List the packs that ship with this compiler
    List {
        /// How they are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show what a pack brings
    Show {
        /// The pack, such as secrets@1
        name: String,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Write the lock beside a policy: the digests of the packs it imports
    Update {
        /// The policy
        policy: PathBuf,
    },
}

/// Runs `pack`.
pub fn run(arguments: &Arguments) -> Outcome {
    let outcome = match &arguments.action {
        Action::List { format } => list(*format),
        Action::Show { name, format } => show_pack(name, *format),
        Action::Update { policy } => update(policy),
    };
    match outcome {
        Ok(()) => Outcome::Clean,
        Err(outcome) => outcome,
    }
}

fn list(format: Format) -> Result<(), Outcome> {
    let packs = pack::references().map(load).collect::<Result<Vec<Pack>, Outcome>>()?;
    output::print(&match format {
        Format::Json => {
            let all: Vec<Value> = packs.iter().map(summary).collect();
            format!("{:#}\n", Value::from(all))
        }
        Format::Human => packs.iter().map(line).collect(),
    });
    Ok(())
}

fn line(pack: &Pack) -> String {
    let contents: Vec<&str> = pack.contents.iter().map(|(name, _)| name.as_str()).collect();
    let mut brings = Vec::new();
    if !pack.detectors.is_empty() {
        brings.push(format!("{} detectors", pack.detectors.len()));
    }
    if !contents.is_empty() {
        brings.push(contents.join(", "));
    }
    let digest = pack.digest.get(..12).unwrap_or(&pack.digest);
    format!("{:<14} sha256:{digest}…  {}\n", pack.reference, brings.join("; "))
}

fn summary(pack: &Pack) -> Value {
    json!({
        "pack": pack.reference,
        "sha256": pack.digest,
        "detectors": pack.detectors.len(),
        "contents": pack.contents.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
    })
}

fn show_pack(name: &str, format: Format) -> Result<(), Outcome> {
    let same = |reference: &&str| *reference == name || reference.split('@').next() == Some(name);
    let Some(reference) = pack::references().find(same) else {
        let known = listing(pack::references());
        output::report(&format!("error: pack `{name}` does not exist; packs: {known}\n"));
        return Err(Outcome::Usage);
    };
    let pack = load(reference)?;
    let entries: Vec<Entry> = Entry::all(&pack).collect();
    output::print(&match format {
        Format::Json => format!("{:#}\n", document(&pack, &entries)),
        Format::Human => page(&pack, &entries),
    });
    Ok(())
}

fn page(pack: &Pack, entries: &[Entry]) -> String {
    let mut text = format!("{}  sha256:{}\n", pack.reference, pack.digest);
    if let Some(note) = &pack.note {
        text.push_str(&format!("\n{note}\n"));
    }
    if !pack.tags.is_empty() {
        text.push_str("\ntags\n");
    }
    for tag in &pack.tags {
        let placeholder = tag.body.placeholder.as_ref().map_or("", |text| text.value.as_str());
        text.push_str(&format!("  {:<28} {placeholder}\n", tag.name.value));
    }
    if !entries.is_empty() {
        text.push_str("\ndetectors\n");
    }
    for entry in entries {
        let family = entry.family.as_deref().unwrap_or("-");
        text.push_str(&format!("  {:<28} {:<16} {family:<18}", entry.name, entry.tag));
        text.push_str(&entry.checks.join(", "));
        text.truncate(text.trim_end().len());
        text.push('\n');
        if let Some(source) = &entry.source {
            text.push_str(&format!("      {source}\n"));
        }
    }
    if !pack.contents.is_empty() {
        text.push_str("\ncontents\n");
    }
    for (name, _) in &pack.contents {
        text.push_str(&format!("  {name}\n"));
    }
    text
}

fn document(pack: &Pack, entries: &[Entry]) -> Value {
    let detectors: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let rule = entry.rule.as_ref();
            json!({
                "name": entry.name,
                "tag": entry.tag,
                "family": entry.family,
                "class": entry.class,
                "source": entry.source,
                "checks": entry.checks,
                "prefix": rule.and_then(|rule| rule.prefix.as_deref()),
                "pattern": rule.map(|rule| rule.pattern.as_str()),
                "near": rule.and_then(|rule| rule.near.as_ref()).map(|near| &near.words),
            })
        })
        .collect();
    let tags: Vec<Value> = pack
        .tags
        .iter()
        .map(|tag| {
            let placeholder = tag.body.placeholder.as_ref().map(|text| text.value.as_str());
            json!({"tag": tag.name.value, "placeholder": placeholder})
        })
        .collect();
    let mut document = summary(pack);
    if let Some(document) = document.as_object_mut() {
        if let Some(note) = &pack.note {
            document.insert("note".to_owned(), note.as_str().into());
        }
        document.insert("tags".to_owned(), tags.into());
        document.insert("detectors".to_owned(), detectors.into());
    }
    document
}

fn update(path: &std::path::Path) -> Result<(), Outcome> {
    let source = read_source(path)?;
    let mut out = Diagnostics::default();
    let packs = match Policy::read(&source, &mut out) {
        Some(policy) => resolve::packs::resolve(&policy, &mut out).map_err(|error| broken(&error))?.0,
        None => Vec::new(),
    };
    if out.has_errors() {
        show(&source, &out.sorted(), Format::Human);
        return Err(Outcome::Findings);
    }
    let file = path.with_file_name(lock::name_of(&source.name));
    write(&file, Lock::of(&packs).text().as_bytes())?;
    output::print(&format!("{}: {} packs\n", file.display(), packs.len()));
    Ok(())
}

fn load(reference: &str) -> Result<Pack, Outcome> {
    match Pack::load(reference) {
        Some(Ok(pack)) => Ok(pack),
        Some(Err(error)) => Err(broken(&error)),
        None => Err(Outcome::Bug),
    }
}

fn broken(error: &dyn std::error::Error) -> Outcome {
    output::report(&format!("error: {error}\n"));
    Outcome::Bug
}
