//! `spec.identity`: who says who a caller is.

pub mod tokenless;

use super::choice;
use super::key_sets::{self, Keys};
use super::reader::{Fields, Named, boolean, check_name, duration, list, text, texts};
use super::yaml::{Kind, Node};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use tokenless::Tokenless;
use veilwire_engine::policy::model::{Algorithm, Document, TokenSource};

/// One identity provider: a JWT issuer, unless callers are known by something else.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    /// `issuer`.
    pub issuer: Option<Text>,
    /// `audiences`.
    pub audiences: Vec<Text>,
    /// `algorithms`.
    pub algorithms: Vec<Spanned<Algorithm>>,
    /// `jwks`, `discovery` or `secret`.
    pub keys: Option<Keys>,
    /// `groupsClaim`.
    pub groups_claim: Option<Text>,
    /// `leeway` in seconds.
    pub leeway: Option<Spanned<u64>>,
    /// `maxAge` in seconds.
    pub max_age: Option<Spanned<u64>>,
    /// `expiry: optional`.
    pub expiry_optional: Option<Spanned<bool>>,
    /// `typ`, in lower case.
    pub required_type: Option<Spanned<&'static str>>,
    /// `authorizedParties`.
    pub authorized_parties: Vec<Text>,
    /// `from`.
    pub sources: Vec<Spanned<TokenSource>>,
    /// `keepToken`.
    pub keep_token: bool,
    /// `verifiedBy`: whether Envoy verifies the signatures.
    pub verified_by: Option<Spanned<bool>>,
    /// `bound: required`.
    pub bound: Option<Spanned<bool>>,
    /// `mtls` or `apiKeys`.
    pub tokenless: Option<Tokenless>,
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
    provider.tokenless = tokenless::read(&mut fields, out);
    let jwt = if provider.tokenless.is_some() { fields.take("jwt") } else { fields.require("jwt") };
    if let Some(mut jwt) = jwt.and_then(|node| Fields::open(node, "`jwt`", out)) {
        provider.issuer = jwt.require("issuer").and_then(|node| text(node, out));
        provider.audiences = jwt.require("audiences").map(|node| texts(node, out)).unwrap_or_default();
        provider.algorithms =
            jwt.require("algorithms").map(|node| list(node, read_algorithm, out)).unwrap_or_default();
        provider.keys = key_sets::read(&mut jwt, out);
        provider.groups_claim = jwt.require("groupsClaim").and_then(|node| text(node, out));
        provider.leeway = jwt.take("leeway").and_then(|node| duration(node, 0, 3600, out));
        provider.max_age = jwt.take("maxAge").and_then(|node| duration(node, 1, 366 * 86_400, out));
        let expiry = [("required", false), ("optional", true)];
        provider.expiry_optional =
            jwt.take("expiry").and_then(|node| choice(node, "expiry", &expiry, &[], out));
        let types = [("JWT", "jwt"), ("at+jwt", "at+jwt")];
        provider.required_type =
            jwt.take("typ").and_then(|node| choice(node, "type of token", &types, &[], out));
        provider.authorized_parties =
            jwt.take("authorizedParties").map(|node| texts(node, out)).unwrap_or_default();
        provider.sources = jwt.take("from").map(|node| read_sources(node, out)).unwrap_or_default();
        provider.keep_token = jwt.take("keepToken").and_then(|node| boolean(node, out)).unwrap_or(false);
        let bound = [("required", true)];
        provider.bound = jwt.take("bound").and_then(|node| choice(node, "binding", &bound, &[], out));
        let verifiers = [("filter", false), ("envoy", true)];
        provider.verified_by =
            jwt.take("verifiedBy").and_then(|node| choice(node, "verifier", &verifiers, &[], out));
        provider.check_expiry(out);
        provider.check_verifier(out);
        provider.check_secret(out);
        jwt.close(out);
    }
    fields.close(out);
    provider
}

impl Provider {
    /// Whether Envoy verifies the signatures of its tokens.
    #[must_use]
    pub fn verified_by_envoy(&self) -> bool {
        self.verified_by.as_ref().is_some_and(|by_envoy| by_envoy.value)
    }

    /// Envoy asks for key sets, and knows no metadata of issuers.
    fn check_verifier(&self, out: &mut Diagnostics) {
        if let Some(Keys::Fetched(fetched)) = &self.keys
            && fetched.document == Document::Discovery
            && let Some(by_envoy) = self.verified_by.as_ref().filter(|by_envoy| by_envoy.value)
        {
            out.push(
                Diagnostic::at(Code::E0343, by_envoy.span, "Envoy cannot find these keys")
                    .also(fetched.span, "it does not read metadata of issuers")
                    .help("name the key set with `jwks: {service, path}`, as the metadata say (`jwks_uri`)"),
            );
        }
    }

    /// What verifies a MAC can make one: it is shared with the filter alone, and a public key is none.
    fn check_secret(&self, out: &mut Diagnostics) {
        let Some(keys) = &self.keys else { return };
        let macs = |algorithm: &&Spanned<Algorithm>| algorithm.value.mac_length().is_some();
        let Keys::Secret(secret) = keys else {
            for algorithm in self.algorithms.iter().filter(macs) {
                let message = format!("algorithm `{}` is refused", algorithm.value.name());
                out.push(
                    Diagnostic::at(Code::E0403, algorithm.span, message)
                        .note("an HMAC key in a public key set is known to everybody")
                        .help("use RS256, PS256, ES256 or EdDSA; or, if the issuer shares a secret with you, `secret: {from: …}`"),
                );
            }
            return;
        };
        for algorithm in self.algorithms.iter().filter(|algorithm| !macs(algorithm)) {
            let message = format!("`{}` is verified with a public key", algorithm.value.name());
            out.push(
                Diagnostic::at(Code::E0344, algorithm.span, message)
                    .also(secret.span, "the provider shares a secret")
                    .help("name HS256, HS384 or HS512, or the issuer's `jwks` instead of a secret"),
            );
        }
        if let Some(by_envoy) = self.verified_by.as_ref().filter(|by_envoy| by_envoy.value) {
            out.push(
                Diagnostic::at(Code::E0344, by_envoy.span, "Envoy does not have the secret")
                    .also(secret.span, "only the filter does")
                    .help("leave `verifiedBy` out"),
            );
        }
    }

    /// A token without an end must have one all the same.
    fn check_expiry(&self, out: &mut Diagnostics) {
        if let Some(optional) = self.expiry_optional.as_ref().filter(|optional| optional.value)
            && self.max_age.is_none()
        {
            let message = "tokens without `exp` would be good for ever";
            out.push(
                Diagnostic::at(Code::E0330, optional.span, message)
                    .help("add `maxAge: 1h`, counted from `iat`, or leave `expiry` out"),
            );
        }
    }
}

/// Where tokens are: `authorization`, or a header, cookie or parameter by its name; each once.
fn read_sources(node: &Node, out: &mut Diagnostics) -> Vec<Spanned<TokenSource>> {
    let mut kept: Vec<Spanned<TokenSource>> = Vec::new();
    for source in list(node, read_source, out) {
        match kept.iter().find(|first| first.value == source.value) {
            Some(first) => out.push(
                Diagnostic::at(Code::E0204, source.span, "this place is written twice")
                    .also(first.span, "first written here"),
            ),
            None => kept.push(source),
        }
    }
    kept
}

fn read_source(node: &Node, out: &mut Diagnostics) -> Option<Spanned<TokenSource>> {
    if let Kind::Scalar(_) = &node.kind {
        return choice(node, "place of a token", &[("authorization", ())], &[], out)
            .map(|found| Spanned::new(TokenSource::Authorization, found.span));
    }
    let mut fields = Fields::open(node, "a place of tokens", out)?;
    let places = [
        ("header", TokenSource::Header as fn(String) -> TokenSource),
        ("cookie", TokenSource::Cookie),
        ("query", TokenSource::Query),
    ];
    let mut found = Vec::new();
    for (key, make) in places {
        let Some(name) = fields.take(key).and_then(|node| text(node, out)) else { continue };
        found.extend(check_source(key, &name, out).map(|name| Spanned::new(make(name), node.span)));
    }
    let written = places.iter().filter(|(key, _)| fields.has(key)).count();
    fields.close(out);
    if written > 1 {
        let message = "a place of tokens is one header, cookie or parameter";
        out.push(Diagnostic::at(Code::E0209, node.span, message).help("make them entries of the list"));
        return None;
    }
    found.pop()
}

/// The name as requests have it. `authorization` has a word of its own, and some headers are never a credential.
fn check_source(key: &str, name: &Text, out: &mut Diagnostics) -> Option<String> {
    // RFC 9110 section 5.6.2, `token`.
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.value.to_ascii_lowercase();
    let reserved = ["authorization", "cookie", "host", "connection", "te", "content-type", "content-length"];
    let own = lower.starts_with("x-veilwire-") || lower.starts_with("x-envoy-");
    let usable = match key {
        "header" => name.value.bytes().all(token) && !reserved.contains(&lower.as_str()) && !own,
        "cookie" => name.value.bytes().all(token),
        _ => name.value.bytes().all(|byte| byte.is_ascii_graphic()),
    };
    if !usable || name.value.is_empty() || name.value.len() > 128 {
        let message = format!("`{}` cannot be the {key} that carries a token", name.value);
        out.push(Diagnostic::at(Code::E0205, name.span, message));
        return None;
    }
    if key == "query" {
        out.push(
            Diagnostic::at(Code::W0530, name.span, format!("tokens in the query (`{}`) are seen by many", name.value))
                .note("addresses stand in histories, logs and `referer`; RFC 6750 section 2.3 and RFC 9700 advise against it")
                .help("use `authorization`, a header or a cookie if the clients can"),
        );
    }
    Some(if key == "header" { lower } else { name.value.clone() })
}

fn read_algorithm(node: &Node, out: &mut Diagnostics) -> Option<Spanned<Algorithm>> {
    let known = Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
    let written = super::reader::word(node, out)?;
    if written.value.eq_ignore_ascii_case("none") {
        out.push(
            Diagnostic::at(Code::E0403, written.span, format!("algorithm `{}` is refused", written.value))
                .note("it is no signature")
                .help("use RS256, PS256, ES256 or EdDSA"),
        );
        return None;
    }
    choice(node, "algorithm", &known, &["ES256K"], out)
}
