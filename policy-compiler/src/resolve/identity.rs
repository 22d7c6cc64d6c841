//! `spec.identity` and `spec.groups`: issuers, key sets, and who maps to which group.

mod tokenless;

use super::remote_keys;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use crate::files::Files;
use crate::source::Policy;
use crate::source::identity::Provider;
use crate::source::key_sets::Keys;
use veilwire_engine::identity::KeySet;
use veilwire_engine::policy::model::{Algorithm, RemoteKeys};

/// Where the keys of a provider are.
#[derive(Clone, Debug)]
pub enum KeyPlace {
    /// The JWKS document, read and tried.
    Inline(String),
    /// A service that is asked.
    Remote(RemoteKeys),
    /// None: what verifies is shared.
    Secret,
}

/// Where the keys of each provider are.
pub(super) fn resolve(policy: &Policy, files: &dyn Files, out: &mut Diagnostics) -> Vec<Option<KeyPlace>> {
    for group in &policy.groups {
        for (provider, _) in &group.body.from {
            super::refer(Code::E0308, "identity provider", provider, &policy.identity, out);
        }
    }
    for provider in &policy.identity {
        if let Some(issuer) = &provider.body.issuer {
            check_issuer(issuer, out);
        }
        if let Some(leeway) = provider.body.leeway.as_ref().filter(|leeway| leeway.value > 300) {
            let message = "tokens would be accepted more than five minutes after they expired";
            out.push(
                Diagnostic::at(Code::W0407, leeway.span, message).help("keep clocks in step and write `60s`"),
            );
        }
    }
    same_issuer(policy, out);
    tokenless::resolve(policy, out);
    policy.identity.iter().map(|provider| resolve_keys(policy, &provider.body, files, out)).collect()
}

fn resolve_keys(
    policy: &Policy,
    provider: &Provider,
    files: &dyn Files,
    out: &mut Diagnostics,
) -> Option<KeyPlace> {
    let file = match provider.keys.as_ref()? {
        Keys::File(file) => file,
        Keys::Secret(_) => return Some(KeyPlace::Secret),
        Keys::Fetched(fetched) => {
            return remote_keys::resolve(policy, provider, fetched, out).map(KeyPlace::Remote);
        }
    };
    let algorithms = &provider.algorithms;
    let (text, keys) = read_keys(file, algorithms, files, out)?;
    let usable = algorithms.iter().any(|algorithm| keys.keys_for(algorithm.value).next().is_some());
    if !usable && !algorithms.is_empty() {
        out.push(unusable(file, "it has none for the accepted algorithms".to_owned()));
    }
    Some(KeyPlace::Inline(text))
}

/// A token names its provider by its issuer, so an issuer has one.
fn same_issuer(policy: &Policy, out: &mut Diagnostics) {
    let mut seen: Vec<&Text> = Vec::new();
    for issuer in policy.identity.iter().filter_map(|provider| provider.body.issuer.as_ref()) {
        match seen.iter().find(|first| first.value == issuer.value) {
            Some(first) => out.push(
                Diagnostic::at(
                    Code::E0409,
                    issuer.span,
                    format!("issuer `{}` belongs to another provider", issuer.value),
                )
                .also(first.span, "first named here")
                .help("make it one provider with all audiences and keys"),
            ),
            None => seen.push(issuer),
        }
    }
}

/// SECURITY: whoever can answer for the issuer's name over plain HTTP can be the issuer. Loopback is for development.
fn check_issuer(issuer: &Text, out: &mut Diagnostics) {
    let host = |rest: &str| {
        let authority = rest.split('/').next().unwrap_or("").to_owned();
        match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((inner, _)) => inner.to_owned(),
            None => authority.split(':').next().unwrap_or("").to_owned(),
        }
    };
    let usable = match issuer.value.split_once("://") {
        Some(("https", rest)) => !host(rest).is_empty(),
        Some(("http", rest)) => {
            let host = host(rest);
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    };
    if !usable {
        out.push(
            Diagnostic::at(
                Code::E0404,
                issuer.span,
                format!("issuer `{}` is not an https URL", issuer.value),
            )
            .note("it is compared byte for byte with `iss`, and names who is trusted")
            .help(
                "write the issuer exactly as it stands in its tokens; `http` is accepted for loopback only",
            ),
        );
    }
}

fn read_keys(
    file: &Text,
    algorithms: &[Spanned<Algorithm>],
    files: &dyn Files,
    out: &mut Diagnostics,
) -> Option<(String, KeySet)> {
    let bytes = super::tls::read(file, "key set", files, out)?;
    let Ok(text) = String::from_utf8(bytes) else {
        out.push(unusable(file, "it is not text".to_owned()));
        return None;
    };
    let algorithms: Vec<Algorithm> = algorithms.iter().map(|algorithm| algorithm.value).collect();
    match KeySet::parse_for(&text, &algorithms) {
        Ok(keys) => Some((text, keys)),
        Err(error) => {
            out.push(unusable(file, error.to_string()));
            None
        }
    }
}

fn unusable(file: &Text, reason: String) -> Diagnostic {
    let message = format!("key set `{}` cannot be used: {reason}", file.value);
    Diagnostic::at(Code::E0402, file.span, message)
        .note("every token of this provider would be refused")
        .help("a JWKS (RFC 7517) with a public RSA key of 2048 bits or more, a P-256, P-384 or Ed25519 key")
}
