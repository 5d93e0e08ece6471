//! Members derived from stamps: data freshness, source trace, and the time of the consent.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::Fixture;
use super::registers::Registers;
use super::sections::winning_leaves;
use super::time::{local_date, rfc_3339};

/// Returns the section `trust`, or `None` without an event of any source except consent and self.
pub(crate) fn trust(registers: &Registers, day: Date, fixture: &Fixture) -> Option<Value> {
    let newest = newest_micros_by_source(registers);
    let fresh = newest.iter().filter(|(source, _)| !["consent", "self"].contains(source));
    let oldest = *fresh.map(|(_, micros)| micros).min()?;
    let mut section = Map::new();
    section.insert("data_freshness_hours".to_owned(), freshness_hours(oldest, day, fixture));
    section.insert("source_trace".to_owned(), source_trace(registers, &newest, fixture));
    if let Some(overall) = registers.winning_value("trust.overall_confidence") {
        section.insert("overall_confidence".to_owned(), overall);
    }
    Some(Value::Object(section))
}

/// Returns the newest stamp of each source; withdrawn registers count too.
fn newest_micros_by_source(registers: &Registers) -> BTreeMap<&str, i64> {
    let mut newest = BTreeMap::new();
    for register in &registers.0 {
        let micros = register.stamp.observed_at_micros;
        newest
            .entry(register.source.as_str())
            .and_modify(|newest: &mut i64| *newest = micros.max(*newest))
            .or_insert(micros);
    }
    newest
}

/// Returns the hours from `oldest` to 00:00 of the day, rounded half up to one decimal, not below 0.
fn freshness_hours(oldest: i64, day: Date, fixture: &Fixture) -> Value {
    const MICROS_PER_TENTH: i64 = 360_000_000;
    let midnight = day.to_zoned(fixture.zone.clone()).expect("within range").timestamp().as_microsecond();
    let tenths = (midnight - oldest + MICROS_PER_TENTH / 2).div_euclid(MICROS_PER_TENTH).max(0);
    #[expect(clippy::cast_precision_loss, reason = "tenths of hours since 2000 are far below 2^53")]
    let hours = tenths as f64 / 10.0;
    json!(hours)
}

fn source_trace(registers: &Registers, newest: &BTreeMap<&str, i64>, fixture: &Fixture) -> Value {
    let mut trace = Map::new();
    for (source, micros) in newest {
        let prefix = match *source {
            "identity" => "verified",
            "metadata" | "self" | "schemes" | "deadlines" | "consent" => "synced",
            _ => "computed",
        };
        let date = local_date(*micros, fixture);
        trace.insert((*source).to_owned(), json!(format!("{prefix}_{date}")));
    }
    if let Some(Value::Object(sent)) = registers.winning_value("trust.source_trace") {
        trace.extend(sent);
    }
    Value::Object(trace)
}

/// Returns the section `consent`: its leaves, and when one of them was last written or withdrawn.
pub(crate) fn consent(registers: &Registers) -> Option<Value> {
    let stamps = registers.family("consent.").map(|(_, register)| register.stamp.observed_at_micros);
    let newest = stamps.max()?;
    let mut section = winning_leaves(registers, "consent");
    section.insert("consent_updated_at".to_owned(), json!(rfc_3339(newest)));
    Some(Value::Object(section))
}
