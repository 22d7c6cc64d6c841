//! A resolved policy to the compiled model.
//!
//! Deterministic: the same policy, files and compiler give the same model and the same bytes, however the policy is ordered.
//! Tables are sorted by name; routes by specificity, so that the first match is the most specific one, here and in Envoy.

use crate::detect::{self, Wanted};
use crate::diagnostic::Text;
use crate::pack::Pack;
use crate::resolve::Resolved;
use crate::resolve::detectors::{Catalogued, window};
use crate::resolve::identity::KeyPlace;
use crate::resolve::routes::JSON;
use crate::source::keys::{From, Handed, handed, state};
use crate::source::masks::{At, Place};
use crate::source::predicates::{Predicate as SourcePredicate, Subject};
use crate::source::reader::Named;
use crate::source::routes::Route as SourceRoute;
use crate::source::rules::Effect as SourceEffect;
use crate::source::tls::Profile;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use veilwire_engine::policy::id::{
    ClaimId, ContentId, DetectorId, GroupId, MaskId, ProviderId, RouteId, TagId,
};
use veilwire_engine::policy::model::{
    Attribute, Audit, Content, Detector, Effect, Fact, Field, Group, HeadMask, Key, KeySource, Limits, Mask,
    Meta, Model, Predicate, Provider, ProviderKind, Route, RoutePath, Rule, Tag, Thinking, TlsRequirement,
    TlsVersion, UnknownContent,
};

mod providers;
mod tokens;

use tokens::Token;

/// Clock tolerance when a policy names none.
const LEEWAY_SECONDS: u32 = 60;

/// Why a policy without errors has no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// More entries than ids.
    #[error("more {0} than an artifact can number")]
    TooMany(&'static str),
    /// All detectors together cannot be built, though each can.
    #[error("the detectors of all masks together cannot be built: {0}")]
    Detectors(String),
    /// An earlier stage let something through.
    #[error("`{0}` was accepted but cannot be lowered")]
    Contradiction(&'static str),
}

/// Builds the model. Expects that earlier stages found no errors.
///
/// # Errors
/// See [`LowerError`].
pub fn lower(resolved: &Resolved<'_>) -> Result<Model, LowerError> {
    let policy = resolved.policy;
    let tables = Tables::new(resolved)?;
    let detectors = tables.detectors(resolved)?;
    let names: Vec<&String> = tables.detector.keys().collect();
    let wanted: Vec<Wanted<'_>> = names
        .iter()
        .filter_map(|name| Some((name, resolved.detectors.get(name.as_str())?)))
        .map(|(name, found)| Wanted { name, rule: &found.rule })
        .chain(tables.tokens.values().map(|token| Wanted { name: &token.name, rule: &token.rule }))
        .collect();
    let automata =
        detect::build(&wanted, window(policy)).map_err(|error| LowerError::Detectors(error.to_string()))?;
    Ok(Model {
        meta: meta(resolved)?,
        keys: keys(resolved)?,
        tags: tables.tags(resolved)?,
        detectors,
        automata,
        providers: tables.providers(resolved)?,
        groups: tables.groups(resolved)?,
        claims: tables.claim.keys().cloned().collect(),
        contents: tables.contents(resolved)?,
        routes: tables.routes(resolved)?,
        masks: tables.masks(resolved)?,
        rules: tables.rules(resolved)?,
        tls: tls(resolved)?,
        audit: Audit { response_headers: policy.settings.response_headers.unwrap_or(false) },
        limits: limits(resolved)?,
    })
}

/// Names to positions, per table.
struct Tables {
    tag: BTreeMap<String, u16>,
    detector: BTreeMap<String, u16>,
    provider: BTreeMap<String, u16>,
    group: BTreeMap<String, u16>,
    claim: BTreeMap<String, u16>,
    content: BTreeMap<String, u16>,
    route: BTreeMap<String, u16>,
    mask: BTreeMap<String, u16>,
    /// By the name of a pseudonym.
    tokens: BTreeMap<String, Token>,
}

impl Tables {
    fn new(resolved: &Resolved<'_>) -> Result<Tables, LowerError> {
        let policy = resolved.policy;
        let detectors: BTreeSet<String> = resolved.mask_detectors.iter().flatten().cloned().collect();
        let found_tags =
            detectors.iter().filter_map(|name| resolved.detectors.get(name)).map(|found| found.tag.clone());
        let field_tags =
            policy.masks.iter().flat_map(|mask| &mask.body.fields).map(|field| field.tag.value.clone());
        let contents = policy.routes.iter().filter_map(|route| route.body.content.as_ref());
        let contents = contents.filter(|content| content.value != JSON).map(|content| content.value.clone());
        let predicates = policy.rules.iter().flat_map(|rule| &rule.body.predicates);
        let claims = predicates.filter_map(|predicate| match &predicate.subject {
            Subject::Claim(name) => Some(name.value.clone()),
            Subject::Fact(_) => None,
        });
        let mut routes: Vec<&Named<SourceRoute>> = policy.routes.iter().collect();
        routes.sort_by_key(|route| specificity(route));
        let tag = number("tags", found_tags.chain(field_tags).collect::<BTreeSet<_>>())?;
        Ok(Tables {
            tokens: tokens::tokens(resolved, &tag, detectors.len())?,
            tag,
            detector: number("detectors", detectors)?,
            provider: number("identity providers", names(&policy.identity))?,
            group: number("groups", names(&policy.groups))?,
            claim: number("claims", claims.collect::<BTreeSet<_>>())?,
            content: number("contents", contents.collect::<BTreeSet<_>>())?,
            route: number("routes", routes.iter().map(|route| route.name.value.clone()))?,
            mask: number("masks", names(&policy.masks))?,
        })
    }

    fn tags(&self, resolved: &Resolved<'_>) -> Result<Vec<Tag>, LowerError> {
        let tag = |name: &String| {
            let tag = resolved.tags.get(name)?;
            Some(Tag {
                name: name.clone(),
                severity: tag.severity,
                replacement: tag.replacement.clone()?,
                numbers: tag.numbers.unwrap_or_default(),
            })
        };
        self.tag.keys().map(tag).collect::<Option<_>>().ok_or(LowerError::Contradiction("tags"))
    }

    fn detectors(&self, resolved: &Resolved<'_>) -> Result<Vec<Detector>, LowerError> {
        let detector = |name: &String| {
            let found: &Catalogued = resolved.detectors.get(name).filter(|found| found.usable)?;
            let tag = TagId(*self.tag.get(&found.tag)?);
            Some(Detector { name: name.clone(), tag, validator: found.rule.validator })
        };
        self.detector
            .keys()
            .map(detector)
            .chain(
                self.tokens.values().map(|token| {
                    Some(Detector { name: token.name.clone(), tag: token.tag, validator: None })
                }),
            )
            .collect::<Option<_>>()
            .ok_or(LowerError::Contradiction("detectors"))
    }

    fn providers(&self, resolved: &Resolved<'_>) -> Result<Vec<Provider>, LowerError> {
        let with_keys = resolved.policy.identity.iter().zip(&resolved.key_sets);
        let mut providers = with_keys
            .map(|(provider, keys)| {
                let body = &provider.body;
                if let Some(kind) = &body.tokenless {
                    let name = provider.name.value.clone();
                    return Some(Provider { name, kind: providers::kind(kind)?, ..Provider::default() });
                }
                let leeway =
                    body.leeway.as_ref().map_or(Ok(LEEWAY_SECONDS), |leeway| u32::try_from(leeway.value));
                let max_age = body.max_age.as_ref().map(|age| u32::try_from(age.value)).transpose();
                let texts =
                    |texts: &[Text]| texts.iter().map(|text| text.value.clone()).collect::<Vec<String>>();
                let mut algorithms: Vec<_> =
                    body.algorithms.iter().map(|algorithm| algorithm.value).collect();
                algorithms.sort_by_key(|algorithm| format!("{algorithm:?}"));
                algorithms.dedup();
                let (jwks, remote) = match keys.clone()? {
                    // Envoy has them.
                    _ if body.verified_by_envoy() => (String::new(), None),
                    KeyPlace::Inline(jwks) => (jwks, None),
                    KeyPlace::Remote(remote) => (String::new(), Some(remote)),
                    KeyPlace::Secret => (String::new(), None),
                };
                Some(Provider {
                    name: provider.name.value.clone(),
                    issuer: body.issuer.as_ref()?.value.clone(),
                    audiences: texts(&body.audiences),
                    algorithms,
                    jwks,
                    groups_claim: body.groups_claim.as_ref()?.value.clone(),
                    leeway_seconds: leeway.ok()?,
                    max_age_seconds: max_age.ok()?,
                    expiry_optional: body.expiry_optional.as_ref().is_some_and(|optional| optional.value),
                    required_type: body.required_type.as_ref().map(|required| required.value.to_owned()),
                    authorized_parties: texts(&body.authorized_parties),
                    sources: body.sources.iter().map(|source| source.value.clone()).collect(),
                    keep_token: body.keep_token,
                    kind: ProviderKind::Token,
                    bound: body.bound.is_some(),
                    remote,
                    verified_by_host: body.verified_by_envoy(),
                    secret: providers::secret(resolved.policy, &provider.name).ok()?,
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or(LowerError::Contradiction("identity"))?;
        providers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(providers)
    }

    fn groups(&self, resolved: &Resolved<'_>) -> Result<Vec<Group>, LowerError> {
        let mut groups = resolved
            .policy
            .groups
            .iter()
            .map(|group| {
                let from = group.body.from.iter();
                let mut from = from
                    .map(|(provider, value)| {
                        Some((ProviderId(*self.provider.get(&provider.value)?), value.value.clone()))
                    })
                    .collect::<Option<Vec<_>>>()?;
                from.sort();
                Some(Group { name: group.name.value.clone(), from })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or(LowerError::Contradiction("groups"))?;
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(groups)
    }

    fn contents(&self, resolved: &Resolved<'_>) -> Result<Vec<Content>, LowerError> {
        let all = || resolved.packs.iter().flat_map(|pack: &Pack| &pack.contents);
        let content =
            |name: &String| all().find(|(known, _)| known == name).map(|(_, content)| content.clone());
        self.content.keys().map(content).collect::<Option<_>>().ok_or(LowerError::Contradiction("contents"))
    }

    fn routes(&self, resolved: &Resolved<'_>) -> Result<Vec<Route>, LowerError> {
        let mut routes: Vec<&Named<SourceRoute>> = resolved.policy.routes.iter().collect();
        routes.sort_by_key(|route| specificity(route));
        let route = |route: &&Named<SourceRoute>| {
            let body = &route.body;
            let content = body.content.as_ref().filter(|content| content.value != JSON);
            let content = match content {
                Some(content) => Some(ContentId(*self.content.get(&content.value)?)),
                None => None,
            };
            let mut methods: Vec<String> = body.methods.iter().map(|method| method.value.clone()).collect();
            methods.sort();
            Some(Route {
                name: route.name.value.clone(),
                host: body.host.as_ref()?.value.clone(),
                path: body.path.as_ref()?.value.clone(),
                methods,
                upstream: body.upstream.as_ref()?.value.clone(),
                content,
                thinking: body.thinking.as_ref().map_or(Thinking::Refuse, |thinking| thinking.value),
            })
        };
        routes.iter().map(route).collect::<Option<_>>().ok_or(LowerError::Contradiction("routes"))
    }

    fn masks(&self, resolved: &Resolved<'_>) -> Result<Vec<Mask>, LowerError> {
        let with_detectors = resolved.policy.masks.iter().zip(&resolved.mask_detectors);
        let mut masks = with_detectors
            .map(|(mask, detectors)| {
                let found_tags = detectors.iter().filter_map(|name| Some(&resolved.detectors.get(name)?.tag));
                let field_tags = mask.body.fields.iter().map(|field| &field.tag.value);
                let tokens = tokens::of_tags(resolved, &self.tokens, found_tags.chain(field_tags));
                let places = |wanted: Place| mask.body.places.iter().any(|place| place.value == wanted);
                let detectors = detectors
                    .iter()
                    .map(|name| Some(DetectorId(*self.detector.get(name)?)))
                    .collect::<Option<Vec<_>>>()?;
                let (mut fields, mut form_fields, mut attributes) = (Vec::new(), Vec::new(), Vec::new());
                let mut head = HeadMask {
                    path: places(Place::Path),
                    query: places(Place::Query),
                    headers: places(Place::Headers),
                    ..HeadMask::default()
                };
                for field in &mask.body.fields {
                    let tag = TagId(*self.tag.get(&field.tag.value)?);
                    for at in &field.at {
                        let (list, paths) = match &at.value {
                            At::Json(at) => (&mut fields, std::slice::from_ref(at)),
                            At::Keys(paths) => (&mut fields, paths.as_slice()),
                            At::Form(at) => (&mut form_fields, std::slice::from_ref(at)),
                            At::Query(at) => (&mut head.query_fields, std::slice::from_ref(at)),
                            At::Header(at) => (&mut head.header_fields, std::slice::from_ref(at)),
                            At::Attribute(key) => {
                                attributes.push(Attribute { tag, key: key.clone() });
                                continue;
                            }
                        };
                        list.extend(paths.iter().map(|at| Field { tag, at: at.clone() }));
                    }
                }
                let lists = [&mut fields, &mut form_fields, &mut head.query_fields, &mut head.header_fields];
                for list in lists {
                    list.sort_by_key(|field| (field.at.to_string(), field.tag));
                    list.dedup();
                }
                attributes.sort_by(|a, b| (&a.key, a.tag).cmp(&(&b.key, b.tag)));
                attributes.dedup();
                Some(Mask {
                    name: mask.name.value.clone(),
                    detectors,
                    request_body: places(Place::RequestBody),
                    response_body: places(Place::ResponseBody),
                    fields,
                    form_fields,
                    attributes,
                    head,
                    tokens,
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or(LowerError::Contradiction("masks"))?;
        masks.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(masks)
    }

    fn predicate(&self, predicate: &SourcePredicate) -> Option<Predicate> {
        let fact = match &predicate.subject {
            Subject::Claim(name) => Fact::Claim(ClaimId(*self.claim.get(&name.value)?)),
            Subject::Fact(fact) => fact.clone(),
        };
        Some(Predicate { fact, test: predicate.test.clone() })
    }

    fn rules(&self, resolved: &Resolved<'_>) -> Result<Vec<Rule>, LowerError> {
        let mut rules = resolved
            .policy
            .rules
            .iter()
            .map(|rule| {
                let body = &rule.body;
                let effect = body.effect.as_ref()?;
                let ids = |texts: &[Text], table: &BTreeMap<String, u16>| {
                    let ids = texts
                        .iter()
                        .map(|text| table.get(&text.value).copied())
                        .collect::<Option<BTreeSet<u16>>>()?;
                    Some(ids.into_iter().collect::<Vec<u16>>())
                };
                Some(Rule {
                    name: rule.name.value.clone(),
                    groups: ids(&body.groups, &self.group)?.into_iter().map(GroupId).collect(),
                    effect: match effect {
                        SourceEffect::May(_) => Effect::May,
                        SourceEffect::MayNot(_) => Effect::MayNot,
                    },
                    routes: ids(effect.routes(), &self.route)?.into_iter().map(RouteId).collect(),
                    masks: ids(&body.masks, &self.mask)?.into_iter().map(MaskId).collect(),
                    approval: None,
                    message: body.message.as_ref().map(|message| message.value.clone()),
                    anyone: body.groups.is_empty(),
                    predicates: body
                        .predicates
                        .iter()
                        .map(|predicate| self.predicate(predicate))
                        .collect::<Option<_>>()?,
                    observe: body.observe,
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or(LowerError::Contradiction("rules"))?;
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rules)
    }
}

/// Exact before everything below, longer before shorter; host, path and name only make the order total.
fn specificity(route: &Named<SourceRoute>) -> (bool, Reverse<usize>, String, String, String) {
    let (below, path) = match route.body.path.as_ref().map(|path| &path.value) {
        Some(RoutePath::Exact(path)) => (false, path.clone()),
        Some(RoutePath::Below(path)) => (true, path.clone()),
        None => (true, String::new()),
    };
    let host = route.body.host.as_ref().map(|host| host.value.clone()).unwrap_or_default();
    (below, Reverse(path.len()), host, path, route.name.value.clone())
}

fn meta(resolved: &Resolved<'_>) -> Result<Meta, LowerError> {
    let policy = resolved.policy;
    let name = policy.name.as_ref().ok_or(LowerError::Contradiction("metadata"))?;
    let revision = policy.revision.as_ref().ok_or(LowerError::Contradiction("metadata"))?;
    Ok(Meta {
        name: name.value.clone(),
        revision: revision.value,
        compiler: env!("CARGO_PKG_VERSION").to_owned(),
        packs: resolved.packs.iter().map(|pack| (pack.reference.to_owned(), pack.digest.clone())).collect(),
    })
}

fn tls(resolved: &Resolved<'_>) -> Result<TlsRequirement, LowerError> {
    let tls = &resolved.policy.tls;
    let profile = tls.profile.as_ref().ok_or(LowerError::Contradiction("tls"))?;
    let min_version = match profile.value {
        Profile::Modern => TlsVersion::V1_3,
        Profile::Intermediate => TlsVersion::V1_2,
    };
    Ok(TlsRequirement { require: true, min_version, client_certificate: tls.client.is_some() })
}

/// Where what the filter is handed over is, in the order that numbers it.
fn keys(resolved: &Resolved<'_>) -> Result<Vec<Key>, LowerError> {
    let key = |handed: Handed<'_>| {
        let id = match handed {
            Handed::Key(key) => key.body.id.as_ref()?.value.clone(),
            // Its tokens name it by `kid`, if at all.
            Handed::Secret(..) => String::new(),
        };
        let name = handed.name();
        let from = match handed.from()? {
            From::Environment(name) => KeySource::Environment(name.value.clone()),
            From::File(_) | From::Sds(_) => KeySource::FilterState(state(&name)),
        };
        Some(Key { name, id, from })
    };
    let keys = handed(resolved.policy).into_iter().map(key).collect::<Option<Vec<_>>>();
    keys.ok_or(LowerError::Contradiction("keys"))
}

fn limits(resolved: &Resolved<'_>) -> Result<Limits, LowerError> {
    let settings = &resolved.policy.settings;
    let defaults = Limits::default();
    let state = settings.state.as_ref().map_or(Ok(defaults.state), |state| u32::try_from(state.value));
    let message =
        settings.message.as_ref().map_or(Ok(defaults.message), |message| u32::try_from(message.value));
    let depth =
        settings.json_depth.as_ref().map_or(Ok(defaults.json_depth), |depth| u16::try_from(depth.value));
    let pseudonyms = settings.pseudonyms.as_ref();
    let pseudonyms = pseudonyms.map_or(Ok(defaults.pseudonyms), |most| u16::try_from(most.value));
    let body = settings.inspect_body.as_ref();
    let body = body.map_or(Ok(defaults.inspect_body), |most| u32::try_from(most.value));
    let ratio = settings.inflate_ratio.as_ref();
    let ratio = ratio.map_or(Ok(defaults.inflate_ratio), |ratio| u32::try_from(ratio.value));
    Ok(Limits {
        state: state.map_err(|_| LowerError::Contradiction("limits"))?,
        message: message.map_err(|_| LowerError::Contradiction("limits"))?,
        pseudonyms: pseudonyms.map_err(|_| LowerError::Contradiction("limits"))?,
        json_depth: depth.map_err(|_| LowerError::Contradiction("limits"))?,
        window: window(resolved.policy),
        inspect_body: body.map_err(|_| LowerError::Contradiction("limits"))?,
        inflate_ratio: ratio.map_err(|_| LowerError::Contradiction("limits"))?,
        unknown_content: settings
            .passing
            .as_ref()
            .map_or(UnknownContent::Refuse, |passing| UnknownContent::Pass(passing.value.clone())),
    })
}

fn names<T>(entries: &[Named<T>]) -> BTreeSet<String> {
    entries.iter().map(|entry| entry.name.value.clone()).collect()
}

fn number(
    what: &'static str,
    names: impl IntoIterator<Item = String>,
) -> Result<BTreeMap<String, u16>, LowerError> {
    let ids = (0..=usize::MAX).map(u16::try_from);
    names
        .into_iter()
        .zip(ids)
        .map(|(name, id)| Ok((name, id.map_err(|_| LowerError::TooMany(what))?)))
        .collect()
}
