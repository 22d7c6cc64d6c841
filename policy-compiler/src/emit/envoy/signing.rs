//! Signatures of AWS (Signature Version 4) over requests to an upstream.
//!
//! They cover the body, so they are made behind Veilwire, by a filter of the cluster: it sees the path, the authority and the
//! body that the upstream gets. The body is held for that, which also gives it a length again (`maxBody`; more is answered 413).
//! Keys come from where the policy says and from nowhere else; they are never in the configuration.

use super::super::yaml::Yaml;
use super::message;
use crate::source::upstreams::{KeySource, Signing};

/// What the caller's own signature left: it does not fit any more, and would be signed again.
const STALE: &[&str] = &["x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];

/// Headers that requests on routes to this upstream lose.
pub(super) fn stale_headers() -> Yaml {
    Yaml::texts(STALE)
}

/// The filters of the cluster: what holds the body, the signature, and what writes the request.
pub(super) fn upstream_filters(signing: &Signing) -> Yaml {
    let provider = match signing.from {
        KeySource::Environment => "environment_credential_provider",
        KeySource::Container => "container_credential_provider",
        KeySource::Instance => "instance_profile_credential_provider",
    };
    // SECURITY: without it Envoy would look for keys wherever there may be some.
    let keys = Yaml::map([("custom_credential_provider_chain", true.into()), (provider, Yaml::empty())]);
    let config = message("envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning")
        .with("service_name", signing.service.value.as_str().into())
        .with("region", signing.region.value.as_str().into())
        .with("signing_algorithm", "AWS_SIGV4".into())
        .with("use_unsigned_payload", false.into())
        .with("credential_provider", keys);
    let length = message("envoy.extensions.filters.http.buffer.v3.Buffer")
        .with("max_request_bytes", signing.max_body.into());
    let buffer = Yaml::map([("name", "envoy.filters.http.buffer".into()), ("typed_config", length)]);
    let signature =
        Yaml::map([("name", "envoy.filters.http.aws_request_signing".into()), ("typed_config", config)]);
    let codec = Yaml::map([
        ("name", "envoy.filters.http.upstream_codec".into()),
        ("typed_config", message("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec")),
    ]);
    Yaml::list([buffer, signature, codec])
}
