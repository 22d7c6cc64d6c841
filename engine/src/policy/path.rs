//! Paths into a JSON document, as policies and packs write them.
//!
//! ```text
//! $.user.email        member of a member
//! $.items[*].note     member of every element
//! $..password         member at any depth
//! $.metadata.*        every member
//! $..['user.id']      a member whose name has dots or brackets
//! ```
//! No filters, no indices, no look-ahead: a path must be decidable when its value begins.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathStep {
    /// The member with this (decoded) name.
    Key(String),
    /// Every member: `.*`.
    AnyKey,
    /// Every element: `[*]`.
    AnyElement,
    /// Any number of members and elements, none included: `..`; always followed by `Key`.
    Descend,
}

/// A parsed path; prints as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern {
    steps: Vec<PathStep>,
}

/// Why a path cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A path begins at the root.
    #[error("a path begins with `$`")]
    NoRoot,
    /// Only `.name`, `..name`, `['name']`, `.*` and `[*]` exist.
    #[error("expected `.name`, `..name`, `['name']`, `.*` or `[*]` at byte {0}")]
    BadStep(usize),
    /// More than [`PathPattern::MAX_STEPS`].
    #[error("a path has at most {} steps", PathPattern::MAX_STEPS)]
    TooLong,
}

impl PathPattern {
    /// Longest path.
    pub const MAX_STEPS: usize = 32;

    /// The steps below the root.
    #[must_use]
    pub fn steps(&self) -> &[PathStep] {
        &self.steps
    }
}

impl FromStr for PathPattern {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut rest = text.strip_prefix('$').ok_or(PathError::NoRoot)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            if let Some(after) = rest.strip_prefix("[*]") {
                steps.push(PathStep::AnyElement);
                rest = after;
                continue;
            }
            let (descend, after) = match (rest.strip_prefix(".."), rest.strip_prefix('.')) {
                (Some(after), _) => (true, after),
                (None, Some(after)) if !after.starts_with("['") => (false, after),
                (None, None) if rest.starts_with("['") => (false, rest),
                _ => return Err(PathError::BadStep(at)),
            };
            if let Some(quoted) = after.strip_prefix("['") {
                let (name, after) = quoted.split_once("']").ok_or(PathError::BadStep(at))?;
                if name.is_empty() {
                    return Err(PathError::BadStep(at));
                }
                steps.extend(descend.then_some(PathStep::Descend));
                steps.push(PathStep::Key(name.to_owned()));
                rest = after;
                continue;
            }
            let (name, after) = after.split_at(after.find(['.', '[']).unwrap_or(after.len()));
            match (descend, name) {
                (_, "") | (true, "*") => return Err(PathError::BadStep(at)),
                (false, "*") => steps.push(PathStep::AnyKey),
                (false, name) => steps.push(PathStep::Key(name.to_owned())),
                (true, name) => steps.extend([PathStep::Descend, PathStep::Key(name.to_owned())]),
            }
            rest = after;
        }
        if steps.len() > Self::MAX_STEPS {
            return Err(PathError::TooLong);
        }
        Ok(PathPattern { steps })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        let mut descend = false;
        for step in &self.steps {
            match step {
                PathStep::Key(name) if name == "*" || name.contains(['.', '[']) => {
                    write!(f, "{}['{name}']", if descend { ".." } else { "" })?;
                }
                PathStep::Key(name) if descend => write!(f, "..{name}")?,
                PathStep::Key(name) => write!(f, ".{name}")?,
                PathStep::AnyKey => f.write_str(".*")?,
                PathStep::AnyElement => f.write_str("[*]")?,
                PathStep::Descend => {}
            }
            descend = *step == PathStep::Descend;
        }
        Ok(())
    }
}

impl TryFrom<String> for PathPattern {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<PathPattern> for String {
    fn from(path: PathPattern) -> String {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_read() {
        for text in [
            "$",
            "$.a.b",
            "$[*].x",
            "$..password",
            "$.choices[*].delta.tool_calls[*].function.arguments",
            "$.m.*",
            "$['a.b'].c",
            "$..['a[0].b']",
            "$.a['*']",
        ] {
            assert_eq!(text.parse::<PathPattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_a_stream_cannot_follow() {
        assert_eq!("a.b".parse::<PathPattern>(), Err(PathError::NoRoot));
        for text in ["$a", "$.", "$..", "$..*", "$[0]", "$[*", "$.a[?(@.b)]", "$.['a']", "$['a", "$['']"] {
            assert!(matches!(text.parse::<PathPattern>(), Err(PathError::BadStep(_))), "{text}");
        }
        assert_eq!("$.a".parse::<PathPattern>().unwrap().steps().len(), 1);
        let long = format!("${}", ".a".repeat(33));
        assert_eq!(long.parse::<PathPattern>(), Err(PathError::TooLong));
    }
}
