//! Traffic: what arrives at the server, in the order of arrival. Sources disagree, are late, deliver twice, take back.

mod application;
mod episode;
mod launch;
mod plan;
mod rhythm;
#[cfg(test)]
mod tests;

pub(crate) use application::{standing, step};
pub(crate) use episode::nth_act;
pub(crate) use launch::Launch;

use crate::day::Day;
use crate::event::{self, Act, Event, Subject, Topic};
use crate::obligation::duties;
use crate::person::Person;
use crate::population::Population;
use plan::{Planned, plan, share};

/// The events of a slice of time are planned together, so that memory is bounded whatever the number of events.
const SLICE_EVENTS: u64 = 500_000;

/// Most deadlines that are found at the beginning: the soonest.
const FIRST_DUTIES: usize = 3;

/// What makes a person known, in order; `new` is the position of a scheme that is launched in these days.
pub(crate) fn first_acts(person: &Person, begin: i64, new: Option<usize>) -> Vec<Act> {
    let mut acts = Vec::with_capacity(13);
    acts.extend([Act::Identity { stale: false }, Act::Metadata, Act::Consented { sharing: None }, Act::Evaluated]);
    let mut duties: Vec<_> = duties(person, Day::of(begin), new).iter().map(|duty| duty.due).zip(0..).collect();
    duties.sort_unstable();
    acts.extend(duties.into_iter().take(FIRST_DUTIES).map(|(_, duty)| Act::Due { duty }));
    acts.extend([Act::Predicted, Act::Trusted { topic: None }, Act::Counted]);
    // Four in ten also say something themselves.
    if person.key % 10 < 4 {
        acts.push(Act::Edited { topic: Topic::ALL[(person.key / 10 % 9) as usize], wrong: false });
    }
    acts
}

/// An event as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// When it arrives, in microseconds since the Unix epoch: after its `time`.
    pub at: i64,
    /// The event.
    pub event: Event,
}

/// All events of a population in the order of their arrival, made as they are asked for.
#[derive(Debug)]
pub struct Traffic<'p> {
    population: &'p Population,
    events: u64,
    slices: u64,
    /// The next slice of time to be planned.
    next_slice: u64,
    /// The present slice, last arrival first.
    planned: Vec<Planned>,
}

impl<'p> Traffic<'p> {
    pub(crate) fn new(population: &'p Population, events: u64) -> Self {
        let slices = events.div_ceil(SLICE_EVENTS).max(1);
        Self { population, events, slices, next_slice: 0, planned: Vec::new() }
    }

    /// Appends the JSON of the next event to `out`, without a line end. Gives whose feed it goes to and when it
    /// arrives; `None` after the last.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Option<(&'static str, i64)> {
        while self.planned.is_empty() {
            self.plan_slice()?;
        }
        let planned = self.planned.pop()?;
        let person = self.population.person(planned.index);
        let source = self.write(&planned, &person, out);
        Some((source, planned.arrival))
    }

    /// All arrivals of one person, in order.
    #[must_use]
    pub fn of_person(&self, index: u64) -> Vec<Arrival> {
        let mut plan = Vec::new();
        self.plan_person(index, &mut plan);
        plan.sort_unstable_by_key(order);
        let person = self.population.person(index);
        let arrivals = plan.iter().map(|planned| {
            let mut json = Vec::with_capacity(1_024);
            let source = self.write(planned, &person, &mut json);
            Arrival { at: planned.arrival, event: Event { source, json } }
        });
        arrivals.collect()
    }

    fn write(&self, planned: &Planned, person: &Person, out: &mut Vec<u8>) -> &'static str {
        let Planned { index, number, observed: time, changes, act, .. } = *planned;
        let user_id = self.population.user_id(index);
        let launch = self.population.launch_in(person.home.state_index);
        let subject = Subject { person, user_id: &user_id, index, number, time, changes, launch };
        event::write(act, &subject, out)
    }

    /// Plans everyone's events of the next slice of time; `None` when there is no more.
    fn plan_slice(&mut self) -> Option<()> {
        if self.next_slice == self.slices {
            return None;
        }
        let (begin, end) = (self.bound(self.next_slice), self.bound(self.next_slice + 1));
        self.next_slice += 1;
        let mut of_person = Vec::new();
        for index in 0..self.population.users() {
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

    /// Where a slice begins; the last one ends after everything.
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

/// By arrival; what arrives in the same microsecond, by person and number.
fn order(planned: &Planned) -> (i64, u64, u64) {
    (planned.arrival, planned.index, planned.number)
}

impl Iterator for Traffic<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let mut json = Vec::with_capacity(1_024);
        let (source, at) = self.next_into(&mut json)?;
        Some(Arrival { at, event: Event { source, json } })
    }
}
