//! Numbers and encodings of proxy-wasm ABI 0.2.1.

use crate::wire::Headers;

/// What a hostcall returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    CasMismatch = 8,
    InternalFailure = 10,
}

impl From<Status> for i32 {
    fn from(status: Status) -> Self {
        status as Self
    }
}

/// What a callback returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Continue,
    Pause,
}

impl Action {
    pub(super) const fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Continue),
            1 => Some(Self::Pause),
            _ => None,
        }
    }
}

/// Which header map a hostcall means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapType {
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    CallHeaders,
    CallTrailers,
}

impl MapType {
    pub(super) const fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::RequestHeaders,
            1 => Self::RequestTrailers,
            2 => Self::ResponseHeaders,
            3 => Self::ResponseTrailers,
            6 => Self::CallHeaders,
            7 => Self::CallTrailers,
            _ => return None,
        })
    }
}

/// Which buffer a hostcall means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BufferType {
    RequestBody,
    ResponseBody,
    CallBody,
    VmConfiguration,
    PluginConfiguration,
}

impl BufferType {
    pub(super) const fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::RequestBody,
            1 => Self::ResponseBody,
            4 => Self::CallBody,
            6 => Self::VmConfiguration,
            7 => Self::PluginConfiguration,
            _ => return None,
        })
    }
}

/// Header pairs as they cross the border: count, sizes, then names and values each closed by NUL.
pub(super) fn encode_pairs(pairs: &Headers) -> Vec<u8> {
    let mut out = number(pairs.len()).to_vec();
    for (name, value) in pairs {
        out.extend_from_slice(&number(name.len()));
        out.extend_from_slice(&number(value.len()));
    }
    for (name, value) in pairs {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    out
}

/// `None` when the sizes do not fit the bytes.
pub(super) fn decode_pairs(bytes: &[u8]) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Headers::new());
    }
    let (count, mut sizes) = take_number(bytes)?;
    let mut rest = sizes.get(count.checked_mul(8)?..)?;
    let mut pairs = Headers::new();
    for _ in 0..count {
        let (name_size, after) = take_number(sizes)?;
        let (value_size, after) = take_number(after)?;
        sizes = after;
        let (name, after) = take_text(rest, name_size)?;
        let (value, after) = take_text(after, value_size)?;
        rest = after;
        pairs.push((name.to_ascii_lowercase(), value.to_vec()));
    }
    Some(pairs)
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

fn take_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn take_text(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(size)?;
    Some((text, rest.strip_prefix(&[0])?))
}

/// Fields of a protobuf message with only varints and length-delimited fields, in order.
pub(super) fn proto_fields(bytes: &[u8]) -> Option<Vec<(u64, ProtoValue<'_>)>> {
    let mut fields = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (key, after) = varint(rest)?;
        let (value, after) = match key & 7 {
            0 => varint(after).map(|(v, r)| (ProtoValue::Number(v), r))?,
            2 => {
                let (size, after) = varint(after)?;
                let (bytes, after) = after.split_at_checked(usize::try_from(size).ok()?)?;
                (ProtoValue::Bytes(bytes), after)
            }
            _ => return None,
        };
        fields.push((key >> 3, value));
        rest = after;
    }
    Some(fields)
}

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProtoValue<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    let mut rest = bytes;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_survive_the_border() {
        let pairs: Headers = vec![(b"a".to_vec(), b"caf\xe9".to_vec()), (b"b".to_vec(), Vec::new())];
        assert_eq!(decode_pairs(&encode_pairs(&pairs)), Some(pairs));
        assert_eq!(decode_pairs(&[]), Some(Headers::new()));
    }

    #[test]
    fn cut_pairs_are_refused() {
        let bytes = encode_pairs(&vec![(b"name".to_vec(), b"value".to_vec())]);
        for cut in 1..bytes.len() {
            assert_eq!(decode_pairs(&bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn proto_fields_are_read() {
        let message = [0x0a, 3, b'a', b'b', b'c', 0x18, 0x96, 0x01];
        let fields = proto_fields(&message).unwrap();
        assert_eq!(fields, [(1, ProtoValue::Bytes(b"abc")), (3, ProtoValue::Number(150))]);
        assert_eq!(proto_fields(&message[..3]), None);
    }
}
