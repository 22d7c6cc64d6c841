//! The fail-closed table: one thing is broken per row, and the exchange must be refused. `SECURITY.md` names these rows.
#![cfg(test)]

mod support;

use support::{Call, EMAIL, FakeHost, model, policy, token};
use veilwire_engine::decision::Direction::{Request, Response};
use veilwire_engine::driver::{Action, Driver};
use veilwire_engine::policy::id::{DetectorId, KeyId, TagId};
use veilwire_engine::policy::model::{
    Attribute, Canonical, Field, Key, KeySource, Keyed, Model, Pseudonym, Replacement,
};
use veilwire_engine::policy::secret::Secret;
use veilwire_engine::policy::{InvalidPolicy, Policy, artifact};

fn agent() -> FakeHost {
    FakeHost::new("/chat", Some(&token("agent-7", &["agents"], 600)))
}

/// Status of the local reply to a request's head; panics if it went through.
fn refused(name: &str, mut host: FakeHost) -> u32 {
    let mut driver = Driver::new(policy(), &host);
    assert_eq!(driver.request_head(&mut host, false), Action::Pause, "{name} went through");
    assert_eq!(host.resumed, 0, "{name}");
    driver.finish(&mut host);
    let audit = host.audit();
    assert_eq!(audit["outcome"], "refused", "{name}");
    assert_eq!(audit["decision"], "deny", "{name}");
    let reply = host.replies.first().map_or(0, |reply| reply.status);
    for text in host.replies.iter().flat_map(|reply| [&reply.body]) {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains("agents-chat") && !text.contains("lovelace"), "{name}: {text}");
    }
    reply
}

type Break = fn(&mut FakeHost);

#[test]
fn requests() {
    let rows: [(&str, u32, Break); 26] = [
        ("no token", 401, |host| host.request.retain(|(name, _)| name != b"authorization")),
        ("two tokens", 401, |host| host.request.push((b"authorization".to_vec(), b"Bearer x".to_vec()))),
        ("garbage token", 401, |host| host.set_request("authorization", b"Bearer e.y.J")),
        ("bytes in the token", 401, |host| host.set_request("authorization", b"Bearer \xe9\xff")),
        ("expired token", 401, |host| {
            host.set_request("authorization", format!("Bearer {}", token("a", &["agents"], -31)).as_bytes());
        }),
        ("clock at the end of time", 401, |host| host.now = veilwire_engine::time::Timestamp(u64::MAX)),
        ("clock before the token", 401, |host| {
            host.now = veilwire_engine::time::Timestamp::from_unix_seconds(1)
        }),
        ("a group that may not", 403, |host| {
            host.set_request(
                "authorization",
                format!("Bearer {}", token("c", &["agents", "contractors"], 60)).as_bytes(),
            );
        }),
        ("no group", 403, |host| {
            host.set_request("authorization", format!("Bearer {}", token("a", &[], 60)).as_bytes());
        }),
        ("no route: path", 403, |host| host.set_request(":path", b"/chat/x")),
        ("path with dot segments", 400, |host| host.set_request(":path", b"/chat/..")),
        ("no route: host", 403, |host| host.set_request(":authority", b"evil.test")),
        ("no route: method", 403, |host| host.set_request(":method", b"PUT")),
        ("no path", 400, |host| host.request.retain(|(name, _)| name != b":path")),
        ("bytes in the path", 400, |host| host.set_request(":path", b"/chat\xe9")),
        ("two hosts", 400, |host| host.request.push((b":authority".to_vec(), b"llm.test".to_vec()))),
        ("plaintext", 403, |host| drop(host.properties.remove("connection.tls_version"))),
        ("old tls", 403, |host| {
            drop(host.properties.insert("connection.tls_version".into(), b"TLSv1.1".to_vec()))
        }),
        ("another route in the proxy", 403, |host| {
            drop(host.properties.insert("xds.route_name".into(), b"open".to_vec()))
        }),
        ("no route in the proxy", 403, |host| drop(host.properties.remove("xds.route_name"))),
        ("brotli body", 415, |host| host.set_request("content-encoding", b"br")),
        ("zstd body", 415, |host| host.set_request("content-encoding", b"zstd")),
        ("two codings", 415, |host| host.set_request("content-encoding", b"identity, gzip, deflate")),
        ("two headers of codings", 415, |host| {
            host.set_request("content-encoding", b"gzip");
            host.request.push((b"content-encoding".to_vec(), b"gzip".to_vec()));
        }),
        ("text where deltas are expected", 415, |host| host.set_request("content-type", b"text/plain")),
        ("binary body", 415, |host| host.set_request("content-type", b"application/octet-stream")),
    ];
    for (name, status, break_it) in rows {
        let mut host = agent();
        break_it(&mut host);
        assert_eq!(refused(name, host), status, "{name}");
    }
}

#[test]
fn hosts_that_fail() {
    for (call, status) in [(Call::Headers, 503), (Call::Apply, 503), (Call::Property, 403)] {
        let mut host = agent();
        host.broken = vec![call];
        assert_eq!(refused(&format!("{call:?}"), host), status);
    }
    // Not even the reply can be sent: the stream is aborted.
    let mut host = agent();
    host.broken = vec![Call::Headers, Call::Reply];
    let mut driver = Driver::new(policy(), &host);
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert_eq!(host.aborts, 1);
    // An approval service that cannot be called denies.
    let mut host = FakeHost::new("/export", Some(&token("agent-7", &["agents"], 600)));
    host.broken = vec![Call::Callout];
    let mut driver = Driver::new(policy(), &host);
    assert_eq!(driver.request_head(&mut host, true), Action::Pause);
    assert_eq!(host.replies[0].status, 503);
}

#[test]
fn request_bodies() {
    let deep = "{\"a\":".repeat(65);
    let rows: [(&str, &[u8], u32); 5] = [
        ("not json", b"{\"a\": ada@example.com}", 400),
        ("cut json", b"{\"a\": \"b\"", 400),
        ("two documents", b"{} {}", 400),
        ("too deep", deep.as_bytes(), 413),
        ("nothing but blanks", b" ", 400),
    ];
    for (name, body, status) in rows {
        for cut in 0..=body.len() {
            let mut host = agent();
            let mut driver = Driver::new(policy(), &host);
            assert_eq!(driver.request_head(&mut host, false), Action::Continue);
            for (chunk, end) in [(&body[..cut], false), (&body[cut..], false), (&b""[..], true)] {
                host.buffer = chunk.to_vec();
                if driver.body(&mut host, Request, chunk.len(), end) == Action::Pause {
                    break;
                }
            }
            assert_eq!(
                host.replies.iter().map(|reply| reply.status).collect::<Vec<_>>(),
                [status],
                "{name} cut at {cut}"
            );
            host.buffer = b"more".to_vec();
            assert_eq!(
                driver.body(&mut host, Request, 4, true),
                Action::Pause,
                "{name}: nothing passes after a refusal"
            );
        }
    }
}

#[test]
fn responses() {
    let rows: [(&str, u32, Break); 11] = [
        ("plaintext upstream", 502, |host| drop(host.properties.remove("upstream.tls_version"))),
        ("old tls upstream", 502, |host| {
            drop(host.properties.insert("upstream.tls_version".into(), b"TLSv1.1".to_vec()))
        }),
        ("brotli", 502, |host| host.set_response("content-encoding", "br")),
        ("gzip twice", 502, |host| host.set_response("content-encoding", "gzip,gzip")),
        ("text where deltas are expected", 502, |host| host.set_response("content-type", "text/plain")),
        ("unknown type", 502, |host| host.set_response("content-type", "image/png")),
        ("no type", 502, |host| host.response.retain(|(name, _)| name != b"content-type")),
        ("unknown charset", 502, |host| {
            host.set_response("content-type", "application/json; charset=utf-16")
        }),
        ("two types", 502, |host| {
            host.response.push((b"content-type".to_vec(), b"text/event-stream".to_vec()))
        }),
        ("partial", 502, |host| host.set_response(":status", "206")),
        ("bad status", 502, |host| host.set_response(":status", "abc")),
    ];
    for (name, status, break_it) in rows {
        let mut host = agent();
        let mut driver = Driver::new(policy(), &host);
        assert_eq!(driver.request_head(&mut host, true), Action::Continue, "{name}");
        break_it(&mut host);
        assert_eq!(driver.response_head(&mut host, false), Action::Pause, "{name} went through");
        assert_eq!(host.replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [status], "{name}");
        driver.finish(&mut host);
        assert_eq!(host.audit()["refusal"]["direction"], "response", "{name}");
    }
}

#[test]
fn response_hosts_that_fail() {
    for call in [Call::Body, Call::ReplaceBody] {
        let mut host = agent();
        let mut driver = Driver::new(policy(), &host);
        assert_eq!(driver.request_head(&mut host, true), Action::Continue);
        assert_eq!(driver.response_head(&mut host, false), Action::Continue);
        host.broken = vec![call];
        host.buffer = format!(r#"{{"a": "{EMAIL}"}}"#).into_bytes();
        let size = host.buffer.len();
        assert_eq!(driver.body(&mut host, Response, size, true), Action::Pause, "{call:?}");
        assert_eq!(host.aborts, 1, "{call:?}");
        assert_eq!(driver.body(&mut host, Response, size, true), Action::Pause);
    }
    let mut host = agent();
    let mut driver = Driver::new(policy(), &host);
    assert_eq!(driver.request_head(&mut host, true), Action::Continue);
    assert_eq!(FakeHost::header(&host.request, "authorization"), None);
    host.broken = vec![Call::Headers];
    assert_eq!(driver.response_head(&mut host, false), Action::Pause);
    assert_eq!(host.aborts, 1);
}

#[test]
fn a_response_before_any_permit_is_aborted() {
    let mut host = agent();
    let mut driver = Driver::new(policy(), &host);
    assert_eq!(driver.response_head(&mut host, false), Action::Pause);
    assert_eq!(host.aborts, 1);
}

#[test]
fn a_request_after_the_proxys_own_reply_is_aborted() {
    let mut host = agent();
    let mut driver = Driver::new(policy(), &host);
    host.properties.insert("response.code_details".into(), b"http1.codec_error".to_vec());
    host.set_response(":status", "400");
    assert_eq!(driver.response_head(&mut host, false), Action::Continue);
    // The reply passes as it is; nothing else may.
    assert_eq!(driver.request_head(&mut host, false), Action::Pause);
    assert_eq!(host.aborts, 1);
    host.buffer = format!(r#"{{"a": "{EMAIL}"}}"#).into_bytes();
    for direction in [Request, Response] {
        let size = host.buffer.len();
        assert_eq!(driver.body(&mut host, direction, size, true), Action::Pause);
    }
}

type BreakModel = fn(&mut Model);

#[test]
fn models() {
    let rows: [(&str, BreakModel); 17] = [
        ("dangling tag", |m| m.detectors[0].tag.0 = 9),
        ("dangling provider", |m| m.groups[0].from[0].0.0 = 9),
        ("dangling content", |m| m.routes[0].content.as_mut().unwrap().0 = 9),
        ("dangling detector", |m| m.masks[0].detectors[0].0 = 9),
        ("dangling tag of an attribute", |m| {
            m.masks[0].attributes = vec![Attribute { tag: TagId(9), key: "a".into() }];
        }),
        ("dangling tag of a form's field", |m| {
            m.masks[0].form_fields = vec![Field { tag: TagId(9), at: "$.a".parse().unwrap() }];
        }),
        ("dangling group", |m| m.rules[0].groups[0].0 = 9),
        ("dangling route", |m| m.rules[0].routes[0].0 = 9),
        ("dangling mask", |m| m.rules[0].masks[0].0 = 9),
        ("unsafe placeholder", |m| m.tags[0].replacement = Replacement::Placeholder("\"".into())),
        ("unknown key", |m| m.tags[0].replacement = Replacement::Shape(keyed())),
        ("unsafe prefix", |m| {
            m.keys = vec![key()];
            m.tags[0].replacement = Replacement::Tokenize(Keyed { prefix: "\"".into(), ..keyed() });
        }),
        ("unsafe name of pseudonyms", |m| {
            let name = "a<b".into();
            m.tags[0].replacement = Replacement::Pseudonym(Pseudonym { name, otherwise: "[E]".into() });
        }),
        ("dangling detector of tokens", |m| m.masks[0].tokens = vec![DetectorId(9)]),
        ("no budget", |m| m.limits.state = 0),
        ("no depth", |m| m.limits.json_depth = 0),
        ("bad key set", |m| m.providers[0].jwks = "{\"keys\": []}".into()),
    ];
    assert!(Policy::from_model(&model()).is_ok());
    for (name, break_it) in rows {
        let mut model = model();
        break_it(&mut model);
        assert!(Policy::from_model(&model).is_err(), "{name} was loaded");
    }
}

fn key() -> Key {
    Key { name: "k".into(), id: "k1".into(), from: KeySource::Environment("REPLACEMENT_KEY".into()) }
}

fn keyed() -> Keyed {
    Keyed {
        key: KeyId(0),
        prefix: "k1_".into(),
        canonical: Canonical::Exact,
        otherwise: "[E]".into(),
        secret: Secret::default(),
    }
}

#[test]
fn keys() {
    let mut model = model();
    model.keys = vec![key()];
    model.tags[0].replacement = Replacement::Tokenize(keyed());
    let artifact = artifact::encode(&model).unwrap();
    let load = |text: Option<&str>| {
        Policy::load_with_keys(&artifact, &|key| {
            assert_eq!(key.from, KeySource::Environment("REPLACEMENT_KEY".into()));
            text.map(|text| text.as_bytes().to_vec())
        })
    };
    let good = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
    let policy = load(Some(good)).unwrap();
    // Nothing that is written or printed has the key, or its text.
    let printed = format!("{policy:?} {:?}", policy.model());
    let written = artifact::encode(policy.model()).unwrap();
    for leak in ["QUFBQUFBQUFB", &"A".repeat(16), &"65, ".repeat(16)] {
        assert!(!printed.contains(leak), "the key is printed");
        assert!(!written.windows(leak.len()).any(|piece| piece == leak.as_bytes()), "the key is written");
    }
    for bad in [
        None,
        Some(""),
        Some("-"),
        Some("QUFBQUFBQUFB"),
        Some("no base64 but long enough to be a key, is it not?"),
    ] {
        assert_eq!(load(bad).err(), Some(InvalidPolicy::Key(0)));
    }
    assert!(Policy::load(&artifact).is_ok(), "then its placeholder stands");
}

#[test]
fn artifacts() {
    let good = artifact::encode(&model()).unwrap();
    assert!(Policy::load(&good).is_ok());
    // Every place of the header and the section table, and a grid of the rest: a prime step meets every offset of a table row.
    let places = || (0..200).chain((200..good.len()).step_by(13));
    for length in places() {
        assert!(Policy::load(&good[..length]).is_err(), "cut at {length}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(Policy::load(&longer).is_err());
    for at in places() {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(Policy::load(&flipped).is_err(), "bit flipped at {at}");
    }
    for foreign in [&b""[..], b"{}", b"\x7fELF", b"\x89PNG\r\n\x1a\n", &[0x89]] {
        assert!(matches!(Policy::load(foreign), Err(InvalidPolicy::Artifact(_))), "{foreign:?}");
    }
}

#[test]
fn configurations() {
    use base64::Engine as _;
    let good = artifact::encode(&model()).unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&good);
    assert_eq!(&*artifact::from_configuration(&good).unwrap(), good);
    assert_eq!(
        &*artifact::from_configuration(format!("{{\"artifact\": \"{encoded}\"}}").as_bytes()).unwrap(),
        good
    );
    for broken in ["{}", "{\"artifact\": 1}", "{\"artifact\": \"*\"}", "{\"artifact\": \"AA==\", \"x\": 1}"] {
        assert!(artifact::from_configuration(broken.as_bytes()).is_err(), "{broken}");
    }
}
