//! The bytes of an [`Automaton`]: little-endian, without a version (its container has one).
//!
//! Layout: stride − 1 (`u8`), class of each byte (256 × `u8`), number of states and of reporting states (`u16` each, the
//! dead state not counted), two start states (`u16`), flags (`u8`, see [`Flags`]), lazy prefix (class set 32 bytes, `u16`
//! maximum, `u8` trigger), number of the prefix behind which it begins (`u8`), list of near words and distance (`u8`
//! each), the last three only where flagged; the detector list of each reporting state (`u8` count − 1, then ascending `u8` numbers), and per state its
//! end transition (`u16`) and its row as runs (`u8` length − 1, `u16` state). At the end the bucket of each way to begin
//! (`u16` count, `u8` each).

use super::{Automaton, Condition, DetectorBits, LazyPrefix, MAX_CELLS, MAX_WITHIN, Near, Role, Tables};
use crate::policy::id::DetectorId;
use thiserror::Error;

/// Why bytes are no automaton.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("automaton ends too early")]
    Truncated,
    /// Bytes are left over.
    #[error("bytes after the automaton")]
    Trailing,
    /// More states or cells than allowed.
    #[error("automaton is too large")]
    TooLarge,
    /// Tables of different lengths.
    #[error("tables of the automaton disagree")]
    Inconsistent,
    /// A byte class that does not exist.
    #[error("byte class out of range")]
    Class,
    /// A state that does not exist or may not stand here.
    #[error("state out of range")]
    State,
    /// A detector list that is empty or out of order.
    #[error("detector list is not ascending")]
    Reports,
    /// A state that can never report.
    #[error("state without a future")]
    Barren,
    /// A detector matches the empty string.
    #[error("empty match")]
    EmptyMatch,
    /// A lazy prefix that is not one.
    #[error("lazy prefix is not sound")]
    Lazy,
    /// A condition that does not exist or may not stand here.
    #[error("condition of the automaton is not sound")]
    Role,
}

/// What follows the start states; other bits are refused.
struct Flags;

impl Flags {
    const LAZY: u8 = 1;
    const AFTER: u8 = 2;
    const NEAR: u8 = 4;
    const PREFIXES: u8 = 8;
    const WORDS: u8 = 16;
}

impl Automaton {
    /// Appends the encoded automaton to `out`. Equal automata give equal bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let narrow = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
        out.push(low_byte(self.stride.saturating_sub(1)));
        out.extend_from_slice(&self.classes);
        put(out, narrow(self.states().saturating_sub(1)));
        put(out, self.last_special());
        self.starts.iter().for_each(|&start| put(out, start));
        let Condition { after, near } = self.role.condition();
        let flags = [
            (self.lazy.is_some(), Flags::LAZY),
            (after.is_some(), Flags::AFTER),
            (near.is_some(), Flags::NEAR),
            (self.role == Role::Prefixes, Flags::PREFIXES),
            (self.role == Role::Words, Flags::WORDS),
        ];
        out.push(flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum());
        if let Some(lazy) = &self.lazy {
            lazy.class.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
            put(out, lazy.max);
            out.push(lazy.trigger);
        }
        out.extend(after);
        out.extend(near.into_iter().flat_map(|near| [near.words, near.within]));
        for set in self.reports.iter().skip(1) {
            out.push(low_byte(narrow(set.iter().count().saturating_sub(1))));
            out.extend(set.iter().map(|detector| low_byte(detector.0)));
        }
        for state in 1..narrow(self.states()) {
            put(out, self.end(state));
            for run in self.row(state).chunk_by(|a, b| a == b) {
                out.push(low_byte(narrow(run.len().saturating_sub(1))));
                run.first().iter().for_each(|&&target| put(out, target));
            }
        }
        put(out, narrow(self.buckets.len()));
        out.extend(self.buckets.iter().take(usize::from(u16::MAX)));
    }

    /// Reads an automaton that fills `bytes` exactly, and checks it.
    ///
    /// # Errors
    /// [`DecodeError`] if anything is out of range or missing. Memory is bounded by [`MAX_CELLS`], time by memory.
    pub fn decode(bytes: &[u8]) -> Result<Automaton, DecodeError> {
        let mut reader = Reader { rest: bytes };
        let stride = u16::from(reader.byte()?) + 1;
        let classes = reader.array::<256>()?;
        let states = usize::from(reader.number()?);
        let reporting = usize::from(reader.number()?);
        let starts = [reader.number()?, reader.number()?];
        let flags = reader.byte()?;
        let lazy = reader.lazy(flags)?;
        let role = reader.role(flags)?;
        let cells = (states + 1) * usize::from(stride);
        // SECURITY: a state takes at least five bytes, so what is reserved below is paid for by the input.
        if cells > MAX_CELLS || reporting > states || states.saturating_mul(5) > reader.rest.len() {
            return Err(DecodeError::TooLarge);
        }
        let mut reports = Vec::with_capacity(reporting + 1);
        reports.push(DetectorBits::default());
        for _ in 0..reporting {
            reports.push(reader.detectors()?);
        }
        let mut ends = Vec::with_capacity(states + 1);
        ends.push(super::DEAD);
        let mut rows = Vec::with_capacity(cells);
        rows.resize(usize::from(stride), super::DEAD);
        for _ in 0..states {
            ends.push(reader.number()?);
            reader.row(&mut rows, usize::from(stride))?;
        }
        let count = usize::from(reader.number()?);
        let (buckets, rest) = reader.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        if !rest.is_empty() {
            return Err(DecodeError::Trailing);
        }
        let automaton = Automaton::new(Tables { classes, stride, rows, ends, starts, reports, lazy, role })?;
        Ok(automaton.with_buckets(buckets.to_vec()))
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    fn lazy(&mut self, flags: u8) -> Result<Option<LazyPrefix>, DecodeError> {
        if flags & Flags::LAZY == 0 {
            return Ok(None);
        }
        let mut class = [0; 4];
        for word in &mut class {
            *word = u64::from_le_bytes(self.array()?);
        }
        LazyPrefix::new(class, self.number()?, self.byte()?).map(Some).ok_or(DecodeError::Lazy)
    }

    fn role(&mut self, flags: u8) -> Result<Role, DecodeError> {
        match flags & !Flags::LAZY {
            Flags::PREFIXES => return Ok(Role::Prefixes),
            Flags::WORDS => return Ok(Role::Words),
            flags if flags & !(Flags::AFTER | Flags::NEAR) != 0 => return Err(DecodeError::Role),
            _ => {}
        }
        let mut condition = Condition::default();
        if flags & Flags::AFTER != 0 {
            condition.after = Some(self.byte()?);
        }
        if flags & Flags::NEAR != 0 {
            let near = Near { words: self.byte()?, within: self.byte()? };
            condition.near = Some(near).filter(|near| near.within <= MAX_WITHIN);
            condition.near.ok_or(DecodeError::Role)?;
        }
        Ok(Role::Matches(condition))
    }

    fn detectors(&mut self) -> Result<DetectorBits, DecodeError> {
        let mut set = DetectorBits::default();
        let mut least = 0;
        for _ in 0..=self.byte()? {
            let number = u16::from(self.byte()?);
            if number < least {
                return Err(DecodeError::Reports);
            }
            least = number + 1;
            set.insert(DetectorId(number));
        }
        Ok(set)
    }

    /// Appends one row: runs of equal cells, canonical (neighbouring runs differ).
    fn row(&mut self, rows: &mut Vec<u16>, stride: usize) -> Result<(), DecodeError> {
        let mut missing = stride;
        while missing > 0 {
            let length = usize::from(self.byte()?) + 1;
            let state = self.number()?;
            missing = missing.checked_sub(length).ok_or(DecodeError::Inconsistent)?;
            rows.resize(rows.len() + length, state);
        }
        Ok(())
    }
}

fn put(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn low_byte(number: u16) -> u8 {
    let [low, _] = number.to_le_bytes();
    low
}
