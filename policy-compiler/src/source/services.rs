//! `spec.services`: what Veilwire itself asks, beside the upstreams of callers.

use super::reader::{Fields, Named, check_name, number, text};
use super::upstreams::{Upstream, check_dns_name, check_host};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};
use std::net::IpAddr;

/// The trust that is there without a declaration: the authorities of the system that Envoy runs on.
pub const SYSTEM: &str = "system";

/// One service: a host that proves its name, like an upstream.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// `host`, `port`, `trust` and `sni`; the rest is not written.
    pub peer: Upstream,
}

/// Reads one service.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Service {
    check_name(name, false, out);
    let mut peer = Upstream::default();
    let what = format!("service `{}`", name.value);
    let Some(mut fields) = Fields::open(node, &what, out) else { return Service { peer } };
    peer.host = fields.require("host").and_then(|node| text(node, out)).filter(|text| check_host(text, out));
    peer.port = fields.require("port").and_then(|node| number(node, 1, 65_535, out));
    match fields.take("trust") {
        Some(node) => peer.trust = text(node, out),
        None => out.push(
            Diagnostic::at(
                Code::E0610,
                fields.beginning(),
                format!("{what} is reached without certificate verification"),
            )
            .note("whoever could answer in its place would name the keys that tokens are verified with")
            .help("add `trust: system`, or `trust: NAME` and declare it under `tls: {trust: …}`"),
        ),
    }
    peer.sni = fields.take("sni").and_then(|node| text(node, out)).filter(|text| check_dns_name(text, out));
    fields.close(out);
    Service { peer }
}

impl Service {
    /// Host and, unless it is 443, port, as in URLs of the service.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        let host = &self.peer.sni.as_ref().or(self.peer.host.as_ref())?.value;
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => host.clone(),
        };
        Some(match self.peer.port.as_ref()?.value {
            443 => host,
            port => format!("{host}:{port}"),
        })
    }
}

/// The name of its cluster; the dot keeps it apart from those of upstreams.
#[must_use]
pub fn cluster(service: &str) -> String {
    format!("service.{service}")
}

/// The service of this name.
#[must_use]
pub fn find<'p>(services: &'p [Named<Service>], name: &str) -> Option<&'p Service> {
    services.iter().find(|service| service.name.value == name).map(|service| &service.body)
}
