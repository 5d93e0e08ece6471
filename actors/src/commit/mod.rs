//! The path to the commit thread: permits, the queue and its groups.

mod permits;
mod queue;

use std::sync::Arc;

use domain::delta::Delta;
use domain::port::journal::Committed;

pub(crate) use permits::{CheckpointLag, Permit, PermitLimits, Permits};
pub(crate) use queue::{CommitGroup, CommitLimits, CommitQueue};

use crate::slots::SlotKey;

/// What travels with a record through the commit thread and back to the actor that made it.
///
/// The ticket owns the delta, so nobody can publish it before the journal has taken the record.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The shard of the actor.
    pub(crate) shard: u16,
    /// The slot of the actor in its shard.
    pub(crate) slot: SlotKey,
    /// The record's sequence.
    pub(crate) sequence: u64,
    /// What is to be published; `None` if only registers changed.
    pub(crate) delta: Option<Arc<Delta>>,
    /// The event's time in microseconds since the Unix epoch, for the freshness metric.
    pub(crate) observed_at: Option<i64>,
    /// Given back when the actor has dealt with the outcome.
    pub(crate) permit: Permit,
}

/// The outcome of the commit of one record.
#[derive(Debug)]
pub(crate) enum CommitOutcome {
    /// The record is durable.
    Committed(Committed<Ticket>),
    /// The journal refused the record, as another incarnation of the actor has written since.
    Refused(Ticket),
    /// The group failed: it was not taken, or its fate is unknown.
    Failed(Ticket),
}

impl CommitOutcome {
    /// Returns the record's ticket.
    pub(crate) fn ticket(&self) -> &Ticket {
        match self {
            Self::Committed(ticket) => ticket.get(),
            Self::Refused(ticket) | Self::Failed(ticket) => ticket,
        }
    }
}
