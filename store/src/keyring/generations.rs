//! A user's slot over generations: the key of one is destroyed, and the next one has a key of its own in the same slot.

use zeroize::Zeroizing;

use super::slot::{self, SlotFault, SlotState};
use super::{Keyring, read_slot};
use crate::erasure::SealedTombstone;
use crate::seal::{KEY_BYTES, SecretKey};

/// Maximum number of destroyed keys that are known to be gone from the disk. One that is forgotten is only destroyed once more.
const MAX_BURIED: usize = 65_536;

impl Keyring {
    /// Reads what a slot says without its key.
    pub(crate) fn slot_state(&self, number: u32) -> Result<SlotState, SlotFault> {
        slot::decode_state(number, &read_slot(&self.current.load(), number)?)
    }

    /// Destroys the data key of a user's generation, and with it everything that was sealed under it, and leaves the tombstone
    /// in its place. Does nothing if that was done since the keyring was opened. Durable when it returns.
    pub(crate) fn bury(&self, number: u32, generation: u32, tombstone: &SealedTombstone) -> Result<(), SlotFault> {
        let _rewriting = self.rewriting.lock();
        match self.slot_state(number) {
            Ok(SlotState::Live { generation: found } | SlotState::Destroyed { generation: found, .. })
                if found > generation =>
            {
                return Ok(());
            }
            // What is read may be in the page cache alone: a sync that has failed is not tried again by the system, and the disk
            // still has the key.
            Ok(SlotState::Destroyed { generation: found, .. })
                if found == generation && self.buried.lock().get(&number) == Some(&generation) =>
            {
                return Ok(());
            }
            Err(fault @ SlotFault::Unavailable(_)) => return Err(fault),
            // A damaged slot may still hold the key.
            Ok(_) | Err(_) => {}
        }
        let written = self.write_slot(number, &|_| slot::destroyed(generation, Some(tombstone)));
        written.map_err(SlotFault::Unavailable)?;
        let mut buried = self.buried.lock();
        if buried.len() >= MAX_BURIED {
            buried.clear();
        }
        buried.insert(number, generation);
        Ok(())
    }

    /// Returns the data key of a user's next generation, in the same slot. The slot is written: the new key is durable, and the
    /// key of the generation before destroyed, once [`Self::sync_slots`] has returned. Many lives can begin with one sync.
    pub(crate) fn renew(&self, number: u32, generation: u32) -> Result<SecretKey, SlotFault> {
        let _rewriting = self.rewriting.lock();
        let key = match self.slot_state(number)? {
            // Made before a group that was not written, and never used. A second key would be wrapped with the same nonce. The
            // sync may have failed, so the slot is written again.
            SlotState::Live { generation: found } if found == generation => self.data_key(number, generation)?,
            SlotState::Live { generation: found } | SlotState::Destroyed { generation: found, .. }
                if found >= generation =>
            {
                return Err(SlotFault::Erased);
            }
            SlotState::Live { .. } | SlotState::Destroyed { .. } => {
                let mut key = Zeroizing::new([0; KEY_BYTES]);
                self.entropy.fill(&mut *key);
                SecretKey::new(*key)
            }
        };
        self.put_slots(number, &|ring| slot::encode(ring, number, generation, &key).to_vec())
            .map_err(|failed| SlotFault::Unavailable(failed.source))?;
        Ok(key)
    }
}
