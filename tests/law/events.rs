//! Random valid event sets of one citizen, made so that events collide: few ids, few times, few values.

mod engines;
mod values;

use jiff::civil::{Date, date};
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use crate::random::Random;
use engines::{Engine, deadline_completed, deadline_detected};

/// The citizen that every event is about.
pub(crate) const SUBJECT: &str = "usr_7Qm2Xr9TzKpA";

/// The day that all dates and times are near.
const ANCHOR: Date = date(2026, 1, 21);

/// Distances in days at which the result of some rule changes.
const DISTANCES: [i64; 17] = [-400, -366, -365, -364, -91, -90, -89, -31, -2, -1, 0, 1, 2, 30, 89, 90, 365];

/// An event set, and the days on which the profile is looked at, ascending.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) events: Vec<Value>,
    pub(crate) days: Vec<Date>,
}

/// The ids, times and paths that the events of one set draw from.
struct Pools {
    times: Vec<String>,
    ids: Vec<String>,
    engines: Vec<Engine>,
    /// Leaves of the shared sections that this set writes often.
    hot_leaves: Vec<&'static str>,
}

impl Case {
    /// Makes the set for `seed`: 1 to 40 events.
    pub(crate) fn small(seed: u64) -> Self {
        let mut random = Random(seed);
        let pools = Pools::draw(&mut random);
        let most = random.pick_number(&[4, 10, 10, 20, 40]);
        let count = 1 + random.below(usize::try_from(most).expect("positive"));
        let events = (0..count).map(|_| pools.event(&mut random)).collect();
        let days = days(&mut random);
        Self { events, days }
    }

    /// Makes a set that exceeds every bound: 256 overlays, 512 details, 512 completions, 256 deadlines shown.
    pub(crate) fn large(seed: u64) -> Self {
        let mut random = Random(seed);
        // With few times and ids, a bound often cuts between equal stamps.
        let pools = Pools { times: (0..3).map(|_| time(&mut random)).collect(), ..Pools::draw(&mut random) };
        let mut events = vec![pools.wrap(Engine::Eligibility, engines::batch(&mut random, 256), &mut random)];
        for number in 0..600 {
            let id = format!("dl_{number}");
            events.push(pools.wrap(Engine::Detected, deadline_detected(&id, &mut random), &mut random));
            if !random.one_in(20) {
                events.push(pools.wrap(Engine::Completed, deadline_completed(&id, &mut random), &mut random));
            }
            if random.one_in(2) {
                events.push(pools.wrap(Engine::Schemes, engines::status_of(number, &mut random), &mut random));
            }
        }
        let days = days(&mut random);
        Self { events, days }
    }
}

impl Pools {
    fn draw(random: &mut Random) -> Self {
        // In a third of the sets, all events write shared paths.
        let mut engines = if random.one_in(3) { Engine::SHARING.to_vec() } else { Engine::ALL.to_vec() };
        random.shuffle(&mut engines);
        engines.truncate(1 + random.below(engines.len()));
        let mut hot_leaves = values::SHARED_LEAVES.to_vec();
        random.shuffle(&mut hot_leaves);
        hot_leaves.truncate(1 + random.below(4));
        Self {
            times: (0..=random.below(6)).map(|_| time(random)).collect(),
            ids: (0..=random.below(5)).map(|number| format!("evt-{number}")).collect(),
            engines,
            hot_leaves,
        }
    }

    fn event(&self, random: &mut Random) -> Value {
        let engine = self.engines[random.below(self.engines.len())];
        let data = engine.data(&self.hot_leaves, random);
        self.wrap(engine, data, random)
    }

    /// Returns the `CloudEvents` envelope around `data`.
    fn wrap(&self, engine: Engine, data: Value, random: &mut Random) -> Value {
        let prefix = random.pick(&["/engines", "/engines", "https://gov.example/feeds"]);
        let mut event = json!({
            "specversion": "1.0",
            "id": self.ids[random.below(self.ids.len())],
            "source": format!("{prefix}/{}", engine.source()),
            "type": engine.event_type(),
            "subject": SUBJECT,
            "time": self.times[random.below(self.times.len())],
            "datacontenttype": "application/json",
            "data": data,
        });
        if random.one_in(3) {
            event["kind"] = json!(random.pick(engine.kinds()));
        }
        event
    }
}

/// Returns one to three days, ascending.
fn days(random: &mut Random) -> Vec<Date> {
    let mut day = ANCHOR + Span::new().days(random.pick_number(&[-1, 0, 0, 1, 90]));
    let mut days = vec![day];
    for _ in 0..random.below(3) {
        day += Span::new().days(random.pick_number(&[1, 1, 2, 89, 90, 275, 364, 365]));
        days.push(day);
    }
    days
}

/// Returns a calendar date near one at which the result of some rule changes.
fn day_near(random: &mut Random) -> Date {
    ANCHOR + Span::new().days(random.pick_number(&DISTANCES))
}

/// Returns an RFC 3339 time, often at midnight of Asia/Kolkata or a microsecond beside it, in one of several spellings.
fn time(random: &mut Random) -> String {
    let midnight: Timestamp = "2026-01-20T18:30:00Z".parse().expect("RFC 3339");
    let seconds = random.pick_number(&DISTANCES) * 86_400 + random.pick_number(&[0, 0, 0, 1, 179, 180, 181, 43_200]);
    let nanoseconds = random.pick_number(&[0, 0, 0, 1_000, -1_000, 250_000_000, -1, 999, 120_000]);
    let time = midnight + Span::new().seconds(seconds).nanoseconds(nanoseconds);
    if random.one_in(4) {
        let zoned = time.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(5))).datetime();
        return format!("{zoned}+05:00");
    }
    time.to_string()
}
