//! Replacements in real Envoy: pseudonyms, partial values, dropped members, and tokens with a key of Envoy's environment, of a
//! file, or discovered.

use std::path::Path;
use tempfile::TempDir;
use veilwire_tests::deadline::{LIMIT, poll};
use veilwire_tests::envoy::{Options, SECRETS, publish_secret, validate};
use veilwire_tests::site::{Kit, POLICY, PSEUDONYM_KEY, Site};
use veilwire_tests::upstream::Upstream;
use veilwire_tests::wire::{Headers, ResponseHead, headers};

const EMAIL: &str = "ada.lovelace@example.com";

fn site() -> Site {
    let tags = "  tags:
    pii.email: {severity: high, replace: {pseudonym: EMAIL}}
    pci.pan: {severity: critical, replace: {partial: {keepLast: 4}}}
    pii.gov-id: {severity: high, replace: {drop: {}}}
";
    Site::with_policy("corpus.yaml", &with_tags(tags)).unwrap()
}

/// The policy of the corpus with more tags.
fn with_tags(tags: &str) -> String {
    assert!(POLICY.contains("\n  tags:\n"));
    POLICY.replacen("  tags:\n", tags, 1)
}

/// Sends a chat request, byte by byte; gives what the upstream got, and what the client has of its answer.
fn exchange(site: &Site, body: &str, answer: (&str, &[&str])) -> (String, String) {
    let mut client = site.http1().unwrap();
    let mut head = site.post("chat", "application/json").unwrap();
    head.headers.extend(headers(&[("transfer-encoding", "chunked")]));
    client.send_head(&head).unwrap();
    for byte in body.as_bytes().chunks(1) {
        client.send_chunk(byte).unwrap();
    }
    client.finish_chunks(&Headers::new()).unwrap();
    let mut upstream = site.upstream.accept().unwrap();
    let seen = upstream.body().unwrap_or_else(|error| panic!("{error:#}\n{}", site.envoy.log_tail()));
    let seen = String::from_utf8(seen).unwrap();
    let pieces: Vec<&[u8]> = answer.1.iter().map(|piece| piece.as_bytes()).collect();
    upstream.reply(ResponseHead::new(200, &[("content-type", answer.0)]), &pieces).unwrap();
    let response = client.response().unwrap_or_else(|error| panic!("{error:#}\n{}", site.envoy.log_tail()));
    assert_eq!(response.head.status, 200, "{}", site.envoy.log_tail());
    (seen, response.text())
}

fn ask(text: &str) -> String {
    format!(
        "{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}],\"tax_number\":12, \"n\":1}}"
    )
}

fn event(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

/// The text that all deltas of a stream bring.
fn joined(stream: &str) -> String {
    let events =
        stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let content = |data: &str| {
        let event: serde_json::Value = serde_json::from_str(data).unwrap();
        event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
    };
    events.map(content).collect()
}

#[test]
fn the_upstream_sees_tokens_and_the_client_has_its_values_back() {
    let site = site();
    let body = ask(&format!("mail {EMAIL} and bob@example.com, card 4111 1111 1111 1111, not <EMAIL_1>."));
    let (seen, answer) = exchange(
        &site,
        &body,
        (
            "application/json",
            &[
                "{\"choices\":[{\"message\":{\"content\":\"<EMA",
                "IL_1>, <email_2>, <EMAIL_3>, eve@example.com\"}}]}",
            ],
        ),
    );
    assert_eq!(
        seen,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"mail <EMAIL_1> and <EMAIL_2>, card ***************1111, not <EMAIL_3>.\"}], \"n\":1}"
    );
    let content = format!("{EMAIL}, bob@example.com, <EMAIL_1>, [PII.EMAIL]");
    assert_eq!(answer, format!("{{\"choices\":[{{\"message\":{{\"content\":\"{content}\"}}}}]}}"));
}

#[test]
fn a_stream_gives_values_back_however_it_cuts_their_tokens() {
    let site = site();
    let end =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let text = "Dear <EMAIL_1>, ask <EMAIL_2> or &lt;email_1&gt;.";
    for size in [1, 3, 7, 100] {
        let pieces = text.as_bytes().chunks(size).map(|piece| event(std::str::from_utf8(piece).unwrap()));
        let mut events: Vec<String> = pieces.collect();
        events.push(end.to_owned());
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let (seen, answer) = exchange(&site, &ask(&format!("I am {EMAIL}")), ("text/event-stream", &events));
        assert!(seen.contains("I am <EMAIL_1>") && !seen.contains("lovelace"), "{seen}");
        assert_eq!(joined(&answer), format!("Dear {EMAIL}, ask <EMAIL_2> or {EMAIL}."), "pieces of {size}");
        assert!(answer.ends_with("data: [DONE]\n\n"));
    }
}

const VARIABLE: &str = PSEUDONYM_KEY.0;
const KEY: &str = PSEUDONYM_KEY.1;

/// A policy in which addresses are tokens.
fn keyed() -> String {
    let tags = "  tags:
    pii.email: {severity: high, replace: {tokenize: {key: pseudonyms, prefix: c_, canonical: lowercase}}}
";
    with_tags(tags)
}

/// The address has its token in both directions.
fn assert_tokens(site: &Site) {
    let (seen, answer) = exchange(
        site,
        &ask("mail Ada@Example.com"),
        ("application/json", &["{\"choices\":[{\"message\":{\"content\":\"ada@example.com\"}}]}"]),
    );
    assert!(seen.contains("mail c_k1_76SNTW2JMSMKN2FP\""), "{seen}");
    assert_eq!(answer, "{\"choices\":[{\"message\":{\"content\":\"c_k1_76SNTW2JMSMKN2FP\"}}]}");
}

#[test]
fn tokens_are_made_with_a_key_of_the_environment() {
    let site = Site::with_policy("corpus.yaml", &keyed()).unwrap();
    assert_tokens(&site);
    let log = site.envoy.log_tail();
    assert!(!log.contains(KEY) && !site.kit.compiled.envoy_yaml.contains(KEY), "the key is told");
}

#[test]
fn without_its_key_envoy_does_not_start() {
    let mut upstream = None;
    let kit =
        Kit::with_policy("corpus.yaml", &keyed(), |pki| Ok(upstream.insert(Upstream::start(pki)?).port()));
    let kit = kit.unwrap();
    // A trial run loads the filter as a start does, and ends.
    let options = Options { working_folder: Some(kit.folder().to_owned()), ..Options::default() };
    let output = validate(&kit.config, &options).unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("key 0 is not there"), "{told}");
}

/// The same policy, with its key in this file.
fn filed(file: &Path) -> String {
    keyed().replacen(&format!("environment: {VARIABLE}"), &format!("file: {}", file.display()), 1)
}

#[test]
fn tokens_are_made_with_a_key_of_a_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pseudonym.key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let site = Site::with_policy("corpus.yaml", &filed(&file)).unwrap();
    for _ in 0..2 {
        assert_tokens(&site);
    }
    let log = site.envoy.log_tail();
    assert!(!log.contains(KEY) && !site.kit.compiled.envoy_yaml.contains(KEY), "the key is told");
    let dump = site.envoy.admin("GET", "/config_dump").unwrap();
    assert!(dump.contains("veilwire.key.pseudonyms") && !dump.contains(KEY), "the key is told");
    assert!(!site.access_log.text().unwrap().contains(KEY), "the key is told");
}

#[test]
fn without_a_usable_key_in_its_file_no_exchange_passes() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pseudonym.key");
    // 31 bytes: one too few.
    std::fs::write(&file, "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQQ==").unwrap();
    let site = Site::with_policy("corpus.yaml", &filed(&file)).unwrap();
    for _ in 0..2 {
        let head = site.post("chat", "application/json").unwrap();
        let sent = site.http1().unwrap().request(&head, ask("mail Ada@Example.com").as_bytes());
        let response = sent.unwrap_or_else(|error| panic!("{error:#}\n{}", site.envoy.log_tail()));
        assert_eq!(response.head.status, 503, "{}", site.envoy.log_tail());
    }
    assert!(site.envoy.log_tail().contains("a key of the policy is missing"), "{}", site.envoy.log_tail());
    assert!(site.upstream.arrived().is_none(), "the upstream was asked");
}

/// A discovery response with this key as the secret of this name, moved to where Envoy looks for it.
/// The same policy, with its key discovered in this folder.
fn discovered(folder: &Path) -> String {
    let sds = format!("sds: {{name: pseudonym-key, file: {}}}", folder.join(SECRETS).display());
    keyed().replacen(&format!("environment: {VARIABLE}"), &sds, 1)
}

#[test]
fn a_discovered_key_counts_from_the_exchange_after_its_arrival_on() {
    let folder = TempDir::new().unwrap();
    publish_secret(folder.path(), "pseudonym-key", KEY).unwrap();
    let site = Site::with_policy("corpus.yaml", &discovered(folder.path())).unwrap();
    assert_tokens(&site);
    // 32 times `B`.
    let next = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
    publish_secret(folder.path(), "pseudonym-key", next).unwrap();
    let answer = ("application/json", &["{}"][..]);
    let changed = poll(LIMIT, || {
        let (seen, _) = exchange(&site, &ask("mail Ada@Example.com"), answer);
        let is_old = seen.contains("mail c_k1_76SNTW2JMSMKN2FP\"");
        let is_new = seen.contains("mail c_k1_Y7UHRWDQTGIHKCKP\"");
        assert!(is_old || is_new, "{seen}");
        Ok(is_new.then_some(()))
    });
    assert!(changed.unwrap().is_some(), "{}", site.envoy.log_tail());
    assert_eq!(status(&site), 415);
    // One that is no key stops exchanges; the last good one is not used on.
    publish_secret(folder.path(), "pseudonym-key", "short").unwrap();
    let refused = poll(LIMIT, || Ok((status(&site) == 503).then_some(())));
    assert!(refused.unwrap().is_some(), "{}", site.envoy.log_tail());
    let dump = site.envoy.admin("GET", "/config_dump").unwrap();
    for told in [site.envoy.log_tail(), dump, site.access_log.text().unwrap()] {
        assert!(!told.contains(KEY) && !told.contains(next), "the key is told");
    }
}

#[test]
fn without_the_secret_of_that_name_no_exchange_passes() {
    let folder = TempDir::new().unwrap();
    publish_secret(folder.path(), "another", KEY).unwrap();
    let site = Site::with_policy("corpus.yaml", &discovered(folder.path())).unwrap();
    assert_eq!(status(&site), 503, "{}", site.envoy.log_tail());
}

/// What a body of an unknown kind is answered with, which never reaches the upstream: 415 where there is a key.
fn status(site: &Site) -> u16 {
    let head = site.post("chat", "image/gif").unwrap();
    let response = site.http1().unwrap().request(&head, b"GIF89a");
    response.unwrap_or_else(|error| panic!("{error:#}\n{}", site.envoy.log_tail())).head.status
}
