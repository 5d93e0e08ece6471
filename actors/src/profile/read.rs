//! Reads, from the committed head.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use domain::access::{Viewer, Visibility};
use domain::completeness::{self, MissingField};
use domain::pipeline::serialize;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet, Member};

use super::apply::{context, is_rolled};
use super::core::{Core, Waiter};
use super::request::{GetCompleteness, GetView, Request};
use crate::error::{Busy, ReadError};
use crate::priority::Priority;
use crate::roster::Local;
use crate::view_cache::View;

/// How complete a profile is, as far as a viewer may see it.
#[derive(Debug, Clone)]
pub struct Completeness {
    /// The revision that it is of.
    pub revision: u64,
    /// `profile_completeness_pct`.
    pub pct: u8,
    /// The percentage of each section, over the leaves that may be seen.
    pub sections: Vec<(Member, u8)>,
    /// What is missing of what may be seen, most valuable first.
    pub missing: Vec<MissingField>,
}

/// What a read finds.
pub(super) enum Found {
    /// The committed head, of today.
    Head(Arc<UserState>),
    /// The committed head, of a day or of rules that are over: the turn cannot be journalled now.
    Stale(Arc<UserState>),
    /// A turn of the day is on its way to the journal: the read waits for it.
    Pending,
    /// No head.
    Nothing(ReadError),
}

impl Core {
    /// The head, rolled to today. What is pending otherwise does not matter to a read.
    pub(super) fn find(&mut self, local: &Local) -> Found {
        let Some(head) = self.head(local) else { return Found::Nothing(ReadError::Unknown) };
        let now = local.shared.clock.now_micros();
        if is_rolled(&head, &context(&local.shared, now, Some(&head))) {
            return Found::Head(head);
        }
        if local.shared.journal_failed.load(Ordering::Relaxed) {
            return Found::Stale(head);
        }
        match (self.roll(local, now, Priority::Read), self.pending.is_empty()) {
            (Err(Busy), _) => Found::Stale(head),
            (Ok(()), false) => Found::Pending,
            (Ok(()), true) => self.head(local).map_or(Found::Nothing(ReadError::Unknown), Found::Head),
        }
    }

    /// Lets a read wait for the youngest pending state.
    pub(super) fn wait(&mut self, request: Request) {
        match self.pending.back_mut() {
            Some(pending) => pending.waiters.push(Waiter::Read(Box::new(request))),
            None => request.fail(ReadError::Busy),
        }
    }

    pub(super) fn get_view(&mut self, local: &Local, request: GetView) {
        match self.find(local) {
            Found::Pending => self.wait(Request::GetView(request)),
            found => self.answer_view(local, request, found),
        }
    }

    fn answer_view(&self, local: &Local, request: GetView, found: Found) {
        let visible = |head: &UserState| self.visible(local, head, &request.viewer);
        let answer = match found {
            Found::Pending => Err(ReadError::Busy),
            Found::Nothing(error) => Err(error),
            Found::Head(head) => visible(&head).map(|mask| self.view(local, &head, mask)),
            // Not into the cache: the next read tries the turn again.
            Found::Stale(head) => visible(&head).map(|mask| make(local, &head, mask)),
        };
        // Whoever does not wait any more needs no answer.
        let _ = request.answer.send(answer);
    }

    pub(super) fn get_completeness(&mut self, local: &Local, request: GetCompleteness) {
        match self.find(local) {
            Found::Pending => self.wait(Request::GetCompleteness(request)),
            found => self.answer_completeness(local, request, found),
        }
    }

    fn answer_completeness(&self, local: &Local, request: GetCompleteness, found: Found) {
        let answer = match found {
            Found::Pending => Err(ReadError::Busy),
            Found::Nothing(error) => Err(error),
            Found::Head(head) | Found::Stale(head) => {
                self.visible(local, &head, &request.viewer).and_then(|mask| measure(local, &head, mask))
            }
        };
        let _ = request.answer.send(answer);
    }

    /// Answers a read whose turn of the day was not journalled: the committed head is true of its own day.
    pub(super) fn answer_from_head(&mut self, local: &Local, request: Request) {
        let found = self.head(local).map_or(Found::Nothing(ReadError::Busy), Found::Stale);
        match request {
            Request::GetView(request) => self.answer_view(local, request, found),
            Request::GetCompleteness(request) => self.answer_completeness(local, request, found),
            Request::OpenOutlet(request) => self.answer_open(local, request, found),
            other => other.fail(ReadError::Busy),
        }
    }

    /// The viewer's mask. A user whom the viewer may not know of is unknown.
    pub(super) fn visible(&self, local: &Local, head: &UserState, viewer: &Viewer) -> Result<LeafSet, ReadError> {
        match local.shared.policy.load().visibility(viewer, &self.user, head.consent()) {
            Visibility::Mask(mask) => Ok(mask),
            Visibility::Hidden => Err(ReadError::Unknown),
        }
    }

    /// The view of a class: from the cache where somebody asked before, else made and kept.
    fn view(&self, local: &Local, head: &UserState, mask: LeafSet) -> View {
        let shared = &local.shared;
        if let Some(view) = shared.cache.current(&self.user, head.day).and_then(|views| views.get(mask)) {
            return view;
        }
        let view = make(local, head, mask);
        shared.cache.insert(self.user, &self.cell, head, mask, view.body.clone());
        view
    }
}

fn make(local: &Local, head: &UserState, mask: LeafSet) -> View {
    let started = Instant::now();
    let body = Bytes::from(serialize::view(head, mask));
    local.shared.metrics.stage_serialize.record(started.elapsed());
    View { body, revision: head.envelope.revision, generation: head.generation, mask, day: head.day, cache_hit: false }
}

/// Only for viewers who see `profile_completeness_pct`; for others it is as if there were nothing.
fn measure(local: &Local, head: &UserState, mask: LeafSet) -> Result<Completeness, ReadError> {
    let shown =
        mask.has(Leaf::ProfileCompletenessPct).then(|| head.profile.get(Leaf::ProfileCompletenessPct)).flatten();
    let pct = shown.and_then(|pct| pct.as_str().parse().ok()).ok_or(ReadError::Unknown)?;
    let present = head.profile.present();
    let value = |leaf| head.profile.get(leaf).cloned();
    let rules = &local.shared.rules;
    Ok(Completeness {
        revision: head.envelope.revision,
        pct,
        sections: completeness::section_pcts(present, &value, rules, mask).collect(),
        missing: completeness::missing_fields(present, &value, rules, mask),
    })
}
