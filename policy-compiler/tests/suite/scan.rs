//! `scan`, `cost` and `pack`, through the binary.

use crate::support::{CERTIFICATE, JWKS, source};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TEXT: &[u8] = b"hello\nmail ada@example.com, card 4111 1111 1111 1111, not 4111 1111 1111 1112\n";

fn veilwire(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_veilwire"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A run that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// One JSON document per line.
fn objects(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder with the policy `clean.yaml` and everything it refers to.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("policy.yaml", &source("tests/ui/clean.yaml").text);
    write("jwks.json", JWKS);
    write("server.pem", CERTIFICATE);
    write("ca.pem", CERTIFICATE);
    write("server.key", "not to be read");
    folder
}

#[test]
fn scan_shows_the_place_and_the_form_and_keeps_values_to_itself() {
    let folder = folder();
    let found = veilwire(folder.path(), &["scan", "-", "--pack", "pci@1", "--pack", "pii-us@1"], TEXT);
    let text = stdout(&found);
    assert_eq!(code(&found), 1, "{text}{}", stderr(&found));
    assert!(text.contains("-:2:6: pii-us.email (pii.email): aaa@aaaaaaa.aaa (15 bytes)"), "{text}");
    assert!(text.contains("pci.card (pci.pan): 0000 0000 0000 0000 (19 bytes)"), "{text}");
    assert!(text.contains("    mail aaa@aaaaaaa.aaa, card 0000"), "the line around it\n{text}");
    assert!(text.contains("\n         ^^^^^^^^^^^^^^^\n"), "a mark below it\n{text}");
    assert!(!text.contains("ada@") && !text.contains("4111 1111 1111 1111"), "{text}");
    assert!(!text.contains('\u{1b}'), "colours in a pipe");
    assert!(stderr(&found).contains("2 findings in 1 of 1 file; 0.000 MB in "), "{}", stderr(&found));
    let shown = veilwire(folder.path(), &["scan", "--show", "--pack", "pii-us@1"], TEXT);
    assert!(stdout(&shown).contains("ada@example.com"));
}

#[test]
fn scan_says_what_it_nearly_found_and_hides_that_too() {
    let folder = folder();
    let why = veilwire(folder.path(), &["scan", "-", "--why", "--pack", "pci@1"], TEXT);
    let text = stdout(&why);
    assert!(text.contains("[near miss: not found for lack of"), "{text}");
    assert!(text.contains("[near miss: not found for lack of check digit (Luhn)]"), "{text}");
    assert!(text.contains("-: 1 finding, "), "{text}");
    assert!(!text.contains("4111"), "{text}");
    let json = objects(&veilwire(
        folder.path(),
        &["scan", "-", "--why", "--pack", "pci@1", "--format", "json"],
        TEXT,
    ));
    let near = |finding: &Value| finding["nearMiss"].as_bool() == Some(true);
    assert_eq!(json.iter().filter(|finding| !near(finding)).count(), 1, "{json:?}");
    assert!(json.iter().any(|finding| near(finding) && finding["detector"] == "pci.card"), "{json:?}");
}

#[test]
fn scan_prints_one_object_per_finding() {
    let folder = folder();
    std::fs::write(folder.path().join("a.txt"), TEXT).unwrap();
    std::fs::write(folder.path().join("b.txt"), "nothing").unwrap();
    let both = ["scan", "b.txt", "a.txt", "--pack", "pii-us@1", "--format", "json"];
    let output = veilwire(folder.path(), &both, b"");
    let [finding] = &objects(&output)[..] else { panic!("{}", stdout(&output)) };
    assert_eq!((finding["file"].as_str(), finding["line"].as_u64()), (Some("a.txt"), Some(2)));
    assert_eq!((finding["start"].as_u64(), finding["end"].as_u64()), (Some(11), Some(26)));
    assert_eq!(finding["detector"], "pii-us.email");
    assert_eq!((finding["tag"].as_str(), finding.get("value")), (Some("pii.email"), None));
    assert!(!stdout(&output).contains("ada"));
    let none = veilwire(folder.path(), &["scan", "b.txt", "--format", "json"], b"");
    assert_eq!((code(&none), stdout(&none)), (0, String::new()));
}

#[test]
fn scan_reads_records_and_counts_bytes_of_their_text() {
    let folder = folder();
    let records = "{\"id\": 7, \"text\": \"\u{fc}ber ada@example.com\"}\n\n{\"text\": \"\"}\n";
    let arguments = ["scan", "--input", "jsonl", "--pack", "pii-us@1"];
    let output = veilwire(folder.path(), &arguments, records.as_bytes());
    let [first, second] = &objects(&output)[..] else { panic!("{}", stdout(&output)) };
    assert_eq!((code(&output), first["index"].as_u64(), second["index"].as_u64()), (1, Some(0), Some(1)));
    let finding = &first["findings"][0];
    assert_eq!((finding["start"].as_u64(), finding["end"].as_u64()), (Some(6), Some(21)));
    assert_eq!(finding["detector"], "pii-us.email");
    assert_eq!(second["findings"], Value::Array(Vec::new()));
    let other = [&arguments[..], &["--field", "body"]].concat();
    let named = veilwire(folder.path(), &other, b"{\"body\": \"ada@example.com\"}");
    assert_eq!(objects(&named)[0]["findings"][0]["end"], 15);
}

#[test]
fn scan_refuses_what_is_no_record() {
    let folder = folder();
    for bad in ["{\"text\": 7}", "{\"other\": \"x\"}", "[]", "no"] {
        let input = format!("{{\"text\": \"ada@example.com\"}}\n{bad}\n");
        let output = veilwire(folder.path(), &["scan", "--input", "jsonl"], input.as_bytes());
        assert_eq!((code(&output), stdout(&output).lines().count()), (3, 1), "{bad}");
        assert!(stderr(&output).contains("record 1 is no JSON object with a string `text`"), "{bad}");
    }
    assert_eq!(code(&veilwire(folder.path(), &["scan", "--field", "text"], b"")), 2);
}

#[test]
fn scan_takes_the_detectors_of_a_pack_or_of_a_policy() {
    let folder = folder();
    let other = veilwire(folder.path(), &["scan", "-", "--pack", "secrets@1"], TEXT);
    assert_eq!((code(&other), stdout(&other)), (0, "-: 0 findings\n".to_owned()));
    let policy = veilwire(folder.path(), &["scan", "-", "--policy", "policy.yaml"], TEXT);
    assert_eq!(code(&policy), 1);
    assert!(!stdout(&policy).contains("pci.card"), "the policy has no such detector");
}

#[test]
fn packs_are_listed_and_shown() {
    let folder = folder();
    let list = veilwire(folder.path(), &["pack", "list"], b"");
    assert!(stdout(&list).contains("secrets@1"), "{}", stdout(&list));
    let show = veilwire(folder.path(), &["pack", "show", "pci"], b"");
    assert!(stdout(&show).contains("pci.card"), "{}", stdout(&show));
    let json: Value = serde_json::from_str(&stdout(&veilwire(
        folder.path(),
        &["pack", "show", "pci@1", "--format", "json"],
        b"",
    )))
    .unwrap();
    assert_eq!(json["detectors"][0]["name"], "pci.card");
    assert_eq!(code(&veilwire(folder.path(), &["pack", "show", "nothing"], b"")), 2);
}

#[test]
fn a_lock_pins_what_the_packs_of_a_policy_bring() {
    let folder = folder();
    let lock = folder.path().join("policy.lock");
    let written = veilwire(folder.path(), &["pack", "update", "policy.yaml"], b"");
    assert_eq!(code(&written), 0, "{}", stdout(&written));
    let text = std::fs::read_to_string(&lock).unwrap();
    assert_eq!(code(&veilwire(folder.path(), &["check", "policy.yaml"], b"")), 0);
    // One digit of one digest.
    let (before, after) = text.split_once("sha256:").unwrap();
    let digit = if after.starts_with('0') { "1" } else { "0" };
    let rest: String = after.chars().skip(1).collect();
    std::fs::write(&lock, format!("{before}sha256:{digit}{rest}")).unwrap();
    for arguments in [&["check", "policy.yaml"][..], &["compile", "policy.yaml", "-o", "out"]] {
        let drifted = veilwire(folder.path(), arguments, b"");
        assert_eq!(code(&drifted), 1);
        assert!(stdout(&drifted).contains("error[E0314]"), "{}", stdout(&drifted));
    }
    assert!(!folder.path().join("out").exists());
    assert_eq!(code(&veilwire(folder.path(), &["pack", "update", "policy.yaml"], b"")), 0);
    assert_eq!(std::fs::read_to_string(&lock).unwrap(), text);
}

#[test]
fn costs_are_told_for_every_detector_and_for_all_together() {
    let folder = folder();
    let output = veilwire(folder.path(), &["cost", "--pack", "pci@1", "--format", "json"], b"");
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let card = &document["detectors"][0];
    assert_eq!(card["detector"], "pci.card");
    for key in ["states", "bytes", "indecision"] {
        assert!(card[key].as_u64().unwrap() > 0, "{key}");
    }
    assert!(document["together"]["states"].as_u64() >= card["states"].as_u64());
    let human = stdout(&veilwire(folder.path(), &["cost", "--pack", "pci@1"], b""));
    assert!(human.contains("pci.card") && human.contains("together"), "{human}");
}
