//! A client of `GET /api/v2/events` that follows the contract: it keeps a cursor and applies every patch.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::http::{BodyReader, Request, Response, connect, read_head, read_response};
use crate::test_server::TestServer;
use crate::token::Token;

/// One event, as received.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) cursor: String,
    pub(crate) kind: String,
    pub(crate) event: Value,
    /// The bytes of the event.
    pub(crate) text: String,
}

/// An open stream of Server-Sent Events.
pub(crate) struct Follower {
    lines: BufReader<BodyReader<BufReader<TcpStream>>>,
    /// The newest cursor that the client has received.
    pub(crate) cursor: String,
    /// The document of each user, from patches alone.
    pub(crate) held: BTreeMap<String, Value>,
    /// The revision of each user's newest patch.
    pub(crate) revisions: BTreeMap<String, u64>,
}

/// Returns the request for a stream with the query `query`.
pub(crate) fn request(server: &TestServer, token: Token, query: &str) -> Request {
    let request = Request::new("GET", format!("/api/v2/events?{query}")).bearer(&server.sign(token));
    request.header("x-access-reason", "a test")
}

impl Follower {
    pub(crate) fn open(server: &TestServer, token: Token, query: &str) -> Self {
        Self::try_open(server, request(server, token, query)).unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    /// Opens a stream, or returns the answer if it is refused.
    pub(crate) fn try_open(server: &TestServer, request: Request) -> Result<Self, Box<Response>> {
        let mut stream = connect(server.listen);
        stream.write_all(request.head().as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let head = read_head(&mut stream);
        if head.status != 200 {
            let length: usize = head.header("content-length").parse().unwrap();
            let mut body = vec![0; length];
            std::io::Read::read_exact(&mut stream, &mut body).unwrap();
            return Err(Box::new(Response { body, ..head }));
        }
        assert_eq!(head.header("content-type"), "text/event-stream");
        assert_eq!(head.header("cache-control"), "no-store");
        let lines = BufReader::new(BodyReader::chunked(stream));
        let mut this = Self { lines, cursor: String::new(), held: BTreeMap::new(), revisions: BTreeMap::new() };
        assert!(this.step().unwrap().is_none(), "the stream begins with its cursor");
        assert_eq!(this.cursor.len(), 104);
        Ok(this)
    }

    /// Opens a stream that resumes from this one's cursor and documents.
    pub(crate) fn resume(self, server: &TestServer, token: Token) -> Self {
        let request = request(server, token, "cursor=oldest").header("last-event-id", self.cursor);
        let resumed = Self::try_open(server, request).unwrap_or_else(|answer| panic!("{answer:?}"));
        Self { held: self.held, revisions: self.revisions, ..resumed }
    }

    /// Reads one block of the stream: an event or a heartbeat; `None` at the end.
    #[expect(clippy::option_option, reason = "the end of a stream and a block without an event differ")]
    fn step(&mut self) -> Option<Option<Event>> {
        let (mut kind, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end_matches('\n');
            match line.split_once(": ") {
                None if line.is_empty() => break,
                Some(("id", id)) => self.cursor = id.to_owned(),
                Some(("event", name)) => kind = name.to_owned(),
                Some(("data", text)) => data = text.to_owned(),
                _ => assert!(line.starts_with(':'), "{line}"),
            }
        }
        if data.is_empty() {
            return Some(None);
        }
        let event: Value = serde_json::from_str(&data).unwrap();
        assert_eq!((&event["cursor"], &event["type"]), (&json!(self.cursor), &json!(kind)));
        assert_eq!((&event["specversion"], &event["subject"]), (&json!("1.0"), &event["data"]["user_id"]));
        Some(Some(Event { cursor: self.cursor.clone(), kind, event, text: data }))
    }

    /// Waits for a heartbeat.
    pub(crate) fn heartbeat(&mut self) {
        assert!(self.step().unwrap().is_none());
    }

    /// Reads the next event and applies its patch; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.step()? {
                self.apply(&event);
                return Some(event);
            }
        }
    }

    /// Reads until a patch of `user` leads to `revision`.
    pub(crate) fn read_to(&mut self, user: &str, revision: u64) -> Vec<Event> {
        let mut events = Vec::new();
        while self.revisions.get(user).is_none_or(|reached| *reached < revision) {
            events.push(self.next().expect("the stream goes on"));
        }
        events
    }

    fn apply(&mut self, event: &Event) {
        if event.kind != "profile.delta.generated" {
            return;
        }
        let data = &event.event["data"];
        let user = data["user_id"].as_str().unwrap().to_owned();
        let (base, revision) = (data["base_revision"].as_u64().unwrap(), data["revision"].as_u64().unwrap());
        let reached = self.revisions.get(&user).copied();
        if reached.is_some_and(|reached| revision <= reached) {
            // A repeated event: delivery is at least once.
            return;
        }
        let patch: json_patch::Patch = serde_json::from_value(data["operations"].clone()).unwrap();
        // A whole document needs no base, for example when the user was hidden in between.
        let whole = data["operations"][0]["path"] == "";
        let continues = whole || reached.is_none_or(|reached| reached == base);
        assert!(continues, "no gap: {reached:?} before {base}..{revision}");
        if !whole && !self.held.contains_key(&user) {
            // Without a base the document is unknown; a client reads it from the API.
            self.revisions.insert(user, revision);
            return;
        }
        let held = self.held.entry(user.clone()).or_default();
        json_patch::patch(held, &patch).unwrap_or_else(|error| panic!("{error}: {patch}"));
        self.revisions.insert(user, revision);
    }
}

/// Reads the events of a stream of newline-delimited JSON, up to the first that `until` accepts.
pub(crate) fn read_lines(server: &TestServer, token: Token, query: &str, until: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut stream = connect(server.listen);
    let request = request(server, token, query).header("accept", "application/x-ndjson");
    stream.write_all(request.head().as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let head = read_head(&mut stream);
    assert_eq!((head.status, head.header("content-type")), (200, "application/x-ndjson"));
    let mut lines = Vec::new();
    for line in BufReader::new(BodyReader::chunked(stream)).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert!(line["cursor"].is_string());
        let last = until(&line);
        if line.get("type").is_some() {
            lines.push(line);
        }
        if last {
            break;
        }
    }
    lines
}

/// Returns status and problem of a refused request for a stream.
pub(crate) fn refused(server: &TestServer, request: Request) -> (u16, String) {
    let mut stream = connect(server.listen);
    stream.write_all(request.head().as_bytes()).unwrap();
    let answer = read_response(&mut BufReader::new(stream), true);
    (answer.status, answer.problem())
}
