//! Who vouches for callers, and what rules ask of them and of requests. Plain data, no behaviour.

use super::provider::ProviderKind;
use super::remote::RemoteKeys;
use crate::policy::id::{ClaimId, GroupId, KeyId, MaskId, ProviderId, RouteId};
use crate::policy::pattern::Pattern;
use crate::policy::secret::Secret;
use serde::{Deserialize, Serialize};

/// Where identities come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Name in the policy.
    pub name: String,
    /// Required `iss`, compared byte for byte.
    pub issuer: String,
    /// `aud` must contain one of these.
    pub audiences: Vec<String>,
    /// Signature algorithms that are accepted.
    pub algorithms: Vec<Algorithm>,
    /// JWKS document (RFC 7517), inline.
    pub jwks: String,
    /// Claim that carries the caller's groups: a list of strings or one string.
    pub groups_claim: String,
    /// Clock tolerance in seconds for `exp`, `nbf` and `iat`.
    pub leeway_seconds: u32,
    /// Seconds after `iat` at which a token is too old; `iat` must then be there.
    #[serde(default)]
    pub max_age_seconds: Option<u32>,
    /// `exp` may be absent; only where `max_age_seconds` ends a token.
    #[serde(default)]
    pub expiry_optional: bool,
    /// The one `typ` that is accepted, in lower case without `application/`; none: `jwt`, `at+jwt`, or no `typ`.
    #[serde(default)]
    pub required_type: Option<String>,
    /// `azp` must be one of these; none: it is not looked at.
    #[serde(default)]
    pub authorized_parties: Vec<String>,
    /// Where its tokens are; none: [`TokenSource::Authorization`].
    #[serde(default)]
    pub sources: Vec<TokenSource>,
    /// The token goes on to the upstream.
    #[serde(default)]
    pub keep_token: bool,
    /// By what its callers are known; all other members but the name are for tokens.
    #[serde(default)]
    pub kind: ProviderKind,
    /// Only tokens that are bound to the client's certificate (RFC 8705 section 3) are accepted.
    #[serde(default)]
    pub bound: bool,
    /// Where its keys are fetched; `jwks` is empty then.
    #[serde(default)]
    pub remote: Option<RemoteKeys>,
    /// The host verifies its signatures (Envoy's `jwt_authn`) and leaves the payload where only it can write; it alone has the keys.
    #[serde(default)]
    pub verified_by_host: bool,
    /// What it shares with us instead of publishing keys: its tokens have a MAC, and no other ones do. `jwks` is empty then.
    #[serde(default)]
    pub secret: Option<SharedSecret>,
}

/// A secret that signs tokens and verifies them (RFC 7518 section 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedSecret {
    /// Where it is.
    pub key: KeyId,
    /// The `kid` of its tokens; none: they have none.
    pub key_id: Option<String>,
    /// The secret itself, once the policy is loaded with it. Never written.
    #[serde(skip)]
    pub secret: Secret,
}

/// Where a token is in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenSource {
    /// `authorization: Bearer …` (RFC 6750 section 2.1).
    Authorization,
    /// The header of this lower-case name; its value is the token and nothing else.
    Header(String),
    /// The cookie of this name.
    Cookie(String),
    /// The parameter of this name in the query (RFC 6750 section 2.3).
    Query(String),
}

/// A text, whole number or truth value: of a claim, or to compare with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Literal {
    /// A text, compared byte for byte.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Flag(bool),
}

/// JWS algorithms of signatures and MACs (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
    PS256,
    /// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes.
    PS384,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512 and a salt of 64 bytes.
    PS512,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
}

/// A declared group and the provider groups that map to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Name in the policy.
    pub name: String,
    /// Member if any of these providers asserts the value.
    pub from: Vec<(ProviderId, String)>,
}

/// One rule. A rule matches when the caller is in one of `groups`, the route is in `routes` and every predicate holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name in the policy; denials and audit events carry it.
    pub name: String,
    /// Who.
    pub groups: Vec<GroupId>,
    /// What it says about these routes.
    pub effect: Effect,
    /// Which routes.
    pub routes: Vec<RouteId>,
    /// Obligation of a `may` rule: masks.
    pub masks: Vec<MaskId>,
    /// Obligation of a `may` rule: a human decides.
    pub approval: Option<Approval>,
    /// Shown to a denied caller.
    pub message: Option<String>,
    /// Every verified caller is meant, whatever the groups; `groups` is empty then.
    #[serde(default)]
    pub anyone: bool,
    /// What must hold besides: of claims, scopes and the request.
    #[serde(default)]
    pub predicates: Vec<Predicate>,
    /// A `mayNot` rule that only tells what it would deny.
    #[serde(default)]
    pub observe: bool,
}

/// What a rule asks of one fact. See `decide::predicate` for what holds when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// Of what.
    pub fact: Fact,
    /// What.
    pub test: Test,
}

/// Something that is known of a request, or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fact {
    /// A claim of the token.
    Claim(ClaimId),
    /// The scopes of the token.
    Scopes,
    /// `:method`.
    Method,
    /// The path without the query, normalised.
    Path,
    /// The host without port, in lower case.
    Host,
    /// A header, by its lower-case name.
    Header(String),
    /// A parameter of the query, by its decoded name.
    Query(String),
    /// The minor version of TLS 1 on the client's connection.
    TlsVersion,
    /// Whether the client's certificate was verified.
    ClientCertificate,
    /// First URI SAN of the client's certificate.
    PeerUri,
    /// First DNS SAN of the client's certificate.
    PeerDns,
    /// Subject of the client's certificate.
    PeerSubject,
    /// SHA-256 of the client's certificate, lower-case hex.
    PeerSha256,
    /// Address of the client, as the host sees it.
    Source,
    /// Bytes of the body, as its head says.
    Size,
    /// Seconds since the epoch.
    Time,
    /// The model that a request names, in its body or its path.
    Model,
    /// The tools that a request offers to a model, or the one that it calls.
    Tool,
    /// The method of JSON-RPC; several in a batch.
    RpcMethod,
}

impl Fact {
    /// Whether it may be in the body, so that this must be read before it is known.
    #[must_use]
    pub fn is_of_body(&self) -> bool {
        matches!(self, Fact::Model | Fact::Tool | Fact::RpcMethod)
    }
}

/// What is asked of a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Test {
    /// It is there, or it is not.
    Exists(bool),
    /// It is one of these.
    OneOf(Vec<Literal>),
    /// One of its values is one of these.
    Contains(Vec<Literal>),
    /// None of its values is anything but one of these.
    Only(Vec<Literal>),
    /// The whole text is matched.
    Matches(Pattern),
    /// A path: this one, or one below it; stored without the trailing slash.
    Below(String),
    /// A number within these bounds, both included.
    Range {
        /// The least, if there is one.
        least: Option<u64>,
        /// The most, if there is one.
        most: Option<u64>,
    },
    /// An address in one of these networks.
    Within(Vec<Network>),
    /// A time of the week.
    Hours(Hours),
}

/// A range of addresses (RFC 4632, RFC 4291 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The address whose first bits count: those of version 4 in their mapped form (RFC 4291 section 2.5.5.2).
    pub address: u128,
    /// How many bits count, of 128.
    pub prefix: u8,
}

/// Hours of some days of the week, in a zone of fixed distance from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Days on which the hours begin: bit 0 is Monday.
    pub days: u8,
    /// First minute of the day.
    pub from: u16,
    /// Minute of the day at which it is over; not later than `from` means on the next day.
    pub to: u16,
    /// Minutes by which local time is ahead of UTC.
    pub offset: i16,
}

/// What a matching rule does. `MayNot` beats `May`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Allows, with obligations.
    May,
    /// Denies.
    MayNot,
}

/// Who is asked, and for how long the exchange waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Cluster of the approval service.
    pub cluster: String,
    /// Path of the approval service.
    pub path: String,
    /// Milliseconds after which the answer is no.
    pub timeout_ms: u64,
}
