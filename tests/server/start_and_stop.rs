//! Start, failed start and stop of the server.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{self, BodyReader, Request};
use crate::test_server::{self, PROGRAM, USER, feed_path, residency, serve, start_server, start_server_with};
use crate::token::Token;

/// Runs a command that must fail with `code`, one line on stderr that contains `parts`, and nothing on stdout.
#[track_caller]
fn fails(command: &mut Command, code: i32, parts: &[&str]) {
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "more than one line: {error}");
    for part in parts {
        assert!(error.contains(part), "`{error}` does not say `{part}`");
    }
    assert!(error.matches("os error").count() < 2, "the cause is repeated: {error}");
}

/// Returns the data directory of a server that ran and stopped.
fn used() -> TempDir {
    let server = start_server();
    server.post_example();
    let (status, data_dir) = server.terminate();
    assert_eq!(status.code(), Some(0));
    data_dir
}

#[test]
fn a_wrong_master_key_is_named() {
    let data_dir = used();
    let path = data_dir.path().join(".env");
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|line| line.starts_with("PROFILE_SERVER_MASTER_KEY=")).unwrap();
    let other = "PROFILE_SERVER_MASTER_KEY=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    fs::write(&path, text.replace(line, other)).unwrap();
    fails(&mut serve(data_dir.path()), 1, &["master key", "PROFILE_SERVER_MASTER_KEY"]);
    fs::write(&path, text).unwrap();
    let server = test_server::start_on(data_dir);
    assert_eq!(server.own_profile(USER).json()["profile_completeness_pct"], 100, "the data is unchanged");
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    let data_dir = used();
    fs::set_permissions(data_dir.path().join(".env"), Permissions::from_mode(0o644)).unwrap();
    fails(&mut serve(data_dir.path()), 1, &[".env", "chmod 600"]);
}

#[test]
fn a_locked_data_directory_is_refused() {
    let server = start_server();
    fails(&mut serve(server.data_dir.path()), 1, &["in use by another process", "--data-dir"]);
    assert_eq!(Request::new("GET", "/health/ready").send(server.listen).status, 200);
}

#[test]
fn a_busy_port_is_refused() {
    let taken = start_server();
    for (flag, address) in [("--listen", taken.listen), ("--admin-listen", taken.admin_listen)] {
        let data_dir = TempDir::new().unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let place = arguments.iter().position(|argument| argument == flag).unwrap();
        let mut command = Command::new(PROGRAM);
        for (index, argument) in arguments.iter().enumerate() {
            if index == place + 1 {
                command.arg(address.to_string());
            } else {
                command.arg(argument);
            }
        }
        fails(command.arg("--data-dir").arg(data_dir.path()), 1, &[&address.to_string(), flag, "port 0"]);
    }
}

#[test]
fn a_store_of_a_newer_format_is_refused() {
    let data_dir = used();
    let path = data_dir.path().join("keyring");
    let mut keyring = fs::read(&path).unwrap();
    bump_format(&mut keyring);
    fs::write(&path, keyring).unwrap();
    fails(&mut serve(data_dir.path()), 1, &["format", "newer release"]);
}

/// Increments the keyring's format, the two bytes after its magic.
fn bump_format(keyring: &mut [u8]) {
    let format = u16::from_le_bytes([keyring[8], keyring[9]]) + 1;
    keyring[8..10].copy_from_slice(&format.to_le_bytes());
}

#[test]
fn a_wrong_setting_is_named_with_what_is_allowed() {
    let data_dir = TempDir::new().unwrap();
    fs::write(data_dir.path().join("config.local.toml"), "[http]\nworkerz = 3").unwrap();
    fails(&mut serve(data_dir.path()), 1, &["http.workerz", "config.local.toml", "workers"]);
    fails(serve(data_dir.path()).env("PROFILE_SERVER__HTTP__WORKERS", "many"), 1, &["http.work"]);
    fs::write(data_dir.path().join("config.local.toml"), "mode = \"production\"").unwrap();
    fails(&mut serve(data_dir.path()), 1, &["fixed_clock"]);
    fails(Command::new(PROGRAM).args(["serve", "--port", "1"]), 2, &["--port", "--help"]);
    fails(Command::new(PROGRAM).args(["sevre"]), 2, &["sevre", "--help"]);
}

#[test]
fn config_print_shows_the_origin_of_every_value() {
    let data_dir = TempDir::new().unwrap();
    let config = |action: &str| {
        Command::new(PROGRAM)
            .args(["config", action, "--data-dir"])
            .arg(data_dir.path())
            .env("PROFILE_SERVER__HTTP__WORKERS", "3")
            .output()
            .unwrap()
    };
    let printed = String::from_utf8(config("print").stdout).unwrap();
    assert!(printed.contains("http.workers = 3  # environment `PROFILE_SERVER__HTTP__WORKERS`"), "{printed}");
    assert!(printed.contains("flag `--data-dir`") && printed.contains("embedded `default.toml`"), "{printed}");
    assert_eq!(config("check").status.code(), Some(0));
    assert_eq!(fs::read_dir(data_dir.path()).unwrap().count(), 0, "nothing was written");
    let mut check = Command::new(PROGRAM);
    check.args(["config", "check", "--data-dir"]).arg(data_dir.path()).env("PROFILE_SERVER_MASTER_KEY", "c2hvcnQ=");
    fails(&mut check, 1, &["PROFILE_SERVER_MASTER_KEY", "32 bytes"]);
    fs::write(data_dir.path().join("access.toml"), "[self]").unwrap();
    let checked = config("check");
    assert_eq!(checked.status.code(), Some(1));
    assert!(String::from_utf8(checked.stderr).unwrap().contains("access.toml"));
}

#[test]
fn no_token_is_printed_that_the_server_would_refuse() {
    let data_dir = TempDir::new().unwrap();
    for (role, subject, act) in [
        ("self", "usr_x", None),
        ("service", "svc:", None),
        ("agent", "agt:a", Some("usr_x")),
        ("admin", "svc:a", None),
    ] {
        let mut command = Command::new(PROGRAM);
        command.args(["token", "--sub", subject, "--role", role, "--data-dir"]).arg(data_dir.path());
        act.map(|act| command.args(["--act", act]));
        fails(&mut command, 1, &[]);
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        &["serve"][..],
        &["token"],
        &["login-link"],
        &["keys"],
        &["keys", "status"],
        &["keys", "rotate"],
        &["config"],
        &["demo"],
        &["watch"],
        &[],
    ] {
        let output = Command::new(PROGRAM).args(command).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(help.contains("Example") && help.contains("profile-server"), "{command:?}: {help}");
    }
}

#[test]
fn what_was_acknowledged_is_there_after_a_stop() {
    let server = start_server();
    server.post_example();
    let before = server.own_profile(USER);
    let (status, data_dir) = server.terminate();
    assert_eq!(status.code(), Some(0));
    let server = test_server::start_on(data_dir);
    let after = server.own_profile(USER);
    assert_eq!((after.text(), after.header("etag")), (before.text(), before.header("etag")));
    for (source, event) in test_server::example() {
        assert_eq!(server.post(&source, event.to_string()).json()["duplicates"], 1, "{event}");
    }
    assert_eq!(server.own_profile(USER).text(), before.text());
}

#[test]
fn a_stop_drains_streams_and_answers_what_they_sent() {
    let server = start_server();
    let token = server.sign(Token::service("feed:metadata"));
    let request = Request::new("POST", feed_path("metadata")).bearer(&token).header("prefer", "return=representation");
    let request = request.header("content-type", "application/x-ndjson").header("transfer-encoding", "chunked");
    let mut write = http::connect(server.listen);
    write.write_all(request.head().as_bytes()).unwrap();
    let mut read = BufReader::new(write.try_clone().unwrap());
    assert_eq!(http::read_head(&mut read).status, 200);
    let user = |n: u32| format!("usr_Draining{n:06}");
    for n in 0..200 {
        let line = format!("{}\n", residency(&user(n), "one", "2026-01-10T00:00:00Z", n % 50));
        write.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).unwrap();
    }
    let mut lines =
        BufReader::new(BodyReader::chunked(read)).lines().map_while(Result::ok).filter(|line| !line.is_empty());
    let first = lines.next().unwrap();
    assert!(first.contains("applied"), "{first}");
    let stopping = thread::spawn(move || server.terminate());
    let mut results: Vec<Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
    drop(write);
    let (status, data_dir) = stopping.join().unwrap();
    assert_eq!(status.code(), Some(0));
    results.insert(0, serde_json::from_str(&first).unwrap());
    let total = results.pop().unwrap();
    assert_eq!(
        (&total["problem"]["status"], total["applied"].as_u64()),
        (&json!(503), Some(results.len() as u64)),
        "{total}"
    );

    let server = test_server::start_on(data_dir);
    for result in results {
        let n = u32::try_from(result["index"].as_u64().unwrap()).unwrap();
        assert_eq!(server.own_profile(&user(n)).json()["demographics"]["residency_years"], n % 50);
    }
}

#[test]
fn an_idle_connection_does_not_delay_a_stop() {
    // Both limits are longer than a test waits for the end of a server.
    let server = start_server_with("[http]\nshutdown_timeout_s = 600\nkeep_alive_s = 600");
    let mut idle = http::connect(server.listen);
    let request = Request::new("GET", "/health/live").head();
    idle.write_all(request.as_bytes()).unwrap();
    assert_eq!(http::read_response(&mut BufReader::new(idle.try_clone().unwrap()), true).status, 200);
    assert_eq!(server.terminate().0.code(), Some(0));
    drop(idle);
}

#[test]
fn the_ready_line_is_the_one_of_the_contract() {
    let data_dir = TempDir::new().unwrap();
    let mut child = serve(data_dir.path()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    test_server::signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0), "a signal right after the line is handled");
    let ports: Vec<_> = line.split("127.0.0.1:").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let [listen, admin_listen] = ports[..] else { panic!("two addresses: {line}") };
    assert_eq!(
        line,
        format!(
            "{{\"event\":\"ready\",\"listen\":\"127.0.0.1:{listen}\",\"admin_listen\":\"127.0.0.1:{admin_listen}\"}}\n"
        )
    );
}
