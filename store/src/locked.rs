//! Memory that the operating system does not swap out, for keys that live as long as the store is open.
//!
//! A key that was swapped out would stay on the disk after the process has ended. Core dumps are forbidden by the program
//! as a whole.

use std::fmt;
use std::ops::Deref;
use std::sync::Once;

use region::LockGuard;

/// A value on pages of its own, which are locked into memory. The value wipes itself when it is dropped.
///
/// If the system refuses the lock (`RLIMIT_MEMLOCK`), that is logged once, and the value is kept all the same: a server
/// without swap is no less safe then.
pub(crate) struct Locked<T> {
    pages: Box<OwnPages<T>>,
    /// Dropped after the value was wiped.
    _lock: Option<LockGuard>,
}

/// Begins on a page, and has it to itself: dropping one value must not unlock another. Pages of the supported systems have
/// at most 16 KiB.
#[repr(align(16384))]
struct OwnPages<T>(T);

impl<T> Locked<T> {
    /// Moves a value to locked pages.
    pub(crate) fn new(value: T) -> Self {
        let pages = Box::new(OwnPages(value));
        let lock = region::lock(&raw const pages.0, size_of::<T>().max(1));
        if let Err(error) = &lock {
            static LOGGED: Once = Once::new();
            LOGGED.call_once(|| {
                tracing::warn!(%error, "keys may be swapped out: raise the limit of locked memory (`ulimit -l`), or turn swap off");
            });
        }
        Self { pages, _lock: lock.ok() }
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.pages.0
    }
}

impl<T> fmt::Debug for Locked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locked(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the locked memory of the process in KiB.
    #[cfg(target_os = "linux")]
    fn locked_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_value_is_on_a_locked_page_of_its_own() {
        let first = Locked::new([7_u8; 32]);
        let second = Locked::new([8_u8; 32]);
        let locked = locked_kib();
        assert!(locked >= 8, "{locked} KiB are locked");
        drop(second);
        assert!(locked_kib() >= 4, "the other one stays locked");
        assert_eq!(*first, [7; 32]);
        assert_eq!((&raw const *first).addr() % 4096, 0);
        assert_eq!(format!("{first:?}"), "Locked(…)");
    }
}
