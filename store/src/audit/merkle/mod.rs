//! A Merkle tree over the compliance entries, as RFC 9162 section 2.1 defines it, with SHA-256.
//!
//! The hash of a leaf is SHA-256(0x00 ‖ line), that of a node SHA-256(0x01 ‖ left ‖ right). Proofs are checked with nothing
//! but a signed tree head: see [`verify_inclusion`] and [`verify_consistency`].

mod frontier;
mod growth;
mod nodes;
mod proof;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

pub(super) use frontier::Frontier;
pub(super) use growth::TreeGrowth;
pub(super) use nodes::{NodeFile, read_node};
#[cfg(test)]
use nodes::{node_count, place};
pub(super) use proof::{NodeSource, consistency, inclusion, root};
pub use proof::{verify_consistency, verify_inclusion};

/// The hash of a leaf, a node or a whole tree.
pub type TreeHash = [u8; 32];

/// Returns the hash of the leaf that holds `line`.
pub fn leaf_hash(line: &[u8]) -> TreeHash {
    Sha256::new_with_prefix([0]).chain_update(line).finalize().into()
}

/// Returns the hash of the node above two others.
pub(super) fn node_hash(left: &TreeHash, right: &TreeHash) -> TreeHash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Returns the hash of the empty tree.
pub(super) fn empty_root() -> TreeHash {
    Sha256::digest([]).into()
}
