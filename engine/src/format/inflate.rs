//! Opens the content codings `gzip` (RFC 1952) and `deflate` (RFC 1950; without its header, RFC 1951) as they come.
//!
//! Guarantees: what is handed on depends only on the bytes taken, not on how they were cut, and is handed on in the call that
//! completes it; memory is one window of 32 KiB and the tables of one block, whatever comes in; no more is handed on than
//! [`Inflate::ALLOWANCE`] and a fixed number of bytes for each byte taken, so a small body costs little.
//!
//! Damage is found at the byte that shows it; a wrong checksum only at the end, when all else was handed on. Several members,
//! preset dictionaries and bytes behind the end are refused: readers do not agree on them.

use super::crc32::Crc32;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// A content coding that can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// `gzip`, also called `x-gzip`.
    Gzip,
    /// `deflate`: the zlib format, or what many send under this name, deflate without it.
    Deflate,
}

impl Coding {
    /// The coding of this name (RFC 9110, section 8.4.1).
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Coding> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"gzip") || is(b"x-gzip") {
            return Some(Coding::Gzip);
        }
        is(b"deflate").then_some(Coding::Deflate)
    }
}

/// Why content cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop<E> {
    /// Damaged, or not what it says, or followed by something else.
    Damaged,
    /// More comes out than the ratio allows.
    TooMuch,
    /// Whoever took the content stopped.
    Visit(E),
}

/// An open body.
pub(crate) struct Inflate {
    phase: Phase,
    state: Box<DecompressorOxide>,
    /// Of the decompressor.
    flags: u32,
    window: Box<[u8]>,
    /// Where in the window the next byte goes.
    at: usize,
    /// The field of header or trailer that is read.
    field: Vec<u8>,
    /// Checksum of the header, then of the content.
    crc: Crc32,
    ratio: u64,
    taken: u64,
    given: u64,
}

/// What the next byte is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Of gzip: the ten bytes that are always there.
    Fixed,
    /// Length of the extra field; the flags of what follows it.
    ExtraLength(u8),
    Extra {
        flags: u8,
        left: u16,
    },
    /// A file name or comment.
    Text(u8),
    HeaderChecksum,
    /// Of `deflate`: the two bytes that tell whether there is a zlib header.
    Guess,
    Body {
        gzip: bool,
    },
    /// Of gzip: checksum and length.
    Trailer,
    End,
}

impl Inflate {
    /// Bytes that may come out whatever the ratio: short texts repeat themselves a lot.
    pub(crate) const ALLOWANCE: u64 = 256 * 1024;

    const WINDOW: usize = 32 * 1024;

    /// Most bytes that come out of one byte: four matches of 258 bytes, two bits each.
    const STEEPEST: u64 = 4 * 258;
    /// Most bytes that come out of the bits that wait in front of it.
    const WAITING: u64 = 8 * 258;

    /// A reader of one body of which `ratio` bytes may come out for each byte.
    pub(crate) fn new(coding: Coding, ratio: u32) -> Inflate {
        Inflate {
            phase: if coding == Coding::Gzip { Phase::Fixed } else { Phase::Guess },
            state: Box::default(),
            flags: TINFL_FLAG_HAS_MORE_INPUT,
            window: vec![0; Self::WINDOW].into_boxed_slice(),
            at: 0,
            field: Vec::new(),
            crc: Crc32::default(),
            ratio: u64::from(ratio),
            taken: 0,
            given: 0,
        }
    }

    /// Takes bytes; hands what comes out to `take`, in pieces.
    pub(crate) fn write<E>(
        &mut self,
        chunk: &[u8],
        take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let mut rest = chunk;
        while let Some((&first, after)) = rest.split_first() {
            match self.phase {
                Phase::Body { gzip } => {
                    rest = self.body(rest, gzip, take)?;
                    continue;
                }
                Phase::Guess => self.guess(first, take)?,
                Phase::Trailer => self.trailer(first).ok_or(Stop::Damaged)?,
                Phase::End => return Err(Stop::Damaged),
                _ => self.header(first).ok_or(Stop::Damaged)?,
            }
            self.taken = self.taken.saturating_add(1);
            rest = after;
        }
        Ok(())
    }

    /// Can the body end here? An empty one can: nothing was encoded.
    pub(crate) fn is_complete(&self) -> bool {
        self.phase == Phase::End || self.taken == 0
    }

    /// A byte of the header of gzip. What it names (a file, a comment) goes no further. None if it is none.
    fn header(&mut self, byte: u8) -> Option<()> {
        const MAGIC: [u8; 3] = [0x1F, 0x8B, 8];
        if self.phase != Phase::HeaderChecksum {
            self.crc.update(&[byte]);
        }
        self.phase = match self.phase {
            Phase::Fixed => {
                self.field.push(byte);
                let agrees = self.field.iter().zip(MAGIC).all(|(byte, magic)| *byte == magic);
                let flags = self.field.get(3).copied().unwrap_or_default();
                // Flags without a meaning could mean that more follows.
                if !agrees || flags & 0xE0 != 0 {
                    return None;
                }
                if self.field.len() < 10 {
                    return Some(());
                }
                self.after(flags)
            }
            Phase::ExtraLength(flags) => {
                self.field.push(byte);
                let &[low, high] = self.field.as_slice() else { return Some(()) };
                self.extra(flags, u16::from_le_bytes([low, high]))
            }
            Phase::Extra { flags, left } => self.extra(flags, left.saturating_sub(1)),
            Phase::Text(flags) if byte == 0 => self.after(flags),
            Phase::HeaderChecksum => {
                self.field.push(byte);
                let &[low, high] = self.field.as_slice() else { return Some(()) };
                if self.crc.value() & 0xFFFF != u32::from(u16::from_le_bytes([low, high])) {
                    return None;
                }
                self.after(0)
            }
            other => other,
        };
        Some(())
    }

    fn extra(&mut self, flags: u8, left: u16) -> Phase {
        if left == 0 { self.after(flags) } else { Phase::Extra { flags, left } }
    }

    /// What comes next in a header with these flags left.
    fn after(&mut self, flags: u8) -> Phase {
        const CHECKSUM: u8 = 2;
        const EXTRA: u8 = 4;
        const NAME: u8 = 8;
        const COMMENT: u8 = 16;
        self.field.clear();
        if flags & EXTRA != 0 {
            Phase::ExtraLength(flags & !EXTRA)
        } else if flags & NAME != 0 {
            Phase::Text(flags & !NAME)
        } else if flags & COMMENT != 0 {
            Phase::Text(flags & !COMMENT)
        } else if flags & CHECKSUM != 0 {
            Phase::HeaderChecksum
        } else {
            self.crc = Crc32::default();
            Phase::Body { gzip: true }
        }
    }

    /// One of the first two bytes of `deflate`. RFC 1950: a method, and a number that 31 divides.
    fn guess<E>(&mut self, byte: u8, take: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), Stop<E>> {
        self.field.push(byte);
        let zlib = match *self.field.as_slice() {
            // A method other than deflate: no zlib header begins like this.
            [method] if method & 0x0F != 8 => false,
            [method, check] => method >> 4 <= 7 && u16::from_be_bytes([method, check]) % 31 == 0,
            _ => return Ok(()),
        };
        if zlib {
            self.flags |= TINFL_FLAG_PARSE_ZLIB_HEADER;
        }
        self.phase = Phase::Body { gzip: false };
        let field = std::mem::take(&mut self.field);
        // They were counted one by one.
        self.taken = self.taken.saturating_sub(1);
        let rest = self.body(&field, false, take)?;
        self.taken = self.taken.saturating_sub(1);
        if rest.is_empty() { Ok(()) } else { Err(Stop::Damaged) }
    }

    /// A piece of the body, small enough that what comes out of it is within the limit; or one byte. Returns the rest.
    fn body<'c, E>(
        &mut self,
        chunk: &'c [u8],
        gzip: bool,
        take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<&'c [u8], Stop<E>> {
        let room = self.limit().saturating_sub(self.given).saturating_sub(Self::WAITING) / Self::STEEPEST;
        let length = usize::try_from(room).unwrap_or(usize::MAX).clamp(1, chunk.len().max(1));
        let (mut piece, rest) = chunk.split_at_checked(length).unwrap_or((chunk, &[]));
        let start = self.taken;
        self.taken = start.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        loop {
            let (status, used, made) =
                decompress(&mut self.state, piece, &mut self.window, self.at, self.flags);
            let end = self.at.saturating_add(made);
            let out = self.window.get(self.at..end).unwrap_or_default();
            let allowed = self.limit().saturating_sub(self.given);
            let fits = usize::try_from(allowed).unwrap_or(usize::MAX).min(out.len());
            let (out, beyond) = out.split_at_checked(fits).unwrap_or((out, &[]));
            if gzip {
                self.crc.update(out);
            }
            self.given = self.given.saturating_add(u64::try_from(out.len()).unwrap_or(u64::MAX));
            if !out.is_empty() {
                take(out).map_err(Stop::Visit)?;
            }
            if !beyond.is_empty() {
                return Err(Stop::TooMuch);
            }
            self.at = if end == Self::WINDOW { 0 } else { end };
            piece = piece.get(used..).unwrap_or_default();
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput if piece.is_empty() => return Ok(rest),
                TINFLStatus::Done => break,
                _ => return Err(Stop::Damaged),
            }
        }
        // Of a longer piece only what belongs to the body was taken.
        let unused = piece.len().saturating_add(rest.len());
        self.taken = self.taken.saturating_sub(u64::try_from(piece.len()).unwrap_or_default());
        self.phase = if gzip { Phase::Trailer } else { Phase::End };
        Ok(chunk.get(chunk.len().saturating_sub(unused)..).unwrap_or_default())
    }

    /// Most bytes that may have come out by now.
    fn limit(&self) -> u64 {
        Self::ALLOWANCE.saturating_add(self.taken.saturating_mul(self.ratio))
    }

    /// A byte behind the body of gzip: checksum, and length modulo 2^32. None if they are wrong.
    fn trailer(&mut self, byte: u8) -> Option<()> {
        self.field.push(byte);
        let (Some(checksum), Some(length)) = (self.field.first_chunk::<4>(), self.field.last_chunk::<4>())
        else {
            return Some(());
        };
        if self.field.len() < 8 {
            return Some(());
        }
        let given = self.given & u64::from(u32::MAX);
        let agrees = u32::from_le_bytes(*checksum) == self.crc.value()
            && u64::from(u32::from_le_bytes(*length)) == given;
        self.phase = Phase::End;
        agrees.then_some(())
    }
}
