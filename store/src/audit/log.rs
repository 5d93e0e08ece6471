//! The open log: what other threads use.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use domain::port::audit::{AuditEntry, AuditError, AuditLog, AuditReceipt, AuditWrite};
use domain::port::audit_trail::{AuditHash, AuditPage, AuditQuery, AuditReadError, AuditTrail, AuditTreeHead};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::anchors::Anchors;
use super::catalogue::Catalogue;
use super::indexer::Indexer;
use super::keys::AuditKeys;
use super::merkle::{consistency, inclusion};
use super::metrics::AuditMetrics;
use super::queue::{AuditQueue, Request, WaitingSender};
use super::read::read_page;
use super::tree_head::SignedTreeHead;
use super::tree_writer::SharedTree;
use super::wait::{receive, receive_async};

/// The audit log. Dropped, it writes what waits and signs a last tree head.
pub struct AuditStore {
    pub(super) queue: Arc<AuditQueue>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) tree: Arc<SharedTree>,
    pub(super) keys: AuditKeys,
    pub(super) metrics: Arc<AuditMetrics>,
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
    /// Maximum time that a request waits for its outcome.
    pub(super) write_timeout: Duration,
    pub(super) anchors: Arc<Anchors>,
    pub(super) indexer: Mutex<Option<Indexer>>,
}

/// Where the outcome of an entry is sent.
type Answer = oneshot::Sender<Result<AuditReceipt, AuditError>>;

/// Maximum time that a stop waits for the anchor file.
const ANCHOR_WAIT: Duration = Duration::from_secs(5);

impl AuditStore {
    /// Writes what waits, signs a last tree head, and takes no more entries.
    pub fn close(&self) {
        self.queue.close();
        if let Some(writer) = self.writer.lock().take() {
            // A panic in the thread was reported by the panic hook.
            let _ = writer.join();
            self.anchors.close(ANCHOR_WAIT);
        }
        drop(self.indexer.lock().take());
    }

    /// Queues a request, and returns where its outcome arrives.
    ///
    /// # Errors
    /// The request was not queued.
    fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, AuditError>>) -> Request,
    ) -> Result<oneshot::Receiver<Result<T, AuditError>>, AuditError> {
        let (sender, receiver) = oneshot::channel();
        self.queue.push(request(sender)).map(|()| receiver)
    }

    /// Queues a request and blocks until it is served, for a bounded time.
    fn ask_and_wait<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, AuditError>>) -> Request,
    ) -> Result<T, AuditError> {
        outcome(receive(self.ask(request)?, self.write_timeout))
    }

    /// Queues an entry, and returns a future that waits for its outcome.
    fn write_for(&self, entry: AuditEntry, waiting: fn(Answer) -> WaitingSender) -> AuditWrite {
        let (category, timeout, metrics) = (entry.category, self.write_timeout, Arc::clone(&self.metrics));
        let receiver = self.ask(|sender| Request::Write(entry, waiting(sender)));
        Box::pin(async move {
            let outcome = outcome(receive_async(receiver?, timeout).await);
            outcome.inspect_err(|error| metrics.refused(category, *error))
        })
    }

    fn check_tree(&self, part: u64, size: u64) -> Result<(), AuditReadError> {
        if part <= size && size <= self.tree.leaves() { Ok(()) } else { Err(AuditReadError::NoSuchTree) }
    }
}

impl AuditLog for AuditStore {
    fn write(&self, entry: AuditEntry) -> AuditWrite {
        self.write_for(entry, WaitingSender::ahead)
    }

    fn record(&self, entry: AuditEntry) -> AuditWrite {
        self.write_for(entry, WaitingSender::behind)
    }

    fn write_blocking(&self, entry: AuditEntry) -> Result<AuditReceipt, AuditError> {
        let category = entry.category;
        let outcome = self.ask_and_wait(|sender| Request::Write(entry, WaitingSender::ahead(sender)));
        outcome.inspect_err(|error| self.metrics.refused(category, *error))
    }

    fn note(&self, entry: AuditEntry) {
        let category = entry.category;
        if self.queue.push(Request::Note(entry)).is_err() {
            self.metrics.dropped(category, 1);
        }
    }

    fn flush(&self) {
        // What cannot be written was reported by the writer.
        let _ = self.ask_and_wait(Request::Flush);
    }
}

impl AuditTrail for AuditStore {
    fn query(&self, query: &AuditQuery) -> Result<AuditPage, AuditReadError> {
        // A log that cannot be written can still be read.
        match self.ask_and_wait(Request::Flush) {
            Ok(()) | Err(AuditError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        read_page(query, &self.catalogue, &self.keys).map_err(AuditReadError::Unreadable)
    }

    fn tree_head(&self) -> Option<AuditTreeHead> {
        self.tree.head().map(head)
    }

    fn sign_tree_head(&self) -> Result<AuditTreeHead, AuditReadError> {
        Ok(head(self.ask_and_wait(Request::SignHead)?))
    }

    fn covering_tree_head(&self, leaves: u64) -> Result<AuditTreeHead, AuditReadError> {
        match self.tree.head() {
            Some(newest) if newest.head.size >= leaves => Ok(head(newest)),
            _ => self.sign_tree_head(),
        }
    }

    fn inclusion(&self, leaf: u64, size: u64) -> Result<Vec<AuditHash>, AuditReadError> {
        self.check_tree(leaf.saturating_add(1), size)?;
        inclusion(&self.tree.nodes, leaf, size).map_err(AuditReadError::Unreadable)
    }

    fn consistency(&self, old: u64, new: u64) -> Result<Vec<AuditHash>, AuditReadError> {
        self.check_tree(old, new)?;
        consistency(&self.tree.nodes, old, new).map_err(AuditReadError::Unreadable)
    }

    fn public_key(&self) -> [u8; 32] {
        self.keys.public_key()
    }
}

/// Returns the outcome of a request from what was received for it.
fn outcome<T>(received: Option<Result<Result<T, AuditError>, oneshot::error::RecvError>>) -> Result<T, AuditError> {
    match received {
        Some(Ok(outcome)) => outcome,
        // The writer abandons the queue when it ends, and drops the senders.
        Some(Err(_)) => Err(AuditError::Closed),
        None => Err(AuditError::TimedOut),
    }
}

fn head(signed: SignedTreeHead) -> AuditTreeHead {
    AuditTreeHead { size: signed.head.size, line: signed.line }
}

impl Drop for AuditStore {
    fn drop(&mut self) {
        self.close();
    }
}
