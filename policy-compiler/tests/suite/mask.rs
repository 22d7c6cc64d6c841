//! `veilwire mask`: the engine's masker from a shell. What is masked is the engine's business and tested there; here it is that every
//! format gets through whole and in pieces, that nothing but stdout holds content, and how a run ends.

mod bodies;

use crate::support::{CERTIFICATE, JWKS};
use bodies::{Case, cases, gzip};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const EMAIL: &str = "ada.lovelace@example.com";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SSN: &str = "519-12-1204";

const ARTIFACT: &str = "policy.artifact";

/// Said where callers of different groups meet different masks.
const MIXED: &str = "the rules of this route have different masks, and these are all of them: --as shows what one caller meets";

const POLICY: &str = "apiVersion: veilwire.dev/v1
kind: Policy
metadata: {name: shell, revision: 3}
spec:
  packs: [bedrock@1, openai@1, otel-genai@1, pii-us@1, secrets@1]
  identity:
    idp: {jwt: {issuer: https://id.example.com, audiences: [api], algorithms: [ES256], jwks: {inline: {file: jwks.json}}, groupsClaim: groups}}
  groups: {staff: {idp: staff}, agents: {idp: agents}, contractors: {idp: contractors}}
  tls:
    require: always
    profile: intermediate
    downstream: {certificate: {files: {chain: server.pem, key: server.key}}}
    trust: {ca: {file: ca.pem}}
  listeners: {http: {address: 127.0.0.1, port: 8443}}
  upstreams:
    api: {http: {host: api.example.com, port: 443, trust: ca}}
  routes:
    items: {match: {host: api.local, path: /items}, upstream: api, content: json}
    closed: {match: {host: api.local, path: /closed}, upstream: api, content: json}
    chat: {match: {host: api.local, path: /chat}, upstream: api, content: openai.chat}
    traces: {match: {host: api.local, path: /traces}, upstream: api, content: otel.traces}
    invoke: {match: {host: api.local, path: /invoke}, upstream: api, content: bedrock.invoke}
  masks:
    baseline:
      scan: {detectors: [pii-us.email, pii-us.ssn, secrets.aws-access-key], in: [requestBody, responseBody]}
      fields: [{tag: pii.contact, at: [json.$.owner]}]
    answers: {scan: {detectors: [pii-us.email], in: [responseBody]}}
    asked: {scan: {detectors: [secrets.aws-access-key], in: [requestBody]}}
  rules:
    staff-work: {who: {groups: [staff]}, may: [items, chat, traces], mask: [baseline]}
    staff-invoke: {who: {groups: [staff]}, may: [invoke], mask: [answers]}
    agents-ask: {who: {groups: [agents]}, may: [items], mask: [asked]}
    contractors-out: {who: {groups: [contractors]}, mayNot: [items]}
";

/// A folder with the policy and its artifact.
struct Shell(tempfile::TempDir);

impl Shell {
    fn new() -> Shell {
        let shell = Shell(tempfile::tempdir().unwrap());
        shell.file("policy.yaml", POLICY);
        shell.file("jwks.json", JWKS);
        shell.file("server.pem", CERTIFICATE);
        shell.file("ca.pem", CERTIFICATE);
        shell.file("server.key", "not to be read");
        let output = shell.veilwire(&["compile", "policy.yaml", "-o", "."]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        shell
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn veilwire(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_veilwire"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    fn start(&self, policy: &str, arguments: &[&str]) -> Child {
        let mut command = self.veilwire(&["mask", "-p", policy]);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn run(&self, policy: &str, arguments: &[&str], body: &[u8]) -> Output {
        let mut child = self.start(policy, arguments);
        let mut stdin = child.stdin.take().unwrap();
        let body = body.to_vec();
        // A run that refuses does not read to the end.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&body)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }

    fn mask(&self, arguments: &[&str], body: &[u8]) -> Output {
        self.run(ARTIFACT, arguments, body)
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stderr).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

/// Is a piece of six bytes of any planted value in there?
fn leaks(bytes: &[u8]) -> bool {
    [EMAIL, KEY, SSN]
        .iter()
        .any(|value| value.as_bytes().windows(6).any(|piece| bytes.windows(6).any(|window| window == piece)))
}

#[test]
fn every_format_comes_out_masked_and_the_same_however_it_is_cut() {
    let shell = Shell::new();
    for case in cases() {
        let Case { name, arguments, body, masked, format } = case;
        let readable = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for chunks in [&[][..], &["--chunks", "whole"], &["--chunks", "1"], &["--chunks", "random:5"]] {
            let arguments = [arguments, &["--report"], chunks].concat();
            let output = shell.mask(&arguments, &body);
            assert_eq!(code(&output), 0, "{name} {chunks:?}: {}", stderr(&output));
            assert_eq!(readable(&output.stdout), readable(&masked), "{name} {chunks:?}");
            assert_eq!(output.stdout, masked, "{name} {chunks:?}");
            assert!(!leaks(&output.stderr), "{name} {chunks:?}: a value is in the report");
            let report = report(&output);
            assert_eq!((&report["outcome"], &report["format"]), (&json!("complete"), &json!(format)));
            assert_eq!(report["bytesIn"], json!(body.len()), "{name} {chunks:?}");
            assert_eq!(report["bytesOut"], json!(masked.len()), "{name} {chunks:?}");
            assert!(report["findings"][0]["count"] == json!(1), "{name} {chunks:?}: {report}");
        }
    }
}

#[test]
fn the_report_says_what_was_masked_by_whom_and_where() {
    let shell = Shell::new();
    let body = format!("{{\"owner\": true, \"mails\": [\"{EMAIL}\", \"b@example.com\"], \"{KEY}\": 1}}");
    let arguments = ["--route", "items", "--direction", "request", "--report", "--chunks", "whole"];
    let output = shell.mask(&arguments, body.as_bytes());
    let mut report = report(&output);
    let digest = report["policy"]["digest"].take();
    assert_eq!(digest.as_str().map(str::len), Some(64));
    assert_eq!(report["mostHeld"].take().as_u64().map(|held| held < 4096), Some(true));
    let expected = json!({
        "policy": {"name": "shell", "revision": 3, "digest": null},
        "route": "items",
        "content": "json",
        "direction": "request",
        "rules": ["agents-ask", "staff-work"],
        "masks": ["asked", "baseline"],
        "covered": true,
        "outcome": "complete",
        "contentType": {"value": "application/json", "from": "default"},
        "format": "json",
        "bytesIn": body.len(),
        "bytesOut": output.stdout.len(),
        "mostHeld": null,
        "findings": [
            {"mask": "baseline", "tag": "pii.contact", "location": "$.owner", "count": 1},
            {"mask": "baseline", "detector": "pii-us.email", "tag": "pii.email", "location": "$.*[*]", "count": 2},
            {"mask": "asked", "detector": "secrets.aws-access-key", "tag": "secret", "location": "$.*", "count": 1},
            {"mask": "baseline", "detector": "secrets.aws-access-key", "tag": "secret", "location": "$.*", "count": 1},
        ],
        "moreFindings": 0,
        "notInspected": [],
        "notes": [MIXED],
    });
    assert_eq!(report, expected);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "{\"owner\": \"[CONTACT]\", \"mails\": [\"[EMAIL]\", \"[EMAIL]\"], \"[SECRET]\": 1}"
    );
}

#[test]
fn keys_come_from_files() {
    let shell = Shell::new();
    let tags = "  keys: {pseudonyms: {hmacSha256: {id: k1, from: {environment: PSEUDONYM_KEY}}}}
  tags: {pii.email: {severity: high, replace: {tokenize: {key: pseudonyms}}}}
  identity:
";
    shell.file("keyed.yaml", POLICY.replacen("  identity:\n", tags, 1));
    shell.file("pseudonyms.key", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n");
    shell.file("short.key", "QUFB");
    let mask = |key: &[&str]| {
        let arguments = [&["--route", "items", "--direction", "request"], key].concat();
        shell.run("keyed.yaml", &arguments, b"{\"a\":\"ada@example.com\"}")
    };
    let output = mask(&["--key", "pseudonyms=pseudonyms.key"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "{\"a\":\"k1_76SNTW2JMSMKN2FP\"}",
        "{}",
        stderr(&output)
    );
    let output = mask(&[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"a\":\"[PII.EMAIL]\"}");
    for (key, wanted) in [
        ("pseudonyms=short.key", 2),
        ("pseudonyms", 2),
        ("other=pseudonyms.key", 2),
        ("pseudonyms=none.key", 3),
    ] {
        let output = mask(&["--key", key]);
        assert_eq!((code(&output), output.stdout.len()), (wanted, 0), "{key}: {}", stderr(&output));
        assert!(!stderr(&output).contains("QUFB"));
    }
}

#[test]
fn pseudonyms_show_in_requests_and_stay_in_responses() {
    let shell = Shell::new();
    let tags = "  tags: {pii.email: {severity: high, replace: {pseudonym: EMAIL}}}\n  identity:\n";
    shell.file("pseudonyms.yaml", POLICY.replacen("  identity:\n", tags, 1));
    let mask = |direction: &str, body: &str| {
        let output =
            shell.run("pseudonyms.yaml", &["--route", "items", "--direction", direction], body.as_bytes());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(mask("request", "[\"a@example.com\",\"<EMAIL_1>\"]"), "[\"<EMAIL_1>\",\"<EMAIL_2>\"]");
    assert_eq!(mask("response", "[\"a@example.com\",\"<EMAIL_1>\"]"), "[\"[PII.EMAIL]\",\"<EMAIL_1>\"]");
}

#[test]
fn groups_narrow_the_masks() {
    let shell = Shell::new();
    let body = format!("[\"{EMAIL}\", \"{KEY}\"]");
    let masked = |groups: &[&str]| {
        let output =
            shell.mask(&[&["--route", "items", "--direction", "request"], groups].concat(), body.as_bytes());
        let said = if groups.is_empty() { format!("note: {MIXED}\n") } else { String::new() };
        assert_eq!((code(&output), stderr(&output)), (0, said.as_str()), "{groups:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let both = "[\"[EMAIL]\", \"[SECRET]\"]";
    assert_eq!(masked(&[]), both);
    assert_eq!(masked(&["--as", "staff"]), both);
    assert_eq!(masked(&["--as", "agents"]), format!("[\"{EMAIL}\", \"[SECRET]\"]"));
    assert_eq!(masked(&["--as", "agents", "staff"]), both);
}

#[test]
fn a_body_that_no_mask_looks_at_passes_and_is_said_to() {
    let shell = Shell::new();
    let arguments = ["--route", "items", "--direction", "response", "--as", "agents"];
    // Not JSON, and nobody minds.
    let body = format!("{{{EMAIL}");
    let output = shell.mask(&arguments, body.as_bytes());
    assert_eq!((code(&output), output.stdout.as_slice()), (0, body.as_bytes()));
    let note = "no mask looks at the response body of route `items`: it passes as it is";
    assert_eq!(stderr(&output), format!("note: {note}\n"));
    let output = shell.mask(&[&arguments[..], &["--report"]].concat(), body.as_bytes());
    let report = report(&output);
    assert_eq!((&report["covered"], &report["notes"]), (&json!(false), &json!([note])));
    assert_eq!(output.stdout, body.as_bytes());
}

#[test]
fn names_that_do_not_exist_are_wrong_usage_and_denials_are_not() {
    let shell = Shell::new();
    for (arguments, expected, said) in [
        (
            &["--route", "itmes", "--direction", "request"][..],
            2,
            "error: route `itmes` does not exist; did you mean `items`?\n",
        ),
        (
            &["--route", "x", "--direction", "request"],
            2,
            "error: route `x` does not exist; known: chat, closed, invoke, items, traces\n",
        ),
        (
            &["--route", "items", "--direction", "request", "--as", "staff", "agent"],
            2,
            "error: group `agent` does not exist; did you mean `agents`?\n",
        ),
        (
            &["--route", "closed", "--direction", "request"],
            1,
            "error: no rule allows anybody on route `closed`: the filter denies every request\n",
        ),
        (
            &["--route", "chat", "--direction", "request", "--as", "agents"],
            1,
            "error: no rule allows agents on route `chat`: the filter denies every request\n",
        ),
        (
            &["--route", "items", "--direction", "request", "--as", "staff", "contractors"],
            1,
            "error: rule `contractors-out` denies contractors, staff on route `items`\n",
        ),
    ] {
        let output = shell.mask(arguments, b"{}");
        assert_eq!((code(&output), stderr(&output)), (expected, said), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let wrong = shell.mask(&["--route", "items", "--direction", "request", "--chunks", "0"], b"{}");
    assert_eq!((code(&wrong), wrong.stdout.as_slice()), (2, &b""[..]));
}

#[test]
fn a_refused_body_ends_with_one_and_its_reason() {
    let shell = Shell::new();
    let complete = gzip(b"{}");
    let damaged = &complete[..complete.len() - 1];
    let long = vec![b'['; 300];
    let utf16 = b"\xFF\xFEa\0b\0".as_slice();
    for (more, body, reason, status) in [
        (&[][..], b"{\"a\": nonsense".as_slice(), "invalid-json", 400),
        (&[], b"{\"a\": 1", "truncated", 400),
        (&[], &long, "json-too-deep", 413),
        (&["--content-type", "image/png"], b"x", "content-type", 415),
        (&["--content-type", "application/json; charset=utf-16"], b"x", "content-type", 415),
        (&["--content-type", "application/x-protobuf"], b"x", "content-type", 415),
        (&["--content-type", "text/plain"], utf16, "charset", 415),
        (&["--content-encoding", "br"], b"x", "content-encoding", 415),
        (&["--content-encoding", "gzip, gzip"], b"x", "content-encoding", 415),
        (&["--content-encoding", "gzip"], b"{}", "content-coding", 400),
        (&["--content-encoding", "gzip"], damaged, "truncated", 400),
    ] {
        let bytewise =
            ["--route", "items", "--direction", "request", "--as", "staff", "--report", "--chunks", "1"];
        let output = shell.mask(&[&bytewise[..], more].concat(), body);
        let report = report(&output);
        assert_eq!((code(&output), &report["outcome"]), (1, &json!("refused")));
        assert_eq!(report["refusal"]["reason"], json!(reason), "{more:?}");
        assert_eq!(report["refusal"]["status"], json!(status), "{more:?}");
        let base = ["--route", "items", "--direction", "request", "--as", "staff"];
        let output = shell.mask(&[&base[..], more].concat(), body);
        let said = stderr(&output);
        assert_eq!(code(&output), 1, "{more:?}");
        assert!(said.starts_with("refused: ") && said.contains(&format!("({reason})\n")), "{said}");
    }
}

/// What was decided before a refusal is what the filter would have sent; the rest never leaves.
#[test]
fn what_comes_out_before_a_refusal_does_not_depend_on_the_pieces() {
    let shell = Shell::new();
    let good =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello, \"},\"finish_reason\":null}]}\n\n";
    let body = format!("{good}data: {{\"mail\": \"{EMAIL}\" oh}}\n\n{good}");
    let told = "data: {\"error\":{\"message\":\"response refused by policy\",\"type\":\"refused\",\"param\":null,\"code\":\"veilwire_refused\"}}\n\n";
    for chunks in ["whole", "1", "11", "random:3"] {
        let arguments = ["--route", "chat", "--direction", "response", "--report", "--chunks", chunks];
        let output = shell.mask(&arguments, body.as_bytes());
        assert_eq!(code(&output), 1, "{chunks}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{good}{told}"), "{chunks}");
        let report = report(&output);
        assert_eq!(report["contentType"], json!({"value": "text/event-stream", "from": "sniffed"}));
        assert_eq!(report["refusal"]["errorEvent"], json!(true));
        assert!(!leaks(&output.stderr), "{chunks}: a value is in the report");
        let said =
            shell.mask(&["--route", "chat", "--direction", "response", "--chunks", chunks], body.as_bytes());
        assert_eq!(
            stderr(&said),
            "refused: invalid JSON (invalid-json)\nhelp: it was taken for text/event-stream; --content-type says what it is\n"
        );
    }
}

#[test]
fn an_empty_body_is_never_refused() {
    let shell = Shell::new();
    for more in [&[][..], &["--content-type", "image/png"], &["--content-encoding", "gzip"]] {
        let base = ["--route", "items", "--direction", "request", "--as", "staff"];
        let output = shell.mask(&[&base[..], more].concat(), b"");
        assert_eq!((code(&output), output.stdout.len(), stderr(&output)), (0, 0, ""), "{more:?}");
    }
}

#[test]
fn a_policy_and_its_artifact_give_the_same() {
    let shell = Shell::new();
    let body = format!("{{\"mail\": \"{EMAIL}\"}}");
    let arguments = ["--route", "items", "--direction", "request", "--report"];
    let from_policy = shell.run("policy.yaml", &arguments, body.as_bytes());
    let from_artifact = shell.mask(&arguments, body.as_bytes());
    assert_eq!(from_policy.stdout, b"{\"mail\": \"[EMAIL]\"}");
    assert_eq!((&from_policy.stdout, report(&from_policy)), (&from_artifact.stdout, report(&from_artifact)));
}

#[test]
fn a_policy_that_cannot_be_loaded_leaves_stdout_alone() {
    let shell = Shell::new();
    shell.file("wrong.yaml", POLICY.replace("mask: [asked]", "mask: [aksed]"));
    let mut artifact = std::fs::read(shell.0.path().join(ARTIFACT)).unwrap();
    let last = artifact.len() - 1;
    artifact[last] ^= 1;
    shell.file("damaged.artifact", &artifact);
    for (policy, expected, said) in [
        ("wrong.yaml", 1, "error[E0304]"),
        ("damaged.artifact", 1, "error: damaged.artifact: artifact: "),
        ("nowhere.yaml", 3, "error: nowhere.yaml: "),
    ] {
        let output = shell.run(policy, &["--route", "items", "--direction", "request"], b"{}");
        assert_eq!((code(&output), output.stdout.len()), (expected, 0), "{policy}");
        assert!(stderr(&output).starts_with(said), "{policy}: {}", stderr(&output));
    }
}

#[test]
fn events_leave_before_the_next_ones_are_read() {
    let shell = Shell::new();
    let mut child = shell.start(ARTIFACT, &["--route", "chat", "--direction", "response"]);
    let mut stdin = child.stdin.take().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        BufReader::new(stdout).lines().for_each(|line| drop(sender.send(line.unwrap())));
    });
    for count in 0..20 {
        let word = "x".repeat(count);
        let event = format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"Part {word}. \"}},\"finish_reason\":null}}]}}"
        );
        stdin.write_all(format!("{event}\n\n").as_bytes()).unwrap();
        stdin.flush().unwrap();
        let arrived = [(); 2].map(|()| lines.recv_timeout(Duration::from_secs(60)).unwrap_or_default());
        assert_eq!(arrived, [event, String::new()], "event {count} does not leave before the next one comes");
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    reader.join().unwrap();
}

#[test]
fn memory_does_not_grow_with_the_body() {
    let shell = Shell::new();
    const ITEMS: u64 = 60_000;
    let mut child = shell.start(ARTIFACT, &["--route", "items", "--direction", "response", "--report"]);
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let mut written = 0;
        let mut send = |text: &str| {
            stdin.write_all(text.as_bytes()).unwrap();
            written += text.len() as u64;
        };
        send("[");
        for block in 0..ITEMS / 100 {
            let item = |at: u64| {
                format!("{{\"id\":{},\"note\":\"write to {EMAIL} about it\"}},\n", block * 100 + at)
            };
            send(&(0..100).map(item).collect::<String>());
        }
        send("0]");
        written
    });
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut buffer, mut total) = (vec![0; 1 << 16], 0);
        loop {
            match stdout.read(&mut buffer).unwrap() {
                0 => return total,
                read => {
                    assert!(!leaks_at(&buffer[..read]), "a value leaves");
                    total += read as u64;
                }
            }
        }
    });
    let output = child.wait_with_output().unwrap();
    let (written, total) = (writer.join().unwrap(), reader.join().unwrap());
    let report = report(&output);
    assert_eq!((&report["bytesIn"], &report["bytesOut"]), (&json!(written), &json!(total)));
    assert_eq!(report["findings"][0]["count"], json!(ITEMS));
    let held = report["mostHeld"].as_u64().unwrap();
    assert!(written > 3 << 20 && held < 16 << 10, "{held} bytes held of {written}");
}

/// Quick: an address has an `@`, and nothing else here does.
fn leaks_at(bytes: &[u8]) -> bool {
    bytes.contains(&b'@')
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let shell = Shell::new();
    let mut child = shell.start(ARTIFACT, &["--route", "items", "--direction", "response", "--as", "agents"]);
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // Whether all of it is taken depends on when the other side notices.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&vec![b'x'; 1 << 20])));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(code(&output), 0);
    assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
}
