//! The settings as the other crates take them: the one place where a setting becomes an option of `store`, `actors` or
//! `domain`.

use std::sync::Arc;
use std::time::Duration;

use actors::export::ExportOptions;
use config::{ExportBackendChoice, Settings};
use domain::port::clock::Clock;
use domain::port::retention::HistoryRetention;
use domain::record::ThinHistory;
use domain::rules::Limits;
use domain::snapshot::SnapshotPeriods;
use kernels::BackendChoice;
use store::StoreOptions;
use store::audit::AuditOptions;

/// The options of the store. The wall clock and the disk are left to the composition root.
pub(crate) fn store_options(settings: &Settings) -> StoreOptions {
    StoreOptions {
        segment_bytes: settings.journal.segment_bytes,
        checkpoint_interval: settings.checkpoint.interval,
        checkpoint_journal_bytes: settings.checkpoint.journal_bytes,
        checkpoint_users_per_second: settings.checkpoint.users_per_second,
        checkpoint_stop: settings.checkpoint.stop,
        retain_journal_bytes: settings.journal.retain_bytes,
        retain_journal: settings.journal.retain,
        sled_cache_bytes: settings.store.sled_cache_bytes,
        dictionaries: data::STATE_DICTIONARIES.iter().map(|dictionary| dictionary.to_vec()).collect(),
        confirm_clock: settings.store.confirm_clock,
        dead_letter_queue_bytes: settings.dead_letters.queue_bytes,
        dead_letter_source_bytes: settings.dead_letters.max_bytes_per_source,
        dead_letter_total_bytes: settings.dead_letters.max_bytes,
        dead_letter_days: settings.dead_letters.retain_days,
        future_tolerance: settings.time.future_tolerance,
        retention: history_retention(settings).map(|retention| Arc::new(retention) as Arc<dyn HistoryRetention>),
        ..StoreOptions::new(&settings.data_dir)
    }
}

/// What is kept of histories. While the clock of assembly is fixed, everything is, as the times of revisions say nothing about
/// their age.
fn history_retention(settings: &Settings) -> Option<ThinHistory> {
    let is_fixed = settings.time.fixed_clock.is_some();
    (!is_fixed).then(|| ThinHistory { zone: settings.time.zone.clone(), periods: snapshot_periods(settings) })
}

/// How long revisions and snapshots are kept.
fn snapshot_periods(settings: &Settings) -> SnapshotPeriods {
    let micros = |period: Duration| i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
    let history = &settings.history;
    SnapshotPeriods {
        revisions: micros(history.revisions),
        requested: micros(history.requested),
        daily: micros(history.daily),
    }
}

/// The options of the audit log, by the wall clock `clock`. The disk is left to the composition root.
pub(crate) fn audit_options(settings: &Settings, clock: Arc<dyn Clock>) -> AuditOptions {
    AuditOptions {
        anchor_file: settings.audit.anchor_file.clone(),
        head_interval: settings.audit.head_interval,
        compliance_days: settings.audit.compliance_days,
        security_days: settings.audit.security_days,
        operations_days: settings.audit.operations_days,
        queue_entries: settings.audit.queue_entries,
        write_timeout: settings.audit.write_timeout,
        confirm_clock: settings.store.confirm_clock,
        ..AuditOptions::new(&settings.data_dir, clock)
    }
}

/// The bounds of exports.
pub(crate) fn export_options(settings: &Settings) -> ExportOptions {
    ExportOptions {
        threads: settings.export.threads,
        max_queued: settings.export.max_queued,
        memory_bytes: settings.export.memory_bytes,
        keep: settings.export.keep,
    }
}

/// What computes exports.
pub(crate) fn export_backend(settings: &Settings) -> BackendChoice {
    match settings.export.backend {
        ExportBackendChoice::Auto => BackendChoice::Auto,
        ExportBackendChoice::Cpu => BackendChoice::Cpu,
        ExportBackendChoice::Cuda => BackendChoice::Cuda,
    }
}

/// The options of the live state. The epoch and the key of cursors are left to the composition root.
pub(crate) fn actor_options(settings: &Settings) -> actors::Options {
    actors::Options {
        shards: settings.actors.shards,
        mailbox_capacity: settings.actors.mailbox_capacity,
        mailbox_reads: settings.actors.mailbox_reads,
        mailbox_own_writes: settings.actors.mailbox_own_writes,
        waiting_bytes: settings.actors.waiting_bytes,
        reserve_percent: settings.actors.reserve_percent,
        commit_permits: settings.actors.commit_permits,
        permit_bytes: settings.commit.permit_bytes,
        max_lag_bytes: settings.checkpoint.max_lag_bytes,
        commit_queue_capacity: settings.commit.queue_capacity,
        max_group: settings.commit.max_group,
        max_live_actors: settings.actors.max_live_actors,
        idle_passivate: settings.actors.idle_passivate,
        day_roll_spread: settings.actors.day_roll_spread,
        hot_actors_per_shard: settings.actors.hot_actors_per_shard,
        warm_bytes: settings.actors.warm_bytes,
        hydration_threads: settings.actors.hydration_threads,
        hydration_queue: settings.actors.hydration_queue,
        history_threads: settings.actors.history_threads,
        history_queue: settings.actors.history_queue,
        view_bytes: settings.cache.view_bytes,
        view_idle: settings.cache.idle,
        drain_timeout: settings.http.shutdown_timeout,
        max_followers: settings.events.max_followers,
        max_followers_per_caller: settings.events.max_followers_per_caller,
        follower_cache_bytes: settings.events.cache_bytes,
        future_tolerance: settings.time.future_tolerance,
        snapshot_periods: snapshot_periods(settings),
        max_snapshots: settings.history.max_snapshots,
        ..actors::Options::default()
    }
}

/// The limits on what an event may say.
pub(crate) fn limits(settings: &Settings) -> Limits {
    let profile = &settings.profile;
    Limits {
        string_chars: profile.max_string_chars,
        id_chars: profile.max_id_chars,
        description_chars: profile.max_description_chars,
        schemes: profile.max_schemes,
        eligibility_batch_bytes: profile.max_eligibility_batch_bytes,
        matched_rules: profile.max_matched_rules,
        predicted_events: profile.max_predicted_events,
        predicted_events_bytes: profile.max_predicted_events_bytes,
        recommended_actions: profile.max_recommended_actions,
        recommended_actions_bytes: profile.max_recommended_actions_bytes,
        cohort_tags: profile.max_cohort_tags,
        aggregated_metrics_bytes: profile.max_aggregated_metrics_bytes,
        future_tolerance_micros: i64::try_from(settings.time.future_tolerance.as_micros()).unwrap_or(i64::MAX),
        json_depth: settings.http.max_json_depth,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::path::PathBuf;

    use actors::Options;
    use config::Sources;

    use super::*;

    fn defaults() -> Settings {
        Settings::load(&Sources::default()).unwrap()
    }

    #[track_caller]
    fn assert_same(from_settings: impl Debug, default: impl Debug) {
        assert_eq!(format!("{from_settings:#?}"), format!("{default:#?}"), "default.toml on the left");
    }

    #[test]
    fn default_limits_are_those_of_default_toml() {
        assert_same(limits(&defaults()), Limits::default());
    }

    #[test]
    fn default_options_of_the_actors_are_those_of_default_toml() {
        let from_settings = actor_options(&defaults());
        // One shard per core is resolved, and the other two need a store that writes checkpoints, and `data`.
        let Options { shards, max_lag_bytes, .. } = from_settings;
        assert_same(from_settings, Options { shards, max_lag_bytes, ..Options::default() });
    }

    #[test]
    fn default_options_of_exports_are_those_of_default_toml() {
        let figures = |options: ExportOptions| {
            // Without `..`, so that a new option cannot be forgotten here.
            let ExportOptions { threads, max_queued, memory_bytes, keep } = options;
            (threads, max_queued, memory_bytes, keep)
        };
        assert_eq!(figures(export_options(&defaults())), figures(ExportOptions::default()));
    }

    #[test]
    fn default_options_of_the_audit_log_are_those_of_default_toml() {
        let mut settings = defaults();
        settings.data_dir = PathBuf::new();
        let clock = crate::wiring::wall_clock();
        let figures = |options: AuditOptions| {
            // Without `..`, so that a new option cannot be forgotten here.
            let AuditOptions {
                data_dir,
                anchor_file,
                head_interval,
                compliance_days,
                security_days,
                operations_days,
                queue_entries,
                write_timeout,
                run_lines: _,
                clock: _,
                confirm_clock,
                disk: _,
            } = options;
            let days = (compliance_days, security_days, operations_days);
            (data_dir, anchor_file, head_interval, days, queue_entries, (write_timeout, confirm_clock))
        };
        let from_settings = audit_options(&settings, Arc::clone(&clock));
        assert_same(figures(from_settings), figures(AuditOptions::new("", clock)));
    }

    #[test]
    fn default_options_of_the_store_are_those_of_default_toml() {
        let mut settings = defaults();
        settings.data_dir = PathBuf::new();
        let figures = |options: StoreOptions| {
            // Without `..`, so that a new option cannot be forgotten here.
            let StoreOptions {
                data_dir,
                segment_bytes,
                checkpoint_interval,
                checkpoint_journal_bytes,
                checkpoint_users_per_second,
                checkpoint_stop,
                known_users,
                retain_journal_bytes,
                retain_journal,
                sled_cache_bytes,
                dictionaries: _,
                dead_letter_queue_bytes,
                dead_letter_source_bytes,
                dead_letter_total_bytes,
                dead_letter_days,
                clock: _,
                confirm_clock,
                future_tolerance,
                retention: _,
                thinning_pass,
                registry_kind_bytes,
                disk: _,
            } = options;
            (
                (thinning_pass, future_tolerance),
                (data_dir, known_users, confirm_clock, registry_kind_bytes),
                (segment_bytes, retain_journal_bytes, retain_journal, sled_cache_bytes),
                (checkpoint_interval, checkpoint_journal_bytes, checkpoint_users_per_second, checkpoint_stop),
                (dead_letter_queue_bytes, dead_letter_source_bytes, dead_letter_total_bytes, dead_letter_days),
            )
        };
        assert_same(figures(store_options(&settings)), figures(StoreOptions::new("")));
    }
}
