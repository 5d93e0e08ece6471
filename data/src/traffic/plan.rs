//! Which events a person has, when they are observed and when they arrive.

use super::launch::Launch;
use super::rhythm::{delay, instant};
use super::{first_acts, nth_act};
use crate::day::{MINUTE, SECOND};
use crate::event::Act;
use crate::person::Person;
use crate::population::{FIRST_CHANGE, Population};
use crate::random::{Random, purpose};

/// One arrival of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) arrival: i64,
    pub(crate) index: u64,
    /// The event's number among the person's: an event that is delivered again keeps it.
    pub(crate) number: u64,
    pub(crate) observed: i64,
    pub(crate) act: Act,
}

/// Deliveries that are repeats: an engine that did not hear the answer.
const REPEATS: f64 = 0.03;

/// Events of a person, with the same share for everyone who stands in the same place of sixteen: few have many.
const ACTIVITY: [u64; 16] = [2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 7, 8, 10, 17];

/// How many of `events` fall to the person of that number, so that all together have them all.
pub(crate) fn share(index: u64, users: u64, events: u64) -> u64 {
    let until = |index: u64| {
        let (rounds, place) = (index / 16, (index % 16) as usize);
        u128::from(rounds * ACTIVITY.iter().sum::<u64>() + ACTIVITY[..place].iter().sum::<u64>())
    };
    let all = until(users).max(1);
    let before = |index: u64| (until(index) * u128::from(events) / all) as u64;
    before(index + 1) - before(index)
}

/// Adds a person's `count` events to the plan.
pub(crate) fn plan(population: &Population, index: u64, count: u64, plan: &mut Vec<Planned>) {
    let (person, options) = (population.person(index), &population.options);
    let random = &mut Random::of(person.key, purpose::PLAN);
    let end = options.base_time;
    // People come in over the first quarter.
    let first = end - population.span();
    let begin = instant(first, first + population.span() / 4, random);
    let start = plan.len();
    let mut add = |number, observed: i64, act: Act, random: &mut Random| {
        let observed = observed.min(end);
        let arrival = (observed + delay(act.source(), random)).min(end);
        plan.push(Planned { arrival, index, number, observed, act });
    };
    let acts = first_acts(&person, begin);
    let mut left = count;
    for (number, act) in (0..).zip(acts).take(count.try_into().unwrap_or(usize::MAX)) {
        add(
            number,
            begin + number as i64 * (20 * SECOND + random.below(2 * MINUTE.unsigned_abs()) as i64),
            act,
            random,
        );
        left -= 1;
    }
    let here = |launch: &&Launch| launch.state == person.home.state_index && launch.at > begin;
    if let Some(launch) = population.launches.iter().find(here).filter(|_| left > 0) {
        add(FIRST_CHANGE - 1, launch.reaches(random), Act::Evaluated, random);
        left -= 1;
    }
    let repeats = (0..left).filter(|_| random.happens(REPEATS)).count() as u64;
    let mut times: Vec<i64> = (repeats..left).map(|_| instant(begin, end, random)).collect();
    times.sort_unstable();
    for (n, time) in (0..).zip(times) {
        add(FIRST_CHANGE + n, time, nth_act(&person, n), random);
    }
    for _ in 0..repeats {
        let again = plan[start + random.below((plan.len() - start) as u64) as usize];
        let later = random.log_between(SECOND as f64, 20.0 * MINUTE as f64) as i64;
        plan.push(Planned { arrival: (again.arrival + later).min(end), ..again });
    }
}

/// The scheme that a person's state does not have yet at a time.
pub(crate) fn unlaunched(population: &Population, person: &Person, time: i64) -> Option<usize> {
    let launch = population.launches.iter().find(|launch| launch.state == person.home.state_index)?;
    (time < launch.at).then_some(launch.scheme)
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
