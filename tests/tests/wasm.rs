//! The built filter module in wasmtime: the corpus through the real adapter, and what must never go through it.
//!
//! Effects are compared (bytes, headers, replies), never the order of hostcalls.
#![cfg(test)]
#![cfg(test)]

use std::sync::OnceLock;

use veilwire_tests::corpus::{self, Case, Direction, Expect};
use veilwire_tests::host::{Exchange, Facts, Options, Side, StartError, Vm, verify_fresh};
use veilwire_tests::site::{Kit, PSEUDONYM_KEY, path};
use veilwire_tests::splits;
use veilwire_tests::token::{Algorithm, Claims, TokenIssuer};
use veilwire_tests::wire::{Headers, headers};

const ISSUER: &str = "https://idp.test";
const AUDIENCE: &str = "gateway";
/// Seconds since 1970 at which every instance starts.
const NOW: u64 = 1_800_000_000;

/// How a message ends, as the host shows it to the filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// HTTP/2: with the last data.
    WithData,
    /// HTTP/1.1: in a callback of its own.
    Empty,
    /// In the trailers: the body callbacks never see an end.
    Trailers,
}

const ENDS: [End; 3] = [End::WithData, End::Empty, End::Trailers];

fn artifact() -> &'static [u8] {
    static ARTIFACT: OnceLock<Vec<u8>> = OnceLock::new();
    // Nobody listens on the upstream's port: there is no network here.
    ARTIFACT.get_or_init(|| Kit::new(|_| Ok(9443)).unwrap().compiled.artifact)
}

fn options(configuration: &[u8]) -> Options {
    let (name, key) = PSEUDONYM_KEY;
    Options {
        configuration: configuration.to_vec(),
        environment: vec![(name.to_owned(), key.to_owned())],
        now: NOW * 1_000_000_000,
        ..Options::default()
    }
}

fn start() -> Vm {
    Vm::start(&options(artifact())).unwrap()
}

fn claims() -> Claims {
    Claims::new(ISSUER, AUDIENCE, "alice", NOW).groups(&["agents"])
}

fn token() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| TokenIssuer::shared().unwrap().mint(Algorithm::Es256, &claims()).unwrap())
}

fn request(path: &str, token: Option<&str>, content_type: &str) -> Headers {
    let mut head = headers(&[
        (":method", "POST"),
        (":path", path),
        (":authority", "llm.test"),
        (":scheme", "https"),
        ("content-type", content_type),
        ("accept-encoding", "gzip"),
        ("x-veilwire-subject", "mallory"),
    ]);
    if let Some(token) = token {
        head.extend(headers(&[("authorization", &format!("Bearer {token}"))]));
    }
    head
}

/// A caller on TLS 1.3 whom Envoy routed to `route`.
fn routed(route: &str) -> Facts {
    Facts::tls13().with(&["xds", "route_name"], route.as_bytes())
}

/// Sends a body in pieces and ends it. Stops as soon as the stream is gone.
fn send(vm: &mut Vm, exchange: Exchange, side: Side, pieces: &[&[u8]], end: End) {
    let last = pieces.len() - 1;
    for (place, piece) in pieces.iter().enumerate() {
        if is_over(vm, exchange, side) {
            return;
        }
        let ends = end == End::WithData && place == last;
        match side {
            Side::Request => exchange.request_body(vm, piece, ends).unwrap(),
            Side::Response => exchange.response_body(vm, piece, ends).unwrap(),
        };
    }
    if end == End::WithData || is_over(vm, exchange, side) {
        return;
    }
    let trailers = headers(&[("x-checksum", "none")]);
    match (side, end) {
        (Side::Request, End::Trailers) => exchange.request_trailers(vm, trailers).unwrap(),
        (Side::Response, End::Trailers) => exchange.response_trailers(vm, trailers).unwrap(),
        (Side::Request, _) => drop(exchange.request_body(vm, b"", true).unwrap()),
        (Side::Response, _) => drop(exchange.response_body(vm, b"", true).unwrap()),
    }
}

fn is_over(vm: &Vm, exchange: Exchange, side: Side) -> bool {
    let sent = if side == Side::Request { exchange.upstream(vm) } else { exchange.client(vm) }.unwrap();
    sent.cut || sent.ended
}

/// Runs one case and says what is wrong with it.
fn run(vm: &mut Vm, case: &Case, cuts: &[usize], end: End) -> Result<(), String> {
    let exchange = Exchange::open(vm, &routed(&case.route)).unwrap();
    let pieces = splits::pieces(&case.input, cuts);
    let side = match case.direction {
        Direction::Request => {
            exchange
                .request_head(
                    vm,
                    request(path(&case.route).unwrap(), Some(token()), &case.content_type),
                    false,
                )
                .unwrap();
            send(vm, exchange, Side::Request, &pieces, end);
            Side::Request
        }
        Direction::Response => {
            exchange
                .request_head(
                    vm,
                    request(path(&case.route).unwrap(), Some(token()), "application/json"),
                    false,
                )
                .unwrap();
            send(vm, exchange, Side::Request, &[&case.asked.input], End::WithData);
            let seen = exchange.upstream(vm).unwrap().body();
            if seen != case.asked.expect {
                return Err(format!("the upstream was asked\n{}", String::from_utf8_lossy(&seen)));
            }
            let length = case.input.len().to_string();
            let head = headers(&[
                (":status", "200"),
                ("content-type", &case.content_type),
                ("content-length", &length),
            ]);
            exchange.set_property(vm, &["upstream", "tls_version"], b"TLSv1.3").unwrap();
            exchange.response_head(vm, head, false).unwrap();
            send(vm, exchange, Side::Response, &pieces, end);
            Side::Response
        }
    };
    let verdict = judge(vm, case, exchange, side, end);
    exchange.finish(vm).unwrap();
    let audited = exchange.written(vm, &["audit"]).unwrap().is_some();
    verdict?;
    if !audited {
        return Err("no audit event".into());
    }
    Ok(())
}

fn judge(vm: &Vm, case: &Case, exchange: Exchange, side: Side, end: End) -> Result<(), String> {
    let sent = if side == Side::Request { exchange.upstream(vm) } else { exchange.client(vm) }.unwrap();
    let client = exchange.client(vm).unwrap();
    match &case.expect {
        Expect::Output(expected) => {
            if !sent.ended || sent.cut || exchange.is_paused(vm, side).unwrap() {
                return Err(format!("not delivered: status {:?}, log {}", client.status(), vm.log_text()));
            }
            if sent.body() != *expected {
                let body = String::from_utf8_lossy(&sent.body()).into_owned();
                return Err(format!("--want\n{}\n--got\n{body}", String::from_utf8_lossy(expected)));
            }
            if sent.header("content-length").is_some() {
                return Err("content-length was kept on a body that may be rewritten".into());
            }
            if (end == End::Trailers) != sent.trailers.is_some() {
                return Err("trailers came or went".into());
            }
        }
        Expect::Refused(reason) => {
            let told = side == Side::Response && corpus::tells_of_refusal(&sent.body());
            let refused = client.cut || told || client.status().is_some_and(|status| status >= 400);
            if !refused {
                return Err(format!("`{reason}` was let through with {:?}", client.status()));
            }
            if side == Side::Request && sent.ended {
                return Err("the upstream got a complete request".into());
            }
        }
    }
    Ok(())
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = corpus::load().unwrap();
    cases.into_iter().filter(|case| !case.disabled.contains_key("wasm")).collect()
}

/// Runs every case with the cuts that `cuts` makes for it, and fails with all that went wrong.
fn check_all(cuts: impl Fn(&Case) -> Vec<Vec<usize>>) {
    let mut vm = start();
    let mut failures = Vec::new();
    for case in cases() {
        for (number, cut) in cuts(&case).into_iter().enumerate() {
            for end in ENDS {
                if let Err(fault) = run(&mut vm, &case, &cut, end) {
                    failures.push(format!("{} (cut {number}, {end:?}): {fault}", case.name));
                }
            }
        }
    }
    let shown: Vec<&String> = failures.iter().take(5).collect();
    assert!(failures.is_empty(), "{} runs failed, the first:\n{shown:#?}", failures.len());
}

#[test]
fn the_module_is_built_from_these_sources() {
    verify_fresh().unwrap();
}

#[test]
fn the_corpus_whole() {
    check_all(|_| vec![vec![]]);
}

#[test]
fn the_corpus_byte_by_byte_and_cut_at_random() {
    check_all(|case| {
        let length = case.input.len();
        let mut list: Vec<Vec<usize>> = (1..=4).map(|seed| splits::seeded(length, seed)).collect();
        if length <= 2048 {
            list.push((1..length).collect());
        }
        list
    });
}

#[test]
fn a_damaged_artifact_is_refused_and_never_traps() {
    for configuration in
        [&b""[..], b"{}", b"{\"artifact\":\"\"}", b"VWPL", &artifact()[..artifact().len() / 2]]
    {
        let refused = Vm::start(&options(configuration)).unwrap_err();
        assert!(matches!(refused, StartError::Refused(_)), "{refused}");
    }
    let step = artifact().len() / 97 + 1;
    for place in (0..artifact().len()).step_by(step) {
        let mut damaged = artifact().to_vec();
        damaged[place] ^= 0x40;
        let refused = Vm::start(&options(&damaged)).unwrap_err();
        assert!(matches!(refused, StartError::Refused(_)), "byte {place}: {refused}");
    }
}

#[test]
fn a_request_without_a_good_token_goes_nowhere() {
    let mut vm = start();
    let issuer = TokenIssuer::shared().unwrap();
    let expired = issuer.mint(Algorithm::Rs256, &claims().expired(NOW, 3600)).unwrap();
    let confused = issuer.hs256_with_public_key(&claims());
    let unsigned = issuer.unsigned(&claims());
    let tampered =
        issuer.tampered(Algorithm::EdDsa, &claims(), &claims().with("sub", "root".into())).unwrap();
    let tokens = [None, Some(&expired), Some(&confused), Some(&unsigned), Some(&tampered)];
    for token in tokens {
        let exchange = Exchange::open(&mut vm, &routed("json")).unwrap();
        let head = request("/json", token.map(String::as_str), "application/json");
        exchange.request_head(&mut vm, head, false).unwrap();
        let client = exchange.client(&vm).unwrap();
        assert_eq!(client.status(), Some(401), "{:?}", vm.log_text());
        assert!(client.header("www-authenticate").is_some() && client.ended);
        assert_eq!(exchange.upstream(&vm).unwrap().head, None);
        exchange.finish(&mut vm).unwrap();
    }
    for algorithm in Algorithm::ALL {
        let token = issuer.mint(algorithm, &claims()).unwrap();
        let exchange = Exchange::open(&mut vm, &routed("json")).unwrap();
        exchange.request_head(&mut vm, request("/json", Some(&token), "application/json"), false).unwrap();
        let upstream = exchange.upstream(&vm).unwrap();
        assert!(upstream.head.is_some(), "{algorithm:?}: {:?}", exchange.client(&vm).unwrap());
        assert_eq!(upstream.header("authorization"), None, "the caller's token stays here");
        assert_eq!(upstream.header("x-veilwire-subject"), Some(&b"alice"[..]));
        assert_eq!(upstream.header("accept-encoding"), None);
    }
}

#[test]
fn refusals_are_counted_by_reason_and_what_passes_is_counted_too() {
    let mut vm = start();
    let exchange = |vm: &mut Vm, token: Option<&str>, content_type: &str, body: &[u8]| {
        let exchange = Exchange::open(vm, &routed("json")).unwrap();
        exchange.request_head(vm, request("/json", token, content_type), false).unwrap();
        if exchange.client(vm).unwrap().status().is_none() {
            send(vm, exchange, Side::Request, &[body], End::WithData);
        }
        exchange.finish(vm).unwrap();
    };
    exchange(&mut vm, None, "application/json", b"{}");
    exchange(&mut vm, Some(token()), "image/gif", b"GIF89a");
    exchange(&mut vm, Some(token()), "application/json", b"{]");
    exchange(&mut vm, Some(token()), "application/json", b"{]");
    exchange(&mut vm, Some(token()), "image/webp", b"RIFF");
    for (name, count) in [
        ("veilwire_refused_unauthenticated", 1),
        ("veilwire_refused_content_type", 1),
        ("veilwire_refused_invalid_json", 2),
        ("veilwire_exchanges_refused", 4),
        ("veilwire_not_inspected", 1),
    ] {
        assert_eq!(vm.metric(name), count, "{name} of {:?}", vm.metric_names());
    }
}

#[test]
fn a_caller_without_the_group_or_without_tls_is_denied() {
    let mut vm = start();
    let issuer = TokenIssuer::shared().unwrap();
    let outsider = issuer.mint(Algorithm::Es256, &claims().groups(&["visitors"])).unwrap();
    for (facts, token) in [(routed("json"), outsider.as_str()), (Facts::plaintext(), token())] {
        let exchange = Exchange::open(&mut vm, &facts).unwrap();
        exchange.request_head(&mut vm, request("/json", Some(token), "application/json"), false).unwrap();
        assert_eq!(exchange.client(&vm).unwrap().status(), Some(403));
        assert_eq!(exchange.upstream(&vm).unwrap().head, None);
    }
}

#[test]
fn header_bytes_outside_utf8_do_not_trap() {
    let mut vm = start();
    let exchange = Exchange::open(&mut vm, &routed("json")).unwrap();
    let mut head = request("/json", Some(token()), "application/json");
    head.push((b"x-odd".to_vec(), vec![0xe9, 0xff, 0x80]));
    exchange.request_head(&mut vm, head, false).unwrap();
    assert_eq!(exchange.upstream(&vm).unwrap().header("x-odd"), Some(&[0xe9, 0xff, 0x80][..]));
}

#[test]
fn exchanges_of_one_instance_do_not_mix() {
    let mut vm = start();
    let open = |vm: &mut Vm| {
        let exchange = Exchange::open(vm, &routed("json")).unwrap();
        exchange.request_head(vm, request("/json", Some(token()), "application/json"), false).unwrap();
        exchange
    };
    let (one, two) = (open(&mut vm), open(&mut vm));
    let bodies: [&[u8]; 2] = [br#"{"a":"ada@example.com"}"#, br#"{"b":"bob@example.com","c":1}"#];
    for place in 0..bodies[1].len() {
        for (exchange, body) in [(one, bodies[0]), (two, bodies[1])] {
            if let Some(byte) = body.get(place..=place) {
                exchange.request_body(&mut vm, byte, place + 1 == body.len()).unwrap();
            }
        }
    }
    assert_eq!(one.upstream(&vm).unwrap().body(), br#"{"a":"[EMAIL]"}"#);
    assert_eq!(two.upstream(&vm).unwrap().body(), br#"{"b":"[EMAIL]","c":1}"#);
}

#[test]
fn a_brotli_body_is_refused_in_both_directions() {
    let mut vm = start();
    let exchange = Exchange::open(&mut vm, &routed("json")).unwrap();
    let mut head = request("/json", Some(token()), "application/json");
    head.extend(headers(&[("content-encoding", "br")]));
    exchange.request_head(&mut vm, head, false).unwrap();
    assert_eq!(exchange.client(&vm).unwrap().status(), Some(415));

    let exchange = Exchange::open(&mut vm, &routed("json")).unwrap();
    exchange.request_head(&mut vm, request("/json", Some(token()), "application/json"), false).unwrap();
    exchange.request_body(&mut vm, b"{}", true).unwrap();
    let head =
        headers(&[(":status", "200"), ("content-type", "application/json"), ("content-encoding", "br")]);
    exchange.set_property(&mut vm, &["upstream", "tls_version"], b"TLSv1.3").unwrap();
    exchange.response_head(&mut vm, head, false).unwrap();
    assert_eq!(exchange.client(&vm).unwrap().status(), Some(502));
}

#[test]
fn a_gzip_body_is_masked_and_goes_on_as_it_is() {
    /// `{"to": "ada.lovelace@example.com", "ok": 1}` as zlib packs it.
    const GZIP: &[u8] = b"\
        \x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x2a\xc9\x57\xb2\x52\x50\x4a\x4c\x49\xd4\xcb\xc9\
        \x2f\x4b\xcd\x49\x4c\x4e\x75\x48\xad\x48\xcc\x2d\xc8\x49\xd5\x4b\xce\xcf\x55\xd2\x51\x50\xca\xcf\
        \x06\xaa\x30\xac\x05\x00\x7d\xb1\x7a\x09\x2b\x00\x00\x00";
    let mut vm = start();
    let exchange = Exchange::open(&mut vm, &routed("json")).unwrap();
    let mut head = request("/json", Some(token()), "application/json");
    head.extend(headers(&[("content-encoding", "gzip")]));
    exchange.request_head(&mut vm, head, false).unwrap();
    for chunk in GZIP.chunks(7) {
        exchange.request_body(&mut vm, chunk, false).unwrap();
    }
    exchange.request_body(&mut vm, b"", true).unwrap();
    let seen = exchange.upstream(&vm).unwrap();
    assert_eq!(seen.body(), br#"{"to": "[EMAIL]", "ok": 1}"#);
}
