//! The few WASI preview 1 imports that a Rust module has.

use wasmtime::{Caller, Linker, Result, bail};

use super::memory::{read, write, write_u32};
use super::state::{LogLevel, State};

const MODULE: &str = "wasi_snapshot_preview1";
const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;
/// Envoy's host gives at most this much at once.
const RANDOM_LIMIT: i32 = 64 * 1024;
const INVALID: i32 = 28;

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "random_get", random_get)?;
    linker.func_wrap(MODULE, "clock_time_get", clock_time_get)?;
    linker.func_wrap(MODULE, "environ_sizes_get", environ_sizes_get)?;
    linker.func_wrap(MODULE, "environ_get", environ_get)?;
    linker.func_wrap(MODULE, "sched_yield", || SUCCESS)?;
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> Result<()> {
        bail!("the module called proc_exit({code})")
    })?;
    Ok(())
}

fn fd_write(
    mut caller: Caller<'_, State>,
    descriptor: i32,
    vectors: i32,
    count: i32,
    written: i32,
) -> Result<i32> {
    let level = match descriptor {
        1 => LogLevel::Info,
        2 => LogLevel::Error,
        _ => return Ok(BAD_DESCRIPTOR),
    };
    let mut text = Vec::new();
    for index in 0..count {
        let (address, size) = vector(&mut caller, vectors.wrapping_add(index.wrapping_mul(8)))?;
        text.extend(read(&mut caller, address, size)?);
    }
    write_u32(&mut caller, written, u32::try_from(text.len()).unwrap_or(u32::MAX))?;
    caller.data_mut().log_line(level, text.trim_ascii_end());
    Ok(SUCCESS)
}

fn vector(caller: &mut Caller<'_, State>, address: i32) -> Result<(i32, i32)> {
    let bytes = read(caller, address, 8)?;
    let Some((first, rest)) = bytes.split_first_chunk::<4>() else { bail!("short read") };
    let Some(second) = rest.first_chunk::<4>() else { bail!("short read") };
    Ok((i32::from_le_bytes(*first), i32::from_le_bytes(*second)))
}

fn random_get(mut caller: Caller<'_, State>, address: i32, size: i32) -> Result<i32> {
    if !(0..=RANDOM_LIMIT).contains(&size) {
        return Ok(INVALID);
    }
    let count = usize::try_from(size).unwrap_or_default();
    let bytes: Vec<u8> = (0..count).map(|_| caller.data_mut().next_random().to_le_bytes()[0]).collect();
    write(&mut caller, address, &bytes)?;
    Ok(SUCCESS)
}

fn clock_time_get(mut caller: Caller<'_, State>, _clock: i32, _precision: i64, out: i32) -> Result<i32> {
    let now = caller.data().now;
    write(&mut caller, out, &now.to_le_bytes())?;
    Ok(SUCCESS)
}

fn environ_sizes_get(mut caller: Caller<'_, State>, count: i32, size: i32) -> Result<i32> {
    let lines = environment(caller.data());
    let total: usize = lines.iter().map(Vec::len).sum();
    write_u32(&mut caller, count, u32::try_from(lines.len()).unwrap_or_default())?;
    write_u32(&mut caller, size, u32::try_from(total).unwrap_or_default())?;
    Ok(SUCCESS)
}

fn environ_get(mut caller: Caller<'_, State>, pointers: i32, buffer: i32) -> Result<i32> {
    let mut pointer = pointers;
    let mut place = buffer;
    for line in environment(caller.data()) {
        write_u32(&mut caller, pointer, place.cast_unsigned())?;
        write(&mut caller, place, &line)?;
        pointer = pointer.wrapping_add(4);
        place = place.wrapping_add(i32::try_from(line.len()).unwrap_or_default());
    }
    Ok(SUCCESS)
}

fn environment(state: &State) -> Vec<Vec<u8>> {
    state.environment.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}
