//! A slot of the keyring: the data key of one user, of a day or of the saved columns, wrapped by the ring key.
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       1  state: 1 live, 2 destroyed
//!      1       1  format, 1
//!      2       1  kind, `seal::kind::DATA_KEY`
//!      3       1  reserved, 0
//!      4       4  generation of the key
//!      8      48  wrapped key; if destroyed, the user's sealed tombstone and zeros, or zeros alone
//!     56       4  tenant, 0
//!     60       4  CRC-32C of everything before
//! ```

use std::io;

use crate::bytes::{array_at, crc_matches, put, put_crc, u32_at};
use crate::erasure::{SEALED_TOMBSTONE_BYTES, SealedTombstone};
use crate::seal::{Cipher, Label, NOBODY, NONCE_BYTES, SecretKey, TENANT, WRAPPED_KEY_BYTES, kind};

/// Bytes of a slot. Slots are aligned to their size, so none crosses a page.
pub(super) const SLOT_BYTES: usize = 64;
pub(super) const SLOTS_PER_PAGE: u64 = 64;
/// The generation of every new slot. An erasure counts it up.
pub(crate) const FIRST_GENERATION: u32 = 1;
const SLOT_FORMAT: u8 = 1;
const LIVE: u8 = 1;
const DESTROYED: u8 = 2;

const STATE_AT: usize = 0;
const GENERATION_AT: usize = 4;
const WRAPPED_KEY_AT: usize = 8;
const TENANT_AT: usize = WRAPPED_KEY_AT + WRAPPED_KEY_BYTES;
const CRC_AT: usize = SLOT_BYTES - 4;

/// Why a data key cannot be read.
#[derive(Debug)]
pub(crate) enum SlotFault {
    /// The file could not be read.
    Unavailable(io::Error),
    /// The key was destroyed: the generation was erased.
    Erased,
    /// The slot does not hold the key: `what` completes "slot N of the keyring …".
    Damaged { slot: u32, what: &'static str },
}

/// What a slot says without the ring key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// It holds the key of a generation.
    Live { generation: u32 },
    /// The key of a generation was destroyed. `tombstone` is what remains of a user, sealed; `None` if the key was no user's.
    Destroyed { generation: u32, tombstone: Option<SealedTombstone> },
}

const _: () = assert!(SEALED_TOMBSTONE_BYTES < WRAPPED_KEY_BYTES);

/// Returns the slot's offset behind the header.
pub(super) fn offset(number: u32) -> u64 {
    u64::from(number) * SLOT_BYTES as u64
}

/// Returns a live slot with `key` in it.
pub(super) fn encode(ring: &Cipher, number: u32, generation: u32, key: &SecretKey) -> [u8; SLOT_BYTES] {
    encode_state(LIVE, generation, &ring.wrap(&nonce(number, generation), label(number, generation), key))
}

/// Returns a slot whose key is destroyed. In its place is the tombstone of the user, if it was a user's.
pub(super) fn destroyed(generation: u32, tombstone: Option<&SealedTombstone>) -> [u8; SLOT_BYTES] {
    let mut content = [0; WRAPPED_KEY_BYTES];
    put(&mut content, 0, tombstone.map_or(&[][..], |tombstone| &tombstone[..]));
    encode_state(DESTROYED, generation, &content)
}

fn encode_state(state: u8, generation: u32, wrapped: &[u8; WRAPPED_KEY_BYTES]) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    put(&mut bytes, STATE_AT, &[state, SLOT_FORMAT, kind::DATA_KEY]);
    put(&mut bytes, GENERATION_AT, &generation.to_le_bytes());
    put(&mut bytes, WRAPPED_KEY_AT, wrapped);
    put(&mut bytes, TENANT_AT, &TENANT.to_le_bytes());
    put_crc(&mut bytes, CRC_AT);
    bytes
}

/// Reads what the slot `bytes` says without the ring key.
pub(super) fn decode_state(number: u32, bytes: &[u8; SLOT_BYTES]) -> Result<SlotState, SlotFault> {
    let damaged = |what| Err(SlotFault::Damaged { slot: number, what });
    if !crc_matches(bytes, CRC_AT) {
        return damaged("has a wrong checksum");
    }
    let is_known = bytes[STATE_AT + 1..GENERATION_AT] == [SLOT_FORMAT, kind::DATA_KEY, 0];
    if !is_known || u32_at(bytes, TENANT_AT) != TENANT {
        return damaged("holds no key of this format");
    }
    let generation = u32_at(bytes, GENERATION_AT);
    match bytes[STATE_AT] {
        LIVE => Ok(SlotState::Live { generation }),
        DESTROYED => {
            let content: SealedTombstone = array_at(bytes, WRAPPED_KEY_AT);
            let tombstone = content.iter().any(|byte| *byte != 0).then_some(content);
            Ok(SlotState::Destroyed { generation, tombstone })
        }
        _ => damaged("holds no key of this format"),
    }
}

/// Unwraps the key of a generation in the slot `bytes`. A slot that is destroyed, or of a later generation, says that the
/// generation was erased.
pub(super) fn decode(
    ring: &Cipher,
    number: u32,
    generation: u32,
    bytes: &[u8; SLOT_BYTES],
) -> Result<SecretKey, SlotFault> {
    let damaged = |what| SlotFault::Damaged { slot: number, what };
    let (found, is_live) = match decode_state(number, bytes)? {
        SlotState::Live { generation } => (generation, true),
        SlotState::Destroyed { generation, .. } => (generation, false),
    };
    if found < generation {
        return Err(damaged("belongs to an earlier generation: the keyring is older than the data"));
    }
    if found > generation || !is_live {
        return Err(SlotFault::Erased);
    }
    ring.unwrap_key(&nonce(number, generation), label(number, generation), &array_at(bytes, WRAPPED_KEY_AT))
        .map_err(|_| damaged("does not unwrap"))
}

/// Returns the nonce of a slot's wrapped key. Each pair of slot and generation is wrapped once under a ring key, so the
/// pair is unique and the nonce need not be stored.
fn nonce(number: u32, generation: u32) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[0] = kind::DATA_KEY;
    put(&mut nonce, 4, &number.to_le_bytes());
    put(&mut nonce, 8, &generation.to_le_bytes());
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

/// A slot under another ring key.
pub(super) enum Rewrapped {
    /// A key that is wrapped again.
    Key([u8; SLOT_BYTES]),
    /// What holds no key under the ring key: never written, or destroyed.
    Empty([u8; SLOT_BYTES]),
    /// What cannot be read, as a write that a power cut has torn. It stays as it is.
    Damaged([u8; SLOT_BYTES]),
}

/// Wraps the key in the slot `bytes` under another ring key.
pub(super) fn rewrap(from: &Cipher, to: &Cipher, number: u32, bytes: &[u8; SLOT_BYTES]) -> Rewrapped {
    let generation = u32_at(bytes, GENERATION_AT);
    let is_whole = crc_matches(bytes, CRC_AT);
    match decode(from, number, generation, bytes) {
        Ok(key) => Rewrapped::Key(encode(to, number, generation, &key)),
        Err(_) if is_whole && bytes[STATE_AT] == DESTROYED || *bytes == [0; SLOT_BYTES] => Rewrapped::Empty(*bytes),
        Err(_) => Rewrapped::Damaged(*bytes),
    }
}
