//! The complete Envoy bootstrap that goes with an artifact: TLS on both legs, the filter, the access log, administration.
//!
//! Guarantees: no plaintext listener, no upstream without a verified certificate, no request that reaches an upstream around the
//! filter; unmatched requests reach the filter too, which answers them. Private keys are named, never read.
//! Not done: discovery services, several listeners, balancing over more than what a name resolves to.

mod jwt_authn;
mod keys;
mod names;
mod services;
mod signing;
mod tls;

use super::yaml::Yaml;
use crate::source::Policy;
use crate::source::listeners::Bind;
use crate::source::predicates::{Predicate, Subject};
use crate::source::reader::Named;
use crate::source::rules::Effect;
use crate::source::upstreams::{Protocol, Upstream};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;
use veilwire_engine::policy::model::{Limits, Model, Route, RoutePath};

/// Name of the route that takes what no route of the policy matches; the dot keeps it apart from names of policies.
const UNMATCHED: &str = "veilwire.unmatched";
/// Most connections of callers, and most that are open to an upstream.
const MOST_CONNECTIONS: u64 = 50_000;
/// `max-age` of `strict-transport-security`: two years, as Mozilla's guidelines say.
const HSTS: &str = "max-age=63072000";

/// Headers that say where a caller is, or claim to. An upstream is a third party: it learns neither, and may not be made to believe
/// a caller's claim.
pub(crate) const CALLER_PLACE: &[&str] = &[
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "x-envoy-external-address",
    "x-envoy-original-dst-host",
];

/// Where Envoy finds files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Folder from which Envoy reads what the policy names by a relative path.
    pub files: String,
    /// The filter module.
    pub wasm: String,
}

/// A policy without errors lacks something the emitter needs: a mistake of an earlier stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` was accepted but cannot be emitted")]
pub struct Contradiction(pub &'static str);

impl Deployment {
    /// Where Envoy finds a file of the policy.
    #[must_use]
    pub fn locate(&self, reference: &str) -> String {
        if reference.starts_with('/') {
            return reference.to_owned();
        }
        let reference = reference.strip_prefix("./").unwrap_or(reference);
        format!("{}/{reference}", self.files.strip_suffix('/').unwrap_or(&self.files))
    }
}

/// Writes `envoy.yaml`.
///
/// # Errors
/// See [`Contradiction`].
pub fn emit(
    policy: &Policy,
    model: &Model,
    artifact: &[u8],
    digest: &str,
    deployment: &Deployment,
) -> Result<String, Contradiction> {
    let services: Vec<Named<Upstream>> = policy.services.iter().map(services::peer).collect();
    let clusters =
        policy.upstreams.iter().chain(&services).map(|upstream| cluster(policy, upstream, deployment));
    let bootstrap =
        Yaml::map([("node", Yaml::map([("id", "veilwire".into()), ("cluster", "veilwire".into())]))])
            .with_some("admin", policy.listener.admin.as_ref().map(admin).transpose()?)
            .with(
                "static_resources",
                Yaml::map([
                    ("listeners", Yaml::list([listener(policy, model, artifact, deployment)?])),
                    ("clusters", Yaml::list(clusters.collect::<Result<Vec<_>, _>>()?)),
                ])
                .with_some("secrets", keys::secrets(policy, deployment)),
            )
            .with("overload_manager", overload_manager());
    let head = format!(
        "# Written by `veilwire compile`; changes belong into the policy.\n# policy {} revision {}, artifact {digest}\n",
        model.meta.name, model.meta.revision
    );
    Ok(head + &bootstrap.document())
}

fn admin(bind: &Bind) -> Result<Yaml, Contradiction> {
    Ok(Yaml::map([("address", socket(bind, "listeners.http.admin")?)]))
}

fn socket(bind: &Bind, what: &'static str) -> Result<Yaml, Contradiction> {
    let address = bind.address.as_ref().ok_or(Contradiction(what))?;
    let port = bind.port.as_ref().ok_or(Contradiction(what))?;
    Ok(socket_address(&address.value.to_string(), port.value))
}

fn socket_address(address: &str, port: u64) -> Yaml {
    Yaml::map([("socket_address", Yaml::map([("address", address.into()), ("port_value", port.into())]))])
}

fn listener(
    policy: &Policy,
    model: &Model,
    artifact: &[u8],
    deployment: &Deployment,
) -> Result<Yaml, Contradiction> {
    let inspector = Yaml::map([
        ("name", "envoy.filters.listener.tls_inspector".into()),
        ("typed_config", message("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector")),
    ]);
    // SECURITY: the only chain needs TLS; a plaintext connection matches none and is closed.
    let chain = Yaml::map([
        ("filter_chain_match", Yaml::map([("transport_protocol", "tls".into())])),
        ("transport_socket", tls::downstream(&policy.tls, deployment)?),
        ("transport_socket_connect_timeout", "10s".into()),
        ("filters", Yaml::list([connection_manager(policy, model, artifact, deployment)?])),
    ]);
    Ok(Yaml::map([
        ("name", "veilwire".into()),
        ("address", socket(&policy.listener.bind, "listeners.http")?),
        ("per_connection_buffer_limit_bytes", (1_u64 << 20).into()),
        ("listener_filters", Yaml::list([inspector])),
        ("filter_chains", Yaml::list([chain])),
    ]))
}

fn connection_manager(
    policy: &Policy,
    model: &Model,
    artifact: &[u8],
    deployment: &Deployment,
) -> Result<Yaml, Contradiction> {
    let config = message("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager")
        .with("stat_prefix", "veilwire".into())
        .with("codec_type", "AUTO".into())
        // Who calls is who connects: nothing in front of Envoy is believed.
        .with("use_remote_address", true.into())
        .with("skip_xff_append", true.into())
        .with("internal_address_config", nobody_is_internal())
        .with("normalize_path", true.into())
        .with("merge_slashes", true.into())
        .with("path_with_escaped_slashes_action", "REJECT_REQUEST".into())
        .with("server_header_transformation", "PASS_THROUGH".into())
        .with("max_request_headers_kb", 60_u64.into())
        .with(
            "common_http_protocol_options",
            Yaml::map([
                ("idle_timeout", "3600s".into()),
                ("max_headers_count", 100_u64.into()),
                ("headers_with_underscores_action", "REJECT_REQUEST".into()),
            ]),
        )
        .with(
            "http2_protocol_options",
            Yaml::map([
                ("max_concurrent_streams", 100_u64.into()),
                // Also what Envoy buffers for a stream, for instance of a message whose end trailers may hide.
                ("initial_stream_window_size", 262_144_u64.into()),
                ("initial_connection_window_size", 1_048_576_u64.into()),
            ]),
        )
        .with("request_headers_timeout", "10s".into())
        .with("stream_idle_timeout", "300s".into())
        .with("local_reply_config", local_replies())
        .with("route_config", routes(policy, model)?)
        .with(
            "http_filters",
            Yaml::list(
                keys::filter(policy, deployment)
                    .into_iter()
                    .chain(jwt_authn::filter(policy, &model.providers, deployment)?)
                    .chain([filter(policy, artifact, deployment), router()]),
            ),
        )
        .with("access_log", Yaml::list([access_log(policy, deployment)]));
    Ok(Yaml::map([
        ("name", "envoy.filters.network.http_connection_manager".into()),
        ("typed_config", config),
    ]))
}

/// SECURITY: Envoy believes `x-envoy-*` headers and the `x-request-id` of internal callers, and takes private and loopback addresses for
/// internal unless other ranges are named. The limited broadcast address is never anybody's.
fn nobody_is_internal() -> Yaml {
    let nobody = Yaml::map([("address_prefix", "255.255.255.255".into()), ("prefix_len", 32_u64.into())]);
    Yaml::map([("unix_sockets", false.into()), ("cidr_ranges", Yaml::list([nobody]))])
}

/// Virtual hosts by name, each with the routes of the model in the model's order.
fn routes(policy: &Policy, model: &Model) -> Result<Yaml, Contradiction> {
    let mut hosts: Vec<&str> = model.routes.iter().map(|route| route.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let mut virtual_hosts = Vec::new();
    for host in hosts {
        let own = model.routes.iter().filter(|route| route.host == host);
        let mut entries =
            own.map(|route| entry(policy, route, &model.limits)).collect::<Result<Vec<_>, _>>()?;
        entries.push(unmatched());
        virtual_hosts.push(virtual_host(host, host, entries));
    }
    virtual_hosts.push(virtual_host(UNMATCHED, "*", vec![unmatched()]));
    Ok(Yaml::map([
        ("name", "veilwire".into()),
        ("ignore_port_in_host_matching", true.into()),
        ("request_headers_to_remove", Yaml::texts(CALLER_PLACE)),
        ("response_headers_to_add", hsts()),
        ("virtual_hosts", Yaml::List(virtual_hosts)),
    ]))
}

/// For answers of Envoy and the filter: where the route has no upstream, the headers of the routes are not added to them.
fn local_replies() -> Yaml {
    let every_status =
        Yaml::map([("default_value", 100_u64.into()), ("runtime_key", "veilwire.local_reply".into())]);
    let comparison = Yaml::map([("op", "GE".into()), ("value", every_status)]);
    let filter = Yaml::map([("status_code_filter", Yaml::map([("comparison", comparison)]))]);
    Yaml::map([("mappers", Yaml::list([Yaml::map([("filter", filter), ("headers_to_add", hsts())])]))])
}

fn hsts() -> Yaml {
    let header = Yaml::map([("key", "strict-transport-security".into()), ("value", HSTS.into())]);
    Yaml::list([Yaml::map([("header", header), ("append_action", "OVERWRITE_IF_EXISTS_OR_ADD".into())])])
}

fn virtual_host(name: &str, domain: &str, routes: Vec<Yaml>) -> Yaml {
    Yaml::map([
        ("name", name.into()),
        ("domains", Yaml::texts(&[domain])),
        ("require_tls", "ALL".into()),
        ("routes", Yaml::List(routes)),
    ])
}

fn entry(policy: &Policy, route: &Route, limits: &Limits) -> Result<Yaml, Contradiction> {
    let asked = asked_about(policy).any(|name| name == route.name);
    let matched = match &route.path {
        RoutePath::Exact(path) => Yaml::map([("path", path.as_str().into())]),
        RoutePath::Below(path) if path.is_empty() => Yaml::map([("prefix", "/".into())]),
        RoutePath::Below(path) => Yaml::map([("path_separated_prefix", path.as_str().into())]),
    };
    let methods = match route.methods.as_slice() {
        [] => None,
        [method] => Some(Yaml::map([("exact", method.as_str().into())])),
        // Envoy matches the whole value.
        methods => Some(Yaml::map([("safe_regex", Yaml::map([("regex", methods.join("|").into())]))])),
    };
    let methods = methods
        .map(|matcher| Yaml::list([Yaml::map([("name", ":method".into()), ("string_match", matcher)])]));
    let upstream = policy
        .upstreams
        .iter()
        .find(|upstream| upstream.name.value == route.upstream)
        .ok_or(Contradiction("upstream"))?;
    let action = Yaml::map([("cluster", route.upstream.as_str().into())])
        // A stream lasts as long as its upstream speaks; `stream_idle_timeout` bounds silence.
        .with("timeout", "0s".into())
        .with_some("host_rewrite_literal", authority(&upstream.body).map(Yaml::from));
    Ok(Yaml::map([
        ("name", route.name.as_str().into()),
        ("match", matched.with_some("headers", methods)),
        ("route", action),
    ])
    // What goes on in one piece may have grown by what masks write.
    .with_some("request_body_buffer_limit", asked.then(|| (4 * u64::from(limits.inspect_body)).into()))
    .with_some("request_headers_to_remove", upstream.body.signing.as_ref().map(|_| signing::stale_headers())))
}

/// The authority an upstream knows itself by: its name, with the port when that is not 443. None for bare addresses.
fn authority(upstream: &Upstream) -> Option<String> {
    let name = tls::server_name(upstream)?;
    match upstream.port.as_ref()?.value {
        443 => Some(name.to_owned()),
        port => Some(format!("{name}:{port}")),
    }
}

/// The filter answers first; this answer is seen only if there were no filter.
fn unmatched() -> Yaml {
    Yaml::map([
        ("name", UNMATCHED.into()),
        ("match", Yaml::map([("prefix", "/".into())])),
        ("direct_response", Yaml::map([("status", 403_u64.into())])),
    ])
}

fn filter(policy: &Policy, artifact: &[u8], deployment: &Deployment) -> Yaml {
    let configuration = message("google.protobuf.BytesValue").with("value", STANDARD.encode(artifact).into());
    let code = Yaml::map([("local", Yaml::map([("filename", deployment.wasm.as_str().into())]))]);
    let vm = Yaml::map([
        ("vm_id", "veilwire".into()),
        ("runtime", "envoy.wasm.runtime.v8".into()),
        ("code", code),
    ])
    .with_some("environment_variables", keys::environment(policy));
    let backoff = Yaml::map([("base_interval", "0.1s".into()), ("max_interval", "1s".into())]);
    let config = Yaml::map([
        ("name", "veilwire".into()),
        ("root_id", "veilwire".into()),
        // SECURITY: a trap answers 503 until a new VM is there; it never opens the way.
        ("failure_policy", "FAIL_RELOAD".into()),
        ("reload_config", Yaml::map([("backoff", backoff)])),
        ("configuration", configuration),
        ("vm_config", vm),
    ]);
    // The head is held while the body comes that rules ask about; else nothing is read of a request that waits.
    let held = asked_about(policy).next().map(|_| true.into());
    let config = config.with_some("allow_on_headers_stop_iteration", held);
    let typed = message("envoy.extensions.filters.http.wasm.v3.Wasm").with("config", config);
    Yaml::map([("name", "veilwire".into()), ("typed_config", typed)])
}

/// The routes of rules that ask for what is in the body of a request.
fn asked_about(policy: &Policy) -> impl Iterator<Item = &str> {
    let asks = |predicate: &Predicate| matches!(&predicate.subject, Subject::Fact(fact) if fact.is_of_body());
    let rules = policy.rules.iter().filter(move |rule| rule.body.predicates.iter().any(asks));
    rules.flat_map(|rule| rule.body.effect.iter().flat_map(Effect::routes)).map(|route| route.value.as_str())
}

fn router() -> Yaml {
    let config =
        message("envoy.extensions.filters.http.router.v3.Router").with("suppress_envoy_headers", true.into());
    Yaml::map([("name", "envoy.filters.http.router".into()), ("typed_config", config)])
}

/// SECURITY: no header of the request but the id that Envoy made itself. `%REQ(authorization)%` would log credentials.
fn access_log(policy: &Policy, deployment: &Deployment) -> Yaml {
    let path = policy
        .listener
        .access_log
        .as_ref()
        .map_or_else(|| "/dev/stdout".to_owned(), |path| deployment.locate(&path.value));
    let leg = |side: &str| {
        Yaml::map([
            ("version", format!("%{side}_TLS_VERSION%").into()),
            ("cipher", format!("%{side}_TLS_CIPHER%").into()),
        ])
    };
    let line = Yaml::map([
        ("time", "%START_TIME%".into()),
        ("requestId", "%REQ(X-REQUEST-ID)%".into()),
        ("route", "%ROUTE_NAME%".into()),
        ("upstream", "%UPSTREAM_CLUSTER%".into()),
        ("protocol", "%PROTOCOL%".into()),
        ("status", "%RESPONSE_CODE%".into()),
        ("details", "%RESPONSE_CODE_DETAILS%".into()),
        ("flags", "%RESPONSE_FLAGS%".into()),
        ("upstreamFailure", "%UPSTREAM_TRANSPORT_FAILURE_REASON%".into()),
        ("bytesIn", "%BYTES_RECEIVED%".into()),
        ("bytesOut", "%BYTES_SENT%".into()),
        ("durationMs", "%DURATION%".into()),
        ("downstreamTls", leg("DOWNSTREAM")),
        ("upstreamTls", leg("UPSTREAM")),
        // By CEL, because `%FILTER_STATE(…:TYPED)%` makes JSON, reads it and makes it again: with findings that costs more than masking.
        ("audit", "%TYPED_CEL(filter_state['wasm.audit'])%".into()),
    ]);
    let cel = Yaml::map([
        ("name", "envoy.formatter.cel".into()),
        ("typed_config", message("envoy.extensions.formatter.cel.v3.Cel")),
    ]);
    let config = message("envoy.extensions.access_loggers.file.v3.FileAccessLog")
        .with("path", path.into())
        .with("log_format", Yaml::map([("json_format", line), ("formatters", Yaml::list([cel]))]));
    Yaml::map([("name", "envoy.access_loggers.file".into()), ("typed_config", config)])
}

fn cluster(
    policy: &Policy,
    upstream: &Named<Upstream>,
    deployment: &Deployment,
) -> Result<Yaml, Contradiction> {
    let body = &upstream.body;
    let host = &body.host.as_ref().ok_or(Contradiction("upstream.host"))?.value;
    let port = body.port.as_ref().ok_or(Contradiction("upstream.port"))?.value;
    let fixed = host.parse::<IpAddr>().is_ok();
    let endpoint = Yaml::map([("endpoint", Yaml::map([("address", socket_address(host, port))]))]);
    let endpoints = Yaml::list([Yaml::map([("lb_endpoints", Yaml::list([endpoint]))])]);
    let options = match protocol(body) {
        Protocol::Http1 => "http_protocol_options",
        Protocol::Http2 => "http2_protocol_options",
    };
    let protocol = message("envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
        .with("explicit_http_config", Yaml::map([(options, Yaml::empty())]))
        .with_some("http_filters", body.signing.as_ref().map(signing::upstream_filters));
    Ok(Yaml::map([
        ("name", upstream.name.value.as_str().into()),
        ("type", if fixed { "STATIC" } else { "STRICT_DNS" }.into()),
        ("connect_timeout", "5s".into()),
        (
            "per_connection_buffer_limit_bytes",
            body.signing.as_ref().map_or(1 << 20, |signing| signing.max_body).into(),
        ),
        ("circuit_breakers", Yaml::map([("thresholds", Yaml::list([threshold()]))])),
        (
            "load_assignment",
            Yaml::map([("cluster_name", upstream.name.value.as_str().into()), ("endpoints", endpoints)]),
        ),
        (
            "typed_extension_protocol_options",
            Yaml::map([("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", protocol)]),
        ),
        ("transport_socket", tls::upstream(&policy.tls, body, deployment)?),
    ]))
}

/// What is spoken to an upstream.
fn protocol(upstream: &Upstream) -> Protocol {
    upstream.protocol.as_ref().map_or(Protocol::Http1, |protocol| protocol.value)
}

/// Envoy's own bound of 1,024 is less than the streams of one busy afternoon, which wait open for most of their time.
fn threshold() -> Yaml {
    let bounds = ["max_connections", "max_pending_requests", "max_requests"];
    Yaml::map(bounds.map(|bound| (bound, MOST_CONNECTIONS.into())))
}

/// A bound on connections, so that a flood exhausts itself and not the machine.
fn overload_manager() -> Yaml {
    let config =
        message("envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig")
            .with("max_active_downstream_connections", MOST_CONNECTIONS.into());
    let monitor = Yaml::map([
        ("name", "envoy.resource_monitors.global_downstream_max_connections".into()),
        ("typed_config", config),
    ]);
    Yaml::map([("resource_monitors", Yaml::list([monitor]))])
}

/// A typed message of Envoy's API.
fn message(name: &str) -> Yaml {
    Yaml::map([("@type", format!("type.googleapis.com/{name}").into())])
}
