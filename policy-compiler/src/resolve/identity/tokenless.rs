//! Providers of certificates and API keys: that the listener asks for certificates, that no two providers vouch for the same
//! callers, and that what groups are mapped from can exist.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, Text};
use crate::source::Policy;
use crate::source::identity::Provider;
use crate::source::identity::tokenless::{ApiKeys, Tokenless};
use crate::source::reader::Named;
use veilwire_engine::identity::is_name_pattern;
use veilwire_engine::policy::model::{CertificateName, TokenSource};

pub(super) fn resolve(policy: &Policy, out: &mut Diagnostics) {
    for provider in &policy.identity {
        check_listener(policy, provider, out);
        if let Some(Tokenless::ApiKeys(keys)) = &provider.body.tokenless {
            check_keys(policy, provider, keys, out);
        }
    }
    check_certificates(policy, out);
    for (provider, value) in policy.groups.iter().flat_map(|group| &group.body.from) {
        check_group(policy, provider, value, out);
    }
}

/// SECURITY: a certificate that the listener does not demand was verified by nobody.
fn check_listener(policy: &Policy, provider: &Named<Provider>, out: &mut Diagnostics) {
    let certificate = matches!(provider.body.tokenless, Some(Tokenless::Certificate(_)));
    let what = match (&provider.body.bound, certificate) {
        (_, true) => "knows callers by certificates that the listener does not demand",
        (Some(_), _) => "demands tokens that are bound to certificates, which the listener does not demand",
        (None, false) => return,
    };
    if policy.tls.client.is_none() {
        let span = provider.body.bound.as_ref().map_or(provider.name.span, |bound| bound.span);
        out.push(
            Diagnostic::at(Code::E0331, span, format!("provider `{}` {what}", provider.name.value))
                .note("only with a trust Envoy verifies who a certificate is of")
                .help("add `clientCertificate: {require: {trust: NAME}}` under `tls: {downstream: …}`"),
        );
    }
}

/// One certificate, one provider: trust domains keep them apart, and nothing else does.
fn check_certificates(policy: &Policy, out: &mut Diagnostics) {
    let mut seen: Vec<(&Text, &CertificateName)> = Vec::new();
    for provider in &policy.identity {
        let Some(Tokenless::Certificate(Some(name))) = &provider.body.tokenless else { continue };
        let name = &name.value;
        let spiffe = |name: &CertificateName| matches!(name, CertificateName::Spiffe(_));
        let clash = seen.iter().find(|(_, other)| *other == name || !spiffe(other) || !spiffe(name));
        if let Some((first, _)) = clash {
            let message =
                format!("provider `{}` would vouch for certificates of another one", provider.name.value);
            out.push(
                Diagnostic::at(Code::E0332, provider.name.span, message)
                    .also(first.span, "the other one")
                    .note("a certificate can have names of all kinds, and the caller could choose which one counts")
                    .help("only providers with `subject: uriSan` and trust domains of their own can be side by side"),
            );
        }
        seen.push((&provider.name, name));
    }
}

fn check_keys(policy: &Policy, provider: &Named<Provider>, keys: &ApiKeys, out: &mut Diagnostics) {
    if let Some(header) = &keys.header
        && let Some(other) = user_of(policy, provider, &header.value)
    {
        let message = format!("header `{}` carries credentials of another provider", header.value);
        out.push(
            Diagnostic::at(Code::E0332, header.span, message)
                .also(other, "the other one")
                .help("give each provider a header of its own"),
        );
    }
    for (index, key) in keys.keys.iter().enumerate() {
        let same = |other: &&Named<_>| {
            let other: &Named<crate::source::identity::tokenless::ApiKey> = other;
            key.body.hash.is_some()
                && (&other.body.salt, &other.body.hash) == (&key.body.salt, &key.body.hash)
        };
        if let Some(first) = keys.keys.iter().take(index).find(same) {
            out.push(
                Diagnostic::at(Code::E0332, key.name.span, "this API key has another name already")
                    .also(first.name.span, "the same key"),
            );
        }
        for group in &key.body.groups {
            let mapped = policy.groups.iter().flat_map(|group| &group.body.from);
            let mut of_provider = mapped.filter(|(name, _)| name.value == provider.name.value);
            if !of_provider.any(|(_, value)| value.value == group.value) {
                let message =
                    format!("no group is mapped from `{}` of `{}`", group.value, provider.name.value);
                let help =
                    format!("map it under `groups`, as in `{{{}: {}}}`", provider.name.value, group.value);
                out.push(Diagnostic::at(Code::E0333, group.span, message).help(help));
            }
        }
    }
}

/// Where else this header is said to carry credentials.
fn user_of(policy: &Policy, me: &Named<Provider>, header: &str) -> Option<Span> {
    let others = policy.identity.iter();
    let mut found = others.filter(|other| other.name.value != me.name.value).filter_map(|other| {
        match &other.body.tokenless {
            Some(Tokenless::ApiKeys(keys)) => {
                // Each pair is told once, at the later one.
                let later = other.name.span < me.name.span;
                keys.header.as_ref().filter(|name| later && name.value == header).map(|name| name.span)
            }
            _ => {
                let named = TokenSource::Header(header.to_owned());
                other.body.sources.iter().find(|source| source.value == named).map(|source| source.span)
            }
        }
    });
    found.next()
}

/// SECURITY: a `mayNot` about a group that nobody can be in would let everybody in.
fn check_group(policy: &Policy, provider: &Text, value: &Text, out: &mut Diagnostics) {
    let Some(named) = policy.identity.iter().find(|named| named.name.value == provider.value) else { return };
    let (message, help) = match &named.body.tokenless {
        Some(Tokenless::Certificate(Some(name))) if !is_name_pattern(&name.value, &value.value) => (
            format!("no certificate of `{}` has the name `{}`", provider.value, value.value),
            match name.value {
                CertificateName::Spiffe(_) => {
                    "a SPIFFE id of the trust domain; `/*` at its end stands for one more segment, `/**` for one or more"
                }
                CertificateName::Dns => {
                    "a DNS name in lower case; `*.` at its beginning stands for one more label"
                }
                CertificateName::Subject => "a whole subject, as Envoy writes it: `CN=…,O=…`",
            },
        ),
        Some(Tokenless::ApiKeys(keys))
            if !keys.keys.iter().flat_map(|key| &key.body.groups).any(|group| group.value == value.value) =>
        {
            let message = format!("no API key of `{}` has the group `{}`", provider.value, value.value);
            (message, "write it under `groups` of a key, or take the mapping away")
        }
        _ => return,
    };
    out.push(Diagnostic::at(Code::E0333, value.span, message).help(help));
}
