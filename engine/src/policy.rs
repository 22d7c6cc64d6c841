//! The compiled policy: read-only after load, shared by all exchanges.
//!
//! A [`Policy`] exists only if every reference of its [`Model`] was checked, every key set and automaton was read and every
//! placeholder is safe to write. Whatever is wrong with an artifact is found here, before the first exchange, and refuses the load.

pub mod artifact;
pub mod id;
pub mod model;
pub mod path;
pub mod pattern;
pub(crate) mod room;
pub mod secret;

use crate::decide::{BodyReader, RuleIndex};
use crate::identity::{Authenticator, AuthenticatorError, KeyKeeper};
use crate::mask::detector::{DetectorSet, InvalidDetectors};
use crate::mask::{InvalidPlan, MaskPlan, Place};
use artifact::DecodeError;
use id::{ContentId, MaskId, ProviderId, RouteId, RuleId};
use model::{
    Audit, CertificateName, Content, Fact, HeadMask, Key, Limits, Model, Predicate, Provider, ProviderKind,
    Pseudonym, Replacement, Route, Rule, Test, Thinking, TlsRequirement,
};
use room::Room;
use secret::Secret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A checked policy.
#[derive(Debug)]
pub struct Policy {
    model: Model,
    digest: String,
    authenticator: Authenticator,
    detectors: Arc<DetectorSet>,
    index: RuleIndex,
    /// By content.
    bodies: Vec<BodyReader>,
    room: Room,
    plans: Plans,
}

/// Mask plans by what they depend on. A policy has few distinct unions of masks; the bound is for hostile policies.
type Plans = Mutex<BTreeMap<(Vec<MaskId>, Option<ContentId>, Thinking, Place), Arc<MaskPlan>>>;
const MAX_CACHED_PLANS: usize = 1024;

/// Why bytes are not a policy. Never quotes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// The container is damaged or foreign.
    #[error("artifact: {0}")]
    Artifact(#[from] DecodeError),
    /// Something refers to an entry that does not exist.
    #[error("`{0}` refers to an entry that does not exist")]
    Dangling(&'static str),
    /// A table is longer than its limit.
    #[error("more `{0}` than a policy may have")]
    TooMany(&'static str),
    /// A placeholder would have to be escaped in JSON.
    #[error("tag {0} has an unsafe replacement")]
    Placeholder(u16),
    /// A key is not there, damaged or too short.
    #[error("key {0} is not there, is not base64, or is too short")]
    Key(u16),
    /// A limit is zero or beyond what the filter can hold.
    #[error("limit `{0}` is out of range")]
    Limit(&'static str),
    /// An identity provider is unusable.
    #[error("identity provider: {0}")]
    Provider(#[from] AuthenticatorError),
    /// The automata do not fit the detectors.
    #[error("detectors: {0}")]
    Detectors(#[from] InvalidDetectors),
    /// A rule says what no rule can say.
    #[error("rule {0} contradicts itself")]
    Rule(u16),
    /// A mask cannot be carried out.
    #[error("mask: {0}")]
    Plan(#[from] InvalidPlan),
}

impl Policy {
    /// Most rules of a policy.
    pub const MAX_RULES: usize = 16_384;
    /// Most routes of a policy.
    pub const MAX_ROUTES: usize = 1_024;

    /// Reads and checks an artifact.
    ///
    /// # Errors
    /// The first thing that is wrong. Nothing of a wrong artifact is ever used.
    pub fn load(artifact: &[u8]) -> Result<Policy, InvalidPolicy> {
        let (model, digest) = artifact::decode(artifact)?;
        Policy::check(model, digest)
    }

    /// The same, with its keys: `read` gives each as it is handed over. Without its key a replacement is its placeholder, which
    /// hides more, and tokens of a provider without its secret are not accepted.
    ///
    /// # Errors
    /// As [`Policy::load`]; [`InvalidPolicy::Key`] if one is not there, damaged or too short.
    pub fn load_with_keys(
        artifact: &[u8],
        read: &dyn Fn(&Key) -> Option<Vec<u8>>,
    ) -> Result<Policy, InvalidPolicy> {
        let (mut model, digest) = artifact::decode(artifact)?;
        let mut secrets = Vec::with_capacity(model.keys.len());
        for (key, place) in model.keys.iter().zip(0..) {
            let secret = read(key).and_then(|text| Secret::read(&text));
            secrets.push(secret.ok_or(InvalidPolicy::Key(place))?);
        }
        for tag in &mut model.tags {
            if let Replacement::Tokenize(keyed) | Replacement::Shape(keyed) = &mut tag.replacement {
                let secret = secrets.get(keyed.key.index()).ok_or(InvalidPolicy::Dangling("tag.key"))?;
                keyed.secret = secret.clone();
            }
        }
        for provider in &mut model.providers {
            let Some(shared) = &mut provider.secret else { continue };
            let secret = secrets.get(shared.key.index()).ok_or(InvalidPolicy::Dangling("provider.secret"))?;
            // RFC 7518 section 3.2: as long as the MAC at least.
            let least = provider.algorithms.iter().filter_map(|algorithm| algorithm.mac_length()).max();
            if secret.bytes().map(<[u8]>::len) < least {
                return Err(InvalidPolicy::Key(shared.key.0));
            }
            shared.secret = secret.clone();
        }
        Policy::check(model, digest)
    }

    /// The keys of its replacements and the secrets of its providers: where they are.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.model.keys
    }

    fn check(mut model: Model, digest: String) -> Result<Policy, InvalidPolicy> {
        check_sizes(&model)?;
        check_references(&model)?;
        check_limits(&model.limits)?;
        for (index, tag) in model.tags.iter().enumerate() {
            if !is_writable(&tag.replacement) {
                return Err(InvalidPolicy::Placeholder(u16::try_from(index).unwrap_or(u16::MAX)));
            }
        }
        let authenticator = Authenticator::with_claims(&model.providers, &model.groups, &model.claims)?;
        // SECURITY: what no client has to show is not verified by anybody.
        if let Some(place) = model.providers.iter().position(looks_at_certificates)
            && !model.tls.client_certificate
        {
            let id = ProviderId(u16::try_from(place).unwrap_or(u16::MAX));
            return Err(AuthenticatorError::NoCertificate(id).into());
        }
        let index = RuleIndex::new(&model).ok_or(InvalidPolicy::TooMany("rules"))?;
        let detectors = Arc::new(DetectorSet::new(std::mem::take(&mut model.automata), &model.detectors)?);
        let bodies = model.contents.iter().map(BodyReader::new).collect::<Option<Vec<_>>>();
        let bodies = bodies.ok_or(InvalidPolicy::Dangling("content.request"))?;
        let policy = Policy {
            model,
            digest,
            authenticator,
            detectors,
            index,
            bodies,
            room: Room::default(),
            plans: Plans::default(),
        };
        // Every mask is tried with every kind of route it may meet, so that no exchange finds out first.
        let kind = |route: &RouteId| policy.route(*route).map(|route| (route.content, route.thinking));
        for (_, rule) in policy.rules() {
            let kinds: BTreeMap<_, _> = rule.routes.iter().map(|route| (kind(route), *route)).collect();
            for (route, place) in kinds.into_values().flat_map(|route| Place::ALL.map(|place| (route, place)))
            {
                policy.plan(&rule.masks, route, place)?;
            }
        }
        Ok(policy)
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.model.meta.name
    }

    /// `metadata.revision`.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.model.meta.revision
    }

    /// SHA-256 of the artifact, lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the filter checks about connections.
    #[must_use]
    pub fn tls(&self) -> &TlsRequirement {
        &self.model.tls
    }

    /// What is told to whom.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.model.audit
    }

    /// Finite bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.model.limits
    }

    /// The tables, for names in reports.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// What keeps the fetched keys of its providers current, for one worker.
    #[must_use]
    pub fn key_keeper(&self) -> KeyKeeper {
        KeyKeeper::new(&self.model.providers, Arc::clone(self.authenticator.live_keys()))
    }

    /// This policy with the fetched keys of `other`, which is the same but for its secrets.
    #[must_use]
    pub fn sharing_keys_of(mut self, other: &Policy) -> Policy {
        if self.digest == other.digest {
            self.authenticator.share_keys(other.authenticator.live_keys());
        }
        self
    }

    pub(crate) fn index(&self) -> &RuleIndex {
        &self.index
    }

    /// The content of a route.
    pub(crate) fn content(&self, route: RouteId) -> Option<&Content> {
        let id = self.route(route)?.content?;
        self.model.contents.get(id.index())
    }

    /// What reads the bodies of a route's requests for rules; none where the route has no content.
    pub(crate) fn body_reader(&self, route: RouteId) -> Option<&BodyReader> {
        let id = self.route(route)?.content?;
        self.bodies.get(id.index())
    }

    /// Where bodies are counted that its exchanges hold.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// Whether a rule asks where the client is.
    pub(crate) fn looks_at_source(&self) -> bool {
        let mut predicates = self.model.rules.iter().flat_map(|rule| &rule.predicates);
        predicates.any(|predicate| predicate.fact == Fact::Source)
    }

    /// Whether a caller is known by a name of a certificate that must be the only one of its kind.
    pub(crate) fn looks_at_certificate_names(&self) -> bool {
        let mut kinds = self.model.providers.iter().map(|provider| &provider.kind);
        kinds.any(|kind| {
            matches!(kind, ProviderKind::Certificate(CertificateName::Spiffe(_) | CertificateName::Dns))
        })
    }

    /// All rules with their ids.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        (0..).map(RuleId).zip(&self.model.rules)
    }

    /// All routes with their ids, most specific first.
    pub fn routes(&self) -> impl Iterator<Item = (RouteId, &Route)> {
        (0..).map(RouteId).zip(&self.model.routes)
    }

    /// A route of this policy.
    #[must_use]
    pub fn route(&self, id: RouteId) -> Option<&Route> {
        self.model.routes.get(id.index())
    }

    /// A rule's name; ids of another policy have none.
    #[must_use]
    pub fn rule_name(&self, id: RuleId) -> &str {
        self.model.rules.get(id.index()).map_or("", |rule| &rule.name)
    }

    /// What these masks do with one place of exchanges on this route; `None` if nothing is looked at.
    ///
    /// # Errors
    /// The masks cannot be carried out on this content.
    pub fn plan(
        &self,
        masks: &[MaskId],
        route: RouteId,
        place: impl Into<Place>,
    ) -> Result<Option<Arc<MaskPlan>>, InvalidPlan> {
        let place = place.into();
        let kind = self.route(route).ok_or(InvalidPlan::Dangling)?;
        // Of a route only this much is in a plan, so routes share theirs.
        let key = (masks.to_vec(), kind.content.filter(|_| place.is_body()), kind.thinking, place);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&key) {
            return Ok((!plan.is_idle()).then(|| Arc::clone(plan)));
        }
        let plan = Arc::new(self.build_plan(masks, route, place)?);
        if plans.len() < MAX_CACHED_PLANS {
            plans.insert(key, Arc::clone(&plan));
        }
        Ok((!plan.is_idle()).then_some(plan))
    }

    fn build_plan(&self, masks: &[MaskId], route: RouteId, place: Place) -> Result<MaskPlan, InvalidPlan> {
        let route = self.route(route).ok_or(InvalidPlan::Dangling)?;
        let content = match route.content {
            Some(id) if place.is_body() => {
                Some(self.model.contents.get(id.index()).ok_or(InvalidPlan::Dangling)?)
            }
            _ => None,
        };
        let masks = masks
            .iter()
            .map(|&id| Ok((id, self.model.masks.get(id.index()).ok_or(InvalidPlan::Dangling)?)))
            .collect::<Result<Vec<_>, InvalidPlan>>()?;
        MaskPlan::new(
            Arc::clone(&self.detectors),
            &self.model.detectors,
            &self.model.tags,
            &masks,
            content,
            place,
            route.thinking,
            &self.model.limits,
        )
    }
}

#[cfg(feature = "compile")]
impl Policy {
    /// Checks a model as the filter will check its artifact.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn from_model(model: &Model) -> Result<Policy, InvalidPolicy> {
        Policy::load(&artifact::encode(model)?)
    }
}

fn looks_at_certificates(provider: &Provider) -> bool {
    provider.bound || matches!(provider.kind, ProviderKind::Certificate(_))
}

fn check_sizes(model: &Model) -> Result<(), InvalidPolicy> {
    let tables = [
        ("rules", model.rules.len(), Policy::MAX_RULES),
        ("routes", model.routes.len(), Policy::MAX_ROUTES),
        ("masks", model.masks.len(), 1_024),
        ("tags", model.tags.len(), 1_024),
        ("keys", model.keys.len(), 64),
        ("groups", model.groups.len(), 4_096),
        ("claims", model.claims.len(), 256),
        ("providers", model.providers.len(), 64),
        ("contents", model.contents.len(), 256),
        ("detectors", model.detectors.len(), 256),
    ];
    match tables.iter().find(|(_, len, limit)| len > limit) {
        Some((name, ..)) => Err(InvalidPolicy::TooMany(name)),
        None => Ok(()),
    }
}

/// Can the replacement be written wherever a value is?
fn is_writable(replacement: &Replacement) -> bool {
    let named = match replacement {
        Replacement::Pseudonym(Pseudonym { name, .. }) => {
            let rest = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            name.len() <= 32
                && name.starts_with(|first: char| first.is_ascii_uppercase())
                && name.bytes().all(rest)
        }
        Replacement::Tokenize(keyed) | Replacement::Shape(keyed) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
            keyed.prefix.len() <= 64 && keyed.prefix.bytes().all(plain)
        }
        Replacement::Placeholder(_) | Replacement::Partial(_) | Replacement::Drop => true,
    };
    let safe = |text: &str| text.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\'));
    named && replacement.text().is_none_or(|text| (1..=64).contains(&text.len()) && safe(text))
}

fn check_references(model: &Model) -> Result<(), InvalidPolicy> {
    let known = |name: &'static str, index: usize, len: usize| {
        if index < len { Ok(()) } else { Err(InvalidPolicy::Dangling(name)) }
    };
    for tag in &model.tags {
        if let Replacement::Tokenize(keyed) | Replacement::Shape(keyed) = &tag.replacement {
            known("tag.key", keyed.key.index(), model.keys.len())?;
        }
    }
    for shared in model.providers.iter().filter_map(|provider| provider.secret.as_ref()) {
        known("provider.secret", shared.key.index(), model.keys.len())?;
    }
    for detector in &model.detectors {
        known("detector.tag", detector.tag.index(), model.tags.len())?;
    }
    for (provider, _) in model.groups.iter().flat_map(|group| &group.from) {
        known("group.from", provider.index(), model.providers.len())?;
    }
    for content in model.routes.iter().filter_map(|route| route.content) {
        known("route.content", content.index(), model.contents.len())?;
    }
    for mask in &model.masks {
        for id in mask.detectors.iter().chain(&mask.tokens) {
            known("mask.detectors", id.index(), model.detectors.len())?;
        }
        let HeadMask { query_fields, header_fields, .. } = &mask.head;
        for field in [&mask.fields, &mask.form_fields, query_fields, header_fields].into_iter().flatten() {
            known("mask.fields.tag", field.tag.index(), model.tags.len())?;
        }
        for attribute in &mask.attributes {
            known("mask.attributes.tag", attribute.tag.index(), model.tags.len())?;
        }
    }
    for (rule, place) in model.rules.iter().zip(0..) {
        check_predicates(rule, model.claims.len(), place)?;
        for id in &rule.groups {
            known("rule.groups", id.index(), model.groups.len())?;
        }
        for id in &rule.routes {
            known("rule.routes", id.index(), model.routes.len())?;
        }
        for id in &rule.masks {
            known("rule.masks", id.index(), model.masks.len())?;
        }
    }
    Ok(())
}

/// SECURITY: who is meant must be said, and tables of a pattern are run as they are.
fn check_predicates(rule: &Rule, claims: usize, place: u16) -> Result<(), InvalidPolicy> {
    let sound = |predicate: &Predicate| match (&predicate.fact, &predicate.test) {
        (Fact::Claim(id), _) if id.index() >= claims => false,
        (_, Test::Matches(pattern)) => pattern.is_sound(),
        (_, Test::Within(networks)) => networks.iter().all(|network| network.prefix <= 128),
        _ => true,
    };
    let meant = rule.anyone == rule.groups.is_empty() && (!rule.anyone || !rule.predicates.is_empty());
    if meant && rule.predicates.iter().all(sound) { Ok(()) } else { Err(InvalidPolicy::Rule(place)) }
}

fn check_limits(limits: &Limits) -> Result<(), InvalidPolicy> {
    let in_range = |name, value: u32, least: u32, most: u32| {
        if (least..=most).contains(&value) { Ok(()) } else { Err(InvalidPolicy::Limit(name)) }
    };
    in_range("state", limits.state, 4 * 1024, 16 * 1024 * 1024)?;
    in_range("message", limits.message, 4 * 1024, 64 * 1024 * 1024)?;
    in_range("jsonDepth", u32::from(limits.json_depth), 1, 1024)?;
    in_range("pseudonyms", u32::from(limits.pseudonyms), 0, 9_999)?;
    in_range("inflateRatio", limits.inflate_ratio, 1, 1032)?;
    in_range("inspectBody", limits.inspect_body, 4 * 1024, 16 * 1024 * 1024)?;
    in_range("window", limits.window, 16, 4096)
}
