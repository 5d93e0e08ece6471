//! The story of `--profile`: who somebody is, what was said about them and when, and the profile that comes of it.

use std::collections::HashSet;

use anyhow::{Context, bail};
use data::words::{Document, Status};
use data::{Person, Population, verdicts};
use domain::pipeline::serialize;
use domain::table::LeafSet;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::super::{Unsaid, print_line};
use super::assembly::{Assembly, Effect};

/// Columns of a line.
const WIDTH: usize = 100;

/// What is told about an event when it arrives this long after it was observed.
const LATE_MICROS: i64 = 3_600 * 1_000_000;

pub(super) fn print(population: &Population, index: u64, events: u64, until: Timestamp) -> anyhow::Result<()> {
    let arrivals = population.traffic(events).of_person(index);
    if arrivals.is_empty() {
        bail!("none of {events} events are about person {index}: give more --events, 25 a person say");
    }
    introduce(population, index)?;
    let count = arrivals.len();
    print_line(&format!("\n{count} events in the order of their arrival, by the clock of India\n"))?;
    let (mut assembly, mut seen, mut newest) = (Assembly::new(until)?, HashSet::new(), i64::MIN);
    let zone = TimeZone::get("Asia/Kolkata")?;
    for arrival in &arrivals {
        let event: Value = serde_json::from_slice(&arrival.event.json)?;
        let observed = event["time"].as_str().unwrap_or_default().parse::<Timestamp>()?.as_microsecond();
        let mut remarks = Vec::new();
        if !seen.insert(event["id"].to_string()) {
            remarks.push("again".to_owned());
        }
        if arrival.at - observed > LATE_MICROS {
            remarks.push(format!("{} h late", (arrival.at - observed) / LATE_MICROS));
        }
        if observed < newest {
            remarks.push("overtaken".to_owned());
        }
        newest = newest.max(observed);
        remarks.extend(event["kind"].as_str().map(str::to_owned));
        let effect = match assembly.take(arrival)? {
            Effect::Revision(revision, _) => format!("revision {revision}"),
            Effect::Provenance => "the same values, newly attested".to_owned(),
            Effect::Nothing => "nothing new".to_owned(),
            Effect::Duplicate => "known already".to_owned(),
        };
        let at = Timestamp::from_microsecond(arrival.at)?.to_zoned(zone.clone()).strftime("%d %b %H:%M:%S").to_string();
        let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
        print_line(&format!("{at}  {:<12} -> {effect}{remarks}", arrival.event.source))?;
        let mut said = Vec::new();
        tell(&event["data"], "", &mut said);
        wrap(&said.join(", "), "                 ")?;
    }
    let state = assembly.states().next().context("nobody has said anything")?;
    let profile: Value = serde_json::from_slice(&serialize::view(state, LeafSet::ALL))?;
    print_line("\nThe profile that comes of it\n")?;
    print_line(&serde_json::to_string_pretty(&profile)?)?;
    Ok(())
}

fn introduce(population: &Population, index: u64) -> Result<(), Unsaid> {
    let person = population.person(index);
    let Person { home, means, work, family, .. } = &person;
    let employment = work.employment.map_or("too young for school", |employment| employment.name());
    let regime = work.tax_regime.map_or("does not apply", |regime| regime.name());
    let poor = if means.poor { ", below the poverty line" } else { "" };
    let children: Vec<String> = family.children().map(|age| age.to_string()).collect();
    let children = if children.is_empty() { "none under 18".to_owned() } else { format!("of {}", children.join(", ")) };
    let papers = Document::ALL.iter().filter(|document| person.documents.has_document(**document));
    let papers: Vec<&str> = papers.map(|document| document.name()).collect();
    let verdicts = verdicts(&person);
    let active = verdicts.iter().filter(|verdict| verdict.status == Status::Active).count();
    let names: Vec<&str> = verdicts.iter().map(|verdict| verdict.scheme.name.as_str()).collect();
    print_line(&format!("{} {}., person {index}, {}\n", person.given_name, person.initial, population.user_id(index)))?;
    for (what, told) in [
        ("is", format!("{}, {}, {}", person.age, person.gender.name(), person.category.name())),
        ("lives in", format!("{}, {} ({}, {})", home.district, home.state(), home.settlement.name(), home.pincode)),
        ("for", format!("{} years", home.residency_years)),
        ("works", format!("{employment}; tax regime: {regime}")),
        ("household", format!("{} a year{poor}; ration card: {}", means.income.name(), means.ration_card.name())),
        ("family", format!("{}, {} in the household; children: {children}", family.marital.name(), family.members)),
        ("papers", papers.join(", ")),
        ("shares", person.consent.sharing.name().to_owned()),
        ("schemes", format!("{} accept them, {active} active: {}", names.len(), names.join(", "))),
    ] {
        wrap(&format!("{what:<10} {told}"), "  ")?;
    }
    Ok(())
}

/// An event's data as short phrases.
fn tell(value: &Value, path: &str, said: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = match path {
                    "" | "fields" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                tell(value, &path, said);
            }
        }
        Value::Array(items) => {
            let names = items.iter().map(|item| match item {
                Value::Object(item) => {
                    let name = ["scheme_id", "event", "action"].iter().find_map(|name| item.get(*name)?.as_str());
                    let status = item.get("application_status").and_then(Value::as_str);
                    name.map_or(String::new(), |name| {
                        status.map_or(name.to_owned(), |status| format!("{name}: {status}"))
                    })
                }
                item => plain(item),
            });
            said.push(format!("{path} [{}]", names.collect::<Vec<_>>().join(", ")));
        }
        Value::Null => said.push(format!("{path} withdrawn")),
        value => said.push(format!("{path} {}", plain(value))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Prints text in lines that begin with `margin`.
fn wrap(text: &str, margin: &str) -> Result<(), Unsaid> {
    let mut line = margin.to_owned();
    for word in text.split(' ') {
        if line.len() + word.len() >= WIDTH && line.len() > margin.len() {
            print_line(line.trim_end())?;
            line = margin.to_owned();
        }
        line.push_str(word);
        line.push(' ');
    }
    print_line(line.trim_end())
}
