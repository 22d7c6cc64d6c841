//! A recorded stream sent through Envoy in lock step: the upstream sends an event only after the client has received
//! the one before. A filter that waits for more than it needs would never get it, and the relay would fail.

use anyhow::{Context as _, Result, ensure};

use super::recording::{Splitter, skeleton};
use crate::upstream::{Ending, Exchange};
use crate::wire::Piece;

/// An event that was sent and what the client had received before the next one was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The event as the upstream sent it.
    pub sent: Vec<u8>,
    /// Its image; a delta with waiting text may come before it.
    pub received: Vec<Vec<u8>>,
}

/// Sends `events` one by one. `receive` gives the next part of the response that the client has.
///
/// # Errors
/// When the image of an event does not arrive, or when something else arrives.
pub fn relay(
    exchange: &Exchange,
    events: &[Vec<u8>],
    receive: &mut dyn FnMut() -> Result<Piece>,
) -> Result<Vec<Row>> {
    let mut splitter = Splitter::default();
    let mut rows = Vec::with_capacity(events.len());
    for (number, event) in events.iter().enumerate() {
        let place = || format!("event {} of {}", number + 1, events.len());
        exchange.send(event)?;
        let wanted = skeleton(event);
        let mut received = Vec::new();
        while received.last().is_none_or(|last: &Vec<u8>| skeleton(last) != wanted) {
            match receive().with_context(|| format!("{} did not arrive", place()))? {
                Piece::Data(bytes) => received.extend(splitter.push(&bytes)),
                Piece::End(_) => anyhow::bail!("the stream ended before {}", place()),
            }
        }
        ensure!(splitter.rest().is_empty(), "more than {} arrived", place());
        rows.push(Row { sent: event.clone(), received });
    }
    exchange.end(Ending::Empty)?;
    match receive().context("the stream did not end")? {
        Piece::End(_) => Ok(rows),
        Piece::Data(_) => anyhow::bail!("something came after the last event"),
    }
}
