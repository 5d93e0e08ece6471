//! What is done for the index of a segment: runs are written and merged, and a closed segment gets one index of all its lines.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::port::audit::AuditCategory;

use super::files::AuditFiles;
use super::index::{IndexBuilder, IndexFile, IndexWriter, merge, runs_to_merge};
use super::segment::Segment;
use super::tree_writer::SharedTree;

/// Writes indexes.
pub(super) struct IndexWork {
    pub(super) files: AuditFiles,
    pub(super) tree: Arc<SharedTree>,
    /// Number of lines of a run.
    pub(super) run_lines: u64,
    /// Set when the log is closed: what is missing is then made after the next start.
    pub(super) is_stopped: AtomicBool,
}

impl IndexWork {
    /// Brings the index of a segment up to date.
    pub(super) fn update(&self, segment: &Segment) -> io::Result<()> {
        while let Some(lines) = segment.next_run().filter(|_| !self.is_stopped()) {
            self.write_run(segment, &lines)?;
        }
        if segment.is_closed() { self.merge_all(segment) } else { self.merge_levels(segment) }
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    fn write_run(&self, segment: &Segment, lines: &IndexBuilder) -> io::Result<()> {
        let summary = lines.summary();
        if segment.header.category == AuditCategory::Compliance {
            // Start-up takes it that the tree has the leaves of all lines that an index has.
            if self.tree.leaves() < summary.head.count {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "the tree lacks some of the entries"));
            }
            self.tree.nodes.sync()?;
        }
        let mut out = IndexWriter::new(self.files.create_index()?);
        lines.sorted().into_iter().try_for_each(|posting| out.push(posting))?;
        out.finish(&summary)?;
        let path = self.new_run(segment)?;
        if let Some(run) = self.publish(segment, path)? {
            segment.add_run(run);
        }
        Ok(())
    }

    /// Merges runs of the open segment as long as there are too many of a level.
    fn merge_levels(&self, segment: &Segment) -> io::Result<()> {
        loop {
            let runs = segment.runs();
            let lines: Vec<u64> = runs.iter().map(|run| run.summary.lines).collect();
            let count = runs_to_merge(&lines, self.run_lines);
            if count == 0 || !self.merge(segment, &runs[runs.len() - count..], self.new_run(segment)?)? {
                return Ok(());
            }
        }
    }

    /// Merges all runs of a closed segment.
    fn merge_all(&self, segment: &Segment) -> io::Result<()> {
        let (runs, path) = (segment.runs(), self.files.index(segment.header.category, segment.header.month));
        let is_whole = matches!(&runs[..], [run] if run.path == path);
        if runs.is_empty() || is_whole || segment.next_run().is_some() {
            return Ok(());
        }
        self.merge(segment, &runs, path).map(drop)
    }

    /// Replaces the last runs by one, and returns whether that was done.
    fn merge(&self, segment: &Segment, last: &[Arc<IndexFile>], path: PathBuf) -> io::Result<bool> {
        let mut out = IndexWriter::new(self.files.create_index()?);
        let Some(summary) = merge(last, &mut out, || self.is_stopped())? else {
            self.files.discard_index()?;
            return Ok(false);
        };
        out.finish(&summary)?;
        let Some(run) = self.publish(segment, path)? else { return Ok(false) };
        segment.replace_runs(last.len(), Arc::clone(&run));
        // A reader that found them before still has them open.
        for old in last.iter().filter(|old| old.path != run.path) {
            self.files.remove(&old.path)?;
        }
        Ok(true)
    }

    fn new_run(&self, segment: &Segment) -> io::Result<PathBuf> {
        let (category, month) = (segment.header.category, segment.header.month);
        let number = self.files.runs(category, month)?.last().map_or(1, |last| last + 1);
        Ok(self.files.run(category, month, number))
    }

    /// Gives the file that was written its name; `None` if the segment was removed meanwhile.
    fn publish(&self, segment: &Segment, path: PathBuf) -> io::Result<Option<Arc<IndexFile>>> {
        let published = segment.unless_removed(|| self.files.publish_index(&path))?;
        if published.is_none() {
            self.files.discard_index()?;
            return Ok(None);
        }
        let damaged = || io::Error::other("an index cannot be read back");
        IndexFile::open(&*self.files.disk, &path)?.ok_or_else(damaged).map(Arc::new).map(Some)
    }
}
