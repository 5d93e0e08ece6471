//! Looking at the users in quarantine. Frames are opened one at a time, and no value leaves.

use domain::id::UserId;
use domain::port::journal::Record;
use domain::port::store::StoreError;

use super::note::{QuarantineNote, QuarantineReason};
use super::{Quarantine, QuarantineError, UserKey};
use crate::journal::{FrameHeader, SegmentItem, parse_item};
use crate::load::{FailedLoad, open_frame};
use crate::seal::Cipher;
use crate::sled_store::QuarantinedUser;
use crate::user_hash::UserHash;

/// Maximum number of frames of a user that are opened and folded for one answer.
const MAX_FRAMES: usize = 1_000;

/// A user in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// Stands for the user.
    pub key: UserKey,
    /// Number of frames in quarantine. One that could not be read counts, too; 0 if all are folded into what cannot be read.
    pub frames: u64,
    /// Bytes of these frames.
    pub bytes: u64,
    /// The sequence of the first of them; 0 if there are none.
    pub first_sequence: u64,
    /// The sequence of the last of them; 0 if there are none.
    pub last_sequence: u64,
    /// Why they could not be folded, where that was noted.
    pub reason: Option<QuarantineReason>,
    /// What the store has reported then.
    pub message: Option<String>,
    /// Since when, in microseconds since the Unix epoch, where that is known.
    pub since: Option<i64>,
    /// The slot and the generation of the user's key, where they were noted.
    pub slot: Option<(u32, u32)>,
}

/// Some of the users in quarantine, in the order of their keys.
#[derive(Debug, Clone, Default)]
pub struct QuarantinePage {
    /// The users.
    pub users: Vec<ListedUser>,
    /// The user behind whom the next page begins; `None` after the last page.
    pub next: Option<UserKey>,
}

/// A frame in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectedFrame {
    /// The sequence.
    pub sequence: u64,
    /// The kind of the record; `None` if the frame is not whole.
    pub kind: Option<u8>,
    /// Bytes of the frame; 0 if it could not be read when it was put here.
    pub bytes: u64,
    /// Whether its seal opens.
    pub opens: bool,
    /// Whether it folds over the state before it; `None` if that state is not known.
    pub folds: Option<bool>,
}

/// A user in quarantine, looked at closely.
#[derive(Debug, Clone)]
pub struct InspectedUser {
    /// What the list says.
    pub listed: ListedUser,
    /// The sequence of the state of the last checkpoint; `None` if there is no state that can be read.
    pub state_sequence: Option<u64>,
    /// The frames behind that state, the oldest first.
    pub frames: Vec<InspectedFrame>,
    /// Whether there are more frames than these.
    pub has_more: bool,
}

impl Quarantine {
    /// Returns users in quarantine behind `after`, at most `limit`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn page(&self, after: Option<UserKey>, limit: usize) -> Result<QuarantinePage, StoreError> {
        let (after, most) = (after.map(|UserKey(key)| UserHash(key)), limit.saturating_add(1));
        let mut found = self.engine.sled.quarantined_after(after, most);
        found.extend(self.engine.unreadable.after(after, most));
        found.sort_unstable();
        found.dedup();
        let users = found.iter().take(limit).filter_map(|user| self.find_listed(user).transpose());
        let users = users.collect::<Result<Vec<_>, StoreError>>()?;
        let next = found.get(..limit).and_then(<[_]>::last).filter(|_| found.len() > limit).map(|last| UserKey(last.0));
        Ok(QuarantinePage { users, next })
    }

    /// Returns what the list says of one user; `None` if the user is not in quarantine.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn listed(&self, key: UserKey) -> Result<Option<ListedUser>, StoreError> {
        self.find_listed(&UserHash(key.0))
    }

    /// Returns what the list says of one user; `None` if the user is not in quarantine any more.
    fn find_listed(&self, user: &UserHash) -> Result<Option<ListedUser>, StoreError> {
        let sled = &self.engine.sled;
        if sled.is_quarantined(user) {
            return Ok(Some(listed(user, &sled.quarantined_user(user)?)));
        }
        Ok(self.engine.unreadable.get(user).map(|failed| self.listed_unreadable(user, failed)))
    }

    /// Returns what the list says of a user of whom nothing is in quarantine.
    fn listed_unreadable(&self, user: &UserHash, failed: FailedLoad) -> ListedUser {
        let record = self.engine.sled.user(user).unwrap_or(None);
        ListedUser {
            reason: Some(self.checkpointer.unreadable_reason(user)),
            message: Some(failed.message),
            since: Some(failed.since).filter(|since| *since > 0),
            slot: record.map(|record| (record.slot, record.generation)),
            ..listed(user, &QuarantinedUser::default())
        }
    }

    /// Looks at the frames of a user: whether they open, and whether they fold.
    ///
    /// # Errors
    /// No such user is in quarantine, or the store cannot be read.
    pub fn inspect(&self, key: UserKey) -> Result<InspectedUser, QuarantineError> {
        let user = self.known(key)?;
        let sled = &self.engine.sled;
        let held = sled.quarantined_user(&user)?;
        let listed = self.find_listed(&user)?.ok_or(QuarantineError::Unknown)?;
        let (state_sequence, mut state) = match self.checkpointer.state_left(&user) {
            Ok(Some((sequence, state))) => (Some(sequence), Known::State(state)),
            Ok(None) => (None, Known::State(None)),
            Err(StoreError::Damaged { .. }) => (None, Known::Nothing),
            Err(error) => return Err(error.into()),
        };
        let mut last = state_sequence.unwrap_or(0);
        let mut behind = held.frames.range(last + 1..).peekable();
        let mut frames = Vec::new();
        while let Some((&sequence, &bytes)) = behind.next_if(|_| frames.len() < MAX_FRAMES) {
            let record = self.open(&user, sequence)?;
            if sequence != last + 1 {
                state = Known::Nothing;
            }
            last = sequence;
            let folds = match (&state, &record.1) {
                (Known::Nothing, _) => None,
                (Known::State(_), None) => Some(false),
                (Known::State(before), Some(record)) => {
                    let after = self.checkpointer.replay_one(before.as_deref(), record);
                    let folds = after.is_ok();
                    state = after.map_or(Known::Nothing, |after| Known::State(Some(after)));
                    Some(folds)
                }
            };
            if folds == Some(false) {
                state = Known::Nothing;
            }
            let (kind, opens) = (record.0, record.1.is_some());
            frames.push(InspectedFrame { sequence, kind, bytes: bytes as u64, opens, folds });
        }
        let has_more = behind.peek().is_some();
        Ok(InspectedUser { listed, state_sequence, frames, has_more })
    }

    /// Returns the kind of a frame and its record, as far as they can be read.
    fn open(&self, user: &UserHash, sequence: u64) -> Result<(Option<u8>, Option<Record>), StoreError> {
        let bytes = self.engine.sled.quarantined_frame(user, sequence)?;
        let Some((header, sealed)) = whole_frame(&bytes, user, sequence) else { return Ok((None, None)) };
        let cipher: Option<Cipher> = self.engine.cipher(header.slot, header.generation).ok();
        Ok((Some(header.kind), cipher.and_then(|cipher| open_frame(&cipher, &header, sealed))))
    }

    /// Returns the user whom a record or frame names that opens.
    pub(super) fn find_id(&self, user: &UserHash) -> Result<Option<UserId>, StoreError> {
        if let Some(id) = self.checkpointer.id_of_state(user)? {
            return Ok(Some(id));
        }
        for sequence in self.engine.sled.quarantined_user(user)?.frames.into_keys().take(MAX_FRAMES) {
            if let (_, Some(record)) = self.open(user, sequence)? {
                return Ok(Some(record.user));
            }
        }
        Ok(None)
    }
}

/// What is known of a user before a frame.
enum Known {
    /// The packed state; `None` before the first frame.
    State(Option<Vec<u8>>),
    Nothing,
}

/// Returns the header of a frame in quarantine and its sealed part; `None` if it is not the whole frame of this sequence.
pub(crate) fn whole_frame<'a>(bytes: &'a [u8], user: &UserHash, sequence: u64) -> Option<(FrameHeader, &'a [u8])> {
    match parse_item(bytes) {
        SegmentItem::Frame { header, sealed, .. } if (header.user, header.sequence) == (*user, sequence) => {
            Some((header, sealed))
        }
        _ => None,
    }
}

fn listed(user: &UserHash, held: &QuarantinedUser) -> ListedUser {
    let note = held.note.as_deref().and_then(QuarantineNote::decode);
    ListedUser {
        key: UserKey(user.0),
        frames: held.frames.len() as u64,
        bytes: held.frames.values().map(|bytes| *bytes as u64).sum(),
        first_sequence: held.frames.keys().next().copied().unwrap_or(0),
        last_sequence: held.frames.keys().next_back().copied().unwrap_or(0),
        reason: note.as_ref().map(|note| note.reason),
        since: note.as_ref().map(|note| note.since).filter(|since| *since > 0),
        slot: note.as_ref().map(|note| (note.slot, note.generation)),
        message: note.map(|note| note.message),
    }
}
