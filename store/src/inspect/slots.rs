//! Which slots of the keyring the data refers to, and what is known about their keys.

use std::collections::HashMap;
use std::path::Path;

use super::journal::walk;
use super::report::{InspectError, InspectedKind, StoreFault};
use crate::backup::slot_of_value;
use crate::erasure::ErasureKey;
use crate::error::OpenError;
use crate::journal;
use crate::keyring::{Keyring, SlotContent};
use crate::options::StoreOptions;
use crate::seal::Cipher;
use crate::sled_store::{SledStore, TreeKind, TreeValue};

/// Maximum number of ciphers that are kept: the records of a user follow each other, and frames do not.
const KNOWN_CIPHERS: usize = 4096;

/// Gives the ciphers of slots.
pub(super) struct Ciphers<'a> {
    keyring: &'a Keyring,
    known: HashMap<(u32, u32), Cipher>,
    /// The key of tombstones, which is not in a slot.
    erasures: ErasureKey,
}

/// What is known about the key of a record.
pub(super) enum RecordKey<'a> {
    There(&'a Cipher),
    Destroyed,
    Missing,
}

impl<'a> Ciphers<'a> {
    pub(super) fn new(keyring: &'a Keyring) -> Self {
        Self { keyring, known: HashMap::new(), erasures: ErasureKey::new(&keyring.system_keys()) }
    }

    /// Returns the key of tombstones.
    pub(super) fn of_erasures(&self) -> RecordKey<'_> {
        RecordKey::There(self.erasures.cipher())
    }

    /// Returns the key of a generation in a slot.
    pub(super) fn find(&mut self, slot: u32, generation: u32) -> Result<RecordKey<'_>, String> {
        if self.known.contains_key(&(slot, generation)) {
            return Ok(RecordKey::There(&self.known[&(slot, generation)]));
        }
        let state = self.keyring.slot_content(slot).map_err(|error| format!("the keyring cannot be read: {error}"))?;
        match state {
            SlotContent::Live(found) if found == generation => {}
            // The user lives again, and what is left of the earlier life has no key.
            SlotContent::Live(found) if found > generation => return Ok(RecordKey::Destroyed),
            SlotContent::Destroyed(found) if found >= generation => return Ok(RecordKey::Destroyed),
            SlotContent::Live(_) | SlotContent::Destroyed(_) | SlotContent::Missing => return Ok(RecordKey::Missing),
            SlotContent::Damaged => return Err(format!("slot {slot} of the keyring has a wrong checksum")),
        }
        if self.known.len() >= KNOWN_CIPHERS {
            self.known.clear();
        }
        let key = self.keyring.data_key(slot, generation);
        let key = key.map_err(|_| format!("the key in slot {slot} of the keyring does not unwrap"))?;
        Ok(RecordKey::There(self.known.entry((slot, generation)).or_insert(key.cipher())))
    }
}

/// Counts a record by what is known about its key, and opens it with `open`.
pub(super) fn count<'a>(
    kind: &mut InspectedKind,
    key: Result<RecordKey<'a>, String>,
    what: &'static str,
    open: impl FnOnce(&'a Cipher) -> Result<(), String>,
) -> Result<(), StoreFault> {
    let fault = |detail| StoreFault::new(what, detail);
    match key.map_err(fault)? {
        RecordKey::There(cipher) => {
            open(cipher).map_err(fault)?;
            kind.opened += 1;
        }
        RecordKey::Destroyed => kind.destroyed += 1,
        RecordKey::Missing => kind.without_key += 1,
    }
    Ok(())
}

/// Returns the greatest slot that the data of a store refers to, whose lock the caller has.
pub(crate) fn last_slot(options: &StoreOptions) -> Result<Option<u32>, OpenError> {
    let sled = SledStore::open(options)?;
    let failed = |source| OpenError::Sled { doing: "read", source };
    let mut last = sled.projection_key().map_err(failed)?.map(|key| key.slot);
    for tree in TreeKind::ALL {
        let visited = sled.visit_tree(tree, |key, value| {
            let value = TreeValue { tree, key: key.to_vec(), value: value.to_vec() };
            last = last.max(slot_of_value(&value));
            true
        });
        visited.map_err(failed)?;
    }
    let directory = options.data_dir.join(journal::DIRECTORY);
    last_in_journal(&directory, &mut last).map_err(|fault| match fault {
        InspectError::Open(error) => error,
        other => OpenError::Damaged { what: "the journal", detail: other.to_string() },
    })?;
    Ok(last)
}

fn last_in_journal(directory: &Path, last: &mut Option<u32>) -> Result<(), InspectError> {
    let walked = walk(directory, &mut |_, header, _| {
        *last = (*last).max(Some(header.slot));
        Ok(())
    });
    let damaged = |detail| OpenError::Damaged { what: "the journal", detail };
    Ok(walked.map(drop).map_err(damaged)?)
}
