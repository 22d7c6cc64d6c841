//! The hostcalls (`env.proxy_*`) with Envoy's answers.

use std::time::Duration;

use wasmtime::{Caller, Linker, Result};

use super::abi::{BufferType, MapType, ProtoValue, Status, decode_pairs, encode_pairs, proto_fields};
use super::effects::LocalReply;
use super::memory::{give, read, read_text, write, write_u32};
use super::state::{HttpCall, LogLevel, Phase, ROOT, State};
use crate::wire::Headers;

type Host<'h> = Caller<'h, State>;

/// Keys that `set_envoy_filter_state` knows a factory for.
const FILTER_STATE_FACTORIES: &[&str] = &[
    "envoy.string",
    "envoy.hashable_string",
    "envoy.bool",
    "envoy.tcp_proxy.cluster",
    "envoy.network.upstream_server_name",
    "envoy.network.upstream_subject_alt_names",
    "envoy.network.application_protocols",
    "envoy.ratelimit.hits_addend",
];

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap("env", "proxy_log", log)?;
    linker.func_wrap("env", "proxy_get_log_level", get_log_level)?;
    linker.func_wrap("env", "proxy_get_current_time_nanoseconds", get_current_time)?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", set_tick_period)?;
    linker.func_wrap("env", "proxy_get_buffer_bytes", get_buffer)?;
    linker.func_wrap("env", "proxy_set_buffer_bytes", set_buffer)?;
    linker.func_wrap("env", "proxy_get_header_map_pairs", get_map)?;
    linker.func_wrap("env", "proxy_set_header_map_pairs", set_map)?;
    linker.func_wrap("env", "proxy_get_header_map_value", get_value)?;
    linker.func_wrap("env", "proxy_replace_header_map_value", replace_value)?;
    linker.func_wrap("env", "proxy_add_header_map_value", add_value)?;
    linker.func_wrap("env", "proxy_remove_header_map_value", remove_value)?;
    linker.func_wrap("env", "proxy_get_property", get_property)?;
    linker.func_wrap("env", "proxy_set_property", set_property)?;
    linker.func_wrap("env", "proxy_get_shared_data", get_shared)?;
    linker.func_wrap("env", "proxy_set_shared_data", set_shared)?;
    linker.func_wrap("env", "proxy_continue_stream", continue_stream)?;
    linker.func_wrap("env", "proxy_close_stream", close_stream)?;
    linker.func_wrap("env", "proxy_send_local_response", send_local_response)?;
    linker.func_wrap("env", "proxy_http_call", http_call)?;
    linker.func_wrap("env", "proxy_set_effective_context", set_effective_context)?;
    linker.func_wrap("env", "proxy_call_foreign_function", call_foreign)?;
    linker.func_wrap("env", "proxy_done", || number(Status::Ok))?;
    linker.func_wrap("env", "proxy_define_metric", define_metric)?;
    linker.func_wrap("env", "proxy_get_metric", get_metric)?;
    linker.func_wrap("env", "proxy_record_metric", record_metric)?;
    linker.func_wrap("env", "proxy_increment_metric", increment_metric)?;
    Ok(())
}

const fn number(status: Status) -> i32 {
    status as i32
}

fn done(outcome: std::result::Result<(), Status>) -> i32 {
    number(outcome.err().unwrap_or(Status::Ok))
}

// === log, time ===

fn log(mut host: Host<'_>, level: i32, data: i32, size: i32) -> Result<i32> {
    let text = read(&mut host, data, size)?;
    let Some(level) = LogLevel::from_number(level) else { return Ok(number(Status::BadArgument)) };
    host.data_mut().log_line(level, &text);
    Ok(number(Status::Ok))
}

fn get_log_level(mut host: Host<'_>, out: i32) -> Result<i32> {
    write_u32(&mut host, out, LogLevel::Info as u32)?;
    Ok(number(Status::Ok))
}

fn get_current_time(mut host: Host<'_>, out: i32) -> Result<i32> {
    let now = host.data().now;
    write(&mut host, out, &now.to_le_bytes())?;
    Ok(number(Status::Ok))
}

fn set_tick_period(mut host: Host<'_>, milliseconds: i32) -> i32 {
    let period = Duration::from_millis(u64::from(milliseconds.cast_unsigned()));
    host.data_mut().tick_period = (!period.is_zero()).then_some(period);
    number(Status::Ok)
}

// === buffers ===

fn get_buffer(mut host: Host<'_>, kind: i32, start: i32, most: i32, data: i32, size: i32) -> Result<i32> {
    let Some(kind) = BufferType::from_number(kind) else { return Ok(number(Status::BadArgument)) };
    let state = host.data_mut();
    let start = start.cast_unsigned() as usize;
    let most = most.cast_unsigned() as usize;
    let buffer: &[u8] = match kind {
        BufferType::VmConfiguration => &state.vm_configuration,
        BufferType::PluginConfiguration => &state.plugin_configuration,
        BufferType::CallBody => match &state.call_reply {
            Some(reply) => &reply.body,
            None => return Ok(number(Status::NotFound)),
        },
        BufferType::RequestBody | BufferType::ResponseBody => match body(state, kind) {
            Some(buffer) => buffer,
            None => &[],
        },
    };
    let rest = buffer.get(start..).unwrap_or_default();
    let part = rest.get(..most.min(rest.len())).unwrap_or_default().to_vec();
    give(&mut host, &part, data, size)?;
    Ok(number(Status::Ok))
}

fn set_buffer(mut host: Host<'_>, kind: i32, start: i32, size: i32, data: i32, length: i32) -> Result<i32> {
    let bytes = read(&mut host, data, length)?;
    let Some(kind) = BufferType::from_number(kind) else { return Ok(number(Status::BadArgument)) };
    let Some(buffer) = body(host.data_mut(), kind) else { return Ok(number(Status::BadArgument)) };
    let start = start.cast_unsigned() as usize;
    let size = size.cast_unsigned() as usize;
    if start == 0 {
        buffer.splice(..size.min(buffer.len()), bytes);
    } else if start >= buffer.len() {
        buffer.extend(bytes);
    } else {
        // Envoy has no way to replace in the middle.
        return Ok(number(Status::BadArgument));
    }
    Ok(number(Status::Ok))
}

/// A body is open in its own callback, and for as long as it is paused.
fn body(state: &mut State, kind: BufferType) -> Option<&mut Vec<u8>> {
    let stream = state.stream().ok()?;
    let (half, phase) = match kind {
        BufferType::RequestBody => (&mut stream.request, Phase::RequestBody),
        BufferType::ResponseBody => (&mut stream.response, Phase::ResponseBody),
        _ => return None,
    };
    (stream.phase == phase || half.buffering).then_some(&mut half.buffer)
}

// === headers ===

fn readable(state: &mut State, kind: i32) -> std::result::Result<&Headers, Status> {
    map(state, kind, true).map(|map| &*map)
}

fn map(state: &mut State, kind: i32, to_read: bool) -> std::result::Result<&mut Headers, Status> {
    let kind = MapType::from_number(kind).ok_or(Status::BadArgument)?;
    if matches!(kind, MapType::CallHeaders | MapType::CallTrailers) {
        let reply = state.call_reply.as_mut().ok_or(Status::BadArgument)?;
        return Ok(if kind == MapType::CallHeaders { &mut reply.headers } else { &mut reply.trailers });
    }
    let stream = state.stream()?;
    // In `on_log` everything can be read and nothing changed.
    let logging = stream.phase == Phase::Log && to_read;
    let open = match kind {
        MapType::RequestHeaders if stream.request.head_held || logging => Some(&mut stream.request.head),
        MapType::ResponseHeaders if stream.response.head_held || logging => Some(&mut stream.response.head),
        MapType::RequestTrailers if stream.request.trailers_held || logging => {
            stream.request.trailers.as_mut()
        }
        MapType::ResponseTrailers if stream.response.trailers_held || logging => {
            stream.response.trailers.as_mut()
        }
        _ => None,
    };
    open.ok_or(Status::BadArgument)
}

fn get_map(mut host: Host<'_>, kind: i32, data: i32, size: i32) -> Result<i32> {
    match readable(host.data_mut(), kind).map(encode_pairs) {
        Ok(bytes) => {
            give(&mut host, &bytes, data, size)?;
            Ok(number(Status::Ok))
        }
        Err(status) => Ok(number(status)),
    }
}

fn set_map(mut host: Host<'_>, kind: i32, data: i32, size: i32) -> Result<i32> {
    let bytes = read(&mut host, data, size)?;
    let Some(pairs) = decode_pairs(&bytes) else { return Ok(number(Status::BadArgument)) };
    Ok(done(map(host.data_mut(), kind, false).map(|map| *map = pairs)))
}

fn get_value(mut host: Host<'_>, kind: i32, name: i32, length: i32, data: i32, size: i32) -> Result<i32> {
    let name = read(&mut host, name, length)?.to_ascii_lowercase();
    // Only the first of repeated headers: so does Envoy.
    let found = readable(host.data_mut(), kind).map(|map| map.iter().find(|(n, _)| *n == name).cloned());
    match found {
        Ok(Some((_, value))) => {
            give(&mut host, &value, data, size)?;
            Ok(number(Status::Ok))
        }
        Ok(None) => Ok(number(Status::NotFound)),
        Err(status) => Ok(number(status)),
    }
}

fn replace_value(mut host: Host<'_>, kind: i32, n: i32, n_size: i32, v: i32, v_size: i32) -> Result<i32> {
    let name = read(&mut host, n, n_size)?.to_ascii_lowercase();
    let value = read(&mut host, v, v_size)?;
    Ok(done(map(host.data_mut(), kind, false).map(|map| {
        let place = map.iter().position(|(found, _)| *found == name).unwrap_or(map.len());
        map.retain(|(found, _)| *found != name);
        map.insert(place.min(map.len()), (name, value));
    })))
}

fn add_value(mut host: Host<'_>, kind: i32, n: i32, n_size: i32, v: i32, v_size: i32) -> Result<i32> {
    let name = read(&mut host, n, n_size)?.to_ascii_lowercase();
    let value = read(&mut host, v, v_size)?;
    Ok(done(map(host.data_mut(), kind, false).map(|map| map.push((name, value)))))
}

fn remove_value(mut host: Host<'_>, kind: i32, n: i32, n_size: i32) -> Result<i32> {
    let name = read(&mut host, n, n_size)?.to_ascii_lowercase();
    Ok(done(map(host.data_mut(), kind, false).map(|map| map.retain(|(found, _)| *found != name))))
}

// === properties, shared data ===

fn get_property(mut host: Host<'_>, path: i32, length: i32, data: i32, size: i32) -> Result<i32> {
    let path = read_text(&mut host, path, length)?;
    let state = host.data_mut();
    let own = state.streams.get(&state.current).and_then(|stream| stream.properties.get(&path));
    match own.or_else(|| state.root_properties.get(&path)).cloned() {
        Some(value) => {
            give(&mut host, &value, data, size)?;
            Ok(number(Status::Ok))
        }
        None => Ok(number(Status::NotFound)),
    }
}

fn set_property(mut host: Host<'_>, path: i32, length: i32, data: i32, size: i32) -> Result<i32> {
    let path = read_text(&mut host, path, length)?;
    let value = read(&mut host, data, size)?;
    let state = host.data_mut();
    Ok(done(state.stream().map(|stream| {
        stream.properties.insert(format!("filter_state\0wasm.{path}"), value.clone());
        stream.written.push((path, value));
    })))
}

fn get_shared(mut host: Host<'_>, key: i32, length: i32, data: i32, size: i32, cas: i32) -> Result<i32> {
    let key = read(&mut host, key, length)?;
    let Some((value, number_of_change)) = host.data().shared.get(&key).cloned() else {
        return Ok(number(Status::NotFound));
    };
    give(&mut host, &value, data, size)?;
    write_u32(&mut host, cas, number_of_change)?;
    Ok(number(Status::Ok))
}

fn set_shared(mut host: Host<'_>, key: i32, length: i32, data: i32, size: i32, cas: i32) -> Result<i32> {
    let key = read(&mut host, key, length)?;
    let value = read(&mut host, data, size)?;
    let state = host.data_mut();
    let cas = cas.cast_unsigned();
    if cas != 0 && state.shared.get(&key).is_some_and(|(_, current)| *current != cas) {
        return Ok(number(Status::CasMismatch));
    }
    state.next_cas = state.next_cas.wrapping_add(1).max(1);
    let change = state.next_cas;
    state.shared.insert(key, (value, change));
    Ok(number(Status::Ok))
}

// === streams ===

fn continue_stream(mut host: Host<'_>, side: i32) -> i32 {
    done(host.data_mut().stream().and_then(|stream| match side {
        0 => {
            stream.resume_request = true;
            Ok(())
        }
        1 => {
            stream.resume_response = true;
            Ok(())
        }
        _ => Err(Status::BadArgument),
    }))
}

fn close_stream(mut host: Host<'_>, side: i32) -> i32 {
    done(host.data_mut().stream().and_then(|stream| match side {
        0 | 1 => {
            stream.reset = true;
            Ok(())
        }
        _ => Err(Status::BadArgument),
    }))
}

#[expect(clippy::too_many_arguments, reason = "the ABI has this many")]
fn send_local_response(
    mut host: Host<'_>,
    status: i32,
    details: i32,
    details_size: i32,
    body: i32,
    body_size: i32,
    headers: i32,
    headers_size: i32,
    grpc_status: i32,
) -> Result<i32> {
    let details = read(&mut host, details, details_size)?;
    let body = read(&mut host, body, body_size)?;
    let headers = read(&mut host, headers, headers_size)?;
    let Some(headers) = decode_pairs(&headers) else { return Ok(number(Status::BadArgument)) };
    let reply = LocalReply { status: status.cast_unsigned(), headers, body, details, grpc_status };
    // Outside a stream it is accepted and does nothing (envoyproxy/envoy#39797).
    if let Ok(stream) = host.data_mut().stream() {
        stream.reply = Some(reply);
    }
    Ok(number(Status::Ok))
}

#[expect(clippy::too_many_arguments, reason = "the ABI has this many")]
fn http_call(
    mut host: Host<'_>,
    cluster: i32,
    cluster_size: i32,
    headers: i32,
    headers_size: i32,
    body: i32,
    body_size: i32,
    _trailers: i32,
    _trailers_size: i32,
    timeout: i32,
    token: i32,
) -> Result<i32> {
    let cluster = read_text(&mut host, cluster, cluster_size)?;
    let headers = read(&mut host, headers, headers_size)?;
    let body = read(&mut host, body, body_size)?;
    let Some(headers) = decode_pairs(&headers) else { return Ok(number(Status::BadArgument)) };
    let named = |name: &[u8]| headers.iter().any(|(n, _)| n == name);
    if !(named(b":method") && named(b":path") && named(b":authority")) {
        return Ok(number(Status::BadArgument));
    }
    let state = host.data_mut();
    match state.clusters.get(&cluster) {
        None => return Ok(number(Status::BadArgument)),
        Some(true) => return Ok(number(Status::InternalFailure)),
        Some(false) => {}
    }
    state.next_token = state.next_token.wrapping_add(1);
    let call = HttpCall {
        token: state.next_token,
        context: state.current,
        cluster,
        headers,
        body,
        timeout: Duration::from_millis(u64::from(timeout.cast_unsigned())),
    };
    let issued = call.token;
    state.calls.push(call);
    write_u32(&mut host, token, issued)?;
    Ok(number(Status::Ok))
}

fn set_effective_context(mut host: Host<'_>, context: i32) -> i32 {
    let context = context.cast_unsigned();
    let state = host.data_mut();
    if context != ROOT && !state.streams.contains_key(&context) {
        return number(Status::BadArgument);
    }
    state.current = context;
    number(Status::Ok)
}

// === foreign functions ===

fn call_foreign(
    mut host: Host<'_>,
    name: i32,
    name_size: i32,
    argument: i32,
    argument_size: i32,
    _result: i32,
    _result_size: i32,
) -> Result<i32> {
    let name = read_text(&mut host, name, name_size)?;
    let argument = read(&mut host, argument, argument_size)?;
    let state = host.data_mut();
    Ok(done(match name.as_str() {
        "declare_property" => declare_property(state, &argument),
        "set_envoy_filter_state" => set_filter_state(state, &argument),
        "clear_route_cache" => state.stream().map(|stream| stream.route_cache_cleared = true),
        _ => Err(Status::NotFound),
    }))
}

fn text_field(argument: &[u8], wanted: u64) -> std::result::Result<Vec<u8>, Status> {
    let fields = proto_fields(argument).ok_or(Status::BadArgument)?;
    let found = fields.into_iter().rev().find_map(|(number, value)| match value {
        ProtoValue::Bytes(bytes) if number == wanted => Some(bytes.to_vec()),
        _ => None,
    });
    found.ok_or(Status::BadArgument)
}

fn declare_property(state: &mut State, argument: &[u8]) -> std::result::Result<(), Status> {
    let name = text_field(argument, 1)?;
    // In a stream context it is accepted and has no effect.
    if state.current == ROOT {
        state.declared.insert(String::from_utf8_lossy(&name).into_owned());
    }
    Ok(())
}

fn set_filter_state(state: &mut State, argument: &[u8]) -> std::result::Result<(), Status> {
    let path = text_field(argument, 1)?;
    let value = text_field(argument, 2).unwrap_or_default();
    let path = String::from_utf8_lossy(&path).into_owned();
    if !FILTER_STATE_FACTORIES.contains(&path.as_str()) {
        return Err(Status::NotFound);
    }
    state.stream()?.filter_state.insert(path, value);
    Ok(())
}

// === metrics ===

fn define_metric(mut host: Host<'_>, kind: i32, name: i32, size: i32, out: i32) -> Result<i32> {
    let name = read_text(&mut host, name, size)?;
    if !(0..=2).contains(&kind) {
        return Ok(number(Status::BadArgument));
    }
    let metrics = &mut host.data_mut().metrics;
    let place = metrics.iter().position(|(known, _)| *known == name).unwrap_or(metrics.len());
    if place == metrics.len() {
        metrics.push((name, 0));
    }
    write_u32(&mut host, out, u32::try_from(place).unwrap_or(u32::MAX))?;
    Ok(number(Status::Ok))
}

fn metric(state: &mut State, id: i32) -> std::result::Result<&mut i64, Status> {
    let place = usize::try_from(id).map_err(|_| Status::BadArgument)?;
    state.metrics.get_mut(place).map(|(_, value)| value).ok_or(Status::BadArgument)
}

fn get_metric(mut host: Host<'_>, id: i32, out: i32) -> Result<i32> {
    match metric(host.data_mut(), id).copied() {
        Ok(value) => {
            write(&mut host, out, &value.to_le_bytes())?;
            Ok(number(Status::Ok))
        }
        Err(status) => Ok(number(status)),
    }
}

fn record_metric(mut host: Host<'_>, id: i32, value: i64) -> i32 {
    done(metric(host.data_mut(), id).map(|metric| *metric = value))
}

fn increment_metric(mut host: Host<'_>, id: i32, offset: i64) -> i32 {
    done(metric(host.data_mut(), id).map(|metric| *metric = metric.wrapping_add(offset)))
}
