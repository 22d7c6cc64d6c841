//! Providers whose callers bring no token.

use crate::source::identity::tokenless::{ApiKey as SourceKey, Tokenless};
use crate::source::reader::Named;
use veilwire_engine::policy::model::{ApiKey, ApiKeys, ProviderKind};

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
