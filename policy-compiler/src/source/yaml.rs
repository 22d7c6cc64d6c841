//! YAML text to a tree of nodes that know their place.
//!
//! The tree is our own, so that what the rest of the compiler sees does not change with the parser underneath
//! (the event parser of serde-saphyr). Guarantees: bounded depth and size, aliases included; duplicate keys, several
//! documents, tags and non-text keys are reported; plain scalars keep their spelling, so `no` and `042` stay what was written.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Span, Text};
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle};
use std::collections::BTreeMap;

/// One value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it was written; for a block collection, its first key or dash to its last value.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// The three shapes of YAML, and nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No value, or a plain `null` or `~`.
    Null,
    /// Text, number, boolean: who reads it decides.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file; every key once.
    Map(Vec<Entry>),
}

/// A scalar as written, escapes decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its text.
    pub text: String,
    /// Not quoted: could be a number or a boolean.
    pub plain: bool,
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Text,
    /// The value.
    pub value: Node,
}

/// Deepest nesting; a policy needs nine.
const MAX_DEPTH: usize = 32;
/// Most nodes, aliases counted with all they stand for.
const MAX_NODES: usize = 200_000;
/// Longest file in bytes.
const MAX_BYTES: usize = 4 << 20;

/// Parses exactly one document; `None` when there is no tree to go on with.
pub fn parse(text: &str, out: &mut Diagnostics) -> Option<Node> {
    if text.len() > MAX_BYTES {
        out.push(Diagnostic::whole(Code::E0103, "the file is larger than 4 MiB"));
        return None;
    }
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut events = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { stack: Vec::new(), anchors: BTreeMap::new(), nodes: 0, root: None, out };
    let mut documents = 0_usize;
    loop {
        let (event, span) = match events.next_event() {
            None => break,
            Some(Ok((event, span))) => (event, place(&span, text)),
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                builder.out.push(syntax(text, at, &error.info()));
                return None;
            }
        };
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if documents > 1 {
                let message = "a policy is one document";
                let help = "put other documents into files of their own";
                builder.out.push(
                    Diagnostic::at(Code::E0102, span, message).label("a second one begins here").help(help),
                );
                return None;
            }
        }
        builder.event(&event, span)?;
    }
    let root = builder.root;
    if root.as_ref().is_none_or(|node| node.kind == Kind::Null) {
        out.push(
            Diagnostic::whole(Code::E0207, "the file is empty")
                .help("begin with `apiVersion: veilwire.dev/v1`"),
        );
        return None;
    }
    root
}

/// A collection that is still open.
struct Open {
    anchor: usize,
    start: usize,
    end: usize,
    flow: bool,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Key> },
}

/// What stands before the colon.
enum Key {
    Text(Text),
    /// Already reported: its value is read and dropped.
    Refused,
}

struct Builder<'a> {
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
    out: &'a mut Diagnostics,
}

impl Builder<'_> {
    /// Takes one event in; `None` stops the parse, with the reason in `out`.
    fn event(&mut self, event: &Event<'_>, span: Span) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(tag.is_some(), span);
                let plain = *style == ScalarStyle::Plain;
                let kind = if plain && ["", "~", "null", "Null", "NULL"].contains(&text.as_ref()) {
                    Kind::Null
                } else {
                    Kind::Scalar(Scalar { text: text.as_ref().to_owned(), plain })
                };
                self.node(Node { span, kind }, *anchor, 1)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.tag(tag.is_some(), span);
                self.open(*anchor, span, is_flow(*style), Content::List(Vec::new()))
            }
            Event::MappingStart(style, anchor, tag) => {
                self.tag(tag.is_some(), span);
                self.open(*anchor, span, is_flow(*style), Content::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => match self.anchors.get(anchor) {
                Some(node) => {
                    let (node, weight) = (node.clone(), count(node));
                    self.node(node, 0, weight)
                }
                None => {
                    let message = "an alias stands inside the value it repeats";
                    self.out.push(Diagnostic::at(Code::E0103, span, message));
                    None
                }
            },
            _ => Some(()),
        }
    }

    fn tag(&mut self, tagged: bool, span: Span) {
        if tagged {
            let message = "YAML tags (`!name`) have no meaning in a policy";
            self.out.push(
                Diagnostic::at(Code::E0104, span, message)
                    .help("remove the tag; quote the value if it must be text"),
            );
        }
    }

    fn open(&mut self, anchor: usize, span: Span, flow: bool, content: Content) -> Option<()> {
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            self.out.push(Diagnostic::at(Code::E0103, Span::new(span.start, span.start + 1), message));
            return None;
        }
        self.stack.push(Open { anchor, start: span.start, end: span.start, flow, content });
        Some(())
    }

    fn close(&mut self, span: Span) -> Option<()> {
        let open = self.stack.pop()?;
        let end = if open.flow { span.end } else { open.end.max(open.start) };
        let kind = match open.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, .. } => Kind::Map(entries),
        };
        self.node(Node { span: Span::new(open.start, end), kind }, open.anchor, 1)
    }

    /// A finished value goes where the parser is: a key, a value, an item, or the document itself.
    fn node(&mut self, node: Node, anchor: usize, weight: usize) -> Option<()> {
        self.nodes = self.nodes.saturating_add(weight);
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, aliases counted with all they repeat");
            self.out.push(Diagnostic::at(Code::E0103, node.span, message));
            return None;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        open.end = open.end.max(node.span.end);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key } => match key.take() {
                None => *key = Some(read_key(&node, entries, self.out)),
                Some(Key::Text(key)) => entries.push(Entry { key, value: node }),
                Some(Key::Refused) => {}
            },
        }
        Some(())
    }
}

fn read_key(node: &Node, entries: &[Entry], out: &mut Diagnostics) -> Key {
    let Kind::Scalar(scalar) = &node.kind else {
        out.push(Diagnostic::at(Code::E0104, node.span, "a key is a plain word"));
        return Key::Refused;
    };
    if scalar.text == "<<" {
        let help = "write the keys out, or repeat a whole value by an alias";
        out.push(
            Diagnostic::at(Code::E0104, node.span, "merge keys (`<<`) are not part of the language")
                .help(help),
        );
        return Key::Refused;
    }
    match entries.iter().find(|entry| entry.key.value == scalar.text) {
        Some(first) => {
            let message = format!("key `{}` is written twice", scalar.text);
            out.push(
                Diagnostic::at(Code::E0204, node.span, message).also(first.key.span, "first written here"),
            );
            Key::Refused
        }
        None => Key::Text(Text::new(scalar.text.clone(), node.span)),
    }
}

/// What an alias brings at once.
fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Null | Kind::Scalar(_) => 1,
        Kind::List(items) => items.iter().map(count).fold(1, usize::saturating_add),
        Kind::Map(entries) => entries.iter().map(|entry| count(&entry.value)).fold(1, usize::saturating_add),
    }
}

fn is_flow(style: granit_parser::StructureStyle) -> bool {
    style == granit_parser::StructureStyle::Flow
}

fn place(span: &granit_parser::Span, text: &str) -> Span {
    let range = span.byte_range().unwrap_or(0..0);
    let end = range.end.min(text.len());
    Span::new(range.start.min(end), end)
}

fn syntax(text: &str, at: usize, info: &str) -> Diagnostic {
    let at = at.min(text.len());
    let end = text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |next| at + next.len_utf8());
    let diagnostic = Diagnostic::at(Code::E0101, Span::new(at, end), info);
    let line = text.get(..at).and_then(|before| before.rsplit('\n').next()).unwrap_or("");
    let rest = text.get(at..).unwrap_or("");
    if line.contains('\t') || rest.starts_with('\t') {
        return diagnostic.help("YAML is indented by spaces; there is a tab in this line");
    }
    diagnostic
}
