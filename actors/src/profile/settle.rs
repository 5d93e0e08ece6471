//! Pending becomes the head, or fails.

use std::sync::Arc;

use domain::port::journal::Committed;

use super::core::{Core, Waiter};
use crate::commit::{Settled, Ticket};
use crate::roster::Local;

impl Core {
    /// Deals with the outcome of one commit.
    pub(crate) fn settle(&mut self, local: &Local, settled: Settled) {
        let is_next = self.is_next(settled.ticket());
        match settled {
            Settled::Committed(ticket) if is_next => self.advance(local, ticket),
            // The journal took what this actor had given up: its head is not the newest. The next request hydrates.
            Settled::Committed(_) => self.detach(local),
            // What comes of a chain that failed already says nothing new.
            Settled::Refused(_) | Settled::Failed(_) if !is_next => {}
            Settled::Failed(_) => self.fail_pending(local),
            Settled::Refused(ticket) => {
                tracing::warn!(sequence = ticket.sequence, "another incarnation of a profile actor wrote: it ends");
                self.detach(local);
            }
        }
    }

    /// Whether an outcome is that of the oldest pending state.
    ///
    /// Of a chain that failed at one sequence only later sequences are still to come, and they come before any of a
    /// new chain, which begins at that very sequence: outcomes keep the order of the queue. So the sequence tells
    /// them apart.
    fn is_next(&self, ticket: &Ticket) -> bool {
        self.pending.front().is_some_and(|pending| pending.state.sequence == ticket.sequence)
    }

    /// In this order: the head moves, the head cell, publication, the permit, answers. So whoever has an answer reads what
    /// was answered, and no frame runs ahead of a read.
    fn advance(&mut self, local: &Local, ticket: Committed<Ticket>) {
        let started = std::time::Instant::now();
        let Some(pending) = self.pending.pop_front() else { return };
        self.set_head(local, Arc::clone(&pending.state));
        self.cell.advance(&pending.state);
        self.publish(local, &pending.state, &ticket);
        let metrics = &local.shared.metrics;
        if let Some(observed_at) = ticket.get().observed_at {
            let micros = local.shared.clock.now_micros().saturating_sub(observed_at).max(0);
            metrics.freshness.record(micros as f64 / 1e6);
        }
        // The commit is no longer pending. Its permit is free before anybody has an answer: who sends the next event on it
        // must not be refused for the one before.
        drop(ticket.into_inner().permit);
        for waiter in pending.waiters {
            match waiter {
                Waiter::Event(reply, status) => reply.answer(status),
                Waiter::Read(request) => self.answer(local, *request),
            }
        }
        metrics.stage_persist_publish.record(started.elapsed());
    }
}
