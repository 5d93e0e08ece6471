//! What accepted events become.

use super::*;
use crate::event::FeedEventType::*;
use crate::event::RegisterPath;
use crate::source::ValueKind;
use crate::table::Leaf;

/// Returns the data that is written: `path kind value` a line, `-` where it is withdrawn.
fn writes(event_type: FeedEventType, data: Value) -> Vec<String> {
    let accepted = post(event_type, &event(event_type, data)).unwrap_or_else(|error| panic!("{error}"));
    let path = |path: &RegisterPath| match path {
        RegisterPath::Leaf(leaf) => leaf.field().path.to_owned(),
        RegisterPath::SchemeStatus(id) => format!("status/{}", id.as_str()),
        RegisterPath::DeadlineDetails(id) => format!("details/{}", id.as_str()),
        RegisterPath::DeadlineCompletion(id) => format!("completion/{}", id.as_str()),
        other => format!("{other:?}"),
    };
    let line = |write: &crate::event::RegisterWrite| {
        let value = write.value.as_ref().map_or("-", |value| value.as_str());
        format!("{} {} {value}", path(&write.path), write.kind.name())
    };
    let mut lines: Vec<_> = accepted.writes.iter().map(line).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn the_examples_are_accepted() {
    for line in EXAMPLES.lines() {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let event_type = FeedEventType::parse(value["type"].as_str().expect("a type")).expect("a known type");
        let event = post(event_type, &value).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert_eq!((event.source, event.user.as_str()), (event_type.source(), "usr_7Qm2Xr9TzKpA"));
        assert_eq!((event.id.as_str(), event.registration), (value["id"].as_str().expect("an id"), false));
        assert!(!event.writes.is_empty());
    }
}

#[test]
fn identity_writes_its_section_its_token_and_the_address() {
    let data = json!({
        "identity": {"verified_documents": ["pan", "aadhaar", "pan"], "display_name": "राजेश क."},
        "identity_token": "tok_5f1c",
        "address": {"state": "karnataka", "pincode": "560001"},
        "registration": true,
    });
    let registered = post(IdentityVerified, &event(IdentityVerified, data.clone())).expect("accepted");
    assert!(registered.registration);
    assert_eq!(
        writes(IdentityVerified, data),
        [
            "demographics.pincode verified \"560001\"",
            "demographics.state verified \"karnataka\"",
            "identity.display_name verified \"राजेश क.\"",
            "identity.verified_documents verified [\"aadhaar\",\"pan\"]",
            "identity_token verified \"tok_5f1c\"",
        ]
    );
}

#[test]
fn null_withdraws_in_every_kind_of_the_source_and_null_for_a_section_all_its_leaves() {
    assert_eq!(
        writes(UserMetadataUpdated, json!({"fields": {"economic": {"tax_regime": null}}})),
        ["economic.tax_regime inferred -", "economic.tax_regime user_provided -", "economic.tax_regime verified -",]
    );
    assert_eq!(
        writes(UserProfileEdited, json!({"fields": {"family": null}})),
        [
            "family.children_school_age user_provided -",
            "family.dependents user_provided -",
            "family.marital_status user_provided -",
            "family.members_count user_provided -",
            "family.senior_citizen_dependents user_provided -",
        ]
    );
    assert_eq!(
        writes(IdentityVerified, json!({"address": null, "identity_token": null})),
        [
            "demographics.district verified -",
            "demographics.pincode verified -",
            "demographics.state verified -",
            "identity_token verified -",
        ]
    );
    assert_eq!(writes(IdentityVerified, json!({"identity": null})).len(), 6);
    // Without the derived `overall`.
    assert_eq!(writes(PredictionGenerated, json!({"risk_scores": null})).len(), 4);
}

#[test]
fn null_stands_wherever_a_register_stands_alone() {
    for (event_type, data, lines) in [
        (EligibilityBatchComputed, json!({"schemes": null}), vec!["eligibility.eligible_schemes inferred -"]),
        (
            SchemeApplicationStatusChanged,
            json!({"scheme_id": "a", "application_status": null}),
            vec!["status/a inferred -"],
        ),
        (DeadlineCompleted, json!({"deadline_id": "a", "completed_at": null}), vec!["completion/a inferred -"]),
        (
            TrustScoreUpdated,
            json!({"overall_confidence": null, "source_trace": null, "source_confidence": null}),
            vec!["SourceConfidence inferred -", "trust.overall_confidence inferred -", "trust.source_trace inferred -"],
        ),
        (
            PredictionGenerated,
            json!({"predicted_events": null, "recommended_actions": null}),
            vec!["predictions.predicted_events inferred -", "predictions.recommended_actions inferred -"],
        ),
        (
            AnalyticsCohortComputed,
            json!({"cohort_tags": null, "aggregated_metrics": null}),
            vec!["AggregatedMetrics inferred -", "cohort_tags inferred -"],
        ),
        (UserConsentUpdated, json!({"analytics_opt_in": null}), vec!["consent.analytics_opt_in inferred -"]),
    ] {
        assert_eq!(writes(event_type, data), lines);
    }
}

#[test]
fn lists_are_written_in_their_final_order_and_form() {
    let scheme = |id: &str| {
        json!({
            "scheme_name": "S", "scheme_id": id, "matched_rules": ["z", "a"], "confidence": 1.0,
            "application_status": "active", "annual_benefit_inr": 6e3, "deadline": "2026-03-31",
        })
    };
    let written = |id: &str| {
        format!(
            "{{\"annual_benefit_inr\":6000,\"application_status\":\"active\",\"confidence\":1,\
             \"deadline\":\"2026-03-31\",\"matched_rules\":[\"z\",\"a\"],\"scheme_id\":\"{id}\",\"scheme_name\":\"S\"}}"
        )
    };
    let batch = writes(EligibilityBatchComputed, json!({"schemes": [scheme("b"), scheme("a"), scheme("B")]}));
    let expected = format!("[{},{},{}]", written("B"), written("a"), written("b"));
    assert_eq!(batch, [format!("eligibility.eligible_schemes inferred {expected}")]);
    assert_eq!(writes(EligibilityBatchComputed, json!({"schemes": []})), ["eligibility.eligible_schemes inferred []"]);
    assert_eq!(
        writes(AnalyticsCohortComputed, json!({"cohort_tags": ["b", "a", "b"]})),
        ["cohort_tags inferred [\"a\",\"b\"]"]
    );
    let metrics = json!({"aggregated_metrics": {"z": {"b": 1, "a": 0.5}, "a": [null, "9876543210 rupees".len()]}});
    assert_eq!(
        writes(AnalyticsCohortComputed, metrics),
        ["AggregatedMetrics inferred {\"a\":[null,17],\"z\":{\"a\":0.5,\"b\":1}}"]
    );
}

#[test]
fn trust_is_written_by_source() {
    let data = json!({
        "overall_confidence": "high",
        "source_trace": {"schemes": "synced_2026-01-15", "identity": "verified_2026-01-10"},
        "source_confidence": {"metadata": {"fields": ["family.*", "economic.tax_regime"], "confidence": 0.9}},
    });
    assert_eq!(
        writes(TrustScoreUpdated, data),
        [
            "SourceConfidence inferred {\"metadata\":{\"confidence\":0.9,\"fields\":[\"family.*\",\"economic.tax_regime\"]}}",
            "trust.overall_confidence inferred \"high\"",
            "trust.source_trace inferred {\"identity\":\"verified_2026-01-10\",\"schemes\":\"synced_2026-01-15\"}",
        ]
    );
}

#[test]
fn a_deadline_is_kept_whole_and_its_completion_in_utc() {
    let data = json!({
        "type": "tax_filing", "priority": "high", "due_date": "2026-07-31", "description": "\"ITR\" filing",
        "deadline_id": "dl_1", "action_url": "/tax/file",
    });
    assert_eq!(
        writes(DeadlineDetected, data),
        ["details/dl_1 inferred {\"action_url\":\"/tax/file\",\"deadline_id\":\"dl_1\",\
         \"description\":\"\\\"ITR\\\" filing\",\"due_date\":\"2026-07-31\",\"priority\":\"high\",\"type\":\"tax_filing\"}"]
    );
    assert_eq!(
        writes(DeadlineCompleted, json!({"deadline_id": "a", "completed_at": "2026-01-20T12:28:00.50+05:30"})),
        ["completion/a inferred \"2026-01-20T06:58:00.5Z\""]
    );
}

#[test]
fn an_integer_is_an_integer_however_it_is_written() {
    for text in ["5", "5.0", "0.5e1", "50e-1"] {
        let event = event(UserMetadataUpdated, json!({"fields": {"family": {"dependents": "N"}}}));
        let text = event.to_string().replace("\"N\"", text);
        let accepted = validate(text.as_bytes(), Source::Metadata, &rules(), NOW).expect("accepted");
        assert_eq!(accepted.writes[0].value.as_ref().map(|value| value.as_str()), Some("5"));
    }
}

#[test]
fn the_servers_own_events_pass_the_same_checks() {
    let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
    let own = |data: &[u8]| validate_consent_put(data, UserConsentUpdated, "own-1", user, 7, &rules());
    let event = own(br#"{"data_sharing_level":"full"}"#).expect("accepted");
    assert_eq!((event.id.as_str(), event.source, event.user, event.time), ("own-1", Source::Consent, user, 7));
    assert_eq!(event.writes.len(), 1);
    assert_eq!(event.writes[0].path, RegisterPath::Leaf(Leaf::ConsentDataSharingLevel));
    assert_eq!(event.writes[0].kind, ValueKind::Inferred);
    assert_refused(own(br#"{"data_sharing_level":"all"}"#), EventProblem::UnknownValue, "/data_sharing_level");
    assert_refused(own(b"{}"), EventProblem::NothingSaid, "");
    assert_refused(own(b"[]"), EventProblem::WrongType, "");
    assert_refused(
        own(br#"{"analytics_opt_in":true,"analytics_opt_in":true}"#),
        EventProblem::DuplicateMember,
        "/analytics_opt_in",
    );
}
