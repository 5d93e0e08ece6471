//! The entries of one category: stubs, segments, numbers and chains.

use std::collections::BTreeMap;
use std::path::Path;

use domain::day::format_instant;
use domain::port::audit::AuditCategory;
use ed25519_dalek::VerifyingKey;

use super::VerifyOptions;
use super::heads::{SignedHeads, Statement};
use super::report::{VerifyFault, VerifyReport};
use super::tree::TreeCheck;
use crate::audit::files::months;
use crate::audit::line_scan::{ChainCursor, LineFault, LineScan};
use crate::audit::month::Month;
use crate::audit::recover::read_header;
use crate::audit::stub::Stub;
use crate::audit::tree_head::ChainHead;
use crate::disk::open_read_only;

/// What tree heads state about a category.
struct StatedChain<'a> {
    /// The heads of the chain, by number of entries.
    heads: &'a BTreeMap<u64, Statement<ChainHead>>,
    /// The number of entries up to the last one that was found to be as stated.
    confirmed: u64,
}

impl StatedChain<'_> {
    /// Compares the entries up to `found`, the last of which is in the file at `path`, with what a tree head states about so
    /// many entries.
    fn check(&mut self, found: &ChainHead, path: &Path) -> Result<(), VerifyFault> {
        match self.heads.get(&found.count) {
            Some(statement) if statement.value != *found => {
                let what = format!(
                    "an entry from this one to entry {} is not the one that the tree head of {} was signed over",
                    found.count,
                    format_instant(statement.time)
                );
                return Err(VerifyFault::at_entry(path.to_owned(), self.confirmed + 1, what));
            }
            Some(_) => self.confirmed = found.count,
            None => {}
        }
        Ok(())
    }
}

/// Checks a category. Compliance entries go into the tree.
pub(super) fn check_category(
    options: &VerifyOptions<'_>,
    key: &VerifyingKey,
    category: AuditCategory,
    heads: &SignedHeads,
    tree: &mut TreeCheck<'_>,
    report: &mut VerifyReport,
) -> Result<(), VerifyFault> {
    let directory = &options.directory;
    let list = |ending| months(directory, category.name(), ending).map_err(VerifyFault::unreadable(directory.clone()));
    let mut stated = StatedChain { heads: &heads.chains[category as usize], confirmed: 0 };
    let mut head = ChainHead::EMPTY;
    for month in list(".stub")? {
        head = check_stub(directory, key, category, month, head)?;
        stated.check(&head, directory)?;
        // The stub is signed.
        stated.confirmed = head.count;
    }
    report.removed[category as usize] = head.count;
    if category == AuditCategory::Compliance {
        tree.skip_removed(head.count)?;
    }
    let segments = list(".log")?;
    for (position, month) in segments.iter().enumerate() {
        let path = directory.join(format!("{}-{month}.log", category.name()));
        let is_last = position + 1 == segments.len();
        let check = SegmentCheck { options, category, month: *month, path: &path, is_last };
        head = check.run(head, &mut stated, tree, report)?;
    }
    report.entries[category as usize] = head.count - report.removed[category as usize];
    if let Some((count, statement)) = stated.heads.last_key_value().filter(|(count, _)| **count > head.count) {
        let what = format!(
            "the log of {} ends with entry {}, and the tree head of {} counts {count}: entries were cut off",
            category.name(),
            head.count,
            format_instant(statement.time)
        );
        return Err(VerifyFault::at_entry(statement.path.clone(), head.count + 1, what));
    }
    Ok(())
}

fn check_stub(
    directory: &Path,
    key: &VerifyingKey,
    category: AuditCategory,
    month: Month,
    before: ChainHead,
) -> Result<ChainHead, VerifyFault> {
    let path = directory.join(format!("{}-{month}.stub", category.name()));
    let text = std::fs::read_to_string(&path).map_err(VerifyFault::unreadable(path.clone()))?;
    let stub = Stub::verify(text.trim_end_matches('\n'), key);
    let Some(stub) = stub.filter(|stub| (stub.header.category, stub.header.month) == (category, month)) else {
        return Err(VerifyFault::new(path, "it is not a stub that was signed with the key of this log".to_owned()));
    };
    if stub.header.before() != before {
        return Err(VerifyFault::at_entry(path, before.count + 1, does_not_continue()));
    }
    Ok(stub.last)
}

fn does_not_continue() -> String {
    "its start does not continue the segment before: entries were changed, or a segment is missing or was replaced"
        .to_owned()
}

struct SegmentCheck<'a> {
    options: &'a VerifyOptions<'a>,
    category: AuditCategory,
    month: Month,
    path: &'a Path,
    is_last: bool,
}

impl SegmentCheck<'_> {
    /// Checks a segment that follows `before`, and returns where it ends.
    fn run(
        &self,
        before: ChainHead,
        stated: &mut StatedChain<'_>,
        tree: &mut TreeCheck<'_>,
        report: &mut VerifyReport,
    ) -> Result<ChainHead, VerifyFault> {
        let path = || self.path.to_owned();
        let file = open_read_only(self.path).map_err(VerifyFault::unreadable(path()))?;
        let header = read_header(&*file).map_err(VerifyFault::unreadable(path()))?;
        let Some(header) = header.filter(|header| (header.category, header.month) == (self.category, self.month))
        else {
            return Err(VerifyFault::new(path(), "its first line is not that of this segment".to_owned()));
        };
        let key = self.options.keys.map(|keys| keys.chain_key());
        if header.before() != before {
            let is_edit = key.is_none() && ChainHead { digest: before.digest, ..header.before() } == before;
            let seq = if is_edit { stated.confirmed } else { before.count } + 1;
            return Err(VerifyFault::at_entry(path(), seq, does_not_continue()));
        }
        let mut cursor = ChainCursor { head: before };
        let mut scan = LineScan::new(&*file, header.start());
        while let Some(raw) = scan.next().map_err(VerifyFault::unreadable(path()))? {
            if self.is_last && !raw.is_complete {
                let bytes = raw.bytes.len();
                report.notes.push(format!(
                    "`{}`: {bytes} bytes after entry {} are an incomplete write and were left out",
                    self.path.display(),
                    cursor.head.count
                ));
                break;
            }
            let seq = cursor.head.count + 1;
            if let Err(fault) = cursor.follow(&raw, &header, key) {
                return Err(VerifyFault::at_entry(path(), seq, describe(&fault, seq)));
            }
            if self.category == AuditCategory::Compliance {
                tree.add(&raw.bytes, self.path)?;
            }
            stated.check(&cursor.head, self.path)?;
        }
        Ok(cursor.head)
    }
}

fn describe(fault: &LineFault, seq: u64) -> String {
    match fault {
        LineFault::Malformed => "it is not an entry in canonical form".to_owned(),
        LineFault::WrongCategory => "it is of another category".to_owned(),
        LineFault::WrongNumber { found } => {
            format!("number {found} stands where number {seq} should: entries are missing, added or in another order")
        }
        LineFault::WrongChain => {
            "its chain value does not follow from the entry before: one of the two was changed".to_owned()
        }
    }
}
