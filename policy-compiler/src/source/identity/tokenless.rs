//! Providers whose callers bring no token: `mtls` and `apiKeys`.

use super::choice;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use crate::source::reader::{Fields, Named, check_name, text, texts};
use crate::source::yaml::Node;
use veilwire_engine::identity::{API_KEY_SALT, MAX_API_KEYS, is_trust_domain};
use veilwire_engine::policy::model::CertificateName;

/// By what callers are known, if not by a token.
#[derive(Clone, Debug)]
pub enum Tokenless {
    /// `mtls`: by their certificate. None if it cannot be read.
    Certificate(Option<Spanned<CertificateName>>),
    /// `apiKeys`.
    ApiKeys(ApiKeys),
}

/// `apiKeys`.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys {
    /// `header`, in lower case.
    pub header: Option<Text>,
    /// `keys`, by their ids.
    pub keys: Vec<Named<ApiKey>>,
}

/// One key, of which the policy holds a hash.
#[derive(Clone, Debug, Default)]
pub struct ApiKey {
    /// `salt`, hex.
    pub salt: Option<String>,
    /// `hash`, hex.
    pub hash: Option<String>,
    /// `groups`, of the provider.
    pub groups: Vec<Text>,
    /// `expires`: the first second at which it is refused.
    pub expires: Option<u64>,
}

#[derive(Clone, Copy)]
enum Wanted {
    UriSan,
    DnsSan,
    Subject,
}

/// Reads what the provider has instead of `jwt`.
pub(super) fn read(fields: &mut Fields<'_>, out: &mut Diagnostics) -> Option<Tokenless> {
    let written = ["jwt", "mtls", "apiKeys"].iter().filter(|key| fields.has(key)).count();
    if written > 1 {
        let message = "a provider knows its callers by one thing: `jwt`, `mtls` or `apiKeys`";
        out.push(Diagnostic::at(Code::E0209, fields.beginning(), message).help("make them two providers"));
    }
    let mtls = fields.take("mtls").map(|node| Tokenless::Certificate(read_mtls(node, out)));
    let keys = fields.take("apiKeys").map(|node| Tokenless::ApiKeys(read_api_keys(node, out)));
    mtls.or(keys)
}

fn read_mtls(node: &Node, out: &mut Diagnostics) -> Option<Spanned<CertificateName>> {
    let mut fields = Fields::open(node, "`mtls`", out)?;
    let kinds = [("uriSan", Wanted::UriSan), ("dnsSan", Wanted::DnsSan), ("subject", Wanted::Subject)];
    let subject =
        fields.require("subject").and_then(|node| choice(node, "name of a certificate", &kinds, &[], out));
    let spiffe = matches!(subject.as_ref().map(|subject| subject.value), Some(Wanted::UriSan) | None);
    let domain = if spiffe { fields.require("trustDomain") } else { fields.take("trustDomain") };
    let domain = domain.and_then(|node| text(node, out)).filter(|domain| {
        if !spiffe {
            let message = "only SPIFFE ids (`subject: uriSan`) have a trust domain";
            out.push(Diagnostic::at(Code::E0209, domain.span, message).help("leave `trustDomain` out"));
        } else if !is_trust_domain(&domain.value) {
            let message = format!("`{}` is no trust domain", domain.value);
            let help = "lower-case letters, digits and `-._`, without `spiffe://`, as in `acme.internal`";
            out.push(Diagnostic::at(Code::E0205, domain.span, message).help(help));
        }
        spiffe && is_trust_domain(&domain.value)
    });
    fields.close(out);
    let subject = subject?;
    let name = match subject.value {
        Wanted::UriSan => CertificateName::Spiffe(domain?.value),
        Wanted::DnsSan => CertificateName::Dns,
        Wanted::Subject => CertificateName::Subject,
    };
    Some(Spanned::new(name, subject.span))
}

fn read_api_keys(node: &Node, out: &mut Diagnostics) -> ApiKeys {
    let mut keys = ApiKeys::default();
    let Some(mut fields) = Fields::open(node, "`apiKeys`", out) else { return keys };
    keys.header = fields.require("header").and_then(|node| text(node, out)).and_then(|name| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let kept = super::check_source("header", &name, out)?;
        if !kept.bytes().all(plain) {
            let message = format!("`{kept}` cannot be the header that carries an API key");
            out.push(Diagnostic::at(Code::E0205, name.span, message));
            return None;
        }
        Some(Text::new(kept, name.span))
    });
    keys.keys = fields.require_named("keys", read_api_key, out);
    fields.close(out);
    if keys.keys.len() > MAX_API_KEYS {
        let message = format!("more than {MAX_API_KEYS} API keys: each costs a hash for every try");
        out.push(Diagnostic::at(Code::E0902, node.span, message).help("use tokens or certificates"));
    }
    keys
}

fn read_api_key(node: &Node, name: &Text, out: &mut Diagnostics) -> ApiKey {
    check_name(name, false, out);
    let mut key = ApiKey::default();
    let Some(mut fields) = Fields::open(node, &format!("API key `{}`", name.value), out) else { return key };
    key.salt = fields.require("salt").and_then(|node| hex(node, API_KEY_SALT, out));
    key.hash = fields.require("hash").and_then(|node| hex(node, 32, out));
    key.groups = fields.require("groups").map(|node| texts(node, out)).unwrap_or_default();
    key.expires = fields.take("expires").and_then(|node| date(node, out));
    fields.close(out);
    key
}

fn hex(node: &Node, bytes: usize, out: &mut Diagnostics) -> Option<String> {
    let written = text(node, out)?;
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if written.value.len() == bytes * 2 && written.value.bytes().all(digit) {
        return Some(written.value);
    }
    // A key that was written here by mistake is not repeated.
    let message = format!("not {bytes} bytes in lower-case hex");
    let help = "write what `veilwire key hash` prints; the key itself stays out of the policy";
    out.push(Diagnostic::at(Code::E0205, node.span, message).help(help));
    None
}

/// `2027-03-31`: the start of that day, UTC.
fn date(node: &Node, out: &mut Diagnostics) -> Option<u64> {
    let written = text(node, out)?;
    let parsed = parse_date(&written.value);
    if parsed.is_none() {
        let message = format!("`{}` is not a date", written.value);
        let help = "write the first day on which the key is refused (UTC), as in `2027-03-31`";
        out.push(Diagnostic::at(Code::E0205, node.span, message).help(help));
    }
    parsed
}

/// Seconds from the epoch to the start of a day of the years 2000 to 2199.
fn parse_date(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let mut number = |digits: usize| {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()));
        part?.parse::<u64>().ok()
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = |year: u64, month: u64| match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(leap(year)),
        _ => 31,
    };
    let fits = (2000..2200).contains(&year) && (1..=12).contains(&month);
    if parts.next().is_some() || !fits || !(1..=length(year, month)).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let months: u64 = (1..month).map(|month| length(year, month)).sum();
    Some((years + months + day - 1) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_of_the_calendar() {
        for (text, seconds) in [
            ("2000-01-01", 946_684_800),
            ("2000-02-29", 951_782_400),
            ("2024-12-31", 1_735_603_200),
            ("2027-03-31", 1_806_451_200),
            ("2100-03-01", 4_107_542_400),
        ] {
            assert_eq!(parse_date(text), Some(seconds), "{text}");
        }
        for bad in [
            "2100-02-29",
            "2027-13-01",
            "2027-00-01",
            "2027-01-32",
            "2027-04-31",
            "27-01-01",
            "2027-1-1",
            "2027-01-01-",
            "1999-01-01",
            "+027-01-01",
            "",
            "never",
        ] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }
}
