//! Downloads of exports, over HTTP and by the command.

use std::io::{BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use data::{Population, PopulationOptions};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::{Value, json};

use crate::erasure::{delete, fresh};
use crate::exports::{PEOPLE, download, export, exporter, load, start};
use crate::http::{Request, connect, read_head};
use crate::test_server::{PROGRAM, TestServer, print_figure, profile_path, start_server};
use crate::token::{Token, now};

/// Returns an analyst whose second factor is so many seconds old.
fn exporter_since(seconds: u64) -> Token {
    exporter().with("auth_time", now() - seconds)
}

#[test]
fn a_download_that_goes_on_breaks_off_when_somebody_in_the_file_is_erased() {
    let server = start_server();
    load(&server, PEOPLE);
    let (job, status) = export(&server, &json!({"format": "ndjson", "k": 5, "l": 1}));
    assert_eq!(status["state"], "done", "{status}");
    let length = status["bytes"].as_u64().unwrap() as usize;
    let mut connection = connect(server.listen);
    // The client reads slowly, so most of the file is still at the server.
    set_socket_recv_buffer_size(&connection, 32 << 10).unwrap();
    let path = format!("/api/v2/exports/{job}/download");
    let request = Request::new("GET", path).bearer(&server.sign(exporter()));
    connection.write_all(request.head().as_bytes()).unwrap();
    let mut connection = BufReader::with_capacity(1_024, connection);
    let head = read_head(&mut connection);
    assert_eq!((head.status, head.header("content-length")), (200, length.to_string().as_str()), "{head:?}");
    let mut body = vec![0; 1_024];
    connection.read_exact(&mut body).unwrap();

    // Somebody who takes part may have been left out of the file, which is then kept.
    let population = Population::new(PopulationOptions { users: PEOPLE, ..PopulationOptions::default() });
    let people = (0..PEOPLE).map(|person| population.user_id(person));
    let mut erased = people.filter(|user| {
        let takes_part = server.own_profile(user).json()["consent"]["analytics_opt_in"] == json!(true);
        takes_part && delete(&server, &profile_path(user), fresh(Token::citizen(user))).status == 200
    });
    let is_gone = |_: &String| download(&server, &job, Some("bytes=0-0")).status == 410;
    assert!(erased.by_ref().take(5).any(|user| is_gone(&user)), "the file was not deleted");

    // What was on its way when the receipts were given arrives, and nothing else.
    let mut rest = Vec::new();
    let end = connection.read_to_end(&mut rest);
    let received = body.len() + rest.len();
    print_figure("bytes that arrived of the file, and its length", (received, length));
    assert!(received < length, "{received} of {length} bytes, and then {end:?}");
}

#[test]
fn a_download_needs_a_fresh_second_factor_and_a_look_at_the_job_does_not() {
    let server = start_server();
    load(&server, 600);
    let (job, status) = export(&server, &json!({"columns": ["gender"], "k": 5, "l": 1}));
    assert_eq!(status["state"], "done", "{status}");
    let path = format!("/api/v2/exports/{job}");
    let without = Token::new("admin", "adm:analyst", "export");
    for token in [without, exporter_since(301)] {
        let refused = server.get(&format!("{path}/download"), token.clone());
        assert_eq!((refused.status, refused.problem().as_str()), (401, "second-factor-needed"), "{refused:?}");
        assert_eq!(server.get(&path, token.clone()).json()["state"], "done");
        assert_eq!(server.get(&format!("{path}/events"), token).status, 200);
    }
    // Whoever has authenticated again gets the file, although the job was started with another token.
    assert_eq!(server.get(&format!("{path}/download"), exporter_since(290)).status, 200);
}

fn command(server: &TestServer, token: Token, more: &[&str]) -> Output {
    let server_and_token = ["--server", &server.listen.to_string(), "--token", &server.sign(token)];
    Command::new(PROGRAM).arg("export").args(server_and_token).args(more).output().unwrap()
}

#[test]
fn the_command_writes_the_file() {
    let server = start_server();
    load(&server, 600);
    let out = server.data_dir.path().join("people.parquet");
    let out_text = out.to_str().unwrap();
    let written = command(&server, exporter(), &["--out", out_text, "--columns", "gender,age_bracket", "--k", "5"]);
    assert!(written.status.success(), "{written:?}");
    let status: Value = serde_json::from_slice(&written.stdout).unwrap();
    assert_eq!(status["bytes"].as_u64().unwrap(), out.metadata().unwrap().len());
    assert_eq!(out.metadata().unwrap().permissions().mode() & 0o777, 0o600, "only its owner reads it");
    let verified = Command::new(PROGRAM).arg("verify-export").arg(&out).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let refused = command(&server, exporter(), &["--out", out_text, "--k", "2"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("/k"), "{refused:?}");
    let dry = command(&server, exporter(), &["--dry-run", "--state", "bihar"]);
    assert_eq!(String::from_utf8_lossy(&dry.stdout), "{\"filter\":{\"state\":\"bihar\"}}\n");
}

#[test]
fn the_command_goes_on_with_a_job_that_was_started_before() {
    let server = start_server();
    load(&server, 600);
    let started = start(&server, &json!({"columns": ["gender"], "k": 5, "l": 1}));
    let job = started.json()["job_id"].as_str().unwrap().to_owned();
    let (out, part) = ["people.parquet", "people.parquet.part"].map(|name| server.data_dir.path().join(name)).into();
    let arguments = ["--job", &job, "--out", out.to_str().unwrap()];
    let late = command(&server, exporter_since(301), &arguments);
    let (message, advice) =
        (String::from_utf8_lossy(&late.stderr), format!("profile-server export --job {job} --out "));
    assert!(!late.status.success() && message.contains("second factor") && message.contains(&advice), "{late:?}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(!out.exists() && !part.exists(), "nothing is left behind");
    let written = command(&server, exporter(), &arguments);
    assert!(written.status.success() && out.exists() && !part.exists(), "{written:?}");
    // Nothing is to be gone on with when the file is deleted.
    let token = server.sign(exporter());
    server.send(Request::new("DELETE", format!("/api/v2/exports/{job}")).bearer(&token));
    let gone = command(&server, exporter(), &arguments);
    let message = String::from_utf8_lossy(&gone.stderr);
    assert!(message.contains("start the export again") && !message.contains("--job"), "{message}");
}
