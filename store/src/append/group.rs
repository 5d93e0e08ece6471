//! A group of sealed frames before it has a position in the journal.

use std::collections::HashMap;
use std::error::Error;
use std::io;

use domain::port::journal::{AppendResult, OutOfSequence, Record, RecordKind, RowId};
use domain::port::store::StoreError;

use crate::disk::is_full;
use crate::engine::Engine;
use crate::journal::{FRAME_HEADER_BYTES, FrameHeader, MARK_BYTES, NewestFrame, Position, encode_mark, finish_frame};
use crate::keyring::IssuedSlot;
use crate::load::{newest_claimed_frame, newest_frame};
use crate::seal::{NONCE_BYTES, SecretKey, TAG_BYTES};
use crate::user_hash::UserHash;
use crate::user_suffix::{USER_SUFFIX_BYTES, append_user};

/// Maximum number of bytes of a frame beside the body of its record.
const FRAME_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES + USER_SUFFIX_BYTES + TAG_BYTES;

/// The sealed frames of a group, and the result of each record.
pub(crate) struct Group {
    bytes: Vec<u8>,
    frames: Vec<SealedFrame>,
    /// The newest frame of each user in the group, as an index into `frames`.
    newest: HashMap<UserHash, usize>,
    pub(crate) results: Vec<AppendResult>,
    /// Slots that new users of the group took.
    taken_slots: Vec<IssuedSlot>,
    /// Slots that are left for new users.
    unused_slots: Vec<IssuedSlot>,
    /// Whether a record begins the life after an erasure, with a key that is not durable yet.
    begins_lives: bool,
    /// Why there are too few slots, so that new users of the group are refused.
    pub(crate) no_slots: Option<io::Error>,
}

struct SealedFrame {
    start: usize,
    end: usize,
    user: UserHash,
    slot: u32,
    sequence: u64,
    generation: u32,
    is_erasure: bool,
    previous: PreviousFrame,
}

/// Where the user's previous frame is.
enum PreviousFrame {
    InJournal(Position),
    /// An index into the frames of the group.
    InGroup(usize),
}

/// The frame that the next frame of a user has to continue.
struct Predecessor {
    slot: u32,
    generation: u32,
    sequence: u64,
    /// Whether it ends its generation.
    is_erasure: bool,
    previous: PreviousFrame,
}

impl Group {
    /// Checks and seals `records`. Writes nothing but the keys of lives that begin after an erasure, which are durable with one
    /// sync when this returns.
    pub(crate) fn seal(engine: &Engine, records: &[Record]) -> io::Result<Self> {
        let bodies: usize = records.iter().map(|record| record.body.len() + FRAME_OVERHEAD_BYTES).sum();
        let new_users = records.iter().filter(|record| record.sequence == 1).count();
        let (mut unused_slots, no_slots) = match take_slots(engine, new_users) {
            Ok(slots) => (slots, None),
            Err(error) if new_users == records.len() => return Err(error),
            Err(error) => (engine.keyring.take_ready(new_users), Some(error)),
        };
        unused_slots.reverse();
        let mut nonces = vec![0; records.len() * NONCE_BYTES];
        engine.entropy.fill(&mut nonces);
        let mut group = Self {
            bytes: Vec::with_capacity(MARK_BYTES + bodies),
            frames: Vec::with_capacity(records.len()),
            newest: HashMap::with_capacity(records.len()),
            results: Vec::with_capacity(records.len()),
            taken_slots: Vec::new(),
            unused_slots,
            begins_lives: false,
            no_slots,
        };
        group.bytes.resize(MARK_BYTES, 0);
        let (nonces, _) = nonces.as_chunks::<NONCE_BYTES>();
        for (record, nonce) in records.iter().zip(nonces) {
            let result = group.add(engine, record, nonce);
            group.results.push(result);
        }
        engine.keyring.give_back(std::mem::take(&mut group.unused_slots));
        if group.begins_lives
            && let Err(error) = engine.keyring.sync_slots()
        {
            group.give_back(engine);
            return Err(error);
        }
        Ok(group)
    }

    /// Returns the slots that new users took, because nothing of the group was written.
    pub(crate) fn give_back(&mut self, engine: &Engine) {
        self.unused_slots.append(&mut self.taken_slots);
        engine.keyring.give_back(std::mem::take(&mut self.unused_slots));
    }

    /// Returns the number of frames.
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Returns the number of bytes that the group takes in the journal, with its mark.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Completes the frames for position `at`, and returns the bytes to write there.
    pub(crate) fn bytes_at(&mut self, epoch: u64, at: Position) -> &[u8] {
        self.bytes[..MARK_BYTES].copy_from_slice(&encode_mark(epoch, at));
        for sealed in &self.frames {
            let previous = match sealed.previous {
                PreviousFrame::InJournal(position) => position,
                PreviousFrame::InGroup(number) => offset(at, self.frames[number].start),
            };
            finish_frame(&mut self.bytes[sealed.start..sealed.end], previous);
        }
        &self.bytes
    }

    /// Returns the newest frame of each user in the group, for the index once the group is durable at `at`.
    pub(crate) fn newest_frames(&self, at: Position) -> impl Iterator<Item = (UserHash, NewestFrame)> {
        self.newest.values().map(move |&number| {
            let SealedFrame { user, slot, sequence, generation, is_erasure, start, .. } = self.frames[number];
            (user, NewestFrame { slot, generation, sequence, is_erasure, position: offset(at, start) })
        })
    }

    /// Checks and seals one record. A user that cannot be read refuses only that user's record: its actor stops, and the
    /// next one reports the cause when it hydrates.
    fn add(&mut self, engine: &Engine, record: &Record, nonce: &[u8; NONCE_BYTES]) -> AppendResult {
        let user = engine.hasher.hash(&record.user);
        let is_erasure = record.kind == RecordKind::ERASURE;
        let (slot, key, previous) = match self.predecessor(engine, &user, is_erasure)? {
            Some(last) => {
                let key = key_after(engine, &user, &last, record)?;
                self.begins_lives |= last.is_erasure;
                (last.slot, key, last.previous)
            }
            None => {
                let expected = if self.no_slots.is_some() { 0 } else { 1 };
                let (slot, key) = self.first_slot(record).ok_or(OutOfSequence { expected })?;
                (slot, key, PreviousFrame::InJournal(Position::NONE))
            }
        };
        self.push(record, user, slot, &key, nonce, previous);
        Ok(RowId(slot))
    }

    /// Returns the newest frame of a user, from the group, the journal or a checkpoint. An erasure may follow what is damaged.
    fn predecessor(
        &self,
        engine: &Engine,
        user: &UserHash,
        is_erasure: bool,
    ) -> Result<Option<Predecessor>, OutOfSequence> {
        if let Some(&number) = self.newest.get(user) {
            let SealedFrame { slot, generation, sequence, is_erasure, .. } = self.frames[number];
            let previous = PreviousFrame::InGroup(number);
            return Ok(Some(Predecessor { slot, generation, sequence, is_erasure, previous }));
        }
        let mut known = newest_frame(engine, user);
        if is_erasure && matches!(known, Err(StoreError::Damaged { .. })) {
            known = newest_claimed_frame(engine, user);
        }
        Ok(known.map_err(|error| unreadable(&error))?.map(
            |NewestFrame { slot, generation, sequence, is_erasure, position }| Predecessor {
                slot,
                generation,
                sequence,
                is_erasure,
                previous: PreviousFrame::InJournal(position),
            },
        ))
    }

    /// Returns a slot for an unknown user, if the record is a first one.
    fn first_slot(&mut self, record: &Record) -> Option<(u32, SecretKey)> {
        if record.sequence != 1 || record.generation != 1 || record.kind == RecordKind::ERASURE {
            return None;
        }
        let issued = self.unused_slots.pop()?;
        let found = (issued.slot, issued.key.clone());
        self.taken_slots.push(issued);
        Some(found)
    }

    fn push(
        &mut self,
        record: &Record,
        user: UserHash,
        slot: u32,
        key: &SecretKey,
        nonce: &[u8; NONCE_BYTES],
        previous: PreviousFrame,
    ) {
        let header = FrameHeader {
            kind: record.kind.0,
            slot,
            generation: record.generation,
            sequence: record.sequence,
            user,
            previous: Position::NONE,
            nonce: *nonce,
        };
        let start = self.bytes.len();
        header.encode(&mut self.bytes);
        let body_at = self.bytes.len();
        self.bytes.extend_from_slice(&record.body);
        append_user(&mut self.bytes, &record.user);
        key.cipher().seal(nonce, header.label(), &mut self.bytes, body_at);
        let (sequence, generation) = (record.sequence, record.generation);
        let (end, is_erasure) = (self.bytes.len(), header.is_erasure());
        self.newest.insert(user, self.frames.len());
        self.frames.push(SealedFrame { start, end, user, slot, sequence, generation, is_erasure, previous });
    }
}

/// Checks that a record continues the user's last one, and returns the key to seal it with. Only an erasure ends a generation,
/// and the next record begins another one, which has a key of its own.
fn key_after(
    engine: &Engine,
    user: &UserHash,
    last: &Predecessor,
    record: &Record,
) -> Result<SecretKey, OutOfSequence> {
    let is_erasure = record.kind == RecordKind::ERASURE;
    let generation = last.generation + u32::from(last.is_erasure);
    let may_follow = !(is_erasure && last.is_erasure);
    if record.sequence != last.sequence + 1 || record.generation != generation || !may_follow {
        return Err(OutOfSequence { expected: last.sequence + 1 });
    }
    let key = match (is_erasure, last.is_erasure) {
        (true, _) => Ok(engine.erasure_key.key().clone()),
        (false, true) => {
            let lifted = engine.sled.lift_quarantine(user);
            lifted.and_then(|()| engine.renew_key(last.slot, generation))
        }
        (false, false) => engine.data_key(last.slot, generation),
    };
    key.map_err(|error| unreadable(&error))
}

/// Takes slots for new users. On a full disk, segments that are kept only for followers are removed for them.
fn take_slots(engine: &Engine, count: usize) -> io::Result<Vec<IssuedSlot>> {
    let taken = engine.take_slots(count);
    match &taken {
        Err(error) if is_full(error) && engine.free_follower_segments() => engine.take_slots(count),
        _ => taken,
    }
}

fn unreadable(error: &StoreError) -> OutOfSequence {
    let cause = error.source().map(|source| format!(" ({source})")).unwrap_or_default();
    tracing::error!("{error}{cause}: the record of its user is refused");
    OutOfSequence { expected: 0 }
}

/// Returns the position of byte `start` of a group at `at`.
fn offset(at: Position, start: usize) -> Position {
    Position::new(at.segment, at.offset + start as u32)
}
