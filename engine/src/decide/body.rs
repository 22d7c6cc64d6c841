//! What a request says of itself in its body, for rules: which model, which tools, which methods of JSON-RPC.
//!
//! Guarantees: what is read is what every reader would read. A body that is no JSON of one reading, a name that is there twice or
//! in another case, a value of another kind, a list with an entry that has no name: nothing can be said then, which no `may` rule
//! accepts and every `mayNot` rule takes for itself. Nothing but the names is kept, and those are bounded.

use crate::identity::decode;
use crate::policy::model::{Content, ModelInPath, RequestFacts};
use crate::policy::path::PathStep;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Most values of one kind.
const MOST: usize = 1_024;
/// Longest value, in bytes.
const LONGEST: usize = 1_024;
/// The method of MCP that calls a tool (Model Context Protocol, "Tools").
const CALL: &str = "tools/call";

/// What is known of values in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// These, in order; none, if there are none.
    Texts(Vec<String>),
    /// Something, of which nothing can be said.
    Opaque,
}

/// What the body of one request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyFacts {
    /// The model that is asked.
    pub model: Stated,
    /// The tools that a model is offered, or the one that is called (MCP).
    pub tools: Stated,
    /// Methods of JSON-RPC; several in a batch.
    pub methods: Stated,
}

impl BodyFacts {
    /// Of a request without a body: it names nothing.
    #[must_use]
    pub fn none() -> BodyFacts {
        let none = || Stated::Texts(Vec::new());
        BodyFacts { model: none(), tools: none(), methods: none() }
    }

    /// Of a body that cannot be read.
    #[must_use]
    pub fn opaque() -> BodyFacts {
        BodyFacts { model: Stated::Opaque, tools: Stated::Opaque, methods: Stated::Opaque }
    }
}

/// What is read of the bodies of one content.
#[derive(Clone, Debug)]
pub(crate) struct BodyReader {
    root: Node,
    /// Values that say of what kind a tool is, and do not name one.
    kinds: Vec<String>,
    json_rpc: bool,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Model,
    Tool,
    Method,
}

/// What is expected at a place of a document.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Members with these names.
    members: Vec<(String, Node)>,
    /// The elements of a list.
    elements: Option<Box<Node>>,
    /// The string here is one.
    value: Option<Subject>,
    /// The names of the members are.
    names: Option<Subject>,
    /// Whatever is here has to name one, itself or in members.
    needs: Option<Subject>,
}

impl BodyReader {
    /// The reader for a content; `None` if its paths lead nowhere.
    pub(crate) fn new(content: &Content) -> Option<BodyReader> {
        let mut root = Node::default();
        let RequestFacts { model, tools, kinds, .. } = &content.request;
        for path in model {
            root.add(path.steps(), Subject::Model)?;
        }
        for path in tools {
            root.add(path.steps(), Subject::Tool)?;
        }
        if content.json_rpc {
            let key = |name: &str| PathStep::Key(name.to_owned());
            root.add(&[key("method")], Subject::Method)?;
            root.add(&[key("params"), key("name")], Subject::Tool)?;
        }
        Some(BodyReader { root, kinds: kinds.clone(), json_rpc: content.json_rpc })
    }

    /// What this body says.
    pub(crate) fn read(&self, body: &[u8]) -> BodyFacts {
        let mut input = serde_json::Deserializer::from_slice(body);
        let mut facts = BodyFacts::none();
        let read = if self.json_rpc {
            Messages { reader: self, facts: &mut facts }.deserialize(&mut input)
        } else {
            Read { node: &self.root, kinds: &self.kinds, facts: &mut facts }.deserialize(&mut input)
        };
        match read.and_then(|()| input.end()) {
            Ok(()) => facts,
            Err(_) => BodyFacts::opaque(),
        }
    }
}

/// The model that a path names.
pub(crate) fn model_of_path(path: &str, place: &ModelInPath) -> Stated {
    let ModelInPath { behind, to_colon } = place;
    let mut segments = path.split('/').skip_while(|segment| segment != behind).skip(1);
    let Some(segment) = segments.next() else { return Stated::Texts(Vec::new()) };
    // SECURITY: where it could be read in two ways, nobody knows which one counts.
    if segment == behind || segments.any(|other| other == behind) {
        return Stated::Opaque;
    }
    let segment = if *to_colon { segment.split(':').next().unwrap_or_default() } else { segment };
    // In a path a plus is a plus.
    match decode(&segment.replace('+', "%2B")) {
        Some(name) if !name.is_empty() && name.len() <= LONGEST => Stated::Texts(vec![name]),
        _ => Stated::Opaque,
    }
}

impl Node {
    /// Adds what is at the end of these steps: a string, or the names of the members with `.*`.
    fn add(&mut self, steps: &[PathStep], subject: Subject) -> Option<()> {
        match steps {
            [] => self.value = Some(subject),
            [PathStep::AnyKey] => self.names = Some(subject),
            [PathStep::Key(name), rest @ ..] => {
                if !self.members.iter().any(|(known, _)| known == name) {
                    self.members.push((name.clone(), Node::default()));
                }
                let (_, member) = self.members.iter_mut().find(|(known, _)| known == name)?;
                member.add(rest, subject)?;
            }
            [PathStep::AnyElement, rest @ ..] => {
                let element = self.elements.get_or_insert_default();
                if rest.iter().all(|step| matches!(step, PathStep::Key(_))) {
                    element.needs = Some(subject);
                }
                element.add(rest, subject)?;
            }
            [PathStep::AnyKey | PathStep::Descend, ..] => return None,
        }
        Some(())
    }

    fn member(&self, name: &str) -> Option<&Node> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    /// Nothing can be said of what is here or below.
    fn hide(&self, facts: &mut BodyFacts) {
        for subject in [self.value, self.names, self.needs].into_iter().flatten() {
            *facts.stated(subject) = Stated::Opaque;
        }
        for node in self.members.iter().map(|(_, node)| node).chain(self.elements.as_deref()) {
            node.hide(facts);
        }
    }
}

impl BodyFacts {
    fn stated(&mut self, subject: Subject) -> &mut Stated {
        match subject {
            Subject::Model => &mut self.model,
            Subject::Tool => &mut self.tools,
            Subject::Method => &mut self.methods,
        }
    }
}

impl Stated {
    fn add(&mut self, text: &str) {
        match self {
            Stated::Texts(texts) if texts.len() < MOST && text.len() <= LONGEST => {
                texts.push(text.to_owned())
            }
            // SECURITY: what does not fit could be the one that matters.
            other => *other = Stated::Opaque,
        }
    }

    /// How many there are; `None` if nobody knows.
    fn count(&self) -> Option<usize> {
        match self {
            Stated::Texts(texts) => Some(texts.len()),
            Stated::Opaque => None,
        }
    }
}

/// Reads one value of which a node says what is expected.
struct Read<'r> {
    node: &'r Node,
    kinds: &'r [String],
    facts: &'r mut BodyFacts,
}

impl Read<'_> {
    fn name(&mut self, subject: Subject, text: &str) {
        if !(subject == Subject::Tool && self.kinds.iter().any(|kind| kind == text)) {
            self.facts.stated(subject).add(text);
        }
    }

    /// A value of another kind than what is expected.
    fn other(self) {
        self.node.hide(self.facts);
    }
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        let Read { node, kinds, facts } = self;
        let before = node.needs.map(|subject| (subject, facts.stated(subject).count()));
        input.deserialize_any(Read { node, kinds, facts: &mut *facts })?;
        // Where the names of the members are values, each of them was one.
        if let Some((subject, before)) = before
            && node.names.is_none()
            && facts.stated(subject).count() == before
        {
            *facts.stated(subject) = Stated::Opaque;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Read<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        match self.node.value {
            Some(subject) => self.name(subject, text),
            None => self.other(),
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        if self.node.members.is_empty() && self.node.names.is_none() {
            self.node.hide(self.facts);
        }
        let mut seen: Vec<String> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            if let Some(subject) = self.node.names {
                self.name(subject, &name);
            }
            let Some(node) = self.node.member(&name) else {
                // SECURITY: some readers take names in any case (Go's `encoding/json`), and the last one counts.
                for (known, node) in &self.node.members {
                    if folded(known).eq(folded(&name)) {
                        node.hide(self.facts);
                    }
                }
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            members.next_value_seed(Read { node, kinds: self.kinds, facts: &mut *self.facts })?;
            // SECURITY: readers do not agree on which of two counts (RFC 8259 section 4).
            if seen.contains(&name) {
                node.hide(self.facts);
            } else {
                seen.push(name);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Some(node) = &self.node.elements else {
            self.node.hide(self.facts);
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        while elements.next_element_seed(Read { node, kinds: self.kinds, facts: &mut *self.facts })?.is_some()
        {
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        // No list is an empty list; no model is none that can be named.
        if self.node.value.is_some() {
            self.other();
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.other();
        Ok(())
    }
}

/// A name as readers have it that do not look at its case: those letters of Unicode that fold to ASCII are among them.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    })
}

/// One message of JSON-RPC 2.0, or a batch of them (section 6).
struct Messages<'r> {
    reader: &'r BodyReader,
    facts: &'r mut BodyFacts,
}

impl Messages<'_> {
    /// Adds what one message says.
    fn add(&mut self, mut message: BodyFacts) {
        let methods = match &message.methods {
            Stated::Texts(methods) => methods.clone(),
            Stated::Opaque => {
                *self.facts = BodyFacts::opaque();
                return;
            }
        };
        for method in &methods {
            self.facts.methods.add(method);
        }
        // Of other methods `params.name` is something else: that of a prompt.
        if methods.iter().any(|method| method == CALL) {
            match message.stated(Subject::Tool) {
                Stated::Texts(names) if !names.is_empty() => {
                    names.iter().for_each(|name| self.facts.tools.add(name))
                }
                _ => self.facts.tools = Stated::Opaque,
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Messages<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message or a batch of them")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, members: A) -> Result<(), A::Error> {
        let mut message = BodyFacts::none();
        let reader = self.reader;
        Read { node: &reader.root, kinds: &reader.kinds, facts: &mut message }.visit_map(members)?;
        self.add(message);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let reader = self.reader;
        loop {
            let mut message = BodyFacts::none();
            let read = Read { node: &reader.root, kinds: &reader.kinds, facts: &mut message };
            if elements.next_element_seed(read)?.is_none() {
                return Ok(());
            }
            self.add(message);
        }
    }
}

#[cfg(test)]
mod tests;
