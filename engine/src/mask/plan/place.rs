//! The parts of an exchange that masks look at.

use crate::decision::Direction;
use crate::mask::detector::DetectorBits;
use crate::policy::model::{Field, Mask};

/// A part of an exchange that masks look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The body of a request.
    RequestBody,
    /// The body of a response.
    ResponseBody,
    /// The path of a request.
    Path,
    /// The query of a request.
    Query,
    /// The headers of requests and responses.
    Headers,
}

impl From<Direction> for Place {
    /// The body of this direction.
    fn from(direction: Direction) -> Place {
        match direction {
            Direction::Request => Place::RequestBody,
            Direction::Response => Place::ResponseBody,
        }
    }
}

impl Place {
    /// Every place.
    pub(crate) const ALL: [Place; 5] =
        [Place::RequestBody, Place::ResponseBody, Place::Path, Place::Query, Place::Headers];

    /// The detectors that look here: all of the mask, or those of its tokens where values get them or are put back.
    pub(super) fn detectors(self, mask: &Mask) -> DetectorBits {
        let scanned = self.is_scanned(mask);
        let detectors = mask.detectors.iter().filter(|_| scanned);
        let tokens = match self {
            Place::Path => false,
            Place::ResponseBody => true,
            _ => scanned || self.masks_fields(mask),
        };
        detectors.chain(mask.tokens.iter().filter(|_| tokens)).copied().collect()
    }

    fn is_scanned(self, mask: &Mask) -> bool {
        match self {
            Place::RequestBody => mask.request_body,
            Place::ResponseBody => mask.response_body,
            Place::Path => mask.head.path,
            Place::Query => mask.head.query,
            Place::Headers => mask.head.headers,
        }
    }

    /// Is anything masked here by its place?
    pub(super) fn masks_fields(self, mask: &Mask) -> bool {
        let in_body = self.is_body() && !(mask.form_fields.is_empty() && mask.attributes.is_empty());
        in_body || !self.fields(mask).is_empty()
    }

    pub(super) fn fields(self, mask: &Mask) -> &[Field] {
        match self {
            Place::RequestBody | Place::ResponseBody => &mask.fields,
            Place::Path => &[],
            Place::Query => &mask.head.query_fields,
            Place::Headers => &mask.head.header_fields,
        }
    }

    pub(crate) fn is_body(self) -> bool {
        matches!(self, Place::RequestBody | Place::ResponseBody)
    }
}
