//! The output of `--profile`: one person, the events about them in order of arrival, and the resulting profile.

use std::collections::HashSet;

use anyhow::{Context, bail};
use data::words::{Document, Status};
use data::{Person, Population, verdicts};
use domain::mask_class::MaskClass;
use domain::pipeline::serialize;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::super::output::{StdoutError, print_line};
use super::assembly::{Assembly, EventEffect};

/// Maximum number of columns of a line.
const MAX_COLUMNS: usize = 100;

const HOUR_MICROS: i64 = 3_600 * 1_000_000;

/// An event is marked as late if it arrives this long after it was observed.
const LATE_MICROS: i64 = HOUR_MICROS;

pub(super) fn print(population: &Population, index: u64, events: u64, until: Timestamp) -> anyhow::Result<()> {
    let arrivals = population.traffic(events).of_person(index);
    if arrivals.is_empty() {
        bail!("none of the {events} events is about person {index}: give more --events, for example 25 per person");
    }
    print_person(population, index)?;
    let count = arrivals.len();
    print_line(&format!("\n{count} events in order of arrival, times of India\n"))?;
    let (mut assembly, mut seen, mut newest) = (Assembly::new(until)?, HashSet::new(), i64::MIN);
    let zone = TimeZone::get("Asia/Kolkata")?;
    for arrival in &arrivals {
        let event: Value = serde_json::from_slice(&arrival.event.json)?;
        let observed = event["time"].as_str().unwrap_or_default().parse::<Timestamp>()?.as_microsecond();
        let mut remarks = Vec::new();
        if !seen.insert(event["id"].to_string()) {
            remarks.push("repeated".to_owned());
        }
        if arrival.at - observed > LATE_MICROS {
            remarks.push(format!("{} h late", (arrival.at - observed) / HOUR_MICROS));
        }
        if observed < newest {
            remarks.push("overtaken".to_owned());
        }
        newest = newest.max(observed);
        remarks.extend(event["kind"].as_str().map(str::to_owned));
        let effect = match assembly.apply_arrival(arrival)? {
            EventEffect::Revision { revision, .. } => format!("revision {revision}"),
            EventEffect::Provenance => "new provenance, same values".to_owned(),
            EventEffect::Unchanged => "no change".to_owned(),
            EventEffect::Duplicate => "duplicate".to_owned(),
        };
        let at = Timestamp::from_microsecond(arrival.at)?.to_zoned(zone.clone()).strftime("%d %b %H:%M:%S").to_string();
        let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
        print_line(&format!("{at}  {:<12} -> {effect}{remarks}", arrival.event.source))?;
        let mut phrases = Vec::new();
        describe(&event["data"], "", &mut phrases);
        wrap(&phrases.join(", "), "                 ")?;
    }
    let state = assembly.states().next().context("no event was applied")?;
    let profile: Value = serde_json::from_slice(&serialize::view(state, MaskClass::UNMASKED))?;
    print_line("\nThe resulting profile\n")?;
    print_line(&serde_json::to_string_pretty(&profile)?)?;
    Ok(())
}

fn print_person(population: &Population, index: u64) -> Result<(), StdoutError> {
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
    for (label, text) in [
        ("person", format!("{}, {}, {}", person.age, person.gender.name(), person.category.name())),
        ("lives in", format!("{}, {} ({}, {})", home.district, home.state(), home.settlement.name(), home.pincode)),
        ("residence", format!("{} years", home.residency_years)),
        ("work", format!("{employment}; tax regime: {regime}")),
        ("household", format!("{} a year{poor}; ration card: {}", means.income.name(), means.ration_card.name())),
        ("family", format!("{}, {} in the household; children: {children}", family.marital.name(), family.members)),
        ("documents", papers.join(", ")),
        ("consent", person.consent.sharing.name().to_owned()),
        ("schemes", format!("{} accept them, {active} active: {}", names.len(), names.join(", "))),
    ] {
        wrap(&format!("{label:<10} {text}"), "  ")?;
    }
    Ok(())
}

/// Describes an event's data in short phrases.
fn describe(value: &Value, path: &str, phrases: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = match path {
                    "" | "fields" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                describe(value, &path, phrases);
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
            phrases.push(format!("{path} [{}]", names.collect::<Vec<_>>().join(", ")));
        }
        Value::Null => phrases.push(format!("{path} withdrawn")),
        value => phrases.push(format!("{path} {}", plain(value))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Prints text in lines that start with `margin`.
fn wrap(text: &str, margin: &str) -> Result<(), StdoutError> {
    let mut line = margin.to_owned();
    for word in text.split(' ') {
        if line.len() + word.len() >= MAX_COLUMNS && line.len() > margin.len() {
            print_line(line.trim_end())?;
            line = margin.to_owned();
        }
        line.push_str(word);
        line.push(' ');
    }
    print_line(line.trim_end())
}
