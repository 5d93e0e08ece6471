//! Dead letters in sled, and the slots of the daily keys that seal those of nobody.

use domain::port::store::StoreError;

use super::record::SealedRecord;
use super::{SledStore, chunk_key, read, unavailable};
use crate::user_hash::UserHash;

/// Bytes of a letter's key: when it was rejected, a random part, and the hash of its user.
pub(crate) const LETTER_KEY_BYTES: usize = 32;

impl SledStore {
    pub(crate) fn put_letter(&self, key: &[u8; LETTER_KEY_BYTES], letter: &SealedRecord) -> sled::Result<()> {
        let mut batch = sled::Batch::default();
        for (number, chunk) in (0..).zip(letter.chunks()) {
            batch.insert(chunk_key(key, number), chunk);
        }
        self.with(|trees| trees.letters.apply_batch(batch))
    }

    /// All letters, oldest first, sealed.
    pub(crate) fn letters(&self) -> Result<Vec<SealedRecord>, StoreError> {
        let collect = |tree: &sled::Tree| {
            let mut letters: Vec<SealedRecord> = Vec::new();
            for key in tree.iter().keys() {
                let key = key.map_err(unavailable)?;
                if let Some((prefix, [0, 0])) = key.split_last_chunk()
                    && let Some(user) = prefix.last_chunk()
                {
                    letters.extend(read(tree, prefix, UserHash(*user))?);
                }
            }
            Ok(letters)
        };
        self.with(|trees| Ok(collect(&trees.letters))).map_err(unavailable)?
    }

    /// Removes the letters whose keys lie below `end`.
    pub(crate) fn remove_letters_before(&self, end: &[u8; LETTER_KEY_BYTES]) -> sled::Result<()> {
        self.with(|trees| {
            for key in trees.letters.range(..end.as_slice()).keys() {
                trees.letters.remove(key?)?;
            }
            Ok(())
        })
    }

    /// The slot of a day's key; days count from the Unix epoch.
    pub(crate) fn daily_slot(&self, day: u32) -> sled::Result<Option<u32>> {
        let bytes = self.with(|trees| trees.daily_keys.get(day.to_be_bytes()))?;
        Ok(bytes.and_then(|bytes| bytes.first_chunk().map(|slot| u32::from_be_bytes(*slot))))
    }

    pub(crate) fn set_daily_slot(&self, day: u32, slot: u32) -> sled::Result<()> {
        self.with(|trees| trees.daily_keys.insert(day.to_be_bytes(), &slot.to_be_bytes()).map(|_| ()))
    }

    /// The days before `day` that have a key, with its slot.
    pub(crate) fn daily_slots_before(&self, day: u32) -> sled::Result<Vec<(u32, u32)>> {
        self.with(|trees| {
            let mut found = Vec::new();
            for entry in trees.daily_keys.range(..day.to_be_bytes().as_slice()) {
                let (key, slot) = entry?;
                if let (Some(key), Some(slot)) = (key.first_chunk(), slot.first_chunk()) {
                    found.push((u32::from_be_bytes(*key), u32::from_be_bytes(*slot)));
                }
            }
            Ok(found)
        })
    }

    pub(crate) fn remove_daily_slot(&self, day: u32) -> sled::Result<()> {
        self.with(|trees| trees.daily_keys.remove(day.to_be_bytes()).map(|_| ()))
    }
}
