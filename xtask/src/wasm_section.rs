//! Custom sections of a WebAssembly module: append one, read one. Only the section framing is parsed
//! (WebAssembly core specification, 5.5.2).

use anyhow::{Context as _, Result, ensure};

const HEADER: &[u8] = b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;

/// Appends a custom section to the module.
pub(crate) fn append(module: &mut Vec<u8>, name: &str, payload: &[u8]) {
    let mut body = Vec::new();
    leb(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(payload);
    module.push(CUSTOM);
    leb(module, body.len());
    module.extend_from_slice(&body);
}

/// Payload of the first custom section called `name`.
///
/// # Errors
/// When the bytes are not a module or a section runs past the end.
pub(crate) fn read<'m>(module: &'m [u8], name: &str) -> Result<Option<&'m [u8]>> {
    let mut rest = module.strip_prefix(HEADER).context("not a WebAssembly module")?;
    while let Some((&id, after)) = rest.split_first() {
        let (len, after) = unleb(after)?;
        let (body, after) = after.split_at_checked(len).context("a section runs past the end")?;
        rest = after;
        if id == CUSTOM {
            let (len, body) = unleb(body)?;
            let (found, payload) = body.split_at_checked(len).context("a name runs past its section")?;
            if found == name.as_bytes() {
                return Ok(Some(payload));
            }
        }
    }
    Ok(None)
}

fn leb(out: &mut Vec<u8>, value: usize) {
    let mut value = value;
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn unleb(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut value = 0usize;
    let mut rest = bytes;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, after) = rest.split_first().context("a length is cut off")?;
        rest = after;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
    ensure!(false, "a length has more than five bytes");
    Ok((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_back() {
        let mut module = HEADER.to_vec();
        append(&mut module, "other", &[7; 300]);
        append(&mut module, "veilwire.source", b"abc");
        assert_eq!(read(&module, "veilwire.source").unwrap(), Some(&b"abc"[..]));
        assert_eq!(read(&module, "other").unwrap().map(<[u8]>::len), Some(300));
        assert_eq!(read(&module, "none").unwrap(), None);
    }

    #[test]
    fn damaged_modules_are_refused() {
        assert!(read(b"ELF", "x").is_err());
        let mut module = HEADER.to_vec();
        append(&mut module, "x", b"abc");
        module.pop();
        assert!(read(&module, "y").is_err());
    }
}
