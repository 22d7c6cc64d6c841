//! Claims: what a token says (RFC 7519 section 4), first their types, then whether they hold now.
//!
//! Guarantees: registered claims have the types of the RFC; `iss`, `sub`, `aud` and `exp` are there (`exp` may be
//! left to `iat` and a maximum age); times are finite and between the epoch and the year 9999. Does not verify
//! signatures: the caller must have.

use super::binding::{self, Thumbprint};
use super::json;
use super::token::TokenError;
use super::value::ClaimValue;
use crate::time::Timestamp;
use serde_json::{Map, Value};

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: f64 = 253_402_300_799.0;
/// Longest subject, in bytes. It becomes a header, percent-encoded.
const MAX_SUBJECT_LENGTH: usize = 1024;

/// What a verified token says about its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: String,
    /// `sub`: never empty, without control characters, at most 1024 bytes.
    pub subject: String,
    /// The values of the groups claim as the provider wrote them; they are no groups of the policy yet. `None`: there is
    /// no such claim.
    pub groups: Option<Vec<String>>,
    /// `exp`, without leeway.
    pub expires: Option<Timestamp>,
    /// The first moment at which what holds now no longer does: of `exp` and the maximum age, leeway included, the earlier.
    pub good_until: Timestamp,
    /// The scopes (`scope`, RFC 8693 section 4.2, or `scp`); `None`: there is no such claim.
    pub scopes: Option<Vec<String>>,
    /// What it says under the claims that rules look at, in their order.
    pub values: Vec<ClaimValue>,
    /// SHA-256 of the client certificate without which the token is worth nothing (RFC 8705 section 3); `None`: it is not bound.
    pub certificate: Option<[u8; 32]>,
}

/// Claims of good form that nobody has vouched for yet.
#[derive(Clone, Debug)]
pub(super) struct UnverifiedClaims {
    issuer: String,
    subject: String,
    audiences: Vec<String>,
    expires: Option<Timestamp>,
    not_before: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    certificate: Option<Thumbprint>,
    members: Map<String, Value>,
}

/// What a provider demands of claims.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demands<'a> {
    pub(super) issuer: &'a str,
    pub(super) audiences: &'a [String],
    pub(super) authorized_parties: &'a [String],
    pub(super) groups_claim: &'a str,
    /// What rules look at.
    pub(super) claims: &'a [String],
    pub(super) leeway_ms: u64,
    pub(super) max_age_ms: Option<u64>,
    pub(super) expiry_optional: bool,
}

impl UnverifiedClaims {
    /// All of them.
    pub(super) fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// Reads the payload of a JWS.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, TokenError> {
        let Some(Value::Object(members)) = json::parse(payload) else { return Err(TokenError::Malformed) };
        // No claim that is looked at, but what has the wrong type has no meaning (and is refused by
        // jwt-simple).
        optional_string(&members, "jti")?;
        optional_string(&members, "nonce")?;
        optional_string(&members, "azp")?;
        Ok(UnverifiedClaims {
            issuer: optional_string(&members, "iss")?.ok_or(TokenError::Claim)?,
            subject: subject(&members)?,
            audiences: audiences(&members)?,
            expires: time(&members, "exp", f64::floor)?,
            not_before: time(&members, "nbf", f64::ceil)?,
            issued_at: time(&members, "iat", f64::ceil)?,
            certificate: binding::bound_to(&members)?,
            members,
        })
    }

    /// `iss`, to choose the provider whose keys decide.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The claims, if they hold at `now`. The caller has verified the signature.
    pub(super) fn check(self, demands: Demands<'_>, now: Timestamp) -> Result<Claims, TokenError> {
        if self.issuer != demands.issuer {
            return Err(TokenError::Issuer);
        }
        if !self.audiences.iter().any(|audience| demands.audiences.contains(audience)) {
            return Err(TokenError::Audience);
        }
        // OpenID Connect Core section 2: who it was issued to, where the policy says who that may be.
        if !demands.authorized_parties.is_empty() {
            let party = optional_string(&self.members, "azp")?.ok_or(TokenError::AuthorizedParty)?;
            if !demands.authorized_parties.contains(&party) {
                return Err(TokenError::AuthorizedParty);
            }
        }
        // RFC 7519 section 4.1.4: the time must be *before* `exp`.
        let mut good_until = match self.expires {
            Some(expires) => expires.saturating_add_millis(demands.leeway_ms),
            None if demands.expiry_optional => Timestamp(u64::MAX),
            None => return Err(TokenError::Claim),
        };
        if now >= good_until {
            return Err(TokenError::Expired);
        }
        let latest = now.saturating_add_millis(demands.leeway_ms);
        if self.not_before.is_some_and(|not_before| latest < not_before) {
            return Err(TokenError::NotYetValid);
        }
        if self.issued_at.is_some_and(|issued_at| latest < issued_at) {
            return Err(TokenError::IssuedInFuture);
        }
        if let Some(max_age) = demands.max_age_ms {
            let issued_at = self.issued_at.ok_or(TokenError::Claim)?;
            let too_old = issued_at.saturating_add_millis(max_age.saturating_add(demands.leeway_ms));
            if now >= too_old {
                return Err(TokenError::TooOld);
            }
            good_until = good_until.min(too_old);
        }
        Ok(Claims {
            groups: groups(&self.members, demands.groups_claim)?,
            scopes: scopes(&self.members)?,
            values: demands.claims.iter().map(|claim| value(&self.members, claim)).collect(),
            issuer: self.issuer,
            subject: self.subject,
            expires: self.expires,
            good_until,
            certificate: self.certificate,
        })
    }
}

fn subject(members: &Map<String, Value>) -> Result<String, TokenError> {
    let subject = optional_string(members, "sub")?.ok_or(TokenError::Claim)?;
    // SECURITY: no honest provider puts a line feed or an escape sequence into a subject.
    if subject.is_empty() || subject.len() > MAX_SUBJECT_LENGTH || subject.chars().any(char::is_control) {
        return Err(TokenError::Subject);
    }
    Ok(subject)
}

/// RFC 7519 section 4.1.3: one string or an array of strings.
fn audiences(members: &Map<String, Value>) -> Result<Vec<String>, TokenError> {
    members.get("aud").and_then(strings).ok_or(TokenError::Claim)
}

/// RFC 7519 section 2, NumericDate: seconds since the epoch, possibly with a fraction.
///
/// `round` decides what a fraction of a millisecond becomes; it must never make a token valid for longer.
fn time(
    members: &Map<String, Value>,
    name: &str,
    round: fn(f64) -> f64,
) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    let seconds = value.as_f64().ok_or(TokenError::Claim)?;
    if !(0.0..=LAST_SECOND).contains(&seconds) {
        return Err(TokenError::Claim);
    }
    // In range: at most 2.6e14, which `f64` and `u64` hold exactly.
    let millis = round(seconds * 1000.0) as u64;
    Ok(Some(Timestamp::from_unix_millis(millis)))
}

/// The values of the groups claim: one string or a list of strings.
fn groups(members: &Map<String, Value>, claim: &str) -> Result<Option<Vec<String>>, TokenError> {
    // SECURITY: a list is taken whole or not at all; to skip what is no string could skip the group that a
    // `mayNot` names.
    match find(members, claim) {
        Found::Absent => Ok(None),
        Found::One(value) => strings(value).map(Some).ok_or(TokenError::Groups),
        Found::Two => Err(TokenError::Groups),
    }
}

/// `scope` is one string with spaces in it (RFC 8693 section 4.2), `scp` that or a list, by provider.
fn scopes(members: &Map<String, Value>) -> Result<Option<Vec<String>>, TokenError> {
    let (value, list) = match (members.get("scope"), members.get("scp")) {
        (None, None) => return Ok(None),
        (Some(value), None) => (value, false),
        (None, Some(value)) => (value, true),
        // SECURITY: two lists, and either could be the one that counts.
        (Some(_), Some(_)) => return Err(TokenError::Claim),
    };
    match value {
        Value::String(text) => {
            Ok(Some(text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()))
        }
        Value::Array(_) if list => strings(value).map(Some).ok_or(TokenError::Claim),
        _ => Err(TokenError::Claim),
    }
}

/// What a token says under a claim that rules look at.
fn value(members: &Map<String, Value>, claim: &str) -> ClaimValue {
    match find(members, claim) {
        Found::Absent => ClaimValue::Absent,
        Found::One(value) => ClaimValue::of(value),
        // SECURITY: two readings, and a `mayNot` may hang on either.
        Found::Two => ClaimValue::Opaque,
    }
}

/// What is found under the name of a claim.
enum Found<'a> {
    Absent,
    One(&'a Value),
    /// The name reads as a member and as a path, and both are there.
    Two,
}

/// `claim` is the name of a member or, for claims such as `realm_access.roles`, a path of names with dots
/// between them.
fn find<'a>(members: &'a Map<String, Value>, claim: &str) -> Found<'a> {
    let member = members.get(claim);
    let nested = claim.contains('.').then(|| nested(members, claim)).flatten();
    match (member, nested) {
        (None, None) => Found::Absent,
        (Some(value), None) | (None, Some(value)) => Found::One(value),
        (Some(_), Some(_)) => Found::Two,
    }
}

fn nested<'a>(members: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut names = path.split('.');
    let mut value = members.get(names.next()?)?;
    for name in names {
        value = value.as_object()?.get(name)?;
    }
    Some(value)
}

fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn optional_string(members: &Map<String, Value>, name: &str) -> Result<Option<String>, TokenError> {
    members.get(name).map(|value| value.as_str().map(str::to_owned).ok_or(TokenError::Claim)).transpose()
}
