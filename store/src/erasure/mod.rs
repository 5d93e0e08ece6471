//! Erasure: the key of a user's generation is destroyed, and a tombstone remains.
//!
//! The order makes it hold through a crash at any point:
//!
//! 1. The tombstone is a frame of the journal, sealed under a key of the system. From then on the user is erased.
//! 2. The user's slot of the keyring is overwritten, with the sealed tombstone in it. A start does that for the tombstones that
//!    it finds in the journal, and a checkpoint before it writes one to sled.
//! 3. A checkpoint puts the tombstone in the place of the user's record, and removes the side records and the quarantine.
//!
//! A record whose slot says that its generation is over is not damaged but erased: a backup from before the erasure was
//! restored. Then the tombstone in the slot says what remains.

mod directory;
#[cfg(test)]
mod proof;
mod tombstone;

pub(crate) use directory::{
    KeyedUsers, bury, erased_by_slot, finish_erasures, tombstone_in_journal, tombstone_in_record,
};
pub(crate) use tombstone::{ErasureKey, SEALED_TOMBSTONE_BYTES, SealedTombstone};
