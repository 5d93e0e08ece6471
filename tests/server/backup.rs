//! Backups of a running server, and what is restored from them, on the command line.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Request;
use crate::route_table::entries;
use crate::test_server::{PROGRAM, TestServer, USER, profile_path, start_on, start_server};
use crate::token::{Token, now};

pub(crate) fn operator() -> Token {
    Token::new("admin", "adm:root", "operate").with("amr", json!(["mfa"])).with("auth_time", now())
}

/// Runs a command on a data directory. A server that uses it is named by its admin listener.
pub(crate) fn run(command: &[&str], data_dir: &Path, server: Option<&TestServer>, more: &[&str]) -> Output {
    let mut process = Command::new(PROGRAM);
    process.args(command).arg("--data-dir").arg(data_dir).args(more).stdin(Stdio::null());
    if let Some(server) = server {
        process.args(["--admin", &server.admin_listen.to_string()]);
    }
    process.output().unwrap()
}

#[track_caller]
pub(crate) fn succeeded(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Returns the error of a command that failed, which is one line.
#[track_caller]
pub(crate) fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

/// A place for files of a test.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Makes a directory with the secrets of a server.
    pub(crate) fn directory_for(&self, server: &Path) -> TempDir {
        let directory = TempDir::new_in(self.0.path()).unwrap();
        fs::copy(server.join(".env"), directory.path().join(".env")).unwrap();
        directory
    }
}

#[test]
fn a_server_goes_on_while_it_is_backed_up_and_another_one_continues_from_the_backup() {
    let (server, files) = (start_server(), Files::new());
    server.post_example();
    let before = server.own_profile(USER);
    let data_dir = server.data_dir.path().to_owned();
    let backup = files.text("data.backup");
    let made = succeeded(&run(&["backup"], &data_dir, Some(&server), &["--out", &backup]));
    assert_eq!(made["bytes"].as_u64().unwrap(), fs::metadata(&backup).unwrap().len());
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!files.path("data.backup.part").exists());
    let keyring = files.text("keyring.backup");
    succeeded(&run(&["keyring", "backup"], &data_dir, Some(&server), &["--out", &keyring]));
    // What comes later is not in the backup.
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    assert_ne!(server.own_profile(USER).header("etag"), before.header("etag"));
    let actions: Vec<_> =
        entries(&server).into_iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect();
    assert!(
        ["backup.make", "keyring.back_up"].iter().all(|made| actions.iter().any(|action| action == made)),
        "{actions:?}"
    );

    let restored = files.directory_for(&data_dir);
    let audit = data_dir.join("audit").display().to_string();
    let more = ["--from", &backup, "--keyring", &keyring, "--audit", &audit];
    let report = succeeded(&run(&["restore"], restored.path(), None, &more));
    assert_eq!((report["users"].as_u64(), report["users_without_key"].as_u64()), (Some(1), Some(0)), "{report}");
    let second = start_on(restored);
    let after = second.own_profile(USER);
    assert_eq!(after.json(), before.json());
    assert_ne!(after.header("etag"), before.header("etag"), "the epoch is part of the tag");
    let request = Request::new("GET", profile_path(USER)).bearer(&second.sign(Token::citizen(USER)));
    let again = second.send(request.header("if-none-match", before.header("etag")));
    assert_eq!(again.status, 200, "the tag is of the server that was backed up");
    second.consent(USER, &json!({"data_sharing_level": "standard"}));
    let actions: Vec<_> = entries(&second).into_iter().map(|entry| entry["action"].clone()).collect();
    assert!(actions.contains(&json!("backup.restore")) && actions.contains(&json!("keyring.back_up")), "{actions:?}");
    let (_, stopped) = second.terminate();
    let verified = run(&["verify-store"], stopped.path(), None, &[]);
    assert!(verified.status.success(), "{verified:?}");
    let table = String::from_utf8(verified.stdout).unwrap();
    assert!(table.lines().any(|line| line.starts_with("users") && line.contains(" 1 ")), "{table}");
}

#[test]
fn a_backup_goes_through_a_pipe_and_is_checked_on_the_way_in() {
    let (server, files) = (start_server(), Files::new());
    server.post_example();
    let (_, stopped) = server.terminate();
    let piped = run(&["backup"], stopped.path(), None, &["--out", "-", "--rate", "1000"]);
    assert!(piped.status.success() && piped.stdout.starts_with(b"PSBACKUP"), "{:?}", piped.stderr);
    fs::write(files.path("piped"), &piped.stdout).unwrap();
    let keyring = files.text("keyring");
    fs::copy(stopped.path().join("keyring"), &keyring).unwrap();
    let restore = |to: &Path, from: &str, more: &[&str]| {
        let mut process = Command::new(PROGRAM);
        process.args(["restore", "--from", "-", "--data-dir"]).arg(to).args(more);
        process.stdin(File::open(files.path(from)).unwrap()).output().unwrap()
    };
    let half = &piped.stdout[..piped.stdout.len() / 2];
    fs::write(files.path("half"), half).unwrap();
    let to = files.directory_for(stopped.path());
    let error = failed(&restore(to.path(), "half", &["--keyring", &keyring]));
    assert!(error.contains("cut off") && error.contains("use another copy"), "{error}");
    let left: Vec<_> = fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == ".env" || name == "LOCK"), "{left:?}");
    let error = failed(&restore(to.path(), "piped", &[]));
    assert!(error.contains("no keyring") && error.contains("--keyring"), "{error}");
    let checked = restore(to.path(), "piped", &["--keyring", &keyring, "--dry-run"]);
    assert_eq!(succeeded(&checked)["users"], 1);
    let note = String::from_utf8(checked.stderr).unwrap();
    assert!(note.contains("not made by `keyring backup`") && note.contains("--audit"), "{note}");
    let error = failed(&restore(to.path(), "piped", &["--keyring", &keyring]));
    assert!(error.contains("not made by `keyring backup`") && error.contains("--audit"), "{error}");
    let keyring_and_consent = ["--keyring", &keyring, "--accept-older-audit-log"];
    assert_eq!(succeeded(&restore(to.path(), "piped", &keyring_and_consent))["users"], 1);
    let error = failed(&restore(to.path(), "piped", &["--keyring", &keyring]));
    assert!(error.contains("restore into an empty directory"), "{error}");
    assert_eq!(start_on(to).own_profile(USER).status, 200);
}

#[test]
fn only_operators_with_a_fresh_second_factor_get_backups_and_a_keyring_backup_has_an_end() {
    let server = start_server();
    let call = |token: Token, method: &'static str, path: &str, body: Option<Value>| {
        let request = Request::new(method, path).bearer(&server.sign(token));
        let request = match body {
            Some(body) => request.body("application/json", body.to_string()),
            None => request,
        };
        request.send(server.admin_listen)
    };
    let stale = operator().with("auth_time", now() - 301);
    let get = |token| call(token, "GET", "/admin/backup", None);
    assert_eq!(get(stale).status, 401);
    assert_eq!(get(Token::new("admin", "adm:root", "profile:read").with("amr", json!(["mfa"]))).status, 403);
    assert_eq!(get(Token::citizen(USER)).status, 403);
    assert_eq!(call(operator(), "GET", "/admin/backup?bytes_per_second=12", None).status, 400);
    let keyring =
        |until: &str| call(operator(), "POST", "/admin/keyring-backup", Some(json!({"keep_until": until}))).status;
    assert_eq!((keyring("2020-01-01T00:00:00Z"), keyring("2099-01-01T00:00:00Z"), keyring("soon")), (400, 400, 400));
    let public = Request::new("GET", "/admin/backup").bearer(&server.sign(operator()));
    assert_eq!(server.send(public).status, 404);
}

#[test]
fn a_server_that_runs_is_not_verified_and_a_backup_that_cannot_be_written_leaves_nothing() {
    let (server, files) = (start_server(), Files::new());
    server.post_example();
    let data_dir = server.data_dir.path().to_owned();
    let error = failed(&run(&["verify-store"], &data_dir, None, &[]));
    assert!(error.contains("a server uses"), "{error}");
    let nowhere = files.text("missing/data.backup");
    let error = failed(&run(&["backup"], &data_dir, Some(&server), &["--out", &nowhere]));
    assert!(error.contains("could not create"), "{error}");
    let stolen = run(&["backup"], &data_dir, Some(&server), &["--out", &files.text("x"), "--token", "nonsense"]);
    assert!(failed(&stolen).contains("401"));
    assert!(fs::read_dir(files.0.path()).unwrap().next().is_none());
    let error = failed(&run(&["keyring", "restore"], &data_dir, None, &["--from", &files.text("x")]));
    assert!(error.contains("in use by another process"), "{error}");
}
