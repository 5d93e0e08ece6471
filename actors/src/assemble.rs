//! Puts the parts of the live state together.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use crate::columns::{ColumnStore, Filler, MissedCommits, ProjectionHook};
use crate::commit::{CheckpointLag, CommitLimits, CommitQueue, PermitLimits, Permits};
use crate::committer::Committer;
use crate::cursor_cipher::CursorCipher;
use crate::follower::Followers;
use crate::history_lane::{HistoryLane, HistoryReader};
use crate::load_queue::LoadQueue;
use crate::loader::Loader;
use crate::metric::{HistoryMetrics, Metrics};
use crate::options::Options;
use crate::outlet::CursorKey;
use crate::ports::Ports;
use crate::roster::{Roster, RosterLimits};
use crate::runtime::Runtime;
use crate::services::Services;
use crate::shard_event::ShardEvent;
use crate::shard_key::ShardKey;
use crate::snapshots::UserTurns;
use crate::today::Today;
use crate::view_cache::ViewCache;

/// The parts before any of them runs. The tests run them by hand.
pub(crate) struct Parts {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) committer: Committer,
    pub(crate) loaders: Vec<Loader>,
    pub(crate) history_readers: Vec<HistoryReader>,
    pub(crate) filler: Filler,
    /// What each shard receives, by the shard's index.
    pub(crate) events: Vec<mpsc::UnboundedReceiver<ShardEvent>>,
}

/// Makes the parts.
pub(crate) fn assemble(options: Options, ports: Ports) -> Parts {
    let (shards, events) = (0..options.shard_count()).map(|_| mpsc::unbounded_channel()).unzip();
    let cipher = Arc::new(CursorCipher::new(&options.cursor_key));
    let metrics = Metrics::register();
    let followers = Followers::new(&options, &ports, Arc::clone(&cipher), metrics.clone());
    let limits = RosterLimits {
        starting: options.limits(options.hydration_queue),
        waiting: options.mailbox_limits(),
        warm_bytes: options.warm_bytes,
    };
    let roster = Roster::new(limits, &*ports.entropy);
    let loads = LoadQueue::new(options.hydration_queue);
    let history = Arc::new(HistoryLane::new(options.history_queue, HistoryMetrics::register()));
    let (threads, history_threads) = (options.hydration_threads.max(1), options.history_threads.max(1));
    let shard_key = ShardKey::new(&*ports.entropy);
    let store = Arc::clone(&ports.store);
    let mut filler = Filler::new(Arc::clone(&ports.projections));
    let columns = Arc::new(ColumnStore::new(filler.take_dictionaries(), metrics.columns_ready.clone()));
    let projection = ProjectionHook::new(columns.clone());
    let (services, journal) = services(options, ports, cipher, projection, metrics);
    let runtime = Arc::new(Runtime {
        services,
        roster,
        loads,
        history: Arc::clone(&history),
        look_ups: Arc::default(),
        flights: Arc::default(),
        waiting_bytes: Arc::default(),
        shard_key,
        followers,
        snapshot_turns: UserTurns::default(),
        columns,
        missed: MissedCommits::default(),
        shards,
        live_actors: AtomicUsize::new(0),
        closing: AtomicBool::new(false),
        is_drained: OnceLock::new(),
    });
    let committer = Committer::new(journal, Arc::clone(&runtime));
    let loaders = (0..threads).map(|_| Loader::new(Arc::clone(&store), Arc::clone(&runtime))).collect();
    let history_reader = |_| HistoryReader::new(Arc::clone(&store), Arc::clone(&history));
    let history_readers = (0..history_threads).map(history_reader).collect();
    Parts { runtime, committer, loaders, history_readers, filler, events }
}

/// Makes the services, and returns the journal, which belongs to the commit thread alone.
fn services(
    options: Options,
    ports: Ports,
    cipher: Arc<CursorCipher>,
    projection: ProjectionHook,
    metrics: Metrics,
) -> (Services, Box<dyn domain::port::journal::Journal>) {
    let Ports { journal, store, clock, entropy, rules, policy, log: _, projections: _ } = ports;
    let permits = PermitLimits {
        commits: options.limits(options.commit_permits),
        bytes: options.byte_limits(options.permit_bytes),
    };
    let lag = CheckpointLag { store, max_bytes: options.max_lag_bytes };
    let commits = CommitLimits {
        records: options.limits(options.commit_queue_capacity),
        bytes: options.byte_limits(options.commit_queue_bytes),
        group_records: options.max_group,
        group_bytes: options.max_group_bytes,
    };
    let services = Services {
        rules_fingerprint: rules.fingerprint(),
        today: Today::new(rules.zone.clone(), clock.now_micros()),
        cursors: CursorKey { epoch: options.epoch, cipher },
        permits: Permits::new(permits, lag),
        commits: CommitQueue::new(commits),
        cache: ViewCache::new(options.view_bytes, options.view_idle),
        journal_failed: AtomicBool::new(false),
        projection,
        metrics,
        options,
        clock,
        entropy,
        rules,
        policy,
    };
    (services, journal)
}
