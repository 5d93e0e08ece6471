use std::collections::HashSet;

use domain::id::UserId;
use domain::pipeline::validate::validate;
use domain::rules::{Limits, Rules};
use domain::source::Source;
use serde_json::Value;

use super::*;
use crate::GeneratedEvent;

fn population(seed: u64) -> Population {
    Population::new(PopulationOptions { users: 400, seed, ..PopulationOptions::default() })
}

fn parsed(event: &GeneratedEvent) -> Value {
    serde_json::from_slice(&event.json).unwrap()
}

/// Returns the first events of a person and some updates.
fn life(population: &Population, index: u64) -> Vec<GeneratedEvent> {
    let updates = (0..40).map(|n| population.update(index, n));
    population.first_events(index).into_iter().chain(updates).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    assert_eq!(life(&population(7), 3), life(&population(7), 3));
    assert_ne!(life(&population(7), 3), life(&population(8), 3));
    // User ids outlive changes of the model: people write them down.
    assert_eq!(population(1).user_id(0), "usr_S565oQ3379XA");
}

#[test]
fn user_ids_are_valid_unique_and_found_again() {
    let population = population(1);
    let ids: HashSet<String> = (0..100_000).map(|index| population.user_id(index)).collect();
    assert_eq!(ids.len(), 100_000);
    assert!(ids.iter().all(|id| UserId::parse(id).is_ok()));
    assert_eq!(population.find(&population.user_id(123)), Some(123));
    assert_eq!(population.find("usr_S00000000000"), None);
}

#[test]
fn every_event_is_valid_about_its_user_and_has_its_own_id() {
    let districts = |state: &str| crate::districts(state).unwrap().iter().map(|slug| slug.to_string()).collect();
    let rules = Rules {
        zone: jiff::tz::TimeZone::UTC,
        districts: crate::states().iter().map(|state| (state.slug.to_owned(), districts(state.slug))).collect(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Limits::default(),
    };
    let population = population(2);
    for index in 0..400 {
        let mut ids = HashSet::new();
        for event in life(&population, index) {
            let source = Source::parse(event.source).unwrap();
            if let Err(rejection) = validate(&event.json, source, &rules, population.options.base_time) {
                panic!("{rejection} in {}", String::from_utf8_lossy(&event.json));
            }
            let json = parsed(&event);
            assert!(!event.json.contains(&b'\n'));
            assert_eq!(json["subject"], population.user_id(index));
            assert!(ids.insert(json["id"].to_string()), "an id is used twice: {}", json["id"]);
        }
    }
}

#[test]
fn times_rise_and_are_never_in_the_future() {
    let population = population(4);
    let base = population.options.base_time;
    for index in 0..100 {
        let mut last = jiff::Timestamp::MIN;
        for event in life(&population, index) {
            let time: jiff::Timestamp = parsed(&event)["time"].as_str().unwrap().parse().unwrap();
            assert!(last < time && time.as_microsecond() <= base, "{last} {time}");
            last = time;
        }
    }
    let last = parsed(&population.update(0, u64::MAX));
    assert!(last["time"].as_str().unwrap() <= "2026-01-21T12:00:00.000Z", "{last}");
    assert_eq!(parsed(&population.update_at(0, 1, base + 1_000))["time"], "2026-01-21T12:00:00.001Z");
}
