//! Stages 2 to 4 as one step from a state to the next: merge, enrich, diff, and the hash tree.

use std::sync::Arc;

use super::enrich;
use super::merge::merge;
use crate::day::Day;
use crate::delta::{Delta, changes};
use crate::documents::SourceDocuments;
use crate::erasure::Tombstone;
use crate::event::{AppliedEvent, FeedEvent, RegisterWrite};
use crate::id::{ProfileId, UserId};
use crate::integrity::LazyTree;
use crate::port::journal::{Record, RecordKind};
use crate::profile::Profile;
use crate::record;
use crate::rules::Rules;
use crate::snapshot::SnapshotMark;
use crate::source::Source;
use crate::state::{NO_ERASURE, NewGeneration, UserState};
use crate::table::{Member, MemberSet};

/// Everything that a step depends on besides the state and the event.
#[derive(Debug, Clone, Copy)]
pub struct AssemblyContext<'a> {
    /// The rules of assembly.
    pub rules: &'a Rules,
    /// `rules.fingerprint()`, computed once.
    pub rules_fingerprint: u32,
    /// The version of the access policy.
    pub policy_version: u32,
    /// The calendar day to assemble for.
    pub day: Day,
}

/// The random part of a new user.
#[derive(Clone, Copy)]
pub struct NewUser {
    /// The id of the new profile.
    pub profile_id: ProfileId,
    /// The key of the hash tree's salts.
    pub integrity_key: [u8; 16],
}

/// The outcome of applying an event.
#[derive(Debug)]
pub enum ApplyOutcome {
    /// The state changed; the change must be made durable.
    Changed(Box<StateChange>),
    /// Every value is older than what its register holds.
    Unchanged,
    /// A register holds a stamp of this event already.
    Duplicate,
    /// The event is not later than the erasure before the user's generation. Nothing of it is taken.
    BeforeErasure,
}

/// The outcome of a turn of the day, or of new rules.
#[derive(Debug)]
pub enum RollOutcome {
    /// The profile is the same and the state has the new day, so nothing must become durable.
    Same(Arc<UserState>),
    /// The state changed; the change must be made durable.
    Changed(Box<StateChange>),
}

/// A step that is computed but has no time yet.
#[derive(Debug)]
pub struct StateChange {
    before: Profile,
    next: UserState,
    delta: Option<Delta>,
    is_new: bool,
    event: Option<AppliedEvent>,
}

/// A step that is ready for the journal.
#[derive(Debug)]
pub struct FinishedChange {
    /// The state after it.
    pub state: Arc<UserState>,
    /// The change of the profile; `None` where only registers changed (no revision was made).
    pub delta: Option<Arc<Delta>>,
    /// The record for the journal.
    pub record: Record,
}

/// Applies one event. The caller has rolled `before` to the context's day, rules and policy already.
pub fn apply(
    before: Option<&Arc<UserState>>,
    new_user: impl FnOnce() -> NewUser,
    event: &FeedEvent,
    context: &AssemblyContext<'_>,
) -> ApplyOutcome {
    let Some(before) = before else {
        return ApplyOutcome::Changed(Box::new(first_change(first_state(new_user(), None, context), event, context)));
    };
    if event.time <= before.begins_after {
        return ApplyOutcome::BeforeErasure;
    }
    let merged = merge(before.documents.clone(), event);
    if merged.taken.is_empty() {
        return if merged.is_duplicate { ApplyOutcome::Duplicate } else { ApplyOutcome::Unchanged };
    }
    let mut touched = merged.touched;
    if !enrich::trust::stays(event.source, &before.documents, &merged.documents, context.day, context.rules) {
        touched.insert(Member::Trust);
    }
    let change = step(UserState::clone(before), false, merged.documents, touched, context);
    ApplyOutcome::Changed(Box::new(StateChange { event: Some(applied(event, merged.taken)), ..change }))
}

/// Begins the generation after an erasure with an event; `None` unless it is the registration of a citizen, from after the
/// erasure. Revisions and sequences go on.
pub fn begin_generation(
    erased: &Tombstone,
    new_user: impl FnOnce() -> NewUser,
    event: &FeedEvent,
    context: &AssemblyContext<'_>,
) -> Option<Box<StateChange>> {
    let is_registration = event.source == Source::Identity && event.registration;
    let begins = is_registration && event.time > erased.erased_at;
    begins.then(|| Box::new(first_change(first_state(new_user(), Some(erased), context), event, context)))
}

/// Returns the first change of a generation, over a state without documents.
fn first_change(state: UserState, event: &FeedEvent, context: &AssemblyContext<'_>) -> StateChange {
    let merged = merge(SourceDocuments::default(), event);
    let mut touched = merged.touched;
    touched.insert(Member::Trust);
    let change = step(state, true, merged.documents, touched, context);
    StateChange { event: Some(applied(event, merged.taken)), ..change }
}

fn applied(event: &FeedEvent, writes: Vec<RegisterWrite>) -> AppliedEvent {
    let FeedEvent { source, time, .. } = *event;
    AppliedEvent { source, time, id: event.id.clone(), person: event.person.clone(), writes }
}

/// Brings a state to the context's day and rules. Neither ever goes back: the caller's day is at least the state's.
pub fn roll(before: &Arc<UserState>, context: &AssemblyContext<'_>) -> RollOutcome {
    let touched = if before.rules == context.rules_fingerprint { enrich::time_derived() } else { MemberSet::ALL };
    let change = step(UserState::clone(before), false, before.documents.clone(), touched, context);
    match change.delta {
        Some(_) => RollOutcome::Changed(Box::new(change)),
        None => RollOutcome::Same(Arc::new(UserState { sequence: before.sequence, ..change.next })),
    }
}

/// Returns the step that makes a mark about the snapshots of `user`. It makes no revision.
pub fn mark_snapshot(before: &Arc<UserState>, user: &UserId, mark: SnapshotMark) -> FinishedChange {
    let mut next = UserState::clone(before);
    next.sequence += 1;
    let body = record::encode_mark(&next, mark);
    let UserState { generation, sequence, .. } = next;
    let record = Record { user: *user, generation, sequence, kind: RecordKind::CHANGE, body };
    FinishedChange { state: Arc::new(next), delta: None, record }
}

/// Returns the record of the erasure that `tombstone` is of.
pub fn erasure_record(user: &UserId, tombstone: &Tombstone) -> Record {
    let (generation, sequence) = (tombstone.generation, tombstone.last_sequence);
    Record { user: *user, generation, sequence, kind: RecordKind::ERASURE, body: tombstone.encode().to_vec() }
}

fn step(
    mut next: UserState,
    is_new: bool,
    documents: SourceDocuments,
    touched: MemberSet,
    context: &AssemblyContext<'_>,
) -> StateChange {
    let old = next.profile.clone();
    let mut changed = MemberSet::default();
    for member in touched.iter().filter(|member| *member != Member::ProfileCompletenessPct) {
        if next.profile.replace(member, enrich::assemble(member, &documents, context.day, context.rules)) {
            changed.insert(member);
        }
    }
    let moved = is_new || !changed.is_empty() || next.rules != context.rules_fingerprint;
    if moved {
        let pct = enrich::completeness_pct(&next.profile, context.rules);
        if next.profile.replace(Member::ProfileCompletenessPct, pct) {
            changed.insert(Member::ProfileCompletenessPct);
        }
    }
    next.documents = documents;
    next.sequence += 1;
    next.day = context.day;
    next.rules = context.rules_fingerprint;
    let delta = (is_new || !changed.is_empty()).then(|| revise(&mut next, &old, changed, context));
    StateChange { before: old, next, delta, is_new, event: None }
}

/// Makes the next revision: counts it, and moves the salts where they must.
fn revise(next: &mut UserState, old: &Profile, changed: MemberSet, context: &AssemblyContext<'_>) -> Delta {
    let base = next.envelope.revision;
    next.envelope.revision = base + 1;
    let changes = changes(old, &next.profile, changed.iter());
    let (before, after) = (old.present(), next.profile.present());
    let delta = Delta { base, revision: base + 1, before, after, changes };
    for member in changed.iter() {
        next.salts.changed_at[member as usize] = base + 1;
    }
    let resalt = delta.consent_changed() || next.policy != context.policy_version;
    if resalt {
        next.salts.count += 1;
        next.policy = context.policy_version;
    }
    next.tree = if resalt { LazyTree::default() } else { next.tree.after(changed) };
    delta
}

/// Returns the state before the first change of a user, or of the generation after an erasure.
fn first_state(new_user: NewUser, erased: Option<&Tombstone>, context: &AssemblyContext<'_>) -> UserState {
    let state = UserState::new(NewGeneration {
        profile_id: new_user.profile_id,
        integrity_key: new_user.integrity_key,
        generation: erased.map_or(1, |erased| erased.generation + 1),
        begins_after: erased.map_or(NO_ERASURE, |erased| erased.erased_at),
        first_revision: erased.map_or(1, |erased| erased.last_revision + 1),
        day: context.day,
        rules: context.rules_fingerprint,
        policy: context.policy_version,
    });
    UserState { sequence: erased.map_or(0, |erased| erased.last_sequence), ..state }
}

impl StateChange {
    /// Returns the state after the step, which gets no time: it does not become durable.
    pub(super) fn into_state(self) -> UserState {
        self.next
    }

    /// Returns the earliest allowed `generated_at`, which never goes backwards: an earlier time is raised to this one.
    fn not_before(&self) -> i64 {
        self.next.envelope.generated_at
    }

    /// Gives the step of `user` its time, and makes the journal's record of it.
    ///
    /// `generated_at` is in microseconds since the Unix epoch; an earlier one than the last revision's is lifted to
    /// it. `latency` is in microseconds, from receipt to assembled. A step without a revision takes neither.
    pub fn finish(mut self, user: &UserId, generated_at: i64, latency: u32) -> FinishedChange {
        if self.delta.is_some() {
            self.next.envelope.generated_at = generated_at.max(self.not_before());
            self.next.envelope.assembly_latency_micros = latency;
        }
        let body = record::encode(&self.before, &self.next, self.is_new, self.event.as_ref(), self.delta.as_ref());
        let UserState { generation, sequence, .. } = self.next;
        let record = Record { user: *user, generation, sequence, kind: RecordKind::CHANGE, body };
        FinishedChange { state: Arc::new(self.next), delta: self.delta.map(Arc::new), record }
    }
}
