//! `spec.listeners`: where Envoy listens, and what it writes about it.

use super::reader::{Fields, number, text};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use std::net::IpAddr;

/// The `http` listener.
#[derive(Clone, Debug, Default)]
pub struct Listener {
    /// Address and port that callers connect to.
    pub bind: Bind,
    /// Envoy's administration port.
    pub admin: Option<Bind>,
    /// File the access log (with the audit event) goes to.
    pub access_log: Option<Text>,
}

/// An address and a port.
#[derive(Clone, Debug, Default)]
pub struct Bind {
    /// `address`.
    pub address: Option<Spanned<IpAddr>>,
    /// `port`.
    pub port: Option<Spanned<u64>>,
}

/// Reads the section.
pub fn read(node: &Node, out: &mut Diagnostics) -> Listener {
    let mut listener = Listener::default();
    let Some(mut fields) = Fields::open(node, "`listeners`", out) else { return listener };
    fields.not_yet("postgres", out);
    let http = fields.require("http");
    fields.close(out);
    let Some(mut http) = http.and_then(|node| Fields::open(node, "listener `http`", out)) else {
        return listener;
    };
    listener.bind = read_bind(&mut http, out);
    if let Some(node) = http.take("admin")
        && let Some(mut admin) = Fields::open(node, "`admin`", out)
    {
        let bind = read_bind(&mut admin, out);
        admin.close(out);
        if let Some(address) = bind.address.as_ref().filter(|address| !address.value.is_loopback()) {
            out.push(
                Diagnostic::at(
                    Code::E0603,
                    address.span,
                    "the administration port would be reachable from outside",
                )
                .note(
                    "it has no access control: whoever reaches it reads the configuration and can stop Envoy",
                )
                .help("write `127.0.0.1` or `::1`"),
            );
        }
        listener.admin = Some(bind);
    }
    listener.access_log = http.take("accessLog").and_then(|node| text(node, out));
    http.close(out);
    listener
}

fn read_bind(fields: &mut Fields<'_>, out: &mut Diagnostics) -> Bind {
    let address = fields.require("address").and_then(|node| text(node, out)).and_then(|text| {
        let address = text.value.parse().ok();
        if address.is_none() {
            let message = format!("`{}` is not an IP address", text.value);
            let help = "write an address of this machine, or `0.0.0.0` for all of them";
            out.push(Diagnostic::at(Code::E0205, text.span, message).help(help));
        }
        address.map(|address| Spanned::new(address, text.span))
    });
    let port = fields.require("port").and_then(|node| number(node, 1, 65_535, out));
    Bind { address, port }
}
