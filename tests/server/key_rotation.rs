//! Rotation of the master key and the ring key, through the admin listener and by the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Request, Response};
use crate::route_table::entries;
use crate::test_server::{PROGRAM, TestServer, USER, eventually, residency, start_on, start_server, start_server_with};
use crate::token::{Token, now};

const MASTER_KEY: &str = "PROFILE_SERVER_MASTER_KEY=";

/// An operator who has just authenticated with a second factor.
fn operator() -> Token {
    Token::new("admin", "adm:root", "operate").with("amr", json!(["mfa"])).with("auth_time", now())
}

fn get(server: &TestServer) -> Value {
    let request = Request::new("GET", "/admin/keys").bearer(&server.sign(operator()));
    let answer = request.header("x-access-reason", "a look").send(server.admin_listen);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn rotate_as(server: &TestServer, token: Token, body: &Value) -> Response {
    let request = Request::new("POST", "/admin/keys/rotate").bearer(&server.sign(token));
    let request = request.header("x-access-reason", "a test").body("application/json", body.to_string());
    request.send(server.admin_listen)
}

fn rotate(server: &TestServer, key: &str) -> Response {
    rotate_as(server, operator(), &json!({ "key": key }))
}

/// Waits until the ring key has this version.
fn wait_for_ring(server: &TestServer, version: u64) {
    eventually("the ring key is rotated", || get(server)["last_rotation"]["version"] == version);
}

/// Returns the entries of the audit log with an action.
fn recorded(server: &TestServer, action: &str) -> Vec<Value> {
    entries(server).into_iter().filter(|entry| entry["action"] == action).collect()
}

/// Returns a key of the list.
fn key(status: &Value, name: &str) -> Value {
    status["keys"].as_array().unwrap().iter().find(|key| key["key"] == name).unwrap().clone()
}

fn dot_env(dir: &Path) -> String {
    fs::read_to_string(dir.join(".env")).unwrap()
}

/// Returns the master key line of `.env`, without its name.
fn master_line(dir: &Path) -> String {
    dot_env(dir).lines().find_map(|line| line.strip_prefix(MASTER_KEY)).unwrap().to_owned()
}

fn command(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM).arg("keys").args(arguments).arg("--data-dir").arg(dir).output().unwrap()
}

#[track_caller]
fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn both_keys_rotate_while_the_server_serves_and_everything_is_read_after_a_restart() {
    let server = start_server();
    server.post_example();
    let before = get(&server);
    assert_eq!((&key(&before, "master")["version"], &key(&before, "ring")["version"]), (&json!(1), &json!(1)));
    assert_eq!(key(&before, "master")["is_due"], false);
    assert_eq!(before["rotation"], Value::Null);
    let first = master_line(server.data_dir.path());

    let rotated = rotate(&server, "master");
    assert_eq!((rotated.status, &key(&rotated.json(), "master")["version"]), (200, &json!(2)), "{rotated:?}");
    let line = master_line(server.data_dir.path());
    assert!(line.starts_with("2:") && line.ends_with(&format!(",1:{first}")), "the older version is kept: {line}");
    let started = rotate(&server, "ring");
    assert_eq!(started.status, 202, "{started:?}");
    wait_for_ring(&server, 2);
    let after = get(&server);
    assert!(after["last_rotation"]["wrapped_keys"].as_u64().unwrap() > 0 && after["last_rotation"]["error"].is_null());
    assert_eq!(after["last_rotation"]["damaged_slots"], 0);
    for user in [USER, "usr_NewAfterIt12"] {
        server.apply("metadata", &residency(user, &format!("after-{user}"), crate::test_server::NOW, 7));
    }
    let profile = server.own_profile(USER).json();

    assert_eq!(recorded(&server, "keys.rotated").len(), 2);
    let requested = recorded(&server, "keys.rotate");
    assert_eq!(requested.len(), 2, "{requested:?}");
    assert!(requested.iter().all(|entry| entry["actor"] == "adm:root" && entry["reason"] == "a test"));

    let server = start_on(server.kill());
    let mut served = server.own_profile(USER).json();
    served["assembly_latency_ms"] = profile["assembly_latency_ms"].clone();
    assert_eq!(served, profile);
    assert_eq!(server.own_profile("usr_NewAfterIt12").status, 200);
    assert!(server.metric("profile_key_age_seconds{key=\"ring\"}") < 600.0);
    for _ in 0..2 {
        assert_eq!(rotate(&server, "master").status, 200);
    }
    let line = master_line(server.data_dir.path());
    assert_eq!(line.split(',').map(|entry| entry.split_once(':').unwrap().0).collect::<Vec<_>>(), ["4", "3", "2"]);
}

#[test]
fn a_rotation_needs_an_operator_with_a_fresh_second_factor_and_a_key() {
    let server = start_server();
    let body = json!({"key": "ring"});
    let without_factor = Token::new("admin", "adm:root", "operate");
    assert_eq!(rotate_as(&server, without_factor, &body).problem(), "second-factor-needed");
    let stale = operator().with("auth_time", now() - 600);
    assert_eq!(rotate_as(&server, stale, &body).problem(), "second-factor-needed");
    assert_eq!(rotate_as(&server, Token::new("admin", "adm:root", "export"), &body).status, 403);
    assert_eq!(rotate_as(&server, Token::citizen(USER), &body).status, 403);
    for malformed in [json!({}), json!({"key": "root"}), json!({"key": "ring", "x": 1}), json!(["ring"])] {
        assert_eq!(rotate_as(&server, operator(), &malformed).problem(), "malformed-body", "{malformed}");
    }
    assert_eq!(key(&get(&server), "ring")["version"], 1);
}

#[test]
fn credentials_have_ages_and_old_ones_are_warned_about() {
    let server = start_server_with("[keys]\nmaster_max_age_days = 1\ncredential_max_age_days = 1\n");
    let made = i64::try_from(now()).unwrap() - 20 * 3_600;
    let service = Token::service("profile:read").with("iat", made).with("nbf", made);
    let service = service.with("exp", now() + 3_600);
    server.get(&crate::test_server::profile_path(USER), service);
    let status = get(&server);
    assert_eq!(key(&status, "development_secret")["is_due"], false);
    let oldest = key(&status, "service_token");
    assert!(oldest["age_s"].as_i64().unwrap() >= 20 * 3_600 - 5, "{oldest}");
    assert_eq!(oldest["is_due"], true);
}

#[test]
fn the_command_shows_and_rotates_keys_without_a_server() {
    let server = start_server();
    server.post_example();
    let profile = server.own_profile(USER).json();
    // Reading the ages needs neither a token nor the lock; rotating does.
    let status = lines(&command(server.data_dir.path(), &["status"]));
    assert_eq!((&status[0]["key"], &status[0]["version"]), (&json!("master"), &json!(1)));
    let refused = command(server.data_dir.path(), &["rotate", "--ring"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("--token"));

    let (_, dir) = server.terminate();
    let rotated = lines(&command(dir.path(), &["rotate", "--ring"]));
    assert_eq!((&rotated[0]["key"], &rotated[0]["version"]), (&json!("ring"), &json!(2)), "{rotated:?}");
    let rotated = lines(&command(dir.path(), &["rotate", "--master"]));
    assert_eq!((&rotated[0]["key"], &rotated[0]["version"]), (&json!("master"), &json!(2)), "{rotated:?}");
    let status = lines(&command(dir.path(), &["status"]));
    assert_eq!((&status[0]["version"], &status[1]["version"]), (&json!(2), &json!(2)));
    for wrong in [&["rotate"][..], &["rotate", "--master", "--ring"], &["status", "--unknown"], &[]] {
        assert_eq!(command(dir.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
    let server = start_on(dir);
    let mut served = server.own_profile(USER).json();
    served["assembly_latency_ms"] = profile["assembly_latency_ms"].clone();
    assert_eq!(served, profile);
    assert_eq!(recorded(&server, "keys.rotated").len(), 2);

    // A running server is asked with a token.
    let token = server.sign(operator());
    let admin = server.admin_listen.to_string();
    let with_token = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("keys").args(arguments).arg("--data-dir").arg(server.data_dir.path());
        command.args(["--admin", &admin]).env("PROFILE_SERVER_TOKEN", &token).output().unwrap()
    };
    assert_eq!(lines(&with_token(&["rotate", "--ring"]))[0]["version"], 3);
    assert_eq!(lines(&with_token(&["rotate", "--master"]))[0]["version"], 3);
    assert!(lines(&with_token(&["status"])).iter().any(|key| key["key"] == "development_secret"));
}

#[test]
fn a_file_gives_the_master_key_and_its_versions() {
    let server = start_server();
    server.post_example();
    let (_, dir) = server.terminate();
    // The key moves from `.env` to a file.
    let (key_file, first) = (dir.path().join("master.key"), master_line(dir.path()));
    let rest: String = dot_env(dir.path()).lines().filter(|line| !line.starts_with(MASTER_KEY)).collect();
    fs::write(dir.path().join(".env"), rest).unwrap();
    let write = |text: &str| {
        fs::write(&key_file, text).unwrap();
        fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    write(&first);
    let settings = fs::read_to_string(dir.path().join("config.local.toml")).unwrap_or_default();
    let keys = format!("{settings}\n[keys]\nprovider = \"file\"\nfile = {:?}\n", key_file.display().to_string());
    fs::write(dir.path().join("config.local.toml"), keys).unwrap();
    let server = start_on(dir);
    assert_eq!(server.own_profile(USER).status, 200);
    let refused = rotate(&server, "master");
    assert_eq!(refused.problem(), "invalid", "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("openssl rand"), "{refused:?}");
    write(&format!("2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n1:{first}\n"));
    assert_eq!(rotate(&server, "master").status, 200);
    // The version in use is needed, older ones are not.
    write("2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n");
    let server = start_on(server.kill());
    assert_eq!(server.own_profile(USER).status, 200);
    assert_eq!(rotate(&server, "ring").status, 202);
    wait_for_ring(&server, 2);
}

#[test]
fn keys_are_neither_in_arguments_nor_swapped_nor_dumped() {
    let server = start_server();
    let process = |name: &str| fs::read(format!("/proc/{}/{name}", server.pid())).unwrap();
    let master = master_line(server.data_dir.path());
    let arguments = process("cmdline");
    assert!(!arguments.windows(master.len()).any(|window| window == master.as_bytes()));
    let status = String::from_utf8(process("status")).unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    let locked: u64 = locked.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(locked >= 12, "{locked} KiB are locked");
    let limits = String::from_utf8(process("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().filter(|word| *word == "0").count() == 2, "{core}");
}

#[test]
fn rotations_that_are_killed_are_done_by_the_next_one() {
    let mut dir = Some(TempDir::new().unwrap());
    for round in 0..8_u64 {
        let server = start_on(dir.take().unwrap());
        if round == 0 {
            server.post_example();
        }
        let request = rotate(&server, if round % 2 == 0 { "ring" } else { "master" });
        assert!(request.status == 200 || request.status == 202, "{request:?}");
        assert_eq!(server.own_profile(USER).status, 200, "round {round}");
        dir = Some(server.kill());
    }
    let server = start_on(dir.take().unwrap());
    assert_eq!(server.own_profile(USER).status, 200);
    assert!(!server.data_dir.path().join("keyring.next").exists());
    assert_eq!(key(&get(&server), "master")["version"], 5);
}
