//! Dead letters in sled, and the slots of the daily keys that seal the letters about no known user.

use std::collections::HashMap;

use domain::port::store::StoreError;

use super::record::SealedRecord;
use super::tree::{ReadableTree, TreeBatch};
use super::{SledStore, chunk_key, read, unavailable};
use crate::user_hash::UserHash;

/// Stands for a source at the start of each key, so that the letters of a source are adjacent.
pub(crate) type SourceTag = [u8; 4];

/// A letter's key: the tag of its source, the time of the rejection, random bytes, and the hash of its user.
pub(crate) type LetterKey = [u8; LETTER_KEY_BYTES];

const LETTER_KEY_BYTES: usize = 36;
const CHUNK_KEY_BYTES: usize = LETTER_KEY_BYTES + 2;
/// Maximum number of keys that one batch removes.
const REMOVE_AT_ONCE: usize = 256;

/// A letter to be stored.
pub(crate) struct NewLetter {
    pub(crate) key: LetterKey,
    pub(crate) record: SealedRecord,
}

impl NewLetter {
    /// Returns the number of bytes of the letter's keys and values.
    pub(crate) fn bytes(&self) -> u64 {
        self.record.chunks().iter().map(|chunk| (CHUNK_KEY_BYTES + chunk.len()) as u64).sum()
    }
}

// The key that is the tag of a source holds the number of bytes of its letters. It changes in the same batch as the
// letters, so that a crash leaves both changes or neither.
impl SledStore {
    /// Writes letters, and the new number of bytes of each source.
    pub(crate) fn put_letters(&self, letters: &[(SourceTag, NewLetter)]) -> sled::Result<()> {
        let (mut batch, mut added) = (TreeBatch::default(), HashMap::<SourceTag, u64>::new());
        for (tag, letter) in letters {
            *added.entry(*tag).or_default() += letter.bytes();
            for (number, chunk) in (0..).zip(letter.record.chunks()) {
                batch.insert(chunk_key(&letter.key, number), chunk);
            }
        }
        self.with(|trees| {
            for (tag, bytes) in added {
                batch.insert(&tag, &(total(&trees.letters, tag)? + bytes).to_le_bytes());
            }
            trees.letters.apply_batch(batch)
        })
    }

    /// Returns the bytes that the letters of each source take.
    pub(crate) fn letter_bytes(&self) -> sled::Result<HashMap<SourceTag, u64>> {
        self.with(|trees| {
            let (mut found, mut from) = (HashMap::new(), SourceTag::default());
            while let Some(entry) = trees.letters.range(from.as_slice()..).next() {
                let (key, _) = entry?;
                let Some(&tag) = key.first_chunk() else { break };
                found.insert(tag, total(&trees.letters, tag)?);
                match u32::from_be_bytes(tag).checked_add(1) {
                    Some(next) => from = next.to_be_bytes(),
                    None => break,
                }
            }
            Ok(found)
        })
    }

    /// Returns the letters whose keys start with `prefix`, sealed, in the order of their keys. A source's tag is the
    /// prefix of its letters.
    pub(crate) fn letters(&self, prefix: &[u8]) -> Result<Vec<(LetterKey, SealedRecord)>, StoreError> {
        let collect = |tree: &ReadableTree| {
            let mut letters = Vec::new();
            for key in tree.scan_prefix(prefix).keys() {
                let key = key.map_err(unavailable)?;
                if let Some((letter, [0, 0])) = key.split_last_chunk()
                    && let Ok(letter) = LetterKey::try_from(letter)
                {
                    letters.extend(read_letter(tree, &letter)?.map(|record| (letter, record)));
                }
            }
            Ok(letters)
        };
        self.with(|trees| Ok(collect(&trees.letters))).map_err(unavailable)?
    }

    /// Returns the letter with a key, sealed.
    pub(crate) fn letter(&self, key: &LetterKey) -> Result<Option<SealedRecord>, StoreError> {
        self.with(|trees| Ok(read_letter(&trees.letters, key))).map_err(unavailable)?
    }

    /// Returns the key of the newest letter of a source before `end`, which begins with the tag of the source.
    pub(crate) fn newest_letter_before(&self, tag: SourceTag, end: &[u8]) -> Result<Option<LetterKey>, StoreError> {
        // The first key is the tag, with the number of bytes.
        let first = [&tag[..], &[0]].concat();
        let newest = self.with(|trees| trees.letters.range(&first[..]..end).keys().next_back().transpose());
        Ok(newest.map_err(unavailable)?.and_then(|key| key.first_chunk().copied()))
    }

    /// Returns the key of the letter whose key begins with `start`.
    pub(crate) fn letter_key(&self, start: &[u8]) -> Result<Option<LetterKey>, StoreError> {
        let first = self.with(|trees| trees.letters.scan_prefix(start).keys().next().transpose());
        Ok(first.map_err(unavailable)?.and_then(|key| key.first_chunk().copied()))
    }

    /// Looks through at most `limit` keys behind `after` for letters of a user. Returns the keys of the letters, and the last key
    /// that was looked at; `None` at the end of the tree.
    pub(crate) fn letter_keys_of(
        &self,
        user: &UserHash,
        after: Option<&LetterKey>,
        limit: usize,
    ) -> Result<(Vec<LetterKey>, Option<LetterKey>), StoreError> {
        // Behind all values of the letter.
        let start = after.map_or(Vec::new(), |after| [&after[..], &[u8::MAX; 3]].concat());
        let look = |tree: &ReadableTree| {
            let (mut found, mut last, mut seen) = (Vec::new(), None, 0);
            for key in tree.range(start..).keys() {
                let key = key?;
                let Some((letter, number)) = key.split_first_chunk::<LETTER_KEY_BYTES>() else { continue };
                if seen >= limit && number == [0, 0] {
                    return Ok((found, last));
                }
                (seen, last) = (seen + 1, Some(*letter));
                if letter.ends_with(&user.0) && number == [0, 0] {
                    found.push(*letter);
                }
            }
            Ok((found, None))
        };
        self.with(|trees| look(&trees.letters)).map_err(unavailable)
    }

    /// Puts a letter in place of the one with its key, or removes that one if `letter` is `None`. Returns the bytes of both;
    /// `None` if there is no such letter.
    pub(crate) fn replace_letter(
        &self,
        tag: SourceTag,
        key: &LetterKey,
        letter: Option<&NewLetter>,
    ) -> sled::Result<Option<(u64, u64)>> {
        self.with(|trees| {
            let (mut batch, mut before) = (TreeBatch::default(), 0);
            for entry in trees.letters.scan_prefix(key) {
                let (key, value) = entry?;
                before += (key.len() + value.len()) as u64;
                batch.remove(key);
            }
            if before == 0 {
                return Ok(None);
            }
            let chunks = letter.map_or(Vec::new(), |letter| letter.record.chunks());
            for (number, chunk) in (0..).zip(chunks) {
                batch.insert(chunk_key(key, number), chunk);
            }
            let after = letter.map_or(0, NewLetter::bytes);
            let bytes = (total(&trees.letters, tag)? + after).saturating_sub(before);
            batch.insert(&tag, &bytes.to_le_bytes());
            trees.letters.apply_batch(batch)?;
            Ok(Some((before, after)))
        })
    }

    /// Removes the letters of a source that were rejected before `end`.
    pub(crate) fn remove_letters_before(&self, tag: SourceTag, end: &[u8; 8]) -> sled::Result<()> {
        let end = [&tag[..], end].concat();
        // The first key is the tag, with the number of bytes.
        let first = [&tag[..], &[0]].concat();
        self.with(|trees| {
            let mut bytes = total(&trees.letters, tag)?;
            loop {
                let (mut batch, mut removed) = (TreeBatch::default(), 0);
                for entry in trees.letters.range(&first[..]..&end[..]).take(REMOVE_AT_ONCE) {
                    let (key, value) = entry?;
                    bytes = bytes.saturating_sub((key.len() + value.len()) as u64);
                    batch.remove(key);
                    removed += 1;
                }
                if removed == 0 {
                    return Ok(());
                }
                batch.insert(&tag, &bytes.to_le_bytes());
                trees.letters.apply_batch(batch)?;
            }
        })
    }

    /// Returns the slot of a day's key; days count from the Unix epoch.
    pub(crate) fn daily_slot(&self, day: u32) -> sled::Result<Option<u32>> {
        let bytes = self.with(|trees| trees.daily_keys.get(day.to_be_bytes()))?;
        Ok(bytes.and_then(|bytes| bytes.first_chunk().map(|slot| u32::from_be_bytes(*slot))))
    }

    pub(crate) fn set_daily_slot(&self, day: u32, slot: u32) -> sled::Result<()> {
        self.with(|trees| trees.daily_keys.insert(day.to_be_bytes(), &slot.to_be_bytes()))
    }

    /// Returns the days before `day` that have a key, each with its slot.
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
        self.with(|trees| trees.daily_keys.remove(day.to_be_bytes()))
    }
}

fn read_letter(letters: &ReadableTree, key: &LetterKey) -> Result<Option<SealedRecord>, StoreError> {
    read(letters, key, UserHash(*key.last_chunk().unwrap_or(&[0; 16])))
}

/// Returns the bytes that the letters of a source take.
fn total(letters: &ReadableTree, tag: SourceTag) -> sled::Result<u64> {
    let bytes = letters.get(tag)?;
    Ok(bytes.and_then(|bytes| bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))).unwrap_or(0))
}
