//! A multipart body: every part is a body of its own.
//!
//! Parts of text are looked at as the values of a form are; those that say they are JSON or a form are read as that. Names,
//! file names and all other lines of a part's head are scanned. Names lead to fields as they do in forms. Boundaries stay as
//! they are: what is written into a part can never make one.
//!
//! Parts of any other type or with a transfer encoding pass where the policy names their type, and are refused otherwise.
//! Parts that say how long they are (`sized`) are held, and say what they have become.
//!
//! Parts that are multipart themselves are refused, and so is text before the first and behind the last delimiter, which
//! readers skip.

mod sized;

use super::MaskError;
use super::capture::keep;
use super::document::Layer;
use super::finding::UnseenKind;
use super::form::Name;
use super::framer::{Framer, Run, framer};
use super::head::mask;
use super::nested::Nested;
use super::opaque::Label;
use super::plan::{FieldPlan, MaskPlan};
use super::text::{Location, Sink, TextUnit};
use crate::format::multipart::{Boundary, PartHead, find, parameters, undecided};
use crate::format::{Format, FormatError, PassId};
use memchr::memchr;
use sized::{Head, Sized};

/// A multipart body.
pub(crate) struct MultipartBody {
    /// `--` and the boundary.
    dashed: Vec<u8>,
    /// Every part must say which field of a form it is.
    form: bool,
    phase: Phase,
    /// Bytes of the head, or of what may be a delimiter.
    raw: Vec<u8>,
    /// How many of them no head ends in.
    looked: usize,
    part: Part,
    /// The part, where its head says how long it is.
    sized: Option<Sized>,
    name: Name,
    /// The last bytes of the part that were put out: a delimiter may not begin in them.
    written: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the first delimiter.
    Start,
    /// Behind a boundary: is it the last one?
    Delimiter,
    Head,
    Body,
    /// Behind the last boundary.
    End,
}

/// What reads the body of the part.
enum Part {
    Text(Box<Nested>),
    Other(Box<dyn Framer>),
    /// Passes without a look, by this name of the policy.
    Opaque(PassId, Label),
    /// Something else stands in its place.
    Dropped,
    /// The same, and it depends on the text.
    Kept(Vec<u8>),
}

impl MultipartBody {
    pub(crate) fn new(form: bool, boundary: &Boundary) -> MultipartBody {
        MultipartBody {
            dashed: boundary.dashed(),
            form,
            phase: Phase::Start,
            raw: Vec::new(),
            looked: 0,
            part: Part::Dropped,
            sized: None,
            name: Name::default(),
            written: Vec::new(),
        }
    }

    /// Takes what can be taken of `raw`; how many bytes that were, or none if more are needed.
    fn advance(&mut self, raw: &[u8], run: &mut Run<'_>) -> Result<Option<usize>, MaskError> {
        let taken = match self.phase {
            Phase::Start => self.start(raw),
            Phase::Delimiter => self.delimiter(raw),
            Phase::Head => return self.head(raw, run),
            Phase::Body => return self.body(raw, run),
            Phase::End => {
                let blank = |byte: &u8| matches!(byte, b'\r' | b'\n' | b' ' | b'\t');
                let length = raw.iter().take_while(|byte| blank(byte)).count();
                if length == 0 && !raw.is_empty() {
                    Err(MaskError::Multipart)
                } else {
                    Ok((length > 0).then_some(length))
                }
            }
        };
        let taken = taken?;
        run.out.extend_from_slice(raw.get(..taken.unwrap_or_default()).unwrap_or_default());
        Ok(taken)
    }

    /// The first delimiter, perhaps behind an empty line.
    fn start(&mut self, raw: &[u8]) -> Result<Option<usize>, MaskError> {
        let line = raw.strip_prefix(b"\r\n").unwrap_or(raw);
        if line.starts_with(&self.dashed) {
            self.phase = Phase::Delimiter;
            return Ok(Some(raw.len() - line.len() + self.dashed.len()));
        }
        let undecided = self.dashed.starts_with(line) || b"\r\n".starts_with(raw);
        if undecided { Ok(None) } else { Err(MaskError::Multipart) }
    }

    /// `--`, or blanks and the end of the line.
    fn delimiter(&mut self, raw: &[u8]) -> Result<Option<usize>, MaskError> {
        const MOST_BLANKS: usize = 64;
        if raw.starts_with(b"--") {
            self.phase = Phase::End;
            return Ok(Some(2));
        }
        let blanks = raw.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let rest = raw.get(blanks..).unwrap_or_default();
        if blanks <= MOST_BLANKS && rest.starts_with(b"\r\n") {
            self.phase = Phase::Head;
            return Ok(Some(blanks + 2));
        }
        let undecided = b"\r\n".starts_with(rest) || raw == b"-";
        if undecided && blanks <= MOST_BLANKS { Ok(None) } else { Err(MaskError::Multipart) }
    }

    fn head(&mut self, raw: &[u8], run: &mut Run<'_>) -> Result<Option<usize>, MaskError> {
        const BLANK_LINE: &[u8] = b"\r\n\r\n";
        let from = self.looked.saturating_sub(BLANK_LINE.len());
        let mut ends = raw.get(from..).unwrap_or_default().windows(BLANK_LINE.len());
        let end = if raw.starts_with(b"\r\n") {
            2
        } else if let Some(at) = ends.position(|end| end == BLANK_LINE) {
            from + at + BLANK_LINE.len()
        } else {
            self.looked = raw.len();
            return if raw.len() > run.plan.state_limit() { Err(MaskError::Budget) } else { Ok(None) };
        };
        self.looked = 0;
        let head = raw.get(..end).and_then(PartHead::read).ok_or(MaskError::Multipart)?;
        self.name = Name::default();
        self.begin(&head, run)?;
        self.written.clear();
        self.phase = Phase::Body;
        Ok(Some(end))
    }

    /// Writes the head of a part, and knows what reads its body.
    fn begin(&mut self, head: &PartHead<'_>, run: &mut Run<'_>) -> Result<(), MaskError> {
        let plan = run.plan;
        let single = |name: &[u8]| head.single(name).ok_or(MaskError::Multipart);
        self.disposition(single(b"content-disposition")?, plan)?;
        let encoding = single(b"content-transfer-encoding")?.unwrap_or(b"binary");
        let plain = [b"7bit".as_slice(), b"8bit", b"binary"];
        let encoded = !plain.iter().any(|known| encoding.eq_ignore_ascii_case(known))
            || single(b"content-encoding")?.is_some();
        let content_type = single(b"content-type")?.unwrap_or(b"text/plain");
        let passing = || plan.passing(content_type).ok_or(MaskError::Part);
        let part = match Format::of(content_type) {
            Err(FormatError::Malformed) => return Err(MaskError::Multipart),
            Err(FormatError::UnknownType) => Part::Opaque(passing()?, Label::default()),
            _ if encoded => Part::Opaque(passing()?, Label::default()),
            Ok(Format::Text) => {
                let mut text = Box::new(Nested::new(Layer::Plain, plan.json_depth()));
                text.start(self.name.state());
                Part::Text(text)
            }
            Ok(format @ (Format::Json | Format::Form)) => Part::Other(framer(format, plan)),
            _ => return Err(MaskError::Part),
        };
        let mut unit = TextUnit::default();
        let mut written = Head::default();
        for (name, value) in &head.lines {
            // SECURITY: a head whose names say something is not understood.
            if !unit.probe(name, plan)?.is_empty() {
                return Err(MaskError::Part);
            }
            let masked = mask(value, HEAD, false, plan, run.notes)?;
            written.line(name, masked.as_deref().unwrap_or(value));
        }
        let field = plan.actions(self.name.state()).and_then(|actions| actions.field.as_ref());
        let field = field.filter(|_| self.name.is_named());
        // What passes without a look has the length that it had.
        if Head::says_length(head) && (field.is_some() || !matches!(part, Part::Opaque(..))) {
            self.sized = Some(Sized::new(written));
        } else {
            run.out.extend_from_slice(&written.finish());
        }
        let text = matches!(part, Part::Text(_));
        self.part = part;
        if field.is_some_and(FieldPlan::wants_value) && text {
            self.part = Part::Kept(Vec::new());
        } else if let Some(field) = field {
            self.part = Part::Dropped;
            let at = self.name.location("part");
            let replace = |run: &mut Run<'_>| {
                Sink::new(plan, run.out, run.notes, plan.state_limit()).replace_field(field, None, at);
                Ok(())
            };
            match &mut self.sized {
                Some(sized) => sized.write(run, replace)?,
                None => replace(run)?,
            }
        }
        if let Part::Opaque(pass, _) = self.part {
            run.notes.pass(UnseenKind::Content(pass), self.name.location("part").describe(plan));
        }
        Ok(())
    }

    /// What the part is called.
    fn disposition(&mut self, value: Option<&[u8]>, plan: &MaskPlan) -> Result<(), MaskError> {
        let Some(value) = value else {
            return if self.form { Err(MaskError::Multipart) } else { Ok(()) };
        };
        let (kind, list) = parameters(value).ok_or(MaskError::Multipart)?;
        let name = list.iter().find(|(name, _)| name == "name").map(|(_, text)| text.as_slice());
        let is_field = kind.eq_ignore_ascii_case(b"form-data") && name.is_some();
        // SECURITY: `_charset_` tells how to read the other parts (HTML, form submission), and `name*` names it twice.
        let unknown = name == Some(b"_charset_") || list.iter().any(|(name, _)| name == "name*");
        if (self.form && !is_field) || unknown {
            return Err(MaskError::Multipart);
        }
        if let Some(name) = name {
            self.name.take(name, plan)?;
            self.name.end(plan);
        }
        Ok(())
    }

    fn body(&mut self, raw: &[u8], run: &mut Run<'_>) -> Result<Option<usize>, MaskError> {
        let Some(found) = find(raw, &self.dashed) else {
            let length = raw.len() - undecided(raw, &self.dashed);
            self.write_part(raw.get(..length).unwrap_or_default(), run)?;
            return Ok((length > 0).then_some(length));
        };
        let line = raw.get(..found).unwrap_or_default();
        let text = line.strip_suffix(b"\r\n");
        self.write_part(text.unwrap_or(line), run)?;
        // SECURITY: elsewhere than on a line of its own some readers see a delimiter and some do not.
        if text.is_none() {
            return Err(MaskError::Multipart);
        }
        self.end_part(run)?;
        run.out.extend_from_slice(b"\r\n");
        run.out.extend_from_slice(&self.dashed);
        self.phase = Phase::Delimiter;
        Ok(Some(found + self.dashed.len()))
    }

    fn write_part(&mut self, text: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let Some(mut sized) = self.sized.take() else { return self.write_text(text, run) };
        let done = sized.write(run, |run| self.write_text(text, run));
        self.sized = Some(sized);
        done
    }

    fn end_part(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        let Some(mut sized) = self.sized.take() else { return self.end_text(run) };
        sized.write(run, |run| self.end_text(run))?;
        sized.finish(run.out);
        Ok(())
    }

    fn write_text(&mut self, text: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let start = run.out.len();
        let at = self.name.location("part");
        let done = match &mut self.part {
            Part::Dropped => Ok(()),
            Part::Kept(value) => {
                keep(text, value);
                Ok(())
            }
            Part::Other(framer) => framer.write(text, run),
            Part::Opaque(_, label) => label.check(text, run.out),
            Part::Text(nested) => {
                let end = memchr(0, text).unwrap_or(text.len());
                let mut sink = Sink::new(run.plan, run.out, run.notes, run.plan.state_limit());
                let written = nested.literal(text.get(..end).unwrap_or_default(), &mut sink, at);
                written.and_then(|()| sink.fits(nested.held())).and(if end < text.len() {
                    Err(MaskError::Charset)
                } else {
                    Ok(())
                })
            }
        };
        self.check_written(start, run.out)?;
        done
    }

    fn end_text(&mut self, run: &mut Run<'_>) -> Result<(), MaskError> {
        let start = run.out.len();
        let at = self.name.location("part");
        match &mut self.part {
            Part::Dropped | Part::Opaque(..) => {}
            Part::Kept(value) => {
                let actions = run.plan.actions(self.name.state());
                let field = actions.and_then(|actions| actions.field.as_ref()).ok_or(MaskError::Multipart)?;
                let mut sink = Sink::new(run.plan, run.out, run.notes, run.plan.state_limit());
                sink.replace_field(field, Some(value.as_slice()), at);
            }
            Part::Other(framer) => framer.end(run)?,
            Part::Text(nested) => {
                nested.finish(&mut Sink::new(run.plan, run.out, run.notes, run.plan.state_limit()), at)?;
            }
        }
        self.part = Part::Dropped;
        self.check_written(start, run.out)
    }

    /// Refuses the body where what was put out since `start` completes a delimiter: all but its last byte is put out.
    fn check_written(&mut self, start: usize, out: &mut Vec<u8>) -> Result<(), MaskError> {
        let carried = self.written.len();
        self.written.extend_from_slice(out.get(start..).unwrap_or_default());
        if let Some(at) = find(&self.written, &self.dashed) {
            let last = (at + self.dashed.len()).saturating_sub(carried + 1);
            out.truncate(start + last);
            return Err(MaskError::Multipart);
        }
        let keep = self.written.len().min(self.dashed.len() - 1);
        self.written.drain(..self.written.len() - keep);
        Ok(())
    }
}

const HEAD: Location<'static> = Location::of("part.head").verbatim();

impl Framer for MultipartBody {
    fn write(&mut self, chunk: &[u8], run: &mut Run<'_>) -> Result<(), MaskError> {
        let mut raw = std::mem::take(&mut self.raw);
        raw.extend_from_slice(chunk);
        let mut at = 0;
        while let Some(taken) = self.advance(raw.get(at..).unwrap_or_default(), run)? {
            at += taken;
        }
        raw.drain(..at);
        self.raw = raw;
        Ok(())
    }

    fn end(&mut self, _run: &mut Run<'_>) -> Result<(), MaskError> {
        match self.phase {
            Phase::End => Ok(()),
            // An empty body is nothing to inspect.
            Phase::Start if self.raw.is_empty() => Ok(()),
            _ => Err(MaskError::Truncated),
        }
    }

    fn held(&self) -> usize {
        let part = match &self.part {
            Part::Text(nested) => nested.held(),
            Part::Other(framer) => framer.held(),
            Part::Kept(value) => value.len(),
            Part::Dropped | Part::Opaque(..) => 0,
        };
        let sized = self.sized.as_ref().map_or(0, Sized::held);
        self.raw.len() + self.written.len() + self.name.held() + part + sized
    }
}
