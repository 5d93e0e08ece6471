//! Loading users: the state and history of the last checkpoint, and the frames that the journal holds since.

mod chain;
mod history;
mod newest;
mod unfolded_user;
mod unreadable;

use std::sync::Arc;

use domain::id::UserId;
use domain::port::journal::RowId;
use domain::port::store::{LoadVisitor, LoadedUser, ProfileStore, StoreError};

pub(crate) use chain::{HELD_BYTES, Link, open_frame, open_link, segment_missing};
pub(crate) use history::History;
pub(crate) use newest::{newest_claimed_frame, newest_frame, newest_record, newest_unfolded};
pub(crate) use unfolded_user::{FoundUser, UnfoldedUser, unfolded_user};
pub(crate) use unreadable::{FailedLoad, UnreadableUsers};

use crate::engine::Engine;
use crate::retention_clock::RetentionClock;
use crate::user_hash::UserHash;
use unfolded_user::assemble;

/// How many times a load starts over because a checkpoint removed a segment that it needed, or rewrote history.
const LOAD_ATTEMPTS: usize = 8;

/// Reads users from journal and checkpoints together.
pub(crate) struct ProfileReader(pub(crate) Arc<Engine>);

impl ProfileStore for ProfileReader {
    fn load(&self, user: &UserId, visitor: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
        let user = self.0.hasher.hash(user);
        let found = load(&self.0, &user, None, visitor);
        note_damage(&self.0, user, &found);
        found
    }

    fn load_history(
        &self,
        user: &UserId,
        since: u64,
        visitor: &mut dyn LoadVisitor,
    ) -> Result<Option<LoadedUser>, StoreError> {
        load(&self.0, &self.0.hasher.hash(user), Some(since), visitor)
    }

    fn unfolded_bytes(&self) -> u64 {
        self.0.checkpoint_trigger.unfolded_bytes()
    }
}

/// Passes the state of the last checkpoint, the history from revision `since` on if one is given, and the frames since the
/// checkpoint to `visitor`. Returns the row and the newest sequence of the user, or what remains of an erased one, or `None` for
/// an unknown one.
///
/// The index is read before sled. A checkpoint writes sled before the index forgets, so no frame is missed between the
/// two reads. If the checkpoint also removes a segment that is needed here, sled has a newer state by then, and the load
/// starts over.
pub(crate) fn load(
    engine: &Engine,
    user: &UserHash,
    since: Option<u64>,
    visitor: &mut dyn LoadVisitor,
) -> Result<Option<LoadedUser>, StoreError> {
    for attempt in 0..LOAD_ATTEMPTS {
        // Users share a count, so that histories of others that are thinned one after the other could go on for ever.
        let is_last = attempt + 2 >= LOAD_ATTEMPTS;
        let _held = (since.is_some() && is_last).then(|| engine.history_versions.hold());
        let newest = engine.index.get(user);
        // An erasure leaves the quarantine behind.
        if !newest.is_some_and(|newest| newest.is_erasure) {
            engine.sled.check_quarantine(user)?;
        }
        let record = engine.sled.user(user)?;
        if newest.is_none() && record.is_none() {
            return Ok(None);
        }
        let unfolded = match assemble(engine, user, newest, record.as_ref())? {
            Some(FoundUser::Living(unfolded)) => *unfolded,
            Some(FoundUser::Erased { slot, tombstone }) => {
                return Ok(Some(LoadedUser::Erased { row: RowId(slot), tombstone }));
            }
            None => continue,
        };
        let found = LoadedUser::Living { row: RowId(unfolded.slot), sequence: unfolded.sequence };
        let record = record.filter(|record| record.is_state_of(unfolded.generation));
        let stored = record.map(|record| engine.sled.open_user(&unfolded.cipher, &record)).transpose()?;
        visitor.checkpoint(stored.map(|stored| stored.state))?;
        let version = engine.history_versions.begin_load(user);
        let visited = visit(engine, user, since, unfolded, visitor);
        // What was read of a history that is thinned meanwhile may not fit together.
        let is_whole = since.is_none() || engine.history_versions.is_unchanged(user, version);
        if is_whole && visited? {
            return Ok(Some(found));
        }
    }
    let source = "checkpoints kept overtaking it".into();
    Err(StoreError::Unavailable { doing: "loading a user", source })
}

/// Passes history and frames of a user to `visitor`. Returns `false` if a segment that is needed was removed meanwhile.
fn visit(
    engine: &Engine,
    user: &UserHash,
    since: Option<u64>,
    unfolded: UnfoldedUser,
    visitor: &mut dyn LoadVisitor,
) -> Result<bool, StoreError> {
    let UnfoldedUser { generation, cipher, chain, .. } = unfolded;
    if let Some(since) = since {
        let history = History { engine, user, generation, cipher: &cipher };
        history.visit_side_records(visitor)?;
        if visitor.needs_history() {
            history.visit(since, visitor)?;
        }
    }
    for link in chain.links() {
        if visitor.is_done() {
            break;
        }
        let Some(record) = open_link(engine, link, &cipher)? else { return Ok(false) };
        visitor.frame(&record)?;
    }
    Ok(true)
}

/// Notes a load that has found damage which no checkpoint comes across, as nothing of the user is left to fold.
fn note_damage(engine: &Engine, user: UserHash, found: &Result<Option<LoadedUser>, StoreError>) {
    match found {
        Ok(_) => engine.unreadable.forget(&user),
        Err(StoreError::Damaged { what })
            if engine.index.get(&user).is_none() && !engine.sled.is_quarantined(&user) =>
        {
            let since = engine.retention_clock.as_ref().map_or(0, RetentionClock::now);
            engine.unreadable.note(user, FailedLoad { since, message: what.clone() });
        }
        Err(_) => {}
    }
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged { what }
}
