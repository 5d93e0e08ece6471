//! The tables of `--stats`: the population beside published figures, and what its traffic is like.

use std::collections::{BTreeMap, HashMap, HashSet};

use data::figures::{Measured, measure};
use data::{Options, Population};
use domain::table::Leaf;
use jiff::Timestamp;
use serde_json::Value;

use super::super::print_line;
use super::assembly::{Assembly, Effect};

/// People and events whose traffic is looked at.
const USERS: u64 = 2_000;
const EVENTS: u64 = 50_000;

/// An event is late when it arrives this long after it was observed.
const LATE_MICROS: i64 = 3_600 * 1_000_000;

pub(super) fn print(population: &Population, until: Timestamp) -> anyhow::Result<()> {
    let people = (0..population.users()).map(|index| population.person(index));
    print_line(&format!("{} people beside published figures; shares in percent\n", population.users()))?;
    print_line(&format!("  {:<34} {:>9} {:>7} {:>7} {:>8}  source", "", "published", "model", "differs", "may by"))?;
    let measured = measure(people);
    let mut group = "";
    for line in &measured {
        if line.figure.group != group {
            group = line.figure.group;
            print_line(group)?;
        }
        print_line(&row(line))?;
    }
    let apart = measured.iter().filter(|line| !line.holds()).count();
    print_line(&format!("\n{apart} of {} figures are farther apart than they may be\n", measured.len()))?;
    traffic(population.options(), until)
}

fn row(line: &Measured) -> String {
    let figure = &line.figure;
    let mark = if line.holds() { ' ' } else { '!' };
    let name: String = figure.name.chars().take(34).collect();
    format!(
        "{mark} {name:<34} {:>9.2} {:>7.2} {:>+7.2} {:>8.2}  {}",
        figure.published,
        line.model,
        line.difference(),
        figure.tolerance,
        figure.source
    )
}

/// What the events of a smaller population with the same seed and days are like, and the profiles that they make.
fn traffic(options: &Options, until: Timestamp) -> anyhow::Result<()> {
    let population = Population::new(Options { users: USERS, ..options.clone() });
    let mut assembly = Assembly::new(until)?;
    let (mut by_source, mut newest, mut seen) = (BTreeMap::<_, u64>::new(), HashMap::new(), HashSet::new());
    let (mut bytes, mut late, mut overtaken, mut withdrawn, mut repeated) = (0, 0, 0, 0, 0);
    let (mut patches, mut patch_bytes) = (0, 0);
    for arrival in population.traffic(EVENTS) {
        let event: Value = serde_json::from_slice(&arrival.event.json)?;
        let time = event["time"].as_str().unwrap_or_default().parse::<Timestamp>()?.as_microsecond();
        let before = newest.entry(event["subject"].to_string()).or_insert(time);
        overtaken += u64::from(time < *before);
        *before = time.max(*before);
        late += u64::from(arrival.at - time > LATE_MICROS);
        withdrawn += u64::from(event["data"].to_string().contains(":null"));
        repeated += u64::from(!seen.insert(event["id"].to_string()));
        bytes += arrival.event.json.len();
        *by_source.entry(arrival.event.source).or_default() += 1;
        if let Effect::Revision(_, patch) = assembly.take(&arrival)? {
            (patches, patch_bytes) = (patches + 1, patch_bytes + patch);
        }
    }
    let percent = |count: u64| count as f64 * 100.0 / EVENTS as f64;
    print_line(&format!("{EVENTS} events of {USERS} people over {} days, percent", options.days))?;
    for (source, count) in by_source {
        print_line(&format!("  {source:<34} {:>9.1}", percent(count)))?;
    }
    for (what, count) in [
        ("late by more than an hour", late),
        ("overtaken by a newer one", overtaken),
        ("delivered again", repeated),
        ("withdraw a value", withdrawn),
    ] {
        print_line(&format!("  {what:<34} {:>9.1}", percent(count)))?;
    }
    let complete = assembly.states().filter_map(|state| state.profile.get(Leaf::ProfileCompletenessPct));
    let complete: Vec<f64> = complete.filter_map(|pct| pct.as_str().parse().ok()).collect();
    let completeness = complete.iter().sum::<f64>() / complete.len().max(1) as f64;
    print_line("means")?;
    print_line(&format!("  {:<34} {:>9.1} %", "completeness of a profile", completeness))?;
    print_line(&format!("  {:<34} {:>9} bytes", "event", bytes as u64 / EVENTS))?;
    print_line(&format!("  {:<34} {:>9} bytes", "patch", patch_bytes / patches.max(1)))?;
    print_line(&format!("  {:<34} {:>9.1} a person", "revisions", patches as f64 / USERS as f64))?;
    Ok(())
}
