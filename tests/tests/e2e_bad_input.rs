//! Bad input in real Envoy: a clear answer, nothing lost, nothing leaked, and the next exchange is served.
#![cfg(test)]

use std::fs;
use std::net::TcpListener;

use veilwire_tests::demo::kit::replace_once;
use veilwire_tests::envoy::{Envoy, Options, validate};
use veilwire_tests::site::{Kit, Site, with_key};
use veilwire_tests::upstream::Ending;
use veilwire_tests::wire::{Piece, ResponseHead, headers};

const JSON: &str = "application/json";
const EMAIL: &str = "ada.lovelace@example.com";

/// `{"to": "ada.lovelace@example.com", "ok": 1}` as zlib packs it.
const GZIP: &[u8] = b"\
    \x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\xc9\x57\xb2\x52\x50\x4a\x4c\x49\xd4\xcb\xc9\
    \x2f\x4b\xcd\x49\x4c\x4e\x75\x48\xad\x48\xcc\x2d\xc8\x49\xd5\x4b\xce\xcf\x55\xd2\x51\x50\xca\xcf\
    \x06\xaa\x30\xac\x05\x00\x7d\xb1\x7a\x09\x2b\x00\x00\x00";

fn ok() -> ResponseHead {
    ResponseHead::new(200, &[("content-type", JSON)])
}

/// The plain exchange that must work after everything else.
fn serves(site: &Site) {
    let mut client = site.http1().unwrap();
    let head = site.post("json", JSON).unwrap();
    client
        .send_head(&{
            let mut head = head;
            head.headers.extend(headers(&[("content-length", "2"), ("x-after", "all")]));
            head
        })
        .unwrap();
    client.send(b"{}").unwrap();
    // The head of a request whose body was refused may have come before.
    let mut exchange = site.upstream.accept().unwrap();
    while exchange.head.header("x-after").is_none() {
        exchange = site.upstream.accept().unwrap();
    }
    exchange.reply(ok(), &[b"{}"]).unwrap();
    assert_eq!(client.response().unwrap().text(), "{}");
}

#[test]
fn encodings_that_cannot_be_opened_are_refused_by_name() {
    let site = Site::start().unwrap();
    for encoding in ["br", "zstd", "gzip, gzip"] {
        let mut client = site.http1().unwrap();
        let mut head = site.post("json", JSON).unwrap();
        head.headers.extend(headers(&[("content-encoding", encoding)]));
        let refused = client.request(&head, GZIP).unwrap();
        assert_eq!(refused.head.status, 415, "{encoding}");
        assert!(
            refused.text().contains("content with this encoding cannot be inspected"),
            "{}",
            refused.text()
        );
        assert!(site.upstream.arrived().is_none(), "nothing of it reached the upstream");
    }
    for encoding in ["br", "zstd", "deflate, gzip"] {
        let mut client = site.http1().unwrap();
        let mut head = site.post("json", JSON).unwrap();
        head.headers.extend(headers(&[("content-length", "2"), ("accept-encoding", "gzip, br")]));
        client.send_head(&head).unwrap();
        client.send(b"{}").unwrap();
        let mut exchange = site.upstream.accept().unwrap();
        assert_eq!(exchange.head.header("accept-encoding"), None);
        exchange.body().unwrap();
        let answer = ResponseHead::new(200, &[("content-type", JSON), ("content-encoding", encoding)]);
        let _ = exchange.reply(answer, &[GZIP]);
        assert_eq!(client.response().unwrap().head.status, 502, "{encoding}");
    }
    serves(&site);
}

#[test]
fn compressed_bodies_are_masked_and_go_on_as_they_are() {
    let site = Site::start().unwrap();
    let masked = "{\"to\": \"[EMAIL]\", \"ok\": 1}";
    for cut in [1, 10, 30, GZIP.len()] {
        let mut client = site.http1().unwrap();
        let mut head = site.post("json", JSON).unwrap();
        let length = GZIP.len().to_string();
        head.headers.extend(headers(&[("content-encoding", "gzip"), ("content-length", &length)]));
        client.send_head(&head).unwrap();
        GZIP.chunks(cut).for_each(|chunk| client.send(chunk).unwrap());
        let mut exchange = site.upstream.accept().unwrap();
        assert_eq!(exchange.head.header("content-encoding"), None);
        assert_eq!(String::from_utf8(exchange.body().unwrap()).unwrap(), masked);
        let answer = ResponseHead::new(200, &[("content-type", JSON), ("content-encoding", "gzip")]);
        let pieces: Vec<&[u8]> = GZIP.chunks(cut).collect();
        exchange.reply(answer, &pieces).unwrap();
        let response = client.response().unwrap();
        assert_eq!((response.head.status, response.head.header("content-encoding")), (200, None));
        assert_eq!(response.text(), masked);
    }
    // Damaged: the caller is told, or cut off; nothing is passed on.
    let mut client = site.http1().unwrap();
    let mut head = site.post("json", JSON).unwrap();
    head.headers.extend(headers(&[("content-encoding", "gzip")]));
    let refused = client.request(&head, &GZIP[..GZIP.len() - 1]).unwrap();
    assert_eq!(refused.head.status, 400);
    serves(&site);
}

#[test]
fn empty_bodies_are_served() {
    let site = Site::start().unwrap();
    let mut client = site.http1().unwrap();
    let head = site.post("json", JSON).unwrap();
    let mut with_length = head.clone();
    with_length.headers.extend(headers(&[("content-length", "0")]));
    client.send_head(&with_length).unwrap();
    let mut exchange = site.upstream.accept().unwrap();
    assert_eq!(exchange.body().unwrap(), b"");
    exchange.respond_bodiless(ResponseHead::new(204, &[])).unwrap();
    assert_eq!(client.response().unwrap().head.status, 204);
    serves(&site);
}

/// Resident memory of Envoy, in KiB (proc(5)).
fn resident(site: &Site) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", site.envoy.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

#[test]
fn a_hundred_megabytes_flow() {
    let site = Site::start().unwrap();
    let line = format!("{{\"note\": \"{} write to {EMAIL} {}\"}},\n", "x".repeat(30_000), "y".repeat(35_000));
    let masked = line.replace(EMAIL, "[EMAIL]");
    let count = 100_000_000 / line.len() + 1;
    let mut client = site.http1().unwrap();
    let mut head = site.post("json", JSON).unwrap();
    head.headers.extend(headers(&[("content-length", "2")]));
    client.send_head(&head).unwrap();
    client.send(b"{}").unwrap();
    let mut exchange = site.upstream.accept().unwrap();
    exchange.body().unwrap();
    let sender = std::thread::spawn(move || {
        exchange.respond(ok())?;
        exchange.send(b"[")?;
        for _ in 0..count {
            exchange.send(line.as_bytes())?;
        }
        exchange.send(b"0]")?;
        exchange.end(Ending::Empty)
    });
    assert_eq!(client.response_head().unwrap().status, 200);
    let before = resident(&site);
    let mut expected = masked.as_bytes().iter().cycle();
    let mut total = 0_usize;
    let mut tail = Vec::new();
    while let Piece::Data(data) = client.next_piece().unwrap() {
        for byte in data {
            let place = total;
            total += 1;
            if place > 0 && place <= count * masked.len() {
                assert_eq!(Some(&byte), expected.next(), "byte {place}");
            } else {
                tail.push(byte);
            }
        }
    }
    sender.join().unwrap().unwrap();
    assert_eq!(tail, b"[0]");
    assert_eq!(total, count * masked.len() + 3);
    // Half of what passed would be too much: buffers of two connections and of the filter, and no more.
    let grown = resident(&site).saturating_sub(before);
    assert!(grown < 50_000, "Envoy grew by {grown} KiB");
    serves(&site);
}

#[test]
fn a_client_that_leaves_in_mid_stream_is_told_as_cut() {
    let site = Site::start().unwrap();
    let mut log = site.access_log;
    let mut client = {
        let config = site
            .kit
            .pki
            .client_config(&[veilwire_tests::client::ALPN_HTTP1], None, rustls::ALL_VERSIONS)
            .unwrap();
        veilwire_tests::client::Http1Client::connect(site.envoy.address("veilwire").unwrap(), config).unwrap()
    };
    let claims = veilwire_tests::token::Claims::new(
        "https://idp.test",
        "gateway",
        "agent-7",
        veilwire_tests::deadline::unix_seconds().unwrap(),
    );
    let token = veilwire_tests::token::TokenIssuer::shared().unwrap();
    let token = token.mint(veilwire_tests::token::Algorithm::EdDsa, &claims.groups(&["agents"])).unwrap();
    let mut head = veilwire_tests::wire::RequestHead::new(
        "POST",
        "/v1/chat/completions",
        &[("content-type", JSON), ("content-length", "2"), ("authorization", &format!("Bearer {token}"))],
    );
    head.authority = "llm.test".to_owned();
    client.send_head(&head).unwrap();
    client.send(b"{}").unwrap();
    let mut exchange = site.upstream.accept().unwrap();
    exchange.body().unwrap();
    exchange.respond(ResponseHead::new(200, &[("content-type", "text/event-stream")])).unwrap();
    let event = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"mail {EMAIL}, ada.love\"}}}}]}}\n\n"
    );
    exchange.send(event.as_bytes()).unwrap();
    assert_eq!(client.response_head().unwrap().status, 200);
    let Piece::Data(data) = client.next_piece().unwrap() else { panic!("no data") };
    assert!(String::from_utf8(data).unwrap().contains("mail [EMAIL], \""));
    drop(client);
    let line = log.next(&site.envoy).unwrap();
    let audit = line.to_string();
    assert!(audit.contains("\"outcome\":\"cut\""), "{audit}");
    assert!(audit.contains("pii-us.email") && audit.contains("channel.content"), "{audit}");
    assert!(!audit.contains("lovelace"), "the audit quotes what it found");
}

#[test]
fn a_configuration_that_cannot_work_says_why() {
    let kit = Kit::new(|_| Ok(9)).unwrap();
    let config = fs::read_to_string(&kit.config).unwrap();
    let options = with_key(Options::default());
    let refused = |name: &str, changed: String, needle: &str| {
        let path = kit.folder().join(format!("{name}.yaml"));
        fs::write(&path, changed).unwrap();
        let output = validate(&path, &options).unwrap();
        assert!(!output.status.success(), "{name} was accepted");
        let told =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(told.contains(needle), "{name}: no `{needle}` in\n{told}");
    };
    assert!(validate(&kit.config, &options).unwrap().status.success());

    refused("missing-wasm", config.replace("veilwire_filter.wasm", "no_filter.wasm"), "no_filter.wasm");
    let key = kit.folder().join("pki/server.key").display().to_string();
    let wrong = kit.folder().join("pki/envoy-client.key").display().to_string();
    refused("wrong-key", replace_once(&config, &key, &wrong).unwrap(), "rivate key");
    // One character of the artifact: base64 stays base64.
    let at = config.find("iVZX").unwrap() + 400;
    let (before, after) = config.split_at(at);
    let (group, rest) = after.split_at(4);
    let other = if group.starts_with('A') { "B" } else { "A" };
    let damaged = format!("{before}{other}{}{rest}", group.split_at(1).1);
    refused(
        "damaged",
        damaged,
        "veilwire: the policy is refused: artifact: digest mismatch: the artifact is damaged",
    );
    refused("truncated", format!("{before}{rest}"), "veilwire: the policy is refused: artifact: truncated");
    refused(
        "foreign",
        config.replacen("iVZX", "iVBO", 1),
        "veilwire: the policy is refused: artifact: not a veilwire artifact",
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let path = kit.folder().join("port.yaml");
    fs::write(&path, config.replacen("port_value: 0", &format!("port_value: {port}"), 1)).unwrap();
    let told = format!("{:#}", Envoy::start_with(&path, &options).unwrap_err());
    assert!(told.contains("Address already in use") || told.contains("cannot bind"), "{told}");
}
