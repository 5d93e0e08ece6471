//! The thread that writes the log. It alone appends to the files.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditError, AuditReceipt, AuditValue};
use domain::port::clock::Clock;

use super::anchors::Anchors;
use super::catalogue::Catalogue;
use super::category_log::CategoryLog;
use super::entry_batch::EntryBatch;
use super::head_log::HeadLog;
use super::indexer::IndexQueue;
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

/// The state of the thread.
pub(super) struct AuditWriter {
    pub(super) queue: Arc<AuditQueue>,
    pub(super) keys: AuditKeys,
    pub(super) clock: Arc<dyn Clock>,
    /// In the order of [`AuditCategory::ALL`].
    pub(super) logs: [CategoryLog; AuditCategory::COUNT],
    pub(super) tree: TreeWriter,
    pub(super) heads: HeadLog,
    pub(super) anchors: Arc<Anchors>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) retention: Retention,
    /// The segments whose index is to be brought up to date.
    pub(super) indexes: Arc<IndexQueue>,
    /// Segments that were closed, and go there when the tree has their entries.
    pub(super) to_index: Vec<Arc<Segment>>,
    pub(super) metrics: Arc<AuditMetrics>,
    pub(super) head_interval: Duration,
    /// The chains as the last tree head has them.
    pub(super) signed: [ChainHead; AuditCategory::COUNT],
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
        let mut batches: [EntryBatch; AuditCategory::COUNT] = Default::default();
        let (mut flushes, mut signatures) = (Vec::new(), Vec::new());
        for request in requests {
            let (entry, waiting) = match request {
                Request::Note(entry) => (entry, None),
                // The sender has given up and has done nothing, so there is nothing to record.
                Request::Write(_, waiting) if waiting.has_given_up() => continue,
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
            batches[entry.category as usize].push(entry, waiting);
        }
        let syncs_all = syncs_all || !flushes.is_empty() || !signatures.is_empty();
        let now = self.clock.now_micros();
        for (category, batch) in AuditCategory::ALL.into_iter().zip(batches) {
            let given_up = self.write_batch(category, batch, now, syncs_all);
            if !given_up.is_empty() {
                self.write_batch(category, EntryBatch::of_notes(given_up), now, syncs_all);
            }
        }
        self.write_tree();
        self.request_indexes();
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

    /// Writes a category's entries, syncs them if somebody waits for them, and answers those who wait. Returns entries that
    /// say that nothing was done, for those who have stopped waiting.
    fn write_batch(
        &mut self,
        category: AuditCategory,
        mut batch: EntryBatch,
        now: i64,
        syncs_all: bool,
    ) -> Vec<AuditEntry> {
        let mut given_up = Vec::new();
        loop {
            let entries = batch.entries();
            let written = if entries.is_empty() { Ok(Vec::new()) } else { self.write(category, entries, now) };
            let rest = batch.split_off(written.as_ref().map_or(batch.entries().len(), Vec::len));
            let needs_sync = batch.is_awaited() || syncs_all || self.logs[category as usize].needs_sync();
            let synced = if needs_sync { self.sync(category) } else { Ok(()) };
            match (written, synced) {
                (Ok(receipts), Ok(())) => {
                    self.metrics.written(category, receipts.len());
                    given_up.extend(batch.confirm(receipts));
                }
                _ => {
                    let is_broken = self.logs[category as usize].is_broken();
                    let error = if is_broken { AuditError::Closed } else { AuditError::NotWritten };
                    self.metrics.dropped(category, batch.refuse(error));
                }
            }
            if rest.entries().is_empty() {
                return given_up;
            }
            batch = rest;
        }
    }

    /// Writes the first of these entries, as many as may be written before a sync.
    fn write(&mut self, category: AuditCategory, entries: &[AuditEntry], now: i64) -> io::Result<Vec<AuditReceipt>> {
        let written = self
            .open_month(category, Month::at(now))
            .and_then(|()| self.logs[category as usize].write(entries, now, &self.keys));
        written.inspect_err(|error| self.metrics.failed(category, error))
    }

    /// Opens the segment of a month. An earlier month does not follow a later one, wherever the clock has jumped.
    fn open_month(&mut self, category: AuditCategory, month: Month) -> io::Result<()> {
        let open = self.logs[category as usize].month();
        if open.is_some_and(|open| month <= open) {
            return Ok(());
        }
        self.sync(category)?;
        let before = self.logs[category as usize].segment().cloned();
        let segment = self.logs[category as usize].start_segment(month)?;
        self.catalogue.add(category, segment);
        self.to_index.extend(before);
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
        Ok(())
    }

    /// Asks for the indexes of segments that have lines for another run, or were closed.
    fn request_indexes(&mut self) {
        let open = self.logs.iter().filter_map(CategoryLog::segment).filter(|segment| segment.next_run().is_some());
        let segments = open.cloned().chain(self.to_index.drain(..));
        segments.for_each(|segment| self.indexes.push(segment));
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
        self.anchors.push(&signed.line);
        self.tree.shared().set_head(signed.clone());
        Ok(signed)
    }
}
