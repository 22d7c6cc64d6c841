//! `spec.identity`: who says who a caller is.

use super::choice;
use super::reader::{Fields, Named, check_name, duration, list, text, texts};
use super::yaml::Node;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use veilwire_engine::policy::model::Algorithm;

/// One identity provider: a JWT issuer.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    /// `issuer`.
    pub issuer: Option<Text>,
    /// `audiences`.
    pub audiences: Vec<Text>,
    /// `algorithms`.
    pub algorithms: Vec<Spanned<Algorithm>>,
    /// `jwks: {inline: {file}}`.
    pub jwks_file: Option<Text>,
    /// `groupsClaim`.
    pub groups_claim: Option<Text>,
    /// `leeway` in seconds.
    pub leeway: Option<Spanned<u64>>,
}

/// The section.
pub type Identity = Vec<Named<Provider>>;

/// Reads one provider.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Provider {
    check_name(name, false, out);
    let mut provider = Provider::default();
    let Some(mut fields) = Fields::open(node, &format!("provider `{}`", name.value), out) else {
        return provider;
    };
    fields.not_yet("mtls", out);
    let jwt = if fields.has("mtls") { fields.take("jwt") } else { fields.require("jwt") };
    if let Some(mut jwt) = jwt.and_then(|node| Fields::open(node, "`jwt`", out)) {
        provider.issuer = jwt.require("issuer").and_then(|node| text(node, out));
        provider.audiences = jwt.require("audiences").map(|node| texts(node, out)).unwrap_or_default();
        provider.algorithms =
            jwt.require("algorithms").map(|node| list(node, read_algorithm, out)).unwrap_or_default();
        provider.jwks_file = jwt.require("jwks").and_then(|node| read_jwks(node, out));
        provider.groups_claim = jwt.require("groupsClaim").and_then(|node| text(node, out));
        provider.leeway = jwt.take("leeway").and_then(|node| duration(node, 0, 3600, out));
        jwt.close(out);
    }
    fields.close(out);
    provider
}

fn read_algorithm(node: &Node, out: &mut Diagnostics) -> Option<Spanned<Algorithm>> {
    let known = [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)];
    let later = ["RS384", "RS512", "ES384", "ES512", "PS256", "PS384", "PS512", "ES256K"];
    let written = super::reader::word(node, out)?;
    if written.value.eq_ignore_ascii_case("none") || written.value.to_ascii_uppercase().starts_with("HS") {
        out.push(
            Diagnostic::at(Code::E0403, written.span, format!("algorithm `{}` is refused", written.value))
                .note("`none` is no signature, and an HMAC key in a public key set is known to everybody")
                .help("use RS256, ES256 or EdDSA"),
        );
        return None;
    }
    choice(node, "algorithm", &known, &later, out)
}

fn read_jwks(node: &Node, out: &mut Diagnostics) -> Option<Text> {
    let mut fields = Fields::open(node, "`jwks`", out)?;
    let later = ["cluster", "service", "path", "refresh", "serveStaleFor"];
    let fetched = later.iter().any(|key| fields.has(key));
    for key in later {
        fields.not_yet(key, out);
    }
    let inline = if fetched { fields.take("inline") } else { fields.require("inline") };
    let file = inline.and_then(|node| {
        let mut inline = Fields::open(node, "`inline`", out)?;
        let file = inline.require("file").and_then(|node| text(node, out));
        inline.close(out);
        file
    });
    fields.close(out);
    file
}
