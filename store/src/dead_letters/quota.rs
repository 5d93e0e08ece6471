//! The bytes that the dead letters of each source take, and their limits.

use std::collections::HashMap;

use domain::port::dead_letters::LetterDropped;
use parking_lot::{Mutex, MutexGuard};

use crate::sled_store::SourceTag;

/// Returns the tag of a source. Two sources with the same tag would share their limit, and nothing else.
pub(super) fn source_tag(source: &str) -> SourceTag {
    crc32c::crc32c(source.as_bytes()).to_be_bytes()
}

/// Maximum numbers of bytes of stored letters.
#[derive(Debug, Clone, Copy)]
pub(super) struct LetterLimits {
    pub(super) per_source: u64,
    pub(super) all: u64,
}

/// Counts the bytes of letters that are stored or will be. Used by the threads that reject events and the thread that
/// writes letters.
pub(super) struct LetterQuota {
    limits: LetterLimits,
    sources: Mutex<HashMap<SourceTag, SourceUsage>>,
    /// Locked while stored letters are changed or counted: the number of bytes of a source is read and written again.
    changes: Mutex<()>,
}

/// The bytes of one source.
#[derive(Debug, Clone, Copy, Default)]
struct SourceUsage {
    /// Bytes of stored letters.
    stored: u64,
    /// Bytes reserved for letters that are not written yet.
    reserved: u64,
}

impl SourceUsage {
    fn bytes(self) -> u64 {
        self.stored + self.reserved
    }
}

impl LetterQuota {
    /// Starts with the bytes that are stored, by source.
    pub(super) fn new(limits: LetterLimits, stored: HashMap<SourceTag, u64>) -> Self {
        let quota = Self { limits, sources: Mutex::default(), changes: Mutex::default() };
        quota.set_stored(stored);
        quota
    }

    /// Replaces the stored bytes by what was counted in the store. Reserved bytes stay.
    pub(super) fn set_stored(&self, counted: HashMap<SourceTag, u64>) {
        let mut sources = self.sources.lock();
        sources.values_mut().for_each(|held| held.stored = 0);
        for (tag, stored) in counted {
            sources.entry(tag).or_default().stored = stored;
        }
        sources.retain(|_, held| held.bytes() > 0);
    }

    /// Waits until nothing else changes or counts stored letters, and keeps others from it.
    pub(super) fn lock_changes(&self) -> MutexGuard<'_, ()> {
        self.changes.lock()
    }

    /// Replaces `before` bytes of stored letters of a source by `after`.
    pub(super) fn replace(&self, tag: SourceTag, before: u64, after: u64) {
        if let Some(held) = self.sources.lock().get_mut(&tag) {
            held.stored = (held.stored + after).saturating_sub(before);
        }
    }

    /// Reserves bytes for a letter, unless that would exceed a limit.
    pub(super) fn reserve(&self, tag: SourceTag, bytes: u64) -> Result<(), LetterDropped> {
        let mut sources = self.sources.lock();
        if sources.get(&tag).map_or(0, |held| held.bytes()) + bytes > self.limits.per_source {
            return Err(LetterDropped::SourceLimit);
        }
        if sum(&sources) + bytes > self.limits.all {
            return Err(LetterDropped::TotalLimit);
        }
        sources.entry(tag).or_default().reserved += bytes;
        Ok(())
    }

    /// Replaces the `reserved` bytes of a letter by the `stored` bytes that it takes: 0 for a letter that is not kept.
    pub(super) fn settle(&self, tag: SourceTag, reserved: u64, stored: u64) {
        if let Some(held) = self.sources.lock().get_mut(&tag) {
            held.reserved = held.reserved.saturating_sub(reserved);
            held.stored += stored;
        }
    }

    /// Returns the number of bytes of all letters.
    pub(super) fn total(&self) -> u64 {
        sum(&self.sources.lock())
    }
}

fn sum(sources: &HashMap<SourceTag, SourceUsage>) -> u64 {
    sources.values().map(|held| held.bytes()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_a_limit_and_so_have_all_together() {
        let quota =
            LetterQuota::new(LetterLimits { per_source: 100, all: 150 }, HashMap::from([(source_tag("a"), 60)]));
        assert_eq!(quota.reserve(source_tag("a"), 41), Err(LetterDropped::SourceLimit));
        assert_eq!(quota.reserve(source_tag("a"), 40), Ok(()));
        assert_eq!(quota.reserve(source_tag("b"), 51), Err(LetterDropped::TotalLimit));
        assert_eq!(quota.reserve(source_tag("b"), 50), Ok(()));
        quota.settle(source_tag("a"), 40, 30);
        assert_eq!((quota.total(), quota.reserve(source_tag("a"), 10)), (140, Ok(())));
    }

    #[test]
    fn a_new_count_replaces_the_stored_bytes_and_leaves_the_reserved_ones() {
        let quota = LetterQuota::new(
            LetterLimits { per_source: 100, all: 150 },
            HashMap::from([(source_tag("a"), 60), (source_tag("b"), 5)]),
        );
        assert_eq!(quota.reserve(source_tag("a"), 20), Ok(()));
        quota.set_stored(HashMap::from([(source_tag("a"), 10), (source_tag("c"), 1)]));
        assert_eq!(quota.total(), 31);
        quota.settle(source_tag("a"), 20, 15);
        assert_eq!((quota.total(), quota.reserve(source_tag("a"), 76)), (26, Err(LetterDropped::SourceLimit)));
    }
}
