//! Replaces the sync of sled 0.34 by a real one.
//!
//! sled makes its log durable with `sync_file_range`, which flushes neither the disk's write cache nor the file's metadata,
//! and then overwrites segments that it takes for obsolete: a power cut could lose old data, too. The symbol below takes the
//! place of that of libc in the linked program, and calls `fdatasync`.

use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicU64, Ordering};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Returns how often sled synced. If a flush at start-up does not count here, the linker took the symbol of libc, and
/// the start-up is refused.
pub(crate) fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// Syncs the whole file, regardless of the range.
#[expect(unsafe_code, reason = "the one symbol that has to replace libc's")]
#[unsafe(no_mangle)]
extern "C" fn sync_file_range(fd: c_int, _offset: i64, _bytes: i64, _flags: c_uint) -> c_int {
    CALLS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: `fdatasync` takes any number for a descriptor and reads no memory of ours.
    unsafe { libc::fdatasync(fd) }
}
