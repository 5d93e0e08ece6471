//! One read of a follower: frames in, events out.

use std::collections::HashSet;
use std::sync::Arc;

use domain::access::{Consent, Policy, Viewer, Visibility};
use domain::id::UserId;
use domain::port::log::{LogEntry, LogError, LogPosition};
use domain::port::store::StoreError;
use domain::publication::{self, PublishedEvent, PublishedEventTypes, StepVisibility, Transition};
use domain::record::{FrameStep, RevisionStep, follow};

use super::cursor::{Audience, Standing};
use super::memory::{Known, Later};
use super::{Batch, Ended, Published};
use crate::shared::Shared;

/// About how many bytes of frames one read takes: what a follower holds at a time is a small multiple of it.
const READ_BYTES: usize = 64 << 10;
/// Events of so many bytes end a read before its frames do: a short frame may bring the whole document. What waits for a
/// slow client was made before it waited, so it is not much.
const EVENT_BYTES: usize = 64 << 10;
/// As often the events are held against what happened while they were put together; beyond that, users never rest.
const LOOKS_AGAIN: usize = 3;
/// As many users are kept in mind who were missed; others are mentioned when they go out of sight.
const MAX_MISSED: usize = 16_384;

/// Users who came into sight and are out of it again further on, before the follower read the one or the other: it is
/// told of neither.
#[derive(Debug, Default)]
pub(super) struct Missed(HashSet<UserId>);

impl Missed {
    fn add(&mut self, user: UserId) {
        if self.0.len() < MAX_MISSED {
            self.0.insert(user);
        }
    }

    fn take(&mut self, user: &UserId) -> bool {
        self.0.remove(user)
    }
}

/// What is told of a frame.
struct Told {
    user: UserId,
    events: Vec<PublishedEvent>,
    /// Whether they show something of the user, which may have been withdrawn since.
    shows: bool,
}

/// Reads for one viewer under one policy.
pub(super) struct Reading<'a> {
    pub(super) shared: &'a Shared,
    pub(super) policy: &'a Policy,
    pub(super) viewer: &'a Viewer,
    pub(super) types: PublishedEventTypes,
    pub(super) audience: Audience,
}

impl Reading<'_> {
    /// The events of the frames from `from` on, and where to go on.
    pub(super) fn read(
        &self,
        from: Standing,
        up_to: LogPosition,
        missed: &mut Missed,
    ) -> Result<(Batch, LogPosition), Ended> {
        let followers = &self.shared.followers;
        let frames = followers.log.read(from.position, up_to, READ_BYTES).map_err(|error| match error {
            LogError::Gone { .. } | LogError::Nowhere => Ended::Gone,
            LogError::Store(error) => Ended::Store(error),
        })?;
        let metrics = &self.shared.metrics;
        metrics.events_skipped_unreadable.increment(frames.sealed);
        let (mut told, mut bytes, mut next) = (Vec::new(), 0, frames.next);
        for entry in frames.entries {
            if let Some(of_frame) = self.tell(&entry, from.began, missed)? {
                bytes += of_frame.events.iter().map(|event| event.members.len()).sum::<usize>();
                let end = entry.next;
                told.push((entry, of_frame));
                if bytes >= EVENT_BYTES {
                    next = end;
                    break;
                }
            }
        }
        for _ in 0..LOOKS_AGAIN {
            if !self.look_again(&mut told, from.began, missed)? {
                break;
            }
        }
        let mut published = Vec::new();
        told.into_iter().for_each(|(entry, told)| self.publish(&entry, told, from.began, &mut published));
        metrics.events_published.increment(published.len() as u64);
        let cursor = followers.cursors.write(Standing { position: next, ..from }, self.audience);
        Ok((Batch { events: published, cursor }, next))
    }

    /// What was acknowledged while the events were put together may have withdrawn something of them: those of users
    /// who moved on are put together anew. Says whether any were.
    fn look_again(
        &self,
        told: &mut [(LogEntry, Told)],
        began: LogPosition,
        missed: &mut Missed,
    ) -> Result<bool, Ended> {
        let mut any = false;
        for (entry, told) in told.iter_mut().filter(|(_, told)| told.shows) {
            let newest = self.shared.followers.log.newest(&told.user)?;
            if newest > entry.newest {
                entry.newest = newest;
                let nothing = Told { user: told.user, events: Vec::new(), shows: false };
                *told = self.tell(entry, began, missed)?.unwrap_or(nothing);
                any = true;
            }
        }
        Ok(any)
    }

    /// What is told of a frame, if it is one of a step. One damaged user does not end everybody's stream.
    fn tell(&self, entry: &LogEntry, began: LogPosition, missed: &mut Missed) -> Result<Option<Told>, Ended> {
        match self.told(entry, began, missed) {
            Ok(told) => Ok(told),
            Err(StoreError::Damaged { what }) => {
                tracing::error!(what, "followers are not told of a frame that cannot be followed");
                self.shared.metrics.events_skipped_unreadable.increment(1);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// All events of a frame but the last lead back to it: who saw only some of them sees them again.
    fn publish(&self, entry: &LogEntry, Told { events, .. }: Told, began: LogPosition, out: &mut Vec<Published>) {
        let last = events.len().saturating_sub(1);
        for (index, PublishedEvent { kind, members }) in events.into_iter().enumerate() {
            let position = if index == last { entry.next } else { entry.at };
            let cursor = self.shared.followers.cursors.write(Standing { position, began }, self.audience);
            let text = format!(r#"{{"cursor":"{cursor}",{members}}}"#);
            out.push(Published { cursor, kind, text });
        }
    }

    fn told(&self, entry: &LogEntry, began: LogPosition, missed: &mut Missed) -> Result<Option<Told>, StoreError> {
        let damaged = |error: domain::record::DecodeError| StoreError::Damaged { what: error.to_string() };
        let step = match follow(&entry.body).map_err(damaged)? {
            FrameStep::Revision(step) => step,
            FrameStep::NoRevision => return Ok(None),
            FrameStep::UnknownUser => {
                self.shared.metrics.events_skipped_nameless.increment(1);
                return Ok(None);
            }
        };
        if !self.viewer.may_ever_see(&step.user) {
            return Ok(None);
        }
        let memory = &self.shared.followers.memory;
        let before = match step.base() {
            None => None,
            Some(base) => Some(memory.at(&step.user, base)?.ok_or_else(|| out_of_reach(base))?),
        };
        let past = before.as_ref().map(|known| &known.past);
        let (after, envelope, delta) = step.take(past).map_err(damaged)?;
        let consents = (past.map(|past| past.profile.consent()), after.profile.consent());
        let later = self.later(entry, &step, before.as_ref(), consents)?;
        let sight = StepVisibility::new(self.policy, self.viewer, &step.user, consents.0, consents.1, later.least());
        if sight.is_missed {
            missed.add(step.user);
        }
        // Taken at each step that hides, told or not: the next coming and going is another.
        let was_missed = sight.hides() && missed.take(&step.user);
        // Where the frame lay when it became durable: start-up may have moved it to a later place since.
        let sight = if was_missed || entry.origin < began { sight.for_new_follower() } else { sight };
        let transition =
            Transition { user: &step.user, before: past, after: &after, envelope: &envelope, delta: &delta };
        let events = publication::events(&transition, &sight, self.types, &self.shared.rules);
        memory.remember(&step.user, after, later);
        let shows = sight.after != Visibility::Hidden && !events.is_empty();
        Ok(Some(Told { user: step.user, events, shows }))
    }

    /// The consents after a step, where they could make a difference.
    fn later(
        &self,
        entry: &LogEntry,
        step: &RevisionStep,
        before: Option<&Arc<Known>>,
        (old, new): (Option<Consent>, Consent),
    ) -> Result<Later, StoreError> {
        if entry.newest == entry.sequence {
            return Ok(Later::none(entry.newest));
        }
        let least = self.sees(&step.user, Consent::default());
        if self.sees(&step.user, new) == least && old.is_none_or(|old| self.sees(&step.user, old) == least) {
            return Ok(Later::unknown());
        }
        let memory = &self.shared.followers.memory;
        memory.later(&step.user, step.revision(), entry.newest, before.map(|known| &**known))
    }

    fn sees(&self, user: &UserId, consent: Consent) -> Visibility {
        self.policy.visibility(self.viewer, user, consent)
    }
}

fn out_of_reach(revision: u64) -> StoreError {
    StoreError::Damaged { what: format!("history does not reach back to revision {revision}") }
}
