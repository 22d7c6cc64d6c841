//! Tokens and shapes: what a key makes of values, in every place.

use super::mask_support::{Setup, check_splits, tags};
use std::sync::Arc;
use veilwire_engine::format::Format;
use veilwire_engine::mask::MaskPlan;
use veilwire_engine::policy::id::KeyId;
use veilwire_engine::policy::model::{Canonical, Keyed, Replacement};
use veilwire_engine::policy::secret::Secret;

/// 32 times `A`, in base64.
pub(super) const KEY: &str = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";

pub(super) fn keyed(prefix: &str, canonical: Canonical, otherwise: &str, key: Option<&str>) -> Keyed {
    let secret = key.map_or_else(Secret::default, |key| Secret::read(key.as_bytes()).unwrap());
    Keyed { key: KeyId(0), prefix: prefix.into(), canonical, otherwise: otherwise.into(), secret }
}

/// Addresses are tokens, government ids keep their shape, and so do contacts.
fn plan(key: Option<&str>) -> Arc<MaskPlan> {
    let mut tags = tags();
    tags[0].replacement = Replacement::Tokenize(keyed("c_k1_", Canonical::Lowercase, "[EMAIL]", key));
    tags[2].replacement = Replacement::Shape(keyed("", Canonical::Exact, "[ID]", key));
    tags[4].replacement = Replacement::Shape(keyed("", Canonical::Exact, "[CONTACT]", key));
    let setup = Setup { fields: vec![(4, "$.who")], form_fields: vec![(0, "$.mail")], ..Setup::default() };
    setup.plan_with(&tags)
}

fn out(plan: &Arc<MaskPlan>, format: Format, body: &str) -> String {
    let (out, ended) = check_splits(plan, format, body.as_bytes());
    assert_eq!(ended.err(), None, "{body}");
    String::from_utf8(out).unwrap()
}

#[test]
fn a_value_is_the_same_token_wherever_it_is() {
    let plan = plan(Some(KEY));
    let text = out(&plan, Format::Text, "to ada@example.com");
    let token = text.strip_prefix("to ").unwrap();
    for (format, body, expected) in [
        (
            Format::Json,
            "{\"a\":\"Ada@Example.COM\",\"ada\\u0040example.com\":1}",
            format!("{{\"a\":\"{token}\",\"{token}\":1}}"),
        ),
        (Format::Form, "mail=ada%40example.com&b=ADA@example.com", format!("mail={token}&b={token}")),
    ] {
        assert_eq!(out(&plan, format, body), expected);
    }
    assert_ne!(out(&plan, Format::Text, "to bob@example.com"), text);
    let other = self::plan(Some("QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="));
    assert_ne!(out(&other, Format::Text, "to ada@example.com"), text);
}

#[test]
fn the_token_of_a_known_value_is_the_one_that_others_compute() {
    // printf 'pii.email\0ada@example.com' | openssl dgst -sha256 -mac HMAC -macopt key:A…A -binary | head -c 10 | base32
    assert_eq!(out(&plan(Some(KEY)), Format::Text, "ada@example.com"), "c_k1_76SNTW2JMSMKN2FP");
}

#[test]
fn tokens_of_an_older_key_pass_beside_those_of_the_new_one() {
    let mut tags = tags();
    let other = Some("QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=");
    tags[0].replacement = Replacement::Tokenize(keyed("c_k2_", Canonical::Lowercase, "[EMAIL]", other));
    let plan = Setup::default().plan_with(&tags);
    let old = "c_k1_76SNTW2JMSMKN2FP";
    let new = out(&plan, Format::Text, "ada@example.com");
    assert!(new.starts_with("c_k2_"), "{new}");
    assert_ne!(new.rsplit('_').next(), old.rsplit('_').next());
    let made = out(&plan, Format::Json, &format!("{{\"was\":\"{old}\",\"is\":\"ada@example.com\"}}"));
    assert_eq!(made, format!("{{\"was\":\"{old}\",\"is\":\"{new}\"}}"));
    // What went through twice is what went through once.
    assert_eq!(out(&plan, Format::Json, &made), made);
}

#[test]
fn a_shape_stays_a_shape() {
    let plan = plan(Some(KEY));
    let made = out(&plan, Format::Json, "{\"id\":\"078-05-1121\",\"who\":\"A\\\"b-12é\"}");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let id = made["id"].as_str().unwrap();
    assert!(
        id != "078-05-1121" && id.len() == 11 && id.as_bytes()[3] == b'-' && id.as_bytes()[6] == b'-',
        "{id}"
    );
    assert_eq!(made["who"], "[CONTACT]", "no ASCII");
    let made = out(&plan, Format::Json, "{\"who\":\"A\\\"b-12\"}");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert!(made["who"].as_str().unwrap().chars().nth(1) == Some('"'), "{made}");
}

#[test]
fn without_a_key_a_placeholder_stands() {
    let plan = plan(None);
    assert_eq!(
        out(&plan, Format::Json, "{\"a\":\"ada@example.com 078-05-1121\",\"who\":\"abcdef\"}"),
        "{\"a\":\"[EMAIL] [ID]\",\"who\":\"[CONTACT]\"}"
    );
}

#[test]
fn what_several_matches_made_has_no_token() {
    // A card number that is part of an address.
    let made = out(&plan(Some(KEY)), Format::Text, "4111111111111111@example.com");
    assert_eq!(made, "[CARD]");
}
