//! Gives sled a real sync.
//!
//! sled 0.34 makes its log durable with `sync_file_range`, which neither flushes the disk's write cache nor
//! the file's metadata, and then reuses segments on the strength of it: power cuts lost old data, too.
//! This symbol takes the place of libc's in the linked program, so that sled gets an `fdatasync`.

use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicU64, Ordering};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// How often sled synced. A start-up that sees no call after a flush must not go on: the linker took libc's.
pub(crate) fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// Syncs the whole file, whatever the range.
#[expect(unsafe_code, reason = "the one symbol that has to replace libc's")]
#[unsafe(no_mangle)]
extern "C" fn sync_file_range(fd: c_int, _offset: i64, _bytes: i64, _flags: c_uint) -> c_int {
    CALLS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: `fdatasync` takes any number for a descriptor and reads no memory of ours.
    unsafe { libc::fdatasync(fd) }
}
