//! A user whose profile is as large as the limits allow, and the bytes that the user's events take.

#![allow(dead_code, reason = "each test binary takes what it needs")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::day::Day;
use domain::id::{ProfileId, UserId};
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, RollOutcome, apply, roll};
use domain::port::journal::Record;
use domain::port::store::{Fold, SideKind};
use domain::record::{Replay, pack};
use domain::rules::{Limits, Rules};
use domain::source::Source;
use domain::state::UserState;
use jiff::tz::TimeZone;

/// The bound: bytes of frames and history for each byte posted.
pub(crate) const BOUND: usize = 40;
/// Bytes that a frame in a group of its own takes in the journal beside its body and the user id: header, the length of
/// the id, seal and mark.
const FRAME_BYTES: usize = 68 + 1 + 16 + 40;
/// 2026-01-21 in Unix days.
const TODAY: Day = Day(20_474);
/// Deadlines of the user. Half of them are shown.
pub(crate) const DEADLINES: usize = 512;
/// Schemes of the user.
pub(crate) const SCHEMES: usize = 256;

pub(crate) fn user() -> UserId {
    UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id")
}

fn rules(zone: TimeZone) -> Rules {
    let districts = ["mysuru", "udupi"].map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
    Rules {
        zone,
        districts: BTreeMap::from([("karnataka".to_owned(), districts)]),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Limits::default(),
    }
}

/// Returns text of characters that take four bytes each and compress as badly as such text can.
fn wide(seed: usize, chars: usize) -> String {
    let mut random = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from_u32(0x3_0000 + (random >> 40) as u32 % 0xe_0000).expect("a character")
    };
    (0..chars).map(|_| next()).collect()
}

/// One user, and the bytes that the user's events took.
pub(crate) struct Meter {
    rules: Rules,
    day: Day,
    state: Option<Arc<UserState>>,
    seconds: usize,
    /// Bytes of events since [`Self::start_over`].
    pub(crate) posted: usize,
    /// The state before the frames.
    base: Option<Vec<u8>>,
    /// Records since [`Self::start_over`].
    pub(crate) frames: Vec<Record>,
}

impl Meter {
    /// Creates a user without events, with a calendar in that zone.
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { rules: rules(zone), day: TODAY, state: None, seconds: 0, posted: 0, base: None, frames: Vec::new() }
    }

    /// Creates a user whose profile has every member at its maximum size.
    pub(crate) fn fat() -> Self {
        let mut meter = Self::new(TimeZone::UTC);
        meter.grow();
        meter.start_over();
        meter
    }

    /// Posts the events that bring every member to its maximum size.
    pub(crate) fn grow(&mut self) {
        for id in 0..DEADLINES {
            self.detect(id, 1);
        }
        self.post("eligibility.batch.computed", "eligibility", &batch(0));
        self.post("prediction.generated", "predictions", &predictions(1));
        self.post("analytics.cohort.computed", "analytics", &tags(1));
        self.post("identity.verified", "identity", r#"{"address":{"state":"karnataka","district":"mysuru"}}"#);
    }

    /// Resets the counters of what was stored.
    pub(crate) fn start_over(&mut self) {
        self.posted = 0;
        self.frames.clear();
        self.base = self.state.as_ref().map(|state| pack(state));
    }

    /// Posts the smallest event that carries `data`.
    pub(crate) fn post(&mut self, event_type: &str, source: &str, data: &str) {
        self.seconds += 1;
        let (minutes, seconds) = (self.seconds / 60, self.seconds % 60);
        let time = format!("2026-01-20T{:02}:{:02}:{seconds:02}Z", minutes / 60, minutes % 60);
        let text = format!(
            r#"{{"id":"e","source":"{source}","specversion":"1.0","subject":"{}","time":"{time}","type":"{event_type}","data":{data}}}"#,
            user().as_str()
        );
        let now = 1_800_000_000_000_000;
        let event = validate(text.as_bytes(), Source::parse(source).expect("a source"), &self.rules, now)
            .unwrap_or_else(|rejection| panic!("{rejection:?}"));
        self.posted += text.len();
        let new_user = || NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
        let context = AssemblyContext { rules: &self.rules, rules_fingerprint: 1, policy_version: 1, day: self.day };
        if let ApplyOutcome::Changed(change) = apply(self.state.as_ref(), new_user, &event, &context) {
            let finished = change.finish(&user(), event.time, 1234);
            self.frames.push(finished.record);
            self.state = Some(finished.state);
        }
    }

    pub(crate) fn detect(&mut self, id: usize, version: usize) {
        let limits = Limits::default();
        let details = format!(
            r#"{{"action_url":"/{}","deadline_id":"{}","description":"{}","due_date":"2026-0{}-0{}","priority":"critical","type":"{}"}}"#,
            "x".repeat(limits.string_chars - 1),
            deadline_id(id),
            wide(id * 7 + version, limits.description_chars),
            2 + id * 7 / DEADLINES,
            1 + id % 9,
            wide(id * 7 + version + 3, limits.string_chars),
        );
        self.post("deadline.detected", "deadlines", &details);
    }

    /// Detects a deadline with the minimum of text, which is due soon.
    pub(crate) fn detect_small(&mut self, id: &str) {
        let details = format!(
            r#"{{"action_url":"/","deadline_id":"{id}","description":"d","due_date":"2026-01-22","priority":"low","type":"t"}}"#
        );
        self.post("deadline.detected", "deadlines", &details);
    }

    pub(crate) fn complete(&mut self, id: &str, at: &str) {
        self.post("deadline.completed", "deadlines", &format!(r#"{{"deadline_id":"{id}","completed_at":{at}}}"#));
    }

    /// Returns the state in its stored form.
    pub(crate) fn packed(&self) -> Vec<u8> {
        pack(self.state.as_ref().expect("a state"))
    }

    /// Moves forward by `days` and resets the counters.
    pub(crate) fn turn(&mut self, days: i32) {
        self.start_over();
        self.day.0 += days;
        let context = AssemblyContext { rules: &self.rules, rules_fingerprint: 1, policy_version: 1, day: self.day };
        let RollOutcome::Changed(change) = roll(self.state.as_ref().expect("a state"), &context) else {
            panic!("a roll")
        };
        let finished = change.finish(&user(), 0, 1234);
        self.frames = vec![finished.record];
        self.state = Some(finished.state);
    }

    /// Returns the bytes of frames and history since [`Self::start_over`].
    pub(crate) fn stored(&self) -> usize {
        let state = Replay.replay(self.base.as_deref(), &self.frames).expect("frames replay");
        let kept = Replay.keep_history(&state, None, &self.frames).expect("frames are kept");
        let (blocks, bases): (Vec<_>, Vec<_>) =
            kept.put.iter().partition(|record| record.key.kind == SideKind::HISTORY);
        let history: usize = blocks.iter().map(|block| block.body.len()).sum();
        // A base is a whole state, but takes no more than a quarter of what the blocks before it take.
        let bases: usize = bases.iter().map(|base| base.body.len()).sum();
        assert!(bases <= history / 4, "{bases} bytes of bases for {history} of blocks");
        let frame_bytes = |frame: &Record| FRAME_BYTES + user().as_str().len() + frame.body.len();
        let frames: usize = self.frames.iter().map(frame_bytes).sum();
        assert_eq!(state, self.packed(), "the fold gives the state");
        frames + history + bases
    }

    /// Asserts the bound, or a closer one.
    #[track_caller]
    pub(crate) fn check(&self, bound: usize) {
        let (stored, posted) = (self.stored(), self.posted);
        assert!(!self.frames.is_empty(), "something happened");
        assert!(stored <= bound * posted, "{stored} bytes for {posted}: {} to one", stored / posted);
    }
}

/// Returns a short id, so that events are small beside what they change.
pub(crate) fn deadline_id(id: usize) -> String {
    format!("d{id}")
}

pub(crate) fn scheme_id(id: usize) -> String {
    format!("s{id:03}")
}

/// Returns a batch of the maximum size in bytes.
pub(crate) fn batch(version: usize) -> String {
    let scheme = |id: usize| {
        format!(
            r#"{{"application_status":"not_applied","confidence":0.5,"matched_rules":[],"scheme_id":"{}","scheme_name":"{}"}}"#,
            scheme_id(id),
            wide(id + 1000 * version, 35)
        )
    };
    format!(r#"{{"schemes":[{}]}}"#, (0..SCHEMES).map(scheme).collect::<Vec<_>>().join(","))
}

pub(crate) fn predictions(version: usize) -> String {
    let event = |id: usize| {
        let event = wide(id + version * 1000, 40);
        format!(r#"{{"confidence":0.5,"estimated_date":"2026-05-01","event":"{event}","related_schemes":[]}}"#)
    };
    let action = |id: usize| format!(r#"{{"action":"{}","priority":1,"reason":"r"}}"#, wide(id + version * 1000, 50));
    let list = |item: &dyn Fn(usize) -> String| (0..64).map(item).collect::<Vec<_>>().join(",");
    format!(r#"{{"predicted_events":[{}],"recommended_actions":[{}]}}"#, list(&event), list(&action))
}

pub(crate) fn tags(version: usize) -> String {
    let tags = (0..64).map(|id| format!("\"{}\"", wide(id + version * 1000, 128)));
    format!(r#"{{"cohort_tags":[{}]}}"#, tags.collect::<Vec<_>>().join(","))
}
