//! Packs: detectors, tags and contents that ship with the compiler.
//!
//! A pack only adds what can be found and where texts are; it never allows, reveals or weakens, so importing packs is a union
//! and their order never matters. Its digest covers everything it brings and is written into the artifact.

use crate::diagnostic::{Diagnostics, Text};
use crate::library;
use crate::source::reader::{Fields, Named, number, text, texts};
use crate::source::{Source, detectors, document_head, tags, yaml};
use sha2::{Digest, Sha256};
use veilwire_engine::policy::model::Content;

/// A pack, read.
#[derive(Clone, Debug)]
pub struct Pack {
    /// `name@version`, as policies import it.
    pub reference: &'static str,
    /// Name without version: the prefix of its detectors.
    pub name: String,
    /// What it helps with and what it leaves open, where a law or standard is in its name.
    pub note: Option<String>,
    /// SHA-256 over its files, lower-case hex.
    pub digest: String,
    /// Tags it suggests; a policy that declares the same tag decides.
    pub tags: Vec<Named<tags::Tag>>,
    /// Its place among all packs: of detectors that several carry, the first names them.
    pub rank: usize,
    /// Detectors of the library that it carries, under their short names.
    pub detectors: Vec<Named<detectors::Detector>>,
    /// Contents it brings, by name.
    pub contents: Vec<(String, Content)>,
}

/// A pack as it is embedded.
struct Embedded {
    reference: &'static str,
    yaml: &'static str,
    contents: &'static [(&'static str, &'static str)],
}

/// A content and its file.
macro_rules! contents {
    ($($name:literal),*) => { &[$(($name, include_str!(concat!("../packs/content/", $name, ".json")))),*] };
}

const EMBEDDED: &[Embedded] = &[
    Embedded {
        reference: "anthropic@1",
        yaml: include_str!("../packs/anthropic.yaml"),
        contents: contents!["anthropic.messages"],
    },
    Embedded {
        reference: "bedrock@1",
        yaml: include_str!("../packs/bedrock.yaml"),
        contents: contents!["bedrock.agent", "bedrock.converse", "bedrock.invoke"],
    },
    Embedded {
        reference: "gemini@1",
        yaml: include_str!("../packs/gemini.yaml"),
        contents: contents!["gemini.generate", "gemini.interactions"],
    },
    Embedded {
        reference: "langfuse@1",
        yaml: include_str!("../packs/langfuse.yaml"),
        contents: contents!["langfuse.ingestion"],
    },
    Embedded {
        reference: "langsmith@1",
        yaml: include_str!("../packs/langsmith.yaml"),
        contents: contents!["langsmith.runs"],
    },
    Embedded {
        reference: "mcp@1",
        yaml: include_str!("../packs/mcp.yaml"),
        contents: contents!["mcp.streamable"],
    },
    Embedded {
        reference: "ollama@1",
        yaml: include_str!("../packs/ollama.yaml"),
        contents: contents!["ollama.chat", "ollama.generate"],
    },
    Embedded {
        reference: "openai@1",
        yaml: include_str!("../packs/openai.yaml"),
        contents: contents!["openai.chat", "openai.responses"],
    },
    Embedded {
        reference: "otel-genai@1",
        yaml: include_str!("../packs/otel-genai.yaml"),
        contents: contents!["otel.logs", "otel.metrics", "otel.traces"],
    },
    Embedded { reference: "pci@1", yaml: include_str!("../packs/pci.yaml"), contents: contents![] },
    Embedded { reference: "pii-us@1", yaml: include_str!("../packs/pii-us.yaml"), contents: contents![] },
    Embedded { reference: "pii-eu@1", yaml: include_str!("../packs/pii-eu.yaml"), contents: contents![] },
    Embedded { reference: "pii-intl@1", yaml: include_str!("../packs/pii-intl.yaml"), contents: contents![] },
    Embedded { reference: "secrets@1", yaml: include_str!("../packs/secrets.yaml"), contents: contents![] },
    // Profiles: what they carry is named by the packs in front of them.
    Embedded { reference: "gdpr@1", yaml: include_str!("../packs/gdpr.yaml"), contents: contents![] },
    Embedded { reference: "hipaa@1", yaml: include_str!("../packs/hipaa.yaml"), contents: contents![] },
];

/// Contents that packs bring, with the pack of each: what a diagnostic can recommend.
pub fn homes() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    EMBEDDED.iter().flat_map(|pack| pack.contents.iter().map(|(content, _)| (*content, pack.reference)))
}

/// References of all packs.
pub fn references() -> impl Iterator<Item = &'static str> + Clone {
    EMBEDDED.iter().map(|pack| pack.reference)
}

/// A pack that ships but cannot be read: a mistake in this crate, found by its tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("embedded pack `{0}` cannot be read")]
pub struct BrokenPack(pub &'static str);

impl Pack {
    /// Reads the pack with this reference; `None` when there is none.
    ///
    /// # Errors
    /// The embedded pack is broken.
    pub fn load(reference: &str) -> Option<Result<Pack, BrokenPack>> {
        let (rank, embedded) = EMBEDDED.iter().enumerate().find(|(_, pack)| pack.reference == reference)?;
        Some(embedded.read(rank).ok_or(BrokenPack(embedded.reference)))
    }

    /// The full name of one of its detectors.
    #[must_use]
    pub fn full_name(&self, detector: &Text) -> String {
        format!("{}.{}", self.name, detector.value)
    }
}

impl Embedded {
    fn read(&self, rank: usize) -> Option<Pack> {
        let mut out = Diagnostics::default();
        let source = Source::new(self.reference, self.yaml);
        let root = yaml::parse(&source.text, &mut out)?;
        let mut top = Fields::open(&root, "a pack", &mut out)?;
        document_head(&mut top, "Pack", &mut out)?;
        let mut metadata = Fields::open(top.require("metadata")?, "`metadata`", &mut out)?;
        let name = text(metadata.require("name")?, &mut out)?.value;
        let version = number(metadata.require("version")?, 1, 1_000, &mut out)?.value;
        let note = metadata.take("note").and_then(|node| text(node, &mut out)).map(|note| note.value);
        metadata.close(&mut out);
        let mut spec = Fields::open(top.require("spec")?, "`spec`", &mut out)?;
        top.close(&mut out);
        let tags = spec.named("tags", tags::read, &mut out);
        let carried = spec.take("detectors").map(|node| texts(node, &mut out)).unwrap_or_default();
        let listed = spec.take("contents").map(|node| texts(node, &mut out)).unwrap_or_default();
        spec.close(&mut out);
        let contents =
            listed.iter().map(|content| self.content(&content.value)).collect::<Option<Vec<_>>>()?;
        let sound = out.is_empty() && format!("{name}@{version}") == self.reference;
        let carried = carried.iter().map(library::find).collect::<Option<Vec<_>>>()?;
        let digest = self.digest(&carried);
        let detectors = carried.iter().map(|entry| entry.detector.clone()).collect();
        sound.then_some(Pack {
            reference: self.reference,
            name,
            note,
            digest,
            tags,
            rank,
            detectors,
            contents,
        })
    }

    fn content(&self, name: &str) -> Option<(String, Content)> {
        let (_, json) = self.contents.iter().find(|(content, _)| *content == name)?;
        let content: Content = serde_json::from_str(json).ok()?;
        (content.name == name).then(|| (name.to_owned(), content))
    }

    /// Each file with its length before it, so that no two packs hash alike.
    fn digest(&self, carried: &[&library::Entry]) -> String {
        let files = std::iter::once(self.yaml).chain(self.contents.iter().map(|(_, json)| *json));
        let mut named: Vec<&str> = carried.iter().map(|entry| entry.file).collect();
        named.dedup();
        let files = files.chain(named.into_iter().filter_map(library::text_of));
        let mut hash = Sha256::new();
        for file in files {
            hash.update((file.len() as u64).to_le_bytes());
            hash.update(file);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pack_can_be_read() {
        for reference in references() {
            let pack = Pack::load(reference).unwrap().unwrap();
            assert_eq!(pack.reference, reference);
            assert_eq!(pack.digest.len(), 64);
        }
        assert!(Pack::load("openai").is_none());
    }

    #[test]
    fn every_detector_of_a_pack_has_a_tag_with_a_replacement_in_the_same_pack() {
        for reference in references() {
            let pack = Pack::load(reference).unwrap().unwrap();
            for detector in &pack.detectors {
                let tag = detector.body.tag.as_ref().unwrap();
                let declared = pack.tags.iter().find(|declared| declared.name.value == tag.value).unwrap();
                assert!(declared.body.placeholder.is_some(), "{reference} {}", detector.name.value);
            }
        }
    }

    #[test]
    fn packs_with_the_name_of_a_law_say_what_they_do_not_do() {
        for reference in references() {
            let pack = Pack::load(reference).unwrap().unwrap();
            let law = ["gdpr@1", "hipaa@1"].contains(&reference);
            assert_eq!(pack.note.is_some(), law, "{reference}");
            let note = pack.note.unwrap_or_default();
            assert!(
                !law || (note.contains("Helps with") && note.contains("does not make you compliant")),
                "{note}"
            );
        }
    }

    #[test]
    fn contents_that_diagnostics_recommend_come_from_the_pack_they_name() {
        for (content, reference) in homes() {
            let pack = Pack::load(reference).unwrap().unwrap();
            assert!(pack.contents.iter().any(|(name, _)| name == content));
        }
    }
}
