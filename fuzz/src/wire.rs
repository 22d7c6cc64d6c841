//! A writer and a reader of protobuf messages (the wire format), from the specification alone.

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'m> {
    pub number: u32,
    /// Wire type, 0 to 5.
    pub wire: u8,
    /// All of it.
    pub whole: &'m [u8],
    /// Without tag and length.
    pub body: &'m [u8],
}

/// The fields of a message, marks of groups among them; none if it is malformed.
pub fn read(message: &[u8]) -> Option<Vec<Field<'_>>> {
    let (mut fields, mut groups, mut rest) = (Vec::new(), Vec::new(), message);
    while !rest.is_empty() {
        let start = rest;
        let tag = u32::try_from(varint(&mut rest)?).ok()?;
        let number = tag >> 3;
        let wire = u8::try_from(tag & 7).ok()?;
        let before = rest;
        let body = match wire {
            0 => {
                varint(&mut rest)?;
                &before[..before.len() - rest.len()]
            }
            1 => take(&mut rest, 8)?,
            2 => {
                // As everybody has it: no length beyond 31 bits.
                let size = i32::try_from(varint(&mut rest)?).ok()?;
                take(&mut rest, usize::try_from(size).ok()?)?
            }
            3 | 4 => &[],
            5 => take(&mut rest, 4)?,
            _ => return None,
        };
        match wire {
            _ if number == 0 => return None,
            3 => groups.push(number),
            4 if groups.pop() != Some(number) => return None,
            _ => {}
        }
        fields.push(Field { number, wire, whole: &start[..start.len() - rest.len()], body });
    }
    groups.is_empty().then_some(fields)
}

/// Appends a number, in as many bytes more as `padding` says.
pub fn push_varint(mut value: u64, padding: usize, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        let low = u8::try_from(value & 0x7F).expect("seven bits");
        value >>= 7;
        if value == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    for _ in 0..padding.min(10_usize.saturating_sub(out.len() - start)) {
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
        }
        out.push(0);
    }
}

/// Appends the tag of a field.
pub fn push_tag(number: u32, wire: u8, out: &mut Vec<u8>) {
    push_varint(u64::from(number) << 3 | u64::from(wire), 0, out);
}

/// Appends a field with a length.
pub fn push_sized(number: u32, padding: usize, body: &[u8], out: &mut Vec<u8>) {
    push_tag(number, 2, out);
    push_varint(u64::try_from(body.len()).expect("64 bits"), padding, out);
    out.extend_from_slice(body);
}

fn take<'m>(rest: &mut &'m [u8], size: usize) -> Option<&'m [u8]> {
    let (taken, after) = rest.split_at_checked(size)?;
    *rest = after;
    Some(taken)
}

/// 64 bits at most; the tenth byte has one of them.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7F).checked_shl(7 * place)?;
        if byte < 0x80 {
            return (place < 9 || byte <= 1).then_some(value);
        }
    }
    None
}
