//! The binary: exit codes, what it prints where, what it writes.

use crate::support::{CERTIFICATE, JWKS, source};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use veilwire_engine::policy::Policy;

fn veilwire(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_veilwire")).args(arguments).current_dir(folder).output().unwrap()
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
fn a_sound_policy_checks_with_zero_and_shows_its_effect() {
    let folder = folder();
    let output = veilwire(folder.path(), &["check", "policy.yaml"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("items  GET api.local/items -> api"), "{text}");
    assert!(text.contains("staff may, masked by baseline  (staff-read)"), "{text}");
    assert!(text.contains("everything else is denied"), "{text}");
}

#[test]
fn errors_are_one_usage_is_two_files_are_three() {
    let folder = folder();
    let policy = folder.path().join("policy.yaml");
    let text = std::fs::read_to_string(&policy).unwrap();
    std::fs::write(&policy, text.replace("groups: [staff]", "gruops: [staff]")).unwrap();
    let refused = veilwire(folder.path(), &["check", "policy.yaml"]);
    assert_eq!(code(&refused), 1);
    assert!(stdout(&refused).contains("error[E0203]: unknown key `gruops`"), "{}", stdout(&refused));
    assert_eq!(code(&veilwire(folder.path(), &["chekc", "policy.yaml"])), 2);
    assert_eq!(code(&veilwire(folder.path(), &["scan", "policy.yaml", "--pack", "nothing@1"])), 2);
    let absent = veilwire(folder.path(), &["check", "nowhere.yaml"]);
    assert_eq!((code(&absent), stderr(&absent).contains("nowhere.yaml")), (3, true));
    std::fs::write(&policy, b"kind: \xff").unwrap();
    let binary = veilwire(folder.path(), &["check", "policy.yaml"]);
    assert_eq!((code(&binary), stderr(&binary).contains("not UTF-8 at byte 6")), (3, true));
}

#[test]
fn help_is_on_stdout_and_zero() {
    let folder = folder();
    for verb in ["check", "compile", "cost", "coverage", "mask", "pack", "scan"] {
        let output = veilwire(folder.path(), &[verb, "--help"]);
        assert_eq!(code(&output), 0, "{verb}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{verb}");
    }
    for arguments in [&["--help"], &["--version"]] {
        let output = veilwire(folder.path(), arguments);
        assert_eq!(code(&output), 0);
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
    assert!(stdout(&veilwire(folder.path(), &["--help"])).contains("Exit codes"));
}

#[test]
fn compile_writes_an_artifact_that_loads_and_names_its_digest() {
    let folder = folder();
    let output = veilwire(folder.path(), &["compile", "policy.yaml", "-o", "out/deep"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let artifact = std::fs::read(folder.path().join("out/deep/policy.artifact")).unwrap();
    let policy = Policy::load(&artifact).unwrap();
    assert!(stdout(&output).contains(policy.digest()));
    let envoy = std::fs::read_to_string(folder.path().join("out/deep/envoy.yaml")).unwrap();
    let base = folder.path().display();
    assert!(envoy.contains(&format!("filename: {base}/server.key")), "{envoy}");
    assert!(envoy.contains(&format!("filename: {base}/out/deep/veilwire_filter.wasm")), "{envoy}");
    assert!(!envoy.contains("not to be read"));
    let left: Vec<_> = std::fs::read_dir(folder.path().join("out/deep")).unwrap().collect();
    assert_eq!(left.len(), 2, "temporary files stay behind");
}

#[test]
fn compile_places_files_where_the_caller_says() {
    let folder = folder();
    let arguments = [
        "compile",
        "policy.yaml",
        "-o",
        "out",
        "--path-prefix",
        "/etc/veilwire",
        "--wasm",
        "/opt/filter.wasm",
    ];
    let output = veilwire(folder.path(), &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let envoy = std::fs::read_to_string(folder.path().join("out/envoy.yaml")).unwrap();
    assert!(
        envoy.contains("filename: /etc/veilwire/server.pem") && envoy.contains("filename: /opt/filter.wasm")
    );
    assert!(!envoy.contains(&folder.path().display().to_string()));
}

#[test]
fn a_refused_policy_leaves_earlier_output_alone() {
    let folder = folder();
    assert_eq!(code(&veilwire(folder.path(), &["compile", "policy.yaml", "-o", "out"])), 0);
    let before = std::fs::read(folder.path().join("out/policy.artifact")).unwrap();
    std::fs::write(folder.path().join("policy.yaml"), "kind: Policy\n").unwrap();
    assert_eq!(code(&veilwire(folder.path(), &["compile", "policy.yaml", "-o", "out"])), 1);
    assert_eq!(std::fs::read(folder.path().join("out/policy.artifact")).unwrap(), before);
}

#[test]
fn warnings_can_be_denied() {
    let folder = folder();
    std::fs::remove_file(folder.path().join("server.key")).unwrap();
    let warned = veilwire(folder.path(), &["check", "policy.yaml"]);
    assert_eq!((code(&warned), stdout(&warned).contains("warning[W0406]")), (0, true), "{}", stdout(&warned));
    assert_eq!(code(&veilwire(folder.path(), &["check", "policy.yaml", "--deny", "warnings"])), 1);
}

#[test]
fn json_is_one_document_whatever_happens() {
    let folder = folder();
    for (arguments, expected) in [
        (&["check", "policy.yaml", "--format", "json"][..], 0),
        (&["compile", "policy.yaml", "-o", "out", "--format", "json"], 0),
        (&["pack", "list", "--format", "json"], 0),
        (&["pack", "show", "secrets@1", "--format", "json"], 0),
    ] {
        let output = veilwire(folder.path(), arguments);
        assert_eq!(code(&output), expected, "{arguments:?} {}", stderr(&output));
        serde_json::from_str::<serde_json::Value>(&stdout(&output))
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    }
}

#[test]
fn a_key_is_hashed_and_never_printed() {
    const KEY: &str = "vw_7Qb1mZ0rT4uXy9KcEw2LhN6sPdFgA";
    let hash = |key: &str, arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_veilwire"))
            .args(["key", "hash"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A wrong argument is told without reading the key: then nobody is there to take it.
        match child.stdin.take().unwrap().write_all(key.as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.unwrap(),
        }
        child.wait_with_output().unwrap()
    };
    let options = ["--id", "build-bot", "--groups", "builders,ci", "--expires", "2027-03-31"];
    let (first, second) = (hash(&format!("{KEY}\n"), &options), hash(KEY, &options));
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    assert_ne!(stdout(&first), stdout(&second), "each key has a salt of its own");
    for output in [&first, &second] {
        let text = stdout(output);
        assert!(!text.contains(KEY) && stderr(output).is_empty());
        let part = |name: &str| {
            let (_, rest) = text.split_once(&format!("{name}: \"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        let (salt, hash) = (part("salt"), part("hash"));
        let (pairs, _) = salt.as_bytes().as_chunks::<2>();
        let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        let bytes: Vec<u8> = pairs.iter().map(byte).collect();
        let expected: String = veilwire_engine::identity::api_key_hash(&bytes, KEY.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hash, expected);
        let line = format!(
            "build-bot: {{salt: \"{salt}\", hash: \"{hash}\", groups: [builders, ci], expires: 2027-03-31}}\n"
        );
        assert_eq!(text, line);
    }
    for weak in ["", "hunter2-hunter2"] {
        let refused = hash(weak, &options);
        assert_eq!((code(&refused), stdout(&refused).as_str()), (1, ""));
        assert!(weak.is_empty() || !stderr(&refused).contains(weak));
    }
    assert_eq!(code(&hash(KEY, &["--id", "a: b"])), 2);
}
