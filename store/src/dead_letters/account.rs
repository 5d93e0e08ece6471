//! How many bytes the dead letters of each source take, and how many they may.

use std::collections::HashMap;

use domain::port::dead_letters::LetterDropped;
use parking_lot::Mutex;

/// What stands for a source in keys: its letters lie side by side.
pub(crate) type SourceTag = [u8; 4];

/// The tag of a source. Two sources with one tag would share their bound, and nothing else.
pub(super) fn tag(source: &str) -> SourceTag {
    crc32c::crc32c(source.as_bytes()).to_be_bytes()
}

/// Bounds on stored letters, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) per_source: u64,
    pub(super) all: u64,
}

/// Bytes that are stored or will be: shared by those who hand letters in and the thread that writes them.
pub(super) struct Account {
    limits: Limits,
    bytes: Mutex<HashMap<SourceTag, u64>>,
}

impl Account {
    /// Begins with what is stored.
    pub(super) fn new(limits: Limits, stored: HashMap<SourceTag, u64>) -> Self {
        Self { limits, bytes: Mutex::new(stored) }
    }

    /// Sets room for a letter aside.
    pub(super) fn reserve(&self, tag: SourceTag, bytes: u64) -> Result<(), LetterDropped> {
        let mut all = self.bytes.lock();
        if all.get(&tag).copied().unwrap_or(0) + bytes > self.limits.per_source {
            return Err(LetterDropped::SourceLimit);
        }
        if all.values().sum::<u64>() + bytes > self.limits.all {
            return Err(LetterDropped::TotalLimit);
        }
        *all.entry(tag).or_default() += bytes;
        Ok(())
    }

    /// Gives bytes back: a letter is gone, or takes less than was set aside.
    pub(super) fn release(&self, tag: SourceTag, bytes: u64) {
        if let Some(held) = self.bytes.lock().get_mut(&tag) {
            *held = held.saturating_sub(bytes);
        }
    }

    /// The bytes of all letters.
    pub(super) fn total(&self) -> u64 {
        self.bytes.lock().values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_has_its_bound_and_all_have_one() {
        let account = Account::new(Limits { per_source: 100, all: 150 }, HashMap::from([(tag("a"), 60)]));
        assert_eq!(account.reserve(tag("a"), 41), Err(LetterDropped::SourceLimit));
        assert_eq!(account.reserve(tag("a"), 40), Ok(()));
        assert_eq!(account.reserve(tag("b"), 51), Err(LetterDropped::TotalLimit));
        assert_eq!(account.reserve(tag("b"), 50), Ok(()));
        account.release(tag("a"), 10);
        assert_eq!((account.total(), account.reserve(tag("a"), 10)), (140, Ok(())));
    }
}
