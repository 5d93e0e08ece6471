//! The records in sled.

use std::collections::HashMap;

use domain::erasure::Tombstone;

use super::InspectedStore;
use super::report::{InspectReport, InspectedKind, StoreFault};
use super::slots::{Ciphers, count};
use crate::journal::{SegmentItem, parse_item};
use crate::load::open_frame;
use crate::quarantine::QuarantineNote;
use crate::seal::{Cipher, kind};
use crate::sled_store::{SealedRecord, SledStore, StoredUser, TreeKind, is_note_key, side_key};
use crate::user_hash::UserHash;

/// Bytes of the number of a value within its record, at the end of each key.
const VALUE_NUMBER_BYTES: usize = 2;
/// Bytes of the tag of a source, under which the bytes of its letters are counted.
const SOURCE_TAG_BYTES: usize = 4;

/// A record whose values are put together as they come.
struct RecordParts {
    prefix: Vec<u8>,
    values: Vec<Vec<u8>>,
}

/// Opens every record, and checks the counts beside them.
pub(super) fn check(store: &InspectedStore<'_>, report: &mut InspectReport) -> Result<(), StoreFault> {
    report.add("users", check_records(store, TreeKind::Users, "a user")?);
    report.add("side records", check_records(store, TreeKind::Records, "a side record")?);
    report.add("dead letters", check_letters(store)?);
    report.add("quarantine, frames", check_quarantine(store)?);
    report.add("daily keys", check_daily_keys(store)?);
    Ok(())
}

/// Passes the records of a tree, each with the prefix of its keys and its values, in the order of their keys.
fn for_each_record(
    sled: &SledStore,
    tree: TreeKind,
    what: &'static str,
    mut visit: impl FnMut(&RecordParts) -> Result<(), StoreFault>,
) -> Result<(), StoreFault> {
    let (mut parts, mut fault): (Option<RecordParts>, _) = (None, None);
    let mut add = |key: &[u8], value: &[u8]| {
        let Some((prefix, number)) = key.split_last_chunk::<VALUE_NUMBER_BYTES>() else {
            return Err(StoreFault::new(what, "a key is too short".to_owned()));
        };
        let number = usize::from(u16::from_be_bytes(*number));
        if let Some(same) = parts.as_mut().filter(|parts| parts.prefix == prefix) {
            if same.values.len() != number {
                return Err(StoreFault::new(what, "a value is missing".to_owned()));
            }
            same.values.push(value.to_vec());
            return Ok(());
        }
        if number != 0 {
            return Err(StoreFault::new(what, "its first value is missing".to_owned()));
        }
        let before = parts.replace(RecordParts { prefix: prefix.to_vec(), values: vec![value.to_vec()] });
        before.map_or(Ok(()), |before| visit(&before))
    };
    let visited = sled.visit_tree(tree, |key, value| {
        // The bytes of a source's letters are counted under a key of their own.
        if tree == TreeKind::Letters && key.len() == SOURCE_TAG_BYTES {
            return true;
        }
        fault = add(key, value).err();
        fault.is_none()
    });
    visited.map_err(|error| StoreFault::new("sled", error.to_string()))?;
    match fault {
        Some(fault) => Err(fault),
        None => parts.map_or(Ok(()), |last| visit(&last)),
    }
}

/// Puts a sealed record together.
fn assemble(parts: &RecordParts, user: UserHash) -> Result<SealedRecord, String> {
    let first = parts.values.first().ok_or("it has no value")?;
    let values = SealedRecord::chunk_count(first).ok_or("its format is unknown")?;
    if usize::from(values) != parts.values.len() {
        return Err(format!("it has {} of {values} values", parts.values.len()));
    }
    let mut record = SealedRecord::from_first(first, user).ok_or("its header is too short")?;
    parts.values[1..].iter().for_each(|value| record.sealed.extend_from_slice(value));
    Ok(record)
}

fn check_records(store: &InspectedStore<'_>, tree: TreeKind, what: &'static str) -> Result<InspectedKind, StoreFault> {
    let (mut counts, mut ciphers) = (InspectedKind::default(), Ciphers::new(store.keyring));
    for_each_record(store.sled, tree, what, |parts| {
        let fault = |detail: String| StoreFault::new(what, detail);
        let user = parts.prefix.first_chunk().map(|user| UserHash(*user));
        let user = user.ok_or_else(|| fault("its key is too short".to_owned()))?;
        let record = assemble(parts, user).map_err(fault)?;
        let key = match record.kind == kind::TOMBSTONE {
            true => Ok(ciphers.of_erasures()),
            false => ciphers.find(record.slot, record.generation),
        };
        count(&mut counts, key, what, |cipher| match tree {
            TreeKind::Users if record.kind == kind::TOMBSTONE => open_tombstone(store.sled, cipher, &record),
            TreeKind::Users => open_user(store, cipher, &record),
            _ => open_side_record(store.sled, cipher, parts, &record),
        })
    })?;
    Ok(counts)
}

/// Opens what a checkpoint has put in the place of an erased user.
fn open_tombstone(sled: &SledStore, cipher: &Cipher, record: &SealedRecord) -> Result<(), String> {
    let body = sled.open_record(cipher, kind::TOMBSTONE, record).map_err(|error| error.to_string())?;
    let tombstone = Tombstone::decode(&body, record.generation);
    tombstone.map(drop).ok_or_else(|| format!("the tombstone of slot {} is unknown", record.slot))
}

fn open_user(store: &InspectedStore<'_>, cipher: &Cipher, record: &SealedRecord) -> Result<(), String> {
    let StoredUser { user, .. } = store.sled.open_user(cipher, record).map_err(|error| error.to_string())?;
    match store.hasher.hash(&user) == record.user {
        true => Ok(()),
        false => Err(format!("the record of slot {} is of another user", record.slot)),
    }
}

fn open_side_record(
    sled: &SledStore,
    cipher: &Cipher,
    parts: &RecordParts,
    record: &SealedRecord,
) -> Result<(), String> {
    let key = [&parts.prefix[..], &[0, 0]].concat();
    let key = side_key(&key).ok_or_else(|| format!("the key of a record of slot {} is unknown", record.slot))?;
    if key.number != record.number {
        return Err(format!("the number of a record of slot {} is that of another one", record.slot));
    }
    let opened = sled.open_record(cipher, kind::side_record(key.kind), record);
    opened.map(drop).map_err(|error| error.to_string())
}

fn check_letters(store: &InspectedStore<'_>) -> Result<InspectedKind, StoreFault> {
    const WHAT: &str = "a dead letter";
    let (mut kind, mut ciphers) = (InspectedKind::default(), Ciphers::new(store.keyring));
    let mut bytes: HashMap<[u8; SOURCE_TAG_BYTES], u64> = HashMap::new();
    for_each_record(store.sled, TreeKind::Letters, WHAT, |parts| {
        let fault = |detail: &str| StoreFault::new(WHAT, detail.to_owned());
        let user =
            parts.prefix.last_chunk().map(|user| UserHash(*user)).ok_or_else(|| fault("its key is too short"))?;
        let tag = parts.prefix.first_chunk().copied().ok_or_else(|| fault("its key is too short"))?;
        let key_bytes = parts.prefix.len() + VALUE_NUMBER_BYTES;
        *bytes.entry(tag).or_default() +=
            parts.values.iter().map(|value| (key_bytes + value.len()) as u64).sum::<u64>();
        let record = assemble(parts, user).map_err(|detail| fault(&detail))?;
        count(&mut kind, ciphers.find(record.slot, record.generation), WHAT, |cipher| {
            store.sled.open_record(cipher, kind::DEAD_LETTER, &record).map(drop).map_err(|error| error.to_string())
        })
    })?;
    let counted = store.sled.letter_bytes().map_err(|error| StoreFault::new("sled", error.to_string()))?;
    match counted.iter().find(|(tag, counted)| **counted != bytes.get(*tag).copied().unwrap_or(0)) {
        Some((_, counted)) => Err(StoreFault::new(WHAT, format!("the letters of a source are not {counted} bytes"))),
        None => Ok(kind),
    }
}

fn check_quarantine(store: &InspectedStore<'_>) -> Result<InspectedKind, StoreFault> {
    const WHAT: &str = "a frame in quarantine";
    let (mut kind, mut ciphers) = (InspectedKind::default(), Ciphers::new(store.keyring));
    for_each_record(store.sled, TreeKind::Quarantine, WHAT, |parts| {
        let frame = parts.values.concat();
        if is_note_key(&parts.prefix) {
            let note = QuarantineNote::decode(&frame).map(drop);
            return note.ok_or_else(|| StoreFault::new("a note of the quarantine", "it cannot be read".to_owned()));
        }
        // A frame that could not be read is empty, and only marks its user.
        if frame.is_empty() {
            return Ok(());
        }
        let SegmentItem::Frame { header, sealed, .. } = parse_item(&frame) else {
            return Err(StoreFault::new(WHAT, "its checksum is wrong".to_owned()));
        };
        // It is there because something about it is wrong. Its seal may be that.
        count(&mut kind, ciphers.find(header.slot, header.generation), WHAT, |cipher| {
            let _opens = open_frame(cipher, &header, sealed).is_some();
            Ok(())
        })
    })?;
    Ok(kind)
}

fn check_daily_keys(store: &InspectedStore<'_>) -> Result<InspectedKind, StoreFault> {
    const WHAT: &str = "a daily key";
    let (mut kind, mut ciphers, mut fault) = (InspectedKind::default(), Ciphers::new(store.keyring), None);
    let visited = store.sled.visit_tree(TreeKind::DailyKeys, |key, value| {
        fault = match (<[u8; 4]>::try_from(key), <[u8; 4]>::try_from(value)) {
            (Ok(_), Ok(slot)) => {
                let found = ciphers.find(u32::from_be_bytes(slot), crate::keyring::FIRST_GENERATION);
                count(&mut kind, found, WHAT, |_| Ok(())).err()
            }
            _ => Some(StoreFault::new(WHAT, "its length is wrong".to_owned())),
        };
        fault.is_none()
    });
    visited.map_err(|error| StoreFault::new("sled", error.to_string()))?;
    fault.map_or(Ok(kind), Err)
}
