//! The masking contract on multipart bodies.

use super::mask_support::{Random, Setup, check_splits, send, whole};
use std::sync::Arc;
use veilwire_engine::format::{Boundary, Format};
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};
use veilwire_engine::policy::model::{Numbers, Replacement, Severity};

const FORM: &str = "multipart/form-data; boundary=XX-42";
const MIXED: &str = "multipart/mixed; boundary=\"XX-42\"";

fn format(content_type: &str) -> Format {
    Format::of(content_type.as_bytes()).unwrap()
}

/// A form of parts, each a head without its blank line and a body.
fn body(parts: &[(&str, &str)]) -> String {
    let part = |(head, body): &(&str, &str)| format!("--XX-42\r\n{head}\r\n{body}\r\n");
    parts.iter().map(part).collect::<String>() + "--XX-42--\r\n"
}

/// The head of a field.
fn field(name: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"\r\n")
}

fn passes_with(plan: &Arc<MaskPlan>, content_type: &str, body: &str, expected: &str) {
    let (out, ended) = check_splits(plan, format(content_type), body.as_bytes());
    assert_eq!((String::from_utf8_lossy(&out).as_ref(), ended.err()), (expected, None), "of {body}");
}

fn passes(body: &str, expected: &str) {
    passes_with(&Setup::default().plan(), FORM, body, expected);
}

/// The reason of a refusal, at every split; no value may have left.
fn refused(content_type: &str, body: &str) -> MaskError {
    let (out, ended) = check_splits(&Setup::default().plan(), format(content_type), body.as_bytes());
    assert!(!String::from_utf8_lossy(&out).contains("example.com"), "leak before a refusal");
    ended.expect_err(body)
}

#[test]
fn fields_and_files_are_masked() {
    let parts = |mail: &str, card: &str, json: &str, csv: &str, file: &str| {
        body(&[
            (&field("mail"), mail),
            (&field("note"), &format!("Card\r\n{card}\r\n--not a delimiter-\r\n")),
            (&(field("meta") + "Content-Type: application/json; charset=utf-8\r\n"), json),
            (
                &format!(
                    "Content-Disposition: form-data; name=\"up\"; filename=\"{file}, 1.csv\"\r\ncontent-type: text/csv\r\nX-A: {mail}\r\n"
                ),
                csv,
            ),
            (&(field("q") + "Content-Type: application/x-www-form-urlencoded\r\n"), ""),
        ])
    };
    passes(
        &parts(
            "ada@example.com",
            "4111 1111 1111 1111",
            "{\"a\":\"ada\\u0040example.com\"}",
            "a,b\n1,ada@example.com",
            "ada@example.com",
        ),
        &parts("[EMAIL]", "[CARD]", "{\"a\":\"[EMAIL]\"}", "a,b\n1,[EMAIL]", "[EMAIL]"),
    );
    let encoded = |file: &str| {
        body(&[(&format!("Content-Disposition: form-data; name=up; filename*=UTF-8''{file}\r\n"), "x")])
    };
    passes(&encoded("ada%40example.com"), &encoded("[EMAIL]"));
    // As it stands the value ends at the escape.
    passes(&encoded("ada@example.co%6d.au"), &encoded("[EMAIL]"));
}

#[test]
fn what_holds_nothing_comes_out_as_it_came_in() {
    for same in [
        "",
        "--XX-42--",
        "\r\n--XX-42--\r\n \r\n",
        &body(&[(&field("a"), "")]),
        &body(&[
            (&field("a"), "\r\n"),
            (&field("a"), "\r\r\n\n-\r\n-"),
            (&field("b[c]"), "--\r\n--X\r\n--XX-4"),
        ]),
        &body(&[(&field("ada@"), "example.com"), (&field("x"), "{\"a\": [1, 2"), (&field("y"), "[x] {")]),
        &body(&[(
            "CONTENT-disposition:form-data ;  name = a\r\nContent-Type: text/plain;charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
            "caf\u{e9}",
        )]),
        &body(&[(&field("a"), "1")]).replace("--XX-42\r", "--XX-42 \t\r").replace("42--\r\n", "42--"),
    ] {
        passes(same, same);
    }
    let mixed = body(&[
        ("", "text"),
        ("Content-Type: application/json\r\n", "{\"n\": [1]}"),
        ("Content-Disposition: attachment\r\n", "x"),
    ]);
    passes_with(&Setup::default().plan(), MIXED, &mixed, &mixed);
}

#[test]
fn parts_are_texts_of_their_own() {
    let apart = body(&[(&field("a"), "ada@"), (&field("b"), "example.com"), (&field("c"), "4111 1111")]);
    passes(&apart, &apart);
    let json = |value: &str| body(&[(&field("a"), value)]);
    passes(
        &json("{\"n\":4111111111111111,\"t\":\"ada\\u0040example.com\"}"),
        &json("{\"n\":\"[CARD]\",\"t\":\"[EMAIL]\"}"),
    );
    passes(&json("[not json] ada@example.com"), &json("[not json] [EMAIL]"));
    passes(&json("{\"a\":\"ada@example.com"), &json("{\"a\":\"[EMAIL]"));
}

#[test]
fn names_lead_to_fields() {
    let setup = Setup { fields: vec![(3, "$..password"), (4, "$.user.mail")], ..Setup::default() };
    let parts = |one: &str, two: &str, three: &str, four: &str| {
        body(&[
            (&field("password"), one),
            (&field("user[mail]"), two),
            (&field("other"), three),
            (&(field("doc") + "Content-Type: application/json\r\n"), four),
        ])
    };
    let plan = setup.plan();
    passes_with(
        &plan,
        FORM,
        &parts("x\r\ny", "", "{\"password\": 1}", "{\"password\":[2]}"),
        &parts("[SECRET]", "[CONTACT]", "{\"password\": \"[SECRET]\"}", "{\"password\":\"[SECRET]\"}"),
    );
    let (_, ended) = whole(&plan, format(FORM), parts("1", "2", "3", "{}").as_bytes());
    let places: Vec<String> = ended.unwrap().iter().map(|finding| finding.location.clone()).collect();
    assert_eq!(places, ["part.password", "part.user.mail"]);
}

#[test]
fn parts_that_cannot_be_read_are_refused() {
    for head in [
        "Content-Type: image/png\r\n",
        "Content-Type: application/octet-stream\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: text/event-stream\r\n",
        "Content-Type: text/plain; charset=utf-16\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "Content-Encoding: gzip\r\n",
        "ada@example.com: 1\r\n",
    ] {
        let expected = if head.starts_with("ada") { MaskError::Multipart } else { MaskError::Part };
        assert_eq!(refused(FORM, &body(&[(&(field("a") + head), "ada@example.com")])), expected, "{head}");
    }
    assert_eq!(refused(FORM, &body(&[(&field("a"), "x\0ada@example.com")])), MaskError::Charset);
    let broken = body(&[(&(field("a") + "Content-Type: application/json\r\n"), "{\"a\": ada@example.com")]);
    assert_eq!(refused(FORM, &broken), MaskError::InvalidJson);
}

#[test]
fn what_readers_disagree_on_is_refused() {
    let one = body(&[(&field("a"), "ada@example.com")]);
    for bad in [
        one.replace("\r\n", "\n"),
        format!("preamble\r\n{one}"),
        format!("\n{one}"),
        format!("{one}epilogue ada@example.com"),
        one.replace("42--", "42-x"),
        one.replace("42--", "42x--"),
        one.replace("name=\"a\"", "name=\"a\"; name=\"b\""),
        one.replace("name=\"a\"", "name=\"a\\@b\""),
        one.replace("name=\"a\"", "name=\"=?utf-8?q?a?=\""),
        one.replace("name=\"a\"", "name*=utf-8''a; name=a"),
        one.replace("name=\"a\"", "name=_charset_"),
        one.replace("name=\"a\"", "filename=a"),
        one.replace("form-data", "attachment"),
        one.replace("Content-Disposition", "X-Nothing"),
        one.replace("\r\n\r\n", "\r\nContent-Disposition: form-data; name=b\r\n\r\n"),
        one.replace("; name", ";\r\n name"),
        body(&[(&field("a"), "x\n--XX-42\r\nada@example.com")]),
        body(&[(&field("a"), "x--XX-42--")]),
        body(&[(&field("a"), "x\r\n--XX-421\r\nada@example.com")]),
        format!("--XX-42\r\n{}\r\n--XX-42--\r\n", field("a")),
    ] {
        assert_eq!(refused(FORM, &bad), MaskError::Multipart, "{bad}");
    }
    for length in 1..one.len() - 2 {
        assert_eq!(refused(FORM, one.split_at(length).0), MaskError::Truncated, "cut at {length}");
    }
}

#[test]
fn a_placeholder_never_makes_a_boundary() {
    let mut tags = super::mask_support::tags();
    for (tag, text) in tags.iter_mut().zip(["--XX-42", "-XX-42", "42"]) {
        *tag = veilwire_engine::policy::model::Tag {
            name: tag.name.clone(),
            severity: Severity::High,
            replacement: Replacement::Placeholder(text.to_owned()),
            numbers: Numbers::String,
        };
    }
    let plan = Setup::default().plan_with(&tags);
    for text in ["ada@example.com", "-4111 1111 1111 1111", "--XX-123-45-6789"] {
        let body = body(&[(&field("a"), &format!("lead\r\n{text}\r\n"))]);
        let (out, ended) = check_splits(&plan, format(FORM), body.as_bytes());
        let out = String::from_utf8(out).unwrap();
        assert_eq!(ended.err(), Some(MaskError::Multipart), "{text}");
        assert!(out.matches("--XX-42").count() == 1 && out.ends_with("--XX-4"), "{out}");
    }
}

#[test]
fn random_parts_are_the_same_however_they_are_cut() {
    let plan = Setup::default().plan();
    let pieces = [
        "ada@example.com ",
        "\r\n",
        "--",
        "XX-4",
        "--XX",
        "\r",
        "\n-",
        "4111 1111 1111 1111 ",
        "{\"a\":",
        "x",
    ];
    let mut random = Random(3);
    for round in 0..200 {
        let texts: Vec<String> = (0..4)
            .map(|_| {
                (0..random.below(12))
                    .map(|_| pieces[random.below(pieces.len())])
                    .collect::<String>()
                    .replace("XX-42", "XX-43")
            })
            .collect();
        let head = field("a");
        let parts: Vec<(&str, &str)> = texts.iter().map(|text| (head.as_str(), text.as_str())).collect();
        let body = body(&parts);
        let expected = whole(&plan, format(FORM), body.as_bytes());
        assert!(!String::from_utf8_lossy(&expected.0).contains("ada@example.com "), "{body}");
        for _ in 0..20 {
            assert!(
                send(&plan, format(FORM), random.cut(body.as_bytes(), 12)) == expected,
                "round {round}: {body:?}"
            );
        }
    }
}

#[test]
fn large_parts_need_little_memory_and_many_parts_little_time() {
    let boundary = Boundary::new(b"XX-42").unwrap();
    let mut masker = Masker::new(Setup::default().plan(), Format::Multipart { form: true, boundary });
    let mut out = Vec::new();
    masker.write(format!("--XX-42\r\n{}\r\n", field("a")).as_bytes(), &mut out).unwrap();
    for _ in 0..2_000 {
        out.clear();
        masker.write(b"some text - and ada@example.com, then --XX more\r\n--", &mut out).unwrap();
        assert!(masker.held() < 4096, "{} held", masker.held());
    }
    let many = body(&vec![(field("a").as_str(), "ada@example.com"); 5_000]);
    masker.write(format!(".\r\n{many}").as_bytes(), &mut out).unwrap();
    assert_eq!(masker.end(&mut out).unwrap().findings.total(), 7_000);
    // A head that never ends.
    let mut masker = Masker::new(Setup::default().plan(), Format::Multipart { form: true, boundary });
    masker.write(b"--XX-42\r\n", &mut out).unwrap();
    let refused = (0..100_000).find_map(|_| masker.write(b"X", &mut out).err());
    assert_eq!(refused, Some(MaskError::Budget));
}

/// A part in the form of LangSmith's clients.
fn run_part(name: &str, json: &str, length: usize) -> (String, String) {
    let head = format!(
        "Content-Disposition: form-data; name=\"{name}\"\r\nContent-Type: application/json; length={length}\r\nContent-Length: {length}\r\n"
    );
    (head, json.to_owned())
}

#[test]
fn parts_that_say_their_length_say_what_it_became() {
    let long = format!("{{\"input\":\"{}ada@example.com\"}}", "long ".repeat(40));
    let masked = long.replace("ada@example.com", "[EMAIL]");
    let documents = [
        ("post.1", r#"{"id":"1","name":"chat"}"#, r#"{"id":"1","name":"chat"}"#),
        ("post.1.inputs", r#"{"q":"ada@example.com"}"#, r#"{"q":"[EMAIL]"}"#),
        ("post.1.outputs", long.as_str(), masked.as_str()),
        ("empty", "{}", "{}"),
    ];
    let parts = |pick: fn(&(&'static str, String, String)) -> String| {
        let documents =
            documents.iter().map(|(name, from, to)| (*name, (*from).to_owned(), (*to).to_owned()));
        let all: Vec<_> = documents.map(|row| run_part(row.0, &pick(&row), pick(&row).len())).collect();
        body(&all.iter().map(|(head, text)| (head.as_str(), text.as_str())).collect::<Vec<_>>())
    };
    passes(&parts(|row| row.1.clone()), &parts(|row| row.2.clone()));
    // A text, and a wrong length, which is put right.
    let text = |length: usize, text: &str| {
        let head = field("note") + &format!("Content-Type: text/plain;length={length}; charset=utf-8\r\n");
        body(&[(&head, text)])
    };
    passes(&text(999, "to ada@example.com\r\n"), &text(12, "to [EMAIL]\r\n"));
    passes(&text(0, ""), &text(0, ""));
}

#[test]
fn what_replaces_a_part_has_its_own_length() {
    let limits = veilwire_engine::policy::model::Limits {
        unknown_content: veilwire_engine::policy::model::UnknownContent::Pass(vec!["image/*".into()]),
        ..Default::default()
    };
    let plan = Setup { fields: vec![(3, "$..password")], limits, ..Setup::default() }.plan();
    let part = |name: &str, kind: &str, length: usize, text: &str| {
        let head = field(name) + &format!("Content-Type: {kind}; length={length}\r\n");
        body(&[(&head, text)])
    };
    passes_with(
        &plan,
        FORM,
        &part("password", "text/plain", 3, "abc"),
        &part("password", "text/plain", 8, "[SECRET]"),
    );
    passes_with(
        &plan,
        FORM,
        &part("password", "image/png", 3, "abc"),
        &part("password", "image/png", 8, "[SECRET]"),
    );
    // What passes without a look keeps what it says, true or not.
    let image = part("icon", "image/png", 7, "\u{1}PNG");
    passes_with(&plan, FORM, &image, &image);
}

#[test]
fn a_part_with_a_length_is_bounded_and_leaves_nothing_early() {
    let limits = veilwire_engine::policy::model::Limits { message: 4096, ..Default::default() };
    let plan = Setup { limits, ..Setup::default() }.plan();
    let boundary = Boundary::new(b"XX-42").unwrap();
    let mut masker = Masker::new(Arc::clone(&plan), Format::Multipart { form: true, boundary });
    let mut out = Vec::new();
    let head = format!("--XX-42\r\n{}Content-Type: text/plain; length=9\r\n\r\n", field("a"));
    masker.write(head.as_bytes(), &mut out).unwrap();
    let refused = (0..4096).find_map(|_| masker.write(b"word ", &mut out).err());
    assert_eq!(refused, Some(MaskError::Budget));
    assert_eq!(out, b"--XX-42\r\n", "nothing of a part that is held may leave");
}
