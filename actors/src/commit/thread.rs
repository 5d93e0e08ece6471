//! The commit thread: it alone holds the journal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::port::journal::{Journal, JournalError, commit};

use super::queue::Group;
use super::{Settled, Ticket};
use crate::roster::ShardEvent;
use crate::shared::Shared;

/// Takes groups from the queue, commits each with one sync, and sends the outcomes to the shards:
/// one message for a group and shard.
pub(crate) struct Committer {
    journal: Box<dyn Journal>,
    shared: Arc<Shared>,
    group: Group,
}

impl Committer {
    pub(crate) fn new(journal: Box<dyn Journal>, shared: Arc<Shared>) -> Self {
        Self { journal, shared, group: Group::default() }
    }

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while self.step(true) {}
    }

    /// Commits one group. `false` when there will be no further one.
    pub(crate) fn step(&mut self, wait: bool) -> bool {
        let open = self.shared.commits.take(&mut self.group, wait);
        let horizon = &self.shared.followers.horizon;
        let mark = std::mem::take(&mut self.group.mark) || (horizon.is_watched() && !self.group.records.is_empty());
        if !self.group.records.is_empty() {
            self.commit();
        }
        if mark {
            // Behind the outcomes, in each shard's own order.
            let mark = self.shared.followers.horizon.mark();
            for shard in &self.shared.shards {
                let _ = shard.send(ShardEvent::Passed(mark.clone()));
            }
        }
        // Only now: whoever is loaded must find what was committed before.
        self.shared.loads.push(self.group.loads.drain(..));
        self.shared.loads.push_look_ups(self.group.look_ups.drain(..));
        open
    }

    fn commit(&mut self) {
        let tickets = std::mem::take(&mut self.group.tickets);
        if self.shared.journal_failed.load(Ordering::Relaxed) {
            // Whatever came before has no certain fate, so nothing may follow it until a restart has found out:
            // a record that is built on a lost one could otherwise find its sequence free.
            self.group.records.clear();
            return self.send(tickets.into_iter().map(Settled::Failed));
        }
        let records = &self.group.records;
        let journal = self.journal.as_mut();
        let outcome = catch_unwind(AssertUnwindSafe(|| commit(journal, records, tickets)));
        self.group.records.clear();
        match outcome {
            Ok(Ok(verdicts)) => self.send(verdicts.into_iter().map(|verdict| match verdict {
                Ok(committed) => Settled::Committed(committed),
                Err((_, ticket)) => Settled::Refused(ticket),
            })),
            Ok(Err((error, tickets))) => {
                self.report(&error, tickets.len());
                self.send(tickets.into_iter().map(Settled::Failed));
            }
            Err(_) => {
                // The tickets are gone with the stack, so every pending commit fails.
                tracing::error!("the journal panicked: every pending commit fails");
                self.shared.journal_failed.store(true, Ordering::Relaxed);
                for shard in &self.shared.shards {
                    let _ = shard.send(ShardEvent::CommitsLost);
                }
            }
        }
    }

    fn report(&self, error: &JournalError, commits: usize) {
        let cause: &dyn std::error::Error = error;
        tracing::error!(error = cause, commits, "a group of commits failed");
        if matches!(error, JournalError::UnknownFate(_)) {
            self.shared.journal_failed.store(true, Ordering::Relaxed);
        }
    }

    fn send(&self, settled: impl Iterator<Item = Settled>) {
        let mut by_shard: Vec<Vec<Settled>> = self.shared.shards.iter().map(|_| Vec::new()).collect();
        for one in settled {
            let Ticket { shard, .. } = one.ticket();
            by_shard[usize::from(*shard)].push(one);
        }
        for (shard, settled) in self.shared.shards.iter().zip(by_shard) {
            if !settled.is_empty() {
                // A shard that is gone has no pending commit that anybody waits for.
                let _ = shard.send(ShardEvent::Settled(settled));
            }
        }
    }
}
