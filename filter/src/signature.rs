//! What Envoy's foreign function `verify_signature` is asked and answers: protobuf messages, written by hand.
//!
//! It makes no hostcall itself, so a test can ask both verifiers of this module side by side (`tests/filters/signatures`).

use veilwire_engine::identity::{VerifyingKey, ecdsa_signature};
use veilwire_engine::policy::model::Algorithm;

/// Name of the function.
const FUNCTION: &str = "verify_signature";
/// `result: true` and nothing else; a bad signature leaves it out and names an error.
const GOOD: &[u8] = &[0x08, 1];

/// Whether the host says that the signature is good; none if it cannot say. `call` calls one of its functions.
pub(crate) fn by_host(
    call: impl FnOnce(&str, &[u8]) -> Option<Vec<u8>>,
    algorithm: Algorithm,
    key: &VerifyingKey,
    signed_text: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let question = question(algorithm, key, signed_text, signature)?;
    // SECURITY: one answer is good; whatever else it says is a bad signature.
    Some(call(FUNCTION, &question)? == GOOD)
}

/// `envoy.source.extensions.common.wasm.VerifySignatureArguments`: 1 hash function, 2 key (SubjectPublicKeyInfo, DER), 3 signature,
/// 4 text. `None`: Envoy cannot check signatures of this algorithm.
fn question(
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
