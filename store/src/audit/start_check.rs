//! What is checked before a log is opened: segments, tree, heads and anchors are read and compared with each other, and
//! nothing is changed.

use std::io;
use std::path::Path;

use domain::day::format_instant;
use domain::port::audit::AuditCategory;

use super::anchors::AnchorEnd;
use super::files::AuditFiles;
use super::head_log::HeadLog;
use super::keys::AuditKeys;
use super::merkle::{self, NodeFile, TreeGrowth};
use super::options::AuditOptions;
use super::recover::{RecoveredCategory, damaged, read_leaves, recover};
use super::tree_head::{ChainHead, SignedTreeHead, TreeHead};
use crate::error::OpenError;

/// A log that was checked.
pub(super) struct CheckedLog {
    /// In the order of [`AuditCategory::ALL`].
    pub(super) categories: Vec<RecoveredCategory>,
    /// The tree over all compliance entries.
    pub(super) tree: TreeGrowth,
    pub(super) heads: HeadLog,
    /// The last tree head.
    pub(super) head: Option<SignedTreeHead>,
    pub(super) anchor_end: AnchorEnd,
    /// The last tree head of the anchor file.
    pub(super) anchor: Option<TreeHead>,
}

impl CheckedLog {
    /// Reads and checks a log.
    ///
    /// # Errors
    /// The files could not be read, or they are not what the log has written.
    pub(super) fn read(files: &AuditFiles, keys: &AuditKeys, options: &AuditOptions) -> Result<Self, OpenError> {
        let path = files.path();
        let failed = |source| OpenError::Disk { doing: "open the audit log in", path: path.to_owned(), source };
        let mut categories = Vec::new();
        for category in AuditCategory::ALL {
            categories.push(recover(files, keys, category, options.run_lines)?);
        }
        let tree = read_tree(files, &categories[AuditCategory::Compliance as usize]).map_err(failed)?;
        let (heads, last) = HeadLog::open(files.clone()).map_err(failed)?;
        let state = LogState { tree: &tree, chains: std::array::from_fn(|category| categories[category].log.head()) };
        let (anchor_end, anchor) = check_anchor(keys, &state, options)?;
        let head = last.map(|line| state.check(keys, &line, path)).transpose()?;
        Ok(Self { categories, tree, heads, head, anchor_end, anchor })
    }

    /// Repairs what a crash has interrupted.
    pub(super) fn repair(&self, files: &AuditFiles) -> io::Result<()> {
        for repair in self.categories.iter().flat_map(|category| &category.repairs) {
            repair.apply(files)?;
        }
        files.discard_index()?;
        // What a killed process has written and not synced was read, too. Whoever finds an entry relies on it, and the next index
        // and tree head cover it, so it must not be lost when the power fails afterwards.
        for segment in self.categories.iter().filter_map(|category| category.log.segment()) {
            segment.file.sync_data()?;
        }
        files.sync_names()?;
        self.heads.repair()
    }
}

/// Checks that the last anchor, if there is one, allows for a log without any entries.
///
/// # Errors
/// It does not: the log was removed.
pub(super) fn check_empty(keys: &AuditKeys, options: &AuditOptions) -> Result<(), OpenError> {
    let tree = TreeGrowth::default();
    check_anchor(keys, &LogState { tree: &tree, chains: [ChainHead::EMPTY; AuditCategory::COUNT] }, options).map(drop)
}

/// Reads the tree, with the leaves that its file does not have for certain.
fn read_tree(files: &AuditFiles, compliance: &RecoveredCategory) -> io::Result<TreeGrowth> {
    let path = files.nodes();
    let nodes = if path.exists() { Some(NodeFile::open(&*files.disk, &path)?) } else { None };
    let known = nodes.as_ref().map_or(Ok(0), |nodes| nodes.leaves(compliance.indexed))?;
    let mut tree = TreeGrowth::after(nodes, known)?;
    let total = compliance.log.head().count;
    let leaves = read_leaves(&compliance.segments, known + 1, total)?;
    if leaves.len() as u64 != total - known {
        let detail = "`tree.nodes` lacks leaves of removed segments: restore it from a backup";
        return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
    }
    tree.extend(&leaves);
    Ok(tree)
}

/// What the files hold.
struct LogState<'a> {
    tree: &'a TreeGrowth,
    chains: [ChainHead; AuditCategory::COUNT],
}

impl LogState<'_> {
    /// Returns a category of which a head counts more entries than the files hold, with both counts, the files' first.
    fn behind(&self, head: &TreeHead) -> Option<(AuditCategory, u64, u64)> {
        let counts = self.chains.iter().zip(&head.chains).map(|(chain, signed)| (chain.count, signed.count));
        let mut counts = AuditCategory::ALL.into_iter().zip(counts);
        counts.find_map(|(category, (found, counted))| (found < counted).then_some((category, found, counted)))
    }

    /// Checks that the files hold everything that a head states, and returns the head. `path` is where it stands.
    fn check(&self, keys: &AuditKeys, line: &str, path: &Path) -> Result<SignedTreeHead, OpenError> {
        let head = SignedTreeHead::verify(line, &keys.public_key()).ok_or_else(|| damaged(path, "a signature"))?;
        let size = head.head.size;
        let has_tree =
            size <= self.tree.frontier.size() && merkle::root(self.tree, size).is_ok_and(|root| root == head.head.root);
        let mut chains = self.chains.iter().zip(&head.head.chains);
        if !has_tree || !chains.all(|(chain, signed)| chain.may_continue(signed)) {
            return Err(damaged(path, "the last tree head, which has entries that are missing or others,"));
        }
        Ok(head)
    }
}

/// Compares the files with the last anchor. Returns the end of its file, and its head.
fn check_anchor(
    keys: &AuditKeys,
    state: &LogState<'_>,
    options: &AuditOptions,
) -> Result<(AnchorEnd, Option<TreeHead>), OpenError> {
    let path = options.anchor_path();
    let end = AnchorEnd::read(&path).unwrap_or_else(|error| {
        tracing::error!("the anchor file `{}` could not be read: {error}", path.display());
        AnchorEnd::default()
    });
    // A line that a crash has cut is no head, and the log's own head stands in for it.
    let line = end.line.as_deref().filter(|line| !SignedTreeHead::is_torn(line.as_bytes()));
    if let Some(SignedTreeHead { head, .. }) = line.and_then(|line| SignedTreeHead::verify(line, &keys.public_key()))
        && let Some((category, found, counted)) = state.behind(&head)
    {
        let (category, time) = (category.name(), format_instant(head.time));
        return Err(OpenError::AuditLogOlderThanAnchor { path, category, found, counted, time });
    }
    let anchor = line.map(|line| state.check(keys, line, &path)).transpose()?;
    Ok((end, anchor.map(|anchor| anchor.head)))
}
