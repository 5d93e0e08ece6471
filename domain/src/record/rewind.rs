//! The profile of a past revision.

use std::collections::BTreeMap;

use super::change::decode;
use super::codec::DecodeError;
use super::history::{Entry, entries};
use super::{replay, unpack};
use crate::access::Consent;
use crate::id::ProfileId;
use crate::port::store::StoredHistory;
use crate::profile::Profile;
use crate::state::UserState;
use crate::table::Member;

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

/// Every consent that the user had after `revision`, as far back as what was loaded reaches; oldest first, and never
/// empty for a user who has a profile.
///
/// # Errors
/// A body is not one of ours.
pub fn consents_after(history: &StoredHistory, revision: u64) -> Result<Vec<(u64, Consent)>, DecodeError> {
    let mut state = history.stored.state.clone().map(unpack).transpose()?;
    let mut later = Vec::new();
    if let Some(folded) = &state {
        let bodies = history.blocks.iter().map(|block| &block.body[..]).chain([&history.tail[..]]);
        let mut profile = folded.profile.clone();
        for entry in entries_between(bodies, revision, folded.envelope.revision)?.into_values().rev() {
            later.push((entry.revision, profile.consent()));
            for (leaf, value) in entry.before.into_iter().filter(|(leaf, _)| Member::Consent.leaves().has(*leaf)) {
                profile.set(leaf, value);
            }
        }
        later.reverse();
    }
    for frame in &history.stored.frames {
        let change = decode(frame)?;
        let revised = change.revised.as_ref().map(|revised| revised.envelope.revision);
        let next = change.apply(state)?;
        later.extend(revised.filter(|revised| *revised > revision).map(|revised| (revised, next.consent())));
        state = Some(next);
    }
    Ok(later)
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
    let undone = entries_between(bodies, revision, head)?;
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

/// The entries of the revisions after `revision` and up to `head`. One may be in a block and in the tail: they are the
/// same.
fn entries_between<'a>(
    bodies: impl Iterator<Item = &'a [u8]>,
    revision: u64,
    head: u64,
) -> Result<BTreeMap<u64, Entry>, DecodeError> {
    let mut found = BTreeMap::new();
    for body in bodies {
        let between = entries(body)?.into_iter().filter(|entry| entry.revision > revision && entry.revision <= head);
        found.extend(between.map(|entry| (entry.revision, entry)));
    }
    Ok(found)
}
