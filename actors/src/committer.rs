//! The commit thread: it alone holds the journal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::port::journal::{Journal, JournalError, commit};

use crate::commit::{CommitGroup, CommitOutcome, Ticket};
use crate::runtime::Runtime;
use crate::shard_event::ShardEvent;

/// Takes groups from the commit queue, commits each with one sync, and sends the outcomes to the shards: one event for
/// each group and shard.
pub(crate) struct Committer {
    journal: Box<dyn Journal>,
    runtime: Arc<Runtime>,
    group: CommitGroup,
}

impl Committer {
    pub(crate) fn new(journal: Box<dyn Journal>, runtime: Arc<Runtime>) -> Self {
        Self { journal, runtime, group: CommitGroup::default() }
    }

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while self.step(true) {}
    }

    /// Commits one group. Returns `false` when the queue is closed and empty.
    pub(crate) fn step(&mut self, wait: bool) -> bool {
        let open = self.runtime.services.commits.take(&mut self.group, wait);
        let horizon = &self.runtime.followers.horizon;
        let mark = std::mem::take(&mut self.group.mark) || (horizon.is_watched() && !self.group.records.is_empty());
        if !self.group.records.is_empty() {
            self.commit();
        }
        if mark {
            self.send_mark();
        }
        // After the commit: a user that is loaded must be read with everything that was queued before the load.
        self.runtime.loads.push_users(self.group.loads.drain(..));
        self.runtime.loads.push_look_ups(self.group.look_ups.drain(..));
        open
    }

    fn commit(&mut self) {
        let tickets = std::mem::take(&mut self.group.tickets);
        let journal_failed = &self.runtime.services.journal_failed;
        if journal_failed.load(Ordering::Relaxed) {
            // The fate of an earlier group is unknown, so nothing may follow it until a restart has found out: a record
            // that is built on a lost one could otherwise find its sequence free.
            self.group.records.clear();
            return self.send(tickets.into_iter().map(CommitOutcome::Failed));
        }
        let records = &self.group.records;
        let journal = self.journal.as_mut();
        let result = catch_unwind(AssertUnwindSafe(|| commit(journal, records, tickets)));
        self.group.records.clear();
        match result {
            Ok(Ok(answers)) => self.send(answers.into_iter().map(|answer| match answer {
                Ok(committed) => CommitOutcome::Committed(committed),
                Err((_, ticket)) => CommitOutcome::Refused(ticket),
            })),
            Ok(Err((error, tickets))) => {
                self.report(&error, tickets.len());
                self.send(tickets.into_iter().map(CommitOutcome::Failed));
            }
            Err(_) => {
                // The tickets are gone with the stack, so every pending commit fails.
                tracing::error!("the journal panicked: every pending commit fails");
                journal_failed.store(true, Ordering::Relaxed);
                for shard in &self.runtime.shards {
                    let _ = shard.send(ShardEvent::CommitsLost);
                }
            }
        }
    }

    fn report(&self, error: &JournalError, commits: usize) {
        let cause: &dyn std::error::Error = error;
        tracing::error!(error = cause, commits, "a group of commits failed");
        if matches!(error, JournalError::UnknownFate(_)) {
            self.runtime.services.journal_failed.store(true, Ordering::Relaxed);
        }
    }

    fn send(&self, outcomes: impl Iterator<Item = CommitOutcome>) {
        let mut by_shard: Vec<Vec<CommitOutcome>> = self.runtime.shards.iter().map(|_| Vec::new()).collect();
        for outcome in outcomes {
            let Ticket { shard, .. } = outcome.ticket();
            by_shard[usize::from(*shard)].push(outcome);
        }
        for (shard, outcomes) in self.runtime.shards.iter().zip(by_shard) {
            if !outcomes.is_empty() {
                // A shard that has stopped has no pending commit that anybody waits for.
                let _ = shard.send(ShardEvent::CommitsSettled(outcomes));
            }
        }
    }

    /// Sends a mark to all shards, after the outcomes.
    fn send_mark(&self) {
        let mark = self.runtime.followers.horizon.mark();
        for shard in &self.runtime.shards {
            let _ = shard.send(ShardEvent::HorizonMark(mark.clone()));
        }
    }
}
