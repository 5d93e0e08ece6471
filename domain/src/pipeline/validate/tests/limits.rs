//! Limits on texts, ids and lists.

use super::data::{action, deadline, predicted, refuse, scheme, with};
use super::*;
use crate::event::FeedEventType::*;

#[test]
fn values_of_exactly_the_limit_are_accepted_and_one_more_is_not() {
    let long = with(scheme(&"s".repeat(64)), "scheme_name", json!("ñ".repeat(128)));
    let long = with(long, "matched_rules", json!(["ऋ".repeat(64)]));
    assert!(post(EligibilityBatchComputed, &event(EligibilityBatchComputed, json!({"schemes": [long]}))).is_ok());
    let rule = with(scheme("s"), "matched_rules", json!(["r", "ऋ".repeat(65)]));
    let data = json!({"schemes": [rule]});
    refuse(EligibilityBatchComputed, data, EventProblem::TooLong, "/data/schemes/0/matched_rules/1");
    let long = with(with(deadline(), "deadline_id", json!("d".repeat(64))), "description", json!("😀".repeat(512)));
    assert!(post(DeadlineDetected, &event(DeadlineDetected, long)).is_ok());
    let status = json!({"scheme_id": "s".repeat(65), "application_status": "applied"});
    refuse(SchemeApplicationStatusChanged, status, EventProblem::InvalidFormat, "/data/scheme_id");
    let completed = json!({"deadline_id": "d".repeat(65), "completed_at": null});
    refuse(DeadlineCompleted, completed, EventProblem::InvalidFormat, "/data/deadline_id");
}

/// An item from its number and a text.
type MakeItem<'a> = &'a dyn Fn(usize, &str) -> Value;

/// Returns a list whose canonical form takes `bytes`. Its items differ only in the length of one text.
fn list_of(bytes: usize, item: MakeItem<'_>) -> Vec<Value> {
    let list = |lengths: &[usize]| -> Vec<Value> {
        lengths.iter().enumerate().map(|(number, length)| item(number, &"x".repeat(*length))).collect()
    };
    let missing = |lengths: &[usize]| bytes.checked_sub(json!(list(lengths)).to_string().len());
    let mut lengths = vec![1];
    while missing(&lengths).is_some() {
        lengths.push(1);
    }
    lengths.pop();
    let mut rest = missing(&lengths).expect("one item less fits");
    for length in &mut lengths {
        let more = rest.min(127);
        *length += more;
        rest -= more;
    }
    assert_eq!((rest, missing(&lengths)), (0, Some(0)));
    list(&lengths)
}

#[test]
fn lists_are_bounded_in_bytes_of_their_canonical_form() {
    let schemes = |number: usize, text: &str| {
        let rules = vec!["r".repeat(64); 5];
        with(with(scheme(&format!("s{number:03}")), "matched_rules", json!(rules)), "scheme_name", json!(text))
    };
    let predicted = |_: usize, text: &str| {
        let related: Vec<_> = (0..8).map(|number| format!("s{number}").repeat(16)).collect();
        with(with(predicted(), "event", json!(text)), "related_schemes", json!(related))
    };
    let actions = |_: usize, text: &str| with(with(action(), "reason", json!("ñ".repeat(128))), "action", json!(text));
    let cases: [(_, _, _, MakeItem<'_>); 3] = [
        (EligibilityBatchComputed, "schemes", 65_536, &schemes),
        (PredictionGenerated, "predicted_events", 16_384, &predicted),
        (PredictionGenerated, "recommended_actions", 16_384, &actions),
    ];
    for (event_type, name, bytes, item) in cases {
        let data = |bytes| json!({name: list_of(bytes, item)});
        assert!(post(event_type, &event(event_type, data(bytes))).is_ok(), "{name}");
        refuse(event_type, data(bytes + 1), EventProblem::TooLarge, &format!("/data/{name}"));
    }
}
