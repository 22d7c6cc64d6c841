//! TLS contexts as `tls: {require: always}` demands them, after Mozilla's server side TLS guidelines 6.0.
//!
//! Written out although some of it is Envoy's default: the client's maximum is TLS 1.2 unless it is set, its verification is off unless
//! an authority is given, and a default may change.

use super::super::yaml::Yaml;
use super::{Contradiction, Deployment, message};
use crate::source::services::SYSTEM;
use crate::source::tls::{Certificate, ClientCertificate, Profile, Tls};
use crate::source::upstreams::{Protocol, Upstream};
use std::net::IpAddr;

const CIPHERS: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
];
const CURVES: &[&str] = &["X25519MLKEM768", "X25519", "P-256", "P-384"];
/// Without `rsa_pkcs1_sha1`, which is in Envoy's default list.
const SIGNATURES: &[&str] = &[
    "ecdsa_secp256r1_sha256",
    "ecdsa_secp384r1_sha384",
    "rsa_pss_rsae_sha256",
    "rsa_pss_rsae_sha384",
    "rsa_pss_rsae_sha512",
];
/// Where Debian, Ubuntu, Alpine and Envoy's own images have the authorities of the system.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const MAX_VERIFY_DEPTH: u64 = 4;

/// What callers meet.
pub(super) fn downstream(tls: &Tls, deployment: &Deployment) -> Result<Yaml, Contradiction> {
    let certificate = tls.certificate.as_ref().ok_or(Contradiction("tls.downstream.certificate"))?;
    let validation =
        tls.client.as_ref().map(|client| validate_client(tls, client, deployment)).transpose()?;
    let common = Yaml::map([
        ("alpn_protocols", Yaml::texts(&["h2", "http/1.1"])),
        ("tls_params", parameters(tls)?),
        ("tls_certificates", certificates(certificate, deployment)),
    ]);
    let context = message("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext")
        .with("require_client_certificate", tls.client.is_some().into())
        .with("disable_stateless_session_resumption", true.into())
        .with("disable_stateful_session_resumption", true.into())
        .with("common_tls_context", common.with_some("validation_context", validation));
    Ok(socket(context))
}

/// What an upstream must prove.
pub(super) fn upstream(
    tls: &Tls,
    upstream: &Upstream,
    deployment: &Deployment,
) -> Result<Yaml, Contradiction> {
    let trust = upstream.trust.as_ref().ok_or(Contradiction("upstream.trust"))?;
    let validation = authority(tls, &trust.value, deployment)?;
    // SECURITY: an authority alone accepts every certificate it ever signed; the name must fit too.
    let (name, validation) = match server_name(upstream) {
        Some(name) => (Some(name), validation),
        None => {
            let host = &upstream.host.as_ref().ok_or(Contradiction("upstream.host"))?.value;
            (
                None,
                validation.with(
                    "match_typed_subject_alt_names",
                    Yaml::list([name_of("IP_ADDRESS", "exact", host)]),
                ),
            )
        }
    };
    let alpn = match super::protocol(upstream) {
        Protocol::Http1 => "http/1.1",
        Protocol::Http2 => "h2",
    };
    let common = Yaml::map([("alpn_protocols", Yaml::texts(&[alpn])), ("tls_params", parameters(tls)?)])
        .with_some("tls_certificates", upstream.client.as_ref().map(|pair| certificates(pair, deployment)))
        .with("validation_context", validation);
    let context = message("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")
        .with_some("sni", name.map(Yaml::from))
        .with_some("auto_sni_san_validation", name.map(|_| true.into()))
        .with("allow_renegotiation", false.into())
        .with("common_tls_context", common);
    Ok(socket(context))
}

/// The DNS name an upstream must prove; none if it is an address without `sni`.
pub(super) fn server_name(upstream: &Upstream) -> Option<&str> {
    let host = || {
        upstream.host.as_ref().map(|host| host.value.as_str()).filter(|host| host.parse::<IpAddr>().is_err())
    };
    upstream.sni.as_ref().map(|sni| sni.value.as_str()).or_else(host)
}

fn parameters(tls: &Tls) -> Result<Yaml, Contradiction> {
    let profile = tls.profile.as_ref().ok_or(Contradiction("tls.profile"))?.value;
    let least = match profile {
        Profile::Modern => "TLSv1_3",
        Profile::Intermediate => "TLSv1_2",
    };
    // Suites are for TLS 1.2; those of TLS 1.3 cannot be chosen, and naming both is a contradiction.
    let ciphers = (profile == Profile::Intermediate).then(|| Yaml::texts(CIPHERS));
    Ok(Yaml::map([
        ("tls_minimum_protocol_version", least.into()),
        ("tls_maximum_protocol_version", "TLSv1_3".into()),
    ])
    .with_some("cipher_suites", ciphers)
    .with("ecdh_curves", Yaml::texts(CURVES))
    .with("signature_algorithms", Yaml::texts(SIGNATURES)))
}

fn certificates(certificate: &Certificate, deployment: &Deployment) -> Yaml {
    Yaml::list([Yaml::map([
        ("certificate_chain", file(&certificate.chain.value, deployment)),
        ("private_key", file(&certificate.key.value, deployment)),
    ])])
}

fn validate_client(
    tls: &Tls,
    client: &ClientCertificate,
    deployment: &Deployment,
) -> Result<Yaml, Contradiction> {
    let validation = authority(tls, &client.trust.value, deployment)?;
    if client.uri_sans.is_empty() {
        return Ok(validation);
    }
    let names = client.uri_sans.iter().map(|name| {
        let kind = if name.value.ends_with('/') { "prefix" } else { "exact" };
        name_of("URI", kind, &name.value)
    });
    Ok(validation.with("match_typed_subject_alt_names", Yaml::list(names)))
}

fn name_of(san_type: &str, kind: &str, value: &str) -> Yaml {
    Yaml::map([("san_type", san_type.into()), ("matcher", Yaml::map([(kind, value.into())]))])
}

fn authority(tls: &Tls, name: &str, deployment: &Deployment) -> Result<Yaml, Contradiction> {
    let path = match tls.trust.iter().find(|trust| trust.name.value == name) {
        Some(trust) => trust.body.file.as_ref().ok_or(Contradiction("tls.trust.file"))?.value.as_str(),
        None if name == SYSTEM => SYSTEM_AUTHORITIES,
        None => return Err(Contradiction("tls.trust")),
    };
    Ok(Yaml::map([("trusted_ca", file(path, deployment)), ("max_verify_depth", MAX_VERIFY_DEPTH.into())]))
}

fn file(reference: &str, deployment: &Deployment) -> Yaml {
    Yaml::map([("filename", deployment.locate(reference).into())])
}

fn socket(context: Yaml) -> Yaml {
    Yaml::map([("name", "envoy.transport_sockets.tls".into()), ("typed_config", context)])
}
