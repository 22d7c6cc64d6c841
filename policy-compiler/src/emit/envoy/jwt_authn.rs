//! `jwt_authn`, for providers whose signatures Envoy verifies (`verifiedBy: envoy`).
//!
//! It fetches the keys, verifies, and leaves the payload in dynamic metadata under the name of the provider. It never refuses: a
//! request without a good token goes on to our filter without metadata, which answers it, so that there is one place that answers
//! and tells. SECURITY: our filter must stand behind it, and takes nothing else for a verified token.

use super::super::yaml::Yaml;
use super::{Contradiction, Deployment, message};
use crate::source::Policy;
use crate::source::identity::Provider;
use crate::source::key_sets::{Fetched, Keys, REFRESH};
use crate::source::reader::Named;
use crate::source::services::{cluster, find};
use veilwire_engine::identity::failure_of;
use veilwire_engine::policy::model::{Provider as Lowered, TokenSource};

/// The filter; none if no provider needs it.
pub(super) fn filter(
    policy: &Policy,
    lowered: &[Lowered],
    deployment: &Deployment,
) -> Result<Option<Yaml>, Contradiction> {
    let vouched = policy.identity.iter().filter(|provider| provider.body.verified_by_envoy());
    let (mut providers, mut requirements) = (Yaml::empty(), Vec::new());
    for provider in vouched {
        let name = provider.name.value.as_str();
        let lowered = lowered.iter().find(|lowered| lowered.name == name).ok_or(Contradiction("identity"))?;
        providers = providers.with(name, entry(policy, provider, lowered, deployment)?);
        requirements.push(Yaml::map([("provider_name", name.into())]));
    }
    if requirements.is_empty() {
        return Ok(None);
    }
    requirements.push(Yaml::map([("allow_missing_or_failed", Yaml::empty())]));
    let any = Yaml::map([("requires_any", Yaml::map([("requirements", Yaml::List(requirements))]))]);
    let rule = Yaml::map([("match", Yaml::map([("prefix", "/".into())])), ("requires", any)]);
    let config = message("envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication")
        .with("providers", providers)
        .with("rules", Yaml::list([rule]));
    Ok(Some(Yaml::map([("name", "envoy.filters.http.jwt_authn".into()), ("typed_config", config)])))
}

fn entry(
    policy: &Policy,
    provider: &Named<Provider>,
    lowered: &Lowered,
    deployment: &Deployment,
) -> Result<Yaml, Contradiction> {
    let audiences: Vec<&str> = lowered.audiences.iter().map(String::as_str).collect();
    let entry = Yaml::map([
        ("issuer", lowered.issuer.as_str().into()),
        ("audiences", Yaml::texts(&audiences)),
        // Our filter reads it as well, and takes it off.
        ("forward", true.into()),
        ("payload_in_metadata", lowered.name.as_str().into()),
        // So that our filter can tell a bad token from keys that Envoy could not fetch.
        ("failed_status_in_metadata", failure_of(&lowered.name).as_str().into()),
        ("clock_skew_seconds", u64::from(lowered.leeway_seconds).into()),
        ("jwt_cache_config", Yaml::map([("jwt_cache_size", 1_000_u64.into())])),
    ]);
    let entry = match provider.body.keys.as_ref().ok_or(Contradiction("jwks"))? {
        Keys::File(file) => entry
            .with("local_jwks", Yaml::map([("filename", deployment.locate(&file.value).as_str().into())])),
        Keys::Fetched(fetched) => entry.with("remote_jwks", remote(policy, fetched)?),
        Keys::Secret(_) => return Err(Contradiction("secret")),
    };
    Ok(with_sources(entry, &lowered.sources))
}

/// Where tokens are, said in full: else Envoy looks in places of its own as well.
fn with_sources(entry: Yaml, sources: &[TokenSource]) -> Yaml {
    let default = [TokenSource::Authorization];
    let sources = if sources.is_empty() { &default } else { sources };
    let (mut headers, mut cookies, mut parameters) = (Vec::new(), Vec::new(), Vec::new());
    for source in sources {
        match source {
            TokenSource::Authorization => headers
                .push(Yaml::map([("name", "authorization".into()), ("value_prefix", "Bearer ".into())])),
            TokenSource::Header(name) => headers.push(Yaml::map([("name", name.as_str().into())])),
            TokenSource::Cookie(name) => cookies.push(name.as_str()),
            TokenSource::Query(name) => parameters.push(name.as_str()),
        }
    }
    let some = |names: &[&str]| (!names.is_empty()).then(|| Yaml::texts(names));
    let (cookies, parameters) = (some(&cookies), some(&parameters));
    entry
        .with_some("from_headers", (!headers.is_empty()).then_some(Yaml::List(headers)))
        .with_some("from_cookies", cookies)
        .with_some("from_params", parameters)
}

/// The service, over the same verified TLS as where our filter asks it.
fn remote(policy: &Policy, fetched: &Fetched) -> Result<Yaml, Contradiction> {
    let service = find(&policy.services, &fetched.service.value).ok_or(Contradiction("service"))?;
    let authority = service.authority().ok_or(Contradiction("service"))?;
    let path = fetched.path.as_ref().ok_or(Contradiction("jwks.path"))?;
    let uri = Yaml::map([
        ("uri", format!("https://{authority}{}", path.value).as_str().into()),
        ("cluster", cluster(&fetched.service.value).as_str().into()),
        ("timeout", "5s".into()),
    ]);
    let seconds = fetched.refresh.as_ref().map_or(REFRESH, |refresh| refresh.value);
    Ok(Yaml::map([
        ("http_uri", uri),
        ("cache_duration", format!("{seconds}s").as_str().into()),
        // Fetched before the first token shows up, and in the background from then on.
        ("async_fetch", Yaml::map([("fast_listener", true.into())])),
    ]))
}
