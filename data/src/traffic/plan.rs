//! Which events a person has, when they are observed and when they arrive.

use super::rhythm::{delay, instant};
use crate::content::EventContent;
use crate::day::{MINUTE, SECOND};
use crate::episode::{FIRST_CHANGE, first_contents, nth_change};
use crate::person::Person;
use crate::population::Population;
use crate::random::{Random, purpose};

/// One planned delivery of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) arrival: i64,
    pub(crate) index: u64,
    /// The event's number among the person's: an event that is delivered again keeps it.
    pub(crate) number: u64,
    pub(crate) observed: i64,
    /// How many of the person's changes come before it.
    pub(crate) changes: u64,
    pub(crate) content: EventContent,
}

/// Share of deliveries that are repeats, because an engine did not receive the answer.
const REPEATS: f64 = 0.03;

/// Relative number of events of the people at each position of sixteen: few people have many events.
const ACTIVITY: [u64; 16] = [2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 7, 8, 10, 17];

/// Returns how many of `events` the person of that index has. The shares of all people add up to `events`.
pub(crate) fn share(index: u64, users: u64, events: u64) -> u64 {
    let until = |index: u64| {
        let (rounds, place) = (index / 16, (index % 16) as usize);
        u128::from(rounds * ACTIVITY.iter().sum::<u64>() + ACTIVITY[..place].iter().sum::<u64>())
    };
    let all = until(users).max(1);
    let before = |index: u64| (until(index) * u128::from(events) / all) as u64;
    before(index + 1) - before(index)
}

/// Adds a person's `count` events to the plan: the first events, then a launch, episodes, and repeated deliveries.
pub(crate) fn plan(population: &Population, index: u64, count: u64, plan: &mut Vec<Planned>) {
    let person = population.person(index);
    let random = Random::new(person.key, purpose::PLAN);
    let end = population.options.base_time;
    let mut life = PersonPlan { person: &person, index, end, random, from: plan.len(), left: count, plan };
    // People join during the first quarter of the time.
    let first = end - population.span();
    let begin = instant(first, first + population.span() / 4, &mut life.random);
    let launch = population.launch_in(person.home.state_index);
    let known = life.introduce(begin, launch.map(|launch| launch.scheme));
    let reached = launch.filter(|launch| launch.at > begin).map(|launch| launch.reaches(&mut life.random));
    life.go_on(known, reached);
}

/// A person's events while they are planned.
struct PersonPlan<'p> {
    person: &'p Person,
    index: u64,
    /// No event arrives after this time.
    end: i64,
    random: Random,
    /// Where in the plan the person's events begin.
    from: usize,
    /// Number of events that may still be added.
    left: u64,
    plan: &'p mut Vec<Planned>,
}

impl PersonPlan<'_> {
    /// Adds an event, unless the person has all of theirs already.
    fn add(&mut self, number: u64, changes: u64, time: i64, content: EventContent) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let observed = time.min(self.end);
        let arrival = (observed + delay(content.source(), &mut self.random)).min(self.end);
        self.plan.push(Planned { arrival, index: self.index, number, observed, changes, content });
    }

    /// Adds the first events, within about an hour, and returns the time after them.
    fn introduce(&mut self, begin: i64, new: Option<usize>) -> i64 {
        let mut time = begin;
        for (number, content) in (0..).zip(first_contents(self.person, begin, new)) {
            self.add(number, 0, time, content);
            time += 20 * SECOND + self.random.below(5 * MINUTE.unsigned_abs()) as i64;
        }
        time
    }

    /// Adds an evaluation when a launch reaches the person, episodes until the end, and repeated deliveries of earlier
    /// events.
    fn go_on(&mut self, begin: i64, reached: Option<i64>) {
        let reached = reached.filter(|_| self.left > 0);
        let rest = self.left - u64::from(reached.is_some());
        let repeats = (0..rest).filter(|_| self.random.happens(REPEATS)).count() as u64;
        let mut times: Vec<i64> = (repeats..rest).map(|_| instant(begin, self.end, &mut self.random)).collect();
        times.sort_unstable();
        if let Some(time) = reached {
            // The evaluation is observed between two changes, and reflects those before it.
            let before = times.partition_point(|change| *change < time) as u64;
            self.add(FIRST_CHANGE - 1, before, time, EventContent::Evaluated);
        }
        for (n, time) in (0..).zip(times) {
            self.add(FIRST_CHANGE + n, n, time, nth_change(self.person, n));
        }
        for _ in 0..repeats {
            let again = self.plan[self.from + self.random.below((self.plan.len() - self.from) as u64) as usize];
            let later = self.random.log_between(SECOND as f64, 20.0 * MINUTE as f64) as i64;
            self.plan.push(Planned { arrival: (again.arrival + later).min(self.end), ..again });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_together_has_all_events() {
        for (users, events) in [(1, 7), (16, 100), (1_000, 25_000), (999, 12_345), (50, 3)] {
            let all: u64 = (0..users).map(|index| share(index, users, events)).sum();
            assert_eq!(all, events, "{users} users");
        }
    }
}
