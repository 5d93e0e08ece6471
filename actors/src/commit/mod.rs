//! The commit thread and the way to it: queue, permits, groups.

mod permits;
mod queue;
mod thread;

use std::sync::Arc;

use domain::delta::Delta;
use domain::port::journal::Committed;

pub(crate) use permits::{Lag, Permit, PermitLimits, Permits};
pub(crate) use queue::{Bounds, CommitQueue};
pub(crate) use thread::Committer;

use crate::slots::SlotKey;

/// What travels with a record through the commit thread and back to the actor that made it.
///
/// The delta goes along, and only along: so nobody can publish it without the journal's word.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The shard and the slot of the actor.
    pub(crate) shard: u16,
    /// Which of the shard's actors.
    pub(crate) slot: SlotKey,
    /// The record's sequence.
    pub(crate) sequence: u64,
    /// What is to be published; `None` where only registers changed.
    pub(crate) delta: Option<Arc<Delta>>,
    /// The event's time in microseconds, for the freshness of what it made visible.
    pub(crate) observed_at: Option<i64>,
    /// Given back when the actor has dealt with the outcome.
    pub(crate) permit: Permit,
}

/// What became of a record.
#[derive(Debug)]
pub(crate) enum Settled {
    /// Durable.
    Committed(Committed<Ticket>),
    /// Another incarnation of the actor wrote since.
    Refused(Ticket),
    /// Its group failed: not taken, or of unknown fate.
    Failed(Ticket),
}

impl Settled {
    /// The ticket, whatever became of it.
    pub(crate) fn ticket(&self) -> &Ticket {
        match self {
            Self::Committed(ticket) => ticket.get(),
            Self::Refused(ticket) | Self::Failed(ticket) => ticket,
        }
    }
}
