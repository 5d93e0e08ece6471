//! One aligned slot of 64 bytes: a user's data key, wrapped by the ring key.

use std::io;

use super::header::KEYRING_HEADER_BYTES;
use crate::seal::{Cipher, Label, NOBODY, NONCE_BYTES, SecretKey, TENANT, kind};

pub(super) const SLOT_BYTES: usize = 64;
pub(super) const SLOTS_PER_PAGE: u64 = 64;
/// The generation of every new slot; erasures count it up.
pub(super) const FIRST_GENERATION: u32 = 1;
const SLOT_FORMAT: u8 = 1;
const LIVE: u8 = 1;
const DESTROYED: u8 = 2;

// Little-endian: state u8, format u8, kind u8, reserved u8, then these.
const GENERATION_AT: usize = 4;
const WRAPPED_AT: usize = 8;
const TENANT_AT: usize = WRAPPED_AT + 48;
const CRC_AT: usize = SLOT_BYTES - 4;

/// A data key that cannot be had.
#[derive(Debug)]
pub(crate) enum SlotFault {
    /// The file could not be read.
    Unavailable(io::Error),
    /// The slot is not what was written.
    Damaged { slot: u32, what: &'static str },
}

/// Where a slot lies in the file.
pub(super) fn offset(number: u32) -> u64 {
    KEYRING_HEADER_BYTES as u64 + u64::from(number) * SLOT_BYTES as u64
}

pub(super) fn encode(ring: &Cipher, number: u32, generation: u32, key: &SecretKey) -> [u8; SLOT_BYTES] {
    finished(LIVE, generation, ring.wrap(&nonce(number, generation), label(number, generation), key))
}

/// A slot whose key is gone.
pub(super) fn destroyed(generation: u32) -> [u8; SLOT_BYTES] {
    finished(DESTROYED, generation, [0; 48])
}

fn finished(state: u8, generation: u32, wrapped: [u8; 48]) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..3].copy_from_slice(&[state, SLOT_FORMAT, kind::DATA_KEY]);
    bytes[GENERATION_AT..WRAPPED_AT].copy_from_slice(&generation.to_le_bytes());
    bytes[WRAPPED_AT..TENANT_AT].copy_from_slice(&wrapped);
    bytes[TENANT_AT..CRC_AT].copy_from_slice(&TENANT.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..CRC_AT]);
    bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

pub(super) fn decode(
    ring: &Cipher,
    number: u32,
    generation: u32,
    bytes: &[u8; SLOT_BYTES],
) -> Result<SecretKey, SlotFault> {
    let damaged = |what| SlotFault::Damaged { slot: number, what };
    if crc32c::crc32c(&bytes[..CRC_AT]).to_le_bytes() != bytes[CRC_AT..] {
        return Err(damaged("has a wrong checksum"));
    }
    if bytes[0] == DESTROYED {
        return Err(damaged("was destroyed"));
    }
    if bytes[..3] != [LIVE, SLOT_FORMAT, kind::DATA_KEY] || bytes[TENANT_AT..CRC_AT] != TENANT.to_le_bytes() {
        return Err(damaged("holds no key of this format"));
    }
    if bytes[GENERATION_AT..WRAPPED_AT] != generation.to_le_bytes() {
        return Err(damaged("belongs to another generation"));
    }
    let mut wrapped = [0; 48];
    wrapped.copy_from_slice(&bytes[WRAPPED_AT..WRAPPED_AT + 48]);
    ring.unwrap_key(&nonce(number, generation), label(number, generation), &wrapped)
        .map_err(|_| damaged("does not unwrap"))
}

/// A (slot, generation) is written once under a ring key, so it is the nonce and need not be stored.
fn nonce(number: u32, generation: u32) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[0] = kind::DATA_KEY;
    nonce[4..8].copy_from_slice(&number.to_le_bytes());
    nonce[8..].copy_from_slice(&generation.to_le_bytes());
    nonce
}

fn label(number: u32, generation: u32) -> Label {
    Label {
        kind: kind::DATA_KEY,
        format: SLOT_FORMAT,
        tenant: TENANT,
        slot: number,
        generation,
        number: 0,
        user: NOBODY,
    }
}
