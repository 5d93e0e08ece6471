//! The receipt of an erasure: what proves to whoever holds it that the erasure is in the audit log.
//!
//! A receipt is a canonical JSON object (RFC 8785). It names the user only to those who know the id already: its commitment
//! is SHA-256(nonce ‖ user id), and the nonce is in the receipt and nowhere else.

use sha2::{Digest, Sha256};

use crate::canonical::{write_array, write_integer, write_string};
use crate::day::format_instant;
use crate::event::time::parse_micros;
use crate::id::UserId;
use crate::json::{self, Json};
use crate::profile::push_hex;

/// The format of receipts.
pub const RECEIPT_FORMAT: i64 = 1;
/// Maximum number of bytes of a receipt that is read.
pub const MAX_RECEIPT_BYTES: usize = 64 << 10;
/// The action of the audit entry of an erasure.
pub const ERASE_ACTION: &str = "profile.erase";
/// The member of that entry which holds the slot of the user's key.
pub const SLOT_MEMBER: &str = "slot";
/// The member of that entry which holds the commitment.
pub const COMMITMENT_MEMBER: &str = "commitment";

/// A hash, a key or a nonce.
type Bytes32 = [u8; 32];

/// Levels of a receipt: its own, a tree head, the chains in it, and one of them.
const DEPTH: usize = 4;

/// The receipt of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureReceipt {
    /// The id of the audit log: SHA-256 of the public key.
    pub log_id: Bytes32,
    /// The Ed25519 public key of the audit log, which is its own id.
    pub key_id: Bytes32,
    /// Random bytes, without which nobody can tell whose erasure it was.
    pub nonce: Bytes32,
    /// SHA-256(nonce ‖ user id).
    pub commitment: Bytes32,
    /// The slot of the keyring that held the key of the user's records.
    pub slot: u32,
    /// The generation that has ended.
    pub generation: u32,
    /// When it ended, in microseconds since the Unix epoch.
    pub erased_at: i64,
    /// When the last backup of the keyring expires that may still hold the key, in microseconds since the Unix epoch; `None`
    /// if no backup is known.
    pub keyring_backup_until: Option<i64>,
    /// The entry of the audit log: the canonical JSON object whose bytes are the leaf.
    pub audit_entry: String,
    /// The number of the leaf, from 0.
    pub leaf: u64,
    /// The proof that the leaf is in the tree of the head after, from below.
    pub inclusion: Vec<Bytes32>,
    /// The signed tree head before the entry, a canonical JSON object.
    pub tree_head_before: String,
    /// The signed tree head after the erasure, a canonical JSON object.
    pub tree_head_after: String,
    /// The proof that the tree of the head before is the start of the tree of the head after, from below.
    pub consistency: Vec<Bytes32>,
}

/// Text that is no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReceipt {
    /// It is not JSON, or is longer than a receipt.
    #[error("it is not a JSON object of at most {MAX_RECEIPT_BYTES} bytes")]
    NotJson,
    /// It is of a format that this release does not know.
    #[error("it is not of format {RECEIPT_FORMAT}: use the release that made it, or a newer one")]
    Format,
    /// A member is missing, or is not what it must be.
    #[error("the member `{0}` is missing or malformed")]
    Member(&'static str),
    /// It has further members, or is written in another way than canonical JSON.
    #[error("it is not in canonical form (RFC 8785): members were added, or it was written anew")]
    NotCanonical,
}

/// Returns the commitment to a user.
#[must_use]
pub fn commitment(nonce: &Bytes32, user: &UserId) -> Bytes32 {
    Sha256::new_with_prefix(nonce).chain_update(user.as_str().as_bytes()).finalize().into()
}

impl ErasureReceipt {
    /// Returns the receipt as canonical JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(4096);
        let mut member = |name: &str, write: &dyn Fn(&mut String)| {
            out.push(if out.is_empty() { '{' } else { ',' });
            write_string(&mut out, name);
            out.push(':');
            write(&mut out);
        };
        // In canonical order.
        member("audit_entry", &|out| out.push_str(&self.audit_entry));
        member("commitment", &|out| write_hex(out, &self.commitment));
        member("consistency", &|out| write_array(out, &self.consistency, write_hex));
        member("erased_at", &|out| write_string(out, &format_instant(self.erased_at)));
        member("format", &|out| write_integer(out, RECEIPT_FORMAT));
        member("generation", &|out| write_integer(out, self.generation.into()));
        member("inclusion", &|out| write_array(out, &self.inclusion, write_hex));
        member("key_id", &|out| write_hex(out, &self.key_id));
        member("keyring_backup_until", &|out| match self.keyring_backup_until {
            Some(until) => write_string(out, &format_instant(until)),
            None => out.push_str("null"),
        });
        member("leaf", &|out| write_integer(out, i64::try_from(self.leaf).unwrap_or(i64::MAX)));
        member("log_id", &|out| write_hex(out, &self.log_id));
        member("nonce", &|out| write_hex(out, &self.nonce));
        member("slot", &|out| write_integer(out, self.slot.into()));
        member("tree_head_after", &|out| out.push_str(&self.tree_head_after));
        member("tree_head_before", &|out| out.push_str(&self.tree_head_before));
        out.push('}');
        out
    }

    /// Parses a receipt. Nothing of what it says is checked.
    ///
    /// # Errors
    /// The text is not what [`Self::to_json`] writes.
    pub fn parse(text: &str) -> Result<Self, InvalidReceipt> {
        if text.len() > MAX_RECEIPT_BYTES {
            return Err(InvalidReceipt::NotJson);
        }
        let object = json::parse(text.as_bytes(), DEPTH).map_err(|_| InvalidReceipt::NotJson)?;
        if object.as_object().is_none() {
            return Err(InvalidReceipt::NotJson);
        }
        if object.get("format").and_then(Json::as_i64) != Some(RECEIPT_FORMAT) {
            return Err(InvalidReceipt::Format);
        }
        let receipt = Self {
            log_id: member(&object, "log_id", hex32)?,
            key_id: member(&object, "key_id", hex32)?,
            nonce: member(&object, "nonce", hex32)?,
            commitment: member(&object, "commitment", hex32)?,
            slot: member(&object, "slot", |value| value.as_i64()?.try_into().ok())?,
            generation: member(&object, "generation", |value| value.as_i64()?.try_into().ok())?,
            erased_at: member(&object, "erased_at", instant)?,
            keyring_backup_until: member(&object, "keyring_backup_until", |value| match value {
                Json::Null => Some(None),
                value => instant(value).map(Some),
            })?,
            audit_entry: member(&object, "audit_entry", canonical_object)?,
            leaf: member(&object, "leaf", |value| value.as_i64()?.try_into().ok())?,
            inclusion: member(&object, "inclusion", hashes)?,
            tree_head_before: member(&object, "tree_head_before", canonical_object)?,
            tree_head_after: member(&object, "tree_head_after", canonical_object)?,
            consistency: member(&object, "consistency", hashes)?,
        };
        if receipt.to_json() == text { Ok(receipt) } else { Err(InvalidReceipt::NotCanonical) }
    }
}

fn member<'j, T>(
    object: &'j Json<'j>,
    name: &'static str,
    read: impl FnOnce(&'j Json<'j>) -> Option<T>,
) -> Result<T, InvalidReceipt> {
    object.get(name).and_then(read).ok_or(InvalidReceipt::Member(name))
}

fn write_hex(out: &mut String, bytes: &Bytes32) {
    out.push('"');
    push_hex(out, bytes);
    out.push('"');
}

fn hex32(value: &Json<'_>) -> Option<Bytes32> {
    let digits = value.as_str()?.as_bytes();
    let digit = |digit: u8| char::from(digit).to_digit(16).filter(|_| !digit.is_ascii_uppercase());
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

fn hashes(value: &Json<'_>) -> Option<Vec<Bytes32>> {
    value.as_array()?.iter().map(hex32).collect()
}

fn instant(value: &Json<'_>) -> Option<i64> {
    parse_micros(value.as_str()?)
}

fn canonical_object(value: &Json<'_>) -> Option<String> {
    value.as_object()?;
    let mut out = String::new();
    value.write_canonical(&mut out);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> ErasureReceipt {
        ErasureReceipt {
            log_id: [0x1a; 32],
            key_id: [2; 32],
            nonce: [3; 32],
            commitment: [4; 32],
            slot: 5,
            generation: 6,
            erased_at: 1_796_054_400_000_001,
            keyring_backup_until: None,
            audit_entry: r#"{"action":"profile.erase","seq":8}"#.to_owned(),
            leaf: 7,
            inclusion: vec![[9; 32], [10; 32]],
            tree_head_before: r#"{"size":7}"#.to_owned(),
            tree_head_after: r#"{"chains":{"compliance":{"count":8}},"size":8}"#.to_owned(),
            consistency: Vec::new(),
        }
    }

    #[test]
    fn a_receipt_is_canonical_json_and_reads_back() {
        for until in [None, Some(1_796_054_400_000_000)] {
            let receipt = ErasureReceipt { keyring_backup_until: until, ..receipt() };
            let text = receipt.to_json();
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(serde_json_canonicalizer::to_string(&value).expect("JSON"), text);
            assert_eq!(ErasureReceipt::parse(&text), Ok(receipt));
        }
    }

    #[test]
    fn what_is_no_receipt_is_refused_with_the_member_at_fault() {
        let text = receipt().to_json();
        let replaced = |from: &str, to: &str| ErasureReceipt::parse(&text.replacen(from, to, 1));
        assert_eq!(ErasureReceipt::parse("{"), Err(InvalidReceipt::NotJson));
        assert_eq!(ErasureReceipt::parse("[]"), Err(InvalidReceipt::NotJson));
        assert_eq!(ErasureReceipt::parse(&" ".repeat(MAX_RECEIPT_BYTES + 1)), Err(InvalidReceipt::NotJson));
        assert_eq!(replaced("\"format\":1", "\"format\":2"), Err(InvalidReceipt::Format));
        assert_eq!(replaced("\"leaf\":7", "\"leaf\":-7"), Err(InvalidReceipt::Member("leaf")));
        assert_eq!(replaced("1a1a", "1A1a"), Err(InvalidReceipt::Member("log_id")));
        assert_eq!(replaced("\"slot\":5,", ""), Err(InvalidReceipt::Member("slot")));
        assert_eq!(replaced("\"slot\":5,", "\"slot\":5,\"t\":1,"), Err(InvalidReceipt::NotCanonical));
        assert_eq!(replaced("\"slot\":5", "\"slot\": 5"), Err(InvalidReceipt::NotCanonical));
    }

    #[test]
    fn a_commitment_is_the_hash_of_the_nonce_and_the_id() {
        let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
        let expected: Bytes32 = Sha256::digest([&[3; 32][..], b"usr_7Qm2Xr9TzKpA"].concat()).into();
        assert_eq!(commitment(&[3; 32], &user), expected);
        assert_ne!(commitment(&[4; 32], &user), expected);
    }
}
