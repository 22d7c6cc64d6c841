//! The values that the demo plants: made up, of the shapes that the packs know, on reserved domains.
//!
//! No six bytes in a row of any of them occur in names, dates or ids that logs hold for other reasons, so that the
//! leak check may look for pieces that short.

/// A planted value and what a masked message says in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// What it is, for people; the only thing that checks may print.
    pub name: &'static str,
    /// The value.
    pub text: &'static str,
    /// What the policy writes instead.
    pub mask: &'static str,
    /// The detector that finds it; `None` when a field mask hides it whatever it is.
    pub detector: Option<&'static str>,
}

const fn detected(
    name: &'static str,
    text: &'static str,
    mask: &'static str,
    detector: &'static str,
) -> Value {
    Value { name, text, mask, detector: Some(detector) }
}

/// Planted in the request.
pub const REQUEST_EMAIL: Value =
    detected("e-mail in the prompt", "ada.lovelace@zk-mill.test", "[EMAIL]", "pii-us.email");
/// Planted in the request, inside the JSON of a tool call.
pub const REQUEST_TOOL_EMAIL: Value =
    detected("e-mail in a tool call", "night.desk@qv-pier.test", "[EMAIL]", "pii-us.email");
/// Planted in the request.
pub const REQUEST_SSN: Value = detected("SSN in the prompt", "123-45-6788", "[ID]", "pii-us.ssn");
/// Planted in the request.
pub const REQUEST_CARD: Value =
    detected("card in a tool result", "4111 1111 1111 1111", "[CARD]", "pci.card");
/// Planted in the request.
pub const REQUEST_AWS_KEY: Value =
    detected("AWS key in the system prompt", "AKIAIOSFODNN7EXAMPLE", "[SECRET]", "secrets.aws-access-key");
/// Planted in the request, in a field that is hidden whatever it holds.
pub const REQUEST_USER: Value =
    Value { name: "the field `user`", text: "u-west-90210", mask: "[CONTACT]", detector: None };

/// Planted in the OpenAI stream, in its reasoning.
pub const REASONING_EMAIL: Value =
    detected("e-mail in reasoning", "grace@flow-matic.test", "[EMAIL]", "pii-us.email");
/// Planted in the OpenAI stream, in its reasoning.
pub const REASONING_AWS_KEY: Value =
    detected("AWS key in reasoning", "ASIAQ7WLZT5MFKYRCV2D", "[SECRET]", "secrets.aws-access-key");
/// Planted in the OpenAI stream, in its content.
pub const CONTENT_CARD: Value = detected("card in content", "5555 5555 5555 4444", "[CARD]", "pci.card");

/// Planted in the Anthropic stream, in its thinking.
pub const THINKING_SSN: Value = detected("SSN in thinking", "234-56-7891", "[ID]", "pii-us.ssn");
/// Planted in the Anthropic stream, in the input of a tool.
pub const TOOL_INPUT_EMPLOYEE: Value =
    detected("employee id in tool input", "EMP-004217", "[EMPLOYEE]", "employee-id");
/// Planted in the Anthropic stream, in its text.
pub const TEXT_API_KEY: Value =
    detected("API key in text", "sk-ant-api03-vQ8xTn2LkRw7YbJdHsGm_Zc5", "[SECRET]", "secrets.anthropic-key");
/// Planted in the Anthropic stream, in its text.
pub const TEXT_EMAIL: Value = detected("e-mail in text", "kb@punched-cards.test", "[EMAIL]", "pii-us.email");

/// What the request carries.
pub const IN_REQUEST: [Value; 6] =
    [REQUEST_EMAIL, REQUEST_TOOL_EMAIL, REQUEST_SSN, REQUEST_CARD, REQUEST_AWS_KEY, REQUEST_USER];
/// What the OpenAI stream carries.
pub const IN_OPENAI: [Value; 3] = [REASONING_EMAIL, REASONING_AWS_KEY, CONTENT_CARD];
/// What the Anthropic stream carries.
pub const IN_ANTHROPIC: [Value; 4] = [THINKING_SSN, TOOL_INPUT_EMPLOYEE, TEXT_API_KEY, TEXT_EMAIL];

/// All of them.
pub fn all() -> impl Iterator<Item = Value> {
    IN_REQUEST.into_iter().chain(IN_OPENAI).chain(IN_ANTHROPIC)
}

/// `text` with every planted value replaced by what a masked message says.
#[must_use]
pub fn masked(text: &str) -> String {
    all().fold(text.to_owned(), |text, value| text.replace(value.text, value.mask))
}
