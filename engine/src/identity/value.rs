//! What a token says under one claim, as far as rules can ask for it.

use crate::policy::model::Literal;
use serde_json::Value;

/// The value of a claim.
#[derive(Clone, PartialEq, Eq)]
pub enum ClaimValue {
    /// There is none, or it is `null`.
    Absent,
    /// One text, whole number or truth value.
    One(Literal),
    /// A list of them.
    Many(Vec<Literal>),
    /// Something else: an object, a fraction, a list in a list. It is there, and nothing can be said about it.
    Opaque,
}

impl ClaimValue {
    pub(super) fn of(value: &Value) -> ClaimValue {
        match value {
            Value::Null => ClaimValue::Absent,
            Value::Array(elements) => {
                // SECURITY: taken whole or not at all, for what is left out could be what a `mayNot` names.
                let all: Option<Vec<Literal>> = elements.iter().map(literal).collect();
                all.map_or(ClaimValue::Opaque, ClaimValue::Many)
            }
            other => literal(other).map_or(ClaimValue::Opaque, ClaimValue::One),
        }
    }
}

impl std::fmt::Debug for ClaimValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SECURITY: what a token says about its bearer is for rules, not for logs.
        f.write_str(match self {
            ClaimValue::Absent => "Absent",
            ClaimValue::One(_) => "One(..)",
            ClaimValue::Many(_) => "Many(..)",
            ClaimValue::Opaque => "Opaque",
        })
    }
}

fn literal(value: &Value) -> Option<Literal> {
    match value {
        Value::String(text) => Some(Literal::Text(text.clone())),
        Value::Bool(flag) => Some(Literal::Flag(*flag)),
        Value::Number(number) => number.as_i64().map(Literal::Integer),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
