//! A pending state becomes the head, or fails.

use std::sync::Arc;

use domain::port::journal::Committed;

use super::environment::Environment;
use super::state::{PendingHead, ProfileState, Waiter};
use crate::commit::{CommitOutcome, Ticket};

/// What the shard must do with an actor after the outcome of one of its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum AfterSettle {
    /// Keep the actor.
    Keep,
    /// The actor's head is not the newest: it must end, so that the next request hydrates the user.
    Detach,
}

impl ProfileState {
    /// Deals with the outcome of one commit.
    pub(crate) fn settle(&mut self, environment: &Environment<'_>, outcome: CommitOutcome) -> AfterSettle {
        let is_next = self.is_next(outcome.ticket());
        match outcome {
            CommitOutcome::Committed(ticket) if is_next => self.advance(environment, ticket),
            // The journal took a record that this actor had given up.
            CommitOutcome::Committed(_) => return AfterSettle::Detach,
            // The rest of a chain that has failed already.
            CommitOutcome::Refused(_) | CommitOutcome::Failed(_) if !is_next => {}
            CommitOutcome::Failed(_) => self.fail_pending(environment),
            CommitOutcome::Refused(ticket) => {
                tracing::warn!(sequence = ticket.sequence, "another incarnation of a profile actor wrote: it ends");
                return AfterSettle::Detach;
            }
        }
        AfterSettle::Keep
    }

    /// Returns whether an outcome is that of the oldest pending state.
    ///
    /// The sequence decides it. After a chain failed at one sequence, only outcomes of later sequences are left of it. A
    /// new chain begins at the sequence that failed, and its outcomes come after them, as outcomes keep the order of the
    /// queue.
    fn is_next(&self, ticket: &Ticket) -> bool {
        self.pending.front().is_some_and(|pending| pending.head.sequence() == ticket.sequence)
    }

    /// Makes the oldest pending state the head. The order matters: head, head cell, columns, publication, permit, answers. A
    /// caller that has its answer reads what was answered, and no frame is ahead of a read.
    fn advance(&mut self, environment: &Environment<'_>, ticket: Committed<Ticket>) {
        let started = std::time::Instant::now();
        let Some(pending) = self.pending.pop_front() else { return };
        let row = ticket.row();
        match &pending.head {
            PendingHead::State(state) => {
                self.set_head(Arc::clone(state));
                self.cell.advance(state);
                if let Some(delta) = &ticket.get().delta {
                    environment.services.projection.committed(row, state, delta);
                }
                self.publish(environment, state, &ticket);
            }
            PendingHead::Erased(tombstone) => self.advance_to_tombstone(environment, row, *tombstone),
        }
        let services = environment.services;
        if let Some(observed_at) = ticket.get().observed_at {
            let micros = services.clock.now_micros().saturating_sub(observed_at).max(0);
            services.metrics.freshness.record(micros as f64 / 1e6);
        }
        // Before the answers: a caller that sends its next event as soon as it has an answer must not be refused because of
        // the event before.
        drop(ticket.into_inner().permit);
        for waiter in pending.waiters {
            match waiter {
                Waiter::Read(request) => self.answer(environment, *request),
                waiter => waiter.succeed(&pending.head, (self.user, row)),
            }
        }
        services.metrics.stage_persist_publish.record(started.elapsed());
    }
}
