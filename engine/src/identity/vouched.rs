//! Tokens whose signature Envoy's own `jwt_authn` has verified: is the token at hand the one that it vouches for?
//!
//! `jwt_authn` leaves the payload of a good token in dynamic metadata, which no client can write. Guarantees: a token counts only if
//! everything that it claims is there, under the name of its provider, lists are as long as there, and no claim that would restrict
//! it, or that says who its bearer is, is there alone. So two
//! readers that look at different tokens of one request can never be played off against each other. Without metadata nobody has
//! vouched, and the token is refused. What the claims mean is checked as ever, behind this.

use super::token::TokenError;
use super::verifier::SignatureVerifier;
use serde_json::{Map, Value};

/// What Envoy's verifier says (`google::jwt_verify::Status::JwksFetchFail`) where it has no keys.
const NO_KEYS: &[u8] = b"Jwks remote fetch is failed";

/// Under which name the host says why it does not vouch for a token of this provider (`failed_status_in_metadata`). No provider
/// can have it.
#[must_use]
pub fn failure_of(provider: &str) -> String {
    format!("{provider}.failed")
}

/// Most values of a payload; each is a question to the host.
const MOST: usize = 1_024;

/// Claims that restrict what a token is good for, or whose absence a `mayNot` rule could hang on: one that lacks them must not be
/// vouched for by one that has them.
const RESTRICTING: [&str; 11] =
    ["iss", "sub", "aud", "azp", "exp", "nbf", "iat", "cnf", "scope", "scp", "client_id"];

/// What the host has to vouch for in the tokens of one provider.
#[derive(Clone, Debug)]
pub(super) struct Vouching {
    provider: String,
    /// Claims that must not be in the host's payload alone.
    decisive: Vec<String>,
}

impl Vouching {
    /// `asked`: claims that rules and groups hang on, by name or path.
    pub(super) fn new<'c>(provider: &str, asked: impl Iterator<Item = &'c String>) -> Vouching {
        let mut decisive: Vec<String> = RESTRICTING.map(str::to_owned).to_vec();
        for path in asked {
            // A name with dots is both, as in the claims of rules.
            decisive.push(path.clone());
            decisive.extend(path.split('.').next().map(str::to_owned));
        }
        decisive.sort_unstable();
        decisive.dedup();
        Vouching { provider: provider.to_owned(), decisive }
    }

    /// Checks that the host vouches for these claims.
    ///
    /// # Errors
    /// [`TokenError::NotVouched`]; [`TokenError::KeysUnavailable`] if the host says that it has no keys;
    /// [`TokenError::Unverifiable`] if it cannot tell.
    pub(super) fn check(
        &self,
        verifier: &dyn SignatureVerifier,
        claims: &Map<String, Value>,
    ) -> Result<(), TokenError> {
        match self.is_same(verifier, claims) {
            Err(TokenError::NotVouched) if self.lacks_keys(verifier)? => Err(TokenError::KeysUnavailable),
            verdict => verdict,
        }
    }

    /// Nobody's fault who calls: it only changes how the token is refused.
    fn lacks_keys(&self, verifier: &dyn SignatureVerifier) -> Result<bool, TokenError> {
        let why = verifier.vouched(&[&failure_of(&self.provider), "message"]);
        Ok(why.map_err(|_| TokenError::Unverifiable)?.as_deref() == Some(NO_KEYS))
    }

    fn is_same(
        &self,
        verifier: &dyn SignatureVerifier,
        claims: &Map<String, Value>,
    ) -> Result<(), TokenError> {
        let mut walk = Walk { verifier, path: vec![&self.provider], left: MOST };
        for name in self.decisive.iter().filter(|name| !claims.contains_key(*name)) {
            if walk.ask(name)?.is_some() {
                return Err(TokenError::NotVouched);
            }
        }
        walk.members(claims)
    }
}

struct Walk<'w> {
    verifier: &'w dyn SignatureVerifier,
    path: Vec<&'w str>,
    left: usize,
}

impl<'w> Walk<'w> {
    fn members(&mut self, members: &'w Map<String, Value>) -> Result<(), TokenError> {
        members.iter().try_for_each(|(name, value)| self.value(name, value))
    }

    fn value(&mut self, name: &'w str, value: &'w Value) -> Result<(), TokenError> {
        // It separates the parts of a path in the host's interface.
        if name.contains('\0') {
            return Err(TokenError::NotVouched);
        }
        match value {
            // It says nothing, and the host has no form for it.
            Value::Null => Ok(()),
            Value::Bool(flag) => self.same(name, &[u8::from(*flag)]),
            // All numbers are doubles in metadata.
            Value::Number(number) => {
                let number = number.as_f64().ok_or(TokenError::NotVouched)?;
                self.same(name, &number.to_le_bytes())
            }
            Value::String(text) => self.same(name, text.as_bytes()),
            Value::Object(members) => {
                self.path.push(name);
                self.members(members)?;
                self.path.pop();
                Ok(())
            }
            Value::Array(elements) => self.elements(name, elements),
        }
    }

    fn elements(&mut self, name: &'w str, elements: &'w [Value]) -> Result<(), TokenError> {
        self.path.push(name);
        for (place, element) in elements.iter().enumerate() {
            let place = place.to_string();
            let mut inner = Walk { verifier: self.verifier, path: self.path.clone(), left: self.left };
            // The name lives no longer than the element.
            inner.value(&place, element)?;
            self.left = inner.left;
        }
        let longer = self.ask(&elements.len().to_string())?.is_some();
        self.path.pop();
        if longer { Err(TokenError::NotVouched) } else { Ok(()) }
    }

    fn same(&mut self, name: &str, expected: &[u8]) -> Result<(), TokenError> {
        let said = self.ask(name)?;
        if said.as_deref() == Some(expected) || (said.is_none() && expected.is_empty()) {
            Ok(())
        } else {
            Err(TokenError::NotVouched)
        }
    }

    fn ask(&mut self, name: &str) -> Result<Option<Vec<u8>>, TokenError> {
        self.left = self.left.checked_sub(1).ok_or(TokenError::NotVouched)?;
        let path: Vec<&str> = self.path.iter().copied().chain([name]).collect();
        self.verifier.vouched(&path).map_err(|_| TokenError::Unverifiable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{VerifierError, VerifyingKey};
    use crate::policy::model::Algorithm;
    use serde_json::json;

    /// A host that says why it vouches for nothing.
    struct Failing(&'static str);

    impl SignatureVerifier for Failing {
        fn verify(&self, _: Algorithm, _: &VerifyingKey, _: &[u8], _: &[u8]) -> Result<bool, VerifierError> {
            Ok(true)
        }

        fn vouched(&self, path: &[&str]) -> Result<Option<Vec<u8>>, VerifierError> {
            Ok((path == ["idp.failed", "message"]).then(|| self.0.as_bytes().to_vec()))
        }
    }

    #[test]
    fn keys_that_the_host_could_not_fetch_are_not_the_callers_fault() {
        let claimed = json!({"sub": "a"});
        for (provider, said, expected) in [
            ("idp", "Jwks remote fetch is failed", TokenError::KeysUnavailable),
            ("idp", "Jwt verification fails", TokenError::NotVouched),
            ("other", "Jwks remote fetch is failed", TokenError::NotVouched),
        ] {
            let vouching = Vouching::new(provider, std::iter::empty());
            assert_eq!(vouching.check(&Failing(said), claimed.as_object().unwrap()), Err(expected), "{said}");
        }
    }

    /// A host that vouches for this payload of provider `idp`.
    struct Host(Value);

    impl SignatureVerifier for Host {
        fn verify(&self, _: Algorithm, _: &VerifyingKey, _: &[u8], _: &[u8]) -> Result<bool, VerifierError> {
            Ok(true)
        }

        fn vouched(&self, path: &[&str]) -> Result<Option<Vec<u8>>, VerifierError> {
            let Some(("idp", path)) = path.split_first().map(|(first, path)| (*first, path)) else {
                return Ok(None);
            };
            let found = path.iter().try_fold(&self.0, |value, name| match value {
                Value::Array(elements) => elements.get(name.parse::<usize>().ok()?),
                value => value.get(name),
            });
            Ok(match found {
                None => None,
                Some(Value::String(text)) => Some(text.clone().into_bytes()),
                Some(Value::Bool(flag)) => Some(vec![u8::from(*flag)]),
                Some(Value::Number(number)) => Some(number.as_f64().unwrap().to_le_bytes().to_vec()),
                Some(_) => Some(b"pairs".to_vec()),
            })
        }
    }

    fn ask(said: &Value, provider: &str, claimed: &Value) -> Result<(), TokenError> {
        let asked = ["groups".to_owned(), "realm.roles".to_owned()];
        Vouching::new(provider, asked.iter()).check(&Host(said.clone()), claimed.as_object().unwrap())
    }

    #[test]
    fn a_host_vouches_for_all_or_for_nothing() {
        let said = json!({
            "iss": "https://idp.test", "sub": "a", "exp": 1_800_000_600, "ok": true, "empty": "", "none": null,
            "groups": ["x", "y"], "realm": {"roles": [{"name": "r"}]},
        });
        assert_eq!(ask(&said, "idp", &said), Ok(()));
        assert_eq!(ask(&said, "other", &said), Err(TokenError::NotVouched));
        assert_eq!(ask(&json!({}), "idp", &said), Err(TokenError::NotVouched));
        for (place, value) in [
            ("/sub", json!("b")),
            ("/sub", json!(1)),
            ("/exp", json!(1_800_000_601)),
            ("/exp", json!("1800000600")),
            ("/ok", json!(false)),
            ("/groups/1", json!("z")),
            ("/groups", json!(["x", "y", "z"])),
            ("/groups", json!(["x"])),
            ("/groups", json!([])),
            ("/groups", json!("x")),
            ("/realm/roles/0/name", json!("s")),
            ("/realm/roles/0", json!({"name": "r", "admin": true})),
        ] {
            let mut claimed = said.clone();
            *claimed.pointer_mut(place).unwrap() = value.clone();
            assert_eq!(ask(&said, "idp", &claimed), Err(TokenError::NotVouched), "{place} {value}");
        }
        let mut claimed = said.clone();
        claimed["admin\0"] = json!(true);
        assert_eq!(ask(&claimed, "idp", &claimed), Err(TokenError::NotVouched));
    }

    #[test]
    fn what_restricts_a_token_is_in_both_or_in_neither() {
        for name in
            RESTRICTING.into_iter().filter(|name| *name != "sub").chain(["groups", "realm", "realm.roles"])
        {
            let said = json!({"sub": "a", name: "x"});
            assert_eq!(ask(&said, "idp", &json!({"sub": "a"})), Err(TokenError::NotVouched), "{name}");
            assert_eq!(ask(&said, "idp", &said), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_payload_has_a_bounded_number_of_values() {
        let many = |count: usize| json!({"groups": vec!["g"; count]});
        // What must not be there alone, but for the groups, which are there; and the end of the list.
        let restricting = RESTRICTING.len() + 2 + 1;
        assert_eq!(ask(&many(MOST - restricting), "idp", &many(MOST - restricting)), Ok(()));
        assert_eq!(ask(&many(MOST), "idp", &many(MOST)), Err(TokenError::NotVouched));
    }
}
