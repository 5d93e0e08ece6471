//! Marks about snapshots become pending.

use domain::pipeline::apply::mark_snapshot;
use domain::snapshot::{RequestedSnapshot, SnapshotId, SnapshotMark, SnapshotTrigger};
use domain::state::UserState;
use smallvec::smallvec;

use super::environment::Environment;
use super::state::{ProfileState, Waiter};
use crate::error::{Busy, ReadError};
use crate::priority::Priority;
use crate::request::{MarkSnapshot, SnapshotOrder};
use crate::services::Services;

impl ProfileState {
    /// Makes a mark about snapshots of the newest state, rolled to today, which may still be pending.
    pub(super) fn mark_snapshot(&mut self, environment: &Environment<'_>, request: MarkSnapshot) {
        let MarkSnapshot { order, answer } = request;
        if self.tip().is_none() {
            let error = if self.tip_tombstone().is_some() { ReadError::Erased } else { self.why_no_head() };
            // The caller may have stopped waiting.
            let _ = answer.send(Err(error));
            return;
        }
        // If nothing has changed, the answer is dropped, which means busy.
        let _: Result<(), Busy> = self.enqueue_mark(environment, order, answer);
    }

    fn enqueue_mark(
        &mut self,
        environment: &Environment<'_>,
        order: SnapshotOrder,
        answer: tokio::sync::oneshot::Sender<Result<crate::request::MarkedState, ReadError>>,
    ) -> Result<(), Busy> {
        let services = environment.services;
        let now = services.clock.now_micros();
        self.roll(environment, now, Priority::OwnWrite)?;
        let permit = services.take_permit(Priority::OwnWrite)?;
        let Some(tip) = self.tip() else { return Err(Busy) };
        let mark = match order {
            SnapshotOrder::Take(trigger) => SnapshotMark::Taken(requested(services, &tip, now, trigger)),
            SnapshotOrder::Remove(mark) => mark,
        };
        let finished = mark_snapshot(&tip, &self.user, mark);
        let waiters = smallvec![Waiter::Mark(answer, mark)];
        self.enqueue(environment, finished, Some(&tip), permit, None, waiters)
    }
}

/// Returns a new snapshot of a state. It is never older than the revision that it is of, whatever the clock does.
fn requested(services: &Services, state: &UserState, now: i64, trigger: SnapshotTrigger) -> RequestedSnapshot {
    let created_at = now.max(state.envelope.generated_at);
    RequestedSnapshot {
        id: SnapshotId::from_random(created_at, services.random()),
        revision: state.envelope.revision,
        created_at,
        expires_at: created_at.saturating_add(services.options.snapshot_periods.requested),
        trigger,
    }
}
