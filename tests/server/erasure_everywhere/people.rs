//! The people of the test, their events, and what of them may be seen by whom.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

pub(super) const PEOPLE: usize = 128;

/// What happens to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    /// Is erased, and stays so.
    Goes,
    /// Is erased, and registers anew.
    Returns,
    /// Is erased, registers anew, and is erased again.
    GoesTwice,
}

impl Fate {
    pub(super) fn of(number: usize) -> Self {
        match number % 16 {
            0 => Self::GoesTwice,
            4 | 8 | 12 => Self::Returns,
            even if even % 2 == 0 => Self::Goes,
            _ => Self::Stays,
        }
    }

    /// Returns the number of lives that are erased.
    pub(super) fn erasures(self) -> u32 {
        match self {
            Self::Stays => 0,
            Self::Goes | Self::Returns => 1,
            Self::GoesTwice => 2,
        }
    }

    /// Returns the life that is there at the end.
    pub(super) fn last_life(self) -> Option<u32> {
        match self {
            Self::Stays => Some(1),
            Self::Returns => Some(2),
            Self::Goes | Self::GoesTwice => None,
        }
    }
}

pub(super) fn user(number: usize) -> String {
    format!("usr_Everywhere{number:04}")
}

/// Returns the number of a person's id.
pub(super) fn number_of(user: &str) -> usize {
    user.strip_prefix("usr_Everywhere").unwrap().parse().unwrap()
}

const MARK: &[u8] = b"mark_";

/// Returns a text that is in one life of one person alone.
fn marker(number: usize, life: u32, step: u32) -> String {
    format!("mark_{number:04}_{life}_{step}")
}

/// Returns the person and the life of each marker in some bytes.
pub(super) fn markers(bytes: &[u8]) -> Vec<(usize, u32)> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        rest = &rest[at + MARK.len()..];
        let text = std::str::from_utf8(&rest[..6]).unwrap();
        let (number, life) = text.split_once('_').unwrap();
        found.push((number.parse().unwrap(), life.parse().unwrap()));
    }
    found
}

/// An event with its feed.
pub(super) type FeedLine = (&'static str, Value);

fn event(number: usize, life: u32, step: u32, (feed, kind): (&'static str, &str), data: Value) -> FeedLine {
    let event = json!({
        "specversion": "1.0", "id": format!("{kind}-{number}-{life}-{step}"), "source": format!("/engines/{feed}"),
        "type": kind, "subject": user(number), "time": time(life, step), "data": data,
    });
    (feed, event)
}

/// Returns the time of an event. The clock stands at 12:00, and later lives begin ahead of everything of the first one.
fn time(life: u32, step: u32) -> String {
    let (seconds, millis) = (step / 1_000, step % 1_000);
    match life {
        1 => format!("2026-01-10T06:{:02}:{:02}.{millis:03}Z", seconds / 60, seconds % 60),
        _ => format!("2026-01-21T12:03:{:02}.{millis:03}Z", 20 + seconds),
    }
}

/// Returns an event whose time is ahead of the clock.
pub(super) fn ahead(number: usize) -> FeedLine {
    let (feed, mut event) = registration(number, 1);
    event["time"] = json!("2026-01-21T12:02:00Z");
    event["id"] = json!(format!("ahead-{number}"));
    (feed, event)
}

/// Returns whether the person has an event that is ahead of the clock.
pub(super) fn is_ahead(number: usize) -> bool {
    number.is_multiple_of(6)
}

/// Returns the registration that begins a life.
pub(super) fn registration(number: usize, life: u32) -> FeedLine {
    // Whoever is erased is told from the others in exports.
    let gender = if Fate::of(number) == Fate::Stays { "female" } else { "other" };
    let identity = json!({"display_name": "Asha K.", "age_bracket": "30-40", "gender": gender, "category": "obc"});
    let address = json!({"state": "karnataka", "district": "bengaluru_urban", "pincode": "560001"});
    let token = format!("tok_{}", marker(number, life, 0));
    let data = json!({"registration": true, "identity_token": token, "identity": identity, "address": address});
    event(number, life, 0, ("identity", "identity.verified"), data)
}

/// Returns the events of a life that come after its registration.
pub(super) fn first_events(number: usize, life: u32) -> Vec<FeedLine> {
    let consent = json!({"data_sharing_level": "full", "analytics_opt_in": true, "third_party_sharing": true});
    let fields = json!({"family": {"dependents": number % 9}, "economic": {"employment_type": "salaried"}});
    let mut events = vec![
        event(number, life, 1, ("consent", "user.consent.updated"), consent),
        event(number, life, 1, ("metadata", "user.metadata.updated"), json!({ "fields": fields })),
    ];
    events.extend(changes(number, life, 1));
    events
}

/// Returns events that replace the marked values of a life.
pub(super) fn changes(number: usize, life: u32, step: u32) -> Vec<FeedLine> {
    let mark = marker(number, life, step);
    let scheme = json!({
        "scheme_id": format!("sch_{mark}"), "scheme_name": mark, "confidence": 0.9, "matched_rules": [format!("rule_{mark}")],
        "application_status": "not_applied", "annual_benefit_inr": step,
    });
    let deadline = json!({
        "deadline_id": "dl_everywhere", "type": "renewal", "description": mark, "due_date": "2026-07-31", "priority": "high",
        "action_url": "/renew",
    });
    vec![
        event(number, life, step, ("eligibility", "eligibility.batch.computed"), json!({ "schemes": [scheme] })),
        event(number, life, step, ("deadlines", "deadline.detected"), deadline),
    ]
}

/// Returns lines of newline-delimited JSON by feed.
pub(super) fn by_feed<'e>(events: impl IntoIterator<Item = &'e FeedLine>) -> BTreeMap<&'static str, Vec<String>> {
    let mut feeds = BTreeMap::<_, Vec<_>>::new();
    for (feed, event) in events {
        feeds.entry(*feed).or_default().push(event.to_string());
    }
    feeds
}

/// What all threads of the test know.
pub(super) struct Ledger {
    /// When the end of a life was acknowledged.
    ended: Mutex<BTreeMap<(usize, u32), Instant>>,
    /// The life of each person; 0 from when an erasure is asked for until the next registration was acknowledged.
    lives: Vec<AtomicU32>,
    /// The events of each life that were sent.
    sent: Mutex<BTreeMap<(usize, u32), Vec<FeedLine>>>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let lives = (0..PEOPLE).map(|_| AtomicU32::new(1)).collect();
        Self { ended: Mutex::default(), lives, sent: Mutex::default() }
    }

    pub(super) fn life(&self, number: usize) -> u32 {
        self.lives[number].load(Ordering::Acquire)
    }

    pub(super) fn set_life(&self, number: usize, life: u32) {
        self.lives[number].store(life, Ordering::Release);
    }

    /// Notes that the erasure of a life was acknowledged just now.
    pub(super) fn end(&self, number: usize, life: u32) {
        self.ended.lock().unwrap().insert((number, life), Instant::now());
    }

    /// Returns whether the end of a life was acknowledged before something was asked.
    pub(super) fn has_ended(&self, number: usize, life: u32, asked: Instant) -> bool {
        self.ended.lock().unwrap().get(&(number, life)).is_some_and(|ended| *ended < asked)
    }

    /// Returns whether the person is erased for good.
    pub(super) fn is_gone(&self, number: usize, asked: Instant) -> bool {
        let fate = Fate::of(number);
        fate.last_life().is_none() && self.has_ended(number, fate.erasures(), asked)
    }

    /// Checks that an answer shows nothing of a life whose end was acknowledged before it was asked for.
    #[track_caller]
    pub(super) fn check(&self, asked: Instant, what: &str, bytes: &[u8]) {
        let found = markers(bytes);
        let ended = self.ended.lock().unwrap();
        let dead = found.iter().find(|life| ended.get(life).is_some_and(|ended| *ended < asked));
        assert_eq!(dead, None, "{what} shows something of an erased life: {}", String::from_utf8_lossy(bytes));
    }

    /// Notes events that are about to be sent.
    pub(super) fn send(&self, number: usize, life: u32, events: &[FeedLine]) {
        self.sent.lock().unwrap().entry((number, life)).or_default().extend_from_slice(events);
    }

    /// Returns the events of all lives that are there at the end.
    pub(super) fn living_events(&self) -> Vec<FeedLine> {
        let sent = self.sent.lock().unwrap();
        let living = sent.iter().filter(|((number, life), _)| Fate::of(*number).last_life() == Some(*life));
        living.flat_map(|(_, events)| events.clone()).collect()
    }
}
