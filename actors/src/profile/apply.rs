//! An event becomes pending.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use domain::event::{FeedEvent, RegisterWrite, SharedText};
use domain::id::ProfileId;
use domain::pipeline::apply::{ApplyOutcome, AssemblyContext, FinishedChange, NewUser, RollOutcome, apply, roll};
use domain::profile::push_hex;
use domain::source::Source;
use domain::state::UserState;
use smallvec::{SmallVec, smallvec};

use super::environment::Environment;
use super::state::{Pending, PendingHead, ProfileState, Waiter};
use crate::commit::{Permit, Ticket};
use crate::error::Busy;
use crate::priority::Priority;
use crate::reply::{Reply, Status};
use crate::request::{ApplyFeedEvent, WriteConsent};
use crate::services::Services;

/// About the bytes of a pending commit besides its state and its record's body: the ticket, the delta, the reply, and
/// their places in the queues.
pub(super) const PENDING_BYTES: usize = 512;

/// The result of a merge.
enum MergeResult {
    Changed(Box<FinishedChange>),
    Unchanged,
    Duplicate,
    BeforeErasure,
}

impl ProfileState {
    /// Merges a feed event.
    pub(super) fn apply_event(&mut self, environment: &Environment<'_>, request: ApplyFeedEvent) {
        let ApplyFeedEvent { event, received, reply, share: _share } = request;
        // If nothing has changed, the reply is dropped, which answers busy.
        let _: Result<(), Busy> = self.merge(environment, &event, received, reply, Priority::Feed);
    }

    /// Merges a consent event. Its time is now, or a microsecond after the newest stamp in the registers that it writes if
    /// that is later, so that a withdrawal is never superseded by what it withdraws.
    pub(super) fn write_consent(&mut self, environment: &Environment<'_>, request: WriteConsent) {
        let WriteConsent { writes, received, reply } = request;
        let tip = self.tip();
        let newest = writes.iter().filter_map(|write| newest_stamp(tip.as_ref()?, write)).max();
        let newest = newest.max(tip.as_ref().map(|tip| tip.begins_after));
        let mut id = "consent-".to_owned();
        push_hex(&mut id, &environment.services.random::<16>());
        let now = environment.services.clock.now_micros();
        let event = FeedEvent {
            id: SharedText::from(id),
            source: Source::Consent,
            user: self.user,
            time: newest.map_or(now, |newest| now.max(newest.saturating_add(1))),
            // Only the citizens themselves may write their consent.
            person: Some(SharedText::from(self.user.as_str())),
            registration: false,
            writes,
        };
        let _: Result<(), Busy> = self.merge(environment, &event, received, reply, Priority::OwnWrite);
    }

    /// Merges `event` into the tip. The permit is taken before the merge: without one nothing changes.
    fn merge(
        &mut self,
        environment: &Environment<'_>,
        event: &FeedEvent,
        received: Instant,
        reply: Reply,
        priority: Priority,
    ) -> Result<(), Busy> {
        if let Some(tombstone) = self.tip_tombstone() {
            return self.merge_after_erasure(environment, tombstone, event, received, (reply, priority));
        }
        if self.damaged().is_some() {
            return Err(Busy);
        }
        let services = environment.services;
        let now = services.clock.now_micros();
        self.roll(environment, now, priority)?;
        let permit = services.take_permit(priority)?;
        let tip = self.tip();
        let context = context(services, now, tip.as_deref());
        let started = Instant::now();
        let merged = guard(|| match apply(tip.as_ref(), || new_user(services), event, &context) {
            ApplyOutcome::Changed(change) => {
                MergeResult::Changed(Box::new(change.finish(&self.user, now, micros_since(received))))
            }
            ApplyOutcome::Unchanged => MergeResult::Unchanged,
            ApplyOutcome::Duplicate => MergeResult::Duplicate,
            ApplyOutcome::BeforeErasure => MergeResult::BeforeErasure,
        })?;
        services.metrics.stage_merge.record(started.elapsed());
        let revision = tip.as_ref().map_or(0, |tip| tip.envelope.revision);
        match merged {
            MergeResult::Changed(finished) => {
                let revision = finished.state.envelope.revision;
                let status = match finished.delta {
                    Some(_) => Status::Applied { revision },
                    None => Status::Unchanged { revision },
                };
                let waiters = smallvec![Waiter::Event(reply, status)];
                self.enqueue(environment, *finished, tip.as_deref(), permit, Some(event.time), waiters)?;
            }
            MergeResult::Unchanged => self.answer_with_tip(reply, Status::Unchanged { revision }),
            MergeResult::Duplicate => self.answer_with_tip(reply, Status::Duplicate { revision }),
            MergeResult::BeforeErasure => self.answer_with_tip(reply, Status::Erased),
        }
        Ok(())
    }

    /// Answers when the newest pending state, which the answer was computed from, is committed.
    pub(super) fn answer_with_tip(&mut self, reply: Reply, status: Status) {
        match self.pending.back_mut() {
            Some(pending) => pending.waiters.push(Waiter::Event(reply, status)),
            None => reply.answer(status),
        }
    }

    /// Rolls the tip to today and to the rules in force.
    pub(super) fn roll(&mut self, environment: &Environment<'_>, now: i64, priority: Priority) -> Result<(), Busy> {
        let Some(tip) = self.tip() else { return Ok(()) };
        let context = context(environment.services, now, Some(&tip));
        if is_rolled(&tip, &context) {
            return Ok(());
        }
        let permit = environment.services.take_permit(priority)?;
        let started = Instant::now();
        let rolled = guard(|| match roll(&tip, &context) {
            RollOutcome::Same(state) => Err(state),
            RollOutcome::Changed(change) => Ok(change.finish(&self.user, now, micros_since(started))),
        })?;
        match rolled {
            Ok(finished) => self.enqueue(environment, finished, Some(&tip), permit, None, SmallVec::new()),
            Err(state) => {
                match self.pending.back_mut() {
                    Some(pending) => pending.head = PendingHead::State(state),
                    None => self.set_head(state),
                }
                Ok(())
            }
        }
    }

    /// Hands a state to the commit thread, in the same call that made it, so that no other state comes in between.
    pub(super) fn enqueue(
        &mut self,
        environment: &Environment<'_>,
        finished: FinishedChange,
        before: Option<&UserState>,
        mut permit: Permit,
        observed_at: Option<i64>,
        waiters: SmallVec<[Waiter; 1]>,
    ) -> Result<(), Busy> {
        let FinishedChange { state, delta, record } = finished;
        permit.charge(PENDING_BYTES + record.body.len() + state.bytes_beyond(before));
        let ticket =
            Ticket { shard: environment.shard, slot: self.slot, sequence: state.sequence, delta, observed_at, permit };
        environment.services.commits.commit(record, ticket)?;
        self.pending.push_back(Pending { head: PendingHead::State(state), waiters });
        Ok(())
    }
}

/// Returns what the next state of `state` depends on. The day never goes back, even if the clock does.
pub(super) fn context<'a>(services: &'a Services, now: i64, state: Option<&UserState>) -> AssemblyContext<'a> {
    let today = services.today.day(now);
    AssemblyContext {
        rules: &services.rules,
        rules_fingerprint: services.rules_fingerprint,
        policy_version: services.policy.load().version,
        day: state.map_or(today, |state| state.day.max(today)),
    }
}

/// Returns whether a state is of the context's day and rules.
pub(super) fn is_rolled(state: &UserState, context: &AssemblyContext<'_>) -> bool {
    state.day == context.day && state.rules == context.rules_fingerprint
}

/// Runs rule code. A panic in it fails only this request, and changes nothing.
pub(super) fn guard<R>(rules: impl FnOnce() -> R) -> Result<R, Busy> {
    catch_unwind(AssertUnwindSafe(rules)).map_err(|_| {
        tracing::error!("a merge panicked: nothing has changed");
        Busy
    })
}

pub(super) fn new_user(services: &Services) -> NewUser {
    NewUser { profile_id: ProfileId::from_random(services.random()), integrity_key: services.random() }
}

fn newest_stamp(state: &Arc<UserState>, write: &RegisterWrite) -> Option<i64> {
    state.documents.get(Source::Consent, &write.path, write.kind).map(|register| register.time)
}

pub(super) fn micros_since(start: Instant) -> u32 {
    u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX)
}
