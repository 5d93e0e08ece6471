//! The domain against the reference, on random event sets.

use domain::event::FeedEvent;
use jiff::civil::Date;
use serde_json::Value;

use crate::events::Case;
use crate::random::Random;
use crate::reference::Fixture;
use crate::subject::Domain;
use crate::{case, expected, seeds, sentences};

/// Number of orders in which the domain receives each set.
const ORDERS: usize = 3;

/// One order of the events, as a batch for each day.
struct Schedule {
    batches: Vec<(Date, Vec<usize>)>,
}

impl Schedule {
    /// Draws every event at least once and some again, in random order, split at random over the days.
    fn draw(events: usize, days: &[Date], random: &mut Random) -> Self {
        let mut order: Vec<usize> = (0..events).collect();
        while random.one_in(2) {
            order.push(random.below(events));
        }
        random.shuffle(&mut order);
        let mut batches: Vec<(Date, Vec<usize>)> = days.iter().map(|day| (*day, Vec::new())).collect();
        let mut cuts: Vec<usize> = (1..days.len()).map(|_| random.below(order.len() + 1)).collect();
        cuts.sort_unstable();
        for (position, event) in order.into_iter().enumerate() {
            let batch = cuts.iter().filter(|cut| **cut <= position).count();
            batches[batch].1.push(event);
        }
        Self { batches }
    }
}

/// Returns how the domain breaks the law on a case, or `None` if it does not. A panic is a breach too.
fn breach(case: &Case, seed: u64, fixture: &Fixture, domain: &Domain) -> Option<String> {
    let judged = std::panic::catch_unwind(|| difference_in_any_order(case, seed, fixture, domain));
    judged.unwrap_or_else(|_| Some("with the panic printed above".to_owned()))
}

fn difference_in_any_order(case: &Case, seed: u64, fixture: &Fixture, domain: &Domain) -> Option<String> {
    let mut random = Random(seed.wrapping_mul(3));
    let accepted: Vec<FeedEvent> = case.events.iter().map(|event| domain.accept(event)).collect();
    let last_day = *case.days.last().expect("a day");
    let all = expected(&case.events, last_day, fixture);
    for round in 0..ORDERS {
        let schedule = Schedule::draw(accepted.len(), &case.days, &mut random);
        let mut citizen = domain.citizen();
        let mut seen: Vec<Value> = Vec::new();
        for (day, batch) in schedule.batches {
            citizen.advance_to(day);
            for event in batch {
                citizen.apply(&accepted[event]);
                seen.push(case.events[event].clone());
            }
            if random.one_in(4) {
                citizen.passivate_and_hydrate();
            }
            let due = match (day == last_day, round) {
                (true, _) => all.clone(),
                // The events so far are a set of their own. Compared in one order only, because the reference is slow.
                (false, 0) => expected(&seen, day, fixture),
                (false, _) => continue,
            };
            if citizen.profile() != due {
                return Some(difference(day, &seen, due, citizen.profile()));
            }
        }
        let again = &accepted[random.below(accepted.len())];
        if citizen.apply(again) {
            return Some(format!("event `{}` is applied again", again.id.as_str()));
        }
    }
    None
}

fn difference(day: Date, seen: &[Value], expected: Option<String>, found: Option<String>) -> String {
    let events: Vec<String> = seen.iter().map(Value::to_string).collect();
    let (expected, found) = (expected.unwrap_or_default(), found.unwrap_or_default());
    format!("on {day}, in this order:\n{}\nreference {expected}\ndomain    {found}", events.join("\n"))
}

/// Removes runs of events, ever smaller ones, as long as the law stays broken.
fn smallest(mut case: Case, seed: u64, fixture: &Fixture, domain: &Domain) -> Case {
    let mut run = case.events.len() / 2;
    while run > 0 {
        let mut start = 0;
        while start < case.events.len() && case.events.len() > 1 {
            let mut fewer = case.clone();
            fewer.events.drain(start..(start + run).min(case.events.len()));
            if !fewer.events.is_empty() && any_breach(&fewer, seed, fixture, domain).is_some() {
                case = fewer;
            } else {
                start += run;
            }
        }
        run /= 2;
    }
    case
}

/// Tries several schedules, because without some events the same seed gives other schedules.
fn any_breach(case: &Case, seed: u64, fixture: &Fixture, domain: &Domain) -> Option<String> {
    (0..8).find_map(|draw| breach(case, seed.wrapping_add(draw), fixture, domain))
}

#[test]
fn assembly_is_order_free() {
    let fixture = sentences::fixture();
    let domain = Domain::new(&fixture);
    for seed in seeds(20_000) {
        let case = case(seed);
        if let Some(first) = breach(&case, seed, &fixture, &domain) {
            let small = smallest(case, seed, &fixture, &domain);
            let reason = any_breach(&small, seed, &fixture, &domain).unwrap_or(first);
            panic!("LAW_SEED={seed} LAW_CASES=1 breaks the law {reason}");
        }
    }
}

#[test]
fn the_record_and_the_patch_of_every_step_lead_to_its_profile() {
    let fixture = sentences::fixture();
    let domain = Domain::new(&fixture);
    for seed in seeds(1_000) {
        let case = Case::small(seed);
        let mut citizen = domain.citizen();
        citizen.every_step_is_checked = true;
        for (position, event) in case.events.iter().enumerate() {
            citizen.advance_to(case.days[position * case.days.len() / case.events.len()]);
            citizen.apply(&domain.accept(event));
        }
    }
}
