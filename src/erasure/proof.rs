//! The entry of an erasure in the audit log, and the receipt with the proofs that the entry is there.

use std::collections::HashSet;

use domain::erasure::Tombstone;
use domain::erasure_receipt::{COMMITMENT_MEMBER, ERASE_ACTION, ErasureReceipt, SLOT_MEMBER, commitment};
use domain::id::UserId;
use domain::json::{self, Json};
use domain::port::audit::{AuditCategory, AuditEntry, AuditError, AuditValue, NOT_DONE_MEMBER};
use domain::port::audit_trail::{AuditHash, AuditQuery, AuditReadError, AuditRecord, AuditTrail};
use domain::port::journal::RowId;
use sha2::{Digest, Sha256};

use super::job::ErasureJob;

/// Entries that are read at once, and how often, when an erasure looks for its own: a user has few about erasures.
const PAGE: usize = 50;
const PAGES: usize = 20;
/// Levels of an entry or a tree head.
const DEPTH: usize = 4;

/// The action of the entry that is written before an erasure is scheduled.
pub(crate) const SCHEDULE_ACTION: &str = "profile.erase.schedule";
/// The action of the entry that is written before a scheduled erasure is undone.
pub(crate) const UNDO_ACTION: &str = "profile.erase.undo";

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

/// Returns the entry of an erasure with this commitment, if it was written and no later entry says that it was not done. Blocks.
pub(super) fn find_entry(
    trail: &dyn AuditTrail,
    user: &UserId,
    commitment: &[u8; 32],
) -> Result<Option<AuditRecord>, ProofError> {
    let mut query = entries_about(user, ERASE_ACTION);
    let commitment = hex::encode(commitment);
    // The newest come first, so a later entry that says that one was not done comes before it.
    let mut not_done = HashSet::new();
    for _ in 0..PAGES {
        let page = trail.query(&query)?;
        for record in page.records {
            let Ok(entry) = json::parse(record.line.as_bytes(), DEPTH) else { continue };
            not_done.extend(entry.get(NOT_DONE_MEMBER).and_then(Json::as_i64));
            let is_own = is_allowed(&entry) && entry.get(COMMITMENT_MEMBER).and_then(Json::as_str) == Some(&commitment);
            if is_own && !i64::try_from(record.receipt.seq).is_ok_and(|seq| not_done.contains(&seq)) {
                return Ok(Some(record));
            }
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Returns whether the newest entry about a user's scheduled erasure says that it was undone. Blocks.
pub(super) fn was_undone(trail: &dyn AuditTrail, user: &UserId) -> Result<bool, ProofError> {
    Ok(newest_allowed(trail, user, UNDO_ACTION)? > newest_allowed(trail, user, SCHEDULE_ACTION)?)
}

/// Returns the number of the newest entry of an action about a user that was allowed.
fn newest_allowed(trail: &dyn AuditTrail, user: &UserId, action: &str) -> Result<Option<u64>, ProofError> {
    let mut query = entries_about(user, action);
    loop {
        let page = trail.query(&query)?;
        let allowed =
            |record: &&AuditRecord| json::parse(record.line.as_bytes(), DEPTH).is_ok_and(|entry| is_allowed(&entry));
        if let Some(found) = page.records.iter().find(allowed) {
            return Ok(Some(found.receipt.seq));
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(None),
        }
    }
}

/// Returns the query for the entries of an action about a user, the newest first.
fn entries_about(user: &UserId, action: &str) -> AuditQuery {
    AuditQuery {
        categories: vec![AuditCategory::Compliance],
        subject: Some(*user),
        action: Some(action.to_owned()),
        ..AuditQuery::newest(PAGE)
    }
}

fn is_allowed(entry: &Json<'_>) -> bool {
    entry.get("decision").and_then(Json::as_str) == Some("allowed")
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
