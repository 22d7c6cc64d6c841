//! Content that the policy lets pass without a look.

use super::mask_support::{Setup, check_splits, whole};
use super::support::{EMAIL, FakeHost, model, token};
use std::sync::Arc;
use veilwire_engine::decision::Direction::{Request, Response};
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::format::Format;
use veilwire_engine::mask::{Findings, MaskError, MaskPlan, UnseenKind};
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::MaskId;
use veilwire_engine::policy::model::{Limits, Thinking, UnknownContent};

fn passing(names: &[&str]) -> Setup {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let limits = Limits { unknown_content: UnknownContent::Pass(names), ..Limits::default() };
    Setup { limits, ..Setup::default() }
}

/// Where something passed, and how often.
fn unseen(findings: &Findings) -> Vec<(String, u64)> {
    findings.unseen().map(|unseen| (unseen.location.clone(), unseen.count)).collect()
}

#[test]
fn only_named_types_pass() {
    let plan = passing(&["application/pdf", "image/*"]).plan();
    for (value, passes) in [
        ("image/png", true),
        ("Image/PNG; q=1", true),
        ("application/pdf", true),
        ("application/pdfx", false),
        ("imagex/png", false),
        ("application/octet-stream", false),
        ("image/png; charset=utf-16", false),
        ("image/png; charset", false),
        ("", false),
    ] {
        let format = plan.format(value.as_bytes());
        assert_eq!(matches!(format, Some(Format::Opaque(_))), passes, "{value}");
    }
    let all = passing(&["*/*"]).plan();
    assert!(matches!(all.format(b"application/octet-stream"), Some(Format::Opaque(_))));
    // What can be read is read, whatever may pass.
    assert_eq!(all.format(b"application/json"), Some(Format::Json));
    for never in ["multipart/related; boundary=a", "message/rfc822", "text/plain; charset=utf-16", "x"] {
        assert_eq!(all.format(never.as_bytes()), None, "{never}");
    }
    assert_eq!(Setup::default().plan().format(b"image/png"), None);
    // A stream of deltas that calls itself an image must not be a way around.
    let limits = Limits { unknown_content: UnknownContent::Pass(vec!["*/*".into()]), ..Limits::default() };
    let chat = Setup { limits, ..Setup::of("openai.chat") }.plan();
    assert_eq!(chat.format(b"image/png"), None);
}

#[test]
fn what_passes_is_the_same_and_is_counted() {
    let plan = passing(&["image/*"]).plan();
    let format = plan.format(b"image/png").unwrap();
    for body in [
        "\u{89}PNG\r\n\u{1a}\n ada@example.com",
        " \n{ x",
        "{\\rtf1 ada@example.com}",
        "[section]",
        "{",
        "  ",
    ] {
        let (out, ended) = check_splits(&plan, format, body.as_bytes());
        let findings = ended.unwrap();
        assert_eq!(String::from_utf8_lossy(&out), body);
        assert!(findings.is_empty());
        assert_eq!(unseen(&findings), [("body".to_owned(), 1)]);
    }
    let (_, ended) = whole(&plan, format, b"");
    assert_eq!(unseen(&ended.unwrap()), [], "nothing passed");
}

#[test]
fn json_that_calls_itself_something_else_is_refused() {
    let plan = passing(&["image/*"]).plan();
    let format = plan.format(b"image/png").unwrap();
    for body in [
        "{\"a\":\"ada@example.com\"}",
        " \r\n\t{ \n\"a\":1}",
        "\u{feff}{}",
        "[\"ada@example.com\"]",
        "[ {\"a\":1}]",
        "[[1]]",
        "[4111111111111111]",
        "[null,\"ada@example.com\"]",
    ] {
        let (out, ended) = check_splits(&plan, format, body.as_bytes());
        assert_eq!(ended.err(), Some(MaskError::Mislabelled), "{body}");
        assert!(!String::from_utf8_lossy(&out).contains(['1', 'a']), "leak before a refusal");
    }
}

fn form(head: &str, body: &str) -> String {
    format!(
        "--X\r\nContent-Disposition: form-data; name=\"up\"; filename=\"{EMAIL}\"\r\n{head}\r\n{body}\r\n--X--"
    )
}

fn part(plan: &Arc<MaskPlan>, body: &str) -> (String, Result<Findings, MaskError>) {
    let format = plan.format(b"multipart/form-data; boundary=X").unwrap();
    let (out, ended) = check_splits(plan, format, body.as_bytes());
    (String::from_utf8_lossy(&out).into_owned(), ended)
}

#[test]
fn named_parts_pass_and_their_heads_are_still_masked() {
    let plan = passing(&["image/*", "text/*"]).plan();
    for (head, body) in [
        ("Content-Type: image/png\r\n", "\u{89}PNG 4111111111111111\r\n--Y"),
        ("Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n", "YWRhQGV4YW1wbGUuY29t"),
        ("Content-Transfer-Encoding: quoted-printable\r\n", "ada=40example.com"),
        ("Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", "\u{1f}\u{8b}"),
    ] {
        let (out, ended) = part(&plan, &form(head, body));
        let findings = ended.unwrap();
        assert_eq!(out, form(head, body).replace(EMAIL, "[EMAIL]"), "{head}");
        assert_eq!(unseen(&findings), [("part.*".to_owned(), 1)]);
    }
    // Text that can be read is read.
    let (out, ended) = part(&plan, &form("Content-Type: text/csv\r\n", EMAIL));
    assert!(!out.contains("lovelace") && unseen(&ended.unwrap()).is_empty());
}

#[test]
fn parts_that_nobody_named_that_hold_parts_or_that_lie_are_refused() {
    let named = passing(&["image/*"]).plan();
    let all = passing(&["*/*"]).plan();
    for (plan, head, error) in [
        (&named, "Content-Type: application/zip\r\n", MaskError::Part),
        (&named, "Content-Transfer-Encoding: base64\r\n", MaskError::Part),
        (&all, "Content-Type: multipart/mixed; boundary=b\r\n", MaskError::Part),
        (&all, "Content-Type: multipart/related; boundary=b\r\n", MaskError::Part),
        (
            &all,
            "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n",
            MaskError::Part,
        ),
        (&all, "Content-Type: message/rfc822\r\n", MaskError::Part),
        (&all, "Content-Type: x\r\n", MaskError::Multipart),
        (&all, "Content-Type: image/png\r\n", MaskError::Mislabelled),
    ] {
        let (out, ended) = part(plan, &form(head, "{\"a\":\"ada@example.com\"}"));
        assert_eq!(ended.err(), Some(error), "{head}");
        assert!(!out.contains("example.com"), "leak before a refusal");
    }
}

fn policy(thinking: Thinking) -> Arc<Policy> {
    let mut model = model();
    model.rules[1].masks = vec![MaskId(0)];
    model.routes[0].thinking = thinking;
    model.limits.unknown_content = UnknownContent::Pass(vec!["application/pdf".into(), "image/*".into()]);
    Arc::new(Policy::from_model(&model).unwrap())
}

#[test]
fn the_audit_says_what_passed_by_the_name_of_the_policy() {
    let mut host = FakeHost::new("/open", Some(&token("agent-7", &["agents"], 600)));
    host.set_request("content-type", b"image/x-very-private");
    host.set_request("content-length", b"6");
    let mut driver = Driver::new(policy(Thinking::Refuse), &host);
    assert_eq!(driver.request_head(&mut host, false), Action::Continue);
    // The body stays as it is, so what describes it stays true.
    assert_eq!(FakeHost::header(&host.request, "content-length"), Some("6"));
    for (chunk, end) in [(&b"\x89PNG"[..], false), (b"\r\n", true)] {
        host.buffer = chunk.to_vec();
        assert_eq!(driver.body(&mut host, Request, chunk.len(), end), Action::Continue);
        assert_eq!(host.buffer, chunk);
    }
    host.set_response("content-type", "application/pdf");
    host.set_response("etag", "\"1\"");
    host.set_response("content-encoding", "br");
    assert_eq!(driver.response_head(&mut host, false), Action::Pause, "an encoding is no type");
    driver.finish(&mut host);
    let audit = host.audit();
    let expected = serde_json::json!([{"content": "image/*", "location": "body", "count": 1}]);
    assert_eq!(audit["request"]["notInspected"], expected);
    assert_eq!(audit["response"].get("notInspected"), None);
    assert!(!audit.to_string().contains("private"));
}

#[test]
fn an_answer_that_passes_keeps_its_length() {
    let mut host = FakeHost::new("/open", Some(&token("agent-7", &["agents"], 600)));
    let mut driver = Driver::new(policy(Thinking::Refuse), &host);
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    host.set_response("content-type", "application/pdf");
    host.set_response("etag", "\"1\"");
    host.set_response("content-length", "10");
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    assert_eq!(FakeHost::header(&host.response, "etag"), Some("\"1\""));
    assert_eq!(FakeHost::header(&host.response, "content-length"), Some("10"));
    host.buffer = b"%PDF-1.7\r\n".to_vec();
    assert_eq!(driver.body(&mut host, Response, 10, true), Action::Continue);
    driver.finish(&mut host);
    assert_eq!(host.audit()["response"]["notInspected"][0]["content"], "application/pdf");
    assert_eq!(host.audit()["outcome"], "complete");
}

#[test]
fn reasoning_that_may_be_signed_passes_where_the_route_says_so() {
    let plan = Setup { thinking: Thinking::Leave, ..Setup::of("anthropic.messages") }.plan();
    let body = |text: &str| {
        format!(
            r#"{{"content":[{{"type":"thinking","thinking":"ask ada@example.com","signature":"4111111111111111"}},{{"type":"text","text":"{text}"}}]}}"#
        )
    };
    let (out, ended) = check_splits(&plan, Format::Json, body("bob@example.com").as_bytes());
    assert_eq!(String::from_utf8(out).unwrap(), body("[EMAIL]"));
    let findings = ended.unwrap();
    assert_eq!(unseen(&findings), [("$.content[*].thinking".to_owned(), 1)]);
    assert_eq!(findings.unseen().next().unwrap().kind, UnseenKind::SignedReasoning);
    assert_eq!(findings.total(), 1);
}

#[test]
fn signed_reasoning_passes_in_a_stream_while_other_channels_are_masked() {
    let plan = Setup { thinking: Thinking::Leave, ..Setup::of("anthropic.messages") }.plan();
    let event = |text: &str| format!("data: {{\"type\":\"content_block_delta\",\"index\":{text}}}}}\n\n");
    let thought =
        |text: &str| event(&format!("0,\"delta\":{{\"type\":\"thinking_delta\",\"thinking\":\"{text}\""));
    let said = |text: &str| event(&format!("1,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\""));
    let stop = |index: u8| format!("data: {{\"type\":\"content_block_stop\",\"index\":{index}}}\n\n");
    let stream = |one: &str, two: &str| {
        let signature = event("0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"c2ln\"");
        [
            thought("ada@exam"),
            said(one),
            thought("ada@exam"),
            thought("ple.com"),
            signature,
            stop(0),
            said(two),
            stop(1),
        ]
        .concat()
    };
    let (out, ended) = check_splits(&plan, Format::Sse, stream("bob@exam", "ple.com !").as_bytes());
    assert_eq!(String::from_utf8(out).unwrap(), stream("", "[EMAIL] !"));
    let findings = ended.unwrap();
    assert_eq!(unseen(&findings), [("$.delta.thinking".to_owned(), 3)]);
    assert_eq!(findings.total(), 1);
}
