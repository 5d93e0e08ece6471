//! The reference against examples worked out by hand from sentences of the specification. Otherwise the reference and the
//! merge could share a misreading.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use crate::random::Random;
use crate::reference::{Fixture, profile};

const DAY: Date = date(2026, 1, 21);

/// Returns the states and districts that the server knows, and its default time zone.
pub(crate) fn fixture() -> Fixture {
    let districts = |state: &str| data::districts(state).into_iter().flatten().map(|slug| (*slug).to_owned()).collect();
    Fixture {
        zone: jiff::tz::TimeZone::get("Asia/Kolkata").expect("a bundled zone"),
        districts: data::states().iter().map(|state| (state.slug.to_owned(), districts(state.slug))).collect(),
    }
}

fn event(source: &str, event_type: &str, id: &str, time: &str, data: Value) -> Value {
    json!({ "id": id, "source": format!("/engines/{source}"), "type": event_type, "time": time, "data": data })
}

fn metadata(id: &str, time: &str, kind: &str, fields: Value) -> Value {
    let mut event = event("metadata", "user.metadata.updated", id, time, json!({ "fields": fields }));
    event["kind"] = json!(kind);
    event
}

fn own_edit(id: &str, time: &str, fields: Value) -> Value {
    event("self", "user.profile.edited", id, time, json!({ "fields": fields }))
}

fn detected(id: &str, time: &str, due_date: &str) -> Value {
    event("deadlines", "deadline.detected", id, time, json!({ "deadline_id": "dl_1", "due_date": due_date }))
}

fn completed(id: &str, time: &str, completed_at: Value) -> Value {
    event("deadlines", "deadline.completed", id, time, json!({ "deadline_id": "dl_1", "completed_at": completed_at }))
}

fn trust(source: &str, confidence: f64, field: &str) -> Value {
    let given = json!({ source: { "confidence": confidence, "fields": [field] } });
    event("trust", "trust.score.updated", "tru-1", "2026-01-01T00:00:00Z", json!({ "source_confidence": given }))
}

#[track_caller]
fn check(day: Date, events: &[Value], pointer: &str, expected: Value) {
    let profile = profile(events, day, &fixture()).expect("a profile");
    assert_eq!(profile.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer} of {profile:#}");
}

#[test]
fn the_example_citizen_comes_out_as_stated_in_every_order_tried() {
    let mut events: Vec<Value> = crate::example_events();
    let mut random = Random(13);
    for round in 0..300 {
        if round < events.len() {
            events.rotate_left(1);
        } else {
            random.shuffle(&mut events);
        }
        let on = |day: Date, pointer: &str, expected: Value| check(day, &events, pointer, expected);
        on(DAY, "/economic/income_bracket", json!("5L-10L"));
        on(DAY, "/demographics/residency_years", json!(6));
        on(DAY, "/demographics/state", json!("karnataka"));
        on(DAY, "/demographics/district", json!("bengaluru_urban"));
        on(DAY, "/demographics/pincode", json!("560001"));
        on(DAY, "/eligibility/eligible_schemes/0/scheme_id", json!("sch_pm_kisan"));
        on(DAY, "/eligibility/eligible_schemes/0/application_status", json!("applied"));
        on(DAY, "/eligibility/total_eligible", json!(2));
        on(DAY, "/eligibility/total_applied", json!(2));
        on(DAY, "/eligibility/total_active", json!(0));
        on(DAY, "/eligibility/potential_annual_benefit_inr", json!(6000));
        on(DAY, "/deadlines/upcoming/0/deadline_id", json!("dl_itr_2026"));
        on(DAY, "/deadlines/upcoming/1", Value::Null);
        on(DAY, "/deadlines/completed_last_90d", json!(1));
        on(DAY, "/profile_completeness_pct", json!(100));
        on(DAY, "/trust/data_freshness_hours", json!(252.5));
        on(DAY, "/consent/consent_updated_at", json!("2026-01-01T00:00:00Z"));
        on(DAY, "/risk_scores/overall", json!(0.2));
        let later = date(2026, 8, 1);
        on(later, "/deadlines/overdue/0/days_remaining", json!(-1));
        on(later, "/deadlines/upcoming", json!([]));
        on(later, "/deadlines/completed_last_90d", json!(0));
    }
}

#[test]
fn the_citizens_word_beats_inference_whatever_the_time() {
    let events = [
        own_edit("a", "2026-01-01T00:00:00Z", json!({ "family": { "dependents": 1 } })),
        metadata("b", "2026-01-09T00:00:00Z", "inferred", json!({ "family": { "dependents": 2 } })),
        trust("metadata", 1.0, "family.*"),
    ];
    check(DAY, &events, "/family/dependents", json!(1));
}

#[test]
fn within_a_rank_the_trust_source_adjudicates_and_then_the_newer_wins() {
    let events = [
        own_edit("a", "2026-01-01T00:00:00Z", json!({ "family": { "dependents": 1 } })),
        metadata("b", "2026-01-09T00:00:00Z", "verified", json!({ "family": { "dependents": 2 } })),
    ];
    check(DAY, &events, "/family/dependents", json!(2));
    for (source, confidence, field, dependents) in [
        ("self", 0.6, "family.dependents", 1),
        ("self", 0.6, "family.*", 1),
        ("metadata", 0.4, "family.*", 1),
        ("self", 0.5, "family.*", 2),
        ("self", 0.6, "family.members_count", 2),
        ("self", 0.6, "family.depend", 2),
    ] {
        let adjudicated = [&events[..], &[trust(source, confidence, field)]].concat();
        check(DAY, &adjudicated, "/family/dependents", json!(dependents));
    }
}

#[test]
fn null_withdraws_every_kind_of_its_source_and_hides_nobody_elses_value() {
    let events = [
        metadata("a", "2026-01-01T00:00:00Z", "verified", json!({ "family": { "dependents": 1 } })),
        metadata("b", "2026-01-02T00:00:00Z", "inferred", json!({ "family": { "dependents": 2 } })),
        own_edit("c", "2026-01-01T00:00:00Z", json!({ "family": { "members_count": 3 } })),
        metadata("d", "2026-01-03T00:00:00Z", "verified", json!({ "family": null })),
    ];
    check(DAY, &events, "/family", json!({ "members_count": 3 }));
    let older = metadata("e", "2026-01-02T12:00:00Z", "user_provided", json!({ "family": { "dependents": 4 } }));
    check(DAY, &[&events[..], &[older]].concat(), "/family/dependents", Value::Null);
    let newer = metadata("f", "2026-01-04T00:00:00Z", "user_provided", json!({ "family": { "dependents": 5 } }));
    check(DAY, &[&events[..], &[newer]].concat(), "/family/dependents", json!(5));
}

#[test]
fn a_district_outside_the_winning_state_is_withheld() {
    let address = json!({ "address": { "state": "goa", "district": "north_goa" } });
    let mut events = vec![
        event("identity", "identity.verified", "a", "2026-01-01T00:00:00Z", address),
        own_edit("b", "2026-01-02T00:00:00Z", json!({ "demographics": { "district": "pune" } })),
    ];
    check(DAY, &events, "/demographics", json!({ "state": "goa" }));
    events.push(own_edit("c", "2026-01-03T00:00:00Z", json!({ "demographics": { "state": "maharashtra" } })));
    check(DAY, &events, "/demographics/district", json!("pune"));
    check(DAY, &events[1..2], "/demographics", Value::Null);
}

#[test]
fn a_deadline_is_done_until_a_newer_detection_reopens_it() {
    let mut events = vec![
        detected("a", "2026-01-01T00:00:00Z", "2026-01-21"),
        completed("b", "2026-01-02T00:00:00Z", json!("2026-01-01T18:30:00Z")),
    ];
    check(DAY, &events, "/deadlines", json!({ "upcoming": [], "overdue": [], "completed_last_90d": 1 }));
    check(date(2026, 4, 1), &events, "/deadlines/completed_last_90d", json!(1));
    check(date(2026, 4, 2), &events, "/deadlines/completed_last_90d", json!(0));
    check(DAY, &events[1..], "/deadlines/completed_last_90d", json!(1));
    let withdrawn = [&events[..], &[completed("b2", "2026-01-02T12:00:00Z", Value::Null)]].concat();
    check(DAY, &withdrawn, "/deadlines/upcoming/0/deadline_id", json!("dl_1"));
    check(DAY, &withdrawn, "/deadlines/completed_last_90d", json!(0));
    events.push(detected("c", "2026-01-03T00:00:00Z", "2026-01-21"));
    check(DAY, &events, "/deadlines/completed_last_90d", json!(0));
    check(DAY, &events, "/deadlines/upcoming/0/days_remaining", json!(0));
    check(date(2026, 1, 22), &events, "/deadlines/overdue/0/days_remaining", json!(-1));
    check(date(2027, 1, 20), &events, "/deadlines/overdue/0/days_remaining", json!(-364));
    check(date(2027, 1, 21), &events, "/deadlines/overdue", json!([]));
}

#[test]
fn equal_times_and_ids_are_decided_by_the_hash_of_the_value() {
    // SHA-256 of `1` begins 6b86, of `2` d473, of `3` 4e07.
    let edits = [1, 2, 3].map(|n| own_edit("a", "2026-01-01T00:00:00Z", json!({ "family": { "dependents": n } })));
    check(DAY, &edits, "/family/dependents", json!(2));
}

#[test]
fn trust_begins_with_the_first_event_of_any_source_but_consent_and_self() {
    let consent = json!({ "analytics_opt_in": null });
    let mut events = vec![
        own_edit("a", "2026-01-19T18:29:59Z", json!({ "family": { "dependents": 1 } })),
        event("consent", "user.consent.updated", "b", "2026-01-02T03:04:05.250Z", consent),
    ];
    check(DAY, &events, "/trust", Value::Null);
    check(DAY, &events, "/consent", json!({ "consent_updated_at": "2026-01-02T03:04:05.25Z" }));
    // 01-20T18:30Z is 00:00 of the day: 1 hour 3 minutes before it, rounded half up.
    events.push(metadata("c", "2026-01-20T17:27:00Z", "inferred", json!({ "family": null })));
    let trace = json!({ "self": "synced_2026-01-19", "consent": "synced_2026-01-02", "metadata": "synced_2026-01-20" });
    check(DAY, &events, "/trust", json!({ "data_freshness_hours": 1.1, "source_trace": trace }));
    check(date(2026, 1, 20), &events, "/trust/data_freshness_hours", json!(0.0));
}
