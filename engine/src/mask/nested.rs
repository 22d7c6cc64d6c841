//! A string that carries a JSON document, such as the arguments of a tool call.
//!
//! It is walked one level down with both layers of escapes decoded, and written as it came. If its first character that
//! is no blank is neither `{` nor `[` it is text; if it stops being JSON, what follows is text: the unit that was being
//! read goes on. A document that ends too early is fine: models are cut off.

use super::MaskError;
use super::channel::Flow;
use super::document::{Document, Layer, Text, Writer};
use super::text::{Location, Sink, TextUnit};
use crate::format::json::{Block, Follow, Stop, Walker, is_blank};
use crate::format::paths::StateId;

/// A document inside a string.
#[derive(Clone)]
pub(crate) struct Nested {
    walker: Walker,
    document: Document,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing but blanks yet.
    Blank,
    Json,
    Text,
    /// A masked value never ended as JSON would: nothing is written any more.
    Drop,
}

/// What an input leaves for the next phase.
enum Left<'i> {
    Nothing,
    Rest(&'i [u8]),
}

impl Nested {
    pub(crate) fn new(layer: Layer, depth: usize) -> Nested {
        let walker = Walker::new(StateId::ROOT, depth, Follow::Containers);
        Nested { walker, document: Document::new(layer), phase: Phase::Blank }
    }

    /// A new string at a place with this state: paths go on inside it.
    pub(crate) fn start(&mut self, root: StateId) {
        self.walker.reset(root);
        self.document.reset();
        self.phase = Phase::Blank;
    }

    /// Characters that stand for themselves.
    pub(crate) fn literal(
        &mut self,
        run: &[u8],
        sink: &mut Sink<'_>,
        base: Location<'_>,
    ) -> Result<(), MaskError> {
        let mut rest = run;
        while !rest.is_empty() {
            match self.advance(rest, sink, base)? {
                Left::Nothing => break,
                Left::Rest(left) => rest = left,
            }
        }
        Ok(())
    }

    /// A character that the outer string writes as `raw`.
    pub(crate) fn cell(
        &mut self,
        raw: &[u8],
        text: &[u8],
        sink: &mut Sink<'_>,
        base: Location<'_>,
    ) -> Result<(), MaskError> {
        if self.phase == Phase::Blank {
            match text {
                text if text.iter().all(may_precede) => {
                    return self.document.unit.cell(raw, text, sink, base);
                }
                [b'{' | b'['] => self.open(sink, base)?,
                _ => self.phase = Phase::Text,
            }
        }
        if self.phase == Phase::Json {
            let Nested { walker, document, .. } = self;
            let paths = sink.plan.paths();
            let mut writer = Writer { document, sink, base: Some(base), flow: Flow::None };
            match walker.cell(raw, text, paths, &mut writer) {
                Ok(()) => return Ok(()),
                Err(Stop::Syntax { .. }) => self.give_up(sink, base)?,
                Err(Stop::TooDeep) => return Err(MaskError::TooDeep),
                Err(Stop::Visit(error)) => return Err(error),
            }
        }
        match self.phase {
            Phase::Text => self.document.unit.cell(raw, text, sink, base),
            _ => Ok(()),
        }
    }

    /// Characters of the outer string, each written in its own way.
    pub(crate) fn block(
        &mut self,
        block: &Block<'_>,
        sink: &mut Sink<'_>,
        base: Location<'_>,
    ) -> Result<(), MaskError> {
        let first = block.text.iter().find(|byte| !may_precede(byte));
        match (self.phase, first) {
            // Blanks are text until a document opens.
            (Phase::Blank, None) => return self.document.unit.block(block, sink, base),
            (Phase::Blank, Some(b'{' | b'[')) => {}
            (Phase::Blank, Some(_)) => self.phase = Phase::Text,
            _ => {}
        }
        if self.phase == Phase::Text {
            return self.document.unit.block(block, sink, base);
        }
        block.pieces().try_for_each(|(raw, text)| {
            if raw == text { self.literal(text, sink, base) } else { self.cell(raw, text, sink, base) }
        })
    }

    /// The end of the string: writes all that is left.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>, base: Location<'_>) -> Result<(), MaskError> {
        let Nested { walker, document, phase } = self;
        if *phase == Phase::Json {
            let frames = walker.place().frames.to_vec();
            let at = Location { inner: &frames, strings: base.strings.saturating_add(1), ..base };
            document.lead.release(sink.out);
            Writer { document, sink, base: Some(base), flow: Flow::None }.abandon(walker.place());
            match document.string() {
                Text::Key => {
                    let Document { unit, keys, .. } = document;
                    keys.abandon(sink);
                    walker.take_escape(|raw, byte| unit.cell(raw, &[byte], sink, at))?;
                    unit.finish(sink, at)?;
                }
                Text::Own => {
                    walker.take_escape(|raw, byte| document.unit.cell(raw, &[byte], sink, at))?;
                    document.unit.finish(sink, at)?;
                }
                _ if document.scalar.waits() => {
                    let Document { unit, scalar, .. } = document;
                    if !scalar.has_ended() {
                        scalar.end(unit, sink, at)?;
                    }
                    let quote = document.quote();
                    document.scalar.write(quote, sink);
                }
                _ => {}
            }
        } else {
            document.unit.finish(sink, base)?;
        }
        self.start(StateId::ROOT);
        Ok(())
    }

    /// The unit that goes on, once the string is known to be text and nothing else is needed.
    pub(crate) fn take_text(&mut self) -> Option<TextUnit> {
        (self.phase == Phase::Text).then(|| std::mem::take(&mut self.document.unit))
    }

    /// Is anything read still to be written?
    pub(crate) fn waits(&self) -> bool {
        self.document.waits() || self.walker.has_escape()
    }

    /// Bytes of text and state that are held.
    pub(crate) fn held(&self) -> usize {
        size_of::<Nested>() + self.walker.held() + self.document.held()
    }

    fn advance<'i>(
        &mut self,
        rest: &'i [u8],
        sink: &mut Sink<'_>,
        base: Location<'_>,
    ) -> Result<Left<'i>, MaskError> {
        match self.phase {
            Phase::Blank => {
                let length = rest.iter().position(|byte| !may_precede(byte)).unwrap_or(rest.len());
                let (blanks, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                self.document.unit.literal(blanks, sink, base)?;
                match rest.first() {
                    Some(b'{' | b'[') => self.open(sink, base)?,
                    Some(_) => self.phase = Phase::Text,
                    None => {}
                }
                Ok(Left::Rest(rest))
            }
            Phase::Json => {
                let Nested { walker, document, .. } = self;
                let paths = sink.plan.paths();
                let mut writer = Writer { document, sink, base: Some(base), flow: Flow::None };
                match walker.run(rest, paths, &mut writer) {
                    Ok(()) => Ok(Left::Nothing),
                    Err(Stop::Syntax { taken }) => {
                        self.give_up(sink, base)?;
                        Ok(Left::Rest(rest.get(taken..).unwrap_or_default()))
                    }
                    Err(Stop::TooDeep) => Err(MaskError::TooDeep),
                    Err(Stop::Visit(error)) => Err(error),
                }
            }
            Phase::Text => {
                self.document.unit.literal(rest, sink, base)?;
                Ok(Left::Nothing)
            }
            Phase::Drop => Ok(Left::Nothing),
        }
    }

    /// It seems to be JSON: the blanks before it are a text of their own.
    fn open(&mut self, sink: &mut Sink<'_>, base: Location<'_>) -> Result<(), MaskError> {
        self.document.unit.finish(sink, base)?;
        self.phase = Phase::Json;
        Ok(())
    }

    /// It is not JSON: what was begun goes on as text.
    fn give_up(&mut self, sink: &mut Sink<'_>, base: Location<'_>) -> Result<(), MaskError> {
        let Nested { walker, document, phase } = self;
        // SECURITY: a masked value that is no JSON has no end that could be known, so nothing after it is written. It may
        // begin like JSON: a number, a string with a quote inside.
        if document.is_dropping() {
            Writer { document, sink, base: Some(base), flow: Flow::None }.abandon(walker.place());
            *phase = Phase::Drop;
            return Ok(());
        }
        let expected = walker.expected().and_then(|place| {
            let field = sink.plan.actions(place.state)?.field.as_ref()?;
            Some((field, Location { inner: place.frames, strings: base.strings.saturating_add(1), ..base }))
        });
        if let Some((field, at)) = expected {
            *phase = Phase::Drop;
            if field.is_drop() && document.lead.is_on() {
                document.lead.discard(sink.out);
                sink.drop_field(field, at);
                return Ok(());
            }
            document.lead.release(sink.out);
            let quote = document.quote();
            sink.replace_json(field, (None, false), quote, at);
            return Ok(());
        }
        *phase = Phase::Text;
        document.lead.release(sink.out);
        let Document { unit, scalar, keys, .. } = document;
        keys.abandon(sink);
        scalar.release(unit, sink, base)?;
        walker.take_escape(|raw, byte| unit.cell(raw, &[byte], sink, base))
    }
}

/// May a document begin behind this byte? Blanks, and the bytes of a byte order mark, which some readers skip.
pub(super) fn may_precede(byte: &u8) -> bool {
    is_blank(*byte) || matches!(byte, 0xEF | 0xBB | 0xBF)
}
