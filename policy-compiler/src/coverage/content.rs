//! What a content knows: where texts are joined, what carries JSON, what is never touched and why.

use super::reason::reason;
use super::{JSON, NoCoverage, media};
use crate::pack;
use serde::Serialize;
use std::collections::BTreeMap;
use veilwire_engine::decision::Direction;
use veilwire_engine::policy::Policy;
use veilwire_engine::policy::id::MaskId;
use veilwire_engine::policy::model::{Channel, Content, Schema};
use veilwire_engine::policy::path::PathPattern;

/// One content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentCoverage {
    /// As routes name it.
    pub name: String,
    /// The pack that brings it; none for plain JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack: Option<&'static str>,
    /// What bodies may be: everything else is refused.
    pub formats: Vec<&'static str>,
    /// A JSON body may be one document a line, whatever its type says.
    pub lines: bool,
    /// Texts that arrive in fragments.
    pub joined: Vec<Joined>,
    /// Strings that carry JSON, looked at one level down.
    pub nested: Vec<String>,
    /// Texts with a signature: a finding refuses, or drops the signature.
    pub signed: Vec<String>,
    /// What becomes `null`, for it repeats a text in other words.
    pub nulled: Vec<String>,
    /// What is neither scanned nor changed. Everything else is scanned.
    pub never_touched: Vec<Untouched>,
    /// The same of protobuf messages.
    pub messages: Vec<Message>,
    /// What rules can ask of its requests, and where they look for it.
    pub asked: Vec<Asked>,
}

/// A text whose fragments are joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// As findings name it.
    pub name: String,
    /// Where its fragments are.
    pub fragments: Vec<String>,
    /// What tells one such text from another.
    pub key: Vec<String>,
    /// What ends it, beside the end of the body.
    pub closed_by: Vec<String>,
    /// The whole text is JSON.
    pub json: bool,
}

/// What rules can ask of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// As `where` names it.
    pub attribute: &'static str,
    /// Where it is: in the body, or the path.
    pub paths: Vec<String>,
}

/// Values that pass by design.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Untouched {
    /// Why.
    pub why: &'static str,
    /// Where.
    pub paths: Vec<String>,
}

/// A message of protobuf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its name.
    pub name: String,
    /// Fields with text.
    pub inspected: Vec<String>,
    /// Numbers, and ids of at most 16 bytes.
    pub never_touched: Vec<String>,
}

/// Every content that `policy` has a route for; plain JSON first.
pub(super) fn all(policy: &Policy) -> Result<Vec<ContentCoverage>, NoCoverage> {
    let mut all = Vec::new();
    for (id, route) in policy.routes() {
        let plan = policy.plan(&[MaskId(0)], id, Direction::Response)?.ok_or(NoCoverage::Packs)?;
        let formats = media::formats().into_iter().filter(|&format| plan.takes(format));
        let content = route.content.and_then(|id| policy.model().contents.get(id.index()));
        let known = content.map_or_else(ContentCoverage::plain, ContentCoverage::new);
        all.push(ContentCoverage {
            formats: formats.map(veilwire_engine::format::Format::name).collect(),
            ..known
        });
    }
    all.sort_by(|a, b| (a.name != JSON, &a.name).cmp(&(b.name != JSON, &b.name)));
    Ok(all)
}

impl ContentCoverage {
    fn plain() -> ContentCoverage {
        ContentCoverage { name: JSON.to_owned(), ..ContentCoverage::default() }
    }

    fn new(content: &Content) -> ContentCoverage {
        let home = pack::homes().find(|(name, _)| *name == content.name);
        let signed = content.signed.iter().map(|signed| signed.text.to_string());
        let streamed = content.channels.iter().filter(|channel| channel.signature.is_some());
        ContentCoverage {
            name: content.name.clone(),
            pack: home.map(|(_, pack)| pack),
            formats: Vec::new(),
            lines: content.lines,
            joined: content.channels.iter().map(Joined::new).collect(),
            nested: paths(&content.nested),
            signed: signed.chain(streamed.map(|channel| format!("channel.{}", channel.name))).collect(),
            nulled: paths(&content.null),
            never_touched: by_reason(&content.skip),
            messages: content.protobuf.as_ref().map(messages).unwrap_or_default(),
            asked: asked(content),
        }
    }
}

impl Joined {
    fn new(channel: &Channel) -> Joined {
        let closers = channel.closed_by.iter().map(|closer| match &closer.is {
            Some(is) => format!("{} = {is}", closer.at),
            None => closer.at.to_string(),
        });
        let signature = channel.signature.as_ref().map(ToString::to_string);
        Joined {
            name: channel.name.clone(),
            fragments: paths(&channel.fragments),
            key: paths(&channel.key),
            closed_by: closers.chain(signature).collect(),
            json: channel.nested,
        }
    }
}

fn asked(content: &Content) -> Vec<Asked> {
    let request = &content.request;
    let place = request.model_in_path.as_ref().map(|place| {
        let end = if place.to_colon { ":" } else { "/" };
        format!("/{}/NAME{end} of the path", place.behind)
    });
    let rpc = |path: &str| content.json_rpc.then(|| path.to_owned());
    let all = [
        ("model", paths(&request.model).into_iter().chain(place).collect()),
        ("tool", paths(&request.tools).into_iter().chain(rpc("$.params.name of tools/call")).collect()),
        ("mcp.method", rpc("$.method").into_iter().collect::<Vec<_>>()),
    ];
    all.into_iter()
        .filter(|(_, paths)| !paths.is_empty())
        .map(|(attribute, paths)| Asked { attribute, paths })
        .collect()
}

fn paths(patterns: &[PathPattern]) -> Vec<String> {
    patterns.iter().map(ToString::to_string).collect()
}

fn by_reason(patterns: &[PathPattern]) -> Vec<Untouched> {
    let mut all: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for path in paths(patterns) {
        all.entry(reason(&path)).or_default().push(path);
    }
    all.into_iter().map(|(why, paths)| Untouched { why, paths }).collect()
}

fn messages(schema: &Schema) -> Vec<Message> {
    let named = |kinds: &[&str], fields: &[veilwire_engine::policy::model::SchemaField]| {
        let kind = |kind: &str| kinds.contains(&kind.trim_end_matches("[]"));
        fields.iter().filter(|field| kind(&field.kind)).map(|field| field.name.clone()).collect()
    };
    let message = |(name, fields): (&String, &Vec<_>)| Message {
        name: name.clone(),
        inspected: named(&["text"], fields),
        never_touched: named(&["number", "id"], fields),
    };
    schema.messages.iter().map(message).collect()
}
