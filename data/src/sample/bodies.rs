//! The `data` of each event type, as the table in the specification of events has it.

use super::Calendar;
use super::json::{array, object, text, texts};
use super::person::Person;
use super::random::Random;
use super::words::{ACTIONS, CONFIDENCES, DEADLINES, DOCUMENTS, EVENTS, PRIORITIES, RULES, SHARING, STATUSES, TAGS};

pub(super) fn identity(person: &Person, random: &mut Random) -> String {
    let documents = 2 + random.below(4) as usize;
    let identity = object(&[
        ("display_name", Some(text(&person.display_name))),
        ("age_bracket", Some(text(person.age))),
        ("gender", Some(text(person.gender))),
        ("category", Some(text(person.category))),
        ("verified_documents", Some(texts(&random.some(&DOCUMENTS, documents)))),
        ("delegation_active", Some(random.chance(5).to_string())),
    ]);
    let address = object(&[
        ("state", Some(text(person.state))),
        ("district", Some(text(person.district))),
        ("pincode", Some(text(&person.pincode.to_string()))),
    ]);
    object(&[("identity_token", Some(text(&token(random)))), ("identity", Some(identity)), ("address", Some(address))])
}

/// Letters only: digits in a row could pass for a phone number.
fn token(random: &mut Random) -> String {
    let letters = (0..12).map(|_| char::from(b'a' + random.below(26) as u8));
    "tok_".chars().chain(letters).collect()
}

/// All that metadata knows. Now and then it lacks a field, so that profiles differ in completeness.
pub(super) fn metadata(person: &Person, random: &mut Random) -> String {
    let mut mostly = |value: String| (!random.chance(8)).then_some(value);
    let demographics = object(&[
        ("urban_rural", mostly(text(person.settlement))),
        ("residency_years", mostly(person.residency_years.to_string())),
    ]);
    let economic = object(&[
        ("income_bracket", Some(text(person.income))),
        ("employment_type", Some(text(person.employment))),
        ("tax_regime", person.tax_regime.map(text)),
        ("bpl_status", mostly(person.below_poverty_line.to_string())),
        ("ration_card_type", mostly(text(person.ration_card))),
    ]);
    let family = object(&[
        ("marital_status", mostly(text(person.marital))),
        ("dependents", Some(person.dependents.to_string())),
        ("members_count", Some((person.dependents + 1).to_string())),
        ("senior_citizen_dependents", mostly(person.seniors.to_string())),
        ("children_school_age", mostly(person.children.to_string())),
    ]);
    fields(&[("demographics", Some(demographics)), ("economic", Some(economic)), ("family", Some(family))])
}

/// A merge patch over the three shared sections.
pub(super) fn fields(sections: &[(&str, Option<String>)]) -> String {
    object(&[("fields", Some(object(sections)))])
}

pub(super) fn consent(random: &mut Random) -> String {
    object(&[
        ("data_sharing_level", Some(text(random.pick(&SHARING)))),
        ("analytics_opt_in", Some(random.chance(80).to_string())),
        ("third_party_sharing", Some(random.chance(30).to_string())),
    ])
}

pub(super) fn eligibility(person: &Person, calendar: &Calendar, random: &mut Random) -> String {
    let schemes = person.schemes.iter().map(|(id, name, benefit)| {
        let rules = 1 + random.below(4) as usize;
        object(&[
            ("scheme_id", Some(text(id))),
            ("scheme_name", Some(text(name))),
            ("confidence", Some(random.fraction(40, 99))),
            ("matched_rules", Some(texts(&random.some(&RULES, rules)))),
            ("application_status", Some(text(random.pick(&STATUSES)))),
            ("deadline", random.chance(50).then(|| text(&calendar.day(random.range(5, 200))))),
            ("annual_benefit_inr", (*benefit > 0).then(|| benefit.to_string())),
        ])
    });
    let schemes = array(schemes.collect::<Vec<_>>());
    object(&[("schemes", Some(schemes))])
}

pub(super) fn scheme_status(person: &Person, random: &mut Random) -> String {
    let (id, ..) = random.pick(&person.schemes);
    object(&[("scheme_id", Some(text(id))), ("application_status", Some(text(random.pick(&STATUSES))))])
}

/// Which of the deadlines a person has, by position.
pub(super) fn deadline_detected(kind: usize, calendar: &Calendar, random: &mut Random) -> String {
    let (id, sort, description, action) = DEADLINES[kind % DEADLINES.len()];
    object(&[
        ("deadline_id", Some(text(&format!("{id}_{}", calendar.year())))),
        ("type", Some(text(sort))),
        ("description", Some(text(description))),
        ("due_date", Some(text(&calendar.day(random.range(-30, 240))))),
        ("priority", Some(text(random.pick(&PRIORITIES)))),
        ("action_url", Some(text(action))),
    ])
}

pub(super) fn deadline_completed(kind: usize, calendar: &Calendar, at: &str) -> String {
    let (id, ..) = DEADLINES[kind % DEADLINES.len()];
    object(&[("deadline_id", Some(text(&format!("{id}_{}", calendar.year())))), ("completed_at", Some(text(at)))])
}

pub(super) fn trust(calendar: &Calendar, random: &mut Random) -> String {
    let trace = object(&[("identity", Some(text(&format!("verified_{}", calendar.first_day()))))]);
    let fields = texts(&["economic.income_bracket", "family.members_count"]);
    let metadata = object(&[("confidence", Some(random.fraction(50, 95))), ("fields", Some(fields))]);
    let adjudication = object(&[("metadata", Some(metadata))]);
    object(&[
        ("overall_confidence", Some(text(random.pick(&CONFIDENCES)))),
        ("source_trace", Some(trace)),
        ("source_confidence", random.chance(40).then_some(adjudication)),
    ])
}

pub(super) fn predictions(person: &Person, calendar: &Calendar, random: &mut Random) -> String {
    let event_count = 1 + random.below(3) as usize;
    let events = random.some(&EVENTS, event_count).into_iter().map(|event| {
        let (scheme, ..) = random.pick(&person.schemes);
        object(&[
            ("event", Some(text(event))),
            ("estimated_date", Some(text(&calendar.day(random.range(20, 500))))),
            ("related_schemes", Some(texts(&[scheme]))),
            ("confidence", Some(random.fraction(40, 95))),
        ])
    });
    let events = array(events.collect::<Vec<_>>());
    let action_count = 1 + random.below(3) as usize;
    let actions = random.some(&ACTIONS, action_count).into_iter().enumerate().map(|(index, (action, reason))| {
        let (scheme, ..) = random.pick(&person.schemes);
        object(&[
            ("action", Some(text(action))),
            ("scheme_id", (action == "apply_scheme").then(|| text(scheme))),
            ("reason", Some(text(reason))),
            ("priority", Some((index + 1).to_string())),
        ])
    });
    let actions = array(actions.collect::<Vec<_>>());
    object(&[
        ("predicted_events", Some(events)),
        ("recommended_actions", Some(actions)),
        ("risk_scores", Some(risks(random))),
    ])
}

/// The four risks; most are small.
pub(super) fn risks(random: &mut Random) -> String {
    let mut risk = || {
        let highest = random.pick(&[9, 20, 40, 90]);
        Some(random.fraction(0, highest))
    };
    object(&[
        ("deadline_miss_risk", risk()),
        ("benefit_lapse_risk", risk()),
        ("tax_penalty_risk", risk()),
        ("document_expiry_risk", risk()),
    ])
}

pub(super) fn cohorts(random: &mut Random) -> String {
    let tags = 1 + random.below(4) as usize;
    let metrics = object(&[("logins_90d", Some(random.below(60).to_string()))]);
    object(&[("cohort_tags", Some(texts(&random.some(&TAGS, tags)))), ("aggregated_metrics", Some(metrics))])
}
