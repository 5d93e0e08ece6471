//! The bytes that the server stores per byte of a posted event, for a user whose profile has the maximum size.

mod fat_user;

use std::fmt::Write as _;

use domain::source::Source;

use crate::fat_user::{BOUND, DEADLINES, Meter, SCHEMES, batch, deadline_id, predictions, scheme_id, tags};

#[test]
fn a_status_costs_a_few_times_its_event() {
    let mut meter = Meter::fat();
    for number in 0..600 {
        let status = ["applied", "active", "rejected"][number / SCHEMES % 3];
        let data = format!(r#"{{"scheme_id":"{}","application_status":"{status}"}}"#, scheme_id(number % SCHEMES));
        meter.post("scheme.application.status_changed", "schemes", &data);
    }
    meter.check(4);
}

#[test]
fn overlays_of_unknown_schemes_that_drive_out_others_cost_a_few_times_their_events() {
    let mut meter = Meter::fat();
    for id in (0..SCHEMES).map(scheme_id).chain((0..300).map(|id| format!("u{id}"))) {
        let data = format!(r#"{{"scheme_id":"{id}","application_status":"lapsed"}}"#);
        meter.post("scheme.application.status_changed", "schemes", &data);
    }
    meter.check(4);
}

#[test]
fn deadlines_that_come_back_larger_or_smaller_stay_within_the_bound() {
    let mut meter = Meter::fat();
    for number in 0..40 {
        meter.detect(number % 20, 2 + number);
    }
    meter.check(5);
    let mut meter = Meter::fat();
    for number in 0..DEADLINES + 100 {
        meter.detect_small(&deadline_id(number % DEADLINES));
    }
    meter.check(BOUND);
    let mut meter = Meter::fat();
    for number in 0..200 {
        // Each removes one large deadline from the view, or from the registers.
        meter.detect_small(&format!("new{number}"));
        meter.complete(&format!("new{number}"), "\"2026-01-20T00:00:00Z\"");
    }
    meter.check(BOUND);
}

#[test]
fn completions_that_let_large_deadlines_in_and_out_stay_within_the_bound() {
    let mut meter = Meter::fat();
    for number in 0..300 {
        let id = deadline_id(number % 50);
        meter.complete(&id, "\"2026-01-20T00:00:00Z\"");
        meter.complete(&id, "null");
    }
    meter.check(BOUND);
    let mut meter = Meter::fat();
    for number in 0..DEADLINES {
        meter.complete(&deadline_id(number), "\"2026-01-20T00:00:00Z\"");
    }
    meter.check(BOUND);
    // Each completion replaces an older one, whose deadline is open again.
    meter.start_over();
    for number in 0..DEADLINES {
        meter.complete(&format!("unknown{number}"), "\"2026-01-20T00:00:00Z\"");
    }
    meter.check(BOUND);
}

#[test]
fn adjudication_and_consent_cost_a_few_times_their_events() {
    let mut meter = Meter::fat();
    let fields = r#"{"economic":{"income_bracket":"0-2.5L","employment_type":"agriculture","tax_regime":"old","bpl_status":true,"ration_card_type":"none"},"family":{"marital_status":"divorced","dependents":50,"members_count":60,"senior_citizen_dependents":50,"children_school_age":50}}"#;
    let other = r#"{"economic":{"income_bracket":"2.5L-5L","employment_type":"self_employed","tax_regime":"none","bpl_status":false,"ration_card_type":"AAY"},"family":{"marital_status":"married","dependents":10,"members_count":10,"senior_citizen_dependents":10,"children_school_age":10}}"#;
    meter.post("user.metadata.updated", "metadata", &format!(r#"{{"fields":{fields}}}"#));
    meter.post("user.profile.edited", "self", &format!(r#"{{"fields":{other}}}"#));
    meter.start_over();
    for number in 0..100 {
        let data = format!(
            r#"{{"source_confidence":{{"self":{{"confidence":0.{},"fields":["economic.*","family.*"]}}}}}}"#,
            1 + number % 2 * 8
        );
        meter.post("trust.score.updated", "trust", &data);
    }
    meter.check(8);
    meter.start_over();
    for number in 0..100 {
        meter.post("user.consent.updated", "consent", &format!(r#"{{"analytics_opt_in":{}}}"#, number % 2 == 0));
    }
    meter.check(4);
}

#[test]
fn what_is_sent_whole_and_withdrawn_again_costs_a_few_times_its_events() {
    let mut meter = Meter::fat();
    for version in 0..20 {
        meter.post("eligibility.batch.computed", "eligibility", &batch(version % 2));
        meter.post(
            "scheme.application.status_changed",
            "schemes",
            r#"{"scheme_id":"s001","application_status":"active"}"#,
        );
        meter.post("eligibility.batch.computed", "eligibility", r#"{"schemes":null}"#);
        meter.post("prediction.generated", "predictions", &predictions(version));
        let null = r#"{"predicted_events":null,"recommended_actions":null,"risk_scores":null}"#;
        meter.post("prediction.generated", "predictions", null);
        meter.post("analytics.cohort.computed", "analytics", &tags(version));
        meter.post("analytics.cohort.computed", "analytics", r#"{"cohort_tags":null}"#);
    }
    meter.check(4);
}

#[test]
fn sections_that_are_withdrawn_and_traces_that_change_cost_a_few_times_their_events() {
    let mut meter = Meter::fat();
    for number in 0..100 {
        let null = r#"{"fields":{"demographics":null,"economic":null,"family":null}}"#;
        meter.post("user.metadata.updated", "metadata", null);
        let mut trace = String::new();
        for (index, source) in Source::ALL.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(trace, r#"{comma}"{}":"verified_2026-01-{:02}""#, source.name(), 1 + number % 28);
        }
        meter.post("trust.score.updated", "trust", &format!(r#"{{"source_trace":{{{trace}}}}}"#));
        meter.post("trust.score.updated", "trust", r#"{"source_trace":null}"#);
    }
    meter.check(6);
}

#[test]
fn a_turn_of_the_day_costs_some_kilobytes_even_where_every_deadline_becomes_overdue() {
    let mut meter = Meter::fat();
    for days in [1, 1, 250] {
        meter.turn(days);
        assert!(meter.stored() < 8192, "{} bytes", meter.stored());
    }
}
