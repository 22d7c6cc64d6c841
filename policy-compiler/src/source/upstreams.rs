//! `spec.upstreams`: where requests go, and how Veilwire knows it got there.

use super::choice;
use super::reader::{Fields, check_name, number, text};
use super::tls::{Certificate, certificate};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use std::net::IpAddr;

/// One upstream.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    /// `http.host`: a DNS name or an IP address.
    pub host: Option<Text>,
    /// `http.port`.
    pub port: Option<Spanned<u64>>,
    /// `http.trust`: name of the trust that must have signed its certificate.
    pub trust: Option<Text>,
    /// `http.sni`: the name it is asked for and must prove, when that is not `host`.
    pub sni: Option<Text>,
    /// `http.clientCertificate`: what Envoy shows it.
    pub client: Option<Certificate>,
    /// `http.protocol`: what is spoken to it; HTTP/1.1 when it is not given.
    pub protocol: Option<Spanned<Protocol>>,
}

/// What is spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, which gRPC needs.
    Http2,
}

/// Reads one upstream.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Upstream {
    check_name(name, false, out);
    let mut upstream = Upstream::default();
    let what = format!("upstream `{}`", name.value);
    let Some(mut fields) = Fields::open(node, &what, out) else { return upstream };
    let other = fields.has("postgres");
    for key in ["postgres", "credential", "waiver"] {
        fields.not_yet(key, out);
    }
    let http = if other { fields.take("http") } else { fields.require("http") };
    fields.close(out);
    let Some(mut http) = http.and_then(|node| Fields::open(node, "`http`", out)) else { return upstream };
    upstream.host =
        http.require("host").and_then(|node| text(node, out)).filter(|text| check_host(text, out));
    upstream.port = http.require("port").and_then(|node| number(node, 1, 65_535, out));
    match http.take("trust") {
        Some(node) => upstream.trust = text(node, out),
        None => out.push(
            Diagnostic::at(
                Code::E0610,
                http.beginning(),
                format!("{what} is reached without certificate verification"),
            )
            .note("Envoy accepts any certificate when no authority is given")
            .help("add `trust: NAME` and declare it under `tls: {trust: …}`"),
        ),
    }
    upstream.sni = http.take("sni").and_then(|node| text(node, out)).filter(|text| check_dns_name(text, out));
    if let Some(node) = http.take("clientCertificate") {
        upstream.client = certificate(node, "`clientCertificate`", out);
    }
    let protocols = [("http1", Protocol::Http1), ("http2", Protocol::Http2)];
    upstream.protocol = http.take("protocol").and_then(|node| choice(node, "protocol", &protocols, &[], out));
    http.close(out);
    upstream
}

/// A DNS name or an IP address.
fn check_host(text: &Text, out: &mut Diagnostics) -> bool {
    text.value.parse::<IpAddr>().is_ok() || check_dns_name(text, out)
}

/// Whether `text` is a DNS name in lower case (RFC 1123 labels).
pub fn check_dns_name(text: &Text, out: &mut Diagnostics) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let usable = text.value.len() <= 253 && text.value.split('.').all(label);
    if !usable {
        let help = "write a DNS name in lower case, without port, scheme or `*`";
        out.push(
            Diagnostic::at(Code::E0205, text.span, format!("`{}` is not a host name", text.value)).help(help),
        );
    }
    usable
}
