//! Class RED in data: refused in texts and in ids.

use super::data::{action, deadline, predicted, refuse, scheme, with};
use super::*;
use crate::event::FeedEventType::*;

#[test]
fn class_red_is_refused_wherever_text_is_free() {
    let red = "call 98765 43210";
    for (event_type, data, pointer) in [
        (DeadlineDetected, with(deadline(), "description", json!(red)), "/data/description"),
        (DeadlineDetected, with(deadline(), "type", json!(red)), "/data/type"),
        (DeadlineDetected, with(deadline(), "action_url", json!("/pan/ABCPE1234F")), "/data/action_url"),
        (
            EligibilityBatchComputed,
            json!({"schemes": [with(scheme("a"), "scheme_name", json!("2341-2341-2346"))]}),
            "/data/schemes/0/scheme_name",
        ),
        (
            EligibilityBatchComputed,
            json!({"schemes": [with(scheme("a"), "matched_rules", json!(["r", red]))]}),
            "/data/schemes/0/matched_rules/1",
        ),
        (
            PredictionGenerated,
            json!({"predicted_events": [with(predicted(), "event", json!(red))]}),
            "/data/predicted_events/0/event",
        ),
        (
            PredictionGenerated,
            json!({"recommended_actions": [with(action(), "reason", json!(red))]}),
            "/data/recommended_actions/0/reason",
        ),
        (
            PredictionGenerated,
            json!({"recommended_actions": [with(action(), "action", json!(red))]}),
            "/data/recommended_actions/0/action",
        ),
        (AnalyticsCohortComputed, json!({"cohort_tags": [red]}), "/data/cohort_tags/0"),
        (AnalyticsCohortComputed, json!({"aggregated_metrics": {"a": [{"b": red}]}}), "/data/aggregated_metrics/a/0/b"),
        (AnalyticsCohortComputed, json!({"aggregated_metrics": {"9876543210": 1}}), "/data/aggregated_metrics"),
    ] {
        assert!(refuse(event_type, data, EventProblem::ClassRed, pointer).red);
    }
}

#[test]
fn class_red_is_refused_in_every_script_and_with_every_separator() {
    for red in [
        "۲۳۴۱ ۲۳۴۱ ۲۳۴۶",
        "᱒᱓᱔᱑ ᱒᱓᱔᱑ ᱒᱓᱔᱖",
        "꯲꯳꯴꯱ ꯲꯳꯴꯱ ꯲꯳꯴꯶",
        "2341.2341.2346",
        "2341\u{2060}2341\u{feff}2346",
        "+91 (98765) 43210",
        "98765/43210",
        "ABCPE 1234 F",
        "011-23456789",
    ] {
        let data = with(deadline(), "description", json!(red));
        refuse(DeadlineDetected, data, EventProblem::ClassRed, "/data/description");
    }
    for taken in ["help line 1800-123-4567", "due 31.07.2026 10:30", "Rs 6,000.00 by 2026-07-31"] {
        let event = event(DeadlineDetected, with(deadline(), "description", json!(taken)));
        assert!(post(DeadlineDetected, &event).is_ok(), "{taken}");
    }
    for red in ["/call?n=%39876543210", "/call?n=98765+43210", "/id/2341%202341%202346", "/id?a=2341,2341,2346"] {
        let data = with(deadline(), "action_url", json!(red));
        refuse(DeadlineDetected, data, EventProblem::ClassRed, "/data/action_url");
    }
}

#[test]
fn class_red_is_refused_in_ids() {
    let red = "dl_9876543210";
    let status = |id: &str| json!({"scheme_id": id, "application_status": "applied"});
    for (event_type, data, pointer) in [
        (DeadlineDetected, with(deadline(), "deadline_id", json!(red)), "/data/deadline_id"),
        (DeadlineCompleted, json!({"deadline_id": red, "completed_at": null}), "/data/deadline_id"),
        (EligibilityBatchComputed, json!({"schemes": [scheme("2341-2341-2346")]}), "/data/schemes/0/scheme_id"),
        (SchemeApplicationStatusChanged, status("ABCPE1234F"), "/data/scheme_id"),
        (
            PredictionGenerated,
            json!({"predicted_events": [with(predicted(), "related_schemes", json!([red]))]}),
            "/data/predicted_events/0/related_schemes/0",
        ),
        (
            PredictionGenerated,
            json!({"recommended_actions": [with(action(), "scheme_id", json!(red))]}),
            "/data/recommended_actions/0/scheme_id",
        ),
        (IdentityVerified, json!({"identity_token": "tok_234123412346"}), "/data/identity_token"),
    ] {
        assert!(refuse(event_type, data, EventProblem::ClassRed, pointer).red);
    }
    for id in [
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "0198f0c2-7b1e-7cc3-98c4-234123412346",
        "2026-000123",
        "202601210003",
        "itr-2025-2026-0009",
    ] {
        let data = status(id);
        assert!(post(SchemeApplicationStatusChanged, &event(SchemeApplicationStatusChanged, data)).is_ok(), "{id}");
    }
}
