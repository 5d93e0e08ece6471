//! Checks a receipt offline: its signatures, its proofs, and that its parts agree.

use domain::erasure_receipt::{
    COMMITMENT_MEMBER, ERASE_ACTION, ErasureReceipt, InvalidReceipt, SLOT_MEMBER, commitment,
};
use domain::id::UserId;
use domain::json::{self, Json};
use domain::port::audit::{AuditCategory, AuditDecision};
use sha2::{Digest, Sha256};
use store::audit::{SignedTreeHead, TreeHead, leaf_hash, verify_consistency, verify_inclusion};

/// Levels of an entry.
const DEPTH: usize = 4;

/// What a receipt is checked against.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReceiptCheck<'c> {
    /// The public key of the audit log, from elsewhere.
    pub(crate) public_key: Option<[u8; 32]>,
    /// A signed tree head of the audit log, from elsewhere.
    pub(crate) tree_head: Option<&'c str>,
    /// Whom the receipt must be about.
    pub(crate) user: Option<UserId>,
}

/// The first fault of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReceiptFault {
    /// It is no receipt.
    #[error("it is no receipt: {0}")]
    Invalid(#[from] InvalidReceipt),
    /// It names another key than the one that was given.
    #[error("`key_id` is not the given public key: the receipt is of another log, or is forged")]
    OtherKey,
    /// The ids of the log and of the key do not fit.
    #[error("`log_id` is not the SHA-256 of `key_id`")]
    LogId,
    /// The tree head from elsewhere is not one of this log.
    #[error("the given tree head was not signed by the key of the receipt: it is of another log, or is forged")]
    GivenHead,
    /// A tree head from elsewhere contradicts one of the receipt's.
    #[error("the given tree head contradicts `{0}`: the log was rewritten")]
    Contradiction(&'static str),
    /// A tree head is not signed by the log.
    #[error("the signature of `{0}` is wrong")]
    Signature(&'static str),
    /// A member of the entry is not what the receipt says.
    #[error("the member `{0}` of `audit_entry` is not that of this erasure")]
    Entry(&'static str),
    /// The entry is not between the two tree heads.
    #[error("`leaf` is not between the two tree heads")]
    Leaf,
    /// The entry is not in the tree.
    #[error("`inclusion` does not show that `audit_entry` is in the tree of `tree_head_after`")]
    Inclusion,
    /// The log was rewritten.
    #[error("`consistency` does not show that `tree_head_after` continues `tree_head_before`")]
    Consistency,
    /// It is about somebody else.
    #[error("`commitment` is not that of the given user")]
    User,
}

/// Checks a receipt, and returns what it says.
///
/// # Errors
/// The first fault that was found.
pub(crate) fn check_receipt(text: &str, against: &ReceiptCheck<'_>) -> Result<ErasureReceipt, ReceiptFault> {
    let receipt = ErasureReceipt::parse(text)?;
    if against.public_key.is_some_and(|key| key != receipt.key_id) {
        return Err(ReceiptFault::OtherKey);
    }
    if receipt.log_id != <[u8; 32]>::from(Sha256::digest(receipt.key_id)) {
        return Err(ReceiptFault::LogId);
    }
    let head = |name, line: &str| {
        let signed = SignedTreeHead::verify(line, &receipt.key_id);
        signed.map(|signed| signed.head).ok_or(ReceiptFault::Signature(name))
    };
    let before = head("tree_head_before", &receipt.tree_head_before)?;
    let after = head("tree_head_after", &receipt.tree_head_after)?;
    if let Some(line) = against.tree_head {
        let given = SignedTreeHead::verify(line, &receipt.key_id).ok_or(ReceiptFault::GivenHead)?.head;
        for (name, own) in [("tree_head_before", &before), ("tree_head_after", &after)] {
            if contradicts(&given, own) {
                return Err(ReceiptFault::Contradiction(name));
            }
        }
    }
    check_entry(&receipt)?;
    if receipt.leaf < before.size || receipt.leaf >= after.size {
        return Err(ReceiptFault::Leaf);
    }
    let leaf = leaf_hash(receipt.audit_entry.as_bytes());
    if !verify_inclusion(&leaf, receipt.leaf, after.size, &receipt.inclusion, &after.root) {
        return Err(ReceiptFault::Inclusion);
    }
    if !verify_consistency(before.size, after.size, &receipt.consistency, &before.root, &after.root) {
        return Err(ReceiptFault::Consistency);
    }
    if against.user.is_some_and(|user| commitment(&receipt.nonce, &user) != receipt.commitment) {
        return Err(ReceiptFault::User);
    }
    Ok(receipt)
}

/// Returns whether two heads of one size differ in their trees.
fn contradicts(given: &TreeHead, own: &TreeHead) -> bool {
    given.size == own.size && given.root != own.root
}

/// Checks that the entry is that of the erasure.
fn check_entry(receipt: &ErasureReceipt) -> Result<(), ReceiptFault> {
    let entry = json::parse(receipt.audit_entry.as_bytes(), DEPTH).map_err(|_| ReceiptFault::Entry("format"))?;
    let text = |name: &str| entry.get(name).and_then(Json::as_str);
    let number = |name: &str| entry.get(name).and_then(Json::as_i64);
    let leaf = i64::try_from(receipt.leaf).unwrap_or(i64::MAX);
    for (name, is_own) in [
        ("action", text("action") == Some(ERASE_ACTION)),
        ("category", text("category") == Some(AuditCategory::Compliance.name())),
        ("decision", text("decision") == Some(AuditDecision::Allowed.name())),
        ("seq", number("seq") == Some(leaf.saturating_add(1))),
        (SLOT_MEMBER, number(SLOT_MEMBER) == Some(receipt.slot.into())),
        ("generation", number("generation") == Some(receipt.generation.into())),
        (COMMITMENT_MEMBER, text(COMMITMENT_MEMBER) == Some(&hex::encode(receipt.commitment))),
    ] {
        if !is_own {
            return Err(ReceiptFault::Entry(name));
        }
    }
    Ok(())
}
