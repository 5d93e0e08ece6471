//! An erasure becomes pending, and a registration begins the next generation.

use std::time::Instant;

use domain::erasure::{ErasureReason, Tombstone};
use domain::event::FeedEvent;
use domain::pipeline::apply::{begin_generation, erasure_record};
use domain::port::erasure::ErasedUser;
use domain::port::journal::RowId;
use domain::port::log::NewestRecord;
use domain::record::greatest_revision;
use domain::state::UserState;
use smallvec::smallvec;

use super::apply::{PENDING_BYTES, context, guard, micros_since, new_user};
use super::environment::Environment;
use super::state::{Pending, PendingHead, ProfileState, Waiter};
use crate::commit::Ticket;
use crate::error::{Busy, ReadError};
use crate::outlet::FrameKind;
use crate::priority::Priority;
use crate::reply::{Reply, Status};
use crate::request::Erase;

impl ProfileState {
    /// Ends the generation of the newest state, which may still be pending.
    pub(super) fn erase(&mut self, environment: &Environment<'_>, request: Erase) {
        let Erase { reason, answer } = request;
        if let Some(erased) = self.erased() {
            // The caller may have stopped waiting.
            let _ = answer.send(Ok(erased));
            return;
        }
        if self.is_erasure_pending() {
            return self.wait_for_tip(Waiter::Erase(answer));
        }
        let now = environment.services.clock.now_micros();
        let tombstone = match (self.tip(), self.damaged()) {
            (Some(tip), _) => tombstone_after(&tip, reason, now),
            (None, Some(newest)) => {
                let tolerance = environment.services.options.future_tolerance.as_micros();
                let latest = now.saturating_add(i64::try_from(tolerance).unwrap_or(i64::MAX));
                tombstone_of_damaged(newest, reason, latest)
            }
            (None, None) => {
                let _ = answer.send(Err(ReadError::Unknown));
                return;
            }
        };
        // If nothing has changed, the answer is dropped, which means busy.
        let _: Result<(), Busy> = self.enqueue_erasure(environment, tombstone, Waiter::Erase(answer));
    }

    fn enqueue_erasure(
        &mut self,
        environment: &Environment<'_>,
        tombstone: Tombstone,
        waiter: Waiter,
    ) -> Result<(), Busy> {
        let services = environment.services;
        let mut permit = services.take_permit(Priority::OwnWrite)?;
        permit.charge(PENDING_BYTES);
        let (shard, slot, sequence) = (environment.shard, self.slot, tombstone.last_sequence);
        let ticket = Ticket { shard, slot, sequence, delta: None, observed_at: None, permit };
        services.commits.commit(erasure_record(&self.user, &tombstone), ticket)?;
        self.pending.push_back(Pending { head: PendingHead::Erased(tombstone), waiters: smallvec![waiter] });
        Ok(())
    }

    /// Deals with an event of a user whose newest record is an erasure.
    pub(super) fn merge_after_erasure(
        &mut self,
        environment: &Environment<'_>,
        tombstone: Tombstone,
        event: &FeedEvent,
        received: Instant,
        (reply, priority): (Reply, Priority),
    ) -> Result<(), Busy> {
        let services = environment.services;
        let now = services.clock.now_micros();
        let context = context(services, now, None);
        let permit = services.take_permit(priority)?;
        let begun = guard(|| {
            let change = begin_generation(&tombstone, || new_user(services), event, &context)?;
            Some(change.finish(&self.user, now, micros_since(received)))
        })?;
        let Some(finished) = begun else {
            self.answer_with_tip(reply, Status::Erased);
            return Ok(());
        };
        let revision = finished.state.envelope.revision;
        let waiters = smallvec![Waiter::Event(reply, Status::Applied { revision })];
        self.enqueue(environment, finished, None, permit, Some(event.time), waiters)
    }

    /// Makes a durable tombstone the head: cell, columns, subscribers.
    pub(super) fn advance_to_tombstone(&mut self, environment: &Environment<'_>, row: RowId, tombstone: Tombstone) {
        self.set_erased(row, tombstone);
        self.cell.advance_to_tombstone(&tombstone);
        environment.services.projection.erased(row, &tombstone);
        if let Some(outlets) = self.outlets.take() {
            let sent = outlets.send_erased(&self.user);
            environment.services.metrics.frames(FrameKind::Erased).increment(sent as u64);
        }
    }

    /// Returns the erased user, if the head is a tombstone and nothing is pending after it.
    fn erased(&self) -> Option<ErasedUser> {
        let (row, tombstone) = self.head_tombstone().filter(|_| self.pending.is_empty())?;
        Some(ErasedUser { user: self.user, row, tombstone })
    }
}

/// Returns the tombstone that ends the generation of a state.
fn tombstone_after(tip: &UserState, reason: ErasureReason, now: i64) -> Tombstone {
    let newest = tip.documents.newest_of_all();
    Tombstone {
        generation: tip.generation,
        // The generation is never longer ago than its newest revision, whatever the clock does. Nor is it than its newest
        // event: one whose time was ahead of the clock could be delivered again, and would begin the next generation with the
        // data of this one.
        erased_at: now.max(tip.envelope.generated_at).max(tip.begins_after).max(newest.unwrap_or(i64::MIN)),
        reason,
        last_revision: tip.envelope.revision,
        last_sequence: tip.sequence + 1,
        was_shared: tip.consent().third_party_sharing,
    }
}

/// Returns the tombstone of a user whose state cannot be read. `latest` is the latest time that an event may have now, as its own
/// events are not known: a registration before it is refused.
fn tombstone_of_damaged(newest: NewestRecord, reason: ErasureReason, latest: i64) -> Tombstone {
    Tombstone {
        generation: newest.erased + 1,
        erased_at: latest,
        reason,
        last_revision: greatest_revision(newest.sequence),
        last_sequence: newest.sequence + 1,
        was_shared: false,
    }
}
