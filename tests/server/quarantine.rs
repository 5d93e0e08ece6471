//! The quarantine: users whose frames could not be folded are listed, inspected, and let out while the server runs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::route_table::entries;
use crate::test_server::{PROGRAM, TestServer, USER, eventually, profile_path, residency, start_on, start_server_with};
use crate::token::{Token, now};

/// Where the wrapped key of the first slot lies in the keyring: behind the header's page.
const FIRST_KEY_AT: u64 = 8_192 + 20;
pub(crate) const SETTINGS: &str = "[checkpoint]\ninterval_s = 2\n";

pub(crate) fn operator() -> Token {
    Token::new("admin", "adm:root", "operate").with("amr", json!(["mfa"])).with("auth_time", now())
}

pub(crate) fn send(server: &TestServer, method: &'static str, path: &str) -> Response {
    let request = Request::new(method, path).bearer(&server.sign(operator()));
    request.header("x-access-reason", "a damaged key").send(server.admin_listen)
}

pub(crate) fn list(server: &TestServer) -> Vec<Value> {
    let answer = send(server, "GET", "/admin/quarantine");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

/// Inverts a byte of the first user's key. The second time mends it.
pub(crate) fn flip_key(server: &TestServer) {
    let keyring = File::options().read(true).write(true).open(server.data_dir.path().join("keyring")).unwrap();
    let mut byte = [0];
    keyring.read_exact_at(&mut byte, FIRST_KEY_AT).unwrap();
    keyring.write_all_at(&[!byte[0]], FIRST_KEY_AT).unwrap();
}

/// Waits until a checkpoint has what was acknowledged. The gauge follows with the server's next tick, which is at most a second away.
pub(crate) fn await_checkpoint(server: &TestServer) {
    thread::sleep(Duration::from_millis(1_500));
    eventually("a checkpoint", || server.metric("profile_checkpoint_lag_bytes") == 0.0);
}

/// Returns a server whose user is in quarantine with an event that says 9 years of residency, and the user's key. The actor of
/// the user goes on.
fn quarantined() -> (TestServer, String) {
    let server = start_server_with(SETTINGS);
    server.post_example();
    await_checkpoint(&server);
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    await_checkpoint(&server);
    let key = quarantine(&server);
    assert_eq!(server.get(&profile_path(USER), Token::citizen(USER)).status, 200, "the actor has the state in memory");
    (server, key)
}

/// Puts the first user into quarantine by damage of the keyring, and returns the key.
pub(crate) fn quarantine(server: &TestServer) -> String {
    for attempt in 0.. {
        let event = residency(USER, &format!("late-{attempt}"), "2026-01-21T11:00:00Z", 9);
        assert_eq!(server.post("metadata", event.to_string()).status, 200);
        flip_key(server);
        // Longer than a checkpoint and the one after it.
        let begun = Instant::now();
        while list(server).is_empty() && begun.elapsed() < Duration::from_secs(6) {
            thread::sleep(Duration::from_millis(50));
        }
        if !list(server).is_empty() {
            break;
        }
        // The checkpoint was faster than the damage.
        flip_key(server);
    }
    list(server)[0]["key"].as_str().unwrap().to_owned()
}

#[test]
fn a_user_whose_key_is_damaged_at_rest_is_listed_once_somebody_asks_and_until_it_is_mended() {
    let server = start_server_with(SETTINGS);
    server.post_example();
    let (_, data_dir) = server.terminate();
    let server = start_on(data_dir);
    flip_key(&server);
    assert_eq!(list(&server), Vec::<Value>::new());
    let refused = server.get(&profile_path(USER), Token::citizen(USER));
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"), "{refused:?}");
    let listed = list(&server).remove(0);
    assert_eq!(
        (&listed["frames"], &listed["reason"], &listed["slot"]),
        (&json!(0), &json!("key"), &json!(0)),
        "{listed}"
    );
    assert!(listed["since"].is_string() && !listed.to_string().contains(USER), "{listed}");
    let of_user = send(&server, "GET", &format!("/admin/quarantine?user={USER}")).json();
    assert_eq!(of_user["items"], json!([listed]));
    eventually("the gauge counts the user", || server.metric("profile_store_quarantined_users") == 1.0);
    flip_key(&server);
    assert_eq!(server.get(&profile_path(USER), Token::citizen(USER)).status, 200);
    assert_eq!(list(&server), Vec::<Value>::new());
    eventually("and no more", || server.metric("profile_store_quarantined_users") == 0.0);
}

#[test]
fn a_user_is_listed_and_inspected_and_folds_once_the_fault_is_mended() {
    let (server, key) = quarantined();
    let listed = list(&server).remove(0);
    assert_eq!((&listed["frames"], &listed["reason"], &listed["slot"]), (&json!(1), &json!("key"), &json!(0)));
    assert!(listed["since"].is_string() && listed["message"].as_str().unwrap().contains("slot 0"), "{listed}");
    assert!(!listed.to_string().contains(USER));
    let of_user = |user: &str| send(&server, "GET", &format!("/admin/quarantine?user={user}"));
    assert_eq!(of_user(USER).json(), json!({"items": [listed], "next_cursor": null}));
    assert_eq!(of_user("usr_NobodyNobody").json()["items"], json!([]));
    assert_eq!(of_user("Rajesh").status, 400);
    let audited =
        server.get("/api/v2/audit?action=quarantine.list&limit=200", Token::new("auditor", "aud:a", "")).json();
    let about: Vec<_> = audited["entries"].as_array().unwrap().iter().map(|one| &one["entry"]["subject"]).collect();
    assert!(about.iter().any(|subject| subject.is_string()), "{audited}");
    let inspected = send(&server, "GET", &format!("/admin/quarantine/{key}")).json();
    assert_eq!(inspected["items"][0]["opens"], false, "{inspected}");
    let refused = send(&server, "POST", &format!("/admin/quarantine/{key}/retry"));
    assert_eq!((refused.status, refused.problem().as_str()), (409, "still-damaged"), "{refused:?}");
    let server = start_on(server.kill());
    assert_eq!(server.get(&profile_path(USER), Token::citizen(USER)).status, 503);

    flip_key(&server);
    let inspected = send(&server, "GET", &format!("/admin/quarantine/{key}")).json();
    assert_eq!((&inspected["items"][0]["opens"], &inspected["items"][0]["folds"]), (&json!(true), &json!(true)));
    let retried = send(&server, "POST", &format!("/admin/quarantine/{key}/retry"));
    assert_eq!((retried.status, &retried.json()["folded"]), (200, &json!(1)), "{retried:?}");
    assert_eq!(server.own_profile(USER).json()["demographics"]["residency_years"], 9);
    assert_eq!(list(&server), Vec::<Value>::new());
    assert_eq!(send(&server, "POST", &format!("/admin/quarantine/{key}/retry")).status, 404);
    server.apply("metadata", &residency(USER, "later", "2026-01-21T11:30:00Z", 10));
    let server = start_on(server.terminate().1);
    assert_eq!(server.own_profile(USER).json()["demographics"]["residency_years"], 10);
    assert_eq!(list(&server), Vec::<Value>::new());
}

#[test]
fn a_user_whose_frames_are_dropped_goes_on_without_them_at_once() {
    let (server, key) = quarantined();
    let lost = server.own_profile(USER);
    let path = format!("/admin/quarantine/{key}");
    for wrong in [path.clone(), format!("{path}?confirm=yes")] {
        assert_eq!(send(&server, "DELETE", &wrong).problem(), "invalid-parameter");
    }
    flip_key(&server);
    let dropped = send(&server, "DELETE", &format!("{path}?confirm={key}"));
    assert_eq!((dropped.status, &dropped.json()["lost"]), (200, &json!(1)), "{dropped:?}");

    // The next read is of the new state: nothing of the actor, its views or their tags is left.
    let tag = lost.header("etag").to_owned();
    let request = Request::new("GET", profile_path(USER)).bearer(&server.sign(Token::citizen(USER)));
    let again = server.send(request.header("if-none-match", tag));
    assert_eq!(again.status, 200, "{again:?}");
    let profile = again.json();
    assert_ne!(profile["demographics"]["residency_years"], 9);
    assert!(profile["revision"].as_u64() > lost.json()["revision"].as_u64(), "{profile}");
    for given in ["data_sharing_level", "third_party_sharing"] {
        assert_eq!(profile["consent"].get(given), None, "consent begins anew: {profile}");
    }
    let third = Token::service("profile:read third_party");
    assert_eq!(server.get(&profile_path(USER), third).status, 404, "third parties have lost sight of the user");
    let gone =
        server.get(&format!("{}?revision={}", profile_path(USER), lost.json()["revision"]), Token::citizen(USER));
    assert_eq!((gone.status, gone.problem().as_str()), (410, "history-gone"), "{gone:?}");

    // The engine sends the event again, and the citizen consents again.
    server.apply("metadata", &residency(USER, "late", "2026-01-21T11:00:00Z", 9));
    server.consent(USER, &json!({"data_sharing_level": "standard"}));
    let server = start_on(server.kill());
    let profile = server.own_profile(USER).json();
    assert_eq!(profile["demographics"]["residency_years"], 9);
    assert_eq!(profile["consent"]["data_sharing_level"], "standard");
    assert_eq!(list(&server), Vec::<Value>::new());
    let entry = entries(&server).into_iter().find(|entry| entry["action"] == "quarantine.drop").unwrap();
    assert_eq!((&entry["user_key"], &entry["category"]), (&json!(key), &json!("compliance")));
    assert!(entry["subject"].is_string(), "the citizen finds it in the access log");
}

#[test]
fn the_command_line_lists_inspects_and_retries() {
    let (server, key) = quarantined();
    let token = server.sign(operator());
    let command = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("quarantine").args(arguments).arg("--data-dir").arg(server.data_dir.path());
        command.args(["--admin", &server.admin_listen.to_string()]).env("PROFILE_SERVER_TOKEN", &token);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let lines = |text: &str| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    let (code, out, _) = command(&["list"]);
    assert_eq!((code, &lines(&out)[0]["key"]), (Some(0), &json!(key)));
    let (code, out, _) = command(&["inspect", &key]);
    assert_eq!((code, lines(&out).len(), &lines(&out)[1]["opens"]), (Some(0), 2, &json!(false)));
    let (code, out, error) = command(&["retry", &key]);
    assert_eq!((code, out.as_str(), error.lines().count()), (Some(1), "", 1), "{error}");
    assert_eq!(command(&["drop", &key]).0, Some(2), "a drop must be confirmed");
    assert_eq!(command(&["inspect", "x"]).0, Some(2));
    flip_key(&server);
    let (code, out, _) = command(&["retry", &key]);
    assert_eq!((code, &lines(&out)[0]["folded"]), (Some(0), &json!(1)));
    assert_eq!(command(&["list"]), (Some(0), String::new(), String::new()));
}
