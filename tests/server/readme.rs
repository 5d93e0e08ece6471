//! Checks that the JSON in README.md is what the server sends.

use serde_json::{Value, json};

use crate::live::seeded;
use crate::live_client::LiveClient;
use crate::test_server::USER;
use crate::token::Token;

/// Members that differ between runs, because they are random or measured.
const VARYING: [&str; 4] = ["assembly_latency_ms", "cursor", "profile_hash", "profile_id"];

/// Returns the JSON blocks of the README: a profile, and the frame that changes it.
fn samples() -> (Value, Value) {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let [profile, frame] = &blocks.map(|block| serde_json::from_str(block).unwrap()).collect::<Vec<Value>>()[..] else {
        panic!("README.md has two blocks of JSON")
    };
    (profile.clone(), frame.clone())
}

/// Returns the object without the members that differ between runs, which must be present.
fn comparable(object: &Value) -> Value {
    let mut members = object.as_object().unwrap().clone();
    members.values_mut().filter(|value| value.is_object()).for_each(|value| *value = comparable(value));
    for name in VARYING {
        if let Some(value) = members.get_mut(name) {
            *value = json!("varies");
        }
    }
    members.into()
}

#[tokio::test]
async fn the_profile_and_the_patch_of_the_readme_are_what_a_service_receives() {
    let (mut profile, frame) = samples();
    let server = seeded();
    let mut client = LiveClient::open(&server, Token::service("profile:read")).await;
    client.subscribe(&[USER], None).await;
    client.next().await;
    assert_eq!(comparable(&profile), comparable(&client.held[USER]));

    let approved = json!({
        "specversion": "1.0", "id": "sta-0002", "source": "/engines/schemes",
        "type": "scheme.application.status_changed", "subject": USER, "time": "2026-01-21T11:00:00Z",
        "data": {"scheme_id": "sch_pm_kisan", "application_status": "approved"},
    });
    server.apply("schemes", &approved);
    assert_eq!(comparable(&frame), comparable(&client.next().await));

    let operations: json_patch::Patch = serde_json::from_value(frame["operations"].clone()).unwrap();
    json_patch::patch(&mut profile, &operations).unwrap();
    for (member, value) in frame["envelope"].as_object().unwrap() {
        profile[member] = value.clone();
    }
    assert_eq!(comparable(&profile), comparable(&client.held[USER]));
}
