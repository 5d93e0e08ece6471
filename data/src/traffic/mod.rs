//! Traffic: the events of everybody in the order of arrival. Sources disagree, are late, repeat deliveries, and
//! withdraw.

mod plan;
mod rhythm;
#[cfg(test)]
mod tests;

use crate::episode::{FIRST_CHANGE, nth_change};
use crate::event::{self, GeneratedEvent, Subject};
use crate::person::Person;
use crate::population::Population;
use plan::{Planned, plan, share};

/// The events of a slice of time are planned together, so that memory is bounded whatever the number of events.
const SLICE_EVENTS: u64 = 500_000;

/// Number of people after which planning reports its progress.
const PLANNING_STEP: u64 = 65_536;

/// An event as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// When it arrives, in microseconds since the Unix epoch: after its `time`.
    pub at: i64,
    /// The event that arrives.
    pub event: GeneratedEvent,
}

/// All events of a population in the order of their arrival, generated one by one.
#[derive(Debug)]
pub struct Traffic<'p> {
    population: &'p Population,
    events: u64,
    slices: u64,
    /// The next slice of time to be planned.
    next_slice: u64,
    /// The planned events of the current slice, the last arrival first.
    planned: Vec<Planned>,
    on_planning: Option<PlanningProgress<'p>>,
}

/// The function that [`Traffic::on_planning`] was given.
struct PlanningProgress<'p>(Box<dyn FnMut(u64, u64) + 'p>);

impl std::fmt::Debug for PlanningProgress<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PlanningProgress")
    }
}

impl Population {
    /// Returns `events` events about all people, spread over the days, in the order of arrival.
    #[must_use]
    pub fn traffic(&self, events: u64) -> Traffic<'_> {
        Traffic::new(self, events)
    }
}

impl<'p> Traffic<'p> {
    pub(crate) fn new(population: &'p Population, events: u64) -> Self {
        let slices = events.div_ceil(SLICE_EVENTS).max(1);
        Self { population, events, slices, next_slice: 0, planned: Vec::new(), on_planning: None }
    }

    /// Appends the JSON of the next event to `out`, without a line end. Returns the name of its feed and when it
    /// arrives, in microseconds since the Unix epoch; `None` after the last event.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Option<(&'static str, i64)> {
        while self.planned.is_empty() {
            self.plan_slice()?;
        }
        let planned = self.planned.pop()?;
        let person = self.population.person(planned.index);
        let source = self.write(&planned, &person, out);
        Some((source, planned.arrival))
    }

    /// Returns all arrivals of one person, in order.
    #[must_use]
    pub fn of_person(&self, index: u64) -> Vec<Arrival> {
        let mut plan = Vec::new();
        self.plan_person(index, &mut plan);
        plan.sort_unstable_by_key(order);
        let person = self.population.person(index);
        let arrivals = plan.iter().map(|planned| {
            let mut json = Vec::with_capacity(1_024);
            let source = self.write(planned, &person, &mut json);
            Arrival { at: planned.arrival, event: GeneratedEvent { source, json } }
        });
        arrivals.collect()
    }

    /// Returns the change of a person that comes `later` changes after the last one of this traffic, from 0, at `time`
    /// in microseconds since the Unix epoch. It continues where the traffic ended: applications, episodes and event ids
    /// continue.
    #[must_use]
    pub fn later_change(&self, index: u64, later: u64, time: i64) -> GeneratedEvent {
        let mut plan = Vec::new();
        self.plan_person(index, &mut plan);
        let changes = plan.iter().filter_map(|planned| planned.number.checked_sub(FIRST_CHANGE)).max();
        let changes = changes.map_or(0, |last| last + 1).saturating_add(later);
        let person = self.population.person(index);
        let number = changes.saturating_add(FIRST_CHANGE);
        let content = nth_change(&person, changes);
        let planned = Planned { arrival: time, index, number, observed: time, changes, content };
        let mut json = Vec::with_capacity(1_024);
        let source = self.write(&planned, &person, &mut json);
        GeneratedEvent { source, json }
    }

    /// Calls `progress` with the number of people planned so far and the number of all, while a slice of time is
    /// planned: with millions of people that takes seconds before the first event.
    pub fn on_planning(&mut self, progress: impl FnMut(u64, u64) + 'p) {
        self.on_planning = Some(PlanningProgress(Box::new(progress)));
    }

    fn write(&self, planned: &Planned, person: &Person, out: &mut Vec<u8>) -> &'static str {
        let Planned { index, number, observed: time, changes, content, .. } = *planned;
        let user_id = self.population.user_id(index);
        let launch = self.population.launch_in(person.home.state_index);
        let subject = Subject { person, user_id: &user_id, index, number, time, changes, launch };
        event::write(content, &subject, out)
    }

    /// Plans everyone's events of the next slice of time; `None` when there is no more.
    fn plan_slice(&mut self) -> Option<()> {
        if self.next_slice == self.slices {
            return None;
        }
        let (begin, end) = (self.bound(self.next_slice), self.bound(self.next_slice + 1));
        self.next_slice += 1;
        let mut of_person = Vec::new();
        let users = self.population.users();
        for index in 0..users {
            if let Some(PlanningProgress(progress)) = &mut self.on_planning
                && index % PLANNING_STEP == 0
            {
                progress(index, users);
            }
            self.plan_person(index, &mut of_person);
            self.planned.extend(of_person.drain(..).filter(|planned| (begin..end).contains(&planned.arrival)));
        }
        self.planned.sort_unstable_by_key(|planned| std::cmp::Reverse(order(planned)));
        Some(())
    }

    fn plan_person(&self, index: u64, out: &mut Vec<Planned>) {
        let count = share(index, self.population.users(), self.events);
        if count > 0 {
            plan(self.population, index, count, out);
        }
    }

    /// Returns where a slice begins. The last one has no end.
    fn bound(&self, slice: u64) -> i64 {
        let span = self.population.span();
        let first = self.population.options.base_time - span;
        match slice {
            0 => i64::MIN,
            slice if slice == self.slices => i64::MAX,
            slice => first + (i128::from(span) * i128::from(slice) / i128::from(self.slices)) as i64,
        }
    }
}

/// Returns the sort key of an arrival: its time, then person and number.
fn order(planned: &Planned) -> (i64, u64, u64) {
    (planned.arrival, planned.index, planned.number)
}

impl Iterator for Traffic<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let mut json = Vec::with_capacity(1_024);
        let (source, at) = self.next_into(&mut json)?;
        Some(Arrival { at, event: GeneratedEvent { source, json } })
    }
}
