//! Tokens that public keys verify: from a file, from an address, and after the keys change.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Request, Response};
use crate::test_server::{PROGRAM, TestServer, USER, eventually, profile_path, start_server_with};
use crate::token::{Token, now};

const KEYS: [&str; 3] = ["ed25519.pem", "p256.pem", "rsa.pem"];

pub(crate) fn key_file(name: &str) -> String {
    format!("{}/tests/support/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs `profile-server token` and returns what it prints.
#[track_caller]
fn token_command(arguments: &[&str]) -> String {
    // The settings are the default ones, which no data directory changes.
    let empty = TempDir::new().unwrap();
    let output =
        Command::new(PROGRAM).arg("token").arg("--data-dir").arg(empty.path()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn signed(key: &str, arguments: &[&str]) -> String {
    token_command(&[&["--key", &key_file(key)], arguments].concat())
}

pub(crate) fn own_token(key: &str) -> String {
    signed(key, &["--sub", USER, "--role", "self"])
}

/// Returns the key set of the keys `names`.
pub(crate) fn key_set(names: &[&str]) -> String {
    let keys = names.iter().map(|name| {
        let set: Value = serde_json::from_str(&signed(name, &["--print-jwks"])).unwrap();
        set["keys"][0].clone()
    });
    json!({ "keys": keys.collect::<Vec<_>>() }).to_string()
}

fn read(server: &TestServer, token: &str) -> Response {
    server.send(Request::new("GET", profile_path(USER)).bearer(token))
}

fn server_with_file(keys: &str) -> (TestServer, TempDir) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys.json");
    fs::write(&path, keys).unwrap();
    let server = start_server_with(&format!("[auth]\njwks_file = {path:?}"));
    server.post_example();
    (server, dir)
}

#[test]
fn tokens_of_each_kind_of_key_are_accepted() {
    let (server, _dir) = server_with_file(&key_set(&KEYS));
    for key in KEYS {
        let answer = read(&server, &own_token(key));
        assert_eq!(answer.status, 200, "{key}: {answer:?}");
    }
    assert_eq!(read(&server, &own_token("other.pem")).problem(), "invalid-token");
    let agent = ["--sub", "agt:x", "--role", "agent", "--act", USER, "--scope", "section:family"];
    let seen = read(&server, &signed("p256.pem", &agent)).json();
    assert!(seen.get("family").is_some() && seen.get("economic").is_none());
}

#[test]
fn a_change_of_the_file_is_picked_up() {
    let (server, dir) = server_with_file(&key_set(&["ed25519.pem"]));
    let [first, second] = ["ed25519.pem", "rsa.pem"].map(own_token);
    assert_eq!((read(&server, &first).status, read(&server, &second).status), (200, 401));
    fs::write(dir.path().join("keys.json"), key_set(&["rsa.pem"])).unwrap();
    eventually("the first key is no longer accepted", || read(&server, &first).status == 401);
    assert_eq!(read(&server, &second).status, 200);
    // A fault keeps the keys in use, and is reported.
    fs::write(dir.path().join("keys.json"), "{").unwrap();
    eventually("the fault is reported", || server.log().contains("the keys in use are kept"));
    assert_eq!(read(&server, &second).status, 200);
    // A set without keys takes all away.
    fs::write(dir.path().join("keys.json"), r#"{"keys": []}"#).unwrap();
    eventually("no key is accepted", || read(&server, &second).status == 401);
    assert!(server.log().contains("the key set has no key that can be used"));
}

#[test]
fn a_key_is_revoked_by_its_id() {
    let (server, _dir) = server_with_file(&key_set(&KEYS));
    let kept = own_token("rsa.pem");
    let token = signed("ed25519.pem", &["--sub", USER, "--role", "self"]);
    assert_eq!(read(&server, &token).status, 200);
    let set: Value = serde_json::from_str(&signed("ed25519.pem", &["--print-jwks"])).unwrap();
    let operator = Token::new("admin", "adm:root", "operate").with("amr", json!(["otp"])).with("auth_time", now());
    let request = Request::new("POST", "/admin/revocations").bearer(&server.sign(operator));
    let body = json!({"kid": set["keys"][0]["kid"]}).to_string();
    let answer = request.header("x-access-reason", "a test").body("application/json", body).send(server.admin_listen);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!((read(&server, &token).status, read(&server, &kept).status), (401, 200));
    assert_eq!(read(&server, &own_token("ed25519.pem")).status, 401, "new tokens of the key neither");
}

/// A server of key sets, and the number of its answers.
struct KeyServer {
    url: String,
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    fn start(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let this = Self { url, answer: Arc::new(Mutex::new(answer.to_owned())), asked: Arc::default() };
        let (answer, asked) = (Arc::clone(&this.answer), Arc::clone(&this.asked));
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                asked.fetch_add(1, Ordering::SeqCst);
                let body = answer.lock().unwrap().clone();
                let length = body.len();
                let _ =
                    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
            }
        });
        this
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[test]
fn an_unknown_key_is_asked_for_once_in_a_while() {
    let keys = KeyServer::start(&key_set(&["ed25519.pem"]));
    let server = start_server_with(&format!("[auth]\njwks_url = {:?}", keys.url));
    server.post_example();
    assert_eq!((read(&server, &own_token("ed25519.pem")).status, keys.asked()), (200, 1));
    // The identity service begins to use another key.
    *keys.answer.lock().unwrap() = key_set(&["ed25519.pem", "p256.pem"]);
    assert_eq!((read(&server, &own_token("p256.pem")).status, keys.asked()), (200, 2));
    // Anyone can name keys that do not exist.
    let forged: Vec<_> = (0..20)
        .map(|n| signed("other.pem", &["--kid", &format!("forged-{n}"), "--sub", USER, "--role", "self"]))
        .collect();
    assert!(forged.iter().all(|token| read(&server, token).status == 401));
    assert!(keys.asked() <= 4, "asked {} times", keys.asked());
}

#[test]
fn an_answer_that_is_too_large_or_wrong_keeps_the_keys_in_use() {
    let keys = KeyServer::start(&key_set(&["ed25519.pem"]));
    let server = start_server_with(&format!("[auth]\njwks_url = {:?}", keys.url));
    server.post_example();
    let padded = format!("{}{}", key_set(&["p256.pem"]), " ".repeat(300_000));
    *keys.answer.lock().unwrap() = padded;
    assert_eq!(read(&server, &own_token("p256.pem")).status, 401);
    assert!(keys.asked() >= 2);
    assert_eq!(read(&server, &own_token("ed25519.pem")).status, 200);
    assert!(server.log().contains("the keys in use are kept"), "{}", server.log());
}

#[test]
fn a_key_file_that_cannot_be_used_keeps_the_server_from_starting() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys.json");
    for content in [None, Some("{"), Some("{\"keys\": []}")] {
        let _ = content.map(|text| fs::write(&path, text).unwrap());
        fs::write(dir.path().join("config.local.toml"), format!("[auth]\njwks_file = {path:?}")).unwrap();
        let output = crate::test_server::serve(dir.path()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains("auth.jwks_file"), "{content:?}: {error}");
    }
}

#[test]
fn production_accepts_public_keys_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys.json");
    fs::write(&path, key_set(&["ed25519.pem"])).unwrap();
    let data_dir = TempDir::new().unwrap();
    write_secret(data_dir.path(), "PROFILE_SERVER_MASTER_KEY=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n");
    fs::write(
        data_dir.path().join("config.local.toml"),
        format!("mode = \"production\"\n[auth]\njwks_file = {path:?}"),
    )
    .unwrap();
    let server = crate::test_server::start_in_production(data_dir);
    let none = read(&server, &own_token("ed25519.pem"));
    assert_eq!((none.status, none.problem().as_str()), (404, "unknown-user"), "accepted, and there is no such user");
    let local = Token::citizen(USER).sign(&[1; 32]);
    assert_eq!(read(&server, &local).status, 401);
}

fn write_secret(dir: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(dir.join(".env"), text).unwrap();
    fs::set_permissions(dir.join(".env"), fs::Permissions::from_mode(0o600)).unwrap();
}
