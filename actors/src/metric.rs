//! The metrics of the live state: the table of names and meanings, and their handles.

use domain::export::{ExportBackend, ExportJob, JobState};
use metrics::{Counter, Gauge, Histogram};

use crate::outlet::FrameKind;
use crate::priority::Priority;

domain::metric_table! {
    ASSEMBLY_DURATION = Histogram "profile_assembly_duration_seconds" ["stage"] Seconds: "Duration of a stage of assembly; merge, enrich and diff are measured together as `merge`.";
    ACTORS_LIVE = Gauge "profile_actors_live" [] Count: "Users with an actor now: hot users, and users with live subscribers.";
    WARM_USERS = Gauge "profile_warm_users" [] Count: "Users whose state is in memory now, without an actor.";
    WARM_BYTES = Gauge "profile_warm_bytes" [] Bytes: "Memory of warm users, as `actors.warm_bytes` bounds it.";
    WARM_STARTS = Counter "profile_warm_starts_total" ["result"] Count: "Warm users whose actor was started, by result: started, or unreadable (the user was loaded from the store instead).";
    WARM_DROPPED = Counter "profile_warm_dropped_total" [] Count: "Warm users whose state left memory to make room for others.";
    ACTORS_HYDRATED = Counter "profile_actors_hydrated_total" [] Count: "Users whose state was loaded from the store.";
    ACTORS_PASSIVATED = Counter "profile_actors_passivated_total" [] Count: "Actors that ended because nobody used them. The user becomes warm.";
    CHECKPOINT_LAG = Gauge "profile_checkpoint_lag_bytes" [] Bytes: "Journal that is not written to the store yet.";
    PERMITS_REFUSED = Counter "profile_permits_refused_total" ["class"] Count: "Writes that were refused because too much waits to be committed or written to the store, by class: feed, read (the turn of a day), own_write.";
    MAILBOX_REJECTED = Counter "profile_mailbox_rejected_total" [] Count: "Messages to a user's actor that were refused because its mailbox was full.";
    CACHE_REQUESTS = Counter "profile_cache_requests_total" ["layer", "result"] Count: "Look-ups in a cache, by cache and by hit or miss.";
    LIVE_FRAMES = Counter "profile_live_frames_total" ["kind"] Count: "Frames handed to live subscribers, by kind.";
    LIVE_COALESCED = Counter "profile_live_coalesced_total" [] Count: "Frames that were merged into another because their subscriber was slow.";
    PATCH_BYTES = Histogram "profile_patch_bytes" [] Bytes: "Size of a patch to live subscribers.";
    HISTORY_WAITING = Gauge "profile_history_reads_waiting" [] Count: "Reads through history that wait for a thread now, as `actors.history_queue` bounds them.";
    HISTORY_READS = Counter "profile_history_reads_total" ["result"] Count: "Reads through history that needed the store, by result: done, failed, refused (too many waited), or abandoned (its caller had gone before it began).";
    HISTORY_DURATION = Histogram "profile_history_read_duration_seconds" ["stage"] Seconds: "Time of reads through history: `wait` for a thread, and `read` on it.";
    FRESHNESS = Histogram "profile_freshness_seconds" [] Seconds: "Time from the `time` of an event to its being visible to readers.";
    COMPLETENESS_PCT = Histogram "profile_completeness_pct" [] Percent: "Completeness of a profile at each of its revisions.";
    SNAPSHOTS = Counter "profile_snapshots_total" [] Count: "Snapshots that were taken on request.";
    COLUMNS_READY = Gauge "profile_columns_ready" [] Count: "1 if the columns of all users are in memory, 0 while they are filled after a start.";
    EXPORT_ROWS = Counter "profile_export_rows_total" ["backend"] Count: "Rows that bulk exports have written, by what computed them.";
    EXPORT_JOBS = Counter "profile_export_jobs_total" ["state"] Count: "Bulk exports that have ended, by state.";
    FOLLOWERS = Gauge "profile_event_followers" [] Count: "Streams of the events of all users that are open now.";
    EVENTS_PUBLISHED = Counter "profile_events_published_total" [] Count: "Events handed to streams of the events of all users.";
    EVENTS_SKIPPED = Counter "profile_events_skipped_total" ["why"] Count: "Journal frames that event streams had to skip, by reason.";
}

/// The handles of the metrics. A clone records into the same metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) actors_live: Gauge,
    pub(crate) warm_users: Gauge,
    pub(crate) warm_bytes: Gauge,
    pub(crate) warm_started: Counter,
    pub(crate) warm_unreadable: Counter,
    pub(crate) warm_dropped: Counter,
    pub(crate) actors_hydrated: Counter,
    pub(crate) actors_passivated: Counter,
    pub(crate) mailbox_rejected: Counter,
    pub(crate) checkpoint_lag: Gauge,
    refused_feed: Counter,
    refused_read: Counter,
    refused_own_write: Counter,
    pub(crate) view_hit: Counter,
    pub(crate) view_miss: Counter,
    pub(crate) stage_merge: Histogram,
    pub(crate) stage_mask: Histogram,
    pub(crate) stage_serialize: Histogram,
    pub(crate) stage_persist_publish: Histogram,
    frames_profile: Counter,
    frames_patch: Counter,
    frames_completeness: Counter,
    frames_gone: Counter,
    frames_erased: Counter,
    pub(crate) live_coalesced: Counter,
    pub(crate) patch_bytes: Histogram,
    pub(crate) freshness: Histogram,
    pub(crate) completeness_pct: Histogram,
    pub(crate) snapshots: Counter,
    pub(crate) columns_ready: Gauge,
    pub(crate) followers: Gauge,
    pub(crate) events_published: Counter,
    pub(crate) events_skipped_unreadable: Counter,
}

impl Metrics {
    /// Registers all metrics with the recorder that is installed now.
    pub(crate) fn register() -> Self {
        let stage = |stage| metrics::histogram!(ASSEMBLY_DURATION.name, "stage" => stage);
        let view = |result| metrics::counter!(CACHE_REQUESTS.name, "layer" => "view", "result" => result);
        let warm_start = |result| metrics::counter!(WARM_STARTS.name, "result" => result);
        let skipped = |why| metrics::counter!(EVENTS_SKIPPED.name, "why" => why);
        let refused = |class| metrics::counter!(PERMITS_REFUSED.name, "class" => class);
        let frames = |kind| metrics::counter!(LIVE_FRAMES.name, "kind" => kind);
        Self {
            actors_live: metrics::gauge!(ACTORS_LIVE.name),
            warm_users: metrics::gauge!(WARM_USERS.name),
            warm_bytes: metrics::gauge!(WARM_BYTES.name),
            warm_started: warm_start("started"),
            warm_unreadable: warm_start("unreadable"),
            warm_dropped: metrics::counter!(WARM_DROPPED.name),
            actors_hydrated: metrics::counter!(ACTORS_HYDRATED.name),
            actors_passivated: metrics::counter!(ACTORS_PASSIVATED.name),
            mailbox_rejected: metrics::counter!(MAILBOX_REJECTED.name),
            checkpoint_lag: metrics::gauge!(CHECKPOINT_LAG.name),
            refused_feed: refused("feed"),
            refused_read: refused("read"),
            refused_own_write: refused("own_write"),
            view_hit: view("hit"),
            view_miss: view("miss"),
            // Merge, enrich and diff are one step of the domain, which has no clock: they are timed together.
            stage_merge: stage("merge"),
            stage_mask: stage("mask"),
            stage_serialize: stage("serialize"),
            stage_persist_publish: stage("persist_publish"),
            frames_profile: frames("profile"),
            frames_patch: frames("patch"),
            frames_completeness: frames("completeness"),
            frames_gone: frames("gone"),
            frames_erased: frames("erased"),
            live_coalesced: metrics::counter!(LIVE_COALESCED.name),
            patch_bytes: metrics::histogram!(PATCH_BYTES.name),
            freshness: metrics::histogram!(FRESHNESS.name),
            completeness_pct: metrics::histogram!(COMPLETENESS_PCT.name),
            snapshots: metrics::counter!(SNAPSHOTS.name),
            columns_ready: metrics::gauge!(COLUMNS_READY.name),
            followers: metrics::gauge!(FOLLOWERS.name),
            events_published: metrics::counter!(EVENTS_PUBLISHED.name),
            events_skipped_unreadable: skipped("unreadable"),
        }
    }

    /// Returns the counter of permits that were refused to a class.
    pub(crate) fn permits_refused(&self, priority: Priority) -> &Counter {
        match priority {
            Priority::Feed => &self.refused_feed,
            Priority::Read => &self.refused_read,
            Priority::OwnWrite => &self.refused_own_write,
        }
    }

    /// Returns the counter of live frames of a kind.
    pub(crate) fn frames(&self, kind: FrameKind) -> &Counter {
        match kind {
            FrameKind::Profile => &self.frames_profile,
            FrameKind::Patch => &self.frames_patch,
            FrameKind::Completeness => &self.frames_completeness,
            FrameKind::Erased => &self.frames_erased,
            FrameKind::Gone | FrameKind::Resync => &self.frames_gone,
        }
    }
}

/// The handles of the metrics of reads through history.
pub(crate) struct HistoryMetrics {
    pub(crate) waiting: Gauge,
    pub(crate) done: Counter,
    pub(crate) failed: Counter,
    pub(crate) refused: Counter,
    pub(crate) abandoned: Counter,
    pub(crate) wait: Histogram,
    pub(crate) read: Histogram,
}

impl HistoryMetrics {
    /// Registers the metrics with the recorder that is installed now.
    pub(crate) fn register() -> Self {
        let reads = |result| metrics::counter!(HISTORY_READS.name, "result" => result);
        let stage = |stage| metrics::histogram!(HISTORY_DURATION.name, "stage" => stage);
        Self {
            waiting: metrics::gauge!(HISTORY_WAITING.name),
            done: reads("done"),
            failed: reads("failed"),
            refused: reads("refused"),
            abandoned: reads("abandoned"),
            wait: stage("wait"),
            read: stage("read"),
        }
    }
}

/// The handles of the metrics of exports.
pub(crate) struct ExportMetrics {
    rows: [Counter; ExportBackend::COUNT],
    jobs: [Counter; JobState::COUNT],
}

impl ExportMetrics {
    /// Registers the metrics with the recorder that is installed now.
    pub(crate) fn register() -> Self {
        Self {
            rows: ExportBackend::ALL.map(|backend| metrics::counter!(EXPORT_ROWS.name, "backend" => backend.name())),
            jobs: JobState::ALL.map(|state| metrics::counter!(EXPORT_JOBS.name, "state" => state.name())),
        }
    }

    /// Counts a job that has ended.
    pub(crate) fn count(&self, job: &ExportJob) {
        self.jobs[job.state() as usize].increment(1);
        if let (Some(backend), Some(result)) = (job.backend(), job.result()) {
            self.rows[backend as usize].increment(result.rows_written);
        }
    }
}
