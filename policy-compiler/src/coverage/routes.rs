//! What a policy does, route by route, for every kind of caller it allows.

use super::{JSON, NoCoverage, media};
use serde::Serialize;
use veilwire_engine::format::Format;
use veilwire_engine::mask::Place;
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::{DetectorId, MaskId, RouteId};
use veilwire_engine::policy::model::{
    Content, Effect, Field, Keyed, Mask, Partial, Pseudonym, Replacement, Route, RoutePath, Rule, Thinking,
    UnknownContent,
};

/// What a policy covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyCoverage {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.revision`.
    pub revision: u64,
    /// SHA-256 of the artifact.
    pub digest: String,
    /// Most specific first.
    pub routes: Vec<RouteCoverage>,
}

/// What is covered on one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteCoverage {
    /// Its name.
    pub name: String,
    /// Methods, host, path, upstream.
    pub request: String,
    /// Its content.
    pub content: String,
    /// What becomes of signed reasoning with a finding, where the content has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_reasoning: Option<&'static str>,
    /// Who may use it; nobody if empty.
    pub callers: Vec<CallerCoverage>,
}

/// What is covered for those whom the same masks meet. Who is in several groups meets the masks of all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallerCoverage {
    /// The groups.
    pub groups: Vec<String>,
    /// The rules that allow them.
    pub rules: Vec<String>,
    /// The masks of these rules.
    pub masks: Vec<String>,
    /// The places of an exchange, in the order in which it passes them.
    pub places: Vec<PlaceCoverage>,
}

/// A place of an exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceCoverage {
    /// `requestBody`, as in a mask's `in`.
    pub place: &'static str,
    /// Whether any mask looks there. If not, everything passes as it is.
    pub covered: bool,
    /// Detectors that run, with what is written instead of what they find.
    pub detectors: Vec<Replaced>,
    /// Values that are replaced whatever they hold.
    pub fields: Vec<Replaced>,
    /// Of a body: what it may be. Other bodies are refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<&'static str>,
    /// Of a body: types that pass without a look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passing: Vec<String>,
}

/// What is replaced, by what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Replaced {
    /// A detector or a path.
    pub what: String,
    /// Its tag.
    pub tag: String,
    /// What is written; where findings overlap, that of the highest severity.
    pub by: String,
}

/// The name of the place that nobody should overlook.
const ANSWER: &str = "responseBody";

const PLACES: [(Place, &str); 5] = [
    (Place::Path, "path"),
    (Place::Query, "query"),
    (Place::Headers, "headers"),
    (Place::RequestBody, "requestBody"),
    (Place::ResponseBody, ANSWER),
];

impl PolicyCoverage {
    /// What a policy covers.
    ///
    /// # Errors
    /// The masks of a checked policy cannot be carried out.
    pub fn new(policy: &Policy) -> Result<PolicyCoverage, NoCoverage> {
        let routes = policy.routes().map(|(id, route)| RouteCoverage::new(policy, id, route));
        Ok(PolicyCoverage {
            name: policy.name().to_owned(),
            revision: policy.revision(),
            digest: policy.digest().to_owned(),
            routes: routes.collect::<Result<_, _>>()?,
        })
    }

    /// Routes whose answers somebody gets as the upstream sent them, with the groups.
    #[must_use]
    pub fn unmasked_answers(&self) -> Vec<(&str, Vec<&str>)> {
        let mut all = Vec::new();
        for route in &self.routes {
            let callers = route.callers.iter().filter(|caller| !caller.covers(ANSWER));
            let groups: Vec<&str> = callers.flat_map(|caller| &caller.groups).map(String::as_str).collect();
            if !groups.is_empty() {
                all.push((route.name.as_str(), groups));
            }
        }
        all
    }
}

impl RouteCoverage {
    fn new(policy: &Policy, id: RouteId, route: &Route) -> Result<RouteCoverage, NoCoverage> {
        let model = policy.model();
        let mut by_masks: Vec<(Vec<MaskId>, Vec<&Rule>)> = Vec::new();
        for (_, rule) in policy.rules() {
            if rule.effect != Effect::May || !rule.routes.contains(&id) {
                continue;
            }
            let mut masks = rule.masks.clone();
            masks.sort_unstable();
            masks.dedup();
            match by_masks.iter_mut().find(|(known, _)| *known == masks) {
                Some((_, rules)) => rules.push(rule),
                None => by_masks.push((masks, vec![rule])),
            }
        }
        let callers = by_masks.iter().map(|(masks, rules)| CallerCoverage::new(policy, id, masks, rules));
        let content = route.content.and_then(|id| model.contents.get(id.index()));
        Ok(RouteCoverage {
            name: route.name.clone(),
            request: request_of(route),
            signed_reasoning: content
                .filter(|content| has_signed(content))
                .map(|_| reasoning(route.thinking)),
            content: content.map_or(JSON, |content| content.name.as_str()).to_owned(),
            callers: callers.collect::<Result<_, _>>()?,
        })
    }
}

impl CallerCoverage {
    fn new(
        policy: &Policy,
        route: RouteId,
        masks: &[MaskId],
        rules: &[&Rule],
    ) -> Result<CallerCoverage, NoCoverage> {
        let model = policy.model();
        let mut groups: Vec<String> = rules
            .iter()
            .flat_map(|rule| &rule.groups)
            .filter_map(|group| Some(model.groups.get(group.index())?.name.clone()))
            .collect();
        if rules.iter().any(|rule| rule.anyone) {
            // Who that is, the rule says by claims or scopes.
            groups.push("*".to_owned());
        }
        groups.sort();
        groups.dedup();
        let names = masks.iter().filter_map(|mask| Some(model.masks.get(mask.index())?.name.clone()));
        let places =
            PLACES.iter().map(|&(place, name)| PlaceCoverage::new(policy, route, masks, place, name));
        Ok(CallerCoverage {
            groups,
            rules: rules.iter().map(|rule| rule.name.clone()).collect(),
            masks: names.collect(),
            places: places.collect::<Result<_, _>>()?,
        })
    }

    /// Does any mask look at this place?
    #[must_use]
    pub fn covers(&self, place: &str) -> bool {
        self.places.iter().any(|known| known.place == place && known.covered)
    }
}

impl PlaceCoverage {
    fn new(
        policy: &Policy,
        route: RouteId,
        masks: &[MaskId],
        place: Place,
        name: &'static str,
    ) -> Result<PlaceCoverage, NoCoverage> {
        let Some(plan) = policy.plan(masks, route, place)? else {
            let (detectors, fields, formats, passing) = Default::default();
            return Ok(PlaceCoverage { place: name, covered: false, detectors, fields, formats, passing });
        };
        let model = policy.model();
        let (mut detectors, mut fields) = (Vec::new(), Vec::new());
        for mask in masks.iter().filter_map(|mask| model.masks.get(mask.index())) {
            let (scans, at) = looks(mask, place);
            if scans {
                detectors.extend(mask.detectors.iter().filter_map(|&id| replaced_by_detector(policy, id)));
            }
            fields.extend(at.iter().filter_map(|field| replaced_field(policy, field, name)));
            if matches!(place, Place::RequestBody | Place::ResponseBody) {
                fields.extend(
                    mask.form_fields.iter().filter_map(|field| replaced_field(policy, field, "form")),
                );
                fields.extend(mask.attributes.iter().filter_map(|attribute| {
                    let (tag, by) = placeholder(policy, attribute.tag.index())?;
                    Some(Replaced { what: format!("otel.attribute.{}", attribute.key), tag, by })
                }));
            }
        }
        let body = matches!(place, Place::RequestBody | Place::ResponseBody);
        let formats = if body { media::formats() } else { Vec::new() };
        let passing = match &policy.limits().unknown_content {
            UnknownContent::Pass(names) if body => names.as_slice(),
            _ => &[],
        };
        // Of a name that stands for many types one is asked about.
        let passes = |name: &&String| plan.format(name.replace('*', "x-any").as_bytes()).is_some();
        for list in [&mut detectors, &mut fields] {
            list.sort();
            list.dedup();
        }
        Ok(PlaceCoverage {
            place: name,
            covered: true,
            detectors,
            fields,
            passing: passing.iter().filter(passes).cloned().collect(),
            formats: formats.into_iter().filter(|&format| plan.takes(format)).map(Format::name).collect(),
        })
    }
}

/// Whether a mask scans a place, and the fields it has there.
fn looks(mask: &Mask, place: Place) -> (bool, &[Field]) {
    match place {
        Place::RequestBody => (mask.request_body, &mask.fields),
        Place::ResponseBody => (mask.response_body, &mask.fields),
        Place::Path => (mask.head.path, &[]),
        Place::Query => (mask.head.query, &mask.head.query_fields),
        Place::Headers => (mask.head.headers, &mask.head.header_fields),
    }
}

fn replaced_by_detector(policy: &Policy, id: DetectorId) -> Option<Replaced> {
    let detector = policy.model().detectors.get(id.index())?;
    let (tag, by) = placeholder(policy, detector.tag.index())?;
    Some(Replaced { what: detector.name.clone(), tag, by })
}

fn replaced_field(policy: &Policy, field: &Field, place: &str) -> Option<Replaced> {
    let (tag, by) = placeholder(policy, field.tag.index())?;
    let path = field.at.to_string();
    let what = match place {
        "query" | "headers" => path.trim_start_matches("$.").to_owned(),
        "form" => format!("form.{}", path.trim_start_matches("$.")),
        _ => path,
    };
    Some(Replaced { what, tag, by })
}

fn placeholder(policy: &Policy, tag: usize) -> Option<(String, String)> {
    let tag = policy.model().tags.get(tag)?;
    Some((tag.name.clone(), describe(&tag.replacement)))
}

/// What is written, in words where it is no fixed text.
fn describe(replacement: &Replacement) -> String {
    match replacement {
        Replacement::Placeholder(text) => text.clone(),
        Replacement::Partial(Partial { keep_first, keep_last, mask_length, otherwise }) => {
            let stars = mask_length.map_or_else(|| "*".to_owned(), |length| format!("{length} x *"));
            format!("first {keep_first}, {stars}, last {keep_last}; else {otherwise}")
        }
        Replacement::Drop => "dropped".to_owned(),
        Replacement::Tokenize(Keyed { prefix, otherwise, .. }) => {
            format!("keyed token {prefix}*; else {otherwise}")
        }
        Replacement::Shape(Keyed { otherwise, .. }) => {
            format!("keyed value of the same shape; else {otherwise}")
        }
        Replacement::Pseudonym(Pseudonym { name, otherwise }) => {
            format!("<{name}_n>, put back in the answer; else {otherwise}")
        }
    }
}

fn has_signed(content: &Content) -> bool {
    !content.signed.is_empty() || content.channels.iter().any(|channel| channel.signature.is_some())
}

fn reasoning(thinking: Thinking) -> &'static str {
    match thinking {
        Thinking::Refuse => "a finding refuses the message",
        Thinking::MaskAndDropSignature => "masked, and its signature dropped",
        Thinking::Leave => "NOT LOOKED AT: passes as it is",
    }
}

/// Methods, host, path and upstream of a route.
pub(crate) fn request_of(route: &Route) -> String {
    let path = match &route.path {
        RoutePath::Exact(path) => path.clone(),
        RoutePath::Below(path) => format!("{path}/**"),
    };
    let methods = if route.methods.is_empty() { "*".to_owned() } else { route.methods.join("|") };
    format!("{methods} {}{path} -> {}", route.host, route.upstream)
}
