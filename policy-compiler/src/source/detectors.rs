//! Detectors: `spec.detectors` of a policy, and the detectors that ship with the compiler.

use super::choice;
use super::reader::{Fields, check_name, size, text, texts, word};
use super::yaml::{Kind, Node};
use crate::detect::Rule;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Spanned, Text};
use veilwire_engine::compile::Near as NearRule;
use veilwire_engine::mask::automaton::MAX_WITHIN;
use veilwire_engine::policy::model::{Scheme, Validator};

/// One detector.
#[derive(Clone, Debug, Default)]
pub struct Detector {
    /// `tag`.
    pub tag: Option<Text>,
    /// `family`: what kind of value it finds, for measurements.
    pub family: Option<Text>,
    /// `source`: the standard or page that its format comes from.
    pub source: Option<Text>,
    /// `class`.
    pub class: Option<Spanned<Class>>,
    /// `prefix`, a regular expression.
    pub prefix: Option<Text>,
    /// `pattern`, a regular expression.
    pub pattern: Option<Text>,
    /// `validate`.
    pub validate: Option<Spanned<Validator>>,
    /// `near`.
    pub near: Option<Near>,
    /// A part was written, but is not understood: the rest alone would not be what the author means.
    pub unreadable: bool,
    /// `examples.match`.
    pub matches: Vec<Text>,
    /// `examples.ignore`.
    pub ignores: Vec<Text>,
}

/// `near`: words of which one must stand before.
#[derive(Clone, Debug)]
pub struct Near {
    /// `words`, regular expressions.
    pub words: Vec<Text>,
    /// `within`, in bytes.
    pub within: u8,
}

/// What keeps a detector from finding what it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A beginning that nothing else has.
    Prefixed,
    /// A check digit, or published ranges.
    Validated,
    /// Words before it.
    Context,
    /// Its shape only.
    Shape,
}

impl Detector {
    /// What is compiled of it; `None` while a part is missing or not understood.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        let words = |near: &Near| near.words.iter().map(|word| word.value.clone()).collect();
        let rule = Rule {
            pattern: self.pattern.as_ref()?.value.clone(),
            validator: self.validate.as_ref().map(|validator| validator.value),
            prefix: self.prefix.as_ref().map(|prefix| prefix.value.clone()),
            near: self.near.as_ref().map(|near| NearRule { words: words(near), within: near.within }),
        };
        (!self.unreadable).then_some(rule)
    }
}

/// Reads one detector.
pub fn read(node: &Node, name: &Text, out: &mut Diagnostics) -> Detector {
    check_name(name, false, out);
    let mut detector = Detector::default();
    let Some(mut fields) = Fields::open(node, &format!("detector `{}`", name.value), out) else {
        return detector;
    };
    detector.tag = fields.require("tag").and_then(|node| text(node, out));
    detector.family = fields.take("family").and_then(|node| text(node, out));
    detector.source = fields.take("source").and_then(|node| text(node, out));
    if let Some(node) = fields.take("class") {
        detector.class = choice(node, "class", CLASSES, &[], out);
    }
    if let Some(node) = fields.take("prefix") {
        detector.prefix = text(node, out);
        detector.unreadable |= detector.prefix.is_none();
    }
    detector.pattern = fields.require("pattern").and_then(|node| text(node, out));
    if let Some(node) = fields.take("validate") {
        detector.validate = validator(node, out);
        detector.unreadable |= detector.validate.is_none();
    }
    if let Some(node) = fields.take("near") {
        detector.near = near(node, out);
        detector.unreadable |= detector.near.is_none();
    }
    if let Some(node) = fields.require("examples")
        && let Some(mut examples) = Fields::open(node, "`examples`", out)
    {
        detector.matches = examples.require("match").map(|node| texts(node, out)).unwrap_or_default();
        detector.ignores = examples.take("ignore").map(|node| texts(node, out)).unwrap_or_default();
        examples.close(out);
    }
    fields.close(out);
    detector
}

/// `{words: [...], within: 40B}`.
fn near(node: &Node, out: &mut Diagnostics) -> Option<Near> {
    let mut fields = Fields::open(node, "`near`", out)?;
    let words = fields.require("words").map(|node| texts(node, out)).filter(|words| !words.is_empty());
    let within = fields.require("within").and_then(|node| size(node, 1, u64::from(MAX_WITHIN), out));
    fields.close(out);
    Some(Near { words: words?, within: u8::try_from(within?.value).ok()? })
}

/// Classes as they are written.
pub const CLASSES: &[(&str, Class)] = &[
    ("prefixed", Class::Prefixed),
    ("validated", Class::Validated),
    ("context", Class::Context),
    ("shape", Class::Shape),
];

/// Validators that are written as a word.
pub const VALIDATORS: &[(&str, Validator)] = &[
    ("base58check", Validator::Base58check),
    ("bech32", Validator::Bech32),
    ("eip-55", Validator::Eip55),
    ("ipv6", Validator::Ipv6),
    ("luhn", Validator::Luhn),
    ("mod-97", Validator::Mod97),
    ("phone-grouped", Validator::PhoneGrouped),
    ("phone-international", Validator::PhoneInternational),
    ("phone-national", Validator::PhoneNational),
    ("phone-near", Validator::PhoneNear),
    ("us-ssn", Validator::UsSsn),
    ("us-aba", Validator::Number(Scheme::UsAba)),
    ("us-npi", Validator::Number(Scheme::UsNpi)),
    ("uk-nhs", Validator::Number(Scheme::UkNhs)),
    ("de-tax-id", Validator::Number(Scheme::DeTaxId)),
    ("de-id-card", Validator::Number(Scheme::DeIdCard)),
    ("fr-nir", Validator::Number(Scheme::FrNir)),
    ("es-nif", Validator::Number(Scheme::EsNif)),
    ("it-fiscal-code", Validator::Number(Scheme::ItFiscalCode)),
    ("pl-pesel", Validator::Number(Scheme::PlPesel)),
    ("pl-nip", Validator::Number(Scheme::PlNip)),
    ("nl-bsn", Validator::Number(Scheme::NlBsn)),
    ("be-nn", Validator::Number(Scheme::BeNn)),
    ("pt-nif", Validator::Number(Scheme::PtNif)),
    ("ch-ahv", Validator::Number(Scheme::ChAhv)),
    ("no-fnr", Validator::Number(Scheme::NoFnr)),
    ("dk-cpr", Validator::Number(Scheme::DkCpr)),
    ("ro-cnp", Validator::Number(Scheme::RoCnp)),
    ("cz-rc", Validator::Number(Scheme::CzRc)),
    ("se-pnr", Validator::Number(Scheme::SePnr)),
    ("fi-hetu", Validator::Number(Scheme::FiHetu)),
    ("br-cpf", Validator::Number(Scheme::BrCpf)),
    ("br-cnpj", Validator::Number(Scheme::BrCnpj)),
    ("mx-curp", Validator::Number(Scheme::MxCurp)),
    ("in-aadhaar", Validator::Number(Scheme::InAadhaar)),
    ("au-tfn", Validator::Number(Scheme::AuTfn)),
    ("au-abn", Validator::Number(Scheme::AuAbn)),
    ("ca-sin", Validator::Number(Scheme::CaSin)),
    ("kr-rrn", Validator::Number(Scheme::KrRrn)),
    ("jp-my-number", Validator::Number(Scheme::JpMyNumber)),
    ("cn-id", Validator::Number(Scheme::CnId)),
    ("sg-nric", Validator::Number(Scheme::SgNric)),
    ("th-id", Validator::Number(Scheme::ThId)),
    ("za-id", Validator::Number(Scheme::ZaId)),
    ("tr-id", Validator::Number(Scheme::TrId)),
    ("hk-id", Validator::Number(Scheme::HkId)),
    ("tw-id", Validator::Number(Scheme::TwId)),
    ("vin", Validator::Number(Scheme::Vin)),
];

/// A word, or `{entropy: 3.5}` or `{secret: 3.5}`: bits per character.
fn validator(node: &Node, out: &mut Diagnostics) -> Option<Spanned<Validator>> {
    if !matches!(node.kind, Kind::Map(_)) {
        return choice(node, "validator", VALIDATORS, &[], out);
    }
    let mut fields = Fields::open(node, "`validate`", out)?;
    let entropy = fields.take("entropy").map(|node| (node, Validator::Entropy(0)));
    let secret = fields.take("secret").map(|node| (node, Validator::Secret(0)));
    let given: Vec<_> = entropy.into_iter().chain(secret).collect();
    fields.close(out);
    let [(value, validator)] = given.as_slice() else {
        let help = "write `{entropy: 3.5}` or `{secret: 3.5}`: bits per character";
        out.push(Diagnostic::at(Code::E0209, node.span, "one check with its bits is expected").help(help));
        return None;
    };
    let bits = word(value, out)?;
    let Some(tenths) = tenths(&bits.value) else {
        let message = format!("expected bits per character between 0 and 8, found `{}`", bits.value);
        out.push(
            Diagnostic::at(Code::E0206, bits.span, message).help("with at most one digit behind the point"),
        );
        return None;
    };
    let validator = match validator {
        Validator::Secret(_) => Validator::Secret(tenths),
        _ => Validator::Entropy(tenths),
    };
    Some(Spanned::new(validator, value.span))
}

/// A number between 0 and 8 with at most one digit behind the point, in tenths.
fn tenths(text: &str) -> Option<u8> {
    let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
    let digit = |text: &str| text.parse::<u8>().ok().filter(|_| text.len() == 1 && text != "+");
    let tenths = digit(whole)? * 10 + digit(tenth)?;
    (tenths <= 80).then_some(tenths)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words are those under which the engine knows them.
    #[test]
    fn validators_have_the_names_of_the_engine() {
        for (word, validator) in VALIDATORS {
            let known = match validator {
                Validator::Number(scheme) => serde_json::to_value(scheme),
                other => serde_json::to_value(other),
            };
            assert_eq!(known.unwrap(), serde_json::Value::from(*word));
        }
    }
}
