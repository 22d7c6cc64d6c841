//! `docs/reference/tokens.md`: every token of the attack corpus, what we say of it and what others do.

use super::attacks::{ATTACKS, DECIDED};
use super::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Columns of the data, and whose they are.
const OTHERS: [(&str, &str); 4] =
    [("envoy_jwt_authn", "`jwt_authn`"), ("jwt_simple", "jwt-simple"), ("pyjwt", "PyJWT"), ("jose", "jose")];

/// Options of a policy that change a decision.
const OPTIONS: [(&str, &str); 1] = [("typ-JOSE-logout", "`typ` (`JWT` or `at+jwt`, no other)")];

const HEAD: &str = "# Tokens

Every token of the attack corpus ([`attacks.jsonl`](../../engine/tests/data/jwt/attacks.jsonl), with its [keys](../../engine/tests/data/jwt/attacks_jwks.json)), what Veilwire says of it, and what other verifiers said of it:
Envoy's `jwt_authn`, and the libraries jwt-simple, PyJWT and jose (JavaScript), each told the same issuer, audience and algorithms. Written by a test that verifies each token; `VEILWIRE_BLESS=1` writes it anew.
A name in code is the reason in audit events; callers hear `invalid_token` and nothing else.

";

const POLICY: &str = "
## What the specifications leave open

| token | Veilwire | `jwt_authn` | jwt-simple | PyJWT | jose | why |
|---|---|---|---|---|---|---|
";

fn rows() -> Vec<Value> {
    ATTACKS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn accepted_by_us(row: &Value) -> Result<(), TokenError> {
    verify_with(&provider(ATTACKS_JWKS), row["token"].as_str().unwrap(), seconds(NOW)).map(drop)
}

fn ours(row: &Value) -> String {
    accepted_by_us(row).map_or_else(|error| format!("`{}`", error.reason()), |()| "accepted".to_owned())
}

fn theirs(row: &Value, column: &str) -> &'static str {
    match row[column].as_str().unwrap() {
        "accept" => "accepted",
        verdict if verdict.starts_with("reject") => "refused",
        _ => "-",
    }
}

fn line(row: &Value, last: &str) -> String {
    let others = OTHERS.map(|(column, _)| theirs(row, column)).join(" | ");
    format!("| `{}` | {} | {others} |{last}\n", row["name"].as_str().unwrap(), ours(row))
}

/// Vectors of a published suite: all, and those that no verifier may accept.
fn suite(text: &str) -> (usize, usize) {
    let suite: Value = serde_json::from_str(text).unwrap();
    let tests =
        suite["testGroups"].as_array().unwrap().iter().flat_map(|group| group["tests"].as_array().unwrap());
    let results: Vec<bool> = tests.map(|test| test["result"] == "valid").collect();
    (results.len(), results.iter().filter(|valid| !**valid).count())
}

fn page() -> String {
    let rows = rows();
    let of = |expect: &'static str| rows.iter().filter(move |row| row["expect"] == expect);
    let mut page = HEAD.to_owned();
    page += "| verifier | refused of those that must be | accepted of those that must be |\n|---|---|---|\n";
    let (reject, accept) = (of("reject").count(), of("accept").count());
    let mut total = |name: &str, accepts: &dyn Fn(&Value) -> bool| {
        let refused = of("reject").filter(|row| !accepts(row)).count();
        let accepted = of("accept").filter(|row| accepts(row)).count();
        writeln!(page, "| {name} | {refused} of {reject} | {accepted} of {accept} |").unwrap();
    };
    total("Veilwire", &|row| accepted_by_us(row).is_ok());
    for (column, name) in OTHERS {
        total(name, &|row| theirs(row, column) == "accepted");
    }
    page += "\n## Tokens that must be refused\n\n| token | Veilwire | `jwt_authn` | jwt-simple | PyJWT | jose |\n|---|---|---|---|---|---|\n";
    page.extend(of("reject").map(|row| line(row, "")));
    page += "\n## Tokens that must be accepted\n\n| token | Veilwire | `jwt_authn` | jwt-simple | PyJWT | jose |\n|---|---|---|---|---|---|\n";
    page.extend(of("accept").map(|row| line(row, "")));
    page += POLICY;
    let why: BTreeMap<&str, &str> = DECIDED.iter().map(|(name, _, why)| (*name, *why)).collect();
    let options: BTreeMap<&str, &str> = OPTIONS.into();
    page.extend(of("policy").map(|row| {
        let name = row["name"].as_str().unwrap();
        let option = options.get(name).map(|option| format!("; changed by {option}")).unwrap_or_default();
        line(row, &format!(" {}{option} |", why[name]))
    }));
    page += "\n## Beside these\n\n";
    let mut published = 0;
    for (name, text) in [
        ("signatures", include_str!("../data/jwt/wycheproof_signature.json")),
        ("keys", include_str!("../data/jwt/wycheproof_key.json")),
        ("whole tokens", include_str!("../data/jwt/wycheproof_crypto.json")),
        ("encrypted tokens", include_str!("../data/jwt/wycheproof_encryption.json")),
    ] {
        let (all, invalid) = suite(text);
        writeln!(page, "- Wycheproof, {name}: {all} vectors, {invalid} of them invalid.").unwrap();
        published += invalid;
    }
    writeln!(
        page,
        "\nOf these {published} invalid vectors every one is refused but two, numbers 367 and 370 of the signatures: letter by letter they are number 357, which is valid. The tokens of RFC 7515, 7520 and 8037 are verified too, and refused in every form\n\
         that is not a compact JWS; so are every flipped bit and every prefix of good tokens. `engine/tests/jwt` and the tests beside `engine/src/identity` hold them, with what headers, cookies and queries can do wrong."
    )
    .unwrap();
    page
}

#[test]
fn the_page_says_what_the_verifier_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/tokens.md");
    let page = page();
    if std::env::var_os("VEILWIRE_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "tokens.md is not what the verifier says; write it anew with VEILWIRE_BLESS=1");
}
