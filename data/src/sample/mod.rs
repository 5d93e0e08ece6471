//! Made-up people and the feed events about them: deterministic, fast, believable enough for load tests
//! and for training the compression dictionary.
//!
//! Any event can be had by its number alone, so that threads can share the work and a run can be resumed.

mod bodies;
mod calendar;
mod json;
mod person;
mod random;
mod words;

use bodies::fields;
use calendar::{Calendar, rfc3339};
use json::{object, text};
use person::Person;
use random::{Random, mix};

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many people there are; indices run from 0 to here.
    pub users: u64,
    /// Another seed gives other people.
    pub seed: u64,
    /// The time of the newest event, in microseconds since the Unix epoch. Give the clock's time; the
    /// default is the noon of the example citizen, 2026-01-21T12:00:00Z.
    pub base_time: i64,
    /// Over how many days before `base_time` the events lie.
    pub days: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { users: 1_000, seed: 1, base_time: 1_768_996_800_000_000, days: 30 }
    }
}

/// One feed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whose feed it goes to: the last segment of `/api/v2/feeds/{source}`.
    pub source: &'static str,
    /// A CloudEvent in one line of JSON, without a line end.
    pub json: Vec<u8>,
}

/// A sample population.
#[derive(Debug, Clone)]
pub struct Sample {
    options: Options,
}

/// Source and type of an event, and its `data`.
type Body = (&'static str, &'static str, String);

impl Sample {
    /// A population; nothing is made before it is asked for.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// How many people there are.
    #[must_use]
    pub fn users(&self) -> u64 {
        self.options.users
    }

    /// The user id of a person: `usr_` and 12 letters or digits, different for each index.
    #[must_use]
    pub fn user_id(&self, index: u64) -> String {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        // 11 digits of base 62 hold any 64 bits, and `mix` gives no two indices the same.
        let mut number = mix(index ^ mix(self.options.seed));
        let mut id = String::from("usr_S");
        for _ in 0..11 {
            id.push(char::from(DIGITS[(number % 62) as usize]));
            number /= 62;
        }
        id
    }

    /// The events that make a person known, oldest first: identity, metadata, consent, eligibility, one to
    /// three deadlines, predictions, trust and analytics.
    #[must_use]
    pub fn first_events(&self, index: u64) -> Vec<Event> {
        let (person, calendar) = self.person(index);
        let mut random = Random::new(self.options.seed, index, 2);
        let random = &mut random;
        let mut bodies: Vec<Body> = vec![
            ("identity", "identity.verified", bodies::identity(&person, random)),
            ("metadata", "user.metadata.updated", bodies::metadata(&person, random)),
            ("consent", "user.consent.updated", bodies::consent(random)),
            ("eligibility", "eligibility.batch.computed", bodies::eligibility(&person, &calendar, random)),
        ];
        let first_deadline = random.below(8) as usize;
        for offset in 0..random.range(1, 3) as usize {
            let body = bodies::deadline_detected(first_deadline + offset, &calendar, random);
            bodies.push(("deadlines", "deadline.detected", body));
        }
        bodies.push(("predictions", "prediction.generated", bodies::predictions(&person, &calendar, random)));
        bodies.push(("trust", "trust.score.updated", bodies::trust(&calendar, random)));
        bodies.push(("analytics", "analytics.cohort.computed", bodies::cohorts(random)));
        let user = self.user_id(index);
        let number = |position: usize| format!("smp-{index}-f{position}");
        let events = bodies.into_iter().enumerate();
        events.map(|(at, body)| event(&user, &number(at), &rfc3339(calendar.of_first(at)), None, body)).collect()
    }

    /// The nth small change of a person, from 0, later than the one before it and not after `base_time`.
    #[must_use]
    pub fn update(&self, index: u64, n: u64) -> Event {
        let (person, calendar) = self.person(index);
        let time = calendar.of_update(n);
        self.change(index, n, &person, &calendar, time)
    }

    /// The same change at another time, in microseconds since the Unix epoch: for a trickle of events that
    /// happen now.
    #[must_use]
    pub fn update_at(&self, index: u64, n: u64, time: i64) -> Event {
        let (person, calendar) = self.person(index);
        self.change(index, n, &person, &calendar, time)
    }

    /// The first events of everyone, person by person.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        (0..self.options.users).flat_map(|index| self.first_events(index))
    }

    fn person(&self, index: u64) -> (Person, Calendar) {
        let Options { seed, base_time, days, .. } = self.options;
        (Person::new(seed, index), Calendar::new(base_time, days, &mut Random::new(seed, index, 1)))
    }

    fn change(&self, index: u64, n: u64, person: &Person, calendar: &Calendar, time: i64) -> Event {
        let mut random = Random::new(self.options.seed, index, n.wrapping_add(3));
        let (user, id, time) = (self.user_id(index), format!("smp-{index}-u{n}"), rfc3339(time));
        let kind = random.chance(20).then_some("inferred");
        let body = change_body(person, calendar, &time, &mut random);
        event(&user, &id, &time, kind.filter(|_| body.0 == "metadata"), body)
    }
}

/// A change of any event type; small and frequent ones come more often.
fn change_body(person: &Person, calendar: &Calendar, time: &str, random: &mut Random) -> Body {
    match random.below(100) {
        0..30 => ("schemes", "scheme.application.status_changed", bodies::scheme_status(person, random)),
        30..45 => ("predictions", "prediction.generated", object(&[("risk_scores", Some(bodies::risks(random)))])),
        45..48 => ("predictions", "prediction.generated", bodies::predictions(person, calendar, random)),
        48..60 => {
            let kind = random.below(8) as usize;
            ("deadlines", "deadline.detected", bodies::deadline_detected(kind, calendar, random))
        }
        60..70 => {
            let kind = random.below(8) as usize;
            ("deadlines", "deadline.completed", bodies::deadline_completed(kind, calendar, time))
        }
        70..80 => {
            let brackets = &words::INCOMES;
            let economic = object(&[("income_bracket", Some(text(random.pick(brackets))))]);
            ("metadata", "user.metadata.updated", fields(&[("economic", Some(economic))]))
        }
        80..84 => {
            let demographics = object(&[("residency_years", Some(random.range(0, 60).to_string()))]);
            ("self", "user.profile.edited", fields(&[("demographics", Some(demographics))]))
        }
        84..89 => ("analytics", "analytics.cohort.computed", bodies::cohorts(random)),
        89..93 => ("trust", "trust.score.updated", bodies::trust(calendar, random)),
        93..96 => ("eligibility", "eligibility.batch.computed", bodies::eligibility(person, calendar, random)),
        96..98 => ("consent", "user.consent.updated", bodies::consent(random)),
        _ => ("identity", "identity.verified", bodies::identity(person, random)),
    }
}

fn event(user: &str, id: &str, time: &str, kind: Option<&str>, (source, sort, data): Body) -> Event {
    let kind = kind.map_or(String::new(), |kind| format!(r#""kind":"{kind}","#));
    let json = format!(
        concat!(
            r#"{{"specversion":"1.0","id":"{}","source":"/engines/{}","type":"{}","subject":"{}","time":"{}","#,
            r#""datacontenttype":"application/json",{}"data":{}}}"#
        ),
        id, source, sort, user, time, kind, data
    );
    Event { source, json: json.into_bytes() }
}

#[cfg(test)]
mod tests;
