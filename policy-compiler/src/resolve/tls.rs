//! Files that Envoy will read: certificates and authorities are looked at, private keys never.

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Text};
use crate::files::Files;
use crate::source::Policy;
use crate::source::services::SYSTEM;
use crate::source::tls::Certificate;

/// Checks `spec.tls`, and what upstreams refer to.
pub(super) fn resolve(policy: &Policy, files: &dyn Files, out: &mut Diagnostics) {
    let tls = &policy.tls;
    for trust in &tls.trust {
        if let Some(file) = &trust.body.file {
            check_certificates(file, "authority", files, out);
        }
    }
    if let Some(certificate) = &tls.certificate {
        check_pair(certificate, files, out);
    }
    if let Some(client) = &tls.client {
        super::refer(Code::E0307, "trust", &client.trust, &tls.trust, out);
    }
    for service in &policy.services {
        let named = service.body.peer.trust.as_ref().filter(|trust| trust.value != SYSTEM);
        if let Some(trust) = named {
            super::refer(Code::E0307, "trust", trust, &tls.trust, out);
        }
    }
    for upstream in &policy.upstreams {
        if let Some(trust) = &upstream.body.trust {
            super::refer(Code::E0307, "trust", trust, &tls.trust, out);
        }
        if let Some(certificate) = &upstream.body.client {
            check_pair(certificate, files, out);
        }
    }
}

/// Reads a file that the policy refers to; a failure is reported at the reference.
pub(super) fn read(file: &Text, what: &str, files: &dyn Files, out: &mut Diagnostics) -> Option<Vec<u8>> {
    match files.read(&file.value) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            out.push(
                Diagnostic::at(
                    Code::E0401,
                    file.span,
                    format!("{what} `{}` cannot be read: {error}", file.value),
                )
                .note("files are looked up from the folder of the policy"),
            );
            None
        }
    }
}

fn check_pair(certificate: &Certificate, files: &dyn Files, out: &mut Diagnostics) {
    check_certificates(&certificate.chain, "certificate", files, out);
    if !files.exists(&certificate.key.value) {
        let message = format!("private key `{}` is not on this machine", certificate.key.value);
        out.push(
            Diagnostic::at(Code::W0406, certificate.key.span, message)
                .note("Envoy will look for it when it starts"),
        );
    }
}

/// At least one PEM certificate, and no private key beside it.
fn check_certificates(file: &Text, what: &str, files: &dyn Files, out: &mut Diagnostics) {
    let Some(bytes) = read(file, what, files, out) else { return };
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("PRIVATE KEY-----") {
        let message = format!("`{}` holds a private key where a certificate belongs", file.value);
        out.push(
            Diagnostic::at(Code::E0405, file.span, message)
                .help("name the certificate here and the key under `key`"),
        );
    } else if !text.contains("-----BEGIN CERTIFICATE-----") || !text.contains("-----END CERTIFICATE-----") {
        let message = format!("`{}` holds no PEM certificate", file.value);
        out.push(Diagnostic::at(Code::E0405, file.span, message));
    }
}
