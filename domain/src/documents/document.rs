//! The document of one source: registers with their stamps.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

use crate::canonical::CanonicalJson;
use crate::event::{RegisterPath, SharedText};
use crate::source::{Source, ValueKind};

/// Maximum number of scheme overlays of a user; those with the greatest stamps are kept.
pub const OVERLAYS_KEPT: usize = 256;
/// Maximum number of deadline details, and of completions, of a user; those with the greatest stamps are kept.
pub const DEADLINES_KEPT: usize = 512;

/// The document of one source: its registers, in the order of (path, kind).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceDocument {
    registers: Vec<Register>,
    /// The newest `observed_at` of any register.
    pub(super) newest: Option<i64>,
}

/// A value or `withdrawn`, with its stamp; nothing older is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Register {
    /// The path of the value.
    pub path: RegisterPath,
    /// The kind of the value.
    pub kind: ValueKind,
    /// The stamp's observed_at: microseconds since the Unix epoch.
    pub time: i64,
    /// The stamp's event id.
    pub event_id: SharedText,
    /// The value; `None` is withdrawn.
    pub value: Option<CanonicalJson>,
}

/// The outcome of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The write has the greatest stamp, and the register holds it now.
    Taken,
    /// The register already holds this stamp.
    Duplicate,
    /// The register holds a greater stamp, or the write falls beyond the bounds.
    Superseded,
}

impl Register {
    /// Compares stamps of one register: (observed_at, event id, SHA-256 of the value's canonical form).
    ///
    /// The source, which comes between, is the same for both. The hash is computed only if all else is equal.
    pub(super) fn compare_stamp(&self, other: &Self) -> Ordering {
        let by_event = self.time.cmp(&other.time).then_with(|| self.event_id.cmp(&other.event_id));
        by_event.then_with(|| match (&self.value, &other.value) {
            (mine, theirs) if mine == theirs => Ordering::Equal,
            _ => self.value_hash().cmp(&other.value_hash()),
        })
    }

    fn value_hash(&self) -> [u8; 32] {
        Sha256::digest(self.value.as_ref().map_or(b"null".as_slice(), CanonicalJson::as_bytes)).into()
    }

    /// Compares the stamps of two candidates of one path, which may be of different sources.
    pub fn compare_candidate(&self, source: Source, other: &Self, other_source: Source) -> Ordering {
        let by_time = self.time.cmp(&other.time);
        by_time.then_with(|| source.name().cmp(other_source.name())).then_with(|| self.compare_stamp(other))
    }

    pub(crate) fn key(&self) -> (&RegisterPath, ValueKind) {
        (&self.path, self.kind)
    }
}

impl SourceDocument {
    /// Rebuilds a document from stored registers. They may be in another order: that of leaves changes when the profile
    /// gets new ones, and stored states do not. Of two registers of one path and kind, the greater stamp stays.
    pub(crate) fn from_stored(mut registers: Vec<Register>) -> Self {
        if !registers.is_sorted_by(|a, b| a.key() < b.key()) {
            registers.sort_by(|a, b| a.key().cmp(&b.key()).then_with(|| b.compare_stamp(a)));
            registers.dedup_by(|a, b| a.key() == b.key());
        }
        let newest = registers.iter().map(|register| register.time).max();
        Self { registers, newest }
    }

    /// Returns every register, in order.
    pub fn registers(&self) -> &[Register] {
        &self.registers
    }

    /// Returns the register of a path and kind.
    pub fn get(&self, path: &RegisterPath, kind: ValueKind) -> Option<&Register> {
        let index = self.find(path, kind).ok()?;
        self.registers.get(index)
    }

    /// Returns the register of a scheme's overlay.
    pub(crate) fn scheme_status(&self, id: &str) -> Option<&Register> {
        let index = self.registers.binary_search_by(|register| match &register.path {
            RegisterPath::SchemeStatus(found) => found.as_str().cmp(id),
            RegisterPath::DeadlineDetails(_) | RegisterPath::DeadlineCompletion(_) => Ordering::Greater,
            _ => Ordering::Less,
        });
        self.registers.get(index.ok()?)
    }

    /// Returns the place of a register, or else the place at which it would be inserted.
    fn find(&self, path: &RegisterPath, kind: ValueKind) -> Result<usize, usize> {
        let RegisterPath::Leaf(leaf) = path else {
            return self.registers.binary_search_by(|register| register.key().cmp(&(path, kind)));
        };
        // Most paths are leaves, which come before all others and are compared faster.
        let place = |register: &Register| match register.path {
            RegisterPath::Leaf(leaf) => (leaf as u16) << 8 | register.kind as u16,
            _ => u16::MAX,
        };
        let wanted = (*leaf as u16) << 8 | kind as u16;
        self.registers.binary_search_by(|register| place(register).cmp(&wanted))
    }

    /// Writes a register. What the newest of all was is replaced or evicted only by newer ones.
    pub(super) fn write(&mut self, new: Register) -> WriteOutcome {
        let time = new.time;
        let outcome = self.put(new);
        if outcome == WriteOutcome::Taken {
            self.newest = self.newest.max(Some(time));
        }
        outcome
    }

    fn put(&mut self, new: Register) -> WriteOutcome {
        match self.find(&new.path, new.kind) {
            Ok(index) => match new.compare_stamp(&self.registers[index]) {
                Ordering::Greater => {
                    self.registers[index] = new;
                    WriteOutcome::Taken
                }
                Ordering::Equal => WriteOutcome::Duplicate,
                Ordering::Less => WriteOutcome::Superseded,
            },
            Err(index) => {
                let family = std::mem::discriminant(&new.path);
                let kept = match new.path {
                    RegisterPath::SchemeStatus(_) => OVERLAYS_KEPT,
                    RegisterPath::DeadlineDetails(_) | RegisterPath::DeadlineCompletion(_) => DEADLINES_KEPT,
                    _ => usize::MAX,
                };
                self.registers.insert(index, new);
                self.evict(family, kept, index)
            }
        }
    }

    /// Removes the register with the smallest stamp of a family that exceeds its bound. The stamp decides, never the
    /// order of arrival, so that every order of events leads to the same document.
    fn evict(&mut self, family: std::mem::Discriminant<RegisterPath>, kept: usize, inserted: usize) -> WriteOutcome {
        let of_family = || self.registers.iter().enumerate().filter(|(_, r)| std::mem::discriminant(&r.path) == family);
        if kept == usize::MAX || of_family().count() <= kept {
            return WriteOutcome::Taken;
        }
        let smallest = of_family().min_by(|(_, a), (_, b)| a.compare_stamp(b).then_with(|| a.path.cmp(&b.path)));
        let Some((index, _)) = smallest else { return WriteOutcome::Taken };
        self.registers.remove(index);
        if index == inserted { WriteOutcome::Superseded } else { WriteOutcome::Taken }
    }
}
