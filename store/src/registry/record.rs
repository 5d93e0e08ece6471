//! A record of the registry's file: changes that become durable together.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       4  length of the whole record, 44 + n
//!      4       8  number of the record in its file, from 1
//!     12      12  nonce of the seal
//!     24       n  changes, encrypted
//! 24 + n      16  tag of the seal
//! 40 + n       4  CRC-32C of everything before
//! ```

use domain::port::clock::Entropy;

use super::change::{Change, MAX_CHANGE_BYTES};
use crate::bytes::{array_at, crc_matches, put, u32_at, u64_at};
use crate::seal::{Cipher, Label, NOBODY, NONCE_BYTES, TAG_BYTES, TENANT, kind};

const NUMBER_AT: usize = 4;
const NONCE_AT: usize = 12;
const BODY_AT: usize = NONCE_AT + NONCE_BYTES;
const CRC_BYTES: usize = 4;
const MIN_RECORD_BYTES: usize = BODY_AT + TAG_BYTES + CRC_BYTES;
/// A record takes further changes up to this many bytes of them.
pub(super) const FULL_RECORD_BYTES: usize = 256 << 10;
const MAX_RECORD_BYTES: usize = MIN_RECORD_BYTES + FULL_RECORD_BYTES + MAX_CHANGE_BYTES;

/// Appends the record with a number, and encrypted `changes` in it.
pub(super) fn encode(out: &mut Vec<u8>, cipher: &Cipher, entropy: &dyn Entropy, number: u64, changes: &[u8]) {
    let start = out.len();
    let length = MIN_RECORD_BYTES + changes.len();
    let mut nonce = [0; NONCE_BYTES];
    entropy.fill(&mut nonce);
    let mut bytes = vec![0; BODY_AT];
    put(&mut bytes, 0, &(length as u32).to_le_bytes());
    put(&mut bytes, NUMBER_AT, &number.to_le_bytes());
    put(&mut bytes, NONCE_AT, &nonce);
    bytes.extend_from_slice(changes);
    cipher.seal(&nonce, label(number), &mut bytes, BODY_AT);
    let crc = crc32c::crc32c(&bytes);
    out.append(&mut bytes);
    out.extend_from_slice(&crc.to_le_bytes());
    debug_assert_eq!(out.len() - start, length);
}

/// Returns the bytes of the record with a number at the start of `bytes`; `None` if there is no complete one.
pub(super) fn split(bytes: &[u8], number: u64) -> Option<&[u8]> {
    let record = complete(bytes)?;
    (u64_at(record, NUMBER_AT) == number).then_some(record)
}

/// Returns whether a complete record with the number `number` or a later one is anywhere in `bytes`.
pub(super) fn is_followed(bytes: &[u8], number: u64) -> bool {
    // A number of a later record cannot be greater than if all the bytes were the smallest records.
    let numbers = number..=number.saturating_add((bytes.len() / MIN_RECORD_BYTES) as u64);
    (0..bytes.len().saturating_sub(MIN_RECORD_BYTES)).any(|at| {
        let rest = &bytes[at..];
        numbers.contains(&u64_at(rest, NUMBER_AT)) && complete(rest).is_some()
    })
}

/// Decrypts the changes of a record.
pub(super) fn open(cipher: &Cipher, record: &[u8]) -> Result<Vec<Change>, &'static str> {
    let sealed = &record[BODY_AT..record.len() - CRC_BYTES];
    let number = u64_at(record, NUMBER_AT);
    let changes =
        cipher.open(&array_at(record, NONCE_AT), label(number), sealed).map_err(|_| "a record does not decrypt")?;
    Change::decode_all(&changes)
}

fn complete(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32_at(bytes.get(..MIN_RECORD_BYTES)?, 0) as usize;
    let has_length = (MIN_RECORD_BYTES..=MAX_RECORD_BYTES).contains(&length);
    let record = bytes.get(..length).filter(|_| has_length)?;
    crc_matches(record, length - CRC_BYTES).then_some(record)
}

fn label(number: u64) -> Label {
    Label { kind: kind::REGISTRY, format: 1, tenant: TENANT, slot: u32::MAX, generation: 0, number, user: NOBODY }
}
