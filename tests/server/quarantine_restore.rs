//! A user in quarantine goes on from a backup while the server runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::follower::read_lines;
use crate::http::{Request, Response};
use crate::live_client::LiveClient;
use crate::quarantine::{SETTINGS, await_checkpoint, flip_key, list, operator, quarantine, send};
use crate::route_table::entries;
use crate::test_server::{
    PROGRAM, TestServer, USER, profile_path, residency, start_on, start_server, start_server_with,
};
use crate::token::{Token, now};

fn back_up(server: &TestServer, to: &Path) {
    let mut command = Command::new(PROGRAM);
    command.arg("backup").arg("--data-dir").arg(server.data_dir.path()).arg("--out").arg(to);
    let output = command.args(["--admin", &server.admin_listen.to_string()]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Runs `quarantine restore` as an operator.
fn restore(server: &TestServer, key: &str, from: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["quarantine", "restore", key, "--from"]).arg(from).args(more);
    command.arg("--data-dir").arg(server.data_dir.path()).args(["--admin", &server.admin_listen.to_string()]);
    command.env("PROFILE_SERVER_TOKEN", server.sign(operator())).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn restored(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the error of a command that failed, which is one line.
#[track_caller]
fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

/// A server whose user is in quarantine with one event behind the last checkpoint, and backups from before.
struct Quarantined {
    server: TestServer,
    key: String,
    files: TempDir,
}

impl Quarantined {
    /// The user is visible to third parties, and `older` is from before the consent.
    fn new() -> Self {
        let (server, files) = (start_server_with(SETTINGS), TempDir::new().unwrap());
        server.post_example();
        back_up(&server, &files.path().join("older"));
        server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
        await_checkpoint(&server);
        back_up(&server, &files.path().join("newest"));
        Self { server, key: String::new(), files }
    }

    /// Puts the user into quarantine, and mends the key.
    fn quarantine(&mut self) {
        self.key = quarantine(&self.server);
        flip_key(&self.server);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }
}

fn conditional(server: &TestServer, tag: &str) -> Response {
    let request = Request::new("GET", profile_path(USER)).bearer(&server.sign(Token::citizen(USER)));
    server.send(request.header("if-none-match", tag))
}

#[test]
fn with_the_newest_backup_the_user_has_everything_again_and_the_same_tags() {
    let mut fixture = Quarantined::new();
    fixture.quarantine();
    let Quarantined { server, key, .. } = &fixture;
    let before = server.own_profile(USER);
    let checked = restored(&restore(server, key, &fixture.path("newest"), &["--dry-run"]));
    assert_eq!((&checked["dry_run"], &checked["folded"], &checked["lost"]), (&json!(true), &json!(1), &json!(0)));
    assert_eq!(list(server).len(), 1, "a dry run changes nothing");
    let done = restored(&restore(server, key, &fixture.path("newest"), &[]));
    assert_eq!((&done["dry_run"], &done["folded"], &done["lost"]), (&json!(false), &json!(1), &json!(0)), "{done}");
    assert_eq!(done["backup_sequence"].as_u64().map(|sequence| sequence + 1), done["sequence"].as_u64(), "{done}");
    let after = server.own_profile(USER);
    assert_eq!((after.header("etag"), &after.body), (before.header("etag"), &before.body));
    assert_eq!(conditional(server, before.header("etag")).status, 304);
    assert_eq!(server.get(&profile_path(USER), Token::service("profile:read third_party")).status, 200);
    server.apply("metadata", &residency(USER, "later", "2026-01-21T11:30:00Z", 10));
    let server = start_on(fixture.server.kill());
    assert_eq!(server.own_profile(USER).json()["demographics"]["residency_years"], 10);
    assert_eq!(list(&server), Vec::<Value>::new());
}

#[tokio::test]
async fn with_an_older_backup_the_loss_must_be_accepted_and_clients_get_the_profile_anew() {
    let mut fixture = Quarantined::new();
    fixture.quarantine();
    let Quarantined { server, key, .. } = &fixture;
    let lost = server.own_profile(USER);
    let mut live = LiveClient::open(server, Token::citizen(USER)).await;
    live.subscribe(&[USER], None).await;
    live.next().await;
    let older = fixture.path("older");
    let checked = restored(&restore(server, key, &older, &["--dry-run"]));
    assert_eq!((&checked["folded"], &checked["lost"]), (&json!(0), &json!(2)), "the consent and the event: {checked}");
    assert!(checked["backup_time"].is_string(), "{checked}");
    let error = failed(&restore(server, key, &older, &[]));
    assert!(error.contains("2 changes after the backup would be lost") && error.contains("accept"), "{error}");
    assert_eq!((list(server).len(), server.own_profile(USER).body), (1, lost.body.clone()), "nothing has changed");
    live.expect_silence().await;
    let done = restored(&restore(server, key, &older, &["--accept-loss"]));
    assert_eq!((&done["folded"], &done["lost"]), (&json!(0), &json!(2)), "{done}");

    let again = conditional(server, lost.header("etag"));
    assert_eq!(again.status, 200, "{again:?}");
    let (before, profile) = (lost.json(), again.json());
    assert!(profile["revision"].as_u64() > before["revision"].as_u64(), "{profile}");
    assert_ne!(profile["demographics"]["residency_years"], 9);
    assert_eq!(profile["identity"]["gender"], before["identity"]["gender"], "the backup has the rest");
    assert_eq!(profile["consent"].get("data_sharing_level"), None, "consent begins anew: {profile}");
    assert_eq!(server.get(&profile_path(USER), Token::service("profile:read third_party")).status, 404);
    let path = format!("{}?revision={}", profile_path(USER), before["revision"]);
    let gone = server.get(&path, Token::citizen(USER));
    assert_eq!((gone.status, gone.problem().as_str()), (410, "history-gone"), "{gone:?}");
    // The live client has what `GET` returns, without asking again.
    live.reach(USER, &profile["revision"]).await;
    assert_eq!(live.held[USER], server.own_profile(USER).json());

    // Both are sent again, and followers hear of a revision that they do not hold, so that they read the profile.
    server.apply("metadata", &residency(USER, "late-0", "2026-01-21T11:00:00Z", 9));
    server.consent(USER, &json!({"data_sharing_level": "standard"}));
    let profile = server.own_profile(USER).json();
    live.reach(USER, &profile["revision"]).await;
    assert_eq!(live.held[USER], profile);
    let revision = &profile["revision"];
    let follower = Token::service("profile:read events:read");
    let events = read_lines(server, follower, "cursor=oldest&types=profile.delta.generated", |event| {
        event["data"]["revision"] == *revision
    });
    let bases: Vec<_> = events.iter().map(|event| event["data"]["base_revision"].as_u64().unwrap_or(0)).collect();
    let reached: Vec<_> = events.iter().map(|event| event["data"]["revision"].as_u64().unwrap()).collect();
    assert!(bases.iter().skip(1).zip(&reached).any(|(base, before)| base > before), "a gap: {bases:?} {reached:?}");
    assert!(reached.is_sorted_by(|one, next| one < next), "no revision comes twice: {reached:?}");

    let entries: Vec<_> = entries(server).into_iter().filter(|entry| entry["action"] == "quarantine.restore").collect();
    let done: Vec<_> = entries.iter().map(|entry| (&entry["decision"], entry.get("dry_run"), &entry["lost"])).collect();
    let (allowed, two) = (&json!("allowed"), &json!(2));
    assert!(done.contains(&(allowed, Some(&json!(true)), two)) && done.contains(&(allowed, None, two)), "{entries:?}");
    for entry in entries.iter().filter(|entry| entry["decision"] == "allowed") {
        assert_eq!((&entry["user_key"], &entry["category"]), (&json!(key), &json!("compliance")));
        assert!(entry["subject"].is_string() && entry["backup_time"].is_string(), "{entry}");
    }
    let server = start_on(fixture.server.kill());
    assert_eq!(server.own_profile(USER).json(), profile);
}

#[test]
fn what_is_no_backup_of_the_user_is_refused_and_changes_nothing() {
    let mut fixture = Quarantined::new();
    // A server of another keyring, which has the same citizen.
    let other = start_server();
    other.post_example();
    back_up(&other, &fixture.path("other"));
    let empty = start_server_with("");
    back_up(&empty, &fixture.path("empty"));
    fixture.quarantine();
    let newest = fs::read(fixture.path("newest")).unwrap();
    let mut damaged = newest.clone();
    damaged[newest.len() / 3] ^= 4;
    fs::write(fixture.path("damaged"), damaged).unwrap();
    fs::write(fixture.path("cut"), &newest[..newest.len() - 7]).unwrap();
    fs::write(
        fixture.path("text"),
        "no backup at all, but long enough to have a header of a hundred and twenty-eight bytes, ".repeat(4),
    )
    .unwrap();
    let Quarantined { server, key, .. } = &fixture;
    for (name, expected) in [
        ("damaged", "the backup is damaged"),
        ("cut", "the backup is cut off"),
        ("text", "it is not a backup"),
        ("missing", "could not open"),
        ("other", "nobody with this key"),
        ("empty", "nobody with this key"),
    ] {
        let error = failed(&restore(server, key, &fixture.path(name), &["--accept-loss"]));
        assert!(error.contains(expected), "{name}: {error}");
    }
    let unknown = "00000000000000000000000000000007";
    let error = failed(&restore(server, unknown, &fixture.path("newest"), &[]));
    assert!(error.contains("404") && error.contains("quarantine"), "{error}");
    let stdin = restore(server, key, Path::new("-"), &["--token", "-"]);
    assert!(failed(&stdin).contains("stdin cannot be both"));

    let path = format!("/admin/quarantine/{key}/restore");
    let post = |path: &str, token: Token, content_type: &str, body: &[u8]| {
        let request = Request::new("POST", path).bearer(&server.sign(token)).header("x-access-reason", "a test");
        request.body(content_type, body).send(server.admin_listen)
    };
    const BYTES: &str = "application/octet-stream";
    for (path, content_type, body, expected) in [
        (path.clone(), "application/json", &b"{}"[..], (415, "unsupported-media-type")),
        (path.clone(), BYTES, b"", (400, "malformed-body")),
        (path.clone(), BYTES, &newest[..300], (400, "malformed-body")),
        (path.clone(), BYTES, &newest[..128], (409, "still-damaged")),
        (format!("{path}?dry_run=yes"), BYTES, &newest[..128], (400, "invalid-parameter")),
        (format!("/admin/quarantine/{unknown}/restore"), BYTES, &newest[..128], (404, "unknown-resource")),
        (path.clone(), BYTES, &vec![0; (32 << 20) + 1], (413, "too-large")),
    ] {
        let answer = post(&path, operator(), content_type, body);
        assert_eq!((answer.status, answer.problem().as_str()), expected, "{path}: {answer:?}");
    }
    for (token, status) in [
        (operator().with("auth_time", now() - 301), 401),
        (Token::new("admin", "adm:root", "profile:read").with("amr", json!(["mfa"])).with("auth_time", now()), 403),
        (Token::new("auditor", "aud:a", ""), 403),
        (Token::citizen(USER), 403),
    ] {
        assert_eq!(post(&path, token, BYTES, &newest[..128]).status, status);
    }
    let public = Request::new("POST", path.clone()).bearer(&server.sign(operator())).body(BYTES, &newest[..128]);
    assert_eq!(server.send(public).status, 404);
    assert_eq!((list(server).len(), server.own_profile(USER).status), (1, 200), "nothing has changed");

    // Once the citizen is erased, no backup brings anything back.
    let erase = Request::new("DELETE", profile_path(USER)).header("x-access-reason", "asked by letter");
    let citizen = Token::citizen(USER).with("amr", json!(["mfa"])).with("auth_time", now());
    let erased = server.send(erase.bearer(&server.sign(citizen)));
    assert_eq!(erased.status, 200, "{erased:?}");
    let error = failed(&restore(server, key, &fixture.path("newest"), &["--accept-loss"]));
    assert!(error.contains("410") && error.contains("erased"), "{error}");
    assert_eq!(send(server, "GET", &format!("/admin/quarantine/{key}")).problem(), "erased");
}
