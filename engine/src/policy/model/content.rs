//! Contents: the data of protocol packs. What an API says where, without a line of code. Plain data, no behaviour.

use crate::policy::path::PathPattern;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The data of one API: which strings are fragments of a channel, what closes a channel, what is never touched.
///
/// Paths are written for one JSON document: the body of a JSON message, or the payload of one SSE event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Content {
    /// Name in routes, such as `openai.chat`.
    pub name: String,
    /// Values that are neither scanned nor changed: ids, model names, usage. Of objects and arrays that holds for their numbers; texts and
    /// keys in them are scanned.
    #[serde(default)]
    pub skip: Vec<PathPattern>,
    /// Values that become `null` on a masked route because they repeat text (`logprobs`).
    #[serde(default)]
    pub null: Vec<PathPattern>,
    /// Strings that carry a JSON document.
    #[serde(default)]
    pub nested: Vec<PathPattern>,
    /// Signed text: a finding inside invalidates the signature.
    #[serde(default)]
    pub signed: Vec<Signed>,
    /// Objects that are an attribute each: a string `key`, and behind it a `value` such as `{"stringValue": …}`
    /// (OpenTelemetry, `KeyValue`).
    #[serde(default)]
    pub attributes: Vec<PathPattern>,
    /// Texts that arrive in fragments, one per event.
    #[serde(default)]
    pub channels: Vec<Channel>,
    /// SSE payloads, not JSON, that close every channel (`[DONE]`).
    #[serde(default)]
    pub done: Vec<String>,
    /// What a client of this API understands as an error in mid-stream: a complete SSE event.
    #[serde(default)]
    pub error_event: String,
    /// Values that only their own event may carry: `null` in the copy of an event that brings a waiting tail (see
    /// [`Channel::tail`]), because clients add them up or join them.
    #[serde(default)]
    pub once: Vec<PathPattern>,
    /// Its messages, where it is also sent as protobuf.
    #[serde(default)]
    pub protobuf: Option<Schema>,
    /// A JSON body may be many documents, one a line, whatever its content type says.
    #[serde(default)]
    pub lines: bool,
    /// Its messages are those of JSON-RPC 2.0, so a refusal is an error of it.
    #[serde(default)]
    pub json_rpc: bool,
    /// What rules may ask of its requests.
    #[serde(default)]
    pub request: RequestFacts,
}

/// Where a request names its model and the tools that it offers. Methods and tools of JSON-RPC (MCP) need no paths: their
/// specification says where they are.
///
/// Paths lead through members and, with `[*]`, elements; `.*` at the end stands for the names of the members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RequestFacts {
    /// The string that names the model.
    #[serde(default)]
    pub model: Vec<PathPattern>,
    /// The model is a segment of the path instead.
    #[serde(default)]
    pub model_in_path: Option<ModelInPath>,
    /// Strings that name a tool. Every element of a list that they lead through must have one.
    #[serde(default)]
    pub tools: Vec<PathPattern>,
    /// Values found there that name no tool, but say of what kind one is (`function`).
    #[serde(default)]
    pub kinds: Vec<String>,
}

/// A model that the path names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ModelInPath {
    /// The segment in front of it.
    pub behind: String,
    /// It ends at a colon (`models/NAME:generateContent`).
    #[serde(default)]
    pub to_colon: bool,
}

impl RequestFacts {
    /// Whether requests say which model they are for.
    #[must_use]
    pub fn names_model(&self) -> bool {
        !self.model.is_empty() || self.model_in_path.is_some()
    }
}

/// The protobuf messages of an API. Their names are those of the JSON form (ProtoJSON), so the paths of the content hold
/// for both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The message that a request is.
    pub request: String,
    /// The message that a response is.
    pub response: String,
    /// The fields of each message that is known. Others are kept as they are, unless a value is seen in them.
    pub messages: BTreeMap<String, Vec<SchemaField>>,
}

/// A field of a message, written as `[number, name, kind]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, String, String)", into = "(u32, String, String)")]
pub struct SchemaField {
    /// Field number.
    pub number: u32,
    /// Name in the JSON form.
    pub name: String,
    /// `text` (also bytes that may be text), `number` (never touched), `id` (bytes, never touched if no more than 16), or
    /// a message; with `[]` where it is repeated.
    pub kind: String,
}

impl From<(u32, String, String)> for SchemaField {
    fn from((number, name, kind): (u32, String, String)) -> SchemaField {
        SchemaField { number, name, kind }
    }
}

impl From<SchemaField> for (u32, String, String) {
    fn from(field: SchemaField) -> Self {
        (field.number, field.name, field.kind)
    }
}

/// A text and the signature over it, in one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The signed string.
    pub text: PathPattern,
    /// Its signature: a sibling, below the same array element.
    pub signature: PathPattern,
}

/// One logical text whose fragments arrive in several events.
///
/// An *instance* of a channel is named by the values found at `key` (choice index, tool call index); a key that is absent is
/// replaced by the position in the array that the path shares with the fragment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Channel {
    /// Name in findings: `content`, `thinking`.
    pub name: String,
    /// Strings that are fragments of this text.
    pub fragments: Vec<PathPattern>,
    /// The fragments are of this text only where this is observed; otherwise they belong to the next channel of the
    /// list, which names the same fragments.
    #[serde(default)]
    pub when: Option<Condition>,
    /// Numbers that name the instance.
    #[serde(default)]
    pub key: Vec<PathPattern>,
    /// The joined text is a JSON document.
    #[serde(default)]
    pub nested: bool,
    /// What ends the text.
    #[serde(default)]
    pub closed_by: Vec<Closer>,
    /// Signature over the joined text: comes after it, closes it, and is emptied if the text changed.
    #[serde(default)]
    pub signature: Option<PathPattern>,
    /// The event, blank line included, that brings a waiting tail before the channel closes: `%t` stands for the text,
    /// `%0`, `%1` ... for the values of `key`, `%%` for `%`. Absent: a copy of the last event that gave to the channel.
    #[serde(default)]
    pub tail: Option<String>,
}

/// An observation in an event that closes instances of a channel: those that agree with every key the event shows, except
/// a key at the place of the observation itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closer {
    /// Where to look.
    pub at: PathPattern,
    /// The string, number or literal expected there; absent: anything but `null`.
    #[serde(default)]
    pub is: Option<String>,
}

/// An observation beside a fragment: in the same event, and below the same array elements as far as its path goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Where to look.
    pub at: PathPattern,
    /// The string, number or literal expected there.
    pub is: String,
}
