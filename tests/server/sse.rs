//! The Server-Sent Events that follow one profile.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::http::{PATIENCE, Request};
use crate::live::{changes, seeded, view_of};
use crate::test_server::{TestServer, USER, profile_path, start_server_with};
use crate::token::{Token, now};

/// One event, parsed as the HTML standard says.
#[derive(Debug, Default)]
struct Event {
    name: String,
    id: Option<String>,
    data: String,
}

/// A stream of events on its own socket, with the chunked transfer coding removed.
pub(crate) struct Stream(BufReader<TcpStream>);

impl Stream {
    pub(crate) fn open(server: &TestServer, path: &str, token: Token, headers: &str) -> Self {
        let mut socket = TcpStream::connect(server.listen).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let token = server.sign(token);
        write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n").unwrap();
        let mut stream = Self(BufReader::new(socket));
        let head: Vec<String> = std::iter::from_fn(|| Some(stream.line()).filter(|line| !line.is_empty())).collect();
        assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
        assert!(head.iter().any(|line| line.eq_ignore_ascii_case("content-type: text/event-stream")), "{head:?}");
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches("\r\n").to_owned()
    }

    /// Reads the next event; `None` at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        loop {
            let length = usize::from_str_radix(&self.line(), 16).unwrap();
            if length == 0 {
                return None;
            }
            let mut chunk = vec![0; length + 2];
            std::io::Read::read_exact(&mut self.0, &mut chunk).unwrap();
            let text = String::from_utf8(chunk).unwrap();
            let mut event = Event::default();
            for line in text.trim_end().lines() {
                match line.split_once(": ") {
                    Some(("event", name)) => event.name = name.to_owned(),
                    Some(("id", id)) => event.id = Some(id.to_owned()),
                    Some(("data", data)) => event.data.push_str(data),
                    _ => assert!(line.starts_with(':'), "{line}"),
                }
            }
            if !event.name.is_empty() {
                return Some(event);
            }
        }
    }

    /// Reads the next event and returns its name, cursor and text.
    pub(crate) fn expect(&mut self) -> (String, Option<String>, Value) {
        let event = self.next().expect("the stream goes on");
        let data: Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(data["type"], event.name);
        (event.name, event.id, data)
    }
}

fn path() -> String {
    format!("{}/events", profile_path(USER))
}

fn apply(held: &mut Value, patch: &Value) {
    assert_eq!(patch["base_revision"], held["revision"]);
    self::patch(held, patch);
}

fn patch(held: &mut Value, patch: &Value) {
    let operations: json_patch::Patch = serde_json::from_value(patch["operations"].clone()).unwrap();
    json_patch::patch(held, &operations).unwrap();
    for (member, value) in patch["envelope"].as_object().unwrap() {
        held[member] = value.clone();
    }
}

#[test]
fn a_stream_follows_the_profile_and_goes_on_from_the_last_event() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let token = || Token::service("profile:read");
    let mut stream = Stream::open(&server, &path(), token(), "");
    let (name, mut cursor, state) = stream.expect();
    assert_eq!((&*name, cursor.as_deref()), ("profile", state["cursor"].as_str()));
    let mut held = state["profile"].clone();
    let changes = changes(30);
    for (source, event) in &changes[..15] {
        server.apply(source, event);
    }
    let now = view_of(&server, "profile:read");
    while held["revision"] != now["revision"] {
        let (name, id, frame) = stream.expect();
        if name == "patch" {
            apply(&mut held, &frame);
            cursor = id;
        }
    }
    assert_eq!(held, now);
    drop(stream);

    for (source, event) in &changes[15..] {
        server.apply(source, event);
    }
    let last = format!("Last-Event-ID: {}\r\n", cursor.unwrap());
    let (name, _, way) = Stream::open(&server, &path(), token(), &last).expect();
    assert_eq!((&*name, way.get("reset")), ("patch", None));
    apply(&mut held, &way);
    assert_eq!(held, view_of(&server, "profile:read"));

    let (name, _, state) = Stream::open(&server, &path(), token(), "Last-Event-ID: nonsense\r\n").expect();
    assert_eq!((&*name, &state["reset"]), ("profile", &json!(true)));
    let sparse = format!("{}?fields=deadlines", path());
    let (_, _, state) = Stream::open(&server, &sparse, token(), "").expect();
    assert!(state["profile"].get("deadlines").is_some() && state["profile"].get("demographics").is_none());
}

#[test]
fn a_stream_in_an_older_version_stays_in_it() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let token = || Token::service("profile:read");
    let mut stream = Stream::open(&server, &format!("{}?schema_version=1.0", path()), token(), "");
    let (_, _, state) = stream.expect();
    let (mut held, mut revision) = (state["profile"].clone(), state["revision"].clone());
    for (source, event) in &changes(14) {
        server.apply(source, event);
    }
    let now = server.get(&format!("{}?schema_version=1.0", profile_path(USER)), token());
    let newest = json!(now.header("x-profile-revision").parse::<u64>().unwrap());
    while revision != newest {
        let (name, _, frame) = stream.expect();
        if name == "patch" {
            assert_eq!(frame["base_revision"], revision);
            patch(&mut held, &frame);
            revision = frame["revision"].clone();
        }
    }
    assert_eq!(held["schema_version"], "1.0");
    assert_eq!(held, now.json());
}

#[test]
fn a_withdrawal_is_the_very_next_event() {
    let server = seeded();
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    let mut stream = Stream::open(&server, &path(), Token::service("profile:read third_party"), "");
    assert!(stream.expect().2["profile"].get("deadlines").is_some());
    server.consent(USER, &json!({"data_sharing_level": "minimal"}));
    let (name, _, state) = stream.expect();
    assert_eq!((&*name, state["profile"].get("deadlines")), ("profile", None));
    server.consent(USER, &json!({"third_party_sharing": false}));
    let (name, id, _) = stream.expect();
    assert_eq!((&*name, id.as_deref()), ("gone", Some("")), "the cursor goes with the document");
}

#[test]
fn a_stream_ends_with_its_token_and_with_the_server() {
    let server = seeded();
    let ending = Token::citizen(USER).with("iat", now() - 600).with("exp", now() - 58);
    let mut stream = Stream::open(&server, &path(), ending, "");
    stream.expect();
    let (name, _, error) = stream.expect();
    assert_eq!((&*name, &error["problem"]["type"]), ("error", &json!("/problems/invalid-token")));
    assert!(stream.next().is_none());

    let mut stream = Stream::open(&server, &path(), Token::citizen(USER), "");
    stream.expect();
    let stopping = std::thread::spawn(move || server.terminate());
    assert!(stream.next().is_none());
    assert_eq!(stopping.join().unwrap().0.code(), Some(0));
}

#[test]
fn what_cannot_be_followed_is_refused_before_the_stream() {
    let server = start_server_with("[live]\nmax_sockets_per_caller = 1\nheartbeat_s = 1");
    server.post_example();
    let refused = |path: &str, token: Token| {
        let answer = server.send(Request::new("GET", path).bearer(&server.sign(token)));
        (answer.status, answer.problem())
    };
    let hidden = Token::service("profile:read third_party");
    assert_eq!(refused(&path(), hidden), (404, "unknown-user".to_owned()));
    let nobody = format!("{}/events", profile_path("usr_NobodyAtAll000"));
    assert_eq!(refused(&nobody, Token::service("profile:read")), (404, "unknown-user".to_owned()));
    let admin = Token::new("admin", "adm:root", "profile:read");
    assert_eq!(refused(&path(), admin), (400, "access-reason-missing".to_owned()));
    let old = format!("{}?schema_version=3.0", path());
    assert_eq!(refused(&old, Token::citizen(USER)), (406, "not-acceptable".to_owned()));
    let stream = Stream::open(&server, &path(), Token::citizen(USER), "");
    assert_eq!(refused(&path(), Token::citizen(USER)), (429, "too-many-sockets".to_owned()));
    drop(stream);
    crate::test_server::eventually("the place is free again", || server.metric("profile_live_connections") == 0.0);
}
