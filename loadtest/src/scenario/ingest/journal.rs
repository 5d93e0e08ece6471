//! How much the server appends to its journal, although it removes old segments.

use crate::disk;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Allocated bytes of every segment that was ever seen.
#[derive(Debug, Default)]
pub(super) struct JournalGrowth {
    segments: BTreeMap<OsString, Segment>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Segment {
    bytes: u64,
    is_present: bool,
}

impl JournalGrowth {
    /// Looks at the segments of a data directory. A segment exists for much longer than the time between two looks.
    pub(super) fn look(&mut self, data_dir: &Path) {
        self.segments.values_mut().for_each(|segment| segment.is_present = false);
        let Ok(entries) = fs::read_dir(data_dir.join(disk::JOURNAL)) else { return };
        for entry in entries.flatten().filter(|entry| is_segment(&entry.path())) {
            let Ok(metadata) = entry.metadata() else { continue };
            let segment = Segment { bytes: metadata.blocks() * disk::BLOCK, is_present: true };
            self.segments.insert(entry.file_name(), segment);
        }
    }

    /// Returns the allocated bytes of the segments that exist.
    pub(super) fn present(&self) -> u64 {
        self.segments.values().filter(|segment| segment.is_present).map(|segment| segment.bytes).sum()
    }

    /// Returns the bytes that were appended in all, without what is preallocated and not written.
    pub(super) fn appended(&self, data_dir: &Path) -> u64 {
        let bytes = self.segments.iter().map(|(name, segment)| {
            let path = data_dir.join(disk::JOURNAL).join(name);
            fs::metadata(&path).map_or(segment.bytes, |file| disk::written(&path, file.len()).min(segment.bytes))
        });
        bytes.sum()
    }
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "segment")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_that_were_removed_count_and_preallocated_bytes_do_not() {
        let data_dir = tempfile::tempdir().expect("a directory");
        let journal = data_dir.path().join(disk::JOURNAL);
        fs::create_dir(&journal).expect("made");
        let mut growth = JournalGrowth::default();
        fs::write(journal.join("1.segment"), vec![7; 8_192]).expect("written");
        fs::write(journal.join("next.new"), vec![0; 8_192]).expect("written");
        growth.look(data_dir.path());
        fs::remove_file(journal.join("1.segment")).expect("removed");
        fs::write(journal.join("2.segment"), [vec![7; 4_096], vec![0; 4_096]].concat()).expect("written");
        growth.look(data_dir.path());
        assert_eq!((growth.present(), growth.appended(data_dir.path())), (8_192, 12_288));
    }
}
