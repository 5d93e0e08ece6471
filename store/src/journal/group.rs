//! A group of frames, sealed, before it has a place in the journal.

use std::collections::HashMap;
use std::io;

use domain::port::journal::{Record, Refused};

use super::frame::{self, FrameHeader, MARK_BYTES};
use super::index::Entry;
use super::position::Position;
use crate::keyring::{Issued, SlotFault};
use crate::seal::{NONCE_BYTES, SecretKey};
use crate::shared::{Known, Shared};
use crate::user_hash::UserHash;

/// The sealed frames of a group, and what each record was told.
pub(crate) struct Group {
    bytes: Vec<u8>,
    frames: Vec<Sealed>,
    /// The newest frame of each user in the group, by number.
    newest: HashMap<UserHash, usize>,
    pub(crate) verdicts: Vec<Result<(), Refused>>,
    /// Slots that new users of the group took, and those that nobody needed.
    pub(crate) taken: Vec<Issued>,
    pub(crate) unused: Vec<Issued>,
}

struct Sealed {
    start: usize,
    end: usize,
    user: UserHash,
    slot: u32,
    sequence: u64,
    generation: u32,
    previous: Previous,
}

/// Where a user's frame before this one lies.
enum Previous {
    InJournal(Position),
    InGroup(usize),
}

/// What the next frame of a user has to continue.
struct Predecessor {
    slot: u32,
    generation: u32,
    sequence: u64,
    previous: Previous,
}

impl Group {
    /// Checks and seals `records`. Nothing is written.
    pub(crate) fn seal(shared: &Shared, records: &[Record]) -> io::Result<Self> {
        let bodies: usize = records.iter().map(|record| record.body.len() + frame::HEADER_BYTES + 16).sum();
        let new_users = records.iter().filter(|record| record.sequence == 1).count();
        let mut unused = shared.keyring.take(new_users)?;
        unused.reverse();
        let mut nonces = vec![0; records.len() * NONCE_BYTES];
        shared.entropy.fill(&mut nonces);
        let mut group = Self {
            bytes: Vec::with_capacity(MARK_BYTES + bodies),
            frames: Vec::with_capacity(records.len()),
            newest: HashMap::with_capacity(records.len()),
            verdicts: Vec::with_capacity(records.len()),
            taken: Vec::new(),
            unused,
        };
        group.bytes.resize(MARK_BYTES, 0);
        let (nonces, _) = nonces.as_chunks::<NONCE_BYTES>();
        for (record, nonce) in records.iter().zip(nonces) {
            match group.add(shared, record, nonce) {
                Ok(verdict) => group.verdicts.push(verdict),
                Err(error) => {
                    group.give_back(shared);
                    return Err(error);
                }
            }
        }
        shared.keyring.give_back(std::mem::take(&mut group.unused));
        Ok(group)
    }

    /// Returns the slots: nothing of the group was written.
    pub(crate) fn give_back(&mut self, shared: &Shared) {
        self.unused.append(&mut self.taken);
        shared.keyring.give_back(std::mem::take(&mut self.unused));
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// The bytes that the group takes in the journal, with its mark.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Gives the group its place: the bytes to write at `at`.
    pub(crate) fn place(&mut self, epoch: u64, at: Position) -> &[u8] {
        self.bytes[..MARK_BYTES].copy_from_slice(&frame::mark(epoch, at));
        for sealed in &self.frames {
            let previous = match sealed.previous {
                Previous::InJournal(position) => position,
                Previous::InGroup(number) => offset(at, self.frames[number].start),
            };
            frame::finish(&mut self.bytes[sealed.start..sealed.end], previous);
        }
        &self.bytes
    }

    /// What the index has to learn when the group is durable at `at`.
    pub(crate) fn entries(&self, at: Position) -> impl Iterator<Item = (UserHash, Entry)> {
        self.newest.values().map(move |&number| {
            let Sealed { user, slot, sequence, generation, start, .. } = self.frames[number];
            (user, Entry { slot, generation, sequence, position: offset(at, start) })
        })
    }

    fn add(&mut self, shared: &Shared, record: &Record, nonce: &[u8; NONCE_BYTES]) -> io::Result<Result<(), Refused>> {
        let user = shared.hasher.hash(&record.user);
        let (slot, key, previous) = match self.predecessor(shared, &user)? {
            Ok(Some(last)) => {
                // Only an erasure opens another generation.
                if record.sequence != last.sequence + 1 || record.generation != last.generation {
                    return Ok(Err(Refused { expected: last.sequence + 1 }));
                }
                match shared.keyring.data_key(last.slot, last.generation) {
                    Ok(key) => (last.slot, key, last.previous),
                    Err(SlotFault::Unavailable(error)) => return Err(error),
                    Err(SlotFault::Damaged { slot, what }) => {
                        tracing::error!("slot {slot} of the keyring {what}: its user's record is refused");
                        return Ok(Err(Refused { expected: 0 }));
                    }
                }
            }
            Ok(None) => match self.first_slot(record) {
                Some((slot, key)) => (slot, key, Previous::InJournal(Position::NONE)),
                None => return Ok(Err(Refused { expected: 1 })),
            },
            Err(refused) => return Ok(Err(refused)),
        };
        self.push(record, user, slot, &key, nonce, previous);
        Ok(Ok(()))
    }

    /// The newest frame of a user, in the group, the journal or a checkpoint.
    fn predecessor(&self, shared: &Shared, user: &UserHash) -> io::Result<Result<Option<Predecessor>, Refused>> {
        if let Some(&number) = self.newest.get(user) {
            let Sealed { slot, generation, sequence, .. } = self.frames[number];
            return Ok(Ok(Some(Predecessor { slot, generation, sequence, previous: Previous::InGroup(number) })));
        }
        match shared.last_known(user) {
            Ok(known) => Ok(Ok(known.map(|Known { slot, generation, sequence, position }| Predecessor {
                slot,
                generation,
                sequence,
                previous: Previous::InJournal(position),
            }))),
            // This user's own data is damaged; the actor learns it when it hydrates again.
            Err(domain::port::store::StoreError::Damaged { what }) => {
                tracing::error!("{what}: the record of its user is refused");
                Ok(Err(Refused { expected: 0 }))
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// A slot for a user who was never seen, if the record is one to begin with.
    fn first_slot(&mut self, record: &Record) -> Option<(u32, SecretKey)> {
        if record.sequence != 1 || record.generation != 1 {
            return None;
        }
        let issued = self.unused.pop()?;
        let found = (issued.slot, issued.key.clone());
        self.taken.push(issued);
        Some(found)
    }

    fn push(
        &mut self,
        record: &Record,
        user: UserHash,
        slot: u32,
        key: &SecretKey,
        nonce: &[u8; NONCE_BYTES],
        previous: Previous,
    ) {
        let header = FrameHeader {
            kind: record.kind as u8,
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
        key.cipher().seal(nonce, header.label(), &mut self.bytes, body_at);
        let (sequence, generation) = (record.sequence, record.generation);
        let end = self.bytes.len();
        self.newest.insert(user, self.frames.len());
        self.frames.push(Sealed { start, end, user, slot, sequence, generation, previous });
    }
}

/// The place of byte `start` of a group that lies at `at`.
fn offset(at: Position, start: usize) -> Position {
    Position::new(at.segment, at.offset + start as u32)
}
