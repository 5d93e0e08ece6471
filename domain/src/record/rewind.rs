//! The profile of a past revision.

use super::change::decode;
use super::codec::DecodeError;
use super::entry::entries;
use super::unpack;
use crate::access::Consent;
use crate::past::PastProfile;
use crate::port::journal::Record;
use crate::port::store::{LoadVisitor, StoreError};
use crate::state::UserState;

/// Reconstructs a past revision of a user while the history is loaded.
#[derive(Debug)]
pub struct Rewind {
    revision: u64,
    to_head: bool,
    state: Option<UserState>,
    /// The profile while entries are undone, from the checkpoint's revision backwards.
    walking: Option<PastProfile>,
    /// Whether an entry between the checkpoint and the revision is missing.
    has_gap: bool,
    past: Option<PastProfile>,
    /// The consents of the checkpoint and the revisions before it, newest first, and of those after it.
    before: Vec<(u64, Consent)>,
    after: Vec<(u64, Consent)>,
}

/// The result of a [`Rewind`].
#[derive(Debug, Clone, PartialEq)]
pub struct RewindResult {
    /// The profile at the revision; `None` if the loaded pieces do not reach it: it is newer than the newest frame,
    /// older than the generation, or before the requested history.
    pub past: Option<PastProfile>,
    /// The consents that the user had after the revision, oldest first, as far back as the loaded pieces reach. Of
    /// consecutive equal consents, only the first is listed.
    pub later: Vec<(u64, Consent)>,
}

impl Rewind {
    /// Goes back to `revision`, and needs nothing that came after it.
    pub fn new(revision: u64) -> Self {
        let (before, after) = (Vec::new(), Vec::new());
        Self { revision, to_head: false, state: None, walking: None, has_gap: false, past: None, before, after }
    }

    /// Goes back to `revision`, and looks at the consents after it up to the newest frame.
    pub fn with_later_consents(revision: u64) -> Self {
        Self { to_head: true, ..Self::new(revision) }
    }

    /// Returns what the loaded pieces contain.
    pub fn finish(mut self) -> RewindResult {
        self.before.reverse();
        self.before.append(&mut self.after);
        self.before.dedup_by_key(|(_, consent)| *consent);
        RewindResult { past: self.past, later: self.before }
    }

    /// Undoes the entries of one block, which is older than those before it. Each entry leads to its base, so entries
    /// may stand for several revisions; a revision that lies within one cannot be reached.
    fn undo(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        let Some(mut now) = self.walking.take() else { return Ok(()) };
        for entry in entries(body)?.iter().rev().filter(|entry| entry.revision > self.revision) {
            // A block may have grown since the checkpoint was read.
            if entry.revision > now.revision {
                continue;
            }
            if entry.revision < now.revision {
                self.has_gap = true;
                now.revision = entry.revision;
            }
            note(&mut self.before, entry.revision, now.profile.consent());
            if self.has_gap {
                // The profile can no longer be reconstructed, but the consents can.
                entry.undo_consent(&mut now)?;
            } else {
                entry.undo(&mut now)?;
            }
        }
        if now.revision == self.revision && !self.has_gap {
            self.past = Some(now);
        } else {
            self.walking = Some(now);
        }
        Ok(())
    }
}

/// Adds a consent while going back in time. Of consecutive equal consents, only the oldest is kept.
fn note(consents: &mut Vec<(u64, Consent)>, revision: u64, consent: Consent) {
    match consents.last_mut() {
        Some(newer) if newer.1 == consent => newer.0 = revision,
        _ => consents.push((revision, consent)),
    }
}

impl LoadVisitor for Rewind {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        let to_head = self.to_head;
        *self = Self { to_head, ..Self::new(self.revision) };
        self.state = state.map(unpack).transpose()?;
        if let Some(state) = &self.state {
            if state.envelope.revision == self.revision {
                self.past = Some(PastProfile::from_state(state));
            } else if state.envelope.revision > self.revision {
                self.walking = Some(PastProfile::from_state(state));
                // A revision before the first has no profile.
                self.has_gap = self.revision < state.salts.first_revision;
            }
        }
        Ok(())
    }

    fn block(&mut self, body: &[u8]) -> Result<(), StoreError> {
        Ok(self.undo(body)?)
    }

    fn needs_history(&self) -> bool {
        self.walking.as_ref().is_some_and(|past| past.revision > self.revision)
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        let change = decode(record)?;
        let next = change.apply(self.state.take())?;
        let made = change.revised.as_ref().map(|revised| revised.envelope.revision);
        if made == Some(self.revision) {
            self.past = Some(PastProfile::from_state(&next));
        }
        if let Some(made) = made.filter(|made| *made > self.revision)
            && self.after.last().is_none_or(|(_, consent)| *consent != next.consent())
        {
            self.after.push((made, next.consent()));
        }
        self.state = Some(next);
        Ok(())
    }

    fn is_done(&self) -> bool {
        // Frames are newer than the checkpoint, so they cannot help to reach a revision before it.
        !self.to_head && (self.past.is_some() || self.walking.is_some())
    }
}

#[cfg(test)]
mod tests;
