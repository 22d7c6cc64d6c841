//! Keys of replacements: bytes that a policy refers to and never holds.
//!
//! SECURITY: a secret is never serialized, so no artifact can carry one; it prints as nothing and is wiped when it is dropped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The bytes of a key, or that they are not known.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Option<Vec<u8>>);

impl Secret {
    /// Fewest bytes of a key: as many as SHA-256 gives (RFC 2104, section 3).
    pub const MIN: usize = 32;

    /// Reads a key as it is handed over: base64, white space around it aside. None if it is damaged or too short.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Secret> {
        let bytes = STANDARD.decode(text.trim_ascii()).ok()?;
        (bytes.len() >= Self::MIN).then_some(Secret(Some(bytes)))
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Secret(…)" } else { "Secret" })
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        if let Some(bytes) = &mut self.0 {
            bytes.fill(0);
            std::hint::black_box(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_long_and_well_written_and_prints_as_nothing() {
        let text = STANDARD.encode([7; 32]);
        let secret = Secret::read(format!(" {text}\n").as_bytes()).unwrap();
        assert_eq!(secret.bytes(), Some([7; 32].as_slice()));
        assert_eq!(format!("{secret:?} {:?}", Secret::default()), "Secret(…) Secret");
        let short = STANDARD.encode([7; 31]);
        for bad in [
            short.as_str(),
            "",
            "-",
            text.trim_start_matches(char::is_alphabetic),
            "not base64 at all, but quite a long text of some kind",
        ] {
            assert_eq!(Secret::read(bad.as_bytes()), None);
        }
    }
}
