//! The harness proves itself: a real Envoy without any filter between its own client and its own upstream.
//!
//! What is shown here is what every other test leans on: bytes arrive one by one on both protocols, client
//! certificates are required and seen, ends and cuts are told apart, refusals of TLS are recognised.
#![cfg(test)]

use std::fmt::Write as _;

use veilwire_tests::client::{ALPN_HTTP1, ALPN_HTTP2, Http1Client, Http2Client};
use veilwire_tests::envoy::{self, AccessLog, Envoy};
use veilwire_tests::pki::{Identity, Pki};
use veilwire_tests::probe::{self, Answer, PROTOCOL_VERSION};
use veilwire_tests::upstream::{Ending, Upstream};
use veilwire_tests::wire::{Piece, RequestHead, ResponseHead, headers};

const LISTENER: &str = "edge";

/// Envoy with certificates and an upstream; a folder of its own.
struct Site {
    pki: Pki,
    upstream: Upstream,
    envoy: Envoy,
    log: AccessLog,
}

impl Site {
    fn new(upstream_protocol: &str) -> Self {
        Self::with_client(upstream_protocol, "gateway-client")
    }

    fn with_client(upstream_protocol: &str, client: &str) -> Self {
        let pki = Pki::temporary().unwrap();
        let upstream = Upstream::start(&pki).unwrap();
        let log = pki.path("access.log");
        let config = pki.path("envoy.yaml");
        std::fs::write(&config, bootstrap(&pki, upstream.port(), upstream_protocol, client)).unwrap();
        let envoy = Envoy::start(&config).unwrap();
        Self { pki, upstream, envoy, log: AccessLog::new(log) }
    }

    fn http1(&self) -> Http1Client {
        let config = self.pki.client_config(&[ALPN_HTTP1], None, rustls::ALL_VERSIONS).unwrap();
        Http1Client::connect(self.envoy.address(LISTENER).unwrap(), config).unwrap()
    }

    fn http2(&self) -> Http2Client {
        let config = self.pki.client_config(&[ALPN_HTTP2], None, rustls::ALL_VERSIONS).unwrap();
        Http2Client::connect(self.envoy.address(LISTENER).unwrap(), config).unwrap()
    }
}

/// `upstream_protocol` is the name of Envoy's option: `http_protocol_options` or `http2_protocol_options`.
fn bootstrap(pki: &Pki, upstream_port: u16, upstream_protocol: &str, client: &str) -> String {
    let folder = pki.folder().display();
    let mut yaml = String::new();
    write!(
        yaml,
        r#"
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
static_resources:
  listeners:
  - name: {LISTENER}
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: {{tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates:
            - {{certificate_chain: {{filename: {folder}/edge.pem}}, private_key: {{filename: {folder}/edge.key}}}}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {folder}/access.log
              log_format: {{json_format: {{status: "%RESPONSE_CODE%", path: "%REQ(:path)%", tls: "%DOWNSTREAM_TLS_VERSION%"}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{path: /direct}}
                direct_response: {{status: 200, body: {{inline_string: hello}}}}
              - match: {{prefix: /}}
                route: {{cluster: backend}}
  clusters:
  - name: backend
    type: STATIC
    connect_timeout: 5s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{{upstream_protocol}: {{}}}}
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream_port}}}}}}}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: upstream.example.com
        auto_sni_san_validation: true
        common_tls_context:
          tls_params: {{tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3}}
          tls_certificates:
          - {{certificate_chain: {{filename: {folder}/{client}.pem}}, private_key: {{filename: {folder}/{client}.key}}}}
          validation_context: {{trusted_ca: {{filename: {folder}/backend-ca.pem}}}}
"#
    )
    .unwrap();
    yaml
}

fn event(number: usize) -> Vec<u8> {
    format!("data: {{\"n\":{number}}}\n\n").into_bytes()
}

fn stream_head() -> ResponseHead {
    ResponseHead::new(200, &[("content-type", "text/event-stream")])
}

#[test]
fn a_direct_response_and_its_access_log_line() {
    let mut site = Site::new("http_protocol_options");
    let response = site.http1().request(&RequestHead::new("GET", "/direct", &[]), b"").unwrap();
    assert_eq!((response.head.status, response.text().as_str()), (200, "hello"));
    let line = site.log.next(&site.envoy).unwrap();
    assert_eq!(line["status"], 200);
    assert_eq!(line["path"], "/direct");
    assert_eq!(line["tls"], "TLSv1.3");
    assert_eq!(site.envoy.wait_stat("http.edge.downstream_rq_2xx", |n| n == 1).unwrap(), 1);
    let log = site.envoy.stop().unwrap();
    assert!(log.contains("starting main dispatch loop"), "{log}");
}

#[test]
fn http1_events_arrive_one_by_one() {
    let site = Site::new("http_protocol_options");
    let mut client = site.http1();
    let head =
        RequestHead::new("POST", "/v1/chat?x=1", &[("transfer-encoding", "chunked"), ("x-odd", "a b")]);
    client.send_head(&head).unwrap();
    client.send_chunk(b"one").unwrap();
    let mut exchange = site.upstream.accept().unwrap();
    assert_eq!(exchange.head.method, "POST");
    assert_eq!(exchange.head.path, "/v1/chat?x=1");
    assert_eq!(exchange.head.header("x-odd"), Some(&b"a b"[..]));
    assert_eq!(exchange.connection.protocol, "http/1.1");
    assert_eq!(exchange.connection.tls.as_deref(), Some("TLSv1_3"));
    let subject = exchange.connection.client_subject.clone().unwrap();
    assert!(subject.contains("CN=gateway.example.com"), "{subject}");
    assert_eq!(exchange.next_piece().unwrap(), Piece::Data(b"one".to_vec()));
    client.send_chunk(b"two").unwrap();
    client.finish_chunks(&Vec::new()).unwrap();
    assert_eq!(exchange.body().unwrap(), b"two");

    exchange.respond(stream_head()).unwrap();
    assert_eq!(client.response_head().unwrap().status, 200);
    for number in 0..5 {
        exchange.send(&event(number)).unwrap();
        // The next event is not sent before this one has arrived: a proxy that collects would hang here.
        assert_eq!(client.next_bytes(event(number).len()).unwrap(), event(number));
    }
    exchange.end(Ending::Empty).unwrap();
    assert_eq!(client.next_piece().unwrap(), Piece::End(Vec::new()));

    let second = client.request(&RequestHead::new("GET", "/direct", &[]), b"").unwrap();
    assert_eq!(second.text(), "hello", "the connection goes on");
}

#[test]
fn http2_events_arrive_one_by_one_with_trailers() {
    let site = Site::new("http2_protocol_options");
    let mut client = site.http2();
    let head = RequestHead::new("POST", "/v1/messages", &[("te", "trailers")]);
    let mut call = client.start(&head, false).unwrap();
    call.send(b"one", false).unwrap();
    let mut exchange = site.upstream.accept().unwrap();
    assert_eq!(exchange.connection.protocol, "h2");
    assert_eq!(exchange.head.authority, "localhost");
    assert_eq!(exchange.next_piece().unwrap(), Piece::Data(b"one".to_vec()));
    call.send(b"two", false).unwrap();
    call.finish(&headers(&[("x-end", "request")])).unwrap();
    let (rest, trailers) = exchange.rest().unwrap();
    assert_eq!((rest.as_slice(), trailers), (&b"two"[..], headers(&[("x-end", "request")])));

    exchange.respond(stream_head()).unwrap();
    assert_eq!(call.response_head().unwrap().status, 200);
    for number in 0..5 {
        exchange.send(&event(number)).unwrap();
        assert_eq!(call.next_piece().unwrap(), Piece::Data(event(number)));
    }
    exchange.end(Ending::Trailers(headers(&[("x-end", "response")]))).unwrap();
    assert_eq!(call.next_piece().unwrap(), Piece::End(headers(&[("x-end", "response")])));
}

#[test]
fn every_kind_of_end_is_told_apart() {
    let site = Site::new("http2_protocol_options");
    let mut client = site.http2();
    for ending in [Ending::WithData(b"last".to_vec()), Ending::Empty] {
        let mut call = client.start(&RequestHead::new("GET", "/", &[]), true).unwrap();
        let exchange = site.upstream.accept().unwrap();
        exchange.respond(ResponseHead::new(200, &[])).unwrap();
        exchange.send(b"first ").unwrap();
        exchange.end(ending.clone()).unwrap();
        let response = call.response().unwrap();
        let whole = if ending == Ending::Empty { "first " } else { "first last" };
        assert_eq!(response.text(), whole);
    }
    let mut call = client.start(&RequestHead::new("GET", "/", &[]), true).unwrap();
    let exchange = site.upstream.accept().unwrap();
    exchange.respond(ResponseHead::new(200, &[])).unwrap();
    exchange.send(b"first").unwrap();
    call.response_head().unwrap();
    assert_eq!(call.next_piece().unwrap(), Piece::Data(b"first".to_vec()));
    exchange.end(Ending::Reset).unwrap();
    assert!(call.next_piece().is_err(), "a cut is not an end");
}

#[test]
fn http1_responses_end_by_length_by_chunks_and_by_a_cut() {
    let site = Site::new("http_protocol_options");
    let mut client = site.http1();
    let get = RequestHead::new("GET", "/", &[]);
    client.send_head(&get).unwrap();
    let exchange = site.upstream.accept().unwrap();
    exchange.reply(ResponseHead::new(200, &[("content-length", "5")]), &[b"he", b"llo"]).unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.text(), "hello");
    assert_eq!(response.head.header("content-length"), Some(&b"5"[..]));

    client.send_head(&get).unwrap();
    let exchange = site.upstream.accept().unwrap();
    exchange.respond_bodiless(ResponseHead::new(204, &[])).unwrap();
    assert_eq!(client.response().unwrap().head.status, 204);

    client.send_head(&get).unwrap();
    let exchange = site.upstream.accept().unwrap();
    exchange.respond(ResponseHead::new(200, &[])).unwrap();
    exchange.send(b"first").unwrap();
    client.response_head().unwrap();
    assert_eq!(client.next_bytes(5).unwrap(), b"first");
    exchange.end(Ending::Reset).unwrap();
    assert!(client.next_piece().is_err(), "a cut is not an end");
}

#[test]
fn plaintext_and_tls_1_1_are_refused() {
    let site = Site::new("http_protocol_options");
    let address = site.envoy.address(LISTENER).unwrap();
    assert_eq!(probe::tls11(address).unwrap(), Answer::Alert(PROTOCOL_VERSION));
    // The same probe with TLS 1.2 gets an answer: the refusal was about the version.
    assert_eq!(probe::tls_version(address, 0x0303).unwrap(), Answer::ServerHello(0x0303));
    let answer = probe::plaintext(address).unwrap();
    assert!(!matches!(&answer, Answer::Bytes(bytes) if bytes.starts_with(b"HTTP")), "{answer:?}");
    site.envoy.wait_stat("listener.127.0.0.1_0.ssl.connection_error", |n| n >= 2).unwrap();
}

#[test]
fn the_upstream_refuses_a_client_certificate_of_a_stranger() {
    let site = Site::with_client("http_protocol_options", "stranger");
    let response = site.http1().request(&RequestHead::new("GET", "/", &[]), b"").unwrap();
    assert_eq!(response.head.status, 503);
    let failure = site.upstream.next_failure().unwrap();
    assert!(failure.contains("handshake"), "{failure}");
    assert!(site.upstream.arrived().is_none());
}

#[test]
fn a_caller_may_show_a_certificate_and_tls_1_2() {
    let site = Site::new("http_protocol_options");
    let versions = &[&rustls::version::TLS12];
    let config = site.pki.client_config(&[ALPN_HTTP1], Some(Identity::Caller), versions).unwrap();
    let mut client = Http1Client::connect(site.envoy.address(LISTENER).unwrap(), config).unwrap();
    assert_eq!(client.tls_version(), "TLSv1_2");
    let response = client.request(&RequestHead::new("GET", "/direct", &[]), b"").unwrap();
    assert_eq!(response.head.status, 200);
}

#[test]
fn a_broken_configuration_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("envoy.yaml");
    std::fs::write(&config, "static_resources: {listeners: [{nmae: typo}]}\n").unwrap();
    let output = envoy::validate(&config, &envoy::Options::default()).unwrap();
    assert!(!output.status.success());
    let error = format!("{:#}", Envoy::start(&config).unwrap_err());
    assert!(error.contains("nmae"), "{error}");
}

#[test]
fn two_envoys_live_side_by_side() {
    let one = Site::new("http_protocol_options");
    let two = Site::new("http_protocol_options");
    assert_ne!(one.envoy.address(LISTENER).unwrap(), two.envoy.address(LISTENER).unwrap());
    for site in [&one, &two] {
        let response = site.http1().request(&RequestHead::new("GET", "/direct", &[]), b"").unwrap();
        assert_eq!(response.head.status, 200);
    }
}
