//! The compiled model: what the policy compiler writes and the filter loads. Plain data, no behaviour.
//!
//! Names are kept for audit and diagnostics; everything that refers to something else does so by id.
//! A `Model` may be wrong (it comes from bytes); a [`Policy`](super::Policy) is a model whose every reference was checked.

mod access;
mod content;
mod provider;
mod remote;

pub use access::{
    Algorithm, Approval, Effect, Fact, Group, Hours, Literal, Network, Predicate, Provider, Rule,
    SharedSecret, Test, TokenSource,
};
pub use content::{
    Channel, Closer, Condition, Content, ModelInPath, RequestFacts, Schema, SchemaField, Signed,
};
pub use provider::{ApiKey, ApiKeys, CertificateName, ProviderKind};
pub use remote::{Document, RemoteKeys};

use super::id::{ContentId, DetectorId, KeyId, TagId};
use super::path::PathPattern;
use super::secret::Secret;
use crate::mask::automaton::Automaton;
use serde::{Deserialize, Serialize};

/// Everything a filter needs to serve: one artifact, one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Who and which revision this policy is.
    pub meta: Meta,
    /// Keys of replacements: where they are.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Taxonomy: what a finding means and how it is replaced.
    pub tags: Vec<Tag>,
    /// Detectors, in the order of their pattern numbers.
    pub detectors: Vec<Detector>,
    /// Compiled automata over all detectors; travel in a binary section of their own.
    #[serde(skip)]
    pub automata: Vec<Automaton>,
    /// Identity providers.
    pub providers: Vec<Provider>,
    /// Declared groups.
    pub groups: Vec<Group>,
    /// Claims that rules look at: names of members, or paths with dots between the names.
    pub claims: Vec<String>,
    /// Contents: the data of protocol packs.
    pub contents: Vec<Content>,
    /// Routes, most specific first; the first match is the route.
    pub routes: Vec<Route>,
    /// Masks.
    pub masks: Vec<Mask>,
    /// Rules; order never matters.
    pub rules: Vec<Rule>,
    /// Transport requirements that the filter checks again at run time.
    pub tls: TlsRequirement,
    /// What is told to whom.
    pub audit: Audit,
    /// Finite bounds for everything.
    pub limits: Limits,
}

/// Name and provenance of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.revision`.
    pub revision: u64,
    /// Version of the compiler that wrote the artifact.
    pub compiler: String,
    /// Packs with the digests they had at compile time, as `name@version` and lower-case hex SHA-256.
    pub packs: Vec<(String, String)>,
}

/// One entry of the taxonomy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// Dotted name, such as `pii.email`.
    pub name: String,
    /// Decides on mixed spans: the higher severity wins.
    pub severity: Severity,
    /// What is written instead of the value.
    pub replacement: Replacement,
    /// What stands for a JSON number.
    #[serde(default)]
    pub numbers: Numbers,
}

/// How bad it is when a value of this tag leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nuisance.
    Low,
    /// Internal data.
    Medium,
    /// Personal data.
    High,
    /// Credentials and payment data.
    Critical,
}

/// What is written where a value was.
///
/// Texts are resolved but for `{detector}`, and JSON-safe: the compiler writes only bytes that need no escape in a JSON
/// string, and `Policy::new` checks it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Replacement {
    /// Fixed text; `{detector}` in it stands for the name of the detector, or of the tag where none found the value.
    Placeholder(String),
    /// The ends of the value stay.
    Partial(Partial),
    /// Nothing at all: the member, element, parameter, header or field goes, and in a text the value.
    Drop,
    /// A token that is the same wherever the value is: made with a key, and for good.
    Tokenize(Keyed),
    /// Other letters for letters and digits for digits: made with a key, and for good.
    Shape(Keyed),
    /// A token that stands for the value in the request, and for which the response has the value back.
    Pseudonym(Pseudonym),
}

/// What is kept of a value, in characters of UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Partial {
    /// First characters that stay.
    pub keep_first: u8,
    /// Last characters that stay.
    pub keep_last: u8,
    /// How many `*` stand for the others; none: as many as are hidden.
    #[serde(default)]
    pub mask_length: Option<u8>,
    /// The text for values of which the ends would be more than a third, that several matches made, that are longer
    /// than 4 KiB, or that are no text.
    pub otherwise: String,
}

/// A token such as `<EMAIL_1>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pseudonym {
    /// The name in the token: an upper-case letter, then such letters, digits and `_`.
    pub name: String,
    /// The text for values that get no token: those of responses, and all beyond the limits.
    pub otherwise: String,
}

/// What a key makes of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyed {
    /// With which key.
    pub key: KeyId,
    /// What a token begins with; nothing for a shape.
    pub prefix: String,
    /// In which form values are compared.
    pub canonical: Canonical,
    /// The text for values of which nothing can be made: where the key is not known, where several matches made the span,
    /// and for those that are longer than 4 KiB, or too short or no ASCII for a shape.
    pub otherwise: String,
    /// The key itself, once the policy is loaded with it. Never written.
    #[serde(skip)]
    pub secret: Secret,
}

/// The form in which values are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Canonical {
    /// Byte for byte.
    #[default]
    Exact,
    /// In ASCII lower case, without white space around: e-mail addresses, names.
    Lowercase,
    /// Their ASCII digits only: card and telephone numbers.
    Digits,
}

/// A key of replacements, or the secret of a provider. The policy knows where it is, and nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Name in the policy.
    pub name: String,
    /// What tokens of replacements call it, so that those of an older key are told apart.
    pub id: String,
    /// Where it is, as base64 of at least [`Secret::MIN`] bytes.
    pub from: KeySource,
}

/// Where a key is. The policy never holds one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// In this variable of the proxy's environment.
    Environment(String),
    /// In this filter state, where the proxy puts a secret of its own for each exchange.
    FilterState(String),
}

/// What stands for a JSON number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// A string with the replacement.
    #[default]
    String,
    /// `0`.
    Zero,
    /// `null`.
    Null,
}

impl Replacement {
    /// The text that is written where nothing better is known; none where nothing is written.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Replacement::Placeholder(text) => Some(text),
            Replacement::Partial(partial) => Some(&partial.otherwise),
            Replacement::Pseudonym(pseudonym) => Some(&pseudonym.otherwise),
            Replacement::Tokenize(keyed) | Replacement::Shape(keyed) => Some(&keyed.otherwise),
            Replacement::Drop => None,
        }
    }
}

/// What to find. The pattern itself lives in the automata; `DetectorId` is its pattern number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Full name, such as `pii-us.ssn` or the policy's own `employee-id`.
    pub name: String,
    /// What it finds.
    pub tag: TagId,
    /// Checked on the matched bytes; a match that fails it is no match.
    pub validator: Option<Validator>,
}

/// A pure, bounded check of matched bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validator {
    /// ISO/IEC 7812-1 annex B check digit over 12 to 19 digits, separators ignored.
    Luhn,
    /// Area, group and serial numbers that the US SSA never assigned are refused.
    UsSsn,
    /// At least so many tenths of a bit of entropy per character.
    Entropy(u8),
    /// The same, and not what stands in examples in place of a credential.
    Secret(u8),
    /// International bank account number: length by country, ISO/IEC 7064 MOD 97-10.
    #[serde(rename = "mod-97")]
    Mod97,
    /// An assigned country code with as many digits as it has (ITU-T E.164).
    PhoneInternational,
    /// Six to thirteen digits in groups that are no date.
    PhoneNational,
    /// The same behind a word that announces it: numbers of services are shorter.
    PhoneNear,
    /// Groups as numbering plans have them, that are no row of round or rising numbers.
    PhoneGrouped,
    /// An address of IP version 6 (RFC 4291).
    Ipv6,
    /// Base58 with a checksum, as in addresses of Bitcoin.
    Base58check,
    /// Bech32 and Bech32m (BIP 173, BIP 350).
    Bech32,
    /// An address of Ethereum: forty hexadecimal digits of one case, or with the checksum of EIP-55 in their case.
    #[serde(rename = "eip-55")]
    Eip55,
    /// A number that a state or an industry gives, with its check digits.
    Number(Scheme),
}

/// Numbers with check digits, by who gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// United States: routing number of a bank.
    UsAba,
    /// United States: National Provider Identifier.
    UsNpi,
    /// United Kingdom: NHS number.
    UkNhs,
    /// Germany: tax identification number.
    DeTaxId,
    /// Germany: number of an identity card or passport with its check digit, as in ICAO Doc 9303.
    DeIdCard,
    /// France: NIR, the number of social security.
    FrNir,
    /// Spain: DNI, NIF and NIE.
    EsNif,
    /// Italy: codice fiscale.
    ItFiscalCode,
    /// Poland: PESEL.
    PlPesel,
    /// Poland: NIP.
    PlNip,
    /// Netherlands: BSN.
    NlBsn,
    /// Belgium: national number.
    BeNn,
    /// Portugal: NIF.
    PtNif,
    /// Switzerland: AHV number.
    ChAhv,
    /// Norway: fødselsnummer.
    NoFnr,
    /// Denmark: CPR number.
    DkCpr,
    /// Romania: CNP.
    RoCnp,
    /// Czechia and Slovakia: rodné číslo.
    CzRc,
    /// Sweden: personnummer.
    SePnr,
    /// Finland: henkilötunnus.
    FiHetu,
    /// Brazil: CPF.
    BrCpf,
    /// Brazil: CNPJ.
    BrCnpj,
    /// Mexico: CURP.
    MxCurp,
    /// India: Aadhaar.
    InAadhaar,
    /// Australia: tax file number.
    AuTfn,
    /// Australia: business number.
    AuAbn,
    /// Canada: social insurance number.
    CaSin,
    /// Korea: resident registration number.
    KrRrn,
    /// Japan: individual number.
    JpMyNumber,
    /// China: resident identity number.
    CnId,
    /// Singapore: NRIC and FIN.
    SgNric,
    /// Thailand: identity number.
    ThId,
    /// South Africa: identity number.
    ZaId,
    /// Turkey: identity number.
    TrId,
    /// Hong Kong: identity card.
    HkId,
    /// Taiwan: national identification card.
    TwId,
    /// Vehicle identification number with its check digit, as in North America and China.
    Vin,
}

/// One route: which requests, to which upstream, with which content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Name in the policy and of the route in Envoy.
    pub name: String,
    /// Host without port, lower case; compared without case.
    pub host: String,
    /// Path, exact or with a trailing `/**`.
    pub path: RoutePath,
    /// Upper-case methods; empty means every method.
    pub methods: Vec<String>,
    /// Name of the upstream (cluster).
    pub upstream: String,
    /// What flows here; `None` is plain JSON.
    pub content: Option<ContentId>,
    /// What happens to a signed reasoning block that has a finding.
    pub thinking: Thinking,
}

/// A path matcher. The query is never part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoutePath {
    /// This path and no other.
    Exact(String),
    /// This path and everything below it; stored without the trailing slash.
    Below(String),
}

/// What happens to reasoning that may be signed when a finding occurs in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Thinking {
    /// Refuse the exchange: a changed block would be refused by the provider on the next turn.
    #[default]
    Refuse,
    /// Mask the text and empty its signature.
    MaskAndDropSignature,
    /// Pass text and signature without a look, and say so in the audit.
    Leave,
}

/// A mask: what to look for, where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// Name in the policy; findings carry it.
    pub name: String,
    /// Detectors that run in scanned places.
    pub detectors: Vec<DetectorId>,
    /// Scan request bodies.
    pub request_body: bool,
    /// Scan response bodies.
    pub response_body: bool,
    /// Values that are masked whatever they hold, in both directions.
    pub fields: Vec<Field>,
    /// The same for fields of forms and parts only: `$.user.mail` is the field `user[mail]`.
    #[serde(default)]
    pub form_fields: Vec<Field>,
    /// The same for attributes that the content keeps in lists of keys and values.
    #[serde(default)]
    pub attributes: Vec<Attribute>,
    /// What is looked for outside of bodies.
    pub head: HeadMask,
    /// Detectors of the tokens that its pseudonyms are written as.
    #[serde(default)]
    pub tokens: Vec<DetectorId>,
}

/// What a mask looks for in request line and headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadMask {
    /// Scan paths: a path with a finding is denied, for a changed one would be another resource.
    pub path: bool,
    /// Scan queries.
    pub query: bool,
    /// Scan the headers of requests and responses.
    pub headers: bool,
    /// Parameters of the query that are masked whatever they hold: `$.name`.
    pub query_fields: Vec<Field>,
    /// Headers that are masked whatever they hold, in both directions: `$.name`, lower case.
    pub header_fields: Vec<Field>,
}

/// A value masked by its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What it is.
    pub tag: TagId,
    /// Where it is.
    pub at: PathPattern,
}

/// An attribute masked by its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// What it is.
    pub tag: TagId,
    /// Its key; one that ends in `.*` stands for every longer one.
    pub key: String,
}

/// What the filter checks again about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsRequirement {
    /// Plaintext is denied on both legs.
    pub require: bool,
    /// The lowest version that is accepted downstream and upstream.
    pub min_version: TlsVersion,
    /// A verified client certificate is required.
    pub client_certificate: bool,
}

/// TLS versions, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "TLSv1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "TLSv1.3")]
    V1_3,
}

/// What is told to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// `x-veilwire-*` headers go to the client as well.
    pub response_headers: bool,
}

/// Finite bounds. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Held bytes and state of one exchange.
    pub state: u32,
    /// Longest message of a format that puts lengths first (protobuf, gRPC, event streams of AWS); held beside `state`.
    pub message: u32,
    /// Nesting of JSON and of messages.
    pub json_depth: u16,
    /// Longest indecision of a detector.
    pub window: u32,
    /// Bytes that may come out of each byte of a compressed body, beside a fixed allowance.
    #[serde(default = "default_inflate_ratio")]
    pub inflate_ratio: u32,
    /// Content that cannot be inspected.
    pub unknown_content: UnknownContent,
    /// Values of one exchange that may have a pseudonym; their bytes are bounded as well.
    #[serde(default = "default_pseudonyms")]
    pub pseudonyms: u16,
    /// Longest body of a request that rules look into: it is held until they have decided.
    #[serde(default = "default_inspect_body")]
    pub inspect_body: u32,
}

/// What to do with content of a type that nobody here can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownContent {
    /// 415 for a request, 502 for a response.
    Refuse,
    /// Content of these media types passes without a look, and the audit says so: `image/png`, `image/*` or `*/*`, in
    /// lower case.
    Pass(Vec<String>),
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            state: 64 * 1024,
            message: 4 * 1024 * 1024,
            json_depth: 64,
            window: 512,
            inflate_ratio: default_inflate_ratio(),
            unknown_content: UnknownContent::Refuse,
            pseudonyms: default_pseudonyms(),
            inspect_body: default_inspect_body(),
        }
    }
}

fn default_pseudonyms() -> u16 {
    256
}

/// Text rarely shrinks to less; the steepest deflate can do is about 1,030.
fn default_inflate_ratio() -> u32 {
    20
}

/// A long conversation with a few pictures in it.
fn default_inspect_body() -> u32 {
    4 * 1024 * 1024
}
