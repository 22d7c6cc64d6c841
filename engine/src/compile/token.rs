//! The pattern of the tokens that pseudonyms are written as.

use crate::mask::Form;

/// What finds the tokens with this name, whatever the case of their letters and the way their brackets are written: as they
/// are, escaped for HTML or JSON, or percent-encoded.
#[must_use]
pub fn token_pattern(name: &str) -> String {
    let form = |(_, open, close): &(Form, &str, &str)| {
        format!("{}{name}_[1-9][0-9]{{0,3}}{}", open.replace('\\', r"\\"), close.replace('\\', r"\\"))
    };
    format!("(?i:{})", Form::ALL.iter().map(form).collect::<Vec<_>>().join("|"))
}
