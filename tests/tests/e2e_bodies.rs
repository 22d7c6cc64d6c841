//! Rules that ask for what is in a body, in real Envoy: the refusal is a clean answer, nothing of a refused body reaches the
//! upstream, and what is let through arrives whole and masked, however it was sent.
#![cfg(test)]

use veilwire_tests::client::{Http1Client, Http2Client, Http2Exchange, Response};
use veilwire_tests::site::Site;
use veilwire_tests::wire::{Headers, RequestHead, ResponseHead, headers};

const POLICY: &str = include_str!("../policies/bodies.yaml");
const CHAT: &str = "/v1/chat/completions";
const JSON: &str = "application/json";
const EMAIL: &str = "ada.lovelace@example.com";

fn site() -> Site {
    Site::with_policy("bodies.yaml", POLICY).unwrap()
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// HTTP/1.1, with its length.
    Length,
    /// HTTP/1.1, in chunks.
    Chunks,
    /// HTTP/2, the end with the last frame.
    Frames,
    /// HTTP/2, ended by an empty frame.
    EmptyFrame,
    /// HTTP/2, ended by trailers.
    Trailers,
}

const WAYS: [Way; 5] = [Way::Length, Way::Chunks, Way::Frames, Way::EmptyFrame, Way::Trailers];

/// A request under way.
enum Client {
    Http1(Box<Http1Client>),
    Http2 {
        exchange: Http2Exchange,
        /// It lives as long as its exchange.
        _connection: Http2Client,
    },
}

impl Client {
    fn response(&mut self) -> Response {
        match self {
            Client::Http1(client) => client.response(),
            Client::Http2 { exchange, .. } => exchange.response(),
        }
        .unwrap()
    }
}

fn send(site: &Site, path: &str, body: &[u8], way: Way) -> Client {
    let mut head = site.post_to(path, JSON).unwrap();
    send_as(site, &mut head, body, way)
}

fn send_as(site: &Site, head: &mut RequestHead, body: &[u8], way: Way) -> Client {
    let pieces: Vec<&[u8]> = body.chunks(body.len().div_ceil(3).max(1)).collect();
    if matches!(way, Way::Length | Way::Chunks) {
        let mut client = site.http1().unwrap();
        let length = body.len().to_string();
        let framing = if way == Way::Length {
            ("content-length", length.as_str())
        } else {
            ("transfer-encoding", "chunked")
        };
        head.headers.extend(headers(&[framing]));
        client.send_head(head).unwrap();
        for piece in pieces {
            if way == Way::Length { client.send(piece) } else { client.send_chunk(piece) }.unwrap();
        }
        if way == Way::Chunks {
            client.finish_chunks(&Headers::new()).unwrap();
        }
        return Client::Http1(Box::new(client));
    }
    let mut client = site.http2().unwrap();
    let mut exchange = client.start(head, false).unwrap();
    for (place, piece) in pieces.iter().enumerate() {
        exchange.send(piece, way == Way::Frames && place + 1 == pieces.len()).unwrap();
    }
    match way {
        Way::EmptyFrame => exchange.send(b"", true).unwrap(),
        Way::Trailers => exchange.finish(&headers(&[("x-note", EMAIL)])).unwrap(),
        Way::Frames | Way::Length | Way::Chunks => {}
    }
    Client::Http2 { exchange, _connection: client }
}

/// The request goes on; gives what the upstream got.
#[track_caller]
fn allowed(site: &Site, mut client: Client) -> (Vec<u8>, Headers) {
    let arrived = site.upstream.accept();
    let mut exchange = arrived.unwrap_or_else(|error| {
        panic!("{error}; the client has: {:?}\n{}", client.response(), site.envoy.log_tail())
    });
    assert_eq!(exchange.head.header("x-veilwire-subject"), Some(b"agent-7".as_slice()));
    assert_eq!(exchange.head.header("authorization"), None);
    let got = exchange.rest().unwrap();
    exchange.reply(ResponseHead::new(200, &[("content-type", JSON)]), &[b"{}"]).unwrap();
    assert_eq!(client.response().head.status, 200);
    got
}

/// It does not; gives the answer.
#[track_caller]
fn refused(site: &Site, mut client: Client) -> Response {
    let response = client.response();
    assert!(site.upstream.arrived().is_none(), "the request reached the upstream");
    response
}

#[test]
fn a_body_that_rules_ask_about_arrives_whole_and_masked() {
    let site = site();
    let masked =
        |text: &str| format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"model":"small"}}"#);
    for length in [10, 100_000, 1_500_000] {
        let pad = "lorem ipsum ".repeat(length / 12);
        let body = masked(&format!("{pad}{EMAIL}"));
        for way in WAYS {
            println!("{way:?}, {length} bytes");
            let (got, trailers) = allowed(&site, send(&site, CHAT, body.as_bytes(), way));
            assert!(got == masked(&format!("{pad}[EMAIL]")).into_bytes(), "{way:?}, {length}: other bytes");
            if way == Way::Trailers {
                assert_eq!(trailers, headers(&[("x-note", "[EMAIL]")]));
            }
        }
    }
}

#[test]
fn a_refusal_by_the_body_is_a_clean_answer() {
    let site = site();
    for way in WAYS {
        for (body, rule) in [
            (r#"{"messages":[],"model":"large"}"#, "default"),
            (
                r#"{"messages":[],"model":"small","tools":[{"type":"function","function":{"name":"shell"}}]}"#,
                "no-shell",
            ),
            (r#"{"messages":[],"model":"small","tools":[{"type":"function","function":{}}]}"#, "no-shell"),
            (r#"{"messages":[],"model":"large","model":"small"}"#, "default"),
            (r#"{"messages":[],"model":"small","Model":"large"}"#, "default"),
            ("model=small", "no-shell"),
        ] {
            let response = refused(&site, send(&site, CHAT, body.as_bytes(), way));
            assert_eq!(response.head.status, 403, "{way:?} {body}");
            let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!(problem["rule"], rule, "{way:?} {body}");
            assert_eq!(response.head.header("content-type"), Some(b"application/problem+json".as_slice()));
        }
        // The next request is none the worse for it.
        allowed(&site, send(&site, CHAT, br#"{"messages":[],"model":"tiny"}"#, way));
    }
}

#[test]
fn methods_and_tools_of_mcp_decide() {
    let site = site();
    let call = |tool: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"q":"{EMAIL}"}}}}}}"#
        )
    };
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    for way in WAYS {
        for body in [call("search"), list.to_owned(), format!("[{list},{}]", call("search"))] {
            let (got, _) = allowed(&site, send(&site, "/mcp", body.as_bytes(), way));
            assert_eq!(String::from_utf8(got).unwrap(), body, "no mask, so nothing is changed");
        }
        for body in [
            call("shell"),
            call("other"),
            format!("[{},{}]", call("search"), call("shell")),
            r#"{"jsonrpc":"2.0","id":3,"method":"resources/read","params":{"name":"search"}}"#.to_owned(),
            format!("{}{}", call("search"), call("shell")),
        ] {
            let response = refused(&site, send(&site, "/mcp", body.as_bytes(), way));
            assert_eq!(response.head.status, 403, "{body}");
            let error: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!((&error["jsonrpc"], &error["error"]["code"]), (&"2.0".into(), &(-32_000).into()));
        }
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_ends() {
    let site = site();
    // 3 MiB, whose length its head says, are refused without a look.
    let mut client = site.http1().unwrap();
    let mut head = site.post_to(CHAT, JSON).unwrap();
    head.headers.extend(headers(&[("content-length", "3145728")]));
    client.send_head(&head).unwrap();
    assert_eq!(refused(&site, Client::Http1(Box::new(client))).head.status, 413);
    let mut client = site.http2().unwrap();
    let mut exchange = client.start(&site.post_to(CHAT, JSON).unwrap(), false).unwrap();
    // The answer may come before all is sent.
    let _ = exchange.send(&vec![b' '; (2 << 20) + 1], false);
    let response = refused(&site, Client::Http2 { exchange, _connection: client });
    assert_eq!(response.head.status, 413);
    let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(problem["detail"], "the body is too long to decide about");
    assert_eq!(
        site.envoy.wait_stat("wasmcustom.veilwire_refused_body_limit", |count| count == 2).unwrap(),
        2
    );
}

#[test]
fn models_in_paths_and_routes_that_nobody_asks_about_stream() {
    let site = site();
    let begin = |path: &str| {
        let mut client = site.http2().unwrap();
        let mut exchange = client.start(&site.post_to(path, JSON).unwrap(), false).unwrap();
        exchange.send(br#"{"a":["b","#, false).unwrap();
        (exchange, client)
    };
    // Nothing waits for the end of the body.
    let (mut exchange, client) = begin("/free");
    let mut arrived = site.upstream.accept().unwrap();
    exchange.send(br#""c"]}"#, true).unwrap();
    assert_eq!(arrived.body().unwrap(), br#"{"a":["b","c"]}"#);
    arrived.reply(ResponseHead::new(200, &[("content-type", JSON)]), &[b"{}"]).unwrap();
    assert_eq!(Client::Http2 { exchange, _connection: client }.response().head.status, 200);
    for way in WAYS {
        let body = r#"{"contents":[],"tools":[{"functionDeclarations":[{"name":"search"}]}]}"#;
        allowed(&site, send(&site, "/v1beta/models/small:generateContent", body.as_bytes(), way));
        let response =
            refused(&site, send(&site, "/v1beta/models/large:generateContent", body.as_bytes(), way));
        assert_eq!(response.head.status, 403);
        let body = body.replace("search", "shell");
        let response =
            refused(&site, send(&site, "/v1beta/models/small:generateContent", body.as_bytes(), way));
        assert_eq!(response.head.status, 403);
    }
}

#[test]
fn a_request_that_is_denied_anyway_need_not_send_its_body() {
    let site = site();
    let mut head = site.post_to(CHAT, JSON).unwrap();
    head.headers.retain(|(name, _)| name != b"authorization");
    let mut client = site.http2().unwrap();
    let exchange = client.start(&head, false).unwrap();
    assert_eq!(refused(&site, Client::Http2 { exchange, _connection: client }).head.status, 401);
    let mut head = site.post_to(CHAT, "text/plain").unwrap();
    let response = refused(&site, send_as(&site, &mut head, br#"{"model":"small"}"#, Way::Chunks));
    assert_eq!(response.head.status, 403, "only JSON is read");
}
