//! The profile of a past revision.

use std::collections::BTreeMap;

use super::codec::DecodeError;
use super::history::{Entry, entries};
use super::{replay, unpack};
use crate::id::ProfileId;
use crate::port::store::StoredHistory;
use crate::profile::Profile;
use crate::state::UserState;

/// A profile as it stood at a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Whose profile it is.
    pub profile_id: ProfileId,
    /// The revision.
    pub revision: u64,
    /// All members but the envelope.
    pub profile: Profile,
}

impl Past {
    fn of(state: UserState) -> Self {
        let UserState { envelope, profile, .. } = state;
        Self { profile_id: envelope.profile_id, revision: envelope.revision, profile }
    }
}

/// Rewinds a user to `revision`; `None` where what was loaded does not reach it: it is newer than the newest frame,
/// older than the generation, or before the history that was asked for.
///
/// # Errors
/// A body is not one of ours.
pub fn rewind(history: StoredHistory, revision: u64) -> Result<Option<Past>, DecodeError> {
    let StoredHistory { stored, blocks, tail } = history;
    let mut state = stored.state.map(unpack).transpose()?;
    if let Some(folded) = state.take_if(|state| state.envelope.revision > revision) {
        let bodies = blocks.iter().map(|block| &block.body[..]).chain([&tail[..]]);
        return undo(folded, bodies, revision);
    }
    for frame in &stored.frames {
        if reached(state.as_ref(), revision) {
            break;
        }
        state = Some(replay(state, frame)?);
    }
    Ok(state.filter(|state| state.envelope.revision == revision).map(Past::of))
}

fn reached(state: Option<&UserState>, revision: u64) -> bool {
    state.is_some_and(|state| state.envelope.revision >= revision)
}

/// Gives the leaves back, newest entry first, what they held before every revision after `revision`.
fn undo<'a>(
    state: UserState,
    bodies: impl Iterator<Item = &'a [u8]>,
    revision: u64,
) -> Result<Option<Past>, DecodeError> {
    let (head, first) = (state.envelope.revision, state.first_revision);
    if revision < first {
        return Ok(None);
    }
    // An entry may be in a block and in the tail: they are the same.
    let mut undone: BTreeMap<u64, Entry> = BTreeMap::new();
    for body in bodies {
        let later = entries(body)?.into_iter().filter(|entry| (revision + 1..=head).contains(&entry.revision));
        undone.extend(later.map(|entry| (entry.revision, entry)));
    }
    if undone.len() as u64 != head - revision {
        return Ok(None);
    }
    let mut past = Past::of(state);
    for entry in undone.into_values().rev() {
        for (leaf, value) in entry.before {
            past.profile.set(leaf, value);
        }
    }
    past.revision = revision;
    Ok(Some(past))
}
