//! What the recorded process was told that it has done, and what must be true of it from then on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use crate::image::DiskImage;
use crate::kit::erasing::GENERATION_RECORDS;
use crate::recording::{Operation, Recording};

/// How far an erasure has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The job is in the registry.
    Begun,
    /// The entry is in the audit log.
    Recorded,
    /// The tombstone is in the journal.
    Ended,
    /// The job holds the tombstone.
    Noted,
    /// The key is destroyed.
    Forgotten,
    /// The receipt is in the registry.
    Proved,
    /// The job is about to be removed: it may be gone.
    Removing,
    /// The job is gone.
    Removed,
}

impl Step {
    pub(super) const ALL: [Self; 8] = [
        Self::Begun,
        Self::Recorded,
        Self::Ended,
        Self::Noted,
        Self::Forgotten,
        Self::Proved,
        Self::Removing,
        Self::Removed,
    ];
}

/// Something that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// A record of a user is durable.
    Appended { number: usize, sequence: u64 },
    /// The erasure of a user's generation has taken a step. `receipt` is the checksum of the receipt, once there is one.
    Reached { number: usize, generation: u32, step: Step, receipt: u32 },
    /// The audit log was closed, and its last tree head is anchored.
    Closed,
}

const NOTE_BYTES: usize = 16;
const CLOSED: u32 = u32::MAX;

impl Note {
    fn encode(self) -> [u8; NOTE_BYTES] {
        let words = match self {
            Self::Appended { number, sequence } => [0, number as u32, 0, sequence as u32],
            Self::Reached { number, generation, step, receipt } => {
                [1 + step as u32, number as u32, generation, receipt]
            }
            Self::Closed => [CLOSED, 0, 0, 0],
        };
        let mut bytes = [0; NOTE_BYTES];
        bytes.chunks_exact_mut(4).zip(words).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
        bytes
    }

    /// Returns whom it is about.
    pub(super) fn number(&self) -> Option<usize> {
        match self {
            Self::Appended { number, .. } | Self::Reached { number, .. } => Some(*number),
            Self::Closed => None,
        }
    }

    fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[4 * at..4 * at + 4].try_into().expect("four bytes"));
        let number = word(1) as usize;
        match word(0) {
            0 => Self::Appended { number, sequence: word(3).into() },
            CLOSED => Self::Closed,
            step => {
                let step = Step::ALL[step as usize - 1];
                Self::Reached { number, generation: word(2), step, receipt: word(3) }
            }
        }
    }
}

/// Where the recorded process writes its notes down.
pub(super) struct Notes(Mutex<File>);

impl Notes {
    pub(super) fn below(root: &Path) -> Self {
        let file = File::options().create(true).append(true).open(root.join("acknowledged"));
        Self(Mutex::new(file.expect("a file")))
    }

    pub(super) fn add(&self, note: Note) {
        self.0.lock().expect("no panic while locked").write_all(&note.encode()).expect("noted");
    }
}

/// Returns the notes of a recording, each with the number of the operation that wrote it down.
pub(super) fn notes(recording: &Recording, mut disk: DiskImage, root: &Path) -> Vec<(usize, Note)> {
    let path = root.join("acknowledged");
    let mut notes = Vec::new();
    for (moment, operation) in recording.operations.iter().enumerate() {
        disk.apply(operation);
        let Operation::Wrote { descriptor, payload, .. } = operation else { continue };
        if disk.path_of(*descriptor) == Some(&path) {
            let bytes = recording.bytes[payload.clone()].chunks_exact(NOTE_BYTES);
            notes.extend(bytes.map(|bytes| (moment, Note::decode(bytes))));
        }
    }
    notes
}

/// Everything that was acknowledged.
#[derive(Default, Clone)]
pub(super) struct Promises {
    pub(super) users: BTreeMap<usize, UserPromises>,
    /// Whether tree heads were anchored.
    pub(super) is_anchored: bool,
}

/// What was acknowledged of a user.
#[derive(Default, Clone)]
pub(super) struct UserPromises {
    /// The sequence of the newest record.
    pub(super) sequence: u64,
    /// The erasures, by generation.
    pub(super) erasures: BTreeMap<u32, ErasurePromise>,
}

/// What was acknowledged of an erasure.
#[derive(Clone)]
pub(super) struct ErasurePromise {
    /// The last step that was acknowledged.
    pub(super) step: Step,
    /// The checksum of the receipt.
    pub(super) receipt: Option<u32>,
}

impl Promises {
    /// Adds what a note says, and returns whether it is new. A receipt that there is must stay the same.
    pub(super) fn take(&mut self, note: Note) -> bool {
        match note {
            Note::Appended { number, sequence } => {
                let user = self.users.entry(number).or_default();
                let is_new = sequence > user.sequence;
                user.sequence = user.sequence.max(sequence);
                is_new
            }
            Note::Reached { number, generation, step, receipt } => {
                let user = self.users.entry(number).or_default();
                let is_new = user.erasures.get(&generation).is_none_or(|known| known.step < step);
                let erasure = user.erasures.entry(generation).or_insert(ErasurePromise { step, receipt: None });
                erasure.step = erasure.step.max(step);
                if step >= Step::Ended {
                    user.sequence = user.sequence.max(u64::from(generation) * GENERATION_RECORDS);
                }
                if step == Step::Proved {
                    let known = *erasure.receipt.get_or_insert(receipt);
                    assert_eq!(known, receipt, "user {number} has another receipt for generation {generation}");
                }
                is_new
            }
            Note::Closed => !std::mem::replace(&mut self.is_anchored, true),
        }
    }

    /// Returns whether the last step of some erasure is `step`.
    pub(super) fn has_come_to(&self, step: Step) -> bool {
        let last = self.users.values().filter_map(|user| user.erasures.last_key_value());
        last.map(|(_, erasure)| erasure.step).any(|last| last == step)
    }
}
