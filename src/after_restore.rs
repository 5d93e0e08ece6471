//! The first start after a restore. The registry is as old as the backup, and the audit log may be newer: what it says of
//! revocations and of scheduled erasures since then holds.

use std::collections::HashMap;
use std::sync::Arc;

use domain::erasure_receipt::ERASE_ACTION;
use domain::json::{self, Json};
use domain::port::audit::AuditCategory;
use domain::port::audit_trail::{AuditQuery, AuditReadError, AuditTrail};
use domain::port::registry::{BACKUP_TIME, Registry, RegistryError, RegistryKind};

use crate::erasure::{ErasureError, Erasures, SCHEDULE_ACTION, UNDO_ACTION};
use crate::http::REVOKE_ACTION;
use crate::http::request::caller::{Revocation, Verifier};

/// Entries that are read at once.
const PAGE: usize = 200;
/// Levels of an entry.
const DEPTH: usize = 4;

/// Why the audit log was not followed. It is tried again at the next start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error("the audit log cannot be read")]
    Log(#[from] AuditReadError),
    #[error("a revocation cannot be stored")]
    Registry(#[from] RegistryError),
    #[error("an undone erasure cannot be cancelled")]
    Erasure(#[from] ErasureError),
    #[error("it has ended early")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Does what the audit log says of the time since the backup, if this is the first start after a restore. Called before anybody is
/// served.
///
/// # Errors
/// It was not done, or only a part of it.
pub(crate) async fn follow_log(
    registry: Arc<dyn Registry>,
    trail: Arc<dyn AuditTrail>,
    verifier: Arc<Verifier>,
    erasures: &Erasures,
) -> Result<(), FollowError> {
    let Some(since) = backup_time(&*registry) else { return Ok(()) };
    let log = Arc::clone(&trail);
    tokio::task::spawn_blocking(move || {
        let revoked = entries(&*log, REVOKE_ACTION, since)?.into_iter().filter_map(|entry| entry.revocation);
        let mut count = 0;
        for revocation in revoked {
            verifier.revoke(revocation)?;
            count += 1;
        }
        if count > 0 {
            tracing::info!(revocations = count, "revocations since the backup were taken over from the audit log");
        }
        warn_of_lost_schedules(&*log, since)
    })
    .await??;
    let cancelled = erasures.cancel_undone().await?;
    if cancelled > 0 {
        tracing::info!(erasures = cancelled, "erasures that were undone since the backup are not scheduled any more");
    }
    tokio::task::spawn_blocking(move || registry.remove(RegistryKind::RESTORED, BACKUP_TIME)).await??;
    Ok(())
}

/// Returns the time of the backup that the store was restored from, if this was not done yet.
fn backup_time(registry: &dyn Registry) -> Option<i64> {
    let entry = registry.get(RegistryKind::RESTORED, BACKUP_TIME, i64::MIN)?;
    entry.value.first_chunk().map(|time| i64::from_le_bytes(*time))
}

/// Says how many erasures were scheduled since the backup, and are not over: the log has whom they are about only as a hash, so
/// they cannot be scheduled again.
fn warn_of_lost_schedules(trail: &dyn AuditTrail, since: i64) -> Result<(), FollowError> {
    let mut scheduled = HashMap::new();
    for entry in entries(trail, SCHEDULE_ACTION, since)? {
        scheduled.entry(entry.subject).and_modify(|seq: &mut u64| *seq = entry.seq.max(*seq)).or_insert(entry.seq);
    }
    for action in [UNDO_ACTION, ERASE_ACTION] {
        for entry in entries(trail, action, since)? {
            if scheduled.get(&entry.subject).is_some_and(|seq| *seq < entry.seq) {
                scheduled.remove(&entry.subject);
            }
        }
    }
    if !scheduled.is_empty() {
        tracing::warn!(
            erasures = scheduled.len(),
            "erasures were scheduled after the backup, and are not scheduled in what was restored: the entries \
             `{SCHEDULE_ACTION}` of the audit log have who asked for them and when"
        );
    }
    Ok(())
}

/// An entry of the audit log.
struct Entry {
    seq: u64,
    /// The hash of the user, if it is about one.
    subject: Option<String>,
    revocation: Option<Revocation>,
}

/// Returns the entries of an action that was allowed since a time.
fn entries(trail: &dyn AuditTrail, action: &str, since: i64) -> Result<Vec<Entry>, FollowError> {
    let mut query = AuditQuery {
        categories: vec![AuditCategory::Compliance],
        action: Some(action.to_owned()),
        from: Some(since),
        ..AuditQuery::newest(PAGE)
    };
    let mut found = Vec::new();
    loop {
        let page = trail.query(&query)?;
        for record in page.records {
            let Ok(entry) = json::parse(record.line.as_bytes(), DEPTH) else { continue };
            if text(&entry, "decision") == Some("allowed") {
                let subject = text(&entry, "subject").map(str::to_owned);
                found.push(Entry { seq: record.receipt.seq, subject, revocation: revocation(&entry) });
            }
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(found),
        }
    }
}

fn text<'e>(entry: &'e Json<'_>, member: &str) -> Option<&'e str> {
    entry.get(member).and_then(Json::as_str)
}

/// Returns what an entry has revoked. A citizen is in the log only as a hash; tokens of citizens live for minutes.
fn revocation(entry: &Json<'_>) -> Option<Revocation> {
    let id = |member| text(entry, member).map(str::to_owned);
    if let Some(id) = id("token") {
        return Some(Revocation::Token { id });
    }
    if let Some(id) = id("key") {
        return Some(Revocation::Key { id });
    }
    let issued_until = entry.get("issued_until").and_then(Json::as_i64)?;
    Some(Revocation::Subject { subject: id("caller")?, issued_until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_what_was_revoked() {
        let of = |line: &str| revocation(&json::parse(line.as_bytes(), DEPTH).expect("JSON"));
        assert_eq!(of(r#"{"token":"a"}"#), Some(Revocation::Token { id: "a".to_owned() }));
        assert_eq!(of(r#"{"key":"b"}"#), Some(Revocation::Key { id: "b".to_owned() }));
        let subject = Revocation::Subject { subject: "svc:c".to_owned(), issued_until: 7 };
        assert_eq!(of(r#"{"caller":"svc:c","issued_until":7}"#), Some(subject));
        for other in [r#"{"subject":"4f2a","issued_until":7}"#, r#"{"caller":"svc:c"}"#, "{}"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
