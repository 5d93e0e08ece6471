//! One struct per section of `default.toml`, each read key by key with its range.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::Error;
use crate::keys::Keys;

/// The largest number of entries that any count may be set to.
const MANY: i64 = 1_000_000_000;
const MIB: i64 = 1 << 20;
const TIB: i64 = 1 << 40;
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// `[http]`: workers, time-outs and the limits at the door.
#[derive(Debug, Clone)]
pub struct Http {
    /// Threads that serve requests, at least 1.
    pub workers: usize,
    /// The most that a request may take; streams are exempt.
    pub request_timeout: Duration,
    /// How long a client may take to send its headers.
    pub client_header_timeout: Duration,
    /// How long a client may pause within a body.
    pub client_body_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long draining may take.
    pub shutdown_timeout: Duration,
    /// The largest feed event.
    pub max_event_bytes: usize,
    /// The largest body that is not streamed.
    pub max_body_bytes: usize,
    /// The deepest nesting of JSON.
    pub max_json_depth: usize,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
}

impl Http {
    pub(crate) fn read(keys: &mut Keys, cores: usize) -> Result<Self, Error> {
        Ok(Self {
            workers: keys.threads("http.workers", cores)?,
            request_timeout: keys.seconds("http.request_timeout_s", 1..=HOUR_S)?,
            client_header_timeout: keys.seconds("http.client_header_timeout_s", 1..=HOUR_S)?,
            client_body_timeout: keys.seconds("http.client_body_timeout_s", 1..=HOUR_S)?,
            keep_alive: keys.seconds("http.keep_alive_s", 1..=HOUR_S)?,
            shutdown_timeout: keys.seconds("http.shutdown_timeout_s", 1..=HOUR_S)?,
            max_event_bytes: keys.integer("http.max_event_bytes", 1_024..=64 * MIB)?,
            max_body_bytes: keys.integer("http.max_body_bytes", 1_024..=1_024 * MIB)?,
            max_json_depth: keys.integer("http.max_json_depth", 8..=120)?,
            cors_origins: keys.list(
                "http.cors_origins",
                is_web_origin,
                "a list of origins such as `https://example.in`",
            )?,
        })
    }
}

/// Scheme, host and perhaps port, nothing after it (RFC 6454, section 6.2).
fn is_web_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '@', '?', '#', ' ']))
}

/// `[time]`: the calendar and the clock.
#[derive(Debug, Clone)]
pub struct Time {
    /// The zone whose calendar day decides all values that depend on the day.
    pub zone: TimeZone,
    /// How far ahead an event's time may lie.
    pub future_tolerance: Duration,
    /// The instant at which assembly stands still; development only.
    pub fixed_clock: Option<Timestamp>,
}

impl Time {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        let zone = TimeZone::get(keys.text("time.zone")?)
            .map_err(|_| keys.refuse("time.zone", "an IANA time zone, e.g. `Asia/Kolkata`"))?;
        let fixed_clock = match keys.text("time.fixed_clock")? {
            "" => None,
            text => Some(text.parse().map_err(|_| {
                keys.refuse(
                    "time.fixed_clock",
                    "an RFC 3339 instant, e.g. `2026-01-21T12:00:00Z`, or an empty string",
                )
            })?),
        };
        Ok(Self {
            zone,
            future_tolerance: keys.seconds("time.future_tolerance_s", 0..=DAY_S)?,
            fixed_clock,
        })
    }
}

/// `[actors]`: how many, how bounded, how long they live.
#[derive(Debug, Clone)]
pub struct Actors {
    /// Arbiters that the roster is spread over, at least 1.
    pub shards: usize,
    /// Messages that wait at one ProfileActor.
    pub mailbox_capacity: usize,
    /// Commits that may be pending in the whole system.
    pub commit_permits: usize,
    /// Live actors before idle ones passivate early.
    pub max_live_actors: usize,
    /// An actor idle for this long passivates.
    pub idle_passivate: Duration,
    /// Actors per shard that keep their assembled parts unpacked.
    pub hot_actors_per_shard: usize,
    /// Threads that load cold users.
    pub hydration_threads: usize,
    /// Users that may wait to be loaded.
    pub hydration_queue: usize,
}

impl Actors {
    pub(crate) fn read(keys: &mut Keys, cores: usize) -> Result<Self, Error> {
        Ok(Self {
            shards: keys.threads("actors.shards", cores)?,
            mailbox_capacity: keys.integer("actors.mailbox_capacity", 1..=MANY)?,
            commit_permits: keys.integer("actors.commit_permits", 1..=MANY)?,
            max_live_actors: keys.integer("actors.max_live_actors", 1..=MANY)?,
            idle_passivate: keys.seconds("actors.idle_passivate_s", 1..=DAY_S)?,
            hot_actors_per_shard: keys.integer("actors.hot_actors_per_shard", 1..=MANY)?,
            hydration_threads: keys.integer("actors.hydration_threads", 1..=1_024)?,
            hydration_queue: keys.integer("actors.hydration_queue", 1..=MANY)?,
        })
    }
}

/// `[commit]`: the commit thread.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Deltas that wait for it.
    pub queue_capacity: usize,
    /// Most frames that share one sync.
    pub max_group: usize,
}

impl Commit {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            queue_capacity: keys.integer("commit.queue_capacity", 1..=MANY)?,
            max_group: keys.integer("commit.max_group", 1..=65_536)?,
        })
    }
}

/// `[journal]`: segments and how long they are kept once checkpointed.
#[derive(Debug, Clone)]
pub struct Journal {
    /// Size of a preallocated segment.
    pub segment_bytes: u64,
    /// Checkpointed segments older than this go.
    pub retain: Duration,
    /// Checkpointed segments beyond this total go, oldest first.
    pub retain_bytes: u64,
}

impl Journal {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        let hours: u64 = keys.integer("journal.retain_hours", 0..=8_760)?;
        Ok(Self {
            segment_bytes: keys.integer::<u64>("journal.segment_mib", 1..=1_024)? << 20,
            retain: Duration::from_secs(hours * 3_600),
            retain_bytes: keys.integer("journal.retain_bytes", 0..=TIB)?,
        })
    }
}

/// `[checkpoint]`: when changed users are written to the store, and how fast.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The longest time between two.
    pub interval: Duration,
    /// The most journal between two.
    pub journal_bytes: u64,
    /// The pace of writing.
    pub users_per_second: u32,
}

impl Checkpoint {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            interval: keys.seconds("checkpoint.interval_s", 1..=DAY_S)?,
            journal_bytes: keys.integer("checkpoint.journal_bytes", 1_024..=TIB)?,
            users_per_second: keys.integer("checkpoint.users_per_second", 1..=10_000_000)?,
        })
    }
}

/// `[cache]`: ready-to-send views.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Most bytes of views; 0 turns the cache off.
    pub view_bytes: u64,
    /// A view idle for this long is dropped.
    pub idle: Duration,
}

impl Cache {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            view_bytes: keys.integer("cache.view_bytes", 0..=TIB)?,
            idle: keys.seconds("cache.idle_s", 1..=DAY_S)?,
        })
    }
}

/// `[profile]`: bounds on what a profile may hold.
#[derive(Debug, Clone)]
pub struct ProfileLimits {
    /// Characters of a string.
    pub max_string_chars: usize,
    /// Characters of a deadline's description.
    pub max_description_chars: usize,
    /// Schemes in a batch.
    pub max_schemes: usize,
    /// Matched rules of a scheme.
    pub max_matched_rules: usize,
    /// Status overlays kept per user.
    pub max_status_overlays: usize,
    /// Deadline details kept per user.
    pub max_deadline_details: usize,
    /// Deadline completions kept per user.
    pub max_deadline_completions: usize,
    /// Deadlines shown, upcoming and overdue together.
    pub max_deadlines_shown: usize,
    /// Predicted events.
    pub max_predicted_events: usize,
    /// Recommended actions.
    pub max_recommended_actions: usize,
    /// Cohort tags.
    pub max_cohort_tags: usize,
    /// `aggregated_metrics` in its canonical form.
    pub max_aggregated_metrics_bytes: usize,
}

impl ProfileLimits {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        let count = |name: &str, range| keys.integer(&format!("profile.{name}"), range);
        Ok(Self {
            max_string_chars: count("max_string_chars", 16..=65_536)?,
            max_description_chars: count("max_description_chars", 16..=65_536)?,
            max_schemes: count("max_schemes", 1..=4_096)?,
            max_matched_rules: count("max_matched_rules", 1..=4_096)?,
            max_status_overlays: count("max_status_overlays", 1..=4_096)?,
            max_deadline_details: count("max_deadline_details", 1..=4_096)?,
            max_deadline_completions: count("max_deadline_completions", 1..=4_096)?,
            max_deadlines_shown: count("max_deadlines_shown", 1..=4_096)?,
            max_predicted_events: count("max_predicted_events", 1..=4_096)?,
            max_recommended_actions: count("max_recommended_actions", 1..=4_096)?,
            max_cohort_tags: count("max_cohort_tags", 1..=4_096)?,
            max_aggregated_metrics_bytes: count("max_aggregated_metrics_bytes", 64..=MIB)?,
        })
    }
}

/// `[auth]`: what a token must look like.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The `iss` that a token must carry.
    pub issuer: String,
    /// The `aud` that a token must carry.
    pub audience: String,
    /// How much clocks may differ.
    pub leeway: Duration,
    /// The longest accepted life of a token of a person or agent.
    pub max_life: Duration,
    /// The longest accepted life of a token of a service.
    pub max_service_life: Duration,
    /// Verified tokens that are remembered.
    pub token_cache_entries: u64,
}

impl Auth {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        let days: u64 = keys.integer("auth.max_service_life_days", 1..=90)?;
        Ok(Self {
            issuer: keys.filled_text("auth.issuer")?,
            audience: keys.filled_text("auth.audience")?,
            leeway: keys.seconds("auth.leeway_s", 0..=300)?,
            max_life: keys.seconds("auth.max_life_s", 1..=HOUR_S)?,
            max_service_life: Duration::from_secs(days * 86_400),
            token_cache_entries: keys.integer("auth.token_cache_entries", 0..=MANY)?,
        })
    }
}

/// `[live]`: bounds on live outlets.
#[derive(Debug, Clone)]
pub struct Live {
    /// Sockets that one caller may hold.
    pub max_sockets_per_caller: usize,
    /// Users that one socket may follow.
    pub max_subscriptions_per_socket: usize,
    /// Frames that wait for a slow client before they are merged.
    pub outlet_queue_frames: usize,
    /// Time between two pings.
    pub heartbeat: Duration,
}

impl Live {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        Ok(Self {
            max_sockets_per_caller: keys.integer("live.max_sockets_per_caller", 1..=MANY)?,
            max_subscriptions_per_socket: keys
                .integer("live.max_subscriptions_per_socket", 1..=MANY)?,
            outlet_queue_frames: keys.integer("live.outlet_queue_frames", 1..=MANY)?,
            heartbeat: keys.seconds("live.heartbeat_s", 1..=HOUR_S)?,
        })
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
}

impl Log {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
        Ok(Self {
            format: keys.choice(
                "log.format",
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
            level: keys.choice("log.level", &levels)?,
        })
    }
}

/// `[dead_letters]`
#[derive(Debug, Clone)]
pub struct DeadLetters {
    /// How long rejected events are kept.
    pub retain: Duration,
}

impl DeadLetters {
    pub(crate) fn read(keys: &Keys) -> Result<Self, Error> {
        let days: u64 = keys.integer("dead_letters.retain_days", 1..=365)?;
        Ok(Self {
            retain: Duration::from_secs(days * 86_400),
        })
    }
}
