use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use domain::day::Day as CalendarDay;
use domain::id::ProfileId;
use domain::mask_class::MaskClass;
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply, mask};
use domain::rules::{Limits, Rules};
use domain::source::Source;
use domain::state::UserState;
use domain::table::{FIELDS, Leaf, ValueType};
use serde_json::Value;

use super::rhythm::{BY_HOUR, BY_WEEKDAY};
use super::*;
use crate::PopulationOptions;
use crate::day::{DAY, Day, HOUR};
use crate::launch::Launch;

const USERS: u64 = 1_600;
const EVENTS: u64 = 40_000;

fn population(seed: u64) -> Population {
    Population::new(PopulationOptions { users: USERS, seed, ..PopulationOptions::default() })
}

fn rules() -> Rules {
    let districts = |state: &str| crate::districts(state).unwrap().iter().map(|slug| slug.to_string()).collect();
    Rules {
        zone: jiff::tz::TimeZone::get("Asia/Kolkata").unwrap(),
        districts: crate::states().iter().map(|state| (state.slug.to_owned(), districts(state.slug))).collect(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Limits::default(),
    }
}

/// Returns the hour of the day in India.
fn hour(micros: i64) -> usize {
    ((micros - Day::from_micros(micros).start()) / HOUR) as usize
}

fn parsed(event: &GeneratedEvent) -> Value {
    serde_json::from_slice(&event.json).unwrap()
}

fn micros(event: &Value) -> i64 {
    event["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

#[test]
fn every_event_is_valid_and_all_types_and_words_occur() {
    let (population, rules) = (population(1), rules());
    let (mut types, mut words) = (BTreeSet::new(), BTreeSet::new());
    for Arrival { at, event } in population.traffic(EVENTS) {
        let source = Source::parse(event.source).unwrap();
        if let Err(rejection) = validate(&event.json, source, &rules, at) {
            panic!("{rejection} in {}", String::from_utf8_lossy(&event.json));
        }
        let json = parsed(&event);
        types.insert(json["type"].as_str().unwrap().to_owned());
        let data = &json["data"];
        let sections = [("identity", &data["identity"]), ("demographics", &data["address"]), ("consent", data)];
        let patched = ["demographics", "economic", "family"].map(|name| (name, &data["fields"][name]));
        for (section, values) in sections.into_iter().chain(patched) {
            for (name, value) in values.as_object().into_iter().flatten() {
                words.insert((format!("{section}.{name}"), value.as_str().unwrap_or_default().to_owned()));
            }
        }
    }
    let known = domain::event::FeedEventType::ALL.iter().map(|known| known.name().to_owned());
    assert_eq!(types, known.collect());
    for field in FIELDS.iter().filter(|field| !field.path.starts_with("trust.")) {
        let ValueType::Enum(expected) = field.value else { continue };
        for word in expected {
            assert!(words.contains(&(field.path.to_owned(), (*word).to_owned())), "{} is never {word}", field.path);
        }
    }
}

#[test]
fn events_arrive_in_order_after_they_were_observed_and_as_many_as_asked_for() {
    let population = population(2);
    let end = population.options.base_time;
    let (mut last, mut count) = (0, 0);
    for Arrival { at, event } in population.traffic(EVENTS) {
        assert!(last <= at && micros(&parsed(&event)) <= at && at <= end);
        (last, count) = (at, count + 1);
    }
    assert_eq!(count, EVENTS);
}

#[test]
fn the_stream_is_the_same_however_it_is_cut_and_everyone_finds_their_part_in_it() {
    let population = population(3);
    let whole: Vec<Arrival> = population.traffic(6_000).collect();
    let cut: Vec<Arrival> = Traffic { slices: 7, ..population.traffic(6_000) }.collect();
    assert_eq!(whole, cut);
    let mut by_user: HashMap<String, Vec<&Arrival>> = HashMap::new();
    for arrival in &whole {
        by_user.entry(parsed(&arrival.event)["subject"].as_str().unwrap().to_owned()).or_default().push(arrival);
    }
    for index in 0..200 {
        let own = population.traffic(6_000).of_person(index);
        let found = by_user.remove(&population.user_id(index)).unwrap_or_default();
        assert!(own.iter().eq(found), "user {index}");
    }
    assert_ne!(whole[0], self::population(4).traffic(6_000).next().unwrap());
}

#[test]
fn sources_are_late_repeat_themselves_take_back_and_disagree() {
    let population = population(5);
    let (mut newest, mut seen) = (HashMap::<String, i64>::new(), HashSet::new());
    let mut levels: HashMap<String, BTreeSet<String>> = HashMap::new();
    let mut incomes: HashMap<String, BTreeSet<String>> = HashMap::new();
    let (mut out_of_order, mut late, mut repeats, mut withdrawals, mut inferred) = (0, 0, 0, 0, 0);
    for Arrival { at, event } in population.traffic(EVENTS) {
        let json = parsed(&event);
        let (user, time) = (json["subject"].as_str().unwrap().to_owned(), micros(&json));
        let before = newest.entry(user.clone()).or_insert(time);
        out_of_order += u64::from(time < *before);
        *before = time.max(*before);
        late += u64::from(at - time > 6 * HOUR);
        withdrawals += u64::from(event.json.windows(5).any(|text| text == b":null"));
        inferred += u64::from(json["kind"] == "inferred");
        repeats += u64::from(!seen.insert(event.json));
        if let Some(level) = json["data"]["data_sharing_level"].as_str() {
            levels.entry(user.clone()).or_default().insert(level.to_owned());
        }
        if let Some(income) = json["data"]["fields"]["economic"]["income_bracket"].as_str() {
            incomes.entry(user).or_default().insert(income.to_owned());
        }
    }
    let percent = |count: u64| count as f64 * 100.0 / EVENTS as f64;
    for (what, share, least, most) in [
        ("out of order", percent(out_of_order), 3.0, 25.0),
        ("late by hours", percent(late), 1.0, 4.0),
        ("twice", percent(repeats), 1.0, 4.0),
        ("withdrawals", percent(withdrawals), 0.5, 5.0),
        ("inferred", percent(inferred), 0.5, 5.0),
    ] {
        assert!((least..=most).contains(&share), "{what}: {share:.1} % is not within {least} to {most} %");
    }
    let several = |by_user: &HashMap<String, BTreeSet<String>>| by_user.values().filter(|set| set.len() > 1).count();
    assert!(several(&levels) > 50, "{} change consent", several(&levels));
    assert!(several(&incomes) > 50, "sources disagree about the income of {}", several(&incomes));
}

#[test]
fn deadlines_that_are_met_were_found() {
    let (mut found, mut met) = (HashSet::new(), Vec::new());
    for Arrival { event, .. } in population(9).traffic(EVENTS).filter(|arrival| arrival.event.source == "deadlines") {
        let event = parsed(&event);
        let deadline = format!("{} {}", event["subject"], event["data"]["deadline_id"]);
        match event["type"].as_str().unwrap() {
            "deadline.detected" => drop(found.insert(deadline)),
            _ => met.push(deadline),
        }
    }
    // Some fall due between the two, and start again.
    let of_found = met.iter().filter(|deadline| found.contains(*deadline)).count();
    assert!(met.len() > 1_000 && of_found * 100 > met.len() * 93, "{of_found} of {}", met.len());
}

/// Returns the scheme statuses that events carry, oldest first: user, scheme, whether it is a status change, status.
fn scheme_statuses(events: impl Iterator<Item = Value>) -> Vec<(String, String, bool, String)> {
    let mut events: Vec<(i64, Value)> = events.map(|event| (micros(&event), event)).collect();
    events.sort_by_key(|(time, _)| *time);
    let mut statuses = Vec::new();
    for (_, event) in events {
        let data = &event["data"];
        let (items, is_step) = match event["type"].as_str().unwrap() {
            "eligibility.batch.computed" => (data["schemes"].as_array().unwrap().iter().collect(), false),
            "scheme.application.status_changed" => (vec![data], true),
            _ => continue,
        };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let user = text(&event["subject"]);
        let added = items.into_iter().map(|item| (text(&item["scheme_id"]), text(&item["application_status"])));
        statuses.extend(added.map(|(scheme, status)| (user.clone(), scheme, is_step, status)));
    }
    statuses
}

#[test]
fn applications_climb_the_ladder_rung_by_rung_and_later_batches_know_it() {
    for seed in 1..=3 {
        let mut standing: HashMap<(String, String), String> = HashMap::new();
        let (mut steps, mut known) = (0, 0);
        let population = population(seed);
        let traffic = || population.traffic(EVENTS);
        // Changes after the traffic, as in a demo, continue from it.
        let rounds = (0..12).flat_map(|later| (0..USERS).map(move |index| (later, index)));
        let later = rounds.map(|(later, index)| {
            let time = population.options.base_time + (later as i64 + 1) * HOUR;
            traffic().later_change(index, later, time)
        });
        let events = traffic().map(|arrival| arrival.event).chain(later);
        for (user, scheme, is_step, status) in scheme_statuses(events.map(|event| parsed(&event))) {
            let before = standing.insert((user, scheme.clone()), status.clone());
            let Some(before) = before.filter(|before| *before != status) else { continue };
            let is_next = matches!(
                (before.as_str(), status.as_str()),
                ("not_applied" | "rejected" | "lapsed", "applied")
                    | ("applied", "under_review")
                    | ("under_review", "approved" | "rejected")
                    | ("approved", "active")
            );
            assert!(is_next, "{scheme}: {before}, then {status}, a step: {is_step}");
            (steps, known) = (steps + u64::from(is_step), known + u64::from(!is_step));
        }
        assert!(steps > EVENTS / 20 && known == 0, "{steps} steps, {known} that only a batch contains");
    }
}

#[test]
fn the_longest_life_goes_on_without_a_step_back() {
    const LADDER: [&str; 7] = ["not_applied", "applied", "under_review", "approved", "rejected", "active", "lapsed"];
    let rung = |status: &str| LADDER.iter().position(|rung| *rung == status).unwrap();
    let population = population(4);
    for index in 0..30 {
        let mut standing: HashMap<String, String> = HashMap::new();
        let mut steps = 0;
        for (_, scheme, is_step, status) in scheme_statuses((0..800).map(|n| parsed(&population.update(index, n)))) {
            steps += u32::from(is_step);
            let Some(before) = standing.insert(scheme, status.clone()) else { continue };
            let begins_anew = matches!(before.as_str(), "rejected" | "lapsed") && status == "applied";
            assert!(rung(&before) <= rung(&status) || begins_anew, "{before}, then {status} of user {index}");
        }
        assert!(steps > 15 || crate::verdicts(&population.person(index)).is_empty(), "{steps} of user {index}");
    }
}

#[test]
fn nothing_names_a_scheme_before_its_launch_and_its_state_has_it_afterwards() {
    let (mut before, mut after) = (0, 0);
    for seed in 1..=3 {
        let population = population(seed);
        let states: HashMap<String, usize> =
            (0..USERS).map(|index| (population.user_id(index), population.person(index).home.state_index)).collect();
        for Arrival { event, .. } in population.traffic(EVENTS) {
            let json = parsed(&event);
            let Some(launch) = population.launch_in(states[json["subject"].as_str().unwrap()]) else { continue };
            let scheme = &crate::schemes()[launch.scheme].id;
            let text = String::from_utf8(event.json).unwrap();
            let of_scheme = |obligation: &&crate::Obligation| obligation.scheme.as_ref() == Some(scheme);
            let deadlines = crate::obligations().iter().filter(of_scheme).map(|obligation| &obligation.id);
            let named = deadlines.chain([scheme]).any(|id| text.contains(&format!("\"{id}")));
            assert!(!named || micros(&json) >= launch.at, "{text}");
            before += u32::from(micros(&json) < launch.at);
            after += u32::from(named);
        }
    }
    assert!(before > 5_000 && after > 100, "{before} before a launch, {after} name it afterwards");
}

#[test]
fn event_ids_go_on_behind_the_traffic() {
    let population = population(2);
    let mut ids: HashSet<String> = HashSet::new();
    let planned = population.traffic(EVENTS).map(|arrival| parsed(&arrival.event)["id"].to_string());
    ids.extend(planned);
    let traffic = population.traffic(EVENTS);
    for (later, index) in (0..5).flat_map(|later| (0..USERS).map(move |index| (later, index))) {
        let id = parsed(&traffic.later_change(index, later, population.options.base_time))["id"].to_string();
        assert!(ids.insert(id.clone()), "{id} was there before");
    }
}

#[test]
fn planning_reports_its_progress() {
    let population = Population::new(PopulationOptions { users: 3 * PLANNING_STEP, ..PopulationOptions::default() });
    let seen = std::cell::RefCell::new(Vec::new());
    let mut traffic = population.traffic(1_000);
    traffic.on_planning(|people, of| seen.borrow_mut().push((people, of)));
    assert!(traffic.next().is_some());
    drop(traffic);
    let users = population.users();
    assert_eq!(*seen.borrow(), [(0, users), (PLANNING_STEP, users), (2 * PLANNING_STEP, users)]);
}

#[test]
fn day_and_week_have_a_rhythm_and_a_launch_reaches_its_whole_state() {
    let population = population(6);
    let mut by_hour = [0_u64; 24];
    let mut by_weekday = [0_u64; 7];
    let mut reached: BTreeMap<usize, HashSet<String>> = BTreeMap::new();
    for Arrival { at, event } in population.traffic(EVENTS) {
        by_hour[hour(at)] += 1;
        // Whole weeks, after everybody has joined.
        let weeks_before_end = (population.options.base_time - at) / (7 * DAY);
        by_weekday[Day::from_micros(at).weekday()] += u64::from(weeks_before_end < 2);
        let close = |launch: &&Launch| (0..3 * HOUR).contains(&(at - launch.at));
        let Some(launch) = population.launches.iter().find(close).filter(|_| event.source == "eligibility") else {
            continue;
        };
        reached.entry(launch.state).or_default().insert(parsed(&event)["subject"].as_str().unwrap().to_owned());
    }
    assert!(by_hour[11] > 5 * by_hour[3] && by_hour[19] > 3 * by_hour[23], "{by_hour:?} against {BY_HOUR:?}");
    let (workday, sunday) = (by_weekday[..5].iter().sum::<u64>() / 5, by_weekday[6]);
    assert!(sunday * 10 < workday * 7 && sunday * 4 > workday, "{by_weekday:?} against {BY_WEEKDAY:?}");
    let after_begin = population.options.base_time - population.span() * 3 / 4;
    let launch = population.launches.iter().find(|launch| launch.at > after_begin).unwrap();
    let of_state = (0..USERS).filter(|index| population.person(*index).home.state_index == launch.state);
    let (everyone, reached) = (of_state.count(), reached.get(&launch.state).map_or(0, HashSet::len));
    // Who has few events has none left for it, and one in fifty arrives late.
    assert!(everyone > 10 && reached * 10 > everyone * 6, "{reached} of {everyone}");
}

#[test]
#[expect(clippy::print_stdout, reason = "it says how large patches and events are")]
fn assembled_profiles_are_more_complete_than_promised() {
    let (population, rules) = (population(8), rules());
    let end = population.options.base_time;
    let context = AssemblyContext {
        rules: &rules,
        rules_fingerprint: rules.fingerprint(),
        policy_version: 1,
        day: CalendarDay::at(end, &rules.zone),
    };
    let new_user = || NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] };
    let mut states: HashMap<Vec<u8>, Arc<UserState>> = HashMap::new();
    let (mut events, mut event_bytes, mut patches, mut patch_bytes) = (0_u64, 0, 0_u64, 0);
    for Arrival { event, .. } in population.traffic(EVENTS) {
        (events, event_bytes) = (events + 1, event_bytes + event.json.len() as u64);
        let accepted = validate(&event.json, Source::parse(event.source).unwrap(), &rules, end).unwrap();
        let user = accepted.user.as_str().as_bytes().to_vec();
        if let ApplyOutcome::Changed(change) = apply(states.get(&user), new_user, &accepted, &context) {
            let finished = change.finish(&accepted.user, end, 1);
            if let Some(delta) = finished.delta {
                let bytes = serde_json::to_vec(&mask::patch(&delta, MaskClass::UNMASKED)).unwrap().len() as u64;
                (patches, patch_bytes) = (patches + 1, patch_bytes + bytes);
            }
            states.insert(user, finished.state);
        }
    }
    let pct = |state: &Arc<UserState>| {
        let pct = state.profile.get(Leaf::ProfileCompletenessPct).unwrap();
        pct.as_str().parse::<f64>().unwrap()
    };
    let completeness = states.values().map(pct).sum::<f64>() / states.len() as f64;
    let (event_mean, patch_mean) = (event_bytes / events, patch_bytes / patches);
    println!("completeness {completeness:.1} %, mean event {event_mean} B, mean patch {patch_mean} B of {patches}");
    assert_eq!(states.len() as u64, USERS);
    assert!(completeness > 70.0, "{completeness} %");
    assert!(patch_mean < 2_048, "{patch_mean} B");
    // Of what sources disagreed about, the true value has won for most in the end.
    let right = (0..USERS).filter(|index| {
        let income = states[population.user_id(*index).as_bytes()].profile.get(Leaf::EconomicIncomeBracket).cloned();
        income.is_none_or(|income| income.as_str().trim_matches('"') == population.person(*index).means.income.name())
    });
    assert!(right.count() as u64 * 100 > USERS * 90);
}
