//! Deadlines: completed, overdue or upcoming on a calendar day.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::Fixture;
use super::registers::{Register, Registers};
use super::time::{local_date, micros};

/// Returns the section, or `None` without any deadline register.
pub(crate) fn section(registers: &Registers, day: Date, fixture: &Fixture) -> Option<Value> {
    let of = |family: &'static str, id: &str| {
        registers.family(family).find(|(found, _)| *found == id).map(|(_, register)| register)
    };
    let families = ["details/", "completion/"];
    let ids: BTreeSet<&str> = families.iter().flat_map(|f| registers.family(f)).map(|(id, _)| id).collect();
    if ids.is_empty() {
        return None;
    }
    let mut shown = Vec::new();
    let mut completed_last_90d = 0;
    for id in ids {
        let (details, completion) = (of("details/", id), of("completion/", id));
        if is_done(details, completion) {
            let completed_at = completion.and_then(|register| register.value.as_ref()).and_then(Value::as_str);
            let age = days_between(local_date(micros(completed_at.expect("a completion")), fixture), day);
            completed_last_90d += u32::from((0..90).contains(&age));
        } else if let Some(details) = details.and_then(|register| register.value.as_ref()) {
            let mut item = details.clone();
            let remaining = days_between(day, due_date(&item));
            item["days_remaining"] = json!(remaining);
            if remaining > -365 {
                shown.push(item);
            }
        }
    }
    shown.sort_by_key(|item| (due_date(item), item["deadline_id"].as_str().expect("an id").to_owned()));
    shown.truncate(256);
    let (overdue, upcoming): (Vec<_>, Vec<_>) = shown.into_iter().partition(|item| due_date(item) < day);
    Some(json!({ "upcoming": upcoming, "overdue": overdue, "completed_last_90d": completed_last_90d }))
}

/// Returns whether a deadline is completed: it has a completion, and no details with a greater stamp.
fn is_done(details: Option<&Register>, completion: Option<&Register>) -> bool {
    match (details, completion) {
        (_, None) => false,
        (_, Some(completion)) if completion.value.is_none() => false,
        (None, Some(_)) => true,
        (Some(details), Some(completion)) => completion.stamp > details.stamp,
    }
}

fn due_date(item: &Value) -> Date {
    item["due_date"].as_str().expect("a date").parse().expect("a calendar date")
}

fn days_between(from: Date, to: Date) -> i32 {
    from.until(to).expect("within range").get_days()
}
