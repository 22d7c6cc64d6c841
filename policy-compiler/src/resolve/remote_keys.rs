//! Keys that are fetched: which service, and which path of it.

use super::refer;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};
use crate::source::Policy;
use crate::source::identity::Provider;
use crate::source::key_sets::{Fetched, REFRESH, SERVE_STALE};
use crate::source::services::{cluster, find};
use veilwire_engine::policy::model::{Document, RemoteKeys};

/// What an issuer's metadata are under (OpenID Connect Discovery 1.0 section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Where the keys of a provider are fetched.
pub(super) fn resolve(
    policy: &Policy,
    provider: &Provider,
    fetched: &Fetched,
    out: &mut Diagnostics,
) -> Option<RemoteKeys> {
    if !refer(Code::E0340, "service", &fetched.service, &policy.services, out) {
        return None;
    }
    let authority = find(&policy.services, &fetched.service.value)?.authority()?;
    let path = match fetched.document {
        Document::KeySet => fetched.path.as_ref()?.value.clone(),
        Document::Discovery => {
            let below = below(provider.issuer.as_ref()?, &authority, fetched, out)?;
            fetched.path.as_ref().map_or_else(|| format!("{below}{WELL_KNOWN}"), |path| path.value.clone())
        }
    };
    let refresh = fetched.refresh.as_ref().map_or(REFRESH, |refresh| refresh.value);
    let stale = fetched.serve_stale.as_ref().map_or(SERVE_STALE, |stale| stale.value);
    Some(RemoteKeys {
        cluster: cluster(&fetched.service.value),
        authority,
        document: fetched.document,
        path,
        refresh_seconds: u32::try_from(refresh).ok()?,
        stale_seconds: u32::try_from(stale).ok()?,
    })
}

/// The path of the issuer, without a slash at its end.
///
/// SECURITY: metadata are the word of whoever has the issuer's name; another host has no say in them.
fn below(issuer: &Text, authority: &str, fetched: &Fetched, out: &mut Diagnostics) -> Option<String> {
    let rest = issuer.value.strip_prefix("https://").unwrap_or_default();
    let (host, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
    let host = host.strip_suffix(":443").unwrap_or(host);
    let usable = host.eq_ignore_ascii_case(authority)
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if !usable {
        let message =
            format!("service `{}` is not the host of issuer `{}`", fetched.service.value, issuer.value);
        out.push(
            Diagnostic::at(Code::E0342, fetched.service.span, message)
                .also(issuer.span, "metadata are asked of this host")
                .note("the certificate of the service vouches for the metadata, so it must be that of the issuer")
                .help("give the service the host and port of the issuer (`sni` if it is reached under another), or name the key set with `jwks: {service, path}`"),
        );
        return None;
    }
    Some(path.strip_suffix('/').unwrap_or(path).to_owned())
}
