//! Signed tree heads: what the log held at a moment, signed with Ed25519.
//!
//! A head is a canonical JSON object. The signature is over the text `profile-server audit tree head 1`, a line break, and
//! the object without its member `signature`. A head also states the length of each category with its last chain value
//! and the digest over its lines, so that what is not in the tree cannot be changed or cut off unnoticed either.

use domain::canonical::{write_integer, write_string};
use domain::day::format_instant;
use domain::event::time::parse_micros;
use domain::json::{self, Json};
use domain::port::audit::AuditCategory;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::entry_text::{CHAIN_START, ChainValue};
use super::keys::AuditKeys;
use super::line_digest::{DIGEST_START, LineDigest, next_digest};
use super::merkle::TreeHash;

const CONTEXT: &str = "profile-server audit tree head 1\n";
const HEAD_FORMAT: i64 = 1;

/// The length of a category, and what binds its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// The number of entries.
    pub count: u64,
    /// The chain value of the last one.
    pub chain: ChainValue,
    /// The digest over the lines of all of them.
    pub digest: LineDigest,
}

impl ChainHead {
    /// The head of a category without entries.
    pub const EMPTY: Self = Self { count: 0, chain: CHAIN_START, digest: DIGEST_START };

    /// Returns the head after one more entry, with the chain value `chain` and this line, without its line break.
    pub(super) fn after(&self, chain: ChainValue, line: &[u8]) -> Self {
        Self { count: self.count + 1, chain, digest: next_digest(&self.digest, line) }
    }

    /// Returns whether a log that ends here may continue one that ended at `earlier`. Only where both have as many entries,
    /// they are compared.
    pub(super) fn may_continue(&self, earlier: &Self) -> bool {
        self.count > earlier.count || self == earlier
    }
}

/// What the log held at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of leaves: of compliance entries.
    pub size: u64,
    /// The hash of the tree.
    pub root: TreeHash,
    /// When the head was signed, in microseconds since the Unix epoch.
    pub time: i64,
    /// The heads of the chains, in the order of [`AuditCategory::ALL`].
    pub chains: [ChainHead; AuditCategory::COUNT],
}

/// A tree head with its signature, as a line of text without a line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTreeHead {
    /// The content.
    pub head: TreeHead,
    /// The canonical JSON object.
    pub line: String,
}

/// Returns the id of the log that is signed with a key: SHA-256 of the public key, in hex.
pub fn log_id(public_key: &[u8; 32]) -> String {
    hex::encode(Sha256::digest(public_key))
}

impl TreeHead {
    /// Signs the head.
    pub(super) fn sign(self, keys: &AuditKeys) -> SignedTreeHead {
        let log = log_id(&keys.public_key());
        let signature = keys.sign(&self.message(&log));
        SignedTreeHead { head: self, line: self.to_json(&log, Some(&hex::encode(signature))) }
    }

    /// Returns whether the log that this head is about has everything that the log of another one had.
    pub(super) fn has_all_of(&self, other: &Self) -> bool {
        let mut chains = self.chains.iter().zip(&other.chains);
        self.size >= other.size && chains.all(|(own, other)| own.count >= other.count)
    }

    fn message(&self, log: &str) -> Vec<u8> {
        [CONTEXT, &self.to_json(log, None)].concat().into_bytes()
    }

    fn to_json(self, log: &str, signature: Option<&str>) -> String {
        let mut out = String::from("{\"chains\":{");
        // The names of categories are in their canonical order here.
        let mut chains: Vec<_> = AuditCategory::ALL.into_iter().zip(self.chains).collect();
        chains.sort_unstable_by_key(|(category, _)| category.name());
        for (index, (category, head)) in chains.into_iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "," });
            write_string(&mut out, category.name());
            out.push_str(":{\"chain\":");
            write_string(&mut out, &hex::encode(head.chain));
            out.push_str(",\"count\":");
            write_integer(&mut out, signed(head.count));
            out.push_str(",\"digest\":");
            write_string(&mut out, &hex::encode(head.digest));
            out.push('}');
        }
        out.push_str("},\"format\":");
        write_integer(&mut out, HEAD_FORMAT);
        out.push_str(",\"log\":");
        write_string(&mut out, log);
        out.push_str(",\"root\":");
        write_string(&mut out, &hex::encode(self.root));
        if let Some(signature) = signature {
            out.push_str(",\"signature\":");
            write_string(&mut out, signature);
        }
        out.push_str(",\"size\":");
        write_integer(&mut out, signed(self.size));
        out.push_str(",\"time\":");
        write_string(&mut out, &format_instant(self.time));
        out.push('}');
        out
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl SignedTreeHead {
    /// Parses a line; `None` if it is not a tree head of this format. The signature is not checked.
    pub(super) fn parse(line: &str) -> Option<(Self, String, Signature)> {
        let object = json::parse(line.as_bytes(), 4).ok()?;
        let mut chains = [ChainHead::EMPTY; AuditCategory::COUNT];
        for (chain_head, category) in chains.iter_mut().zip(AuditCategory::ALL) {
            let stated = object.get("chains")?.get(category.name())?;
            let (count, chain) = (count(stated.get("count")?)?, hash(stated.get("chain")?)?);
            *chain_head = ChainHead { count, chain, digest: hash(stated.get("digest")?)? };
        }
        let head = TreeHead {
            size: count(object.get("size")?)?,
            root: hash(object.get("root")?)?,
            time: parse_micros(object.get("time")?.as_str()?)?,
            chains,
        };
        let (log, signature) = (object.get("log")?.as_str()?, object.get("signature")?.as_str()?);
        // The line is exactly what its content gives, so that there is one text for a head.
        if head.to_json(log, Some(signature)) != line {
            return None;
        }
        let bytes: [u8; 64] = hex::decode(signature).ok()?.try_into().ok()?;
        Some((Self { head, line: line.to_owned() }, log.to_owned(), Signature::from_bytes(&bytes)))
    }

    /// Returns whether a line was cut, as a crash leaves one in an anchor file: it is not JSON.
    pub(super) fn is_torn(line: &[u8]) -> bool {
        json::parse(line, 4).is_err()
    }

    /// Parses a line and checks its signature; `None` if either fails.
    pub fn verify(line: &str, public_key: &[u8; 32]) -> Option<Self> {
        let (signed, log, signature) = Self::parse(line)?;
        let key = VerifyingKey::from_bytes(public_key).ok()?;
        let is_signed = key.verify_strict(&signed.head.message(&log), &signature).is_ok();
        (is_signed && log == log_id(public_key)).then_some(signed)
    }
}

fn count(value: &Json<'_>) -> Option<u64> {
    u64::try_from(value.as_i64()?).ok()
}

fn hash(value: &Json<'_>) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(value.as_str()?, &mut hash).ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> TreeHead {
        let mut chains = [ChainHead::EMPTY; AuditCategory::COUNT];
        chains[1] = ChainHead { count: 7, chain: [3; 32], digest: [4; 32] };
        TreeHead { size: 5, root: [9; 32], time: 1_796_054_400_000_001, chains }
    }

    #[test]
    fn a_signed_head_reads_back_and_no_changed_one_does() {
        let keys = AuditKeys::from_keys([1; 32], &[1; 32], &[1; 32]);
        let signed = head().sign(&keys);
        assert_eq!(SignedTreeHead::verify(&signed.line, &keys.public_key()), Some(signed.clone()));
        let other = AuditKeys::from_keys([2; 32], &[2; 32], &[2; 32]).public_key();
        assert_eq!(SignedTreeHead::verify(&signed.line, &other), None);
        for at in 0..signed.line.len() {
            let mut changed = signed.line.clone().into_bytes();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(SignedTreeHead::verify(&changed, &keys.public_key()), None, "{changed}");
        }
    }
}
