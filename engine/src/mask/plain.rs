//! Plain text as a body: one text unit over all of it, of any length.
//!
//! What a body calls itself is not believed blindly. A text that is UTF-16 or UTF-32 by its first bytes, or that holds a NUL,
//! is refused, because no ASCII byte means itself there. A text or form whose first character is `{` or `[` is read as JSON,
//! since its receiver may do so too ([`mistyped`](super::mistyped) for forms); blanks in front are a text of their own. What begins with a placeholder with which no
//! JSON can begin is text: it was masked before.
//!
//! It does not know markup: a value that is interrupted by tags is not one text.

use super::MaskError;
use super::framer::{Framer, Run, framer};
use super::mistyped::MistypedJson;
use super::notes::Notes;
use super::plan::MaskPlan;
use super::text::{Location, Sink, TextUnit};
use crate::format::Format;
use crate::format::json::is_blank;
use memchr::memchr;

/// A body of plain text.
#[derive(Default)]
pub(crate) struct TextBody {
    unit: TextUnit,
}

const AT: Location<'static> = Location::of("text");

impl Framer for TextBody {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        // What is before a NUL is handled as if nothing followed, so that it does not matter how the body is cut.
        let end = memchr(0, chunk).unwrap_or(chunk.len());
        let mut sink = Sink::new(run.plan, run.out, run.notes, run.plan.state_limit());
        self.unit.literal(chunk.get(..end).unwrap_or_default(), &mut sink, AT)?;
        sink.fits(self.unit.held())?;
        if end < chunk.len() { Err(MaskError::Charset) } else { Ok(()) }
    }

    fn end(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        let mut sink = Sink::new(run.plan, run.out, run.notes, run.plan.state_limit());
        self.unit.finish(&mut sink, AT)
    }

    fn held(&self) -> usize {
        self.unit.held()
    }

    fn waits(&self) -> bool {
        self.unit.waits()
    }
}

/// Looks at the first bytes of a text or form before its framer has the rest.
pub(crate) struct Sniffed {
    framer: Box<dyn Framer>,
    /// It calls itself a form.
    form: bool,
    phase: Phase,
    /// The first bytes, fewer than [`Sniffed::HEAD`]; then those that may become a placeholder.
    head: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Too few bytes to know the encoding.
    Head,
    /// Nothing but blanks yet.
    Blank,
    /// The head may become a placeholder.
    Bracket,
    /// The framer is the right one.
    Known,
}

impl Sniffed {
    /// The longest byte order mark.
    const HEAD: usize = 4;

    pub(crate) fn text(framer: Box<dyn Framer>) -> Sniffed {
        Sniffed { framer, form: false, phase: Phase::Head, head: Vec::new() }
    }

    pub(crate) fn form(framer: Box<dyn Framer>) -> Sniffed {
        Sniffed { form: true, ..Sniffed::text(framer) }
    }

    /// The first bytes, with all that is known to follow.
    fn open(&mut self, head: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        if is_wide(head) {
            return Err(MaskError::Charset);
        }
        self.phase = Phase::Blank;
        let mark = BYTE_ORDER_MARK.len();
        if head.starts_with(BYTE_ORDER_MARK) {
            let (mark, rest) = head.split_at_checked(mark).unwrap_or((head, &[]));
            run.out.extend_from_slice(mark);
            return self.look(rest, run);
        }
        self.look(head, run)
    }

    /// Passes blanks; the byte behind them tells.
    fn look(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let length = chunk.iter().position(|&byte| !is_blank(byte)).unwrap_or(chunk.len());
        let (blanks, rest) = chunk.split_at_checked(length).unwrap_or((chunk, &[]));
        if let Some(first) = rest.first() {
            if matches!(first, b'{' | b'[') {
                self.framer.write(blanks, run)?;
                self.phase = Phase::Bracket;
                return self.bracket(rest, run);
            }
            self.phase = Phase::Known;
        }
        self.framer.write(chunk, run)
    }

    /// JSON, unless it begins with a placeholder.
    fn bracket(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        self.head.extend_from_slice(chunk);
        if run.plan.may_become_placeholder(&self.head) { Ok(()) } else { self.choose(run) }
    }

    fn choose(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        self.phase = Phase::Known;
        let head = std::mem::take(&mut self.head);
        if !begins_as_masked(&head, run.plan) {
            self.framer.end(run)?;
            let document = framer(Format::Json, run.plan);
            self.framer = if self.form { Box::new(MistypedJson::new(document)) } else { document };
        }
        self.framer.write(&head, run)
    }
}

impl Framer for Sniffed {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        match self.phase {
            Phase::Known => self.framer.write(chunk, run),
            Phase::Blank => self.look(chunk, run),
            Phase::Bracket => self.bracket(chunk, run),
            Phase::Head => {
                let missing = Self::HEAD.saturating_sub(self.head.len()).min(chunk.len());
                let (more, rest) = chunk.split_at_checked(missing).unwrap_or((chunk, &[]));
                self.head.extend_from_slice(more);
                if self.head.len() < Self::HEAD {
                    return Ok(());
                }
                let head = std::mem::take(&mut self.head);
                self.open(&head, run)?;
                self.write(rest, run)
            }
        }
    }

    fn end(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        if self.phase == Phase::Head {
            let head = std::mem::take(&mut self.head);
            self.open(&head, run)?;
        }
        if self.phase == Phase::Bracket {
            self.choose(run)?;
        }
        self.framer.end(run)
    }

    fn held(&self) -> usize {
        self.head.len() + self.framer.held()
    }

    fn waits(&self) -> bool {
        !self.head.is_empty() || self.framer.waits()
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// UTF-16 or UTF-32, by a byte order mark or by a NUL among the first bytes.
fn is_wide(head: &[u8]) -> bool {
    head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF") || head.contains(&0)
}

/// Does it begin with a placeholder with which no JSON can begin?
///
/// SECURITY: nobody reads as JSON what begins so, and every text is scanned as it stands: whoever sends it could as well have
/// begun with any other letter.
fn begins_as_masked(text: &[u8], plan: &MaskPlan) -> bool {
    let Some(placeholder) = plan.leading_placeholder(text) else { return false };
    let (mut out, mut notes) = (Vec::new(), Notes::default());
    framer(Format::Json, plan)
        .write(placeholder, &mut Run { plan, notes: &mut notes, out: &mut out })
        .is_err()
}
