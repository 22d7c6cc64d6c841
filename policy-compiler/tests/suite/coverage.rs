//! `veilwire coverage`: the page of the reference is what the command prints, the list of header differences is what the engine does, and
//! a policy's unmasked answers are said aloud.

use crate::support::{CERTIFICATE, JWKS, deployment, files, source};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};
use std::sync::Arc;
use veilwire_engine::exchange::{Exchange, RequestHead, ResponseHead, Source as Origin, Step};
use veilwire_engine::host::{HeadEdit, HeadEdits};
use veilwire_engine::identity::{SignatureVerifier, VerifierError, VerifyingKey};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::model::{Algorithm, Replacement};
use veilwire_engine::time::Timestamp;
use veilwire_engine::transport::TransportFacts;
use veilwire_policy_compiler::coverage::head::{DIFFERENCES, Head, Maker, When};
use veilwire_policy_compiler::coverage::{Coverage, PolicyCoverage, markdown, policy_human, policy_markdown};
use veilwire_policy_compiler::{Source, compile_policy};

/// The page is generated: `BLESS=1` writes it.
#[test]
fn the_page_of_the_reference_is_up_to_date() {
    let path = format!("{}/../docs/reference/coverage.md", env!("CARGO_MANIFEST_DIR"));
    let page = markdown(&Coverage::of_packs().unwrap());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let changed = page.lines().zip(written.lines()).position(|(one, other)| one != other);
    assert!(
        page == written,
        "docs/reference/coverage.md is out of date from line {}: run this test with BLESS=1, or `veilwire coverage --format markdown`",
        changed.unwrap_or_else(|| page.lines().count().min(written.lines().count())) + 1
    );
}

#[test]
fn the_answers_are_those_of_the_engine() {
    let coverage = Coverage::of_packs().unwrap();
    let content = |name: &str| coverage.contents.iter().find(|content| content.name == name).unwrap();
    assert!(content("json").formats.contains(&"text") && content("json").never_touched.is_empty());
    let chat = content("openai.chat");
    assert_eq!(chat.pack, Some("openai@1"));
    // Text would pass with every value that is cut over two deltas.
    assert!(chat.formats.contains(&"sse") && !chat.formats.contains(&"text"));
    assert!(chat.joined.iter().any(|joined| joined.name == "arguments" && joined.json));
    assert!(chat.nulled.contains(&"$.choices[*].logprobs".to_owned()));
    let traces = content("otel.traces");
    assert!(traces.formats.contains(&"grpc"));
    let span = traces.messages.iter().find(|message| message.name == "Span").unwrap();
    assert!(
        span.inspected.contains(&"name".to_owned()) && span.never_touched.contains(&"traceId".to_owned())
    );
    let row = |name: &str| coverage.content_types.iter().find(|row| row.content_type == name).unwrap();
    assert_eq!(row("application/grpc").contents, ["otel.logs", "otel.metrics", "otel.traces"]);
    assert!(row("image/png").refused.is_some() && row("").refused.as_deref() == Some("no content type"));
    let accepted =
        |name: &str| coverage.encodings.iter().find(|answer| answer.name == name).unwrap().accepted;
    assert!(accepted("gzip") && !accepted("br"));
}

/// A policy with a masked and an unmasked route, for two kinds of callers.
const ROUTES: &[(&str, &str)] = &[
    ("groups: {staff: {idp: staff}}", "groups: {staff: {idp: staff}, guests: {idp: guests}}"),
    (
        "  routes:\n",
        "  routes:\n    shut: {match: {host: api.local, path: /shut}, upstream: api, content: json}\n    raw: {match: {host: api.local, path: /raw}, upstream: api, content: json}\n",
    ),
    (
        "in: [requestBody, responseBody]}}",
        "in: [requestBody, responseBody, query]}, fields: [{tag: pii.contact, at: [json.$.owner, header.cookie]}]}\n    asked: {scan: {detectors: [pii-us.email], in: [requestBody]}}",
    ),
    (
        "    staff-read:",
        "    guests-read: {who: {groups: [guests]}, may: [items], mask: [asked]}\n    staff-raw: {who: {groups: [staff]}, may: [raw]}\n    staff-read:",
    ),
];

fn policy() -> Source {
    let mut text = source("tests/ui/clean.yaml").text;
    for (old, new) in ROUTES {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    Source::new("policy.yaml", text)
}

fn veilwire(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("policy.yaml", &policy().text);
    write("jwks.json", JWKS);
    write("server.pem", CERTIFICATE);
    write("ca.pem", CERTIFICATE);
    write("server.key", "not to be read");
    let mut command = Command::new(env!("CARGO_BIN_EXE_veilwire"));
    let output = command.arg("coverage").args(arguments).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    output
}

#[test]
fn a_policy_is_told_route_by_route_and_unmasked_answers_aloud() {
    let text = String::from_utf8(veilwire(&["policy.yaml"]).stdout).unwrap();
    let expected = "\
items  GET api.local/items -> api  (json)
  guests  (guests-read): asked
    path          not looked at
    query         not looked at
    headers       not looked at
    requestBody   pii-us.email -> [EMAIL]; as json, lines, sse, text, form, multipart, eventstream
    responseBody  NOT MASKED: passes as it is, whatever it is
  staff  (staff-read): baseline
    path          not looked at
    query         DETECTORS
    headers       fields cookie -> [CONTACT]
    requestBody   DETECTORS; fields $.owner -> [CONTACT]; as json, lines, sse, text, form, multipart, eventstream
    responseBody  DETECTORS; fields $.owner -> [CONTACT]; as json, lines, sse, text, form, multipart, eventstream
shut  * api.local/shut -> api  (json)
  nobody may use it
raw  * api.local/raw -> api  (json)
  staff  (staff-raw): no mask
    path          not looked at
    query         not looked at
    headers       not looked at
    requestBody   NOT MASKED: passes as it is, whatever it is
    responseBody  NOT MASKED: passes as it is, whatever it is
UNMASKED: answers on route items reach guests as the upstream sends them
UNMASKED: answers on route raw reach staff as the upstream sends them
";
    // The pack may bring more detectors.
    let model = compile_policy(&policy(), &files(), &deployment()).unwrap().model;
    let mut detectors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for detector in &model.detectors {
        let Replacement::Placeholder(text) = &model.tags[detector.tag.index()].replacement else {
            panic!("packs have fixed texts");
        };
        detectors.entry(text).or_default().push(&detector.name);
    }
    let detectors: Vec<String> =
        detectors.iter().map(|(text, names)| format!("{} -> {text}", names.join(", "))).collect();
    let expected = expected.replace("DETECTORS", &detectors.join("; "));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(lines(&text), lines(&expected));
    assert!(text.find("shut  *").unwrap() > text.find("items  GET").unwrap());

    let page = String::from_utf8(veilwire(&["policy.yaml", "--format", "markdown"]).stdout).unwrap();
    assert!(
        page.contains("**Answers that pass unmasked:**\n\n- `items`, to `guests`\n- `raw`, to `staff`\n"),
        "{page}"
    );
    assert!(page.contains("| responseBody | **NOT MASKED**: passes as it is, whatever it is | | |\n"));

    let document: Value =
        serde_json::from_slice(&veilwire(&["policy.yaml", "--format", "json"]).stdout).unwrap();
    let items = &document["policy"]["routes"][0];
    assert_eq!(items["callers"][0]["groups"], json!(["guests"]));
    let answer = &items["callers"][0]["places"][4];
    assert_eq!((&answer["place"], &answer["covered"]), (&json!("responseBody"), &json!(false)));
    assert!(document["contents"].as_array().unwrap().len() > 10);
}

/// What the policy lets by is said as loudly.
#[test]
fn what_passes_without_a_look_is_told() {
    let mut text = policy().text.replace("packs: [pii-us@1]", "packs: [anthropic@1, otel-genai@1, pii-us@1]");
    for (old, new) in [
        (
            "path: /shut}, upstream: api, content: json}",
            "path: /shut}, upstream: api, content: anthropic.messages, thinking: leave}",
        ),
        ("path: /raw}, upstream: api, content: json}", "path: /raw}, upstream: api, content: otel.traces}"),
        ("may: [raw]}", "may: [raw, shut], mask: [baseline]}"),
        (
            "json.$.owner, header.cookie",
            "json.$.owner, \"form.user[mail]\", otel.attribute.user.email, header.cookie",
        ),
    ] {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text.push_str("  limits: {unknownContent: {pass: [image/*]}}\n");
    let compiled = compile_policy(&Source::new("policy.yaml", text), &files(), &deployment()).unwrap();
    let coverage = PolicyCoverage::new(&Policy::load(&compiled.artifact).unwrap()).unwrap();
    let route = |name: &str| coverage.routes.iter().find(|route| route.name == name).unwrap();
    let body = |name: &str| {
        let caller = route(name).callers.iter().find(|caller| caller.covers("responseBody")).unwrap();
        caller.places.iter().find(|place| place.place == "responseBody").unwrap()
    };
    assert_eq!(body("items").passing, ["image/*"]);
    // Where a content has channels, a stream could call itself an image.
    assert!(body("shut").passing.is_empty());
    assert_eq!(route("shut").signed_reasoning, Some("NOT LOOKED AT: passes as it is"));
    assert_eq!(route("items").signed_reasoning, None);
    let fields: Vec<&str> = body("raw").fields.iter().map(|field| field.what.as_str()).collect();
    assert_eq!(fields, ["$.owner", "form.user.mail", "otel.attribute.user.email"]);
    let told = policy_human(&coverage);
    assert!(told.contains("  signed reasoning: NOT LOOKED AT: passes as it is\n"), "{told}");
    assert!(told.contains("; NOT LOOKED AT: image/*\n"), "{told}");
    assert!(policy_markdown(&coverage).contains("; **not looked at**: `image/*` |"));
}

#[test]
fn without_a_policy_every_content_is_told_in_every_form() {
    let text = String::from_utf8(veilwire(&[]).stdout).unwrap();
    let document: Value = serde_json::from_slice(&veilwire(&["--format", "json"]).stdout).unwrap();
    let page = String::from_utf8(veilwire(&["--format", "markdown"]).stdout).unwrap();
    for content in document["contents"].as_array().unwrap() {
        let name = content["name"].as_str().unwrap();
        assert!(text.contains(&format!("{name}  ")) && page.contains(&format!("### `{name}`")), "{name}");
    }
    assert!(document.get("policy").is_none());
}

struct Trusting;

impl SignatureVerifier for Trusting {
    fn verify(&self, _: Algorithm, _: &VerifyingKey, _: &[u8], _: &[u8]) -> Result<bool, VerifierError> {
        Ok(true)
    }
}

const NOW: u64 = 1_800_000_000;

fn token() -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "ES256", "kid": "ec"}));
    let claims = json!({
        "iss": "https://id.example.com", "aud": "api", "sub": "ada", "groups": ["staff"], "iat": NOW, "exp": NOW + 60,
    });
    format!("{header}.{}.{}", part(claims), URL_SAFE_NO_PAD.encode([7; 64]))
}

/// Which names the engine edits in the heads of an exchange that carries every header that is listed, and some more.
fn edited(masks: &str, told: bool, grpc: bool) -> [BTreeSet<String>; 2] {
    let clean = source("tests/ui/clean.yaml").text;
    let mut text = clean.replace("in: [requestBody, responseBody]", &format!("in: [{masks}]"));
    if masks.is_empty() {
        text = clean.replace(", mask: [baseline]", "");
    }
    if told {
        text.push_str("  audit: {headers: {response: true}}\n");
    }
    let compiled = compile_policy(&Source::new("policy.yaml", text), &files(), &deployment()).unwrap();
    let policy = Arc::new(Policy::load(&compiled.artifact).unwrap());
    let facts = TransportFacts { version: Some("TLSv1.3".to_owned()), ..TransportFacts::default() };
    let now = Timestamp::from_unix_seconds(NOW);
    let listed = |head: Head| {
        let listed = DIFFERENCES.iter().filter(move |difference| difference.head == head);
        let names = listed.flat_map(|difference| difference.headers);
        // What Veilwire sets does not come in; a forged one does.
        names
            .filter(|name| !name.starts_with("x-veilwire-") || name.ends_with('*'))
            .map(|name| name.replace('*', "forged"))
    };
    let value = |name: &str| match name {
        ":authority" => "api.local".to_owned(),
        ":path" => "/items".to_owned(),
        "authorization" => format!("Bearer {}", token()),
        "content-encoding" => "gzip".to_owned(),
        _ => "1".to_owned(),
    };
    let others = [
        "accept",
        "user-agent",
        "cookie",
        "cache-control",
        "vary",
        "last-modified",
        "x-other",
        "accept-language",
    ];
    let heads = |head: Head, first: (&str, &str)| -> Vec<(Vec<u8>, Vec<u8>)> {
        let names: BTreeSet<String> = listed(head).chain(others.map(str::to_owned)).collect();
        let listed = names.iter().map(|name| (name.clone().into_bytes(), value(name).into_bytes()));
        let kind = if grpc && head == Head::Request { "application/grpc" } else { "application/json" };
        let first = [first, ("content-type", kind)].map(|(name, value)| (name.into(), value.into()));
        first.into_iter().chain(listed).collect()
    };
    let names = |edits: &HeadEdits| -> BTreeSet<String> {
        let name = |edit: &HeadEdit| match edit {
            HeadEdit::Set(name, _) => (*name).to_owned(),
            HeadEdit::Remove(name) | HeadEdit::Rewrite(name, _) | HeadEdit::Add(name, _) => {
                String::from_utf8(name.clone()).unwrap()
            }
        };
        edits.0.iter().map(name).collect()
    };
    let mut exchange = Exchange::new(policy, facts.clone(), now);
    let (mut request, mut response) = (HeadEdits::default(), HeadEdits::default());
    let headers = heads(Head::Request, (":method", "GET"));
    let step = exchange.request_head(RequestHead { headers: &headers }, false, &mut request, &Trusting, now);
    assert_eq!(step, Step::Continue, "{masks}");
    let headers = heads(Head::Response, (":status", "200"));
    let head = ResponseHead { headers: &headers, source: Origin::Upstream(facts) };
    assert_eq!(exchange.response_head(head, false, &mut response), Step::Continue, "{masks}");
    [names(&request), names(&response)]
}

/// The list is fixed: what the filter changes and what is documented are the same names, no more and no fewer.
#[test]
fn the_header_differences_are_those_that_the_engine_makes() {
    for (masks, told, grpc) in [
        ("", false, false),
        ("", false, true),
        ("", true, false),
        ("requestBody", false, false),
        ("responseBody", true, false),
        ("requestBody, responseBody", true, false),
    ] {
        let listed = |head: Head| -> BTreeSet<String> {
            let on = |when: When| match when {
                When::Always => true,
                When::Told => told,
                When::RequestMasked => masks.contains("requestBody"),
                When::ResponseMasked => masks.contains("responseBody"),
            };
            let all = || DIFFERENCES.iter().filter(|one| one.head == head && on(one.when));
            let by = |maker| all().filter(move |one| one.by == maker).flat_map(|one| one.headers);
            // A family takes what Envoy would remove as well.
            let families: Vec<&str> = by(Maker::Filter).filter_map(|name| name.strip_suffix('*')).collect();
            let in_family = |name: &&&str| families.iter().any(|family| name.starts_with(family));
            let twice = by(Maker::Envoy).filter(in_family);
            by(Maker::Filter).chain(twice).map(|name| name.replace('*', "forged")).collect()
        };
        let [request, response] = edited(masks, told, grpc);
        assert_eq!(request, listed(Head::Request), "request, masks in [{masks}], told {told}");
        assert_eq!(response, listed(Head::Response), "response, masks in [{masks}], told {told}");
    }
}
