//! One read of a follower: frames in, masked events out.

use std::sync::Arc;

use domain::access::{Consent, Policy, Viewer, Visibility};
use domain::erasure::Tombstone;
use domain::id::UserId;
use domain::port::journal::RecordKind;
use domain::port::log::{LogEntry, LogError, LogPosition};
use domain::port::store::StoreError;
use domain::publication::{
    self, PublishedEvent, PublishedEventType, PublishedEventTypes, PublishedSnapshot, StepVisibility, Transition,
};
use domain::record::{FrameStep, RevisionStep, follow};
use domain::snapshot::RequestedSnapshot;

use super::batch::{EventBatch, MaskedEvent};
use super::cursor::{CursorPosition, CursorScope};
use super::error::FollowEnd;
use super::followers::Followers;
use super::profile_cache::{CachedProfile, LaterConsents};
use super::skipped_users::SkippedUsers;

/// About the bytes of frames that one read takes. A follower holds a small multiple of it in memory.
const READ_BYTES: usize = 64 << 10;
/// Bytes of events that end a read before its frames do, since a short frame may produce a whole document. It is small
/// because events that wait for a slow client may have been withdrawn meanwhile.
const EVENT_BYTES: usize = 64 << 10;
/// How many times a batch is checked again against commits that landed while it was built.
const MAX_RECHECKS: usize = 3;

/// The events of one frame.
struct FrameEvents {
    user: UserId,
    events: Vec<PublishedEvent>,
    /// Whether they contain data of the user, which may have been withdrawn since.
    shows: bool,
}

/// Reads the journal for one viewer under one policy.
pub(super) struct LogReader<'a> {
    pub(super) followers: &'a Followers,
    pub(super) policy: &'a Policy,
    pub(super) viewer: &'a Viewer,
    pub(super) types: PublishedEventTypes,
    pub(super) scope: CursorScope,
}

impl LogReader<'_> {
    /// Returns the events of the frames from `from` on, and the position of the next read.
    pub(super) fn read(
        &self,
        from: CursorPosition,
        up_to: LogPosition,
        skipped: &mut SkippedUsers,
    ) -> Result<(EventBatch, LogPosition), FollowEnd> {
        let Followers { log, metrics, cursors, .. } = self.followers;
        let frames = log.read(from.at, up_to, READ_BYTES).map_err(|error| match error {
            LogError::Gone { .. } | LogError::Nowhere => FollowEnd::Gone,
            LogError::Store(error) => FollowEnd::Store(error),
        })?;
        metrics.events_skipped_unreadable.increment(frames.sealed);
        let (mut built, mut bytes, mut next) = (Vec::new(), 0, frames.next);
        for entry in frames.entries {
            if let Some(of_frame) = self.build_or_skip(&entry, from.began, skipped)? {
                bytes += of_frame.events.iter().map(|event| event.members.len()).sum::<usize>();
                let end = entry.next;
                built.push((entry, of_frame));
                if bytes >= EVENT_BYTES {
                    next = end;
                    break;
                }
            }
        }
        for _ in 0..MAX_RECHECKS {
            if !self.rebuild_outdated(&mut built, from.began, skipped)? {
                break;
            }
        }
        let mut events = Vec::new();
        built.into_iter().for_each(|(entry, of_frame)| self.render(&entry, of_frame, from.began, &mut events));
        metrics.events_published.increment(events.len() as u64);
        let cursor = cursors.write(CursorPosition { at: next, ..from }, self.scope);
        Ok((EventBatch { events, cursor }, next))
    }

    /// Builds the events again of users with newer frames: a revision that was acknowledged while the batch was built
    /// may have withdrawn something that it contains. Returns whether there were any.
    fn rebuild_outdated(
        &self,
        built: &mut [(LogEntry, FrameEvents)],
        began: LogPosition,
        skipped: &mut SkippedUsers,
    ) -> Result<bool, FollowEnd> {
        let mut any = false;
        for (entry, of_frame) in built.iter_mut().filter(|(_, of_frame)| of_frame.shows) {
            let newest = self.followers.log.newest(&of_frame.user)?;
            if newest.sequence > entry.newest.sequence {
                entry.newest = newest;
                let nothing = FrameEvents { user: of_frame.user, events: Vec::new(), shows: false };
                *of_frame = self.build_or_skip(entry, began, skipped)?.unwrap_or(nothing);
                any = true;
            }
        }
        Ok(any)
    }

    /// Builds the events of a frame. A damaged frame is logged and skipped, so that one damaged user does not end the
    /// stream of every follower.
    fn build_or_skip(
        &self,
        entry: &LogEntry,
        began: LogPosition,
        skipped: &mut SkippedUsers,
    ) -> Result<Option<FrameEvents>, FollowEnd> {
        match self.build(entry, began, skipped) {
            Ok(events) => Ok(events),
            Err(StoreError::Damaged { what }) => {
                tracing::error!(what, "a frame cannot be decoded: followers receive no event of it");
                self.followers.metrics.events_skipped_unreadable.increment(1);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds the events of a frame to `out`, each with its cursor. The cursor of every event but the last leads back to
    /// the frame: a client that read only some of them receives them all again.
    fn render(&self, entry: &LogEntry, of_frame: FrameEvents, began: LogPosition, out: &mut Vec<MaskedEvent>) {
        let last = of_frame.events.len().saturating_sub(1);
        for (index, PublishedEvent { kind, members }) in of_frame.events.into_iter().enumerate() {
            let at = if index == last { entry.next } else { entry.at };
            let cursor = self.followers.cursors.write(CursorPosition { at, began }, self.scope);
            let text = format!(r#"{{"cursor":"{cursor}",{members}}}"#);
            out.push(MaskedEvent { cursor, kind, text });
        }
    }

    /// Builds the events of a frame; `None` if it makes no revision, or is of a user that the viewer can never see.
    fn build(
        &self,
        entry: &LogEntry,
        began: LogPosition,
        skipped: &mut SkippedUsers,
    ) -> Result<Option<FrameEvents>, StoreError> {
        if entry.record.kind == RecordKind::ERASURE {
            return self.build_erasure(entry, skipped);
        }
        // Nothing of a generation is told that was erased since.
        if entry.record.generation <= entry.newest.erased {
            return Ok(None);
        }
        let damaged = |error: domain::record::DecodeError| StoreError::Damaged { what: error.to_string() };
        let step = match follow(&entry.record).map_err(damaged)? {
            FrameStep::Revision(step) => step,
            FrameStep::Snapshot(snapshot) => return self.build_snapshot(entry, &snapshot),
            FrameStep::NoRevision => return Ok(None),
        };
        if !self.viewer.may_ever_see(&step.user) {
            return Ok(None);
        }
        let profiles = &self.followers.profiles;
        let before = match step.base() {
            None => None,
            Some(base) => Some(profiles.at(&step.user, base)?.ok_or_else(|| out_of_reach(base))?),
        };
        let past = before.as_ref().map(|cached| &cached.past);
        let (after, envelope, delta) = step.take(past).map_err(damaged)?;
        let consents = (past.map(|past| past.profile.consent()), after.profile.consent());
        let later = self.later_consents(entry, &step, before.as_ref(), consents)?;
        let visibility =
            StepVisibility::new(self.policy, self.viewer, &step.user, consents.0, consents.1, later.least());
        if visibility.is_missed {
            skipped.add(step.user);
        }
        // Taken at each step that hides the user, with events or without: after it, the user may become visible again.
        let was_skipped = visibility.hides() && skipped.take(&step.user);
        // `origin` is the position at which the frame became durable: start-up may have moved the frame since.
        let is_new_to_follower = was_skipped || entry.origin < began;
        let visibility = if is_new_to_follower { visibility.for_new_follower() } else { visibility };
        let transition =
            Transition { user: &step.user, before: past, after: &after, envelope: &envelope, delta: &delta };
        let events = publication::events(&transition, &visibility, self.types, &self.followers.rules);
        profiles.insert(&step.user, after, later);
        let shows = visibility.after != Visibility::Hidden && !events.is_empty();
        Ok(Some(FrameEvents { user: step.user, events, shows }))
    }

    /// Builds the event of an erasure, for viewers who may have known of the user at the end.
    fn build_erasure(&self, entry: &LogEntry, skipped: &mut SkippedUsers) -> Result<Option<FrameEvents>, StoreError> {
        let user = entry.record.user;
        self.followers.profiles.forget(&user);
        let was_skipped = skipped.take(&user);
        let damaged = || StoreError::Damaged { what: "a tombstone of the journal".to_owned() };
        let tombstone = Tombstone::decode(&entry.record.body, entry.record.generation).ok_or_else(damaged)?;
        let consent = Consent { third_party_sharing: tombstone.was_shared, ..Consent::default() };
        // Whoever knew of the user before an erasure that was scheduled, and has hidden the user since, is told of its end.
        let may_know = self.policy.unblocked_visibility(self.viewer, &user, consent) != Visibility::Hidden;
        if was_skipped || !may_know || !self.types.has(PublishedEventType::ProfileErased) {
            return Ok(None);
        }
        let event = publication::erasure_event(&user, &tombstone);
        Ok(Some(FrameEvents { user, events: vec![event], shows: false }))
    }

    /// Builds the event of a snapshot that was taken, for viewers who see the user at its revision and ever since.
    fn build_snapshot(
        &self,
        entry: &LogEntry,
        snapshot: &RequestedSnapshot,
    ) -> Result<Option<FrameEvents>, StoreError> {
        let user = entry.record.user;
        let kind = PublishedEventType::ProfileSnapshotCreated;
        if !self.types.has(kind) || !self.viewer.may_ever_see(&user) {
            return Ok(None);
        }
        let revision = snapshot.revision;
        let profiles = &self.followers.profiles;
        let cached = profiles.at(&user, revision)?.ok_or_else(|| out_of_reach(revision))?;
        let consent = cached.past.profile.consent();
        let later = profiles.later_consents(&user, revision, entry.newest.sequence, Some(&cached))?.least();
        let least = later.map_or(consent, |later| consent.least(later));
        if self.sees(&user, least) == Visibility::Hidden {
            return Ok(None);
        }
        let RequestedSnapshot { id, revision, created_at, .. } = *snapshot;
        let event = publication::snapshot_event(&user, &PublishedSnapshot { id, revision, created_at });
        Ok(Some(FrameEvents { user, events: vec![event], shows: true }))
    }

    /// Returns the consents after a step. They are read only if they could make a difference.
    fn later_consents(
        &self,
        entry: &LogEntry,
        step: &RevisionStep,
        before: Option<&Arc<CachedProfile>>,
        (old, new): (Option<Consent>, Consent),
    ) -> Result<LaterConsents, StoreError> {
        if entry.newest.sequence == entry.record.sequence {
            return Ok(LaterConsents::none(entry.newest.sequence));
        }
        let least = self.sees(&step.user, Consent::default());
        if self.sees(&step.user, new) == least && old.is_none_or(|old| self.sees(&step.user, old) == least) {
            return Ok(LaterConsents::not_read());
        }
        let before = before.map(|cached| &**cached);
        self.followers.profiles.later_consents(&step.user, step.revision(), entry.newest.sequence, before)
    }

    fn sees(&self, user: &UserId, consent: Consent) -> Visibility {
        self.policy.visibility(self.viewer, user, consent)
    }
}

fn out_of_reach(revision: u64) -> StoreError {
    StoreError::Damaged { what: format!("history does not reach back to revision {revision}") }
}
