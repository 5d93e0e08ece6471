//! Changes of configuration on an audit log that fails when a test says so.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::port::audit::{AuditReceipt, AuditWrite};
use futures_util::FutureExt;

use super::*;
use crate::http::request::caller::memory_registry::MemoryRegistry;

const FILE: &str = "limits.toml";

/// Keeps the entries that are written.
#[derive(Default)]
struct TestLog {
    entries: Mutex<Vec<AuditEntry>>,
    fails: AtomicBool,
    /// Nothing is answered. As with the real log, only what has happened already is written then.
    hangs: AtomicBool,
}

impl AuditLog for TestLog {
    fn write(&self, entry: AuditEntry) -> AuditWrite {
        if self.hangs.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        let outcome = self.write_blocking(entry);
        Box::pin(std::future::ready(outcome))
    }

    fn record(&self, entry: AuditEntry) -> AuditWrite {
        let outcome = self.write_blocking(entry);
        if self.hangs.load(Ordering::Relaxed) {
            Box::pin(std::future::pending())
        } else {
            Box::pin(std::future::ready(outcome))
        }
    }

    fn write_blocking(&self, entry: AuditEntry) -> Result<AuditReceipt, AuditError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(AuditError::NotWritten);
        }
        let category = entry.category;
        let mut entries = self.entries.lock();
        entries.push(entry);
        Ok(AuditReceipt { category, seq: entries.len() as u64, time: 0, leaf: None })
    }

    fn note(&self, entry: AuditEntry) {
        panic!("nobody waits for {entry:?}");
    }
}

impl TestLog {
    /// Returns the effect and the digests of each entry.
    fn effects(&self) -> Vec<(String, Option<FileDigest>, Option<FileDigest>)> {
        let member = |entry: &AuditEntry, name| {
            entry.members.iter().find(|member| member.name == name).map(|member| member.value.clone())
        };
        let digest = |entry: &AuditEntry, name| match member(entry, name) {
            Some(AuditValue::Digest(digest)) => Some(digest),
            _ => None,
        };
        let effect = |entry: &AuditEntry| match member(entry, "effect") {
            Some(AuditValue::Text(text)) => text.into_owned(),
            other => panic!("no effect: {other:?}"),
        };
        let entries = self.entries.lock();
        entries.iter().map(|entry| (effect(entry), digest(entry, "before"), digest(entry, "after"))).collect()
    }
}

fn changes(log: &Arc<TestLog>, registry: &Arc<MemoryRegistry>) -> ConfigChanges {
    ConfigChanges::new(Arc::clone(log) as Arc<dyn AuditLog>, Arc::clone(registry) as Arc<dyn Registry>)
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_is_recorded_when_it_is_tried_again() {
    let (log, registry) = (Arc::new(TestLog::default()), Arc::new(MemoryRegistry::default()));
    let watcher = ChangeOrigin::watcher();
    let server = changes(&log, &registry);
    server.begin(FILE, b"a").await.expect("nothing to record");
    log.fails.store(true, Ordering::Relaxed);
    assert!(server.announce(FILE, b"b", &watcher).await.is_err());
    server.refuse(FILE, Some(b"c"), &watcher).await;
    log.fails.store(false, Ordering::Relaxed);
    server.announce(FILE, b"a", &watcher).await.expect("what is in force");
    assert_eq!(log.effects(), [], "nothing has changed");
    server.announce(FILE, b"b", &watcher).await.expect("recorded");
    assert_eq!(log.effects(), [("in_force".to_owned(), Some(digest(b"a")), Some(digest(b"b")))]);
}

#[tokio::test]
async fn a_refused_change_is_recorded_although_the_client_that_has_found_it_is_gone() {
    let (log, registry) = (Arc::new(TestLog::default()), Arc::new(MemoryRegistry::default()));
    let server = changes(&log, &registry);
    server.begin(FILE, b"a").await.expect("nothing to record");
    log.hangs.store(true, Ordering::Relaxed);
    let origin = ChangeOrigin::watcher();
    assert!(server.refuse(FILE, Some(b"b"), &origin).now_or_never().is_none(), "it waits, and is dropped");
    assert_eq!(log.effects(), [("refused".to_owned(), Some(digest(b"a")), Some(digest(b"b")))]);
}

#[tokio::test]
async fn a_start_records_a_change_since_the_last_one_once() {
    let (log, registry) = (Arc::new(TestLog::default()), Arc::new(MemoryRegistry::default()));
    changes(&log, &registry).begin(FILE, b"a").await.expect("nothing to record");
    log.fails.store(true, Ordering::Relaxed);
    assert!(changes(&log, &registry).begin(FILE, b"b").await.is_err());
    log.fails.store(false, Ordering::Relaxed);
    for _ in 0..2 {
        changes(&log, &registry).begin(FILE, b"b").await.expect("recorded");
    }
    assert_eq!(log.effects(), [("in_force_at_start".to_owned(), Some(digest(b"a")), Some(digest(b"b")))]);
}
