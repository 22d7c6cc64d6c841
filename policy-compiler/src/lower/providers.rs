//! Providers that publish no keys: those whose callers bring no token, and those that share a secret.

use super::LowerError;
use crate::diagnostic::Text;
use crate::source::Policy;
use crate::source::identity::tokenless::{ApiKey as SourceKey, Tokenless};
use crate::source::keys::{Handed, handed};
use crate::source::reader::Named;
use veilwire_engine::policy::id::KeyId;
use veilwire_engine::policy::model::{ApiKey, ApiKeys, ProviderKind, SharedSecret};
use veilwire_engine::policy::secret::Secret;

/// In the order of their ids, so that the order of a policy changes no artifact.
pub(super) fn kind(tokenless: &Tokenless) -> Option<ProviderKind> {
    match tokenless {
        Tokenless::Certificate(name) => Some(ProviderKind::Certificate(name.as_ref()?.value.clone())),
        Tokenless::ApiKeys(keys) => {
            let header = keys.header.as_ref()?.value.clone();
            let mut keys = keys.keys.iter().map(key).collect::<Option<Vec<_>>>()?;
            keys.sort_by(|a, b| a.id.cmp(&b.id));
            Some(ProviderKind::ApiKeys(ApiKeys { header, keys }))
        }
    }
}

/// What a provider shares; ids are places among what the filter is handed over.
pub(super) fn secret(policy: &Policy, provider: &Text) -> Result<Option<SharedSecret>, LowerError> {
    let found = handed(policy).into_iter().enumerate().find_map(|(place, handed)| match handed {
        Handed::Secret(name, secret) if name.value == provider.value => Some((place, secret)),
        _ => None,
    });
    let Some((place, shared)) = found else { return Ok(None) };
    let key = KeyId(u16::try_from(place).map_err(|_| LowerError::TooMany("keys"))?);
    let key_id = shared.key_id.as_ref().map(|id| id.value.clone());
    Ok(Some(SharedSecret { key, key_id, secret: Secret::default() }))
}

fn key(key: &Named<SourceKey>) -> Option<ApiKey> {
    let mut groups: Vec<String> = key.body.groups.iter().map(|group| group.value.clone()).collect();
    groups.sort();
    groups.dedup();
    Some(ApiKey {
        id: key.name.value.clone(),
        salt: key.body.salt.clone()?,
        hash: key.body.hash.clone()?,
        groups,
        expires: key.body.expires,
    })
}
