use serde_json::{Value, json};

use super::*;

fn stated(topic: Topic, person: &Person, wrong: bool) -> Value {
    let mut out = Vec::new();
    topic.write(person, wrong, &mut Json::new(&mut out));
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_wrong_word_is_a_neighbour_and_never_from_the_other_end() {
    let place = |words: &[&str], word: Value| words.iter().position(|known| word == *known).unwrap();
    let incomes: Vec<&str> = Income::ALL.iter().map(|income| income.name()).collect();
    let cards: Vec<&str> = RationCard::ALL.iter().map(|card| card.name()).collect();
    for person in (0..2_000).map(|index| Person::new(6, index)) {
        for (topic, words) in [(Topic::Income, &incomes), (Topic::RationCard, &cards)] {
            let (right, wrong) = (stated(topic, &person, false), stated(topic, &person, true));
            assert_eq!(place(words, right).abs_diff(place(words, wrong)), 1, "{topic:?} of {person:?}");
        }
        let years = stated(Topic::ResidencyYears, &person, true).as_u64().unwrap();
        assert!(years <= u64::from(person.age) && years.abs_diff(person.home.residency_years.into()) <= 1);
        assert_ne!(stated(Topic::Settlement, &person, false), stated(Topic::Settlement, &person, true));
    }
}

#[test]
fn sources_agree_on_work_and_family_of_children() {
    for person in (0..2_000).map(|index| Person::new(6, index)) {
        for topic in [Topic::Employment, Topic::Dependents, Topic::SchoolChildren] {
            let is_same = stated(topic, &person, false) == stated(topic, &person, true);
            assert_eq!(is_same, person.age < 18, "{topic:?} of {person:?}");
        }
        if person.age < 6 {
            assert_eq!(stated(Topic::Employment, &person, true), json!("student"));
        }
        if person.age < 60 {
            assert_ne!(stated(Topic::Employment, &person, true), json!("pension"), "{person:?}");
        }
    }
}
