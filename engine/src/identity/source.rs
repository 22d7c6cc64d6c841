//! Where a credential is: the `authorization` header (RFC 6750 section 2.1), or a header, cookie or parameter of the query
//! that a provider names.
//!
//! Guarantees: there is one credential in a request or none that counts; two, wherever they are, are an error, for which one
//! decides would be a guess. `authorization` is always looked at. Deliberately not read: forms (RFC 6750 section 2.2), for a
//! body comes after the decision.

use super::Unauthenticated;
use crate::policy::model::TokenSource;
use std::borrow::Cow;

/// Raw headers: lower- or mixed-case names, values of any bytes.
type HeaderList = [(Vec<u8>, Vec<u8>)];

/// A credential of one request: the token and where it was.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential<'a> {
    pub(super) token: Cow<'a, [u8]>,
    pub(super) source: TokenSource,
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SECURITY: whoever has it is the caller.
        f.debug_struct("Credential").field("source", &self.source).finish_non_exhaustive()
    }
}

/// What is left of a request once its credential is taken out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remainder {
    /// This header goes.
    Header(Vec<u8>),
    /// The cookies that stay; none if there are no others.
    Cookies(Option<Vec<u8>>),
    /// The request target without the parameter.
    Target(String),
}

impl Credential<'_> {
    /// Where it was.
    #[must_use]
    pub fn source(&self) -> &TokenSource {
        &self.source
    }

    /// What is left of these headers without it.
    #[must_use]
    pub fn remainder(&self, headers: &HeaderList) -> Remainder {
        match &self.source {
            TokenSource::Authorization => Remainder::Header(b"authorization".to_vec()),
            TokenSource::Header(name) => Remainder::Header(name.as_bytes().to_vec()),
            TokenSource::Cookie(name) => {
                let others: Vec<&[u8]> =
                    cookies(headers).filter(|pair| cookie(pair).0 != name.as_bytes()).collect();
                Remainder::Cookies((!others.is_empty()).then(|| others.join(&b"; "[..])))
            }
            TokenSource::Query(name) => {
                let target = target(headers);
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                let others: Vec<&str> =
                    query.split('&').filter(|pair| decoded_name(pair).as_deref() != Some(name)).collect();
                let query = others.join("&");
                Remainder::Target(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
            }
        }
    }
}

/// The one credential of a request.
///
/// # Errors
/// None, more than one, or one that cannot be read.
pub(super) fn find<'a>(
    headers: &'a HeaderList,
    sources: &[TokenSource],
) -> Result<Credential<'a>, Unauthenticated> {
    // SECURITY: an `authorization` of another scheme is a credential as well, so nothing else may decide beside it.
    let mut found = match bearer_token(headers) {
        Ok(token) => Some(Credential { token: Cow::Borrowed(token), source: TokenSource::Authorization }),
        Err(Unauthenticated::Missing) => None,
        Err(other) => return Err(other),
    };
    for source in sources {
        let token = match source {
            TokenSource::Authorization => continue,
            TokenSource::Header(name) => {
                let named = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
                only(named.map(|(_, value)| value.trim_ascii()).filter(|value| !value.is_empty()))?
                    .map(Cow::Borrowed)
            }
            TokenSource::Cookie(name) => {
                let named = cookies(headers).map(cookie).filter(|(key, _)| *key == name.as_bytes());
                only(named.map(|(_, value)| value))?.map(Cow::Borrowed)
            }
            TokenSource::Query(name) => {
                let query = target(headers).split_once('?').map_or("", |(_, query)| query);
                let named = query.split('&').filter(|pair| decoded_name(pair).as_deref() == Some(name));
                match only(named)? {
                    Some(pair) => {
                        let value = pair.split_once('=').map_or("", |(_, value)| value);
                        Some(Cow::Owned(decode(value).ok_or(Unauthenticated::Malformed)?.into_bytes()))
                    }
                    None => None,
                }
            }
        };
        let Some(token) = token else { continue };
        // RFC 6750 section 2.1, `b64token`; a comma joins what were two headers (RFC 9110 section 5.3).
        if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) || token.contains(&b',') {
            return Err(Unauthenticated::Malformed);
        }
        if found.replace(Credential { token, source: source.clone() }).is_some() {
            return Err(Unauthenticated::MoreThanOne);
        }
    }
    found.ok_or(Unauthenticated::Missing)
}

/// The only one; two of a name are two credentials, even if they are equal.
fn only<T>(mut all: impl Iterator<Item = T>) -> Result<Option<T>, Unauthenticated> {
    match (all.next(), all.next()) {
        (_, Some(_)) => Err(Unauthenticated::MoreThanOne),
        (first, None) => Ok(first),
    }
}

/// Every `name=value` of every cookie header: HTTP/2 may cut them up (RFC 9113 section 8.2.3).
fn cookies(headers: &HeaderList) -> impl Iterator<Item = &[u8]> {
    let values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"));
    let pairs = values.flat_map(|(_, value)| value.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

/// Name and value of a cookie (RFC 6265 section 4.2.1), quotes around the value aside.
fn cookie(pair: &[u8]) -> (&[u8], &[u8]) {
    let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (name, rest) = pair.split_at_checked(end).unwrap_or((pair, b""));
    let value = rest.strip_prefix(b"=").unwrap_or(rest).trim_ascii();
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    (name.trim_ascii_end(), unquoted.unwrap_or(value))
}

/// `:path`, if there is one that is text.
fn target(headers: &HeaderList) -> &str {
    let path = headers.iter().find(|(name, _)| name == b":path");
    path.and_then(|(_, value)| std::str::from_utf8(value).ok()).unwrap_or_default()
}

fn decoded_name(pair: &str) -> Option<String> {
    decode(pair.split_once('=').map_or(pair, |(name, _)| name))
}

/// Percent-decoding of a form (WHATWG URL, "application/x-www-form-urlencoded"); `None` if it is not text.
pub(crate) fn decode(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The token in the one `authorization` header.
fn bearer_token(headers: &HeaderList) -> Result<&[u8], Unauthenticated> {
    let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"authorization"));
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Unauthenticated::Missing),
        (Some((_, value)), None) => value.trim_ascii(),
        (Some(_), Some(_)) => return Err(Unauthenticated::MoreThanOne),
    };
    if value.is_empty() {
        return Err(Unauthenticated::Missing);
    }
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end).ok_or(Unauthenticated::Malformed)?;
    // RFC 9110 section 5.6.2: a scheme is a token; anything else is no header that was meant for anybody.
    if !scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)) {
        return Err(Unauthenticated::Malformed);
    }
    if scheme.eq_ignore_ascii_case(b"dpop") {
        return Err(Unauthenticated::Dpop);
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Unauthenticated::OtherScheme);
    }
    let token = rest.trim_ascii_start();
    // SECURITY: proxies join repeated headers with commas (RFC 9110 section 5.3).
    if token.contains(&b',') {
        return Err(Unauthenticated::MoreThanOne);
    }
    // RFC 6750 section 2.1, `b64token`; what the token is made of is checked when it is parsed.
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(Unauthenticated::Malformed);
    }
    Ok(token)
}

#[cfg(test)]
mod tests;
