//! What the compiler has to say: a stable code, one plain sentence, the smallest wrong place, and help.
//!
//! Every [`Code`] has a page in `docs/reference/diagnostics.md` and a case in `tests/ui`; tests hold both to it.
//! Diagnostics quote names and keys of the policy, never the content of a file it refers to.

pub mod redact;
pub mod render;

use serde::{Serialize, Serializer};

/// A byte range of the policy's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value and where it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place in the policy.
    pub span: Span,
}

/// A string and where it was written.
pub type Text = Spanned<String>;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is written.
    Error,
    /// The policy compiles; somebody should look.
    Warning,
}

macro_rules! codes {
    ($($code:ident $title:literal,)*) => {
        /// Stable name of a diagnostic: `E` for errors, `W` for warnings. A code is never reused for something else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $code,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// The code as it is printed.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => stringify!($code),)* }
            }

            /// One line about the code; the heading of its page.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Code::$code => $title,)* }
            }
        }
    };
}

codes! {
    E0101 "the file is not YAML",
    E0102 "more than one document",
    E0103 "too deep or too large",
    E0104 "YAML feature that policies do not use",
    E0201 "wrong type",
    E0202 "missing key",
    E0203 "unknown key",
    E0204 "duplicate key",
    E0205 "value not understood",
    E0206 "number or unit not understood, or out of range",
    E0207 "not a policy",
    E0208 "name not usable",
    E0209 "empty or contradictory choice",
    E0210 "path not understood",
    E0301 "unknown pack",
    E0302 "unknown tag",
    E0303 "unknown detector",
    E0304 "unknown mask",
    E0305 "unknown route",
    E0306 "unknown upstream",
    E0307 "unknown trust",
    E0308 "unknown identity provider",
    E0309 "unknown content",
    E0311 "group is not declared",
    E0312 "content needs a pack",
    E0313 "key is not declared",
    E0314 "pack differs from its lock",
    E0315 "lock not understood",
    E0316 "two keys with one id",
    E0330 "tokens without an end",
    E0331 "certificates that the listener does not demand",
    E0332 "two providers with the same callers",
    E0333 "group that nobody can be in",
    E0340 "unknown service",
    E0341 "keys in two places",
    E0342 "metadata from a host that is not the issuer",
    E0343 "keys that Envoy cannot find",
    E0344 "a secret that does not fit",
    E0401 "file cannot be read",
    E0402 "key set without a usable key",
    E0403 "signature algorithm refused",
    E0404 "issuer is not https",
    E0405 "not a certificate",
    E0408 "secret written into the policy",
    E0409 "two providers with one issuer",
    W0406 "private key is not on this machine",
    W0407 "long clock tolerance",
    E0501 "detector can hold back more text than the window",
    E0502 "pattern not understood",
    E0503 "example contradicts the detector",
    E0504 "detector needs too large an automaton",
    E0505 "pattern matches nothing or the empty text",
    E0506 "validated detector with too long matches",
    E0507 "look-around is not supported",
    E0508 "placeholder is not safe inside JSON",
    E0509 "tag without a replacement",
    W0510 "placeholder is itself found by a detector",
    W0511 "detector makes text wait at nearly every word",
    W0512 "replacement falls back to its placeholder",
    W0530 "token in the query",
    E0603 "administration port reachable from outside",
    E0610 "upstream without certificate verification",
    W0702 "rule can never deny",
    W0703 "rule can never allow",
    W0704 "route that no rule allows",
    E0706 "routes overlap",
    W0708 "declared but not used",
    W0711 "allowed route without a mask",
    E0712 "mask changes signed requests",
    W0713 "content passes without a look",
    W0714 "signed reasoning passes without a look",
    E0802 "attribute that no route of the mask has",
    E0803 "mask that hides nothing",
    E0804 "rule asks for what the requests of a route do not say",
    E0901 "not supported yet",
    E0902 "policy larger than a filter accepts",
    E0999 "the compiler contradicts itself",
}

/// A second place that belongs to a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// The cause in one sentence.
    pub message: String,
    /// The smallest wrong place; absent when the whole file is meant.
    pub span: Option<Span>,
    /// What is said at that place; may be empty.
    pub label: String,
    /// Places of the other parties.
    pub also: Vec<Label>,
    /// Why it matters.
    pub notes: Vec<String>,
    /// What can be done, ready to paste where possible.
    pub helps: Vec<String>,
}

/// Everything that was found, in the order it was found; [`Diagnostics::sorted`] orders by place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
}

impl Span {
    /// The range `start..end`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Span { start, end }
    }
}

impl<T> Spanned<T> {
    /// `value`, written at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Spanned { value, span }
    }
}

impl Code {
    /// Whether this code stops the compilation.
    #[must_use]
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('E') { Severity::Error } else { Severity::Warning }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Diagnostic {
    /// A diagnostic about one place.
    pub fn at(code: Code, span: Span, message: impl Into<String>) -> Self {
        Diagnostic { span: Some(span), ..Diagnostic::whole(code, message) }
    }

    /// A diagnostic about the whole file.
    pub fn whole(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            message: message.into(),
            span: None,
            label: String::new(),
            also: Vec::new(),
            notes: Vec::new(),
            helps: Vec::new(),
        }
    }

    /// Says something at the place itself.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Points at another party.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.also.push(Label { span, text: text.into() });
        self
    }

    /// Says why it matters.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Says what can be done.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.helps.push(text.into());
        self
    }

    /// [`Code::severity`].
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.items.push(diagnostic);
    }

    /// Takes over what another stage found, where `keep` says so.
    pub fn extend(&mut self, other: Diagnostics, keep: impl Fn(Code) -> bool) {
        self.items.extend(other.items.into_iter().filter(|item| keep(item.code)));
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the policy must be refused.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|item| item.severity() == Severity::Error)
    }

    /// Number of diagnostics of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.items.iter().filter(|item| item.severity() == severity).count()
    }

    /// The diagnostics, in their present order.
    #[must_use]
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// The same diagnostics without anything that has the form of a credential.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let items = self.items.iter().map(|item| Diagnostic {
            message: redact::redacted(&item.message),
            label: redact::redacted(&item.label),
            also: item
                .also
                .iter()
                .map(|label| Label { span: label.span, text: redact::redacted(&label.text) })
                .collect(),
            notes: item.notes.iter().map(|note| redact::redacted(note)).collect(),
            helps: item.helps.iter().map(|help| redact::redacted(help)).collect(),
            ..*item
        });
        Diagnostics { items: items.collect() }
    }

    /// Ordered by place, then code; the same thing said twice is said once.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.items.sort_by(|a, b| (a.span, a.code, &a.message).cmp(&(b.span, b.code, &b.message)));
        self.items.dedup();
        self
    }
}

/// `wrong` looks like one of `known`: the closest, if it is close enough to be a slip.
#[must_use]
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wrong.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (edit_distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Names in one sentence: `a`, `b`, `c`.
#[must_use]
pub fn listing<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Optimal string alignment distance, without case: a swap of neighbours is one slip, as in `gruops`.
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let cell = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let substitute = cell(&above, j) + usize::from(x != y);
            let mut best = substitute.min(cell(&above, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    cell(&above, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        assert_eq!(did_you_mean("gruops", ["groups", "routes"]), Some("groups"));
        assert_eq!(did_you_mean("contractor", ["agents", "contractors"]), Some("contractors"));
        assert_eq!(did_you_mean("maynot", ["may", "mayNot"]), Some("mayNot"));
        assert_eq!(did_you_mean("banana", ["groups", "routes"]), None);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn sorting_is_by_place_and_says_nothing_twice() {
        let mut all = Diagnostics::default();
        all.push(Diagnostic::at(Code::E0203, Span::new(9, 10), "b"));
        all.push(Diagnostic::at(Code::E0203, Span::new(2, 3), "a"));
        all.push(Diagnostic::at(Code::E0203, Span::new(9, 10), "b"));
        let messages: Vec<String> = all.sorted().items.into_iter().map(|item| item.message).collect();
        assert_eq!(messages, ["a", "b"]);
    }

    #[test]
    fn a_code_says_its_severity_by_its_first_letter() {
        for code in Code::ALL {
            let warning = code.severity() == Severity::Warning;
            assert_eq!(warning, code.as_str().starts_with('W'));
        }
    }
}
