//! The masking contract on forms.

use super::mask_support::{Random, Setup, check_splits, send, whole};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::{MaskError, MaskPlan, Masker};

/// Input and output, at every split.
fn form_with(plan: &Arc<MaskPlan>, body: &str, expected: &str) {
    let (out, ended) = check_splits(plan, Format::Form, body.as_bytes());
    assert_eq!((String::from_utf8_lossy(&out).as_ref(), ended.err()), (expected, None), "of {body}");
}

fn form(body: &str, expected: &str) {
    form_with(&Setup::default().plan(), body, expected);
}

#[test]
fn values_and_names_are_masked_however_they_are_written() {
    form("mail=ada@example.com", "mail=%5BEMAIL%5D");
    form("mail=ada%40example.com&n=1", "mail=%5BEMAIL%5D&n=1");
    form("mail=%61%64%61%40%65xample%2ecom", "mail=%5BEMAIL%5D");
    form("card=4111+1111+1111+1111&x", "card=%5BCARD%5D&x");
    form("card=4111%201111%201111%201111", "card=%5BCARD%5D");
    form("ada%40example.com=1&bob@x.com", "%5BEMAIL%5D=1&%5BEMAIL%5D");
    form("q=a=b=ada@x.com&&=&=bob@x.com&z=", "q=a=b=%5BEMAIL%5D&&=&=%5BEMAIL%5D&z=");
    form("t=to+ada%40x.com%2C+ok", "t=to+%5BEMAIL%5D%2C+ok");
}

#[test]
fn what_holds_nothing_comes_out_as_it_came_in() {
    for body in [
        "",
        "&",
        "=",
        "a=b&c=d+e%20f%2Bg&h",
        "broken=%&more=%4&zz=%zz%4g%%41&end=%",
        "utf8=%E2%9C%93&raw=\u{e9}&nul=%00&nl=%0D%0A",
        "twice=ada%2540example.com",
        "a[]=1&a[b][0]=2&a]=3&[=4&[]",
        "ada=1&@example.com=2",
        "d=%7B%22a%22%3A+1%7D&e={&f=%5B1%2C2&g=%7Bx",
    ] {
        form(body, body);
    }
}

#[test]
fn a_text_ends_with_its_name_or_value() {
    form("a=4111&b=1111&c=1111&d=1111", "a=4111&b=1111&c=1111&d=1111");
    form("ada%40=example.com&ada=@example.com", "ada%40=example.com&ada=@example.com");
    // What separates pairs is a part of the text when it is encoded.
    form("a=x%26ada@example.com%26y", "a=x%26%5BEMAIL%5D%26y");
}

#[test]
fn values_that_are_json_are_read_as_json() {
    form("d=%7B%22a%22%3A%22ada%5Cu0040example.com%22%7D&e=1", "d=%7B%22a%22%3A%22%5BEMAIL%5D%22%7D&e=1");
    form("d={\"a\":\"x\\nada@example.com\"}", "d={\"a\":\"x\\n%5BEMAIL%5D\"}");
    form("d=[4111111111111111,+1]", "d=[%22%5BCARD%5D%22,+1]");
    form("d=+%5B%22\\u0061da@x.com%22", "d=+%5B%22%5BEMAIL%5D%22");
    form("d={\"ada@x.com\":1,\"bob@x.com\":2}", "d={\"%5BEMAIL%5D\":1,\"%5BEMAIL%5D:2\":2}");
    // Not JSON, or no longer: text.
    form("d=[see]+ada@example.com", "d=[see]+%5BEMAIL%5D");
    form("d={a:+ada%40example.com", "d={a:+%5BEMAIL%5D");
}

#[test]
fn names_lead_to_fields() {
    let setup =
        Setup { fields: vec![(4, "$.user"), (3, "$..password"), (0, "$.to[*].mail")], ..Setup::default() };
    let plan = setup.plan();
    form_with(&plan, "user=ada&x=user&user", "user=%5BCONTACT%5D&x=user&user");
    // A field without `=` says nothing about the next one.
    form_with(
        &plan,
        "a&user=ada&x&y[&password=1&us&er=2",
        "a&user=%5BCONTACT%5D&x&y[&password=%5BSECRET%5D&us&er=2",
    );
    let many = "t[]&".repeat(100);
    form_with(&plan, &format!("{many}user=1"), &format!("{many}user=%5BCONTACT%5D"));
    form_with(&plan, "%75ser=a%20b+c%&password=&z=1", "%75ser=%5BCONTACT%5D&password=%5BSECRET%5D&z=1");
    form_with(
        &plan,
        "a[password]=x&a[0][password]=y",
        "a[password]=%5BSECRET%5D&a[0][password]=%5BSECRET%5D",
    );
    form_with(
        &plan,
        "to[0][mail]=x&to[][mail]=y&to%5B1%5D%5Bmail%5D=z&to[mail]=w",
        "to[0][mail]=%5BEMAIL%5D&to[][mail]=%5BEMAIL%5D&to%5B1%5D%5Bmail%5D=%5BEMAIL%5D&to[mail]=w",
    );
    form_with(&plan, "users=1&use=2&user[x]=3&userx=4", "users=1&use=2&user[x]=3&userx=4");
    form_with(&plan, "d=%7B%22password%22%3A1%7D", "d=%7B%22password%22%3A%22%5BSECRET%5D%22%7D");
    // Some readers skip a byte order mark.
    form_with(
        &plan,
        "d=%EF%BB%BF+%7B%22password%22%3A1%7D&e=%EF%BD%86",
        "d=%EF%BB%BF+%7B%22password%22%3A%22%5BSECRET%5D%22%7D&e=%EF%BD%86",
    );
    let (_, ended) =
        whole(&plan, Format::Form, b"user=1&a[password]=2&to=ada@x.com&bob@x.com=1&d={\"password\":1}");
    let places: Vec<String> = ended.unwrap().iter().map(|finding| finding.location.clone()).collect();
    assert_eq!(places, ["form.user", "form.*.password", "form.to", "form"]);
    let deep = format!("a{}=1", "[b]".repeat(70));
    assert_eq!(whole(&plan, Format::Form, deep.as_bytes()).1, Err(MaskError::TooDeep));
}

#[test]
fn a_form_that_looks_like_json_is_read_as_json() {
    form("{\"a\":\"ada\\u0040example.com\"}", "{\"a\":\"[EMAIL]\"}");
    form(" \n[\"ada@example.com\"]", " \n[\"[EMAIL]\"]");
    let (out, ended) = check_splits(&Setup::default().plan(), Format::Form, b"{mail=ada%40example.com");
    assert_eq!((out.as_slice(), ended.err()), (&b"{"[..], Some(MaskError::InvalidJson)));
}

#[test]
fn a_form_that_looks_like_json_must_be_the_same_text_to_a_reader_of_forms() {
    let plan = Setup::default().plan();
    // `a = b` has a name and a value for a reader of forms, but no other text.
    form("{\"a\":\"100 % of a = b\"}", "{\"a\":\"100 % of a = b\"}");
    for body in [
        "{\"a\":\" ada%40example.com \"}",
        "{\"a\":\" 4111+1111+1111+1111 \"}",
        "{\"a\":\"&prompt=x\"}",
        "\u{feff} [\"&password=x&y\"]",
        "{\"%61\":1}",
    ] {
        let (out, ended) = check_splits(&plan, Format::Form, body.as_bytes());
        assert_eq!(ended.err(), Some(MaskError::AmbiguousForm), "{body}: {}", String::from_utf8_lossy(&out));
    }
    // Texts have one reading.
    let text = "{\"a\":\" ada%40example.com + &b \"}";
    assert_eq!(whole(&plan, Format::Text, text.as_bytes()).0, text.as_bytes());
}

#[test]
fn nothing_is_emitted_before_it_is_decided() {
    let mut masker = Masker::new(Setup::default().plan(), Format::Form);
    let mut out = Vec::new();
    for (chunk, so_far) in [
        ("to=hi+a", "to=hi+"),
        ("da%", "to=hi+"),
        ("4", "to=hi+"),
        ("0example.co", "to=hi+"),
        ("m&ca", "to=hi+%5BEMAIL%5D&"),
        ("rd=4111%2", "to=hi+%5BEMAIL%5D&card="),
        ("01111%201111%201111&", "to=hi+%5BEMAIL%5D&card=%5BCARD%5D&"),
    ] {
        masker.write(chunk.as_bytes(), &mut out).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), so_far, "after {chunk}");
    }
    masker.end(&mut out).unwrap();
}

/// What a reader of forms has, by its own decoder.
fn pairs(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode = |text: &[u8]| {
        let mut out = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let hex = text.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
            let byte =
                hex.filter(|hex| !hex.starts_with('+')).and_then(|hex| u8::from_str_radix(hex, 16).ok());
            match (text[at], byte) {
                (b'%', Some(byte)) => {
                    out.push(byte);
                    at += 2;
                }
                (b'+', _) => out.push(b' '),
                (byte, _) => out.push(byte),
            }
            at += 1;
        }
        out
    };
    let pair = |pair: &[u8]| {
        let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        (decode(&pair[..at]), decode(pair.get(at + 1..).unwrap_or_default()))
    };
    body.split(|&byte| byte == b'&').map(pair).collect()
}

#[test]
fn random_forms_are_masked_as_their_reader_sees_them() {
    let plan = Setup::default().plan();
    let values = ["ada@example.com", "4111 1111 1111 1111", "123-45-6789"];
    let tags = ["[EMAIL]", "[CARD]", "[ID]"];
    let mut random = Random(11);
    for _ in 0..300 {
        let mut expected = Vec::new();
        let mut body = Vec::new();
        for place in 0..6 {
            let which = random.below(values.len());
            let text = format!("to {}, and", values[which]);
            expected.push((
                format!("n{place}").into_bytes(),
                text.replace(values[which], tags[which]).into_bytes(),
            ));
            body.extend_from_slice(format!("{}n{place}=", if place > 0 { "&" } else { "" }).as_bytes());
            for byte in text.bytes() {
                match random.below(4) {
                    0 => body.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                    1 => body.extend_from_slice(format!("%{byte:02x}").as_bytes()),
                    _ if byte == b' ' => body.push(b'+'),
                    _ => body.push(byte),
                }
            }
        }
        let outcome = whole(&plan, Format::Form, &body);
        assert_eq!(pairs(&outcome.0), expected, "{}", body.escape_ascii());
        for _ in 0..10 {
            assert!(send(&plan, Format::Form, random.cut(&body, 20)) == outcome, "{}", body.escape_ascii());
        }
    }
}

#[test]
fn long_forms_need_little_memory() {
    let mut masker = Masker::new(Setup::default().plan(), Format::Form);
    let mut out = Vec::new();
    for _ in 0..2_000 {
        masker.write(b"note=%20%20lorem+ipsum%2Cdolor&to=ada%40example.com&", &mut out).unwrap();
        masker.write("x".repeat(500).as_bytes(), &mut out).unwrap();
        assert!(masker.held() < 4096, "{} held", masker.held());
    }
    assert_eq!(masker.end(&mut out).unwrap().findings.total(), 2_000);
}

#[test]
fn forms_and_texts_wait_for_their_end() {
    let waits = |format, text: &str| {
        let mut masker = Masker::new(Setup::default().plan(), format);
        masker.write(text.as_bytes(), &mut Vec::new()).unwrap();
        masker.waits()
    };
    for (text, undecided) in
        [("ok", true), ("write to ada", true), ("ada@example.com", true), ("well. ", false)]
    {
        assert_eq!(waits(Format::Text, text), undecided, "{text}");
        assert!(waits(Format::Form, text), "{text}");
    }
}
