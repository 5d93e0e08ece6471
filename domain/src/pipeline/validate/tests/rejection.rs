//! What a rejection contains, and what it must not contain.

use super::*;
use crate::event::FeedEventType::{DeadlineDetected, IdentityVerified, UserConsentUpdated};

fn post_text(text: &[u8]) -> Rejection {
    validate(text, Source::Consent, &rules(), NOW).expect_err("the text is refused")
}

#[test]
fn text_that_cannot_be_read_has_its_specific_problem() {
    let good = event(UserConsentUpdated, json!({"analytics_opt_in": true})).to_string();
    let mut bad_utf8 = good.clone().into_bytes();
    bad_utf8[20] = 0xff;
    let deep = good.replace("true", &("[".repeat(63) + &"]".repeat(63)));
    let beyond = good.replace("true", "9007199254740993");
    let twice = good.replace("\"analytics_opt_in\":true", "\"analytics_opt_in\":true,\"analytics_opt_in\":true");
    let deep_at = format!("/data/analytics_opt_in{}", "/0".repeat(62));
    for (text, problem, status, pointer) in [
        (&good.as_bytes()[..good.len() - 1], EventProblem::MalformedJson, 400, None),
        (b"", EventProblem::MalformedJson, 400, None),
        (&bad_utf8, EventProblem::InvalidUtf8, 400, None),
        (deep.as_bytes(), EventProblem::TooDeep, 400, Some(deep_at.as_str())),
        (beyond.as_bytes(), EventProblem::NumberTooLarge, 422, Some("/data/analytics_opt_in")),
        (twice.as_bytes(), EventProblem::DuplicateMember, 422, Some("/data/analytics_opt_in")),
    ] {
        let rejection = post_text(text);
        let found = (rejection.problem(), rejection.problem().status(), rejection.pointer());
        assert_eq!(found, (problem, status, pointer));
    }
    // One level less is a value of the wrong type.
    let deepest = good.replace("true", &("[".repeat(62) + &"]".repeat(62)));
    assert_eq!(post_text(deepest.as_bytes()).problem(), EventProblem::WrongType);
}

#[test]
fn a_rejection_names_its_event_as_far_as_it_could_be_read() {
    let cut = br#"{"id":"evt-9","subject":"usr_7Qm2Xr9TzKpA","data":{"a":[[1]],"type":1},"type":"deadl"#;
    let rejection = post_text(cut);
    assert_eq!((rejection.event_id.as_deref(), rejection.event_type.as_deref()), (Some("evt-9"), None));
    assert_eq!(rejection.subject.map(|user| user.as_str().to_owned()).as_deref(), Some("usr_7Qm2Xr9TzKpA"));
    let whole = post_text(event(IdentityVerified, json!({})).to_string().as_bytes());
    assert_eq!(whole.event_type.as_deref(), Some("identity.verified"));
    for text in [&b"\xff\xfe"[..], b"[1,2]", br#"{"id":7}"#, br#"{"id":"234123412346","x":1}"#] {
        assert_eq!(post_text(text).event_id, None);
    }
    let date_and_count = post_text(br#"{"id":"evt-2026-0121-0003","type":"2026-0121-0003","x":1}"#);
    assert_eq!(date_and_count.event_id.as_deref(), Some("evt-2026-0121-0003"), "ids have a narrower rule");
    assert_eq!(date_and_count.event_type, None);
    let large = Rejection::too_large(1 << 20, cut);
    assert_eq!((large.problem().status(), large.event_id.as_deref()), (413, Some("evt-9")));
    assert!(large.red, "what stands behind the head is not known");
}

#[test]
fn a_rejection_marks_an_event_that_may_hold_class_red() {
    let red = |event_type, data| post(event_type, &event(event_type, data)).expect_err("it is refused").red;
    assert!(red(IdentityVerified, json!({"identity": {"display_name": "Rajesh Kumar Sharma"}})));
    assert!(red(IdentityVerified, json!({"identity": {"gender": "x"}, "full_name": "Rajesh"})));
    assert!(red(IdentityVerified, json!({"date_of_birth": "1980-01-01"})));
    assert!(red(IdentityVerified, json!({"address": {"street": "12 MG Road"}})));
    assert!(red(UserConsentUpdated, json!({"note": "2341 2341 2346"})));
    assert!(red(UserConsentUpdated, json!({"note": 234_123_412_346_u64})));
    assert!(post_text(b"{\"note\":\"2341 2341 2346\"").red);
    assert!(!red(UserConsentUpdated, json!({"note": "hello"})));
    assert!(!red(IdentityVerified, json!({"identity": {"gender": "x", "display_name": "Rajesh K."}})));
    assert!(post_text(b"{\"full_name\":\"Raj").red);
    assert!(post_text(b"{\"dob\":1980,\"dob\":1981}").red);
    assert!(!post_text(b"{\"note\":").red);
}

#[test]
fn no_value_of_the_event_stands_in_a_rejection() {
    let secret = "zzsecretzz";
    for (event_type, data) in [
        (DeadlineDetected, json!({"deadline_id": format!("{secret} "), "due_date": secret})),
        (DeadlineDetected, json!({"priority": secret})),
        (UserConsentUpdated, json!({"data_sharing_level": secret, "analytics_opt_in": secret})),
        (IdentityVerified, json!({"identity": secret, "identity_token": secret, "address": {"state": secret}})),
        (IdentityVerified, json!({"identity": {"display_name": secret, "verified_documents": [secret]}})),
    ] {
        let mut event = event(event_type, data);
        for name in ["time", "kind", "datacontenttype", "specversion"] {
            let rejection = post(event_type, &event).expect_err("it is refused");
            assert!(!format!("{rejection} {rejection:?}").contains(secret), "{rejection:?}");
            event[name] = json!(secret);
        }
    }
}

#[test]
fn a_pointer_stops_before_a_name_that_looks_like_class_red() {
    let with_name = |name: &str| event(UserConsentUpdated, json!({name: true}));
    for name in ["2341 2341 2346", "ABCPE1234F", &"x".repeat(65), "a\nb"] {
        assert_refused(post(UserConsentUpdated, &with_name(name)), EventProblem::UnknownMember, "/data");
        let twice = format!("{{\"data\":{{{0}:1,{0}:1}}}}", json!(name));
        assert_eq!(post_text(twice.as_bytes()).pointer(), Some("/data"));
    }
}

#[test]
fn items_of_a_batch_stand_for_themselves() {
    let good = event(UserConsentUpdated, json!({"analytics_opt_in": true}));
    let body = format!("[{good}, {{\"a\":1,\"a\":1}} ,9007199254740993,{}]", "[".repeat(70) + &"]".repeat(70));
    let items = crate::json::ArraySplitter::new(4).finish(body.as_bytes()).expect("an array");
    let problems: Vec<_> = items
        .into_iter()
        .map(|item| validate(&body.as_bytes()[item], Source::Consent, &rules(), NOW).err().map(|r| r.problem()))
        .collect();
    assert_eq!(
        problems,
        [None, Some(EventProblem::DuplicateMember), Some(EventProblem::NumberTooLarge), Some(EventProblem::TooDeep)]
    );
}

#[test]
fn sixteen_faults_are_reported_and_that_there_are_more() {
    for (count, reported, more) in [(15, 15, false), (16, 16, false), (17, 16, true), (1_000, 16, true)] {
        let data = (0..count).map(|number| (format!("unknown_{number}"), json!(1))).collect::<serde_json::Map<_, _>>();
        let rejection = post_text(event(UserConsentUpdated, json!(data)).to_string().as_bytes());
        assert_eq!((rejection.faults().len(), rejection.has_more_faults()), (reported, more), "{count} faults");
    }
}
