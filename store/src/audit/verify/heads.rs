//! The signed tree heads of a log and of its anchors, and what they state.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::day::format_instant;
use domain::port::audit::AuditCategory;

use super::VerifyOptions;
use super::report::{VerifyFault, VerifyReport};
use crate::audit::files::months;
use crate::audit::merkle::TreeHash;
use crate::audit::tree_head::{ChainHead, SignedTreeHead, TreeHead};

/// Where a statement stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement<T> {
    pub(super) value: T,
    pub(super) path: PathBuf,
    /// When it was signed.
    pub(super) time: i64,
}

/// Everything that was signed.
#[derive(Default)]
pub(super) struct SignedHeads {
    /// The roots by size.
    pub(super) roots: BTreeMap<u64, Statement<TreeHash>>,
    /// The heads of the chains by number of entries, in the order of [`AuditCategory::ALL`].
    pub(super) chains: [BTreeMap<u64, Statement<ChainHead>>; AuditCategory::COUNT],
}

impl SignedHeads {
    /// Reads and checks all tree heads.
    pub(super) fn read(options: &VerifyOptions<'_>, report: &mut VerifyReport) -> Result<Self, VerifyFault> {
        let directory = &options.directory;
        let mut paths = Vec::new();
        for month in months(directory, "heads", ".log").map_err(VerifyFault::unreadable(directory.clone()))? {
            paths.push(directory.join(format!("heads-{month}.log")));
        }
        let mut heads = Self::default();
        for path in &paths {
            heads.read_file(path, &options.public_key, false, report)?;
        }
        for path in &options.anchors {
            heads.read_file(path, &options.public_key, true, report)?;
        }
        Ok(heads)
    }

    /// Reads a file. With `may_be_torn` it may have lines that were cut, as a crash leaves them in an anchor file; they state
    /// nothing.
    fn read_file(
        &mut self,
        path: &Path,
        key: &[u8; 32],
        may_be_torn: bool,
        report: &mut VerifyReport,
    ) -> Result<(), VerifyFault> {
        let text = std::fs::read(path).map_err(VerifyFault::unreadable(path.to_owned()))?;
        let mut before: Option<TreeHead> = None;
        for (number, line) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
            let fault = |what: &str| Err(VerifyFault::new(path.to_owned(), format!("line {number}: {what}")));
            let Some(line) = line.strip_suffix(b"\n") else {
                report.notes.push(format!("`{}`: the last line is incomplete and was left out", path.display()));
                break;
            };
            if may_be_torn && SignedTreeHead::is_torn(line) {
                report.notes.push(format!("`{}`: line {number} is incomplete and was left out", path.display()));
                continue;
            }
            let head = std::str::from_utf8(line).ok().and_then(|line| SignedTreeHead::verify(line, key));
            let Some(SignedTreeHead { head, .. }) = head else {
                return fault("it is not a tree head that was signed with the key of this log");
            };
            if before.is_some_and(|before| !head.has_all_of(&before)) {
                return fault("the log is shorter than the tree head before says");
            }
            before = Some(head);
            report.tree_heads += 1;
            self.add(&head, path)?;
        }
        Ok(())
    }

    fn add(&mut self, head: &TreeHead, path: &Path) -> Result<(), VerifyFault> {
        insert(&mut self.roots, head.size, Statement { value: head.root, path: path.to_owned(), time: head.time })?;
        for (chains, chain) in self.chains.iter_mut().zip(head.chains) {
            insert(chains, chain.count, Statement { value: chain, path: path.to_owned(), time: head.time })?;
        }
        Ok(())
    }
}

/// Adds a statement, which must not contradict another.
fn insert<T: Clone + PartialEq>(
    map: &mut BTreeMap<u64, Statement<T>>,
    size: u64,
    statement: Statement<T>,
) -> Result<(), VerifyFault> {
    let known = map.entry(size).or_insert_with(|| statement.clone());
    if known.value == statement.value {
        return Ok(());
    }
    let (first, second) = (format_instant(known.time), format_instant(statement.time));
    let what = format!("two signed tree heads contradict each other about entry {size}: those of {first} and {second}");
    Err(VerifyFault::new(statement.path, what))
}
