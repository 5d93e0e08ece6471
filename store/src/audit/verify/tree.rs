//! The tree over the compliance entries, compared with every signed root.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::day::format_instant;

use super::heads::SignedHeads;
use super::report::{VerifyFault, VerifyReport};
use crate::audit::files::NODES_FILE;
use crate::audit::merkle::{Frontier, leaf_hash, read_node};
use crate::disk::{DiskFile, open_read_only};

/// Grows the tree from the entries.
pub(super) struct TreeCheck<'a> {
    heads: &'a SignedHeads,
    frontier: Frontier,
    nodes: Option<Arc<dyn DiskFile>>,
    nodes_path: PathBuf,
    /// The first entry whose leaf is not the one in the file of nodes, and where it is.
    differing: Option<(u64, PathBuf)>,
    /// The last size whose root is the signed one.
    confirmed: u64,
}

impl<'a> TreeCheck<'a> {
    pub(super) fn new(directory: &Path, heads: &'a SignedHeads) -> Self {
        let nodes_path = directory.join(NODES_FILE);
        let nodes = open_read_only(&nodes_path).ok();
        Self { heads, frontier: Frontier::default(), nodes, nodes_path, differing: None, confirmed: 0 }
    }

    /// Takes the leaves of the first `count` entries, which were removed, from the file of nodes.
    pub(super) fn skip_removed(&mut self, count: u64) -> Result<(), VerifyFault> {
        for leaf in 0..count {
            let hash = self.nodes.as_ref().map(|nodes| read_node(&**nodes, 0, leaf));
            let Some(Ok(hash)) = hash else {
                let what = format!("the leaf of the removed entry {} is missing", leaf + 1);
                return Err(VerifyFault::new(self.nodes_path.clone(), what));
            };
            self.frontier.push(hash, |_| {});
            self.compare(&self.nodes_path.clone())?;
        }
        Ok(())
    }

    /// Adds the next entry, which is in the file at `path`.
    pub(super) fn add(&mut self, line: &[u8], path: &Path) -> Result<(), VerifyFault> {
        let (leaf, hash) = (self.frontier.size(), leaf_hash(line));
        if self.differing.is_none()
            && let Some(nodes) = &self.nodes
            && read_node(&**nodes, 0, leaf).is_ok_and(|stored| stored != hash)
        {
            self.differing = Some((leaf + 1, path.to_owned()));
        }
        self.frontier.push(hash, |_| {});
        self.compare(path)
    }

    /// Compares the root with the one that was signed for this size, if any was.
    fn compare(&mut self, path: &Path) -> Result<(), VerifyFault> {
        let size = self.frontier.size();
        let Some(statement) = self.heads.roots.get(&size) else { return Ok(()) };
        if statement.value == self.frontier.root() {
            self.confirmed = size;
            return Ok(());
        }
        let signed = format_instant(statement.time);
        Err(match self.differing.take() {
            Some((seq, path)) => {
                let what = format!("it is not the entry that the tree head of {signed} was signed over");
                VerifyFault::at_entry(path, seq, what)
            }
            None => {
                let what = format!(
                    "an entry from this one to entry {size} is not the one that the tree head of {signed} was signed over"
                );
                VerifyFault::at_entry(path.to_owned(), self.confirmed + 1, what)
            }
        })
    }

    /// Checks what remains at the end of the log.
    pub(super) fn finish(self, report: &mut VerifyReport) -> Result<(), VerifyFault> {
        report.signed = self.confirmed;
        if let Some((seq, _)) = self.differing {
            let what = format!("the leaf of entry {seq} is not that of the entry: one of the two was changed");
            return Err(VerifyFault::at_entry(self.nodes_path, seq, what));
        }
        let newer = self.frontier.size() - self.confirmed;
        if newer > 0 {
            report.notes.push(format!("{newer} compliance entries are newer than the last tree head"));
        }
        Ok(())
    }
}
