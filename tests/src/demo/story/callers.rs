//! Steps 2 to 4: who may not call is told so, and nothing about the policy.

use anyhow::{Context as _, Result};
use serde_json::Value as Json;

use super::{Story, shown};
use crate::client::Response;
use crate::demo::show::Teller;

/// What a problem document may have (RFC 9457, and our three members).
const MEMBERS: [&str; 7] = ["type", "title", "status", "detail", "rule", "message", "requestId"];
/// Names that only the policy's author should know.
const INSIDE: [&str; 5] = ["agents", "models", "baseline", "employee-id", "first-light"];
const EXPECTED_401: &str = "401 with `WWW-Authenticate: Bearer`, nothing reaches the upstream";

impl Story<'_> {
    pub(super) fn no_token(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        teller.step("No token")?;
        teller
            .check("POST /v1/chat/completions without a token", EXPECTED_401, || self.unauthorized(None))?;
        Ok(())
    }

    pub(super) fn bad_tokens(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        teller.step("Forged and expired tokens")?;
        let asked = "a forged token: HS256, signed with the public RSA key as the secret";
        teller.check(asked, EXPECTED_401, || {
            let forged = self.stage.issuer().hs256_with_public_key(&self.stage.claims(&["agents"]));
            self.unauthorized(Some(forged))
        })?;
        teller.check("a token that expired an hour ago", EXPECTED_401, || {
            let expired = self.stage.mint(&self.stage.expired_claims(&["agents"]))?;
            self.unauthorized(Some(expired))
        })?;
        Ok(())
    }

    pub(super) fn wrong_groups(&mut self, teller: &mut Teller<'_>) -> Result<()> {
        teller.step("A good token is not yet a permission")?;
        let expected = "403 by `default`, and nothing about what the policy holds";
        teller.check("a valid token of a caller in no group of the policy", expected, || {
            let (body, shown) = self.forbidden(&["visitors"])?;
            Ok((shown, is_discreet(&body) && body.get("rule") == Some(&Json::from("default"))))
        })?;
        let expected = "403 by the rule `contractors-stay-out`, with the message of that rule";
        teller.check("a valid token of a contractor", expected, || {
            let (body, shown) = self.forbidden(&["contractors"])?;
            let rule = body.get("rule") == Some(&Json::from("contractors-stay-out"));
            let message = body.get("message") == Some(&Json::from("ask platform-security for access"));
            Ok((shown, is_discreet(&body) && rule && message))
        })?;
        Ok(())
    }

    fn unauthorized(&mut self, token: Option<String>) -> Result<(String, bool)> {
        let response = self.refused(token)?;
        let challenge = shown(response.head.header("www-authenticate")).into_owned();
        let through = self.leaked_through();
        let mut got = format!("{}, www-authenticate: {challenge}", response.head.status);
        if through {
            got.push_str(", but the request reached the upstream");
        }
        let right = response.head.status == 401 && challenge.starts_with("Bearer") && !through;
        Ok((got, right && is_discreet(&problem(&response)?)))
    }

    fn forbidden(&mut self, groups: &[&str]) -> Result<(Json, String)> {
        let token = self.stage.mint(&self.stage.claims(groups))?;
        let response = self.refused(Some(token))?;
        anyhow::ensure!(response.head.status == 403, "status {}", response.head.status);
        anyhow::ensure!(!self.leaked_through(), "403, but the request reached the upstream");
        let body = problem(&response)?;
        Ok((body.clone(), body.to_string()))
    }
}

fn problem(response: &Response) -> Result<Json> {
    let kind = response.head.header("content-type");
    anyhow::ensure!(kind == Some(b"application/problem+json"), "content-type {}", shown(kind));
    serde_json::from_slice(&response.body).context("the answer is not JSON")
}

/// Only the known members, and no name of the policy but that of the rule that decided.
fn is_discreet(body: &Json) -> bool {
    let Some(members) = body.as_object() else { return false };
    let known = members.keys().all(|name| MEMBERS.contains(&name.as_str()));
    let texts = members.iter().filter(|(name, _)| *name != "rule").map(|(_, value)| value.to_string());
    known && texts.into_iter().all(|text| !INSIDE.iter().any(|word| text.contains(word)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_that_tells_about_the_policy_is_not_discreet() {
        assert!(is_discreet(&json!({"status": 403, "rule": "contractors-stay-out"})));
        assert!(!is_discreet(&json!({"status": 403, "rules": []})));
        assert!(!is_discreet(&json!({"status": 403, "detail": "only agents may"})));
        assert!(!is_discreet(&json!("403")));
    }
}
