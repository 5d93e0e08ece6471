//! What each source's data must be: a table of bad data with its problem and pointer.

use super::*;
use crate::event::FeedEventType::*;

#[track_caller]
pub(super) fn refuse(event_type: FeedEventType, data: Value, problem: EventProblem, pointer: &str) -> Rejection {
    assert_refused(post(event_type, &event(event_type, data)), problem, pointer)
}

#[test]
fn an_event_that_holds_no_value_is_refused() {
    for (event_type, data) in [
        (IdentityVerified, json!({})),
        (IdentityVerified, json!({"identity": {}, "address": {}})),
        (IdentityVerified, json!({"registration": true})),
        (UserMetadataUpdated, json!({"fields": {}})),
        (UserProfileEdited, json!({"fields": {"family": {}}})),
        (TrustScoreUpdated, json!({})),
        (PredictionGenerated, json!({"risk_scores": {}})),
        (AnalyticsCohortComputed, json!({})),
        (UserConsentUpdated, json!({})),
    ] {
        refuse(event_type, data, EventProblem::NothingSaid, "/data");
    }
}

#[test]
fn members_that_must_be_there_are_missed() {
    for (event_type, data, pointer) in [
        (UserMetadataUpdated, json!({}), "/data/fields"),
        (EligibilityBatchComputed, json!({}), "/data/schemes"),
        (SchemeApplicationStatusChanged, json!({"application_status": "applied"}), "/data/scheme_id"),
        (SchemeApplicationStatusChanged, json!({"scheme_id": "a"}), "/data/application_status"),
        (DeadlineCompleted, json!({"completed_at": null}), "/data/deadline_id"),
        (DeadlineCompleted, json!({"deadline_id": "a"}), "/data/completed_at"),
    ] {
        refuse(event_type, data, EventProblem::MissingMember, pointer);
    }
    for name in ["deadline_id", "type", "description", "due_date", "priority", "action_url"] {
        refuse(DeadlineDetected, without(deadline(), name), EventProblem::MissingMember, &format!("/data/{name}"));
    }
    for name in ["scheme_id", "scheme_name", "confidence", "matched_rules", "application_status"] {
        let data = json!({"schemes": [scheme("a"), without(scheme("b"), name)]});
        refuse(EligibilityBatchComputed, data, EventProblem::MissingMember, &format!("/data/schemes/1/{name}"));
    }
    for name in ["event", "estimated_date", "related_schemes", "confidence"] {
        let data = json!({"predicted_events": [without(predicted(), name)]});
        refuse(PredictionGenerated, data, EventProblem::MissingMember, &format!("/data/predicted_events/0/{name}"));
    }
    for name in ["action", "reason", "priority"] {
        let data = json!({"recommended_actions": [without(action(), name)]});
        refuse(PredictionGenerated, data, EventProblem::MissingMember, &format!("/data/recommended_actions/0/{name}"));
    }
    for name in ["confidence", "fields"] {
        let data = json!({"source_confidence": {"self": without(json!({"confidence": 1, "fields": []}), name)}});
        refuse(TrustScoreUpdated, data, EventProblem::MissingMember, &format!("/data/source_confidence/self/{name}"));
    }
}

#[test]
fn unknown_derived_and_foreign_members_are_refused() {
    let (unknown, derived, foreign) =
        (EventProblem::UnknownMember, EventProblem::DerivedMember, EventProblem::NotOwner);
    for (event_type, data, problem, pointer) in [
        (IdentityVerified, json!({"identity": {"nickname": "R"}}), unknown, "/data/identity/nickname"),
        (IdentityVerified, json!({"address": {"urban_rural": "urban"}}), unknown, "/data/address/urban_rural"),
        (IdentityVerified, json!({"note": 1}), unknown, "/data/note"),
        (IdentityVerified, json!({"consent": {}}), foreign, "/data/consent"),
        (IdentityVerified, json!({"demographics": {}}), foreign, "/data/demographics"),
        (IdentityVerified, json!({"profile_completeness_pct": 1}), derived, "/data/profile_completeness_pct"),
        (UserMetadataUpdated, json!({"fields": {"identity": {}}}), foreign, "/data/fields/identity"),
        (UserMetadataUpdated, json!({"fields": {"cohort_tags": []}}), foreign, "/data/fields/cohort_tags"),
        (UserMetadataUpdated, json!({"fields": {"job": {}}}), unknown, "/data/fields/job"),
        (UserMetadataUpdated, json!({"fields": {"family": {"pets": 1}}}), unknown, "/data/fields/family/pets"),
        (UserMetadataUpdated, json!({"family": {}, "fields": {}}), foreign, "/data/family"),
        (UserProfileEdited, json!({"fields": {"consent": {}}}), foreign, "/data/fields/consent"),
        (EligibilityBatchComputed, json!({"schemes": [], "total_eligible": 0}), derived, "/data/total_eligible"),
        (EligibilityBatchComputed, json!({"schemes": [], "more": 0}), unknown, "/data/more"),
        (DeadlineDetected, with(deadline(), "days_remaining", json!(3)), derived, "/data/days_remaining"),
        (DeadlineDetected, with(deadline(), "owner", json!("x")), unknown, "/data/owner"),
        (
            DeadlineCompleted,
            json!({"deadline_id": "a", "completed_at": null, "completed_last_90d": 1}),
            derived,
            "/data/completed_last_90d",
        ),
        (TrustScoreUpdated, json!({"data_freshness_hours": 1}), derived, "/data/data_freshness_hours"),
        (TrustScoreUpdated, json!({"source_trace": {"oracle": "x"}}), unknown, "/data/source_trace/oracle"),
        (TrustScoreUpdated, json!({"source_confidence": {"oracle": {}}}), unknown, "/data/source_confidence/oracle"),
        (
            TrustScoreUpdated,
            json!({"source_confidence": {"self": {"confidence": 1, "fields": [], "why": 1}}}),
            unknown,
            "/data/source_confidence/self/why",
        ),
        (PredictionGenerated, json!({"risk_scores": {"overall": 0.1}}), derived, "/data/risk_scores/overall"),
        (PredictionGenerated, json!({"trust": {}}), foreign, "/data/trust"),
        (AnalyticsCohortComputed, json!({"cohorts": []}), unknown, "/data/cohorts"),
        (
            UserConsentUpdated,
            json!({"consent_updated_at": "2026-01-01T00:00:00Z"}),
            derived,
            "/data/consent_updated_at",
        ),
        (UserConsentUpdated, json!({"marketing": true}), unknown, "/data/marketing"),
        (
            SchemeApplicationStatusChanged,
            json!({"scheme_id": "a", "application_status": "applied", "at": 1}),
            unknown,
            "/data/at",
        ),
        (
            EligibilityBatchComputed,
            json!({"schemes": [with(scheme("a"), "state", json!(1))]}),
            unknown,
            "/data/schemes/0/state",
        ),
    ] {
        refuse(event_type, data, problem, pointer);
    }
}

#[test]
fn leaves_have_the_type_and_range_of_the_field_table() {
    for (leaf, value, problem) in [
        ("demographics.state", json!("atlantis"), EventProblem::UnknownValue),
        ("demographics.state", json!(1), EventProblem::WrongType),
        ("demographics.district", json!("Bengaluru Urban"), EventProblem::InvalidFormat),
        ("demographics.district", json!(""), EventProblem::InvalidFormat),
        ("demographics.district", json!("x".repeat(129)), EventProblem::TooLong),
        ("demographics.urban_rural", json!("suburban"), EventProblem::UnknownValue),
        ("demographics.pincode", json!("060001"), EventProblem::InvalidFormat),
        ("demographics.pincode", json!("5600011"), EventProblem::InvalidFormat),
        ("demographics.pincode", json!(560_001), EventProblem::WrongType),
        ("demographics.residency_years", json!(121), EventProblem::OutOfRange),
        ("demographics.residency_years", json!(-1), EventProblem::OutOfRange),
        ("demographics.residency_years", json!(5.5), EventProblem::WrongType),
        ("demographics.residency_years", json!("5"), EventProblem::WrongType),
        ("economic.income_bracket", json!("5l-10l"), EventProblem::UnknownValue),
        ("economic.employment_type", json!("astronaut"), EventProblem::UnknownValue),
        ("economic.tax_regime", json!("older"), EventProblem::UnknownValue),
        ("economic.bpl_status", json!("true"), EventProblem::WrongType),
        ("economic.ration_card_type", json!("apl"), EventProblem::UnknownValue),
        ("family.marital_status", json!("engaged"), EventProblem::UnknownValue),
        ("family.dependents", json!(51), EventProblem::OutOfRange),
        ("family.members_count", json!(0), EventProblem::OutOfRange),
        ("family.members_count", json!(61), EventProblem::OutOfRange),
        ("family.senior_citizen_dependents", json!([]), EventProblem::WrongType),
        ("family.children_school_age", json!({}), EventProblem::WrongType),
    ] {
        let (section, name) = leaf.split_once('.').expect("a dotted path");
        let pointer = format!("/data/fields/{section}/{name}");
        for event_type in [UserMetadataUpdated, UserProfileEdited] {
            refuse(event_type, json!({"fields": {section: {name: value}}}), problem, &pointer);
        }
    }
    for (name, value, problem) in [
        ("age_bracket", json!("30-39"), EventProblem::UnknownValue),
        ("gender", json!("m"), EventProblem::UnknownValue),
        ("category", json!("OBC"), EventProblem::UnknownValue),
        ("delegation_active", json!(0), EventProblem::WrongType),
        ("display_name", json!("Rajesh Kumar"), EventProblem::InvalidFormat),
        ("display_name", json!("Rajesh"), EventProblem::InvalidFormat),
        ("display_name", json!(""), EventProblem::InvalidFormat),
        ("display_name", json!(format!("{} K.", "R".repeat(62))), EventProblem::TooLong),
        ("display_name", json!("Jose\u{301} K."), EventProblem::NotNfc),
        ("verified_documents", json!("pan"), EventProblem::WrongType),
    ] {
        refuse(IdentityVerified, json!({"identity": {name: value}}), problem, &format!("/data/identity/{name}"));
    }
    let documents = json!({"identity": {"verified_documents": ["pan", "library_card"]}});
    refuse(IdentityVerified, documents, EventProblem::UnknownValue, "/data/identity/verified_documents/1");
    for token in ["5f1c", "tok_", "tok_a b", &format!("tok_{}", "x".repeat(125))] {
        refuse(IdentityVerified, json!({"identity_token": token}), EventProblem::InvalidFormat, "/data/identity_token");
    }
    for (event_type, data, pointer) in [
        (IdentityVerified, json!({"identity": []}), "/data/identity"),
        (IdentityVerified, json!({"address": "12 MG Road"}), "/data/address"),
        (IdentityVerified, json!({"registration": 1}), "/data/registration"),
        (IdentityVerified, json!({"registration": null}), "/data/registration"),
        (UserMetadataUpdated, json!({"fields": null}), "/data/fields"),
        (UserMetadataUpdated, json!({"fields": {"family": 3}}), "/data/fields/family"),
        (UserConsentUpdated, json!({"third_party_sharing": "no"}), "/data/third_party_sharing"),
    ] {
        refuse(event_type, data, EventProblem::WrongType, pointer);
    }
    refuse(
        UserConsentUpdated,
        json!({"data_sharing_level": "all"}),
        EventProblem::UnknownValue,
        "/data/data_sharing_level",
    );
    refuse(TrustScoreUpdated, json!({"overall_confidence": 0.5}), EventProblem::WrongType, "/data/overall_confidence");
}

#[test]
fn schemes_are_checked() {
    for (name, value, problem) in [
        ("scheme_id", json!("sch pm"), EventProblem::InvalidFormat),
        ("scheme_id", json!(""), EventProblem::InvalidFormat),
        ("scheme_id", json!("x".repeat(65)), EventProblem::InvalidFormat),
        ("scheme_name", json!(""), EventProblem::InvalidFormat),
        ("scheme_name", json!("x".repeat(129)), EventProblem::TooLong),
        ("confidence", json!(1.01), EventProblem::OutOfRange),
        ("confidence", json!(-0.1), EventProblem::OutOfRange),
        ("confidence", json!("1"), EventProblem::WrongType),
        ("matched_rules", json!(vec!["r"; 17]), EventProblem::TooMany),
        ("matched_rules", json!("r"), EventProblem::WrongType),
        ("application_status", json!("pending"), EventProblem::UnknownValue),
        ("application_status", Value::Null, EventProblem::WrongType),
        ("deadline", json!("2026-02-29"), EventProblem::InvalidFormat),
        ("deadline", Value::Null, EventProblem::WrongType),
        ("annual_benefit_inr", json!(-1), EventProblem::OutOfRange),
        ("annual_benefit_inr", json!(1_000_000_000_001_i64), EventProblem::OutOfRange),
        ("annual_benefit_inr", json!(0.5), EventProblem::WrongType),
    ] {
        let data = json!({"schemes": [scheme("z"), with(scheme("b"), name, value)]});
        refuse(EligibilityBatchComputed, data, problem, &format!("/data/schemes/1/{name}"));
    }
    let twice = json!({"schemes": [scheme("b"), scheme("a"), scheme("b")]});
    refuse(EligibilityBatchComputed, twice, EventProblem::DuplicateItem, "/data/schemes/2/scheme_id");
    let many: Vec<_> = (0..257).map(|index| scheme(&format!("s{index}"))).collect();
    refuse(EligibilityBatchComputed, json!({"schemes": many}), EventProblem::TooMany, "/data/schemes");
    refuse(EligibilityBatchComputed, json!({"schemes": ["a"]}), EventProblem::WrongType, "/data/schemes/0");
    let status = |id: &str, status: Value| json!({"scheme_id": id, "application_status": status});
    refuse(
        SchemeApplicationStatusChanged,
        status("a/b", json!("applied")),
        EventProblem::InvalidFormat,
        "/data/scheme_id",
    );
    let unknown = status("a", json!("lost"));
    refuse(SchemeApplicationStatusChanged, unknown, EventProblem::UnknownValue, "/data/application_status");
}

#[test]
fn deadlines_are_checked() {
    for (name, value, problem) in [
        ("deadline_id", json!("a b"), EventProblem::InvalidFormat),
        ("deadline_id", json!("x".repeat(65)), EventProblem::InvalidFormat),
        ("type", json!("x".repeat(129)), EventProblem::TooLong),
        ("description", json!("x".repeat(513)), EventProblem::TooLong),
        ("description", json!("a\nb"), EventProblem::ControlCharacter),
        ("description", json!("e\u{301}"), EventProblem::NotNfc),
        ("due_date", json!("2026-13-01"), EventProblem::InvalidFormat),
        ("due_date", json!("31-07-2026"), EventProblem::InvalidFormat),
        ("due_date", json!("2026-07-31T00:00:00Z"), EventProblem::InvalidFormat),
        ("priority", json!("urgent"), EventProblem::UnknownValue),
        ("action_url", json!("https://evil.example/"), EventProblem::InvalidFormat),
        ("action_url", json!("//evil.example/"), EventProblem::InvalidFormat),
        ("action_url", json!("/\\evil.example"), EventProblem::InvalidFormat),
        ("action_url", json!("javascript:alert(1)"), EventProblem::InvalidFormat),
        ("action_url", json!("tax/file"), EventProblem::InvalidFormat),
        ("action_url", json!(format!("/{}", "x".repeat(128))), EventProblem::TooLong),
    ] {
        refuse(DeadlineDetected, with(deadline(), name, value), problem, &format!("/data/{name}"));
    }
    let completed = |id: &str, at: Value| json!({"deadline_id": id, "completed_at": at});
    refuse(DeadlineCompleted, completed("a b", json!(null)), EventProblem::InvalidFormat, "/data/deadline_id");
    for (at, problem) in [(json!("2026-01-20"), EventProblem::InvalidTime), (json!(5), EventProblem::WrongType)] {
        refuse(DeadlineCompleted, completed("a", at), problem, "/data/completed_at");
    }
}

#[test]
fn trust_predictions_and_analytics_are_checked() {
    let trace = |text: &str| json!({"source_trace": {"identity": text}});
    for text in ["seen_2026-01-10", "verified_2026-02-30", "verified_", "verified"] {
        refuse(TrustScoreUpdated, trace(text), EventProblem::InvalidFormat, "/data/source_trace/identity");
    }
    let sure = |confidence: Value, fields: Value| json!({"source_confidence": {"self": {"confidence": confidence, "fields": fields}}});
    let at = "/data/source_confidence/self";
    refuse(TrustScoreUpdated, sure(json!(2), json!([])), EventProblem::OutOfRange, &format!("{at}/confidence"));
    for path in ["economic", "economic.salary", "*", "cohort_tags.*", "salary.*", "/economic/tax_regime"] {
        let data = sure(json!(1), json!(["economic.*", path]));
        refuse(TrustScoreUpdated, data, EventProblem::UnknownValue, &format!("{at}/fields/1"));
    }
    refuse(
        TrustScoreUpdated,
        sure(json!(1), json!(vec!["economic.*"; 100])),
        EventProblem::TooMany,
        &format!("{at}/fields"),
    );

    let events = |event: Value| json!({"predicted_events": [event]});
    for (name, value, problem) in [
        ("confidence", json!(7), EventProblem::OutOfRange),
        ("estimated_date", json!("soon"), EventProblem::InvalidFormat),
        ("related_schemes", json!("sch_a"), EventProblem::WrongType),
    ] {
        let pointer = format!("/data/predicted_events/0/{name}");
        refuse(PredictionGenerated, events(with(predicted(), name, value)), problem, &pointer);
    }
    let related = events(with(predicted(), "related_schemes", json!(["a", "b c"])));
    refuse(PredictionGenerated, related, EventProblem::InvalidFormat, "/data/predicted_events/0/related_schemes/1");
    let actions = |action: Value| json!({"recommended_actions": [action]});
    for priority in [json!(0), json!(-1)] {
        let data = actions(with(action(), "priority", priority));
        refuse(PredictionGenerated, data, EventProblem::OutOfRange, "/data/recommended_actions/0/priority");
    }
    for (name, items) in [("predicted_events", vec![predicted(); 65]), ("recommended_actions", vec![action(); 65])] {
        refuse(PredictionGenerated, json!({name: items}), EventProblem::TooMany, &format!("/data/{name}"));
    }
    let risk = json!({"risk_scores": {"deadline_miss_risk": 1.5}});
    refuse(PredictionGenerated, risk, EventProblem::OutOfRange, "/data/risk_scores/deadline_miss_risk");

    let tags: Vec<_> = (0..65).map(|index| format!("tag_{index}")).collect();
    refuse(AnalyticsCohortComputed, json!({"cohort_tags": tags}), EventProblem::TooMany, "/data/cohort_tags");
    refuse(AnalyticsCohortComputed, json!({"cohort_tags": ["a", 1]}), EventProblem::WrongType, "/data/cohort_tags/1");
    let metrics = |value: Value| json!({"aggregated_metrics": value});
    refuse(AnalyticsCohortComputed, metrics(json!([])), EventProblem::WrongType, "/data/aggregated_metrics");
    // 4 KiB of canonical form are {"a":[1,1,…]}: 8 bytes and 2 an item.
    let filled = |items: usize| metrics(json!({"a": vec![1; items]}));
    refuse(AnalyticsCohortComputed, filled(2045), EventProblem::TooLarge, "/data/aggregated_metrics");
    assert!(post(AnalyticsCohortComputed, &event(AnalyticsCohortComputed, filled(2044))).is_ok());
}

#[test]
fn faults_of_several_members_are_reported_together() {
    let data = json!({"fields": {"economic": {"tax_regime": "x", "bpl_status": 1}, "family": {"pets": 1}}});
    let rejection = post(UserMetadataUpdated, &event(UserMetadataUpdated, data)).expect_err("it is refused");
    let mut pointers: Vec<_> = rejection.faults().iter().filter_map(|fault| fault.pointer.as_deref()).collect();
    pointers.sort_unstable();
    let at = "/data/fields";
    assert_eq!(
        pointers,
        [format!("{at}/economic/bpl_status"), format!("{at}/economic/tax_regime"), format!("{at}/family/pets")]
    );
}

pub(super) fn scheme(id: &str) -> Value {
    json!({
        "scheme_id": id,
        "scheme_name": "PM-KISAN",
        "confidence": 0.95,
        "matched_rules": ["rule_b", "rule_a"],
        "application_status": "applied",
    })
}

pub(super) fn deadline() -> Value {
    json!({
        "deadline_id": "dl_1",
        "type": "tax_filing",
        "description": "ITR filing deadline",
        "due_date": "2026-07-31",
        "priority": "high",
        "action_url": "/tax/file?form=1",
    })
}

pub(super) fn predicted() -> Value {
    json!({"event": "retirement", "estimated_date": "2026-06-01", "related_schemes": ["a"], "confidence": 1})
}

pub(super) fn action() -> Value {
    json!({"action": "apply_scheme", "scheme_id": "a", "reason": "deadline near", "priority": 1})
}

pub(super) fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().expect("an object").remove(name);
    object
}
