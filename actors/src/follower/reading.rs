//! One read of a follower: frames in, events out.

use std::sync::Arc;

use domain::access::{Consent, Policy, Viewer};
use domain::id::UserId;
use domain::port::log::{LogEntry, LogError, LogPosition};
use domain::port::store::StoreError;
use domain::publication::{self, Event, EventTypes, Sight, Transition};
use domain::record::{Followed, Step, follow};

use super::cursor::{Audience, Standing};
use super::memory::{Known, Later};
use super::{Batch, Ended, Published};
use crate::shared::Shared;

/// About how many bytes of frames one read takes: what a follower holds at a time is a small multiple of it.
const READ_BYTES: usize = 64 << 10;
/// Events of so many bytes end a read before its frames do: a short frame may bring the whole document.
const EVENT_BYTES: usize = 512 << 10;

/// Reads for one viewer under one policy.
pub(super) struct Reading<'a> {
    pub(super) shared: &'a Shared,
    pub(super) policy: &'a Policy,
    pub(super) viewer: &'a Viewer,
    pub(super) types: EventTypes,
    pub(super) audience: Audience,
}

impl Reading<'_> {
    /// The events of the frames from `from` on, and where to go on.
    pub(super) fn read(&self, from: Standing, up_to: LogPosition) -> Result<(Batch, LogPosition), Ended> {
        let followers = &self.shared.followers;
        let frames = followers.log.read(from.position, up_to, READ_BYTES).map_err(|error| match error {
            LogError::Gone { .. } | LogError::Nowhere => Ended::Gone,
            LogError::Store(error) => Ended::Store(error),
        })?;
        let metrics = &self.shared.metrics;
        metrics.events_skipped_unreadable.increment(frames.sealed);
        let (mut published, mut bytes, mut next) = (Vec::new(), 0, frames.next);
        for entry in &frames.entries {
            match self.events(entry, from.began) {
                Ok(events) => bytes += self.publish(entry, from.began, events, &mut published),
                // One damaged user does not end everybody's stream.
                Err(StoreError::Damaged { what }) => {
                    tracing::error!(what, "followers are not told of a frame that cannot be followed");
                    metrics.events_skipped_unreadable.increment(1);
                }
                Err(error) => return Err(error.into()),
            }
            if bytes >= EVENT_BYTES {
                next = entry.next;
                break;
            }
        }
        metrics.events_published.increment(published.len() as u64);
        let cursor = followers.cursors.write(Standing { position: next, ..from }, self.audience);
        Ok((Batch { events: published, cursor }, next))
    }

    /// All events of a frame but the last lead back to it: who saw only some of them sees them again. Says how many
    /// bytes they are.
    fn publish(&self, entry: &LogEntry, began: LogPosition, events: Vec<Event>, out: &mut Vec<Published>) -> usize {
        let mut bytes = 0;
        let last = events.len().saturating_sub(1);
        for (index, Event { kind, members }) in events.into_iter().enumerate() {
            let position = if index == last { entry.next } else { entry.at };
            let cursor = self.shared.followers.cursors.write(Standing { position, began }, self.audience);
            let text = format!(r#"{{"cursor":"{cursor}",{members}}}"#);
            bytes += text.len();
            out.push(Published { cursor, kind, text });
        }
        bytes
    }

    fn events(&self, entry: &LogEntry, began: LogPosition) -> Result<Vec<Event>, StoreError> {
        let damaged = |error: domain::record::DecodeError| StoreError::Damaged { what: error.to_string() };
        let step = match follow(&entry.body).map_err(damaged)? {
            Followed::Step(step) => step,
            Followed::NoRevision => return Ok(Vec::new()),
            Followed::Nameless => {
                self.shared.metrics.events_skipped_nameless.increment(1);
                return Ok(Vec::new());
            }
        };
        if !self.viewer.may_ever_see(&step.user) {
            return Ok(Vec::new());
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
        let sight = Sight::new(self.policy, self.viewer, &step.user, consents.0, consents.1, later.least());
        let sight = if entry.at < began { sight.of_newcomer() } else { sight };
        let transition =
            Transition { user: &step.user, before: past, after: &after, envelope: &envelope, delta: &delta };
        let events = publication::events(&transition, &sight, self.types, &self.shared.rules);
        memory.remember(&step.user, after, later);
        Ok(events)
    }

    /// The consents after a step, where they could make a difference.
    fn later(
        &self,
        entry: &LogEntry,
        step: &Step,
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

    fn sees(&self, user: &UserId, consent: Consent) -> domain::access::Visibility {
        self.policy.visibility(self.viewer, user, consent)
    }
}

fn out_of_reach(revision: u64) -> StoreError {
    StoreError::Damaged { what: format!("history does not reach back to revision {revision}") }
}
