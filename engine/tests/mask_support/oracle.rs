//! What a masked document is, written down as plainly as possible: whole input, recursion, no state.

use crate::mask_support::{DETECTORS, Setup, TAGS, patterns};
use crate::scan_oracle::Oracle;
use std::cell::RefCell;
use std::collections::BTreeMap;
use veilwire_engine::mask::detector::DetectorBits;
use veilwire_engine::policy::id::DetectorId;
use veilwire_engine::policy::path::{PathPattern, PathStep};

/// What happens where.
pub(crate) struct Rules {
    scan: RefCell<Oracle>,
    active: DetectorBits,
    fields: Vec<(u16, PathPattern)>,
    skip: Vec<PathPattern>,
    null: Vec<PathPattern>,
    nested: Vec<PathPattern>,
}

/// One character: as it is written, what it means.
type Symbol = (Vec<u8>, Vec<u8>);

#[derive(Clone)]
enum Step {
    Name(Vec<u8>),
    Element,
}

impl Rules {
    pub(crate) fn new(setup: &Setup) -> Rules {
        let content = setup.content.as_ref();
        let fields = setup.fields.iter().map(|(tag, path)| (*tag, path.parse().unwrap())).collect();
        Rules { fields, ..Rules::with(|content| content.skip.clone(), content) }.and(
            content.map_or_else(Vec::new, |content| content.null.clone()),
            content.map_or_else(Vec::new, |content| content.nested.clone()),
        )
    }

    fn with(
        skip: impl Fn(&veilwire_engine::policy::model::Content) -> Vec<PathPattern>,
        content: Option<&veilwire_engine::policy::model::Content>,
    ) -> Rules {
        Rules {
            scan: RefCell::new(Oracle::new(&patterns())),
            active: (0..6).map(DetectorId).collect(),
            fields: Vec::new(),
            skip: content.map_or_else(Vec::new, skip),
            null: Vec::new(),
            nested: Vec::new(),
        }
    }

    fn and(self, null: Vec<PathPattern>, nested: Vec<PathPattern>) -> Rules {
        Rules { null, nested, ..self }
    }

    /// The rules for a document that stands alone and has no fields.
    pub(crate) fn inner(&self) -> Rules {
        Rules::with(|_| Vec::new(), None)
    }
}

/// The masked form of a whole document.
pub(crate) fn mask_document(rules: &Rules, body: &[u8]) -> Vec<u8> {
    let symbols: Vec<Symbol> = body.iter().map(|&byte| (vec![byte], vec![byte])).collect();
    let mut parser =
        Parser { rules, symbols: &symbols, at: 0, inner: false, counting: false, out: Vec::new() };
    parser.blanks();
    parser.value(&mut Vec::new());
    parser.blanks();
    assert_eq!(parser.at, symbols.len(), "the oracle was given something that is no document");
    parser.out
}

/// The masked form of a text.
pub(crate) fn mask_text(rules: &Rules, text: &[u8]) -> Vec<u8> {
    mask_symbols(rules, &text.iter().map(|&byte| (vec![byte], vec![byte])).collect::<Vec<_>>()).0
}

/// Raw text with every span replaced; were there any?
fn mask_symbols(rules: &Rules, symbols: &[Symbol]) -> (Vec<u8>, bool, Vec<usize>) {
    let text: Vec<u8> = symbols.iter().flat_map(|(_, text)| text.clone()).collect();
    let spans = rules.scan.borrow_mut().examine(&text, &rules.active).spans;
    let (mut out, mut ends, mut at) = (Vec::new(), Vec::new(), 0);
    let mut next = 0;
    for (raw, text) in symbols {
        let (start, end) = (at, at + text.len() as u64);
        at = end;
        while let Some(span) = spans.get(next).filter(|span| span.start < end) {
            out.extend_from_slice(placeholder(&span.detectors).as_bytes());
            ends.push(out.len());
            next += 1;
        }
        if !spans.iter().any(|span| span.start < end && start < span.end) {
            out.extend_from_slice(raw);
        }
    }
    (out, !spans.is_empty(), ends)
}

fn placeholder(found: &DetectorBits) -> &'static str {
    let tags = found.iter().map(|id| TAGS[usize::from(DETECTORS[id.index()].2)]);
    tags.max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0))).unwrap().2
}

fn matches(pattern: &[PathStep], path: &[Step]) -> bool {
    match (pattern.first(), path.first()) {
        (None, None) => true,
        (Some(PathStep::Descend), _) => {
            matches(&pattern[1..], path) || (!path.is_empty() && matches(pattern, &path[1..]))
        }
        (Some(PathStep::Key(name)), Some(Step::Name(key))) if name.as_bytes() == key => {
            matches(&pattern[1..], &path[1..])
        }
        (Some(PathStep::AnyKey), Some(Step::Name(_))) => matches(&pattern[1..], &path[1..]),
        (Some(PathStep::AnyElement), Some(Step::Element)) => matches(&pattern[1..], &path[1..]),
        _ => false,
    }
}

struct Parser<'p> {
    rules: &'p Rules,
    symbols: &'p [Symbol],
    at: usize,
    inner: bool,
    /// In an object or array whose numbers are not touched.
    counting: bool,
    out: Vec<u8>,
}

impl Parser<'_> {
    fn peek(&self) -> &[u8] {
        self.symbols.get(self.at).map_or(&[], |(_, text)| text)
    }

    /// Takes one symbol and writes it.
    fn pass(&mut self) {
        self.out.extend_from_slice(&self.symbols[self.at].0);
        self.at += 1;
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), b" " | b"\n" | b"\r" | b"\t") {
            self.pass();
        }
    }

    fn quoted(&self, text: &str) -> Vec<u8> {
        let quote = if self.inner { "\\\"" } else { "\"" };
        format!("{quote}{text}{quote}").into_bytes()
    }

    fn value(&mut self, path: &mut Vec<Step>) {
        let any = |patterns: &[PathPattern]| {
            !self.inner && patterns.iter().any(|pattern| matches(pattern.steps(), path))
        };
        let fields = self.rules.fields.iter().filter(|(_, pattern)| matches(pattern.steps(), path));
        let tag =
            fields.map(|(tag, _)| TAGS[usize::from(*tag)]).max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
        let (null, skip) = (any(&self.rules.null), any(&self.rules.skip));
        if let Some(tag) = tag {
            self.drop_value();
            let text = self.quoted(tag.2);
            self.out.extend(text);
        } else if null {
            self.drop_value();
            self.out.extend_from_slice(b"null");
        } else if skip && matches!(self.peek(), b"{" | b"[") {
            // Numbers pass; a text in it is a text.
            let counting = std::mem::replace(&mut self.counting, true);
            self.scan_value(path);
            self.counting = counting;
        } else if skip {
            self.skip_value(path);
        } else {
            self.scan_value(path);
        }
    }

    /// Reads a value without writing it.
    fn drop_value(&mut self) {
        let plain = Rules { fields: Vec::new(), ..Rules::with(|_| Vec::new(), None) };
        let mut parser = Parser {
            rules: &plain,
            symbols: self.symbols,
            at: self.at,
            inner: true,
            counting: false,
            out: Vec::new(),
        };
        parser.scan_value(&mut Vec::new());
        self.at = parser.at;
    }

    /// A value that is not touched, but for fields in it.
    fn skip_value(&mut self, path: &mut Vec<Step>) {
        let blind = Rules {
            fields: self.rules.fields.clone(),
            active: DetectorBits::new(),
            ..Rules::with(|_| Vec::new(), None)
        };
        let mut parser = Parser {
            rules: &blind,
            symbols: self.symbols,
            at: self.at,
            inner: false,
            counting: false,
            out: Vec::new(),
        };
        parser.scan_value(path);
        self.at = parser.at;
        self.out.append(&mut parser.out);
    }

    fn scan_value(&mut self, path: &mut Vec<Step>) {
        match self.peek() {
            b"{" => self.object(path),
            b"[" => self.array(path),
            b"\"" => {
                let (open, characters, close) = self.string();
                let nested =
                    !self.inner && self.rules.nested.iter().any(|pattern| matches(pattern.steps(), path));
                let begins = characters
                    .iter()
                    .find(|(_, text)| !matches!(text.as_slice(), b" " | b"\n" | b"\r" | b"\t"));
                let document =
                    nested && begins.is_some_and(|(_, text)| matches!(text.as_slice(), b"{" | b"["));
                self.out.extend(open);
                if document {
                    let mut parser = Parser {
                        rules: self.rules,
                        symbols: &characters,
                        at: 0,
                        inner: true,
                        counting: false,
                        out: Vec::new(),
                    };
                    parser.blanks();
                    parser.scan_value(path);
                    parser.blanks();
                    assert_eq!(parser.at, characters.len());
                    self.out.append(&mut parser.out);
                } else {
                    self.out.extend(mask_symbols(self.rules, &characters).0);
                }
                self.out.extend(close);
            }
            _ => {
                let start = self.at;
                while !matches!(self.peek(), b"" | b"," | b"}" | b"]" | b" " | b"\n" | b"\r" | b"\t") {
                    self.at += 1;
                }
                let scalar = &self.symbols[start..self.at];
                let text: Vec<u8> = scalar.iter().flat_map(|(_, text)| text.clone()).collect();
                let spans = self.rules.scan.borrow_mut().examine(&text, &self.rules.active).spans;
                let found = spans.iter().fold(DetectorBits::new(), |all, span| all.union(&span.detectors));
                let written = if found.is_empty() || self.counting {
                    scalar.iter().flat_map(|(raw, _)| raw.clone()).collect()
                } else {
                    self.quoted(placeholder(&found))
                };
                self.out.extend(written);
            }
        }
    }

    fn array(&mut self, path: &mut Vec<Step>) {
        self.pass();
        self.blanks();
        while self.peek() != b"]" {
            path.push(Step::Element);
            self.value(path);
            path.pop();
            self.blanks();
            if self.peek() == b"," {
                self.pass();
                self.blanks();
            }
        }
        self.pass();
    }

    fn object(&mut self, path: &mut Vec<Step>) {
        self.pass();
        self.blanks();
        let mut forms: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        while self.peek() != b"}" {
            let (open, characters, close) = self.string();
            let (mut masked, found, ends) = mask_symbols(self.rules, &characters);
            if found || masked.contains(&b'[') {
                let count = forms.entry(masked.clone()).or_default();
                *count += 1;
                if let (Some(end), true, true) = (ends.last(), found, *count > 1) {
                    let at = end - 1;
                    masked.splice(at..at, format!(":{count}").bytes());
                }
                // A key that only looks masked counts once.
                *count -= usize::from(!found && *count > 1);
            }
            self.out.extend(open);
            self.out.extend(masked);
            self.out.extend(close);
            self.blanks();
            assert_eq!(self.peek(), b":");
            self.pass();
            self.blanks();
            path.push(Step::Name(characters.iter().flat_map(|(_, text)| text.clone()).collect()));
            self.value(path);
            path.pop();
            self.blanks();
            if self.peek() == b"," {
                self.pass();
                self.blanks();
            }
        }
        self.pass();
    }

    /// Reads a string: the quotes as written, and its characters.
    fn string(&mut self) -> (Vec<u8>, Vec<Symbol>, Vec<u8>) {
        let quote = |parser: &mut Self| {
            assert_eq!(parser.peek(), b"\"");
            parser.at += 1;
            parser.symbols[parser.at - 1].0.clone()
        };
        let open = quote(self);
        let mut characters = Vec::new();
        while self.peek() != b"\"" {
            if self.peek() != b"\\" {
                characters.push(self.symbols[self.at].clone());
                self.at += 1;
                continue;
            }
            let unit = |parser: &Self, at: usize| -> Option<u32> {
                let part = parser.symbols.get(at..at + 6)?;
                let text: Vec<u8> = part.iter().flat_map(|(_, text)| text.clone()).collect();
                let digits = std::str::from_utf8(text.strip_prefix(b"\\u")?).ok()?;
                u32::from_str_radix(digits, 16).ok()
            };
            let (length, text) = match unit(self, self.at) {
                Some(high @ 0xD800..0xDC00) => match unit(self, self.at + 6) {
                    Some(low @ 0xDC00..0xE000) => {
                        (12, encode(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)))
                    }
                    _ => (6, encode(high)),
                },
                Some(code) => (6, encode(code)),
                None => {
                    let decoded = match self.symbols[self.at + 1].1.as_slice() {
                        b"n" => b'\n',
                        b"t" => b'\t',
                        b"r" => b'\r',
                        b"b" => 8,
                        b"f" => 12,
                        other => other[0],
                    };
                    (2, vec![decoded])
                }
            };
            let raw =
                self.symbols[self.at..self.at + length].iter().flat_map(|(raw, _)| raw.clone()).collect();
            characters.push((raw, text));
            self.at += length;
        }
        let close = quote(self);
        (open, characters, close)
    }
}

/// UTF-8, also of a surrogate.
fn encode(code: u32) -> Vec<u8> {
    match char::from_u32(code) {
        Some(char) => char.to_string().into_bytes(),
        None => vec![0xE0 | (code >> 12) as u8, 0x80 | (code >> 6 & 0x3F) as u8, 0x80 | (code & 0x3F) as u8],
    }
}
