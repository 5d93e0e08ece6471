//! Live subscribers: their first frame, publication, and how they follow the day and the policy.

use std::sync::Arc;

use domain::access::Policy;
use domain::delta::Delta;
use domain::id::UserId;
use domain::port::journal::Committed;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet};

use super::environment::Environment;
use super::frame_builder::FrameBuilder;
use super::outlet::Outlet;
use super::outlet_class::OutletClass;
use super::outlets::FirstFrame;
use super::read::ReadOutcome;
use super::state::ProfileState;
use crate::commit::Ticket;
use crate::error::ReadError;
use crate::head::HeadCell;
use crate::request::{CursorPast, Request, Subscribe, SubscribeOutcome, Subscription};
use crate::services::Services;

/// Maximum number of revisions that a cursor may be behind the head to be continued with a patch. Reading more of the
/// history would cost more than the whole document.
const MAX_REVISIONS_BACK: u64 = 10_000;

impl ProfileState {
    /// Adds a subscriber. Its first frame is made from the head, and every later frame continues from it: both are made on
    /// this thread, so no revision is lost in between.
    pub(super) fn subscribe(&mut self, environment: &Environment<'_>, request: Subscribe) {
        match self.find_head(environment) {
            ReadOutcome::Pending => self.wait(Request::Subscribe(request)),
            outcome => self.answer_subscribe(environment, request, outcome),
        }
    }

    pub(super) fn answer_subscribe(&mut self, environment: &Environment<'_>, request: Subscribe, outcome: ReadOutcome) {
        let Subscribe { subscription, past, answer } = request;
        let (id, outlet) = (subscription.id, subscription.outlet.clone());
        let result = match outcome {
            ReadOutcome::Pending => Err(ReadError::Busy),
            ReadOutcome::Error(error) => Err(error),
            ReadOutcome::Head(head) | ReadOutcome::Stale(head) => {
                self.open_outlet(environment.services, &head, subscription, past)
            }
        };
        if answer.send(result).is_err() {
            // The caller gave up, and its unsubscribing came before the outlet was open, so it had no effect.
            outlet.close(id);
            self.prune_outlets();
        }
    }

    fn open_outlet(
        &mut self,
        services: &Services,
        head: &UserState,
        subscription: Subscription,
        past: CursorPast,
    ) -> Result<SubscribeOutcome, ReadError> {
        let Subscription { id, viewer, fields, schema, names_sources, cursor, followed_before, outlet: sender } =
            subscription;
        let policy = services.policy.load();
        let builder = frame_builder(services, &self.user, &self.cell, head, &policy);
        // The other outlets follow a new policy first, so that all are under the same one.
        if let Some(outlets) = &mut self.outlets {
            outlets.follow_policy(&builder);
        }
        self.outlets.take_if(|outlets| outlets.len() == 0);
        let fields = fields.unwrap_or(LeafSet::ALL);
        let mask = builder.class(&viewer, fields, schema);
        let class = mask.map(|mask| OutletClass { mask, names_sources });
        let first = match class {
            Some(class) => match first_frame(&builder, cursor.as_deref(), class, past) {
                Ok(first) => first,
                Err(NeedsPast(revision)) => return Ok(SubscribeOutcome::NeedsPast(revision)),
            },
            None if followed_before => FirstFrame::Gone,
            None => return Err(ReadError::Unknown),
        };
        let outlet = Outlet { id, viewer, fields, schema, names_sources, sender, class };
        self.outlets.get_or_insert_default().open(outlet, first, &builder);
        self.drop_empty_outlets();
        Ok(SubscribeOutcome::Open)
    }

    /// Publishes a revision (stage 6). `ticket` proves that it is committed.
    pub(super) fn publish(&mut self, environment: &Environment<'_>, state: &UserState, ticket: &Committed<Ticket>) {
        let Some(delta) = &ticket.get().delta else { return };
        let services = environment.services;
        if let Some(pct) = state.profile.get(Leaf::ProfileCompletenessPct).and_then(|pct| pct.as_str().parse().ok()) {
            let pct: f64 = pct;
            services.metrics.completeness_pct.record(pct);
        }
        if let Some(outlets) = &mut self.outlets {
            let policy = services.policy.load();
            let had_deferred = outlets.has_deferred();
            outlets.publish(delta, &frame_builder(services, &self.user, &self.cell, state, &policy));
            if !had_deferred && outlets.has_deferred() {
                self.effects.flush_soon = true;
            }
            self.drop_empty_outlets();
        }
    }

    /// Has the subscribers follow the policy, and rolls to today; the patch of the roll is sent when it is durable. Returns
    /// `false` if the system was too busy for the roll, which must be tried again then. Even so, what a new policy
    /// withdraws is withdrawn at once.
    pub(crate) fn refresh_outlets(&mut self, environment: &Environment<'_>) -> bool {
        let outcome = self.find_head(environment);
        if let Some(head) = self.head() {
            self.follow_policy(environment.services, &head);
        }
        !matches!(outcome, ReadOutcome::Stale(_))
    }

    fn follow_policy(&mut self, services: &Services, head: &UserState) {
        let policy = services.policy.load();
        if let Some(outlets) = &mut self.outlets {
            outlets.follow_policy(&frame_builder(services, &self.user, &self.cell, head, &policy));
            self.drop_empty_outlets();
        }
    }

    /// Sends the deferred patches: subscribers that saw nothing of the last revisions learn the new revision.
    pub(crate) fn flush_deferred(&mut self, environment: &Environment<'_>) {
        let Some(head) = self.head() else { return };
        let services = environment.services;
        let policy = services.policy.load();
        if let Some(outlets) = &mut self.outlets {
            let builder = frame_builder(services, &self.user, &self.cell, &head, &policy);
            outlets.follow_policy(&builder);
            outlets.flush_deferred(&builder);
            self.drop_empty_outlets();
        }
    }

    fn drop_empty_outlets(&mut self) {
        self.outlets.take_if(|outlets| outlets.len() == 0);
    }

    /// Removes closed outlets.
    pub(crate) fn prune_outlets(&mut self) {
        self.outlets.take_if(|outlets| !outlets.prune());
    }

    /// Returns the number of subscribers.
    pub(crate) fn outlets(&self) -> usize {
        self.outlets.as_ref().map_or(0, |outlets| outlets.len())
    }
}

/// The revision whose profile is needed for a first frame.
struct NeedsPast(u64);

/// Returns the first frame of a new outlet.
fn first_frame(
    builder: &FrameBuilder<'_>,
    cursor: Option<&str>,
    class: OutletClass,
    past: CursorPast,
) -> Result<FirstFrame, NeedsPast> {
    let Some(cursor) = cursor else { return Ok(FirstFrame::Profile { class, reset: false }) };
    let head = builder.state;
    match (builder.cursors.revision(cursor, builder.user, head, class.mask), past) {
        (Some(revision), _) if revision == head.envelope.revision => {
            Ok(FirstFrame::Continue { class, delta: Delta::none(head) })
        }
        (Some(revision), CursorPast::Profile(past)) if revision == past.revision => {
            Ok(FirstFrame::Continue { class, delta: Delta::between(&past, head) })
        }
        (Some(revision), CursorPast::NotRead) if is_near(revision, head) => Err(NeedsPast(revision)),
        _ => Ok(FirstFrame::Profile { class, reset: true }),
    }
}

/// Returns whether a revision is near enough to the head to be continued with a patch.
fn is_near(revision: u64, head: &UserState) -> bool {
    let head = head.envelope.revision;
    revision < head && head - revision <= MAX_REVISIONS_BACK
}

fn frame_builder<'a>(
    services: &'a Services,
    user: &'a UserId,
    cell: &'a Arc<HeadCell>,
    state: &'a UserState,
    policy: &'a Policy,
) -> FrameBuilder<'a> {
    FrameBuilder {
        user,
        state,
        policy,
        rules: &services.rules,
        cell,
        cache: &services.cache,
        cursors: &services.cursors,
        metrics: &services.metrics,
    }
}
