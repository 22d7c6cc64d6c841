//! The detectors that ship with the compiler: one file per family under `detectors`, each entry with where its format comes
//! from and what it must and must not find. Packs say which of them they carry.

use crate::diagnostic::{Diagnostics, Text};
use crate::source::detectors::{self, Detector};
use crate::source::reader::{Fields, Named, text};
use crate::source::{Source, document_head, yaml};
use std::sync::LazyLock;

/// The files, as they are embedded.
macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../detectors/", $name, ".yaml")))),*] };
}

const FILES: &[(&str, &str)] = files![
    "assigned-secrets",
    "bearer-tokens",
    "card",
    "chat-tokens",
    "cloud-keys",
    "code-hosts",
    "crypto",
    "email",
    "eu-ids",
    "iban",
    "intl-ids",
    "model-keys",
    "network",
    "payment-keys",
    "person",
    "phone",
    "private-keys",
    "registry-tokens",
    "service-keys",
    "url-credentials",
    "us-ids",
];

/// A detector of the library.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The file it stands in, without its ending.
    pub file: &'static str,
    /// Its name there, and what it is.
    pub detector: Named<Detector>,
}

/// All of them, in the order of their files; `None` if a file cannot be read, which a test of this module excludes.
static ENTRIES: LazyLock<Option<Vec<Entry>>> = LazyLock::new(|| {
    let mut entries = Vec::new();
    for (file, yaml) in FILES {
        let detectors = read(file, yaml)?;
        entries.extend(detectors.into_iter().map(|detector| Entry { file, detector }));
    }
    Some(entries)
});

/// Every detector of the library.
pub fn entries() -> impl Iterator<Item = &'static Entry> + Clone {
    ENTRIES.iter().flatten()
}

/// The detector of this name.
#[must_use]
pub fn find(name: &Text) -> Option<&'static Entry> {
    entries().find(|entry| entry.detector.name.value == name.value)
}

/// The text of a file.
#[must_use]
pub fn text_of(file: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, _)| *name == file).map(|(_, yaml)| *yaml)
}

fn read(file: &str, yaml: &'static str) -> Option<Vec<Named<Detector>>> {
    let mut out = Diagnostics::default();
    let detectors = read_into(file, yaml, &mut out)?;
    out.is_empty().then_some(detectors)
}

fn read_into(file: &str, yaml: &'static str, out: &mut Diagnostics) -> Option<Vec<Named<Detector>>> {
    let source = Source::new(file, yaml);
    let root = yaml::parse(&source.text, out)?;
    let mut top = Fields::open(&root, "a file of detectors", out)?;
    document_head(&mut top, "Detectors", out)?;
    let mut metadata = Fields::open(top.require("metadata")?, "`metadata`", out)?;
    let name = text(metadata.require("name")?, out)?.value;
    metadata.close(out);
    let detectors = top.named("spec", detectors::read, out);
    top.close(out);
    (name == file).then_some(detectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::detectors::Class;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_can_be_read() {
        for (file, yaml) in FILES {
            let mut out = Diagnostics::default();
            let detectors = read_into(file, yaml, &mut out);
            let said: Vec<_> = out.items().iter().map(|item| (item.message.clone(), item.span)).collect();
            assert!(
                detectors.is_some_and(|detectors| !detectors.is_empty()) && said.is_empty(),
                "{file}: {said:?}"
            );
        }
        let folder = format!("{}/detectors", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), FILES.len(), "a file is not listed");
    }

    #[test]
    fn every_detector_has_a_name_of_its_own_a_family_a_source_and_the_class_it_says() {
        let mut names = BTreeSet::new();
        for Entry { detector: Named { name, body }, .. } in entries() {
            let name = &name.value;
            assert!(names.insert(name), "{name} twice");
            assert!(body.family.is_some() && body.source.is_some(), "{name}");
            assert!(!body.matches.is_empty() && !body.ignores.is_empty(), "{name}");
            let class = body.class.as_ref().unwrap_or_else(|| panic!("{name} has no class")).value;
            let conditional = body.near.is_some() || body.prefix.is_some();
            match class {
                Class::Validated => assert!(body.validate.is_some(), "{name}"),
                Class::Context => assert!(conditional, "{name}"),
                Class::Shape => assert!(!conditional && body.validate.is_none(), "{name}"),
                Class::Prefixed => {}
            }
        }
    }
}
