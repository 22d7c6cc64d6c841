//! `spec.tls`: what both legs of every connection must be.

use super::choice;
use super::reader::{Fields, Named, check_name, named, text, texts};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};

/// The section.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// `profile`.
    pub profile: Option<Spanned<Profile>>,
    /// `downstream.certificate`.
    pub certificate: Option<Certificate>,
    /// `downstream.clientCertificate.require`.
    pub client: Option<ClientCertificate>,
    /// `trust`: named sets of certificate authorities.
    pub trust: Vec<Named<Trust>>,
}

/// Mozilla's guidelines, version 6.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// TLS 1.3 only.
    Modern,
    /// TLS 1.2 with six ECDHE AEAD suites, and TLS 1.3.
    Intermediate,
}

/// `certificate: {files: {chain, key}}`. The key is referred to, never read.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// PEM file with the certificate and its intermediates.
    pub chain: Text,
    /// PEM file with the private key.
    pub key: Text,
}

/// `clientCertificate: {require: …}`.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// Name of the trust that must have signed it.
    pub trust: Text,
    /// URI names of which the certificate must carry one; `…/` at the end means everything below.
    pub uri_sans: Vec<Text>,
}

/// One trust.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// `file`: PEM certificates.
    pub file: Option<Text>,
}

/// Reads the section.
pub fn read(node: &Node, out: &mut Diagnostics) -> Tls {
    let mut tls = Tls::default();
    let Some(mut fields) = Fields::open(node, "`tls`", out) else { return tls };
    if let Some(node) = fields.require("require") {
        choice(node, "requirement", &[("always", ())], &[], out);
    }
    let profiles = [("modern", Profile::Modern), ("intermediate", Profile::Intermediate)];
    tls.profile = fields.require("profile").and_then(|node| choice(node, "profile", &profiles, &[], out));
    if let Some(node) = fields.require("downstream") {
        read_downstream(&mut tls, node, out);
    }
    if let Some(node) = fields.require("trust") {
        tls.trust = named(node, read_trust, out);
    }
    fields.close(out);
    tls
}

fn read_downstream(tls: &mut Tls, node: &Node, out: &mut Diagnostics) {
    let Some(mut fields) = Fields::open(node, "`downstream`", out) else { return };
    tls.certificate = fields.require("certificate").and_then(|node| certificate(node, "`certificate`", out));
    if let Some(node) = fields.take("clientCertificate") {
        tls.client = read_client(node, out);
    }
    fields.close(out);
}

/// Reads `{files: {chain, key}}`; `{sds: name}` is of the language, not built yet.
pub fn certificate(node: &Node, what: &str, out: &mut Diagnostics) -> Option<Certificate> {
    let mut fields = Fields::open(node, what, out)?;
    let served = fields.has("sds");
    fields.not_yet("sds", out);
    let files = if served { fields.take("files") } else { fields.require("files") };
    fields.close(out);
    let mut files = Fields::open(files?, "`files`", out)?;
    let chain = files.require("chain").and_then(|node| text(node, out));
    let key = files.require("key").and_then(|node| text(node, out));
    files.close(out);
    Some(Certificate { chain: chain?, key: key? })
}

fn read_client(node: &Node, out: &mut Diagnostics) -> Option<ClientCertificate> {
    let mut fields = Fields::open(node, "`clientCertificate`", out)?;
    let require = fields.require("require");
    fields.close(out);
    let mut require = Fields::open(require?, "`require`", out)?;
    let trust = require.require("trust").and_then(|node| text(node, out));
    let uri_sans = require.take("uriSans").map(|node| texts(node, out)).unwrap_or_default();
    for name in &uri_sans {
        let scheme =
            name.value.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        if !scheme || name.value.contains('*') || !name.value.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("`{}` is not a URI name", name.value);
            let help = "write a whole URI, or a beginning that ends in `/`, as in `spiffe://acme.internal/`";
            out.push(Diagnostic::at(Code::E0205, name.span, message).help(help));
        }
    }
    require.not_yet("dnsSans", out);
    require.close(out);
    Some(ClientCertificate { trust: trust?, uri_sans })
}

fn read_trust(node: &Node, name: &Text, out: &mut Diagnostics) -> Trust {
    check_name(name, false, out);
    let mut trust = Trust::default();
    let Some(mut fields) = Fields::open(node, &format!("trust `{}`", name.value), out) else { return trust };
    trust.file = fields.require("file").and_then(|node| text(node, out));
    fields.not_yet("crl", out);
    fields.close(out);
    trust
}
