//! The thread that writes the log. It alone appends to the files.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditError, AuditReceipt, AuditValue};
use domain::port::clock::Clock;
use tokio::sync::oneshot;

use super::catalogue::Catalogue;
use super::category_log::CategoryLog;
use super::head_log::HeadLog;
use super::keys::AuditKeys;
use super::metrics::AuditMetrics;
use super::month::Month;
use super::queue::{AbandonOnDrop, AuditQueue, Request};
use super::retention::Retention;
use super::segment::Segment;
use super::tree_head::{ChainHead, SignedTreeHead, TreeHead};
use super::tree_writer::TreeWriter;

/// Maximum time that a note waits to be written and synced.
const TICK: Duration = Duration::from_millis(500);

type Outcome = Result<AuditReceipt, AuditError>;

/// The state of the thread.
pub(super) struct AuditWriter {
    pub(super) queue: Arc<AuditQueue>,
    pub(super) keys: AuditKeys,
    pub(super) clock: Arc<dyn Clock>,
    /// In the order of [`AuditCategory::ALL`].
    pub(super) logs: [CategoryLog; AuditCategory::COUNT],
    pub(super) tree: TreeWriter,
    pub(super) heads: HeadLog,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) retention: Retention,
    pub(super) metrics: Arc<AuditMetrics>,
    pub(super) head_interval: Duration,
    /// The chains as the last tree head has them.
    pub(super) signed: [ChainHead; AuditCategory::COUNT],
}

/// The entries of a category in a batch, with those who wait for them.
#[derive(Default)]
struct CategoryBatch {
    entries: Vec<AuditEntry>,
    waiting: Vec<Option<oneshot::Sender<Outcome>>>,
}

impl AuditWriter {
    /// Writes until the queue is closed, and signs a last tree head.
    pub(super) fn run(mut self) {
        let _abandoned = AbandonOnDrop(Arc::clone(&self.queue));
        let (mut last_sync, mut last_head) = (Instant::now(), Instant::now());
        self.remove_old();
        while let Some(requests) = self.queue.next(TICK) {
            let is_due = last_sync.elapsed() >= TICK;
            self.take(requests, is_due);
            if is_due {
                last_sync = Instant::now();
            }
            if last_head.elapsed() >= self.head_interval {
                last_head = Instant::now();
                self.sign_if_changed();
                self.remove_old();
            }
        }
        self.sync_all();
        self.sign_if_changed();
        if let Err(error) = self.tree.sync() {
            tracing::warn!(
                "the nodes of the audit log's tree were not written, and are made again at the next start: {error}"
            );
        }
    }

    /// Removes segments for their age, and records that.
    fn remove_old(&mut self) {
        let entry = |segment: Arc<Segment>| {
            let name = format!("{}-{}", segment.header.category.name(), segment.header.month);
            let entries = segment.last_seq() + 1 - segment.header.first_seq;
            AuditEntry::new(AuditCategory::Compliance, "audit.segment_removed", AuditActor::System)
                .with("segment", AuditValue::Text(name.into()))
                .with("count", AuditValue::Integer(i64::try_from(entries).unwrap_or(i64::MAX)))
        };
        let removed = self.retention.apply(&self.catalogue, &self.keys);
        self.take(removed.into_iter().map(entry).map(Request::Note).collect(), false);
    }

    /// Serves requests. `syncs_all`: what nobody waits for is synced, too.
    fn take(&mut self, requests: Vec<Request>, syncs_all: bool) {
        let mut batches: [CategoryBatch; AuditCategory::COUNT] = Default::default();
        let (mut flushes, mut signatures) = (Vec::new(), Vec::new());
        for request in requests {
            let (entry, waiting) = match request {
                Request::Note(entry) => (entry, None),
                Request::Write(entry, waiting) => (entry, Some(waiting)),
                Request::Flush(waiting) => {
                    flushes.push(waiting);
                    continue;
                }
                Request::SignHead(waiting) => {
                    signatures.push(waiting);
                    continue;
                }
            };
            let batch = &mut batches[entry.category as usize];
            batch.entries.push(entry);
            batch.waiting.push(waiting);
        }
        let syncs_all = syncs_all || !flushes.is_empty() || !signatures.is_empty();
        let now = self.clock.now_micros();
        for (category, batch) in AuditCategory::ALL.into_iter().zip(batches) {
            self.write_batch(category, batch, now, syncs_all);
        }
        self.write_tree();
        let is_synced = !self.logs.iter().any(CategoryLog::is_broken);
        for waiting in flushes {
            let _ = waiting.send(if is_synced { Ok(()) } else { Err(AuditError::Closed) });
        }
        if !signatures.is_empty() {
            let signed = self.sign();
            for waiting in signatures {
                let _ = waiting.send(signed.clone());
            }
        }
    }

    /// Writes a category's entries, syncs them if somebody waits for them, and answers those who wait.
    fn write_batch(&mut self, category: AuditCategory, batch: CategoryBatch, now: i64, syncs_all: bool) {
        let CategoryBatch { entries, waiting } = batch;
        let written = if entries.is_empty() { Ok(Vec::new()) } else { self.write(category, &entries, now) };
        let is_awaited = waiting.iter().any(Option::is_some);
        let synced = if is_awaited || syncs_all { self.sync(category) } else { Ok(()) };
        let outcome: Result<Vec<AuditReceipt>, AuditError> = match (written, synced) {
            (Ok(receipts), Ok(())) => Ok(receipts),
            _ if self.logs[category as usize].is_broken() => Err(AuditError::Closed),
            _ => Err(AuditError::NotWritten),
        };
        match outcome {
            Ok(receipts) => {
                self.metrics.written(category, receipts.len());
                for (waiting, receipt) in waiting.into_iter().zip(receipts) {
                    waiting.map(|waiting| waiting.send(Ok(receipt)));
                }
            }
            Err(error) => {
                self.metrics.dropped(category, waiting.iter().filter(|waiting| waiting.is_none()).count());
                for waiting in waiting.into_iter().flatten() {
                    let _ = waiting.send(Err(error));
                }
            }
        }
    }

    fn write(&mut self, category: AuditCategory, entries: &[AuditEntry], now: i64) -> io::Result<Vec<AuditReceipt>> {
        let written = self.open_month(category, Month::at(now)).and_then(|()| {
            let entries: Vec<&AuditEntry> = entries.iter().collect();
            self.logs[category as usize].write(&entries, now, &self.keys)
        });
        written.inspect_err(|error| self.metrics.failed(category, error))
    }

    /// Opens the segment of a month. An earlier month does not follow a later one, wherever the clock has jumped.
    fn open_month(&mut self, category: AuditCategory, month: Month) -> io::Result<()> {
        let open = self.logs[category as usize].month();
        if open.is_some_and(|open| month <= open) {
            return Ok(());
        }
        self.sync(category)?;
        if open.is_some() {
            self.write_tree();
            if category == AuditCategory::Compliance {
                // The index says that the tree has everything before it.
                self.tree.sync()?;
            }
            if let Err(error) = self.logs[category as usize].write_index() {
                tracing::warn!("the index of a segment of the audit log is made at the next start: {error}");
            }
        }
        let segment = self.logs[category as usize].start_segment(month)?;
        self.catalogue.add(category, segment);
        Ok(())
    }

    fn sync(&mut self, category: AuditCategory) -> io::Result<()> {
        let log = &mut self.logs[category as usize];
        if !log.is_dirty() {
            return Ok(());
        }
        let started = Instant::now();
        let leaves = log.sync().inspect_err(|error| self.metrics.failed(category, error))?;
        self.metrics.synced(started.elapsed());
        self.tree.extend(&leaves);
        if self.logs[category as usize].needs_run() {
            let nodes = if category == AuditCategory::Compliance { self.tree.sync() } else { Ok(()) };
            if let Err(error) = nodes.and_then(|()| self.logs[category as usize].write_run()) {
                tracing::warn!("a part of the audit log's index was not written and is tried again: {error}");
            }
        }
        Ok(())
    }

    fn sync_all(&mut self) {
        for category in AuditCategory::ALL {
            // What could not be synced was reported, and those who wait were answered.
            let _ = self.sync(category);
        }
        self.write_tree();
    }

    fn write_tree(&mut self) {
        if let Err(error) = self.tree.write() {
            tracing::warn!("nodes of the audit log's tree were not written and are tried again: {error}");
        }
    }

    fn sign_if_changed(&mut self) {
        if self.chain_heads() != self.signed {
            // What failed was logged.
            let _ = self.sign();
        }
    }

    fn chain_heads(&self) -> [ChainHead; AuditCategory::COUNT] {
        std::array::from_fn(|category| self.logs[category].head())
    }

    /// Signs a tree head over everything that is durable, unless the newest one has it all.
    fn sign(&mut self) -> Result<SignedTreeHead, AuditError> {
        let chains = self.chain_heads();
        if let Some(newest) = self.tree.shared().head().filter(|newest| newest.head.chains == chains) {
            return Ok(newest);
        }
        let head = TreeHead { size: self.tree.size(), root: self.tree.root(), time: self.clock.now_micros(), chains };
        let signed = head.sign(&self.keys);
        if let Err(error) = self.heads.append(&signed) {
            tracing::error!("a tree head of the audit log was not written: {error}");
            return Err(AuditError::NotWritten);
        }
        self.signed = chains;
        if let Err(error) = self.heads.anchor(&signed) {
            self.metrics.anchor_failed();
            let path = self.heads.anchor_path().display();
            tracing::error!("a tree head was not added to the anchor file `{path}`: {error}");
        }
        self.tree.shared().set_head(signed.clone());
        Ok(signed)
    }
}
