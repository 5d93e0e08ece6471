//! Opening the log: everything is checked, then what a crash has interrupted is repaired, then the threads are started.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog, AuditValue};
use parking_lot::Mutex;

use super::anchors::Anchors;
use super::catalogue::Catalogue;
use super::files::{AuditFiles, DIRECTORY};
use super::index_work::IndexWork;
use super::indexer::Indexer;
use super::keys::AuditKeys;
use super::log::AuditStore;
use super::metrics::AuditMetrics;
use super::options::AuditOptions;
use super::queue::AuditQueue;
use super::recover::RecoveredCategory;
use super::retention::Retention;
use super::segment::Segment;
use super::start_check::{CheckedLog, check_empty};
use super::tree_head::ChainHead;
use super::tree_writer::{SharedTree, TreeWriter};
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
    if !directory.is_dir() {
        check_empty(&keys, options)?;
        make_directory(&directory).map_err(failed)?;
    }
    let files = AuditFiles::open(options.disk.clone(), directory.clone()).map_err(failed)?;
    let log = CheckedLog::read(&files, &keys, options)?;
    permissions::restrict(&directory)?;
    log.repair(&files).map_err(failed)?;
    let torn: u64 = log.categories.iter().map(RecoveredCategory::torn_bytes).sum();
    let store = start(options, keys, files, log).map_err(failed)?;
    if torn > 0 {
        tracing::warn!("{torn} bytes of the audit log were incomplete after a crash and were moved away");
        let entry = AuditEntry::new(AuditCategory::Compliance, "audit.repaired", AuditActor::System);
        store.note(entry.with("bytes", AuditValue::Integer(i64::try_from(torn).unwrap_or(i64::MAX))));
    }
    Ok(store)
}

fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)?;
    match path.parent() {
        Some(parent) => std::fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Starts the threads of a log that was checked and repaired.
fn start(options: &AuditOptions, keys: AuditKeys, files: AuditFiles, log: CheckedLog) -> io::Result<AuditStore> {
    let CheckedLog { categories, tree, heads, head, anchor_end, anchor } = log;
    let tree = TreeWriter::open(&*files.disk, &files.nodes(), tree)?;
    let shared_tree = Arc::clone(tree.shared());
    if let Some(head) = &head {
        shared_tree.set_head(head.clone());
    }
    let catalogue = Arc::new(Catalogue::default());
    let indexer = start_indexer(options, &files, Arc::clone(&shared_tree))?;
    for (category, recovered) in AuditCategory::ALL.into_iter().zip(&categories) {
        for segment in &recovered.segments {
            catalogue.add(category, Arc::clone(segment));
            indexer.queue().push(Arc::clone(segment));
        }
    }
    let newest = categories.iter().flat_map(|category| &category.segments).map(|segment| newest_time(segment)).max();
    let metrics = Arc::new(AuditMetrics::register());
    let queue = Arc::new(AuditQueue::new(options.queue_entries));
    let anchors =
        Anchors::start(options.anchor_path(), options.anchor_file.is_none(), &anchor_end, Arc::clone(&metrics))?;
    // A crash or a target that failed may have come between the head and its anchor.
    if let Some(head) = head.as_ref().filter(|head| anchor.is_none_or(|anchor| !anchor.has_all_of(&head.head))) {
        anchors.push(&head.line);
    }
    let mut logs = categories.into_iter().map(|category| category.log);
    let writer = AuditWriter {
        queue: Arc::clone(&queue),
        keys: keys.clone(),
        clock: Arc::clone(&options.clock),
        logs: [(); AuditCategory::COUNT].map(|()| logs.next().expect("a log for each category")),
        tree,
        heads,
        anchors: Arc::clone(&anchors),
        catalogue: Arc::clone(&catalogue),
        retention: retention(options, files, newest.unwrap_or(0)),
        indexes: Arc::clone(indexer.queue()),
        to_index: Vec::new(),
        metrics: Arc::clone(&metrics),
        head_interval: options.head_interval,
        signed: head.map_or([ChainHead::EMPTY; AuditCategory::COUNT], |head| head.head.chains),
    };
    let thread = thread::Builder::new().name("audit log".to_owned()).spawn(move || writer.run())?;
    Ok(AuditStore {
        queue,
        catalogue,
        tree: shared_tree,
        keys,
        metrics,
        writer: Mutex::new(Some(thread)),
        write_timeout: options.write_timeout,
        anchors,
        indexer: Mutex::new(Some(indexer)),
    })
}

fn start_indexer(options: &AuditOptions, files: &AuditFiles, tree: Arc<SharedTree>) -> io::Result<Indexer> {
    let (files, is_stopped) = (files.clone(), AtomicBool::new(false));
    Indexer::start(IndexWork { files, tree, run_lines: options.run_lines, is_stopped })
}

/// Returns the latest time that is known from a segment, in microseconds since the Unix epoch.
fn newest_time(segment: &Segment) -> i64 {
    segment.times().1.max(segment.header.month.start())
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
