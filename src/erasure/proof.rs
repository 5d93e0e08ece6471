//! The entry of an erasure in the audit log, and the receipt with the proofs that the entry is there.

use domain::erasure::Tombstone;
use domain::erasure_receipt::{COMMITMENT_MEMBER, ERASE_ACTION, ErasureReceipt, SLOT_MEMBER, commitment};
use domain::id::UserId;
use domain::json::{self, Json};
use domain::port::audit::{AuditCategory, AuditEntry, AuditError, AuditValue};
use domain::port::audit_trail::{AuditHash, AuditQuery, AuditReadError, AuditRecord, AuditTrail};
use domain::port::journal::RowId;
use sha2::{Digest, Sha256};

use super::job::ErasureJob;

/// Entries that are read at once, and how often, when an erasure looks for its own: a user has few about erasures.
const PAGE: usize = 50;
const PAGES: usize = 20;
/// Levels of an entry or a tree head.
const DEPTH: usize = 4;

/// Why an entry or its proofs could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProofError {
    #[error(transparent)]
    Log(#[from] AuditError),
    #[error(transparent)]
    Read(#[from] AuditReadError),
    #[error("the entry of the erasure is not in the audit log")]
    NoEntry,
    #[error("the tree head from before the erasure is damaged")]
    DamagedHead,
}

/// What a receipt is about.
pub(super) struct ReceiptParts<'r> {
    pub(super) user: UserId,
    pub(super) row: RowId,
    pub(super) nonce: [u8; 32],
    pub(super) tree_head_before: &'r str,
    pub(super) tombstone: Tombstone,
    pub(super) keyring_backup_until: Option<i64>,
}

/// Returns the entry of an erasure.
pub(super) fn entry(job: &ErasureJob, commitment: &[u8; 32]) -> AuditEntry {
    let origin = job.origin.clone();
    let entry = AuditEntry {
        subject: Some(job.user),
        generation: Some(job.generation),
        tenant: origin.tenant,
        reason: origin.reason,
        purpose: origin.purpose,
        request_id: origin.request_id,
        ..AuditEntry::new(AuditCategory::Compliance, ERASE_ACTION, origin.actor)
    };
    entry
        .with(SLOT_MEMBER, AuditValue::Integer(job.row.0.into()))
        .with(COMMITMENT_MEMBER, AuditValue::Digest(*commitment))
}

/// Returns the entry of an erasure with this commitment, if it was written. Blocks.
pub(super) fn find_entry(
    trail: &dyn AuditTrail,
    user: &UserId,
    commitment: &[u8; 32],
) -> Result<Option<AuditRecord>, ProofError> {
    let mut query = AuditQuery {
        categories: vec![AuditCategory::Compliance],
        subject: Some(*user),
        action: Some(ERASE_ACTION.to_owned()),
        ..AuditQuery::newest(PAGE)
    };
    let commitment = hex::encode(commitment);
    let is_allowed = |entry: &Json<'_>| entry.get("decision").and_then(Json::as_str) == Some("allowed");
    let is_own = |record: &AuditRecord| {
        let entry = json::parse(record.line.as_bytes(), DEPTH).ok();
        entry.is_some_and(|entry| {
            is_allowed(&entry) && entry.get(COMMITMENT_MEMBER).and_then(Json::as_str) == Some(&commitment)
        })
    };
    for _ in 0..PAGES {
        let page = trail.query(&query)?;
        if let Some(found) = page.records.into_iter().find(is_own) {
            return Ok(Some(found));
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Signs a tree head, and returns the receipt of an erasure. Blocks.
pub(super) fn receipt(trail: &dyn AuditTrail, parts: &ReceiptParts<'_>) -> Result<ErasureReceipt, ProofError> {
    let commitment = commitment(&parts.nonce, &parts.user);
    let found = find_entry(trail, &parts.user, &commitment)?;
    let (line, leaf) = found.and_then(|record| Some((record.line, record.receipt.leaf?))).ok_or(ProofError::NoEntry)?;
    let after = trail.sign_tree_head()?;
    let before = size_of(parts.tree_head_before).ok_or(ProofError::DamagedHead)?;
    let key: AuditHash = trail.public_key();
    Ok(ErasureReceipt {
        log_id: Sha256::digest(key).into(),
        key_id: key,
        nonce: parts.nonce,
        commitment,
        slot: parts.row.0,
        generation: parts.tombstone.generation,
        erased_at: parts.tombstone.erased_at,
        keyring_backup_until: parts.keyring_backup_until,
        audit_entry: line,
        leaf,
        inclusion: trail.inclusion(leaf, after.size)?,
        consistency: trail.consistency(before, after.size)?,
        tree_head_before: parts.tree_head_before.to_owned(),
        tree_head_after: after.line,
    })
}

/// Returns the size that a tree head states.
fn size_of(head: &str) -> Option<u64> {
    let head = json::parse(head.as_bytes(), DEPTH).ok()?;
    u64::try_from(head.get("size")?.as_i64()?).ok()
}
