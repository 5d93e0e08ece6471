//! Events of a generated population, of users who are erased and return.

use data::{GeneratedEvent, Population, PopulationOptions};
use domain::event::FeedEvent;
use domain::id::UserId;
use domain::pipeline::validate::validate;
use domain::rules::Rules;
use domain::source::Source;
use jiff::tz::TimeZone;

use crate::live_state::{NOW, Random};

/// Events of a generated population, in any order that a test likes.
pub(crate) struct Events {
    population: Population,
    rules: Rules,
    users: Vec<Life>,
    /// Microseconds after `NOW` of the newest event of a later life. Such an event is later than every erasure before it.
    newest: i64,
}

/// The life of a user whose next event is asked for.
#[derive(Clone, Copy, Default)]
struct Life {
    /// The number of the next update; `None` before the first events.
    next: Option<u64>,
    /// Whether the user may have been erased before. Then the first events register the user again.
    is_later: bool,
}

impl Events {
    pub(crate) fn new(users: usize) -> Self {
        let options = PopulationOptions { users: users as u64, ..PopulationOptions::default() };
        let users = vec![Life::default(); users];
        Self { population: Population::new(options), rules: rules(), users, newest: 0 }
    }

    /// Returns the events of a process that does not know whom those before it have erased. `number` is that of the process,
    /// from 0.
    pub(crate) fn of_process(users: usize, number: u64) -> Self {
        let mut events = Self::new(users);
        events.users.fill(Life { is_later: true, next: None });
        events.newest = number as i64 * 1_000_000_000;
        events
    }

    /// Returns the next events of a user.
    pub(crate) fn of_user(&mut self, number: usize) -> Vec<FeedEvent> {
        let (index, life) = (number as u64, &mut self.users[number]);
        let is_later = life.is_later;
        let events = match &mut life.next {
            None => {
                life.next = Some(0);
                self.population.first_events(index)
            }
            Some(next) => {
                *next += 1;
                vec![self.population.update(index, *next - 1)]
            }
        };
        let mut events: Vec<FeedEvent> = events.iter().map(|event| accept(event, &self.rules)).collect();
        if is_later {
            for event in &mut events {
                self.newest += 1;
                (event.time, event.registration) = (NOW + self.newest, event.source == Source::Identity);
            }
        }
        events
    }

    /// Returns the next events of some users.
    pub(crate) fn of_some(&mut self, random: &mut Random, count: usize) -> Vec<FeedEvent> {
        let users = self.users.len() as u64;
        (0..count).flat_map(|_| self.of_user(random.below(users) as usize)).collect()
    }

    /// Returns whether a user has had events since the beginning, or since the user was erased.
    pub(crate) fn is_alive(&self, number: usize) -> bool {
        self.users[number].next.is_some()
    }

    /// Returns whether a user was erased and has not returned.
    pub(crate) fn has_ended(&self, number: usize) -> bool {
        self.users[number].is_later && !self.is_alive(number)
    }

    /// Records that a user was erased: the next events are those of a new life.
    pub(crate) fn end_life(&mut self, number: usize) {
        self.users[number] = Life { next: None, is_later: true };
    }

    pub(crate) fn user(&self, number: usize) -> UserId {
        UserId::parse(&self.population.user_id(number as u64)).expect("an id")
    }
}

fn accept(event: &GeneratedEvent, rules: &Rules) -> FeedEvent {
    let source = Source::parse(event.source).expect("a source");
    validate(&event.json, source, rules, NOW).unwrap_or_else(|rejection| panic!("{}", rejection.detail()))
}

pub(crate) fn rules() -> Rules {
    let districts = data::states().iter().map(|state| {
        let slugs = data::districts(state.slug).unwrap_or_default().iter().map(|slug| (*slug).to_owned());
        (state.slug.to_owned(), slugs.collect())
    });
    Rules {
        zone: TimeZone::get("Asia/Kolkata").expect("the zone is bundled"),
        districts: districts.collect(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Default::default(),
    }
}
