//! Events to post, and the outcome of each.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::client::Client;
use crate::events::Case;
use crate::http::Response;
use crate::random::Random;

const ONE_EVENT: &str = "application/cloudevents+json";

/// One feed event. Its id is unique.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) number: usize,
    pub(crate) user: Arc<str>,
    /// The feed, e.g. `metadata`.
    pub(crate) source: String,
    pub(crate) line: String,
}

/// The outcome of an event, as its answer reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied {
        revision: u64,
    },
    Unchanged {
        revision: u64,
    },
    Duplicate {
        revision: u64,
    },
    /// Busy, or no answer: the event may or may not be stored.
    Unknown,
}

impl Outcome {
    /// Returns the revision in an acknowledgement.
    pub(crate) fn revision(self) -> Option<u64> {
        match self {
            Self::Applied { revision } | Self::Unchanged { revision } | Self::Duplicate { revision } => Some(revision),
            Self::Unknown => None,
        }
    }

    /// Reads an element of `results`.
    fn parse(result: &Value) -> Self {
        let revision = || result["revision"].as_u64().unwrap_or_else(|| panic!("no revision: {result}"));
        match result["status"].as_str() {
            Some("applied") => Self::Applied { revision: revision() },
            Some("unchanged") => Self::Unchanged { revision: revision() },
            Some("duplicate") => Self::Duplicate { revision: revision() },
            Some("busy") => Self::Unknown,
            _ => panic!("not an outcome of a valid event: {result}"),
        }
    }
}

/// Makes the events of one test.
pub(crate) struct EventGenerator {
    next: AtomicUsize,
    hot: Vec<Arc<str>>,
    cold: Vec<Arc<str>>,
}

impl EventGenerator {
    /// Makes events about a few `hot` users, whom most events are about, and many `cold` ones.
    pub(crate) fn new(hot: usize, cold: usize) -> Self {
        let users = |kind: &str, count| (0..count).map(|number| format!("usr_{kind}{number:08}").into()).collect();
        Self { next: AtomicUsize::new(0), hot: users("hotx", hot), cold: users("cold", cold) }
    }

    pub(crate) fn hot(&self) -> &[Arc<str>] {
        &self.hot
    }

    /// Draws some events of every type, mostly about hot users, mostly in the order of their times.
    pub(crate) fn draw_some(&self, random: &mut Random) -> Vec<Event> {
        let mut drawn = Case::small(random.next()).events;
        // A registration without other data is not a valid event.
        drawn.retain(|event| event["data"] != json!({"registration": true}));
        for number in 0..=drawn.len() / 3 {
            drawn.push(self.deadline(number, random.below(28) + 1));
        }
        random.shuffle(&mut drawn);
        drawn.into_iter().map(|event| self.draw(event, random)).collect()
    }

    fn draw(&self, event: Value, random: &mut Random) -> Event {
        let users = if random.one_in(3) { &self.cold } else { &self.hot };
        let user = users[random.below(users.len())].clone();
        let late = if random.one_in(6) { random.below(1_000_000) } else { 0 };
        self.stamp(event, user, late)
    }

    /// Returns an event that changes `user`'s profile, whatever the profile is.
    pub(crate) fn change(&self, user: &Arc<str>) -> Event {
        let number = self.next.load(Ordering::Relaxed);
        // No other source writes the path, the time is the newest, and the value is new.
        let risks = json!({"deadline_miss_risk": (number % 1_000_000) as f64 / 1e6});
        let data = json!({"predicted_events": [], "recommended_actions": [], "risk_scores": risks});
        let event = json!({"source": "/engines/predictions", "type": "prediction.generated", "data": data});
        self.stamp(event, user.clone(), 0)
    }

    fn deadline(&self, number: usize, day: usize) -> Value {
        let id = (self.next.load(Ordering::Relaxed) + number) % 200;
        let data = json!({
            "deadline_id": format!("dl_{id}"), "type": "renewal", "description": "Renew it",
            "due_date": format!("2026-02-{day:02}"), "priority": "low", "action_url": "/renew",
        });
        json!({"source": "/engines/deadlines", "type": "deadline.detected", "data": data})
    }

    /// Gives the event a unique id and the time of its number, less `late` microseconds.
    fn stamp(&self, mut event: Value, user: Arc<str>, late: usize) -> Event {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let micros = 10_000_000 + number - late;
        event["specversion"] = json!("1.0");
        event["id"] = json!(format!("crash-{number}"));
        event["subject"] = json!(*user);
        event["time"] = json!(format!(
            "2026-01-10T00:{:02}:{:02}.{:06}Z",
            micros / 60_000_000,
            micros / 1_000_000 % 60,
            micros % 1_000_000
        ));
        let source =
            event["source"].as_str().and_then(|source| source.rsplit('/').next()).expect("a source").to_owned();
        Event { number, user, source, line: event.to_string() }
    }
}

/// Posts one event and returns its outcome.
pub(crate) fn post(client: &mut Client, event: &Event) -> io::Result<Outcome> {
    let response = post_raw(client, event)?;
    match response.status {
        200 => Ok(Outcome::parse(&response.json()["results"][0])),
        503 => Ok(Outcome::Unknown),
        _ => panic!("{} gets {response:?}", event.line),
    }
}

/// Posts one event and returns the response.
pub(crate) fn post_raw(client: &mut Client, event: &Event) -> io::Result<Response> {
    client.post(&path(&event.source), ONE_EVENT, &event.line)
}

/// Streams events of one source, and calls `on_outcome` with the index of an event and its outcome when its line comes.
pub(crate) fn stream(
    client: &mut Client,
    events: &[Arc<Event>],
    mut on_outcome: impl FnMut(usize, Outcome),
) -> io::Result<()> {
    let lines: Vec<&str> = events.iter().map(|event| event.line.as_str()).collect();
    client.stream(&path(&events[0].source), &lines, |line| {
        let result: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        // Progress and the total have no index.
        if let Some(index) = result["index"].as_u64() {
            on_outcome(usize::try_from(index).expect("an index"), Outcome::parse(&result));
        }
    })
}

fn path(source: &str) -> String {
    format!("/api/v2/feeds/{source}")
}

/// Returns the profile as `client` sees it; `None` if it is not visible.
pub(crate) fn profile(client: &mut Client, user: &str) -> Option<Value> {
    let response = client.get(&format!("/api/v2/profile/{user}")).expect("an answer");
    match response.status {
        200 => Some(response.json()),
        404 => None,
        _ => panic!("the profile of {user}: {response:?}"),
    }
}
