//! A server on a directory that was restored: what its clients hold of the server that was backed up.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::follower::{Follower, request};
use crate::http::Request;
use crate::live_client::LiveClient;
use crate::test_server::{
    PROGRAM, TestServer, USER, eventually, profile_path, residency, serve, start_on, start_server, start_server_with,
};
use crate::token::{Token, now};

fn run(command: &[&str], data_dir: &Path, server: Option<&TestServer>) {
    let mut process = Command::new(PROGRAM);
    process.args(command).arg("--data-dir").arg(data_dir).stdin(Stdio::null());
    if let Some(server) = server {
        process.args(["--admin", &server.admin_listen.to_string()]);
    }
    let output = process.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A backup of a server and of its keyring, in a directory.
struct BackedUp(TempDir);

impl BackedUp {
    fn new(server: &TestServer) -> Self {
        let files = Self(TempDir::new().unwrap());
        let data_dir = server.data_dir.path();
        run(&["backup", "--out", &files.path("data")], data_dir, Some(server));
        run(&["keyring", "backup", "--out", &files.path("keyring")], data_dir, Some(server));
        files
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Restores a directory with the secrets and the newest audit log of the server that was backed up, or with the log of the
    /// backup.
    fn restore(&self, old: &Path, with_newest_log: bool) -> TempDir {
        let new = TempDir::new().unwrap();
        fs::copy(old.join(".env"), new.path().join(".env")).unwrap();
        let (from, keyring, audit) = (self.path("data"), self.path("keyring"), old.join("audit").display().to_string());
        let mut command = vec!["restore", "--from", &from, "--keyring", &keyring];
        match with_newest_log {
            true => command.extend(["--audit", &audit]),
            // The keyring is newer than the data, so that the log of the backup does not say what was erased since.
            false => command.push("--accept-older-audit-log"),
        }
        run(&command, new.path(), None);
        new
    }
}

fn reader() -> Token {
    Token::service("profile:read live:many")
}

fn follower() -> Token {
    Token::service("profile:read events:read")
}

#[tokio::test]
async fn clients_of_before_begin_again_and_what_came_after_the_backup_can_be_sent_again() {
    let server = start_server();
    server.post_example();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let before = residency(USER, "before", "2026-01-21T11:00:00Z", 9);
    server.apply("metadata", &before);
    let files = BackedUp::new(&server);
    let at_backup = server.own_profile(USER).json();
    // Clients read what comes after the backup, and is not in it.
    let mut own = LiveClient::open(&server, Token::citizen(USER)).await;
    let mut other = LiveClient::open(&server, reader()).await;
    for client in [&mut own, &mut other] {
        client.subscribe(&[USER], None).await;
        client.next().await;
    }
    let mut follows = Follower::open(&server, follower(), "cursor=oldest");
    let after = residency(USER, "after", "2026-01-21T11:10:00Z", 10);
    server.apply("metadata", &after);
    let lost = server.own_profile(USER);
    let revision = lost.json()["revision"].clone();
    for client in [&mut own, &mut other] {
        client.reach(USER, &revision).await;
    }
    follows.read_to(USER, revision.as_u64().unwrap());
    let (own, other, cursor) = (own.disconnect(), other.disconnect(), follows.cursor.clone());
    drop(follows);
    let old = server.kill();

    let server = start_on(files.restore(old.path(), true));
    assert_eq!(server.own_profile(USER).json(), at_backup);
    for (client, token) in [(own, Token::citizen(USER)), (other, reader())] {
        let mut client = client.reconnect(&server, token.clone()).await;
        let first = client.next().await;
        assert_eq!((&first["type"], &first["reset"]), (&json!("profile"), &json!(true)), "{first}");
        assert_eq!(client.held[USER], server.get(&profile_path(USER), token).json());
    }
    let Err(gone) = Follower::try_open(&server, request(&server, follower(), &format!("cursor={cursor}"))) else {
        panic!("a cursor of before is continued")
    };
    assert_eq!((gone.status, gone.problem().as_str()), (410, "cursor-gone"), "{gone:?}");
    let oldest = gone.json()["oldest"].as_str().unwrap().to_owned();
    let mut follows = Follower::open(&server, follower(), &format!("cursor={oldest}"));

    // An event that the backup has is known, and one that it has not is taken as new.
    let answer = server.post("metadata", before.to_string()).json();
    assert_eq!(answer["applied"], 0, "{answer}");
    server.apply("metadata", &after);
    let again = server.own_profile(USER);
    assert_eq!(again.json()["demographics"]["residency_years"], 10);
    // The revision may have the number of the one that was lost. Its tag is another one, so that no copy of before is taken for it.
    assert_ne!(again.header("etag"), lost.header("etag"));
    let conditional = Request::new("GET", profile_path(USER)).bearer(&server.sign(Token::citizen(USER)));
    assert_eq!(server.send(conditional.header("if-none-match", lost.header("etag"))).status, 200);
    let events = follows.read_to(USER, again.json()["revision"].as_u64().unwrap());
    assert!(!events.is_empty());
}

/// Returns the lines of an anchor file.
fn anchors(path: &Path) -> usize {
    fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn an_anchor_that_is_newer_than_the_restored_log_refuses_the_start_and_says_what_to_do() {
    let outside = TempDir::new().unwrap();
    let anchor_file = outside.path().join("anchors.log");
    let settings = format!("[audit]\nanchor_file = \"{}\"\n", anchor_file.display());
    let server = start_server_with(&settings);
    server.post_example();
    let files = BackedUp::new(&server);
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let known = anchors(&anchor_file);
    // A page of the log needs a tree head that has its entries, and the head is anchored.
    let page = server.get("/api/v2/audit?limit=200", Token::new("auditor", "aud:a", ""));
    assert_eq!(page.status, 200, "{page:?}");
    eventually("an anchor", || anchors(&anchor_file) > known);
    let old = server.kill();

    let restored = files.restore(old.path(), false);
    assert_eq!(fs::read_to_string(restored.path().join("config.local.toml")).unwrap(), settings);
    let refused = serve(restored.path()).output().unwrap();
    let line = String::from_utf8(refused.stderr).unwrap();
    let line = line.lines().last().unwrap_or_default();
    assert_eq!(refused.status.code(), Some(1), "{line}");
    for text in ["the audit log is older than its anchor", "restore --audit", "move the anchor file away"] {
        assert!(line.contains(text), "{line}");
    }
    assert!(line.contains(&anchor_file.display().to_string()), "{line}");
    // With the newest log it starts, and goes on in the same file.
    let server = start_on(files.restore(old.path(), true));
    assert_eq!(server.own_profile(USER).status, 200);
    drop(server);
    // Without it, once the anchors are elsewhere.
    fs::rename(&anchor_file, outside.path().join("kept.log")).unwrap();
    let server = start_on(restored);
    let profile: Value = server.own_profile(USER).json();
    assert_eq!(profile["consent"]["data_sharing_level"], "standard", "the consent came after the backup");
}

fn operator() -> Token {
    Token::new("admin", "adm:root", "operate").with("amr", json!(["mfa"])).with("auth_time", now())
}

/// Sends a request of a citizen who has just authenticated with a second factor.
fn as_citizen(server: &TestServer, method: &'static str, user: &str, rest: &str) -> u16 {
    let token = Token::citizen(user).with("amr", json!(["mfa"])).with("auth_time", now());
    server.send(Request::new(method, profile_path(user) + rest).bearer(&server.sign(token))).status
}

#[test]
fn what_the_log_says_of_the_time_since_the_backup_holds_after_the_restore() {
    const UNDONE: &str = "usr_UndoneUndone1";
    const AGAIN: &str = "usr_AgainAgain001";
    const LATER: &str = "usr_LaterLater001";
    let server = start_server();
    for (number, user) in [UNDONE, AGAIN, LATER].into_iter().enumerate() {
        server.apply("metadata", &residency(user, &format!("e{number}"), "2026-01-20T00:00:00Z", 7));
    }
    for user in [UNDONE, AGAIN] {
        assert_eq!(as_citizen(&server, "DELETE", user, "?retain_days=30"), 202);
    }
    let files = BackedUp::new(&server);
    for user in [UNDONE, AGAIN] {
        assert_eq!(as_citizen(&server, "DELETE", user, "/erasure"), 204);
    }
    assert_eq!(as_citizen(&server, "DELETE", AGAIN, "?retain_days=20"), 202);
    assert_eq!(as_citizen(&server, "DELETE", LATER, "?retain_days=20"), 202);
    for what in [json!({"jti": "the-victim"}), json!({"sub": "svc:gone"})] {
        let request = Request::new("POST", "/admin/revocations").bearer(&server.sign(operator()));
        let request = request.header("x-access-reason", "stolen").body("application/json", what.to_string());
        assert_eq!(request.send(server.admin_listen).status, 201);
    }
    let old = server.kill();

    let server = start_on(files.restore(old.path(), true));
    let status = |user: &str| server.get(&profile_path(user), Token::citizen(user)).status;
    // That of LATER is not in the backup, and the log does not say who it was.
    assert_eq!([UNDONE, AGAIN, LATER].map(status), [200, 410, 200]);
    assert!(server.log().contains("are not scheduled in what was restored"), "{}", server.log());
    let refused = |token: Token| server.get(&profile_path(UNDONE), token).problem();
    assert_eq!(refused(Token::service("profile:read").with("jti", "the-victim")), "invalid-token");
    assert_eq!(refused(Token::new("service", "svc:gone", "profile:read")), "invalid-token");
    let server = start_on(server.terminate().1);
    assert_eq!(server.log().matches("are not scheduled in what was restored").count(), 1, "once is enough");
    assert_eq!(server.get(&profile_path(UNDONE), Token::citizen(UNDONE)).status, 200);
    assert_eq!(server.get(&profile_path(UNDONE), Token::new("service", "svc:gone", "profile:read")).status, 401);
}
