//! How a body is cut before it is masked. The result never depends on it; that is what `--chunks` is there to see.

use std::io::{ErrorKind, Read};
use std::str::FromStr;

/// Most bytes that are read at once, and that a piece of its own size may have.
const PIECE: usize = 64 << 10;
/// Most bytes of a piece whose size was asked for.
const MAX_PIECE: usize = 64 << 20;
/// Most bytes of a random piece.
const MAX_RANDOM: u64 = 4 << 10;
/// Bytes that [`Pieces::start`] looks at.
const START: usize = 16;

/// How a body is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Not at all.
    Whole,
    /// Every so many bytes.
    Every(usize),
    /// At places that depend on the seed.
    Random(u64),
}

/// What is no way to cut a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `whole`, a number of bytes from 1 to {MAX_PIECE}, or `random:SEED`")]
pub(super) struct UnknownChunks;

/// The pieces of what a reader brings.
#[derive(Debug)]
pub(super) struct Pieces<R> {
    reader: R,
    chunks: Option<Chunks>,
    random: u64,
    start: Vec<u8>,
    buffer: Vec<u8>,
}

impl FromStr for Chunks {
    type Err = UnknownChunks;

    fn from_str(text: &str) -> Result<Chunks, UnknownChunks> {
        if text == "whole" {
            return Ok(Chunks::Whole);
        }
        if let Some(seed) = text.strip_prefix("random:") {
            return seed.parse().map(Chunks::Random).map_err(|_| UnknownChunks);
        }
        let size = text.parse().ok().filter(|size| (1..=MAX_PIECE).contains(size));
        size.map(Chunks::Every).ok_or(UnknownChunks)
    }
}

impl<R: Read> Pieces<R> {
    /// The pieces of `reader`; without `chunks` as they arrive.
    pub(super) fn new(reader: R, chunks: Option<Chunks>) -> Self {
        let random = match chunks {
            Some(Chunks::Random(seed)) => seed,
            _ => 0,
        };
        Pieces { reader, chunks, random, start: Vec::new(), buffer: Vec::new() }
    }

    /// The first bytes: no more than 16, and less only if there are no more. They are part of the pieces all the same.
    pub(super) fn start(&mut self) -> std::io::Result<&[u8]> {
        let mut start = std::mem::take(&mut self.start);
        fill(&mut self.reader, &mut start, START)?;
        self.start = start;
        Ok(&self.start)
    }

    /// The next piece; none at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<&[u8]>> {
        self.buffer.clear();
        std::mem::swap(&mut self.buffer, &mut self.start);
        match self.chunks {
            Some(Chunks::Whole) => {
                self.reader.read_to_end(&mut self.buffer)?;
            }
            Some(Chunks::Every(size)) => self.take(size)?,
            Some(Chunks::Random(_)) => {
                let size = 1 + self.draw() % MAX_RANDOM;
                self.take(usize::try_from(size).unwrap_or(PIECE))?;
            }
            None if self.buffer.is_empty() => self.arrive()?,
            None => {}
        }
        Ok((!self.buffer.is_empty()).then_some(self.buffer.as_slice()))
    }

    /// Exactly `size` bytes, unless the end comes first. What was read beyond them waits in `start`.
    fn take(&mut self, size: usize) -> std::io::Result<()> {
        if self.buffer.len() > size {
            self.start = self.buffer.split_off(size);
            return Ok(());
        }
        fill(&mut self.reader, &mut self.buffer, size)
    }

    /// What one read brings.
    fn arrive(&mut self) -> std::io::Result<()> {
        self.buffer.resize(PIECE, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        read.map(|_| ())
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Reads until there are `size` bytes, or no more.
fn fill(reader: &mut impl Read, bytes: &mut Vec<u8>, size: usize) -> std::io::Result<()> {
    let missing = u64::try_from(size.saturating_sub(bytes.len())).unwrap_or(u64::MAX);
    reader.by_ref().take(missing).read_to_end(bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &[u8], chunks: Option<Chunks>) -> Vec<Vec<u8>> {
        let mut pieces = Pieces::new(text, chunks);
        pieces.start().unwrap();
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            all.push(piece.to_vec());
        }
        all
    }

    #[test]
    fn pieces_have_the_size_that_was_asked_for_and_lose_nothing() {
        let text: Vec<u8> = (0..100_000u32).map(|at| at.to_le_bytes()[0]).collect();
        assert_eq!(cut(&text, Some(Chunks::Whole)), [text.as_slice()]);
        for size in [1, 3, 16, 17, 4096, 100_000, 100_001] {
            let pieces = cut(&text, Some(Chunks::Every(size)));
            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().rev().skip(1).all(|piece| piece.len() == size), "{size}");
        }
        let random = cut(&text, Some(Chunks::Random(7)));
        assert_eq!((random.concat() == text, random.len() > 20), (true, true));
        assert_eq!(cut(&text, Some(Chunks::Random(7))), random);
        assert_ne!(cut(&text, Some(Chunks::Random(8))), random);
        assert_eq!(cut(&text, None).concat(), text);
        assert_eq!(cut(b"", None), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn the_start_is_short_and_comes_again() {
        let mut pieces = Pieces::new(&b"data: 1"[..], None);
        assert_eq!(pieces.start().unwrap(), b"data: 1");
        assert_eq!(pieces.start().unwrap(), b"data: 1");
        assert_eq!(pieces.next().unwrap(), Some(&b"data: 1"[..]));
        assert_eq!(pieces.next().unwrap(), None);
    }

    #[test]
    fn ways_to_cut_are_three() {
        assert_eq!("whole".parse(), Ok(Chunks::Whole));
        assert_eq!("1".parse(), Ok(Chunks::Every(1)));
        assert_eq!("random:42".parse(), Ok(Chunks::Random(42)));
        for wrong in ["", "0", "-1", "random", "random:", "random:x", "67108865", "all"] {
            assert_eq!(wrong.parse::<Chunks>(), Err(UnknownChunks), "{wrong}");
        }
    }
}
