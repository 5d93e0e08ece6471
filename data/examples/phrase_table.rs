//! Extends the phrase table of the stored form of values, from the facts and the generated population, never from
//! people.
//!
//! `cargo run --release -p data --example phrase_table` appends the phrases that `domain/src/record/tokens/phrases.txt`
//! lacks, the most frequent first. Stored bytes name a phrase by its line, so no line is ever changed, moved or
//! removed. It also writes the values of some people for the tests beside the table.

#![expect(clippy::print_stdout, reason = "it prints what it added")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use data::{Population, PopulationOptions};
use domain::canonical::CanonicalJson;
use domain::day::Day;
use domain::event::RegisterPath;
use domain::id::ProfileId;
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::rules::{Limits, Rules};
use domain::source::Source;
use domain::state::UserState;
use domain::table::{FIELDS, Leaf, Member, ValueType};
use serde_json::Value;

/// How many people's values are counted.
const USERS: u64 = 4_000;
/// Maximum number of changes of a person after the first events.
const UPDATES: u64 = 12;
/// How often an array must occur to become one phrase.
const FREQUENT: u64 = 4;
/// The leaves whose values differ from person to person.
const PERSONAL: [Leaf; 3] = [Leaf::IdentityDisplayName, Leaf::IdentityToken, Leaf::DemographicsPincode];

/// How many people's values are kept for the tests.
const SAMPLE: u64 = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let tokens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/src/record/tokens");
    std::fs::write(tokens.join("tests/sample.txt"), sample()?)?;
    let path = tokens.join("phrases.txt");
    let mut table = std::fs::read_to_string(&path).unwrap_or_default();
    let known: HashSet<String> = table.lines().map(str::to_owned).collect();
    let mut phrases: Vec<(String, u64)> = count(&values()?).into_iter().collect();
    phrases.retain(|(phrase, _)| !known.contains(phrase) && phrase.len() > 4);
    phrases.sort_unstable_by(|(a, often), (b, other)| other.cmp(often).then_with(|| a.cmp(b)));
    for (phrase, _) in &phrases {
        table.push_str(phrase);
        table.push('\n');
    }
    std::fs::write(&path, &table)?;
    println!("{} phrases added to {}", phrases.len(), known.len());
    Ok(())
}

/// Counts the phrases of all values: arrays and pairs first, because the strings inside need no code of their own.
fn count(values: &[Value]) -> HashMap<String, u64> {
    let mut arrays = HashMap::new();
    values.iter().for_each(|value| count_arrays(value, &mut arrays));
    arrays.retain(|_, often| *often >= FREQUENT);
    let mut phrases = facts();
    for value in values {
        count_strings(value, &arrays, &mut phrases);
    }
    phrases.extend(arrays);
    phrases
}

fn count_arrays(value: &Value, arrays: &mut HashMap<String, u64>) {
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            *arrays.entry(value.to_string()).or_default() += 1;
        }
        Value::Array(items) => items.iter().for_each(|item| count_arrays(item, arrays)),
        Value::Object(members) => members.values().for_each(|member| count_arrays(member, arrays)),
        _ => {}
    }
}

fn count_strings(value: &Value, arrays: &HashMap<String, u64>, phrases: &mut HashMap<String, u64>) {
    let mut add = |phrase: String| *phrases.entry(phrase).or_default() += 1;
    match value {
        Value::String(text) if text.starts_with("dl_") => add(quoted(stem(text))),
        Value::String(text) if !is_time(text) => add(quoted(text)),
        Value::Array(_) if arrays.contains_key(&value.to_string()) => {}
        Value::Array(items) => items.iter().for_each(|item| count_strings(item, arrays, phrases)),
        Value::Object(members) => {
            if let (Some(Value::String(id)), Some(Value::String(name))) =
                (members.get("scheme_id"), members.get("scheme_name"))
            {
                add(pair(id, name));
            }
            let covered = members.contains_key("scheme_name");
            let rest =
                members.iter().filter(|(key, _)| !covered || !matches!(key.as_str(), "scheme_id" | "scheme_name"));
            rest.for_each(|(_, member)| count_strings(member, arrays, phrases));
        }
        _ => {}
    }
}

/// Returns a deadline's id without the year or the month at its end.
fn stem(id: &str) -> &str {
    let known = data::obligations().iter().map(|due| due.id.as_str()).filter(|known| id.starts_with(known));
    known.max_by_key(|known| known.len()).unwrap_or(id)
}

/// Returns whether a text is an instant or ends in a date, which have codes of their own.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10 && bytes[bytes.len() - 1].is_ascii_digit() && bytes[bytes.len() - 3] == b'-'
        || bytes.len() >= 20 && bytes[bytes.len() - 1] == b'Z'
}

fn quoted(text: &str) -> String {
    CanonicalJson::string(text).as_str().to_owned()
}

/// Returns the end of a scheme from its id on.
fn pair(id: &str, name: &str) -> String {
    format!("{},\"scheme_name\":{}", quoted(id), quoted(name))
}

/// Returns the phrases that are known whether or not somebody of the sample has them.
fn facts() -> HashMap<String, u64> {
    let mut texts: Vec<&str> = Vec::new();
    for state in data::states() {
        texts.push(state.slug);
        texts.extend(data::districts(state.slug).unwrap_or_default());
    }
    for field in &FIELDS {
        texts.push(field.path);
        if let ValueType::Enum(words) = field.value {
            texts.extend(words);
        }
    }
    texts.extend(domain::table::DOCUMENTS);
    texts.extend(Source::ALL.iter().map(|source| source.name()));
    for scheme in data::schemes() {
        texts.extend([scheme.id.as_str(), scheme.name.as_str()]);
        texts.extend(scheme.rules.keys().map(String::as_str));
    }
    for due in data::obligations() {
        texts.extend([due.id.as_str(), due.sort.as_str(), due.description.as_str(), due.action_url.as_str()]);
    }
    let population = Population::new(options());
    texts.extend((0..20_000).map(|user| population.person(user).given_name));
    let mut facts: HashMap<String, u64> = texts.into_iter().map(|text| (quoted(text), 0)).collect();
    facts.extend(Member::ALL.iter().map(|member| (quoted(&format!("{}.*", member.name())), 0)));
    facts.extend(data::schemes().iter().map(|scheme| (pair(&scheme.id, &scheme.name), 0)));
    facts
}

fn options() -> PopulationOptions {
    PopulationOptions { users: USERS, seed: 20_260_101, ..PopulationOptions::default() }
}

/// Returns the values that are counted.
fn values() -> Result<Vec<Value>, Box<dyn Error>> {
    let mut values = Vec::new();
    for state in states(0..USERS)? {
        for (path, value) in texts(&state) {
            if !PERSONAL.map(RegisterPath::Leaf).contains(&path) {
                values.push(serde_json::from_slice(value.as_bytes())?);
            }
        }
    }
    Ok(values)
}

/// Returns some people's values, one a line.
fn sample() -> Result<String, Box<dyn Error>> {
    let states = states(0..SAMPLE)?;
    let lines = states.iter().flat_map(texts).map(|(_, value)| format!("{}\n", value.as_str()));
    Ok(lines.collect())
}

/// Returns the values of registers, and of leaves that no register holds.
fn texts(state: &Arc<UserState>) -> Vec<(RegisterPath, CanonicalJson)> {
    let registers = state.documents.iter().flat_map(|(_, document)| document.registers());
    let held = registers.filter_map(|register| Some((register.path.clone(), register.value.clone()?)));
    let mut texts: Vec<(RegisterPath, CanonicalJson)> = held.collect();
    for (leaf, value) in state.profile.leaves() {
        if !texts.iter().any(|(_, held)| held == value) {
            texts.push((RegisterPath::Leaf(leaf), value.clone()));
        }
    }
    texts
}

/// Returns the states of some people after their first events and up to [`UPDATES`] more.
fn states(users: Range<u64>) -> Result<Vec<Arc<UserState>>, Box<dyn Error>> {
    let (now, population) = (options().base_time, Population::new(options()));
    let districts = data::states().iter().map(|state| {
        let districts = data::districts(state.slug).unwrap_or_default();
        (state.slug.to_string(), districts.iter().map(ToString::to_string).collect())
    });
    let rules = Rules {
        zone: jiff::tz::TimeZone::get("Asia/Kolkata")?,
        districts: districts.collect::<BTreeMap<_, _>>(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Limits::default(),
    };
    let context = AssemblyContext {
        rules: &rules,
        rules_fingerprint: rules.fingerprint(),
        policy_version: 1,
        day: Day::at(now, &rules.zone),
    };
    let mut states = Vec::new();
    for user in users {
        let mut events = population.first_events(user);
        events.extend((0..user % UPDATES).map(|n| population.update(user, n)));
        let mut state: Option<Arc<UserState>> = None;
        for event in events {
            let source = Source::parse(event.source).ok_or("a source that is none")?;
            let event = validate(&event.json, source, &rules, now).map_err(|rejection| format!("{rejection:?}"))?;
            let new_user = || NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] };
            if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
                state = Some(change.finish(&event.user, now, 900).state);
            }
        }
        states.extend(state);
    }
    Ok(states)
}
