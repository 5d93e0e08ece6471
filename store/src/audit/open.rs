//! Opening the log: segments, tree, heads and anchors are compared with each other before anything is written.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog, AuditValue};
use parking_lot::Mutex;

use super::catalogue::Catalogue;
use super::files::{AuditFiles, DIRECTORY};
use super::head_log::{HeadLog, last_anchor};
use super::keys::AuditKeys;
use super::log::AuditStore;
use super::merkle::{self, NodeFile};
use super::metrics::AuditMetrics;
use super::options::AuditOptions;
use super::queue::AuditQueue;
use super::recover::{RecoveredCategory, damaged, newest_time, read_leaves, recover};
use super::retention::Retention;
use super::tree_head::{ChainHead, SignedTreeHead};
use super::tree_writer::TreeWriter;
use super::writer::AuditWriter;
use crate::error::OpenError;
use crate::permissions;
use crate::retention_clock::RetentionClock;

/// Opens the audit log of a data directory, or creates it. The caller holds the lock of the data directory.
///
/// # Errors
/// The files could not be read, or they are not what the log has written: entries that were acknowledged are missing, a
/// chain is broken, or a tree head does not fit. Nothing is changed then.
pub fn open(options: &AuditOptions, keys: AuditKeys) -> Result<AuditStore, OpenError> {
    let directory = options.data_dir.join(DIRECTORY);
    let failed = |source| OpenError::Disk { doing: "open the audit log in", path: directory.clone(), source };
    make_directory(&directory).map_err(failed)?;
    permissions::restrict(&directory)?;
    let files = AuditFiles::open(options.disk.clone(), directory.clone()).map_err(failed)?;
    let catalogue = Arc::new(Catalogue::default());
    let mut recovered = Vec::new();
    for category in AuditCategory::ALL {
        recovered.push(recover(&files, &keys, category, &catalogue)?);
    }
    let tree = open_tree(&files, &recovered, &catalogue).map_err(failed)?;
    let (heads, last) = HeadLog::open(files.clone(), options.anchor_path()).map_err(failed)?;
    let chains: [ChainHead; AuditCategory::COUNT] = std::array::from_fn(|category| recovered[category].log.head());
    let head = check_heads(&keys, &tree, &chains, last.as_deref(), &directory, options)?;
    if let Some(head) = &head {
        tree.shared().set_head(head.clone());
    }
    let torn: u64 = recovered.iter().map(|category| category.torn_bytes).sum();
    let times = AuditCategory::ALL.map(|category| newest_time(&catalogue.segments(category)));
    let newest = times.into_iter().max().unwrap_or(0);
    let metrics = Arc::new(AuditMetrics::register());
    let queue = Arc::new(AuditQueue::new(options.queue_entries));
    let signed = head.map_or([ChainHead::EMPTY; AuditCategory::COUNT], |head| head.head.chains);
    let shared_tree = Arc::clone(tree.shared());
    let mut logs = recovered.into_iter().map(|category| category.log);
    let writer = AuditWriter {
        queue: Arc::clone(&queue),
        keys: keys.clone(),
        clock: Arc::clone(&options.clock),
        logs: [(); AuditCategory::COUNT].map(|()| logs.next().expect("a log for each category")),
        tree,
        heads,
        catalogue: Arc::clone(&catalogue),
        retention: retention(options, files, newest),
        metrics: Arc::clone(&metrics),
        head_interval: options.head_interval,
        signed,
    };
    let thread = thread::Builder::new().name("audit log".to_owned()).spawn(move || writer.run()).map_err(failed)?;
    let writer = Mutex::new(Some(thread));
    let store = AuditStore { queue, catalogue, tree: shared_tree, keys, metrics, writer };
    if torn > 0 {
        tracing::warn!("{torn} bytes of the audit log were incomplete after a crash and were moved away");
        let entry = AuditEntry::new(AuditCategory::Compliance, "audit.repaired", AuditActor::System);
        store.note(entry.with("bytes", AuditValue::Integer(i64::try_from(torn).unwrap_or(i64::MAX))));
    }
    Ok(store)
}

fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if !path.is_dir() {
        std::fs::DirBuilder::new().mode(0o700).create(path)?;
        if let Some(parent) = path.parent() {
            std::fs::File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

/// Opens the tree, and adds the leaves that its file does not have for certain.
fn open_tree(files: &AuditFiles, recovered: &[RecoveredCategory], catalogue: &Catalogue) -> io::Result<TreeWriter> {
    let compliance = &recovered[AuditCategory::Compliance as usize];
    let nodes = NodeFile::open(&*files.disk, &files.nodes())?;
    let known = nodes.leaves(compliance.indexed)?;
    let mut tree = TreeWriter::open(nodes, known)?;
    let total = compliance.log.head().count;
    let leaves = read_leaves(&catalogue.segments(AuditCategory::Compliance), known + 1, total)?;
    if leaves.len() as u64 != total - known {
        let detail = "`tree.nodes` lacks leaves of removed segments: restore it from a backup";
        return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
    }
    tree.extend(&leaves);
    tree.write()?;
    Ok(tree)
}

/// Compares the log with the last tree head and the last anchor, and returns the head.
fn check_heads(
    keys: &AuditKeys,
    tree: &TreeWriter,
    chains: &[ChainHead; AuditCategory::COUNT],
    last: Option<&str>,
    directory: &Path,
    options: &AuditOptions,
) -> Result<Option<SignedTreeHead>, OpenError> {
    let anchors = options.anchor_path();
    let anchor = last_anchor(&anchors).unwrap_or_else(|error| {
        tracing::error!("the anchor file `{}` could not be read: {error}", anchors.display());
        None
    });
    let check = |line: &str, path: &Path| {
        let head = SignedTreeHead::verify(line, &keys.public_key()).ok_or_else(|| damaged(path, "a signature"))?;
        let is_there = |(chain, signed): (&ChainHead, &ChainHead)| chain.count >= signed.count;
        let size = head.head.size;
        let has_tree =
            size <= tree.size() && merkle::root(&tree.shared().nodes, size).is_ok_and(|root| root == head.head.root);
        if !has_tree || !chains.iter().zip(&head.head.chains).all(is_there) {
            return Err(damaged(path, "the last tree head, which has entries that are missing or others,"));
        }
        Ok(head)
    };
    // A torn last line of the anchor file is no head, and the log's own head stands in for it.
    if let Some(line) = anchor.as_deref().filter(|line| !SignedTreeHead::is_torn(line.as_bytes())) {
        check(line, &anchors)?;
    }
    last.map(|line| check(line, directory)).transpose()
}

fn retention(options: &AuditOptions, files: AuditFiles, newest: i64) -> Retention {
    let known_minutes = u32::try_from(newest / 60_000_000).unwrap_or(0);
    Retention {
        files,
        days: [options.compliance_days, options.security_days, options.operations_days],
        clock: RetentionClock::new(
            Arc::clone(&options.clock),
            options.confirm_clock,
            known_minutes,
            metrics::Gauge::noop(),
        ),
        wall: Arc::clone(&options.clock),
    }
}
