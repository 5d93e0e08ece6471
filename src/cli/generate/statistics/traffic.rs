//! Statistics of events: shares by source, lateness, disagreement of sources, and distribution over time.

use std::collections::{BTreeMap, HashMap, HashSet};

use data::{Population, PopulationOptions};
use domain::table::Leaf;
use jiff::Timestamp;
use serde_json::Value;

use super::super::super::output::{StdoutError, print_line};
use super::super::assembly::{Assembly, EventEffect};

/// Number of people and events in the sample.
const USERS: u64 = 2_000;
const EVENTS: u64 = 50_000;

const HOUR_MICROS: i64 = 3_600 * 1_000_000;

/// An event is late if it arrives this long after it was observed.
const LATE_MICROS: i64 = HOUR_MICROS;

/// Offset of Indian time from UTC.
const INDIA_OFFSET_MICROS: i64 = HOUR_MICROS * 11 / 2;

/// Prints statistics of the events of a small population with the same seed and days, and of the resulting profiles.
pub(super) fn print(options: &PopulationOptions, until: Timestamp) -> anyhow::Result<()> {
    let population = Population::new(PopulationOptions { users: USERS, ..options.clone() });
    let mut assembly = Assembly::new(until)?;
    let (mut by_source, mut newest, mut seen) = (BTreeMap::<_, u64>::new(), HashMap::new(), HashSet::new());
    let (mut bytes, mut late, mut overtaken, mut withdrawn, mut repeated) = (0, 0, 0, 0, 0);
    let (mut patches, mut patch_bytes) = (0, 0);
    let mut statistics = TrafficStatistics::default();
    let state_of = |index| (population.user_id(index), population.person(index).home.state());
    let states: HashMap<String, &str> = (0..USERS).map(state_of).collect();
    for arrival in population.traffic(EVENTS) {
        let event: Value = serde_json::from_slice(&arrival.event.json)?;
        let time = event["time"].as_str().unwrap_or_default().parse::<Timestamp>()?.as_microsecond();
        let before = newest.entry(event["subject"].to_string()).or_insert(time);
        overtaken += u64::from(time < *before);
        *before = time.max(*before);
        statistics.add_event(&event, arrival.event.source);
        let state = event["subject"].as_str().and_then(|user| states.get(user)).copied();
        statistics.add_arrival(arrival.at, state.filter(|_| arrival.event.source == "eligibility"));
        late += u64::from(arrival.at - time > LATE_MICROS);
        withdrawn += u64::from(event["data"].to_string().contains(":null"));
        repeated += u64::from(!seen.insert(event["id"].to_string()));
        bytes += arrival.event.json.len();
        *by_source.entry(arrival.event.source).or_default() += 1;
        if let EventEffect::Revision { patch_bytes: patch, .. } = assembly.apply_arrival(&arrival)? {
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
        ("older than one that came before", overtaken),
        ("repeated deliveries", repeated),
        ("withdraw a value", withdrawn),
        ("change a consent", statistics.consent_changes),
    ] {
        print_line(&format!("  {what:<34} {:>9.1}", percent(count)))?;
    }
    statistics.print(&population)?;
    print_line("means")?;
    print_line(&format!("  {:<34} {:>9.1} %", "completeness of a profile", mean_completeness(&assembly)))?;
    print_line(&format!("  {:<34} {:>9} bytes", "event", bytes as u64 / EVENTS))?;
    print_line(&format!("  {:<34} {:>9} bytes", "patch", patch_bytes / patches.max(1)))?;
    print_line(&format!("  {:<34} {:>9.1} per person", "revisions", patches as f64 / USERS as f64))?;
    Ok(())
}

/// Returns the mean completeness of the profiles, in percent.
fn mean_completeness(assembly: &Assembly) -> f64 {
    let complete = assembly.states().filter_map(|state| state.profile.get(Leaf::ProfileCompletenessPct));
    let complete: Vec<f64> = complete.filter_map(|pct| pct.as_str().parse().ok()).collect();
    complete.iter().sum::<f64>() / complete.len().max(1) as f64
}

/// Counts over a sequence of events.
#[derive(Default)]
struct TrafficStatistics {
    consent_changes: u64,
    consents: HashMap<String, Value>,
    /// The latest value of each source, by user and field.
    values: HashMap<(String, String), BTreeMap<&'static str, Value>>,
    by_hour: [u64; 24],
    /// From Monday.
    by_weekday: [u64; 7],
    /// Eligibility batches by hour since the epoch, in Indian time, and by state.
    bursts: HashMap<(i64, &'static str), u64>,
}

impl TrafficStatistics {
    fn add_event(&mut self, event: &Value, source: &'static str) {
        let (user, data) = (event["subject"].to_string(), &event["data"]);
        if source == "consent" {
            let before = self.consents.insert(user.clone(), data.clone());
            self.consent_changes += u64::from(before.is_some_and(|before| before != *data));
        }
        let sections = data["fields"].as_object().into_iter().flatten();
        let address = data.get("address").map(|address| ("demographics", address));
        for (section, fields) in sections.map(|(name, fields)| (name.as_str(), fields)).chain(address) {
            for (name, value) in fields.as_object().into_iter().flatten() {
                let values = self.values.entry((user.clone(), format!("{section}.{name}"))).or_default();
                match value {
                    Value::Null => drop(values.remove(source)),
                    value => drop(values.insert(source, value.clone())),
                }
            }
        }
    }

    /// Counts the hour of an arrival, and the state if it is an eligibility batch.
    fn add_arrival(&mut self, at: i64, state: Option<&'static str>) {
        let hour = (at + INDIA_OFFSET_MICROS).div_euclid(HOUR_MICROS);
        self.by_hour[hour.rem_euclid(24) as usize] += 1;
        // 1 January 1970 was a Thursday.
        self.by_weekday[(hour.div_euclid(24) + 3).rem_euclid(7) as usize] += 1;
        if let Some(state) = state {
            *self.bursts.entry((hour, state)).or_default() += 1;
        }
    }

    fn print(&self, population: &Population) -> Result<(), StdoutError> {
        let shared: Vec<_> = self.values.values().filter(|values| values.len() > 1).collect();
        let is_disputed =
            |values: &BTreeMap<_, Value>| values.values().any(|value| Some(value) != values.values().next());
        let disputed = shared.iter().filter(|values| is_disputed(values)).count();
        let share = disputed as f64 * 100.0 / shared.len().max(1) as f64;
        print_line("where several sources report the same field of a person")?;
        print_line(&format!("  {:<34} {share:>9.1} of {}", "their latest values differ", shared.len()))?;
        print_line("by hour of the day in India, percent")?;
        for (half, counts) in self.by_hour.chunks(12).enumerate() {
            let shares = counts.iter().map(|count| format!(" {:>5.1}", *count as f64 * 100.0 / EVENTS as f64));
            print_line(&format!("  from {:>2}{}", half * 12, shares.collect::<String>()))?;
        }
        print_line("by day of the week in India, Monday first, percent")?;
        let shares = self.by_weekday.iter().map(|count| format!(" {:>5.1}", *count as f64 * 100.0 / EVENTS as f64));
        print_line(&format!("         {}", shares.collect::<String>()))?;
        // If two hours are equally busy, the earlier one.
        let busiest = self.bursts.iter().max_by_key(|((hour, state), count)| (**count, -hour, *state));
        if let Some(((hour, state), count)) = busiest {
            let is_then = |at: i64| (0..=1).contains(&(hour - (at + INDIA_OFFSET_MICROS).div_euclid(HOUR_MICROS)));
            let launch = population.launches().find(|(of, _, at)| of == state && is_then(*at));
            let cause =
                launch.map_or("no scheme launch".to_owned(), |(_, scheme, _)| format!("the launch of {scheme}"));
            print_line("largest burst of eligibility batches in one hour and state")?;
            print_line(&format!("  {count} batches in {state}: {cause}"))?;
        }
        Ok(())
    }
}
