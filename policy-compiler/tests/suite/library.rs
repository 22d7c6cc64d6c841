//! The detectors that ship: their validators on anything, hostile shapes, what recorded traffic shows, and the page about them.

use crate::support::source;
use std::collections::BTreeMap;
use veilwire_engine::mask::validate::holds;
use veilwire_policy_compiler::detect::{Probe, Rule, Wanted};
use veilwire_policy_compiler::library;
use veilwire_policy_compiler::pack::{self, Pack};
use veilwire_policy_compiler::source::detectors::{Class, Detector, VALIDATORS};

fn probe(names: &[&str]) -> Probe {
    let all = library::entries().filter(|entry| names.contains(&entry.detector.name.value.as_str()));
    let rules: Vec<(&str, Rule)> =
        all.map(|entry| (entry.detector.name.value.as_str(), entry.detector.body.rule().unwrap())).collect();
    assert_eq!(rules.len(), names.len());
    let wanted: Vec<Wanted<'_>> = rules.iter().map(|(name, rule)| Wanted { name, rule }).collect();
    Probe::new(&wanted, 512).unwrap()
}

/// Whatever is matched, a validator answers; no input is too odd.
#[test]
fn validators_answer_for_any_bytes() {
    let mut random = 0x5EED_u64;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % limit
    };
    let alphabets: [&[u8]; 4] =
        [b"0123456789", b"0123456789 -./", b"0123456789ABCXYZabcxyz:+()", b"\x00\xFF\x80 9A:1"];
    let mut held = 0;
    for round in 0..3000 {
        let alphabet = alphabets[round % alphabets.len()];
        let length = if below(3) == 0 { below(140) } else { 8 + below(12) };
        let text: Vec<u8> = (0..length).map(|_| alphabet[below(alphabet.len())]).collect();
        held += VALIDATORS.iter().filter(|(_, validator)| holds(*validator, &text)).count();
    }
    assert!(held > 100, "only {held} held: the texts are not what validators look at");
}

/// What is promised: the separators that word processors put in place of spaces and hyphens.
#[test]
fn separators_of_word_processors_are_separators() {
    let probe = probe(&["card", "iban", "phone", "phone-us", "phone-national", "ssn"]);
    for space in ['\u{A0}', '\u{2009}', '\u{202F}', '\u{2011}', '\u{2013}'] {
        for text in ["4111 1111 1111 1111", "GB82 WEST 1234 5698 7654 32", "+44 20 7946 0958", "650 253 0000"]
        {
            let text = text.replace(' ', &space.to_string());
            let hits = probe.find(text.as_bytes()).unwrap();
            assert!(hits.iter().any(|hit| hit.range == (0..text.len())), "{space:?}: {hits:?}");
        }
    }
    assert!(probe.finds("519\u{2013}12\u{2013}1204") && probe.finds("519\u{2011}12\u{2011}1204"));
}

/// What is not promised, and documented as such: a reader sees the value, the detectors do not. If one begins to, the page changes.
#[test]
fn shapes_that_the_page_excludes_are_not_found() {
    let probe = probe(&["card", "email", "ssn"]);
    for text in [
        "\u{FF14}111 1111 1111 1111",
        "4111\u{200B}1111\u{200B}1111\u{200B}1111",
        "ada\u{FF20}example.com",
        "519%2D12%2D1204",
        "ada&#64;example.com",
        "4\u{0661}11 1111 1111 1111",
    ] {
        assert!(!probe.finds(text), "{text:?}");
    }
}

/// Identifiers, times, versions and numbers of traffic that is not about people.
#[test]
fn what_is_not_personal_is_left_alone() {
    let reference: Vec<Pack> = ["pci@1", "pii-us@1", "pii-eu@1", "pii-intl@1"]
        .map(|reference| Pack::load(reference).unwrap().unwrap())
        .into();
    let rules: BTreeMap<&str, Rule> = reference
        .iter()
        .flat_map(|pack| &pack.detectors)
        .map(|detector| (detector.name.value.as_str(), detector.body.rule().unwrap()))
        .collect();
    let wanted: Vec<Wanted<'_>> = rules.iter().map(|(name, rule)| Wanted { name, rule }).collect();
    let probe = Probe::new(&wanted, 512).unwrap();
    for text in [
        "2024-03-01T12:34:56.789012Z",
        "created 1712045678, updated 1712045678901, nanos 1712045678901234567",
        "550e8400-e29b-41d4-a716-446655440000",
        "chatcmpl-9hYT3kq2lZ8pXv4Wc1n0aBdEfGhIj",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "version 1.95.0, build 20240301, v2.1.0-rc.1, node v20.11.1",
        "prompt_tokens: 1523, completion_tokens: 98217, total 99740",
        "0.0123456789, -0.9876543210, 3.14159265358979, 1e-10",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36",
        "order 7712-55-8 of 12/31/2024, page 12-34, 10:30-11:45",
        "toolu_01A09q90qw90lq917835lq9, req_011CSHoEeqs5C35K2UUqR7Fy",
        "std::vec::Vec, a::b, crate::mask::scan",
        "0x7ffee4b2c8d0 + 0x10, 1234567890123",
        "gpt-4o-2024-08-06 and claude-3-5-sonnet-20241022",
    ] {
        let hits = probe.find(text.as_bytes()).unwrap();
        assert!(hits.is_empty(), "{text}: {hits:?}");
    }
}

/// A detector that two imported packs carry is one detector, under the name of the first.
#[test]
fn a_detector_of_two_packs_exists_once() {
    let text = source("../examples/first-light/policy.yaml").text;
    let text = text
        .replace("pii-us@1,", "pii-us@1, pii-eu@1, pii-intl@1,")
        .replace("pii-us.*,", "pii-us.*, pii-eu.*, pii-intl.*,");
    let source = veilwire_policy_compiler::Source::new("policy.yaml", text);
    let compiled = veilwire_policy_compiler::compile_policy(
        &source,
        &crate::support::files(),
        &crate::support::deployment(),
    );
    let compiled = compiled.unwrap_or_else(|_| panic!("the policy compiles"));
    let names: Vec<&str> = compiled.model.detectors.iter().map(|detector| detector.name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".email")).collect::<Vec<_>>(), [&"pii-us.email"]);
    assert_eq!(names.iter().filter(|name| name.ends_with(".iban")).collect::<Vec<_>>(), [&"pii-eu.iban"]);
    assert!(names.contains(&"pii-intl.br-cpf") && names.len() > 70, "{}", names.len());
    // Decision: all default packs together.
    assert!(compiled.artifact.len() <= 700 * 1024, "{} bytes", compiled.artifact.len());
    println!("{} detectors, {} bytes", names.len(), compiled.artifact.len());
}

const BEGIN: &str = "<!-- detectors -->\n";
const END: &str = "<!-- end of detectors -->\n";

/// `docs/reference/detectors.md` has a row per detector. `VEILWIRE_BLESS=1` writes them anew.
#[test]
fn the_page_has_a_row_for_every_detector() {
    let path = format!("{}/../docs/reference/detectors.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();
    let expected = table();
    if std::env::var_os("VEILWIRE_BLESS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{expected}{END}{tail}")).unwrap();
        return;
    }
    assert!(
        written == expected,
        "detectors.md is not what the library says; write it anew with VEILWIRE_BLESS=1"
    );
}

fn table() -> String {
    let packs: Vec<Pack> =
        pack::references().map(|reference| Pack::load(reference).unwrap().unwrap()).collect();
    let mut out = String::from(
        "\n| detector | packs | finds | class | validator | near words | source |\n|---|---|---|---|---|---|---|\n",
    );
    for entry in library::entries() {
        let (name, body): (&str, &Detector) = (&entry.detector.name.value, &entry.detector.body);
        let carries = |pack: &&Pack| pack.detectors.iter().any(|known| known.name.value == name);
        let packs: Vec<&str> = packs.iter().filter(carries).map(|pack| pack.name.as_str()).collect();
        let class = match body.class.as_ref().unwrap().value {
            Class::Prefixed => "prefixed",
            Class::Validated => "validated",
            Class::Context => "context",
            Class::Shape => "shape",
        };
        let validator = body.validate.as_ref().map(|validator| validator.value);
        let validator = VALIDATORS.iter().find(|(_, known)| Some(*known) == validator).map(|(word, _)| *word);
        let validator = validator.or(body.validate.as_ref().map(|_| "entropy")).unwrap_or("");
        let near = body.near.as_ref().map(|near| format!("{} within {} B", near.words.len(), near.within));
        let text = |text: &Option<veilwire_policy_compiler::diagnostic::Text>| {
            text.as_ref().map(|text| text.value.replace('|', "\\|")).unwrap_or_default()
        };
        let (family, source, near) = (text(&body.family), text(&body.source), near.unwrap_or_default());
        out += &format!(
            "| `{name}` | {} | {family} | {class} | {validator} | {near} | {source} |\n",
            packs.join(", ")
        );
    }
    out + "\n"
}
