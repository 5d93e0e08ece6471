//! Reads, from the committed head.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use domain::access::{Viewer, Visibility};
use domain::completeness;
use domain::pipeline::serialize;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet};

use super::apply::{context, is_rolled};
use super::environment::Environment;
use super::state::{ProfileState, Waiter};
use crate::error::{Busy, ReadError};
use crate::priority::Priority;
use crate::request::{Completeness, GetCompleteness, GetView, Request};
use crate::services::Services;
use crate::view_cache::View;

/// The result of looking for the state that a read is answered from.
pub(super) enum ReadOutcome {
    /// The committed head, of today.
    Head(Arc<UserState>),
    /// The committed head, of an earlier day or of earlier rules: the roll to today cannot be journalled now.
    Stale(Arc<UserState>),
    /// The roll to today is being committed: the read must wait for it.
    Pending,
    /// There is no head.
    Error(ReadError),
}

impl ProfileState {
    /// Returns the head, rolled to today. Other pending states do not matter to a read.
    pub(super) fn find_head(&mut self, environment: &Environment<'_>) -> ReadOutcome {
        let Some(head) = self.head(environment) else { return ReadOutcome::Error(ReadError::Unknown) };
        let now = environment.services.clock.now_micros();
        if is_rolled(&head, &context(environment.services, now, Some(&head))) {
            return ReadOutcome::Head(head);
        }
        if environment.services.journal_failed.load(Ordering::Relaxed) {
            return ReadOutcome::Stale(head);
        }
        match (self.roll(environment, now, Priority::Read), self.pending.is_empty()) {
            (Err(Busy), _) => ReadOutcome::Stale(head),
            (Ok(()), false) => ReadOutcome::Pending,
            (Ok(()), true) => self.head(environment).map_or(ReadOutcome::Error(ReadError::Unknown), ReadOutcome::Head),
        }
    }

    /// Has a read wait for the newest pending state.
    pub(super) fn wait(&mut self, request: Request) {
        match self.pending.back_mut() {
            Some(pending) => pending.waiters.push(Waiter::Read(Box::new(request))),
            None => request.fail(ReadError::Busy),
        }
    }

    pub(super) fn get_view(&mut self, environment: &Environment<'_>, request: GetView) {
        match self.find_head(environment) {
            ReadOutcome::Pending => self.wait(Request::GetView(request)),
            outcome => self.answer_view(environment, request, outcome),
        }
    }

    fn answer_view(&self, environment: &Environment<'_>, request: GetView, outcome: ReadOutcome) {
        let services = environment.services;
        let visible = |head: &UserState| self.visible(services, head, &request.viewer);
        let answer = match outcome {
            ReadOutcome::Pending => Err(ReadError::Busy),
            ReadOutcome::Error(error) => Err(error),
            ReadOutcome::Head(head) => visible(&head).map(|mask| self.view(services, &head, mask)),
            // Not cached: the next read tries to roll again.
            ReadOutcome::Stale(head) => visible(&head).map(|mask| make_view(services, &head, mask)),
        };
        // The caller may have stopped waiting.
        let _ = request.answer.send(answer);
    }

    pub(super) fn get_completeness(&mut self, environment: &Environment<'_>, request: GetCompleteness) {
        match self.find_head(environment) {
            ReadOutcome::Pending => self.wait(Request::GetCompleteness(request)),
            outcome => self.answer_completeness(environment, request, outcome),
        }
    }

    fn answer_completeness(&self, environment: &Environment<'_>, request: GetCompleteness, outcome: ReadOutcome) {
        let services = environment.services;
        let answer = match outcome {
            ReadOutcome::Pending => Err(ReadError::Busy),
            ReadOutcome::Error(error) => Err(error),
            ReadOutcome::Head(head) | ReadOutcome::Stale(head) => {
                self.visible(services, &head, &request.viewer).and_then(|mask| measure(services, &head, mask))
            }
        };
        let _ = request.answer.send(answer);
    }

    /// Answers a read whose roll to today was not journalled. The head is right for its own day.
    pub(super) fn answer_from_head(&mut self, environment: &Environment<'_>, request: Request) {
        let outcome = self.head(environment).map_or(ReadOutcome::Error(ReadError::Busy), ReadOutcome::Stale);
        match request {
            Request::GetView(request) => self.answer_view(environment, request, outcome),
            Request::GetCompleteness(request) => self.answer_completeness(environment, request, outcome),
            Request::Subscribe(request) => self.answer_subscribe(environment, request, outcome),
            other => other.fail(ReadError::Busy),
        }
    }

    /// Returns the viewer's mask. A user that is hidden from the viewer is unknown.
    fn visible(&self, services: &Services, head: &UserState, viewer: &Viewer) -> Result<LeafSet, ReadError> {
        match services.policy.load().visibility(viewer, &self.user, head.consent()) {
            Visibility::Mask(mask) => Ok(mask),
            Visibility::Hidden => Err(ReadError::Unknown),
        }
    }

    /// Returns the view of a mask class, from the cache if it is in it. Otherwise it is made, and cached.
    fn view(&self, services: &Services, head: &UserState, mask: LeafSet) -> View {
        if let Some(view) = services.cache.current(&self.user, head.day).and_then(|views| views.get(mask)) {
            return view;
        }
        let view = make_view(services, head, mask);
        services.cache.insert(self.user, &self.cell, head, mask, view.body.clone());
        view
    }
}

fn make_view(services: &Services, head: &UserState, mask: LeafSet) -> View {
    let started = Instant::now();
    let body = Bytes::from(serialize::view(head, mask));
    services.metrics.stage_serialize.record(started.elapsed());
    View { body, revision: head.envelope.revision, generation: head.generation, mask, day: head.day, cache_hit: false }
}

/// Returns the completeness for a mask. A viewer who does not see `profile_completeness_pct` gets the answer for an
/// unknown user.
fn measure(services: &Services, head: &UserState, mask: LeafSet) -> Result<Completeness, ReadError> {
    let shown =
        mask.has(Leaf::ProfileCompletenessPct).then(|| head.profile.get(Leaf::ProfileCompletenessPct)).flatten();
    let pct = shown.and_then(|pct| pct.as_str().parse().ok()).ok_or(ReadError::Unknown)?;
    let present = head.profile.present();
    let value = |leaf| head.profile.get(leaf).cloned();
    let rules = &services.rules;
    Ok(Completeness {
        revision: head.envelope.revision,
        pct,
        sections: completeness::section_pcts(present, &value, rules, mask).collect(),
        missing: completeness::missing_fields(present, &value, rules, mask),
    })
}
