//! What Envoy's foreign function `verify_signature` is asked and answers: protobuf messages, written by hand.

use veilwire_engine::identity::{VerifyingKey, ecdsa_signature};
use veilwire_engine::policy::model::Algorithm;

/// Name of the function.
pub(crate) const FUNCTION: &str = "verify_signature";
/// `result: true` and nothing else; a bad signature leaves it out and names an error.
pub(crate) const GOOD: &[u8] = &[0x08, 1];

/// `envoy.source.extensions.common.wasm.VerifySignatureArguments`: 1 hash function, 2 key (SubjectPublicKeyInfo, DER), 3 signature,
/// 4 text. `None`: Envoy cannot check signatures of this algorithm.
pub(crate) fn question(
    algorithm: Algorithm,
    key: &VerifyingKey,
    signed_text: &[u8],
    signature: &[u8],
) -> Option<Vec<u8>> {
    let hash = match algorithm {
        Algorithm::RS256 | Algorithm::ES256 => "sha256",
        Algorithm::RS384 | Algorithm::ES384 => "sha384",
        Algorithm::RS512 | Algorithm::ES512 => "sha512",
        // Envoy knows neither the padding of PSS nor Edwards curves.
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 | Algorithm::EdDSA => return None,
        // No secret leaves the filter.
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => return None,
    };
    let der;
    let signature = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512 => {
            der = ecdsa_signature(signature)?;
            &der
        }
        _ => signature,
    };
    let fields = [(1, hash.as_bytes()), (2, key.spki_der()), (3, signature), (4, signed_text)];
    let mut message = Vec::with_capacity(fields.iter().map(|(_, bytes)| bytes.len() + 6).sum());
    for (number, bytes) in fields {
        // Wire type 2: a length and as many bytes.
        message.push(number << 3 | 2);
        let mut rest = bytes.len();
        while let Some(low) = u8::try_from(rest & 0x7f).ok().filter(|_| rest >= 0x80) {
            message.push(low | 0x80);
            rest >>= 7;
        }
        message.push(u8::try_from(rest).ok()?);
        message.extend_from_slice(bytes);
    }
    Some(message)
}
