//! Callers: the feed of all people, readers of every kind, and an analyst who exports.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use domain::splitmix64;
use serde_json::{Value, json};

use super::people::{Fate, Ledger, PEOPLE, by_feed, changes, user};
use crate::http::{Request, Response};
use crate::test_server::{TestServer, feed_path, profile_path, residency};
use crate::token::{Token, now};

/// People of one request of the feed, and ids of one batch of reads.
const TOGETHER: usize = 24;

/// How long callers wait between two requests, so that those of the test itself get their share of a small machine.
const FEED_PAUSE: Duration = Duration::from_millis(40);
const EXPORT_PAUSE: Duration = Duration::from_millis(100);
const READ_PAUSE: Duration = Duration::from_millis(4);

/// What every caller has.
pub(super) struct Caller<'t> {
    pub(super) server: &'t TestServer,
    pub(super) ledger: &'t Ledger,
    pub(super) stop: &'t AtomicBool,
    pub(super) random: u64,
}

pub(super) fn admin() -> Token {
    Token::new("admin", "adm:everywhere", "profile:read")
}

impl Caller<'_> {
    fn below(&mut self, bound: usize) -> usize {
        splitmix64::next(&mut self.random) as usize % bound
    }

    fn goes_on(&self, pause: Duration) -> bool {
        thread::sleep(pause);
        !self.stop.load(Ordering::Acquire)
    }

    /// Posts changes of everybody as newline-delimited JSON, until the test stops. Returns the number of events that were taken.
    pub(super) fn feed(mut self) -> usize {
        let (mut step, mut taken) = (1, 0);
        while self.goes_on(FEED_PAUSE) {
            step += 1;
            let (mut people, mut events) = (Vec::new(), Vec::new());
            for _ in 0..TOGETHER {
                let number = self.below(PEOPLE);
                // Events about who is erased are those of the first life.
                let life = self.ledger.life(number).max(1);
                let changed = changes(number, life, step);
                self.ledger.send(number, life, &changed);
                events.extend(changed);
                people.push((number, life));
            }
            for (feed, lines) in by_feed(&events) {
                let asked = Instant::now();
                let answer = self.post(feed, lines.join("\n") + "\n");
                assert_eq!(answer.status, 200, "{answer:?}");
                let results = answer.lines();
                assert!(results.last().unwrap().get("total").is_some(), "{answer:?}");
                for result in results.iter().filter(|result| result.get("index").is_some()) {
                    let (number, life) = people[result["index"].as_u64().unwrap() as usize];
                    let status = result["status"].as_str().unwrap();
                    if self.ledger.has_ended(number, life, asked) {
                        assert!(status == "rejected" && result.to_string().contains("erased"), "{number}: {result}");
                    } else if Fate::of(number) == Fate::Stays {
                        assert_ne!(status, "rejected", "{number}: {result}");
                    }
                    taken += usize::from(status == "applied");
                }
            }
        }
        taken
    }

    /// Posts events, and gets the results of all of them.
    fn post(&self, feed: &str, lines: String) -> Response {
        let token = self.server.sign(Token::service(&format!("feed:{feed}")));
        let request = Request::new("POST", feed_path(feed)).bearer(&token).header("prefer", "return=representation");
        self.server.send(request.body("application/x-ndjson", lines))
    }

    /// Reads in every way, until the test stops. Returns the number of answers of each status.
    pub(super) fn read(mut self) -> BTreeMap<u16, usize> {
        let (mut tags, mut statuses) = (BTreeMap::new(), BTreeMap::new());
        while self.goes_on(READ_PAUSE) {
            let status = match self.below(8) {
                0 => self.read_batch(),
                1 => self.simulate(),
                _ => self.read_one(&mut tags),
            };
            *statuses.entry(status).or_default() += 1;
        }
        statuses
    }

    fn read_one(&mut self, tags: &mut BTreeMap<usize, String>) -> u16 {
        const TAILS: [&str; 16] = [
            "",
            "?fields=deadlines,eligibility",
            "?schema_version=1.0",
            "?include=provenance",
            "?as_of=2026-01-21T12:00:00Z",
            "?revision=2",
            "/diff?from=1&to=3",
            "/delta?since=1",
            "/history?limit=20",
            "/snapshots",
            "/summary",
            "/completeness",
            "/access",
            "/integrity",
            "/export-data",
            "/explain?path=/eligibility/eligible_schemes",
        ];
        let (number, tail) = (self.below(PEOPLE), TAILS[self.below(TAILS.len())]);
        let path = format!("{}{tail}", profile_path(&user(number)));
        // A snapshot is taken at the address where they are listed.
        let method = if tail == "/snapshots" && self.below(2) == 0 { "POST" } else { "GET" };
        let token = match self.below(3) {
            0 => admin(),
            1 if tail.is_empty() => Token::service("profile:read ai_context"),
            _ => Token::citizen(&user(number)),
        };
        let is_citizen = token.claims["role"] == "self";
        let mut request =
            Request::new(method, &path).bearer(&self.server.sign(token)).header("x-access-reason", "a test");
        let tag = tags.get(&number).filter(|_| tail.is_empty() && is_citizen);
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        let asked = Instant::now();
        let answer = match request.try_send(self.server.listen) {
            Ok(answer) => answer,
            // A stream breaks off when its user is erased meanwhile.
            Err(error) => {
                assert!(tail == "/export-data" && Fate::of(number) != Fate::Stays, "{method} {path}: {error}");
                return 200;
            }
        };
        self.check(number, asked, &format!("{method} {path}"), &answer);
        if tail.is_empty() && is_citizen && answer.status == 200 {
            tags.insert(number, answer.header("etag").to_owned());
        }
        answer.status
    }

    fn check(&self, number: usize, asked: Instant, what: &str, answer: &Response) {
        self.ledger.check(asked, what, format!("{answer:?}").as_bytes());
        if self.ledger.is_gone(number, asked) {
            assert_eq!((answer.status, answer.problem().as_str()), (410, "erased"), "{what}: {answer:?}");
        } else if Fate::of(number) == Fate::Stays {
            // A profile with as many snapshots as it may have gets no more; history has a queue that may be full.
            assert!(matches!(answer.status, 200 | 201 | 304 | 409 | 503), "{what}: {answer:?}");
        }
    }

    fn simulate(&mut self) -> u16 {
        let number = self.below(PEOPLE);
        let event = residency(&user(number), "what-if", "2026-01-21T11:59:00Z", 7);
        let path = format!("{}/simulate", profile_path(&user(number)));
        let request = Request::new("POST", &path).bearer(&self.server.sign(Token::citizen(&user(number))));
        let asked = Instant::now();
        let answer = self.server.send(request.body("application/cloudevents-batch+json", json!([event]).to_string()));
        self.check(number, asked, &path, &answer);
        answer.status
    }

    fn read_batch(&mut self) -> u16 {
        let numbers: Vec<usize> = (0..TOGETHER).map(|_| self.below(PEOPLE)).collect();
        let users: Vec<String> = numbers.iter().map(|number| user(*number)).collect();
        // Third parties get of the erased what they get of the unknown.
        let (token, gone) = match self.below(2) {
            0 => (admin(), 410),
            _ => (Token::service("profile:read third_party"), 404),
        };
        let request = Request::new("POST", "/api/v2/profiles/batch-get").bearer(&self.server.sign(token));
        let request = request.header("x-access-reason", "a test");
        let asked = Instant::now();
        let answer = self.server.send(request.body("application/json", json!({ "user_ids": users }).to_string()));
        self.ledger.check(asked, "a batch of reads", &answer.body);
        assert_eq!(answer.status, 200, "{answer:?}");
        for (number, line) in numbers.into_iter().zip(answer.lines()) {
            if self.ledger.is_gone(number, asked) {
                assert_eq!(line["status"], gone, "{line}");
            } else if Fate::of(number) == Fate::Stays {
                assert_eq!(line["status"], 200, "{line}");
            }
        }
        answer.status
    }

    /// Exports everybody again and again, until the test stops, and once more. Returns the number of files that were received.
    pub(super) fn export(self) -> usize {
        let mut files = 0;
        while self.goes_on(EXPORT_PAUSE) {
            files += usize::from(self.export_once());
        }
        assert!(
            self.export_once(),
            "nobody leaves any more, and those who have left end no export that was made before"
        );
        files + 1
    }

    /// Exports everybody. Returns whether a file was received: people may have kept leaving, or somebody in it was erased before it
    /// was asked for.
    fn export_once(&self) -> bool {
        let job = start_export(self.server);
        loop {
            let status = state_of_export(self.server, &job);
            match status["state"].as_str().unwrap() {
                "queued" | "running" => thread::sleep(Duration::from_millis(5)),
                "done" => {
                    let asked = Instant::now();
                    // A file breaks off when somebody in it is erased meanwhile.
                    let Ok(file) = try_download(self.server, &job) else { return false };
                    return check_file(self.ledger, asked, &file).is_some();
                }
                _ => {
                    let error = status["error"].as_str().unwrap();
                    assert!(error.starts_with("people "), "people leave, and nothing else is in its way: {status}");
                    return false;
                }
            }
        }
    }
}

fn exporter() -> Token {
    Token::new("admin", "adm:analyst", "export").with("amr", json!(["mfa"])).with("auth_time", now())
}

/// Starts an export of everybody's gender, and returns its id.
#[track_caller]
pub(super) fn start_export(server: &TestServer) -> String {
    let request = Request::new("POST", "/api/v2/profiles/bulk-export").bearer(&server.sign(exporter()));
    let body = json!({"format": "ndjson", "columns": ["gender"], "k": 5, "l": 1});
    let answer = server.send(request.body("application/json", body.to_string()));
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["job_id"].as_str().unwrap().to_owned()
}

pub(super) fn state_of_export(server: &TestServer, job: &str) -> Value {
    server.get(&format!("/api/v2/exports/{job}"), exporter()).json()
}

pub(super) fn download(server: &TestServer, job: &str) -> Response {
    try_download(server, job).unwrap()
}

/// Downloads a file, which may break off.
fn try_download(server: &TestServer, job: &str) -> io::Result<Response> {
    let request = Request::new("GET", format!("/api/v2/exports/{job}/download"));
    request.bearer(&server.sign(exporter())).try_send(server.listen)
}

/// Checks that a file that was asked for then has no row of anybody who was erased before. Returns the number of rows of those
/// who are erased in the test and were not yet; `None` if the file was deleted.
#[track_caller]
pub(super) fn check_file(ledger: &Ledger, asked: Instant, answer: &Response) -> Option<usize> {
    if answer.status == 410 {
        return None;
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.text().contains("mark_") && !answer.text().contains("usr_"), "{answer:?}");
    let rows = answer.text().matches("\"gender\":\"other\"").count();
    let is_there = |number: &usize| match Fate::of(*number) {
        Fate::Stays => false,
        // Somebody who has returned may have a row again.
        Fate::Goes => !ledger.has_ended(*number, 1, asked),
        Fate::Returns => true,
        Fate::GoesTwice => !ledger.has_ended(*number, 2, asked),
    };
    let there = (0..PEOPLE).filter(is_there).count();
    assert!(rows <= there, "{rows} rows of {there} people");
    Some(rows)
}
