//! The metrics of the live state: each handle is registered once, and every name stands here.

use metrics::{Counter, Gauge, Histogram};

use crate::outlet::FrameKind;

/// The handles. Histograms are in seconds, bytes or items, as their names say.
pub(crate) struct Metrics {
    pub(crate) commit_group_size: Histogram,
    pub(crate) commit_duration: Histogram,
    pub(crate) actors_live: Gauge,
    pub(crate) actors_hydrated: Counter,
    pub(crate) actors_passivated: Counter,
    pub(crate) mailbox_rejected: Counter,
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
    pub(crate) live_coalesced: Counter,
    pub(crate) patch_bytes: Histogram,
    pub(crate) freshness: Histogram,
    pub(crate) completeness_pct: Histogram,
    pub(crate) followers: Gauge,
    pub(crate) events_published: Counter,
    pub(crate) events_skipped_nameless: Counter,
    pub(crate) events_skipped_unreadable: Counter,
}

impl Metrics {
    /// Registers with the recorder that is installed now.
    pub(crate) fn register() -> Self {
        let stage = |stage| metrics::histogram!("profile_assembly_duration_seconds", "stage" => stage);
        let view = |result| metrics::counter!("profile_cache_requests_total", "layer" => "view", "result" => result);
        let skipped = |why| metrics::counter!("profile_events_skipped_total", "why" => why);
        let frames = |kind| metrics::counter!("profile_live_frames_total", "kind" => kind);
        Self {
            commit_group_size: metrics::histogram!("profile_commit_group_size"),
            commit_duration: metrics::histogram!("profile_commit_duration_seconds"),
            actors_live: metrics::gauge!("profile_actors_live"),
            actors_hydrated: metrics::counter!("profile_actors_hydrated_total"),
            actors_passivated: metrics::counter!("profile_actors_passivated_total"),
            mailbox_rejected: metrics::counter!("profile_mailbox_rejected_total"),
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
            live_coalesced: metrics::counter!("profile_live_coalesced_total"),
            patch_bytes: metrics::histogram!("profile_patch_bytes"),
            freshness: metrics::histogram!("profile_freshness_seconds"),
            completeness_pct: metrics::histogram!("profile_completeness_pct"),
            followers: metrics::gauge!("profile_event_followers"),
            events_published: metrics::counter!("profile_events_published_total"),
            events_skipped_nameless: skipped("nameless"),
            events_skipped_unreadable: skipped("unreadable"),
        }
    }

    /// The counter of live messages of a kind.
    pub(crate) fn frames(&self, kind: FrameKind) -> &Counter {
        match kind {
            FrameKind::Profile => &self.frames_profile,
            FrameKind::Patch => &self.frames_patch,
            FrameKind::Completeness => &self.frames_completeness,
            FrameKind::Gone | FrameKind::Resync => &self.frames_gone,
        }
    }
}
