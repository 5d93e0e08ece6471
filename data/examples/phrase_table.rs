//! Extends the phrase table of the stored form of values, from the facts and the generated population, never from
//! people.
//!
//! `cargo run --release -p data --example phrase_table` appends the phrases that `domain/src/record/tokens/phrases.txt`
//! lacks, the most frequent first. Stored bytes name a phrase by its line, so no line is ever changed, moved or
//! removed. It also writes the values of some people for the tests beside the table.

#![expect(clippy::print_stdout, reason = "it prints what it added")]

mod rules;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use data::{Population, PopulationOptions, Scheme};
use domain::canonical::CanonicalJson;
use domain::day::Day;
use domain::event::RegisterPath;
use domain::id::ProfileId;
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::source::Source;
use domain::state::UserState;
use domain::table::{FIELDS, Leaf, Member, ValueType};
use serde_json::{Map, Value};

use rules::rules;

/// How many people's values are counted.
const USERS: u64 = 4_000;
/// Maximum number of changes of a person after the first events.
const UPDATES: u64 = 12;
/// How often an array or the end of an object must occur to become one phrase.
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

/// Counts the phrases of all values: ends of objects first, then arrays and strings that are not within those before,
/// because they need no code of their own there.
fn count(values: &[Value]) -> HashMap<String, u64> {
    let mut phrases = facts();
    let mut spans = HashMap::new();
    for kind in [Kind::End, Kind::Array, Kind::String] {
        let mut counted = HashMap::new();
        values.iter().for_each(|value| count_kind(kind, value, &spans, &mut counted));
        if kind != Kind::String {
            counted.retain(|_, often| *often >= FREQUENT);
            spans.extend(counted.clone());
        }
        counted.into_iter().for_each(|(phrase, often)| *phrases.entry(phrase).or_default() += often);
    }
    phrases
}

/// A kind of phrase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    End,
    Array,
    String,
}

/// Where an object's end may be one phrase: from the value of the first name on; the names are the last of the object.
const ENDS: [&[&str]; 3] =
    [&["matched_rules", "scheme_id", "scheme_name"], &["scheme_id", "scheme_name"], &["priority", "type"]];

/// Returns the text of an object's end, if it has these names.
fn end(members: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            text.push_str(&format!(",\"{name}\":"));
        }
        text.push_str(&members.get(*name)?.to_string());
    }
    (members.keys().next_back().map(String::as_str) == names.last().copied()).then_some(text)
}

/// Counts the phrases of a kind that are not within a span.
fn count_kind(kind: Kind, value: &Value, spans: &HashMap<String, u64>, counted: &mut HashMap<String, u64>) {
    let mut add = |phrase: String| *counted.entry(phrase).or_default() += 1;
    match value {
        Value::String(text) if kind == Kind::String && text.starts_with("dl_") => add(quoted(stem(text))),
        Value::String(text) if kind == Kind::String && !is_time(text) => add(quoted(text)),
        Value::Array(items) => {
            let strings = !items.is_empty() && items.iter().all(Value::is_string);
            if kind == Kind::Array && strings {
                return add(value.to_string());
            }
            if !strings || !spans.contains_key(&value.to_string()) {
                items.iter().for_each(|item| count_kind(kind, item, spans, counted));
            }
        }
        Value::Object(members) => {
            if kind == Kind::End {
                ENDS.iter().filter_map(|names| end(members, names)).take(1).for_each(&mut add);
            }
            let known = |names: &&&[&str]| end(members, names).is_some_and(|end| spans.contains_key(&end));
            let covered = ENDS.iter().find(known).copied().unwrap_or_default();
            let rest = members.iter().filter(|(name, _)| !covered.contains(&name.as_str()));
            rest.for_each(|(_, member)| count_kind(kind, member, spans, counted));
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

/// Returns the ends of a scheme.
fn ends(scheme: &Scheme) -> [String; 2] {
    let rules: Vec<String> = scheme.rules.keys().map(|rule| quoted(rule)).collect();
    let short = format!("{},\"scheme_name\":{}", quoted(&scheme.id), quoted(&scheme.name));
    [format!("[{}],\"scheme_id\":{short}", rules.join(",")), short]
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
    facts.extend(data::schemes().iter().flat_map(ends).map(|end| (end, 0)));
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
    let rules = rules()?;
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
