//! Removes segments for their age and leaves stubs.

use std::io;

use domain::port::audit::AuditCategory;
use domain::port::clock::Clock;
use std::sync::Arc;

use super::catalogue::Catalogue;
use super::files::AuditFiles;
use super::keys::AuditKeys;
use super::segment::Segment;
use super::segment_header::SegmentHeader;
use super::stub::Stub;
use crate::retention_clock::RetentionClock;

const MICROS_PER_DAY: i64 = 24 * 3600 * 1_000_000;

/// Decides what is removed.
pub(super) struct Retention {
    pub(super) files: AuditFiles,
    /// Days to keep entries, in the order of [`AuditCategory::ALL`].
    pub(super) days: [u32; AuditCategory::COUNT],
    /// Follows a jump of the wall clock only when it has held.
    pub(super) clock: RetentionClock,
    pub(super) wall: Arc<dyn Clock>,
}

impl Retention {
    /// Removes the closed segments whose entries are all too old, and returns them.
    pub(super) fn apply(&self, catalogue: &Catalogue, keys: &AuditKeys) -> Vec<Arc<Segment>> {
        let now = self.clock.now();
        let mut removed = Vec::new();
        for (category, days) in AuditCategory::ALL.into_iter().zip(self.days) {
            let mut segments = catalogue.segments(category);
            // The last one is open.
            segments.pop();
            let is_old = |segment: &Arc<Segment>| {
                segment.header.month.next().start().saturating_add(i64::from(days) * MICROS_PER_DAY) <= now
            };
            // Only from the start, so that no segment is left between stubs.
            for segment in segments.into_iter().take_while(is_old) {
                if let Err(error) = self.remove(&segment, keys) {
                    tracing::error!("an old segment of the audit log could not be removed: {error}");
                    break;
                }
                catalogue.remove(category, segment.header.month);
                removed.push(segment);
            }
        }
        removed
    }

    /// Replaces a segment by its stub. The stub is durable first; start-up completes what a crash has interrupted.
    fn remove(&self, segment: &Segment, keys: &AuditKeys) -> io::Result<()> {
        let header = segment.header;
        let stub = Stub { header, last: segment.head(), removed_at: self.wall.now_micros() };
        self.files.write_file(&self.files.stub(header.category, header.month), stub.sign(keys).as_bytes())?;
        segment.remove(|| remove_files(&self.files, &header))
    }
}

/// Removes a segment's file and its index.
pub(super) fn remove_files(files: &AuditFiles, header: &SegmentHeader) -> io::Result<()> {
    let (category, month) = (header.category, header.month);
    files.remove(&files.segment(category, month))?;
    files.remove(&files.index(category, month))?;
    for number in files.runs(category, month)? {
        files.remove(&files.run(category, month, number))?;
    }
    files.sync_names()
}
