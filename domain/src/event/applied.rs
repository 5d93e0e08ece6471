//! What a feed event changed.

use super::{RegisterWrite, SharedText};
use crate::source::Source;

/// The part of a feed event that changed registers: what a journal frame stores of the event.
#[derive(Debug)]
pub(crate) struct AppliedEvent {
    pub(crate) source: Source,
    /// The observed_at of the values, in microseconds since the Unix epoch.
    pub(crate) time: i64,
    pub(crate) id: SharedText,
    /// The person whose request the event is; `None` for an event of a feed.
    pub(crate) person: Option<SharedText>,
    /// The writes that the registers took, in the order of the event.
    pub(crate) writes: Vec<RegisterWrite>,
}
