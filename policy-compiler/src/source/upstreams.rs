//! `spec.upstreams`: where requests go, and how Veilwire knows it got there.

use super::choice;
use super::reader::{Fields, check_name, number, size, text};
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
    /// `credential.awsSigV4`: how Envoy signs requests to it.
    pub signing: Option<Signing>,
    /// `http.protocol`: what is spoken to it; HTTP/1.1 when it is not given.
    pub protocol: Option<Spanned<Protocol>>,
}

/// A signature of AWS over requests, body included (AWS Signature Version 4).
#[derive(Clone, Debug)]
pub struct Signing {
    /// `service`, such as `bedrock`.
    pub service: Text,
    /// `region`, such as `eu-central-1`.
    pub region: Text,
    /// `from`: where Envoy finds the key.
    pub from: KeySource,
    /// `maxBody` in bytes: the longest body, which is held until it is signed.
    pub max_body: u64,
}

/// `maxBody` when a policy names none.
const MAX_SIGNED_BODY: u64 = 1 << 20;

/// Where Envoy finds a key of AWS. Policies never hold one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySource {
    /// Its own environment.
    #[default]
    Environment,
    /// The container it runs in.
    Container,
    /// The instance it runs on.
    Instance,
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
    for key in ["postgres", "waiver"] {
        fields.not_yet(key, out);
    }
    upstream.signing = fields.take("credential").and_then(|node| read_credential(node, out));
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

fn read_credential(node: &Node, out: &mut Diagnostics) -> Option<Signing> {
    let mut fields = Fields::open(node, "`credential`", out)?;
    let later = ["header", "bearer", "password"];
    let signing = if later.iter().any(|key| fields.has(key)) {
        later.into_iter().for_each(|key| fields.not_yet(key, out));
        fields.take("awsSigV4")
    } else {
        fields.require("awsSigV4")
    };
    fields.close(out);
    let mut fields = Fields::open(signing?, "`awsSigV4`", out)?;
    let service = fields.require("service").and_then(|node| text(node, out));
    let region = fields.require("region").and_then(|node| text(node, out));
    let sources = [
        ("environment", KeySource::Environment),
        ("container", KeySource::Container),
        ("instance", KeySource::Instance),
    ];
    let from = fields.take("from").map(|node| choice(node, "source of keys", &sources, &[], out));
    let max_body = fields.take("maxBody").map(|node| size(node, 64 << 10, 64 << 20, out));
    fields.close(out);
    let from = from.map_or(Some(KeySource::default()), |from| from.map(|from| from.value));
    let max_body = max_body.map_or(Some(MAX_SIGNED_BODY), |size| size.map(|size| size.value));
    let service = service.filter(|text| check_aws_name(text, out));
    let region = region.filter(|text| check_aws_name(text, out));
    Some(Signing { service: service?, region: region?, from: from?, max_body: max_body? })
}

/// Names of services and regions.
fn check_aws_name(text: &Text, out: &mut Diagnostics) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let usable = (1..=63).contains(&text.value.len()) && text.value.bytes().all(plain);
    if !usable {
        let message = format!("`{}` is not a name of AWS", text.value);
        out.push(
            Diagnostic::at(Code::E0205, text.span, message)
                .help("write it as in `bedrock` and `eu-central-1`"),
        );
    }
    usable
}

/// Whether `text` is a DNS name or an IP address.
pub fn check_host(text: &Text, out: &mut Diagnostics) -> bool {
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
