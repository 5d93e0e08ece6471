use std::collections::{BTreeSet, HashSet};

use domain::id::UserId;
use domain::pipeline::validate::validate;
use domain::rules::{Limits, Rules};
use domain::source::Source;
use domain::table::{Leaf, ValueType};
use serde_json::Value;

use super::*;

fn sample(seed: u64) -> Sample {
    Sample::new(Options { users: 400, seed, ..Options::default() })
}

fn parsed(event: &Event) -> Value {
    serde_json::from_slice(&event.json).unwrap()
}

/// The first events of a person and some updates.
fn life(sample: &Sample, index: u64) -> Vec<Event> {
    let updates = (0..20).map(|n| sample.update(index, n));
    sample.first_events(index).into_iter().chain(updates).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    assert!(sample(7).events().eq(sample(7).events()));
    assert_eq!(sample(7).update(3, 9), sample(7).update(3, 9));
    assert!(sample(7).events().ne(sample(8).events()));
}

#[test]
fn user_ids_are_valid_and_unique() {
    let sample = sample(1);
    let ids: HashSet<String> = (0..100_000).map(|index| sample.user_id(index)).collect();
    assert_eq!(ids.len(), 100_000);
    assert!(ids.iter().all(|id| UserId::parse(id).is_ok()));
}

#[test]
fn every_event_is_a_cloud_event_about_its_user_in_its_source() {
    let sample = sample(2);
    for index in 0..100 {
        let mut ids = HashSet::new();
        for event in life(&sample, index) {
            let json = parsed(&event);
            assert!(!event.json.contains(&b'\n'));
            assert_eq!(json["specversion"], "1.0");
            assert_eq!(json["source"], format!("/engines/{}", event.source));
            assert_eq!(json["subject"], sample.user_id(index));
            assert!(json["data"].is_object());
            assert!(ids.insert(json["id"].to_string()), "an id is used twice: {}", json["id"]);
        }
    }
}

#[test]
fn every_event_passes_validation() {
    let sample = sample(8);
    let districts = |state: &str| crate::districts(state).unwrap().iter().map(|slug| slug.to_string()).collect();
    let rules = Rules {
        zone: jiff::tz::TimeZone::UTC,
        districts: crate::states().iter().map(|state| (state.slug.to_owned(), districts(state.slug))).collect(),
        not_applicable: Vec::new(),
        limits: Limits::default(),
    };
    for event in (0..400).flat_map(|index| life(&sample, index)) {
        let source = Source::parse(event.source).unwrap();
        if let Err(rejection) = validate(&event.json, source, &rules, sample.options.base_time) {
            panic!("{rejection} in {}", String::from_utf8_lossy(&event.json));
        }
    }
}

#[test]
fn every_type_of_event_occurs() {
    let sample = sample(3);
    let types: BTreeSet<String> = (0..100)
        .flat_map(|index| life(&sample, index))
        .map(|event| parsed(&event)["type"].as_str().unwrap().to_owned())
        .collect();
    let example: BTreeSet<String> = crate::example_events()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types, example);
}

#[test]
fn times_rise_and_never_lie_in_the_future() {
    let sample = sample(4);
    let base = rfc3339(sample.options.base_time);
    for index in 0..100 {
        let mut last = jiff::Timestamp::MIN;
        for event in life(&sample, index) {
            let time: jiff::Timestamp = parsed(&event)["time"].as_str().unwrap().parse().unwrap();
            assert!(last < time && time <= base.parse().unwrap(), "{last} {time}");
            last = time;
        }
    }
    assert!(parsed(&sample.update(0, u64::MAX))["time"].as_str().unwrap() <= base.as_str());
    assert_eq!(parsed(&sample.update_at(0, 1, 1_768_996_800_000_001))["time"], "2026-01-21T12:00:00.000001Z");
}

/// Walks the values of the field table that an event carries, and checks each word and range.
#[test]
fn values_are_those_of_the_field_table_and_every_word_occurs() {
    let sample = sample(5);
    let mut seen: BTreeSet<(&str, String)> = BTreeSet::new();
    for event in (0..400).flat_map(|index| life(&sample, index)) {
        let data = parsed(&event)["data"].take();
        let sections = [("identity", &data["identity"]), ("demographics", &data["address"]), ("consent", &data)];
        let patched = ["demographics", "economic", "family"].map(|name| (name, &data["fields"][name]));
        for (section, values) in sections.into_iter().chain(patched) {
            for (name, value) in values.as_object().into_iter().flatten() {
                let Some(leaf) = Leaf::parse(&format!("{section}.{name}")) else { continue };
                let fits = match leaf.field().value {
                    ValueType::Enum(words) => words.contains(&value.as_str().unwrap()),
                    ValueType::Integer { min, max } => (min..=max).contains(&value.as_i64().unwrap()),
                    ValueType::Bool => value.is_boolean(),
                    _ => true,
                };
                assert!(fits, "{section}.{name} = {value}");
                seen.insert((leaf.field().path, value.to_string()));
            }
        }
    }
    for field in domain::table::FIELDS.iter().filter(|field| !field.path.starts_with("trust.")) {
        let ValueType::Enum(words) = field.value else { continue };
        for word in words {
            assert!(seen.contains(&(field.path, format!("\"{word}\""))), "{} is never {word}", field.path);
        }
    }
}

#[test]
fn a_district_lies_in_its_state() {
    let sample = sample(6);
    for index in 0..400 {
        let address = parsed(&sample.first_events(index)[0])["data"]["address"].take();
        let districts = crate::districts(address["state"].as_str().unwrap()).unwrap();
        assert!(districts.contains(&address["district"].as_str().unwrap()));
        assert_eq!(address["pincode"].as_str().unwrap().len(), 6);
    }
}
