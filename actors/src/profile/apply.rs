//! An event becomes pending.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use domain::event::{FeedEvent, RegisterWrite, SharedText};
use domain::id::ProfileId;
use domain::pipeline::apply::{ApplyOutcome, AssemblyContext, FinishedChange, NewUser, RollOutcome, apply, roll};
use domain::port::journal::{Record, RecordKind};
use domain::profile::push_hex;
use domain::source::Source;
use domain::state::UserState;
use smallvec::{SmallVec, smallvec};

use super::core::{Core, Pending, Waiter};
use super::request::{ApplyFeedEvent, WriteConsent};
use crate::commit::{Permit, Ticket};
use crate::error::Busy;
use crate::priority::Priority;
use crate::reply::{Reply, Status};
use crate::roster::Local;
use crate::shared::Shared;

/// What a pending commit takes beside its state and its record's body: the ticket, the delta, the reply, and their
/// places in the queues.
const PENDING_BYTES: usize = 512;

/// What a merge came to.
enum Merged {
    Changed(Box<FinishedChange>),
    Unchanged,
    Duplicate,
}

impl Core {
    pub(super) fn apply_event(&mut self, local: &Local, request: ApplyFeedEvent) {
        let ApplyFeedEvent { event, received, reply, room: _room } = request;
        // A reply that is dropped says busy: nothing has changed.
        let _: Result<(), Busy> = self.merge(local, &event, received, reply, Priority::Feed);
    }

    /// The time is the greatest of now and a microsecond after the newest stamp in the registers that are written,
    /// so that a withdrawal is never superseded by what it withdraws.
    pub(super) fn write_consent(&mut self, local: &Local, request: WriteConsent) {
        let WriteConsent { writes, received, reply } = request;
        let tip = self.tip(local);
        let newest = writes.iter().filter_map(|write| newest_stamp(tip.as_ref()?, write)).max();
        let mut id = "consent-".to_owned();
        push_hex(&mut id, &local.shared.random::<16>());
        let now = local.shared.clock.now_micros();
        let event = FeedEvent {
            id: SharedText::from(id),
            source: Source::Consent,
            user: self.user,
            time: newest.map_or(now, |newest| now.max(newest + 1)),
            registration: false,
            writes,
        };
        let _: Result<(), Busy> = self.merge(local, &event, received, reply, Priority::OwnWrite);
    }

    /// Merges `event` into the tip. The permit comes before the merge: without one nothing has changed.
    fn merge(
        &mut self,
        local: &Local,
        event: &FeedEvent,
        received: Instant,
        reply: Reply,
        priority: Priority,
    ) -> Result<(), Busy> {
        let shared = &local.shared;
        let now = shared.clock.now_micros();
        self.roll(local, now, priority)?;
        let permit = shared.take_permit(priority)?;
        let tip = self.tip(local);
        let context = context(shared, now, tip.as_deref());
        let started = Instant::now();
        let merged = guard(|| match apply(tip.as_ref(), || new_user(shared), event, &context) {
            ApplyOutcome::Changed(change) => {
                Merged::Changed(Box::new(change.finish(&self.user, now, micros_since(received))))
            }
            ApplyOutcome::Unchanged => Merged::Unchanged,
            ApplyOutcome::Duplicate => Merged::Duplicate,
        })?;
        shared.metrics.stage_merge.record(started.elapsed());
        let revision = tip.as_ref().map_or(0, |tip| tip.envelope.revision);
        match merged {
            Merged::Changed(finished) => {
                let revision = finished.state.envelope.revision;
                let status = match finished.delta {
                    Some(_) => Status::Applied { revision },
                    None => Status::Unchanged { revision },
                };
                let waiters = smallvec![Waiter::Event(reply, status)];
                self.enqueue(local, *finished, tip.as_deref(), permit, Some(event.time), waiters)?;
            }
            Merged::Unchanged => self.answer_with_tip(reply, Status::Unchanged { revision }),
            Merged::Duplicate => self.answer_with_tip(reply, Status::Duplicate { revision }),
        }
        Ok(())
    }

    /// Answers once the youngest pending state, which the answer was computed from, is committed.
    fn answer_with_tip(&mut self, reply: Reply, status: Status) {
        match self.pending.back_mut() {
            Some(pending) => pending.waiters.push(Waiter::Event(reply, status)),
            None => reply.answer(status),
        }
    }

    /// Brings the tip to today's day and to the rules in force.
    pub(super) fn roll(&mut self, local: &Local, now: i64, priority: Priority) -> Result<(), Busy> {
        let Some(tip) = self.tip(local) else { return Ok(()) };
        let context = context(&local.shared, now, Some(&tip));
        if is_rolled(&tip, &context) {
            return Ok(());
        }
        let permit = local.shared.take_permit(priority)?;
        let started = Instant::now();
        let rolled = guard(|| match roll(&tip, &context) {
            RollOutcome::Same(state) => Err(state),
            RollOutcome::Changed(change) => Ok(change.finish(&self.user, now, micros_since(started))),
        })?;
        match rolled {
            Ok(finished) => self.enqueue(local, finished, Some(&tip), permit, None, SmallVec::new()),
            Err(state) => {
                match self.pending.back_mut() {
                    Some(pending) => pending.state = state,
                    None => self.set_head(local, state),
                }
                Ok(())
            }
        }
    }

    /// Hands a state to the commit thread, in the very step that made it: nothing can come between.
    fn enqueue(
        &mut self,
        local: &Local,
        finished: FinishedChange,
        before: Option<&UserState>,
        mut permit: Permit,
        observed_at: Option<i64>,
        waiters: SmallVec<[Waiter; 1]>,
    ) -> Result<(), Busy> {
        let FinishedChange { state, delta, body } = finished;
        permit.charge(PENDING_BYTES + body.len() + state.bytes_beyond(before));
        let record = Record {
            user: self.user,
            generation: state.generation,
            sequence: state.sequence,
            kind: RecordKind::Change,
            body,
        };
        let ticket =
            Ticket { shard: local.index, slot: self.slot, sequence: state.sequence, delta, observed_at, permit };
        local.shared.commits.commit(record, ticket)?;
        self.pending.push_back(Pending { state, waiters });
        Ok(())
    }
}

/// What a step depends on. The day never goes back, whatever the clock does.
pub(super) fn context<'a>(shared: &'a Shared, now: i64, state: Option<&UserState>) -> AssemblyContext<'a> {
    let today = shared.today.day(now);
    AssemblyContext {
        rules: &shared.rules,
        rules_fingerprint: shared.rules_fingerprint,
        policy_version: shared.policy.load().version,
        day: state.map_or(today, |state| state.day.max(today)),
    }
}

/// Whether a state is of the context's day and rules.
pub(super) fn is_rolled(state: &UserState, context: &AssemblyContext<'_>) -> bool {
    state.day == context.day && state.rules == context.rules_fingerprint
}

/// Runs rule code. A panic in it fails this one request, changes nothing and harms nobody else.
fn guard<R>(rules: impl FnOnce() -> R) -> Result<R, Busy> {
    catch_unwind(AssertUnwindSafe(rules)).map_err(|_| {
        tracing::error!("a merge panicked: nothing has changed");
        Busy
    })
}

fn new_user(shared: &Shared) -> NewUser {
    NewUser { profile_id: ProfileId::from_random(shared.random()), integrity_key: shared.random() }
}

fn newest_stamp(state: &Arc<UserState>, write: &RegisterWrite) -> Option<i64> {
    state.documents.get(Source::Consent, &write.path, write.kind).map(|register| register.time)
}

fn micros_since(start: Instant) -> u32 {
    u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX)
}
