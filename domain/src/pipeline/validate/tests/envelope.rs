//! What the envelope must be.

use super::*;
use crate::event::FeedEventType::{DeadlineDetected, UserConsentUpdated, UserMetadataUpdated};

fn good() -> Value {
    event(UserConsentUpdated, json!({"analytics_opt_in": true}))
}

/// Returns the valid event with one member set or removed.
fn with(name: &str, value: Option<Value>) -> Value {
    let mut event = good();
    let members = event.as_object_mut().expect("an object");
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    event
}

#[test]
fn each_required_attribute_is_missed() {
    for name in ["specversion", "id", "source", "type", "subject", "time", "data"] {
        let pointer = format!("/{name}");
        assert_refused(post(UserConsentUpdated, &with(name, None)), EventProblem::MissingMember, &pointer);
        assert_refused(post(UserConsentUpdated, &with(name, Some(Value::Null))), EventProblem::MissingMember, &pointer);
    }
}

#[test]
fn each_attribute_is_checked() {
    let long_id = "x".repeat(129);
    for (name, value, problem) in [
        ("specversion", json!("0.3"), EventProblem::UnsupportedSpecversion),
        ("specversion", json!(1.0), EventProblem::WrongType),
        ("id", json!(""), EventProblem::InvalidFormat),
        ("id", json!(long_id), EventProblem::TooLong),
        ("id", json!("a\u{7}"), EventProblem::ControlCharacter),
        ("id", json!("e\u{301}"), EventProblem::NotNfc),
        ("id", json!(7), EventProblem::WrongType),
        ("id", json!("call 98765 43210"), EventProblem::ClassRed),
        ("source", json!("/9876543210/consent"), EventProblem::ClassRed),
        ("source", json!("/%39876543210/consent"), EventProblem::ClassRed),
        ("subject", json!("usr_234123412346"), EventProblem::ClassRed),
        ("source", json!("/engines/identity"), EventProblem::SourceMismatch),
        ("source", json!("/engines/consent/"), EventProblem::SourceMismatch),
        ("source", json!("//consent"), EventProblem::SourceMismatch),
        ("source", json!("/engines one/consent"), EventProblem::InvalidFormat),
        ("source", json!("/%zz/consent"), EventProblem::InvalidFormat),
        ("source", json!([]), EventProblem::WrongType),
        ("type", json!("user.consent.update"), EventProblem::UnknownType),
        ("type", json!("identity.verified"), EventProblem::WrongSource),
        ("type", json!(true), EventProblem::WrongType),
        ("subject", json!("usr_short"), EventProblem::InvalidSubject),
        ("subject", json!("7Qm2Xr9TzKpA"), EventProblem::InvalidSubject),
        ("subject", json!({}), EventProblem::WrongType),
        ("time", json!("2026-01-10"), EventProblem::InvalidTime),
        ("time", json!("2026-02-30T00:00:00Z"), EventProblem::InvalidTime),
        ("time", json!(1_768_996_800), EventProblem::WrongType),
        ("time", json!("1999-12-31T23:59:59.999999Z"), EventProblem::TimeTooOld),
        ("time", json!("2026-01-21T12:05:00.000001Z"), EventProblem::TimeInFuture),
        ("datacontenttype", json!("application/xml"), EventProblem::UnsupportedContentType),
        ("datacontenttype", json!("json"), EventProblem::UnsupportedContentType),
        ("datacontenttype", json!(1), EventProblem::WrongType),
        ("kind", json!("verified"), EventProblem::KindNotAllowed),
        ("kind", json!("guessed"), EventProblem::UnknownValue),
        ("kind", json!(["inferred"]), EventProblem::WrongType),
        ("data", json!([]), EventProblem::WrongType),
        ("data_base64", json!("e30="), EventProblem::UnsupportedContentType),
        ("Extension", json!(1), EventProblem::InvalidAttributeName),
        ("my_extension", json!(1), EventProblem::InvalidAttributeName),
        ("", json!(1), EventProblem::InvalidAttributeName),
    ] {
        assert_refused(post(UserConsentUpdated, &with(name, Some(value))), problem, &format!("/{name}"));
    }
}

#[test]
fn what_the_contract_leaves_free_is_accepted() {
    for (name, value) in [
        ("datacontenttype", json!("application/json; charset=utf-8")),
        ("datacontenttype", json!("Application/VND.civic+JSON")),
        ("datacontenttype", Value::Null),
        ("kind", json!("inferred")),
        ("kind", Value::Null),
        ("dataschema", json!("https://engines.example/schema")),
        ("traceparent", json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        ("anything", json!({"nested": [1]})),
        ("source", json!("https://engines.example/v1/consent?instance=3#x")),
        ("source", json!("consent")),
        ("source", json!("urn:consent")),
        ("id", json!("ñ".repeat(128))),
        ("time", json!("2000-01-01T00:00:00Z")),
        ("time", json!("2026-01-21T17:35:00+05:30")),
        ("time", json!("2026-01-21t12:05:00.000000999z")),
    ] {
        post(UserConsentUpdated, &with(name, Some(value))).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn only_metadata_chooses_its_kind() {
    for event_type in FeedEventType::ALL {
        for kind in ["verified", "user_provided", "inferred"] {
            let mut event = event(event_type, json!({}));
            event["kind"] = json!(kind);
            let refused =
                post(event_type, &event).expect_err("it holds no value").problem() == EventProblem::KindNotAllowed;
            let allowed = event_type.source().kinds().iter().any(|allowed| allowed.name() == kind);
            assert_eq!(refused, !allowed, "{event_type:?} {kind}");
        }
    }
    let mut event = event(UserMetadataUpdated, json!({"fields": {"family": {"dependents": 1}}}));
    event["kind"] = json!("user_provided");
    assert_eq!(post(UserMetadataUpdated, &event).expect("accepted").writes[0].kind, ValueKind::UserProvided);
}

#[test]
fn time_is_kept_to_the_microsecond_in_utc() {
    let event = with("time", Some(json!("2026-01-10T11:30:00.1234567+05:30")));
    assert_eq!(post(UserConsentUpdated, &event).expect("accepted").time, 1_768_024_800_123_456);
}

#[test]
fn a_type_is_refused_at_every_path_but_its_sources_own() {
    for event_type in FeedEventType::ALL {
        for source in Source::ALL.into_iter().filter(|source| *source != event_type.source()) {
            let mut event = event(event_type, json!({}));
            event["source"] = json!(format!("/engines/{}", source.name()));
            let result = validate(event.to_string().as_bytes(), source, &rules(), NOW);
            assert_refused(result, EventProblem::WrongSource, "/type");
        }
    }
}

#[test]
fn an_event_is_an_object() {
    for text in ["[]", "null", "\"x\"", "1"] {
        let result = validate(text.as_bytes(), Source::Consent, &rules(), NOW);
        assert_refused(result, EventProblem::WrongType, "");
    }
}

#[test]
fn several_faults_of_the_envelope_are_reported_together() {
    let mut event = event(DeadlineDetected, json!({}));
    event["specversion"] = json!("2");
    event["subject"] = json!("nobody");
    event["kind"] = json!("verified");
    let rejection =
        assert_refused(post(DeadlineDetected, &event), EventProblem::UnsupportedSpecversion, "/specversion");
    let pointers: Vec<_> = rejection.faults().iter().filter_map(|fault| fault.pointer.as_deref()).collect();
    assert_eq!(pointers, ["/specversion", "/subject", "/kind"]);
}
