//! Changes of the operator's files in the audit log: who, which file, its digest before and after, and the effect.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::http::Request;
use crate::keys::key_set;
use crate::route_table::entries;
use crate::test_server::{TestServer, eventually, start_on, start_server_with};
use crate::token::Token;

/// The limits that the server starts with: the tests look into the log often.
const LIMITS: &str = include_str!("../support/high-limits.toml");

fn digest(text: &str) -> Value {
    json!(hex::encode(Sha256::digest(text)))
}

/// Returns the entries about a file, the oldest first.
fn changes(server: &TestServer, file: &str) -> Vec<Value> {
    let mut found = entries(server);
    found.retain(|entry| entry["action"] == "config.change" && entry["file"] == file);
    found.reverse();
    for entry in &found {
        assert_eq!(entry["category"], "compliance", "{entry}");
    }
    found
}

/// Returns what an entry says: the actor, the effect, and the digests.
fn said(entry: &Value) -> [&Value; 5] {
    ["actor", "effect", "decision", "before", "after"].map(|name| &entry[name])
}

fn start() -> TestServer {
    let data_dir = TempDir::new().unwrap();
    fs::write(data_dir.path().join("limits.toml"), LIMITS).unwrap();
    start_on(data_dir)
}

fn write(server: &TestServer, file: &str, text: &str) {
    fs::write(server.data_dir.path().join(file), text).unwrap();
}

fn reload(server: &TestServer) -> Value {
    let operator = server.sign(Token::new("admin", "adm:root", "operate"));
    let request = Request::new("POST", "/admin/reload").bearer(&operator).header("x-access-reason", "a new limit");
    request.header("x-request-id", "the-reload").body("application/json", "{}").send(server.admin_listen).json()
}

#[test]
fn a_change_of_a_table_is_recorded_with_its_digests_and_so_is_one_that_is_refused() {
    let server = start();
    for (file, text, broken) in [("limits.toml", LIMITS, "[read]"), ("access.toml", config::ACCESS_TOML, "[self]")] {
        let changed = format!("{text}\n# changed\n");
        write(&server, file, &changed);
        eventually("the change is recorded", || changes(&server, file).len() == 1);
        write(&server, file, broken);
        eventually("the refusal is recorded", || changes(&server, file).len() == 2);
        fs::remove_file(server.data_dir.path().join(file)).unwrap();
        eventually("so is a file that is gone", || changes(&server, file).len() == 3);
        let found = changes(&server, file);
        let (system, before, after) = (json!("system"), digest(text), digest(&changed));
        let [refused, denied, none] = [json!("refused"), json!("denied"), Value::Null];
        assert_eq!(said(&found[0]), [&system, &json!("in_force"), &json!("allowed"), &before, &after]);
        assert_eq!(said(&found[1]), [&system, &refused, &denied, &after, &digest(broken)]);
        assert_eq!(said(&found[2]), [&system, &refused, &denied, &after, &none]);
    }
}

#[test]
fn a_change_that_an_operator_asks_for_names_the_operator() {
    let server = start();
    let changed = LIMITS.to_owned();
    // The file may be seen by the server itself first, so it is changed until the operator is faster.
    eventually("the operator is the first to see a change", || {
        let text = format!("{changed}\n# {}\n", changes(&server, "limits.toml").len());
        write(&server, "limits.toml", &text);
        assert_eq!(reload(&server)["files"][1]["in_force"], true);
        let newest = changes(&server, "limits.toml").pop().expect("an entry");
        assert_eq!(newest["after"], digest(&text));
        newest["actor"] == "adm:root" && newest["reason"] == "a new limit" && newest["request_id"] == "the-reload"
    });
    let count = changes(&server, "limits.toml").len();
    reload(&server);
    assert_eq!(changes(&server, "limits.toml").len(), count, "nothing has changed");
}

#[test]
fn a_change_while_the_server_was_stopped_is_recorded_at_its_start() {
    let server = start();
    eventually("what is in force is kept", || {
        changes(&server, "limits.toml").is_empty() && reload(&server).is_object()
    });
    let data_dir = server.kill();
    let changed = format!("{LIMITS}\n# changed\n");
    fs::write(data_dir.path().join("limits.toml"), &changed).unwrap();
    let server = start_on(data_dir);
    eventually("the change is recorded", || !changes(&server, "limits.toml").is_empty());
    let found = changes(&server, "limits.toml");
    let expected = [json!("system"), json!("in_force_at_start"), json!("allowed")];
    let (before, after) = (digest(LIMITS), digest(&changed));
    assert_eq!(said(&found[0]), [&expected[0], &expected[1], &expected[2], &before, &after]);
    let server = start_on(server.kill());
    reload(&server);
    assert_eq!(changes(&server, "limits.toml").len(), 1, "the next start finds what was recorded");
    assert!(changes(&server, "access.toml").is_empty());
}

#[test]
fn a_change_of_the_key_set_is_recorded() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys.json");
    let (first, second) = (key_set(&["ed25519.pem"]), key_set(&["ed25519.pem", "p256.pem"]));
    fs::write(&path, &first).unwrap();
    let server = start_server_with(&format!("[auth]\njwks_file = {path:?}"));
    let entries = |count: usize| {
        eventually("the change is recorded", || changes(&server, "key set").len() == count);
        changes(&server, "key set")
    };
    fs::write(&path, &second).unwrap();
    let added = entries(1);
    let [system, in_force, allowed] = [json!("system"), json!("in_force"), json!("allowed")];
    assert_eq!(said(&added[0]), [&system, &in_force, &allowed, &digest(&first), &digest(&second)]);
    fs::write(&path, "no keys").unwrap();
    let refused = entries(2);
    assert_eq!(said(&refused[1])[1..], [&json!("refused"), &json!("denied"), &digest(&second), &digest("no keys")]);
    fs::write(&path, r#"{"keys":[]}"#).unwrap();
    let removed = entries(3);
    assert_eq!(said(&removed[2])[1..], [&in_force, &allowed, &digest(&second), &digest(r#"{"keys":[]}"#)]);
}
