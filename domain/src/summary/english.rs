//! The template in English.

use super::{Risk, SummaryFacts};
use crate::day::Day;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Returns the sentences of a summary.
pub(super) fn sentences(facts: &SummaryFacts) -> Vec<String> {
    let schemes = facts.total_eligible.map(|count| counted(count, "eligible scheme"));
    let deadlines = facts.upcoming_deadlines.map(|count| counted(count as u64, "upcoming deadline"));
    let counts: Vec<_> = schemes.into_iter().chain(deadlines).collect();
    let mut sentences = Vec::new();
    if !counts.is_empty() {
        sentences.push(format!("The profile has {}.", counts.join(" and ")));
    }
    if let Some((description, due)) = &facts.next_deadline {
        sentences.push(format!("Next is “{description}”, due on {}.", date(*due)));
    }
    let completeness = facts.completeness.map(|pct| format!("The profile is {pct} % complete"));
    let risks = facts.raised_risks.as_ref().map(|risks| match &*risks.iter().copied().map(name).collect::<Vec<_>>() {
        [] => "no risk is raised".to_owned(),
        [one] => format!("the risk of {one} is raised"),
        [first @ .., last] => format!("the risks of {} and {last} are raised", first.join(", ")),
    });
    match (completeness, risks) {
        (Some(completeness), Some(risks)) => sentences.push(format!("{completeness}, and {risks}.")),
        (Some(completeness), None) => sentences.push(format!("{completeness}.")),
        (None, Some(risks)) => sentences.push(format!("In this profile, {risks}.")),
        (None, None) => {}
    }
    if sentences.is_empty() {
        sentences.push("There is nothing to say about this profile.".to_owned());
    }
    sentences
}

fn counted(count: u64, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn name(risk: Risk) -> &'static str {
    match risk {
        Risk::BenefitLapse => "a lapsing benefit",
        Risk::DeadlineMiss => "a missed deadline",
        Risk::DocumentExpiry => "an expiring document",
        Risk::TaxPenalty => "a tax penalty",
    }
}

fn date(day: Day) -> String {
    let date = day.to_date();
    let month = MONTHS[usize::from(date.month().unsigned_abs().clamp(1, 12)) - 1];
    format!("{} {month} {}", date.day(), date.year())
}
