//! Linear memory of the module, seen from a hostcall.

use wasmtime::error::Context as _;
use wasmtime::{Caller, Extern, Memory, Result};

use super::state::State;

/// Bytes at `address`; an address outside the memory is a trap, as in Envoy.
pub(super) fn read(caller: &mut Caller<'_, State>, address: i32, size: i32) -> Result<Vec<u8>> {
    let memory = memory(caller)?;
    let start = usize::try_from(address.cast_unsigned())?;
    let end = start.checked_add(usize::try_from(size.cast_unsigned())?).context("address overflow")?;
    let bytes = memory.data(&*caller).get(start..end).context("hostcall with an address outside memory")?;
    Ok(bytes.to_vec())
}

pub(super) fn read_text(caller: &mut Caller<'_, State>, address: i32, size: i32) -> Result<String> {
    Ok(String::from_utf8_lossy(&read(caller, address, size)?).into_owned())
}

pub(super) fn write(caller: &mut Caller<'_, State>, address: i32, bytes: &[u8]) -> Result<()> {
    let memory = memory(caller)?;
    memory
        .write(&mut *caller, usize::try_from(address.cast_unsigned())?, bytes)
        .context("hostcall with an address outside memory")
}

pub(super) fn write_u32(caller: &mut Caller<'_, State>, address: i32, value: u32) -> Result<()> {
    write(caller, address, &value.to_le_bytes())
}

/// Copies `bytes` into memory that the module allocates, and writes pointer and size where it wants them.
/// Nothing is allocated for nothing: the module then sees a null pointer.
pub(super) fn give(caller: &mut Caller<'_, State>, bytes: &[u8], data: i32, size: i32) -> Result<()> {
    let length = u32::try_from(bytes.len())?;
    let mut address = 0;
    if length > 0 {
        let allocate = caller
            .get_export("proxy_on_memory_allocate")
            .and_then(Extern::into_func)
            .context("the module has no `proxy_on_memory_allocate`")?;
        let allocate = allocate.typed::<u32, u32>(&*caller)?;
        address = allocate.call(&mut *caller, length)?;
        write(caller, address.cast_signed(), bytes)?;
    }
    write_u32(caller, data, address)?;
    write_u32(caller, size, length)
}

fn memory(caller: &mut Caller<'_, State>) -> Result<Memory> {
    caller.get_export("memory").and_then(Extern::into_memory).context("the module has no memory")
}
