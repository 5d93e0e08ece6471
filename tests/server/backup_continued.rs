//! Backups whose connection breaks, or whose command is killed: the rest comes over another connection.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::json;

use crate::backup::{Files, failed, operator, run, succeeded};
use crate::http::{BodyReader, Request, Response, connect, read_head};
use crate::route_table::entries;
use crate::test_server::{PROGRAM, TestServer, eventually, residency, signal, start_server};
use crate::token::Token;

/// Their backup takes some seconds at the lowest rate.
const USERS: usize = 4_000;
/// Bytes after which a connection breaks.
const FEW: usize = 200_000;

fn server_with_users() -> TestServer {
    let server = start_server();
    let event = |number| {
        let (user, id) = (format!("usr_{number:016x}"), format!("evt-{number}"));
        residency(&user, &id, "2025-06-01T00:00:00Z", 7).to_string() + "\n"
    };
    let answer = server.post_as("metadata", "application/x-ndjson", (0..USERS).map(event).collect::<String>());
    let summary = answer.lines().pop().unwrap();
    assert_eq!((answer.status, &summary["applied"]), (200, &json!(USERS)), "{summary}");
    server
}

/// Checks that a file is a whole backup of all users.
#[track_caller]
fn assert_is_whole(backup: &Path, server: &TestServer, files: &Files) {
    let keyring = server.data_dir.path().join("keyring").display().to_string();
    let to = files.directory_for(server.data_dir.path());
    let backup = backup.display().to_string();
    let checked = run(&["restore"], to.path(), None, &["--from", &backup, "--keyring", &keyring, "--dry-run"]);
    assert_eq!(succeeded(&checked)["users"], USERS);
}

fn get(server: &TestServer, path: &str) -> Response {
    Request::new("GET", path).bearer(&server.sign(operator())).send(server.admin_listen)
}

/// Returns how often the audit log has an action.
fn count(server: &TestServer, action: &str) -> usize {
    entries(server).iter().filter(|entry| entry["action"] == action).count()
}

/// Starts a backup at the lowest rate, and waits until it has some bytes.
fn begin(server: &TestServer, out: &[&str], part: &Path) -> Child {
    let mut command = Command::new(PROGRAM);
    command.arg("backup").arg("--data-dir").arg(server.data_dir.path()).args(out).args(["--rate", "1"]);
    command.args(["--admin", &server.admin_listen.to_string()]).stdin(Stdio::null());
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("some bytes", || fs::metadata(part).is_ok_and(|part| part.len() > FEW as u64));
    process
}

#[test]
fn a_backup_whose_server_dies_says_so_and_keeps_what_it_has() {
    let (server, files) = (server_with_users(), Files::new());
    let (backup, part) = (files.path("data.backup"), files.path("data.backup.part"));
    let out = ["--out", backup.to_str().unwrap()];
    let process = begin(&server, &out, &part);
    let _stopped = server.kill();
    let error = failed(&process.wait_with_output().unwrap());
    assert!(error.contains("broke off") && error.contains("--resume"), "{error}");
    assert!(part.exists() && !backup.exists());
}

#[test]
fn a_command_that_was_killed_continues_where_it_was() {
    let (server, files) = (server_with_users(), Files::new());
    let (backup, part) = (files.path("data.backup"), files.path("data.backup.part"));
    let out = ["--out", backup.to_str().unwrap()];
    let mut process = begin(&server, &out, &part);
    // While it writes, no other command may. It keeps its file, and gets no further.
    signal(process.id(), "STOP");
    for more in [&out[..], &[&out[..], &["--resume"]].concat()] {
        let error = failed(&run(&["backup"], server.data_dir.path(), Some(&server), more));
        assert!(error.contains("another command writes") && error.contains("wait for its end"), "{error}");
    }
    process.kill().unwrap();
    process.wait().unwrap();
    // A piece may be torn by the kill.
    let mut had = fs::read(&part).unwrap();
    had.truncate(had.len() - 7);
    fs::write(&part, &had).unwrap();

    let made = succeeded(&run(&["backup"], server.data_dir.path(), Some(&server), &[&out[..], &["--resume"]].concat()));
    let whole = fs::read(&backup).unwrap();
    assert_eq!(made["bytes"], whole.len());
    assert!(whole.len() > 2 * had.len() && whole.starts_with(&had), "{} of {}", had.len(), whole.len());
    assert!(!part.exists());
    assert_is_whole(&backup, &server, &files);
    assert_eq!((count(&server, "backup.make"), count(&server, "backup.continue")), (1, 1));
}

/// Forwards connections to a server. The first one breaks after some bytes of the answer.
fn breaking_proxy(server: SocketAddr) -> SocketAddr {
    fn forward(mut from: TcpStream, mut to: TcpStream, most: u64) {
        let _ = std::io::copy(&mut Read::take(&mut from, most), &mut to);
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
            let (client_again, server_again) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || forward(client_again, server_again, u64::MAX));
            thread::spawn(move || forward(server, client, if number == 0 { FEW as u64 } else { u64::MAX }));
        }
    });
    address
}

#[test]
fn a_connection_that_breaks_is_made_again() {
    let (server, files) = (server_with_users(), Files::new());
    let proxy = breaking_proxy(server.admin_listen).to_string();
    let backup = files.path("data.backup");
    // The token is on stdin, which can be read once.
    let mut command = Command::new(PROGRAM);
    command.args(["backup", "--out", backup.to_str().unwrap(), "--rate", "2", "--admin", &proxy, "--token", "-"]);
    command.arg("--data-dir").arg(server.data_dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(server.sign(operator()).as_bytes()).unwrap();
    succeeded(&process.wait_with_output().unwrap());
    assert_is_whole(&backup, &server, &files);
    assert_eq!((count(&server, "backup.make"), count(&server, "backup.continue")), (1, 1));
}

#[test]
fn the_rest_of_a_backup_is_the_same_from_every_byte_on_until_another_begins() {
    let server = start_server();
    server.post_example();
    let whole = get(&server, "/admin/backup");
    let path = |from: usize| format!("/admin/backup/{}?from={from}", whole.header("x-backup-id"));
    for from in [0, 1, whole.body.len() / 2, whole.body.len()] {
        let rest = get(&server, &path(from));
        assert_eq!((rest.status, rest.header("x-backup-id")), (200, whole.header("x-backup-id")));
        assert!(rest.body == whole.body[from..], "from {from}");
    }
    let beyond = get(&server, &path(whole.body.len() + 1));
    assert_eq!((beyond.status, &*beyond.problem()), (400, "invalid-parameter"));
    assert!(beyond.text().contains(&format!("from 0 to {}: otherwise make", whole.body.len())), "{}", beyond.text());
    let without = get(&server, path(0).split('?').next().unwrap());
    assert_eq!((without.status, &*without.problem()), (400, "invalid-parameter"));
    let reader = Token::new("admin", "adm:root", "profile:read").with("amr", json!(["mfa"]));
    assert_eq!(Request::new("GET", path(0)).bearer(&server.sign(reader)).send(server.admin_listen).status, 403);
    assert_eq!(get(&server, "/admin/backup").status, 200);
    assert_eq!(get(&server, &path(0)).status, 404, "the newer backup has taken its place");
}

#[test]
fn a_backup_has_one_connection_and_the_newest_is_it() {
    let (server, files) = (server_with_users(), Files::new());
    let mut stream = connect(server.admin_listen);
    let request = Request::new("GET", "/admin/backup?bytes_per_second=1000000").bearer(&server.sign(operator()));
    stream.write_all(request.head().as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let first = read_head(&mut stream);
    let busy = get(&server, "/admin/backup");
    assert_eq!((busy.status, &*busy.problem()), (503, "busy"));
    let second = get(&server, &format!("/admin/backup/{}?from=0", first.header("x-backup-id")));
    assert_eq!(second.status, 200);
    let mut begun = Vec::new();
    let cut_off = BodyReader::new(&first.headers, stream).read_to_end(&mut begun);
    cut_off.expect_err("whoever reads to here must not think that this is all");
    assert!(second.body.len() > begun.len() && second.body.starts_with(&begun));
    fs::write(files.path("second"), &second.body).unwrap();
    assert_is_whole(&files.path("second"), &server, &files);
}

#[test]
fn what_cannot_be_continued_says_why() {
    let (server, files) = (start_server(), Files::new());
    server.post_example();
    let data_dir = server.data_dir.path().to_owned();
    let (backup, part) = (files.text("data.backup"), files.path("data.backup.part"));
    let resume = |server: Option<&TestServer>| run(&["backup"], &data_dir, server, &["--out", &backup, "--resume"]);
    assert!(failed(&resume(Some(&server))).contains("nothing to continue"));
    fs::write(&part, "no backup").unwrap();
    assert!(failed(&resume(Some(&server))).contains("nothing to continue"));
    assert!(failed(&run(&["backup"], &data_dir, Some(&server), &["--out", "-", "--resume"])).contains("stdout"));
    let earlier = get(&server, "/admin/backup");
    fs::write(&part, &earlier.body[..earlier.body.len() / 2]).unwrap();
    assert_eq!(get(&server, "/admin/backup").status, 200);
    let error = failed(&resume(Some(&server)));
    assert!(error.contains("this backup has ended") && error.contains("make a new one"), "{error}");
    assert!(part.exists(), "whoever asked to continue decides what becomes of it");
    let (_, _stopped) = server.terminate();
    assert!(failed(&resume(None)).contains("no server uses"));
}
