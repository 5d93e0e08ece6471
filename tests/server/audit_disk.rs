//! A disk that hangs or fails under the audit log or the journal: what is answered, what changes, and what is recorded.

use serde_json::{Value, json};

use crate::disk_faults::DiskFaults;
use crate::http::{Request, Response};
use crate::route_table::entries;
use crate::test_server::{TestServer, USER, eventually, profile_path};
use crate::token::{Token, now};

fn put_consent(server: &TestServer, level: &str) -> Response {
    let request =
        Request::new("PUT", format!("{}/consent", profile_path(USER))).bearer(&server.sign(Token::citizen(USER)));
    server.send(request.body("application/json", json!({"data_sharing_level": level}).to_string()))
}

/// Returns the entries of an action, the oldest first.
fn of_action(server: &TestServer, action: &str) -> Vec<Value> {
    let mut found = entries(server);
    found.retain(|entry| entry["action"] == action);
    found.reverse();
    found
}

fn decisions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["decision"].as_str().expect("a decision")).collect()
}

#[test]
fn an_operation_whose_entry_the_disk_does_not_take_is_refused_in_time_and_changes_nothing() {
    let (disk, server) = DiskFaults::start("[audit]\nwrite_timeout_s = 1");
    server.post_example();
    assert_eq!(put_consent(&server, "full").status, 200);
    let operator = Token::new("admin", "adm:root", "operate").with("amr", json!(["mfa"])).with("auth_time", now());
    let operator = server.sign(operator);
    let allow =
        |request: Request| request.bearer(&operator).header("x-access-reason", "a test").send(server.admin_listen);
    let before = server.own_profile(USER);

    disk.hold("/audit/compliance");
    // Each is answered while the disk still hangs: the first has an entry that the writer has taken, the others wait behind it.
    let refused = put_consent(&server, "minimal");
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"), "{refused:?}");
    let admin = server.sign(Token::new("admin", "adm:asha", "profile:read"));
    let read = server.send(Request::new("GET", profile_path(USER)).bearer(&admin).header("x-access-reason", "a test"));
    assert_eq!((read.status, read.problem().as_str()), (503, "unavailable"), "{read:?}");
    let entry = json!({"caller": "svc:portal", "reason": "a test", "expires_at": "2099-01-01T00:00:00Z"});
    let added = allow(Request::new("POST", "/admin/allowlist").body("application/json", entry.to_string()));
    assert_eq!((added.status, added.problem().as_str()), (503, "unavailable"), "{added:?}");
    // What needs no entry is served, and shows that nothing has changed.
    let meanwhile = server.own_profile(USER);
    assert_eq!((meanwhile.status, &meanwhile.body), (200, &before.body));

    disk.end();
    let list = || allow(Request::new("GET", "/admin/allowlist"));
    eventually("entries are written again", || list().status == 200);
    assert_eq!(list().json()["items"], json!([]));
    assert_eq!(server.own_profile(USER).body, before.body);
    // The entry that the writer had taken is durable, and the next one says that it was not done.
    let consents = of_action(&server, "consent.update");
    assert_eq!(decisions(&consents)[..3], ["allowed", "allowed", "failed"], "{consents:?}");
    assert_eq!(consents[2]["not_done"], consents[1]["seq"]);
    for action in ["profile.read", "allowlist.add"] {
        assert_eq!(of_action(&server, action), [Value::Null; 0], "it was not done, and has no entry");
    }
}

#[test]
fn a_consent_that_the_journal_did_not_acknowledge_is_not_said_to_have_failed() {
    let (disk, server) = DiskFaults::start("");
    server.post_example();
    disk.fail("/journal/");
    let busy = put_consent(&server, "minimal");
    assert_eq!((busy.status, busy.problem().as_str()), (503, "busy"), "{busy:?}");
    disk.end();
    let consents = of_action(&server, "consent.update");
    assert_eq!(decisions(&consents), ["allowed"], "the disk may have it all the same: {consents:?}");
}
