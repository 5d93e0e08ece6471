//! What the audit log owes for the calls of a test. It is derived from the row of each call and from the answer.

use std::collections::{BTreeMap, BTreeSet};

use profile_server::{ListedRequirements, ListedRoute};
use serde_json::Value;

use super::callers::Caller;
use crate::test_server::{TestServer, start_on};
use crate::token::Token;

/// What happened to a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    /// It was refused before the handler was called, with this problem.
    Refused(&'a str),
    /// The handler has answered with this status.
    Answered(u16),
    /// The handler has recorded it, and then answered with an error.
    FailedLate,
}

/// A call: its row, and who has sent it.
pub(super) struct Call<'a> {
    pub(super) id: String,
    pub(super) row: &'a ListedRoute,
    pub(super) caller: &'a Caller,
}

/// An entry that is owed for one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Owed {
    action: &'static str,
    category: &'static str,
    decision: &'static str,
    /// Whether the path names a user.
    has_subject: bool,
    has_reason: bool,
    has_fields: bool,
}

/// Refusals and reads that are counted together: the action, the caller, and the problem, empty for a read.
type Counted = (String, String, String);

/// What is owed for all calls.
#[derive(Default)]
pub(super) struct Ledger {
    calls: usize,
    owed: BTreeMap<String, Vec<Owed>>,
    counted: BTreeMap<Counted, u64>,
    citizens: BTreeSet<String>,
    has_failed_authentication: bool,
}

impl Ledger {
    /// Returns the request id of the next call.
    pub(super) fn next_id(&mut self) -> String {
        self.calls += 1;
        format!("case-{}", self.calls)
    }

    /// Adds what is owed for a call.
    pub(super) fn add(&mut self, call: &Call<'_>, outcome: Outcome<'_>) {
        let Some(requirements) = &call.row.requirements else { return };
        if call.caller.token.is_none() {
            self.has_failed_authentication = true;
            return;
        }
        let ListedRequirements { rule, action, .. } = requirements;
        let role = call.caller.claim("role");
        match (outcome, *rule, role) {
            (Outcome::Refused(problem), ..) => self.count(call, action, problem),
            (Outcome::Answered(status), "read" | "history", "admin" | "agent")
            | (Outcome::Answered(status), "listing", "admin") => {
                let decision = if status < 400 { "allowed" } else { "denied" };
                self.owe(call, action, decision);
            }
            (Outcome::Answered(200), "history", _) => self.owe(call, action, "allowed"),
            (Outcome::Answered(200), "read", "service") => self.count(call, action, ""),
            (Outcome::Answered(404), "read" | "history", "service") => self.count(call, action, "unknown-user"),
            (Outcome::Answered(status), "write", _) if status < 400 => self.owe(call, action, "allowed"),
            (Outcome::FailedLate, "write", _) => {
                self.owe(call, action, "allowed");
                self.owe(call, action, "failed");
            }
            (
                Outcome::Answered(_) | Outcome::FailedLate,
                "read" | "listing" | "reads" | "history" | "write" | "subscribe" | "refusals",
                _,
            ) => {}
            _ => panic!("`{rule}` is no rule of this test: say what it owes"),
        }
    }

    fn owe(&mut self, call: &Call<'_>, action: &'static str, decision: &'static str) {
        let has_subject = call.row.path.contains("{user_id}");
        let owed = Owed {
            action,
            category: "compliance",
            decision,
            has_subject,
            has_reason: call.caller.claim("role") == "admin",
            has_fields: has_subject && decision == "allowed" && discloses(action, call.caller),
        };
        self.owed.entry(call.id.clone()).or_default().push(owed);
    }

    /// Adds one to what is counted together with the calls like this one.
    fn count(&mut self, call: &Call<'_>, action: &str, problem: &str) {
        let subject = call.caller.claim("sub").to_owned();
        if call.caller.claim("role") == "self" {
            self.citizens.insert(subject.clone());
        }
        *self.counted.entry((action.to_owned(), subject, problem.to_owned())).or_default() += 1;
    }

    /// Stops the server, so that what is still counted is recorded, and compares the log with what is owed.
    pub(super) fn check(self, server: TestServer) {
        let (status, data_dir) = server.terminate();
        assert!(status.success());
        let server = start_on(data_dir);
        let entries = entries(&server);
        self.check_entries(&entries);
        self.check_counts(&server, &entries);
        let failures = entries.iter().filter(|entry| entry["action"] == "authentication.failed").count();
        assert_eq!(failures > 0, self.has_failed_authentication);
    }

    fn check_entries(&self, entries: &[Value]) {
        let mut found: BTreeMap<String, Vec<Owed>> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry["category"] == "compliance") {
            let Some(id) = entry["request_id"].as_str().filter(|id| id.starts_with("case-")) else { continue };
            // Changes of the configuration that a call has caused are entries of their own.
            if entry["action"] == "config.change" {
                continue;
            }
            found.entry(id.to_owned()).or_default().push(as_owed(entry, &self.owed[id]));
        }
        for owed in found.values_mut() {
            // The newest entry comes first.
            owed.reverse();
        }
        assert_eq!(found, self.owed);
    }

    fn check_counts(&self, server: &TestServer, entries: &[Value]) {
        let hashes: BTreeMap<String, &String> =
            self.citizens.iter().map(|citizen| (actor_of(server, citizen), citizen)).collect();
        let mut found: BTreeMap<Counted, u64> = BTreeMap::new();
        for entry in entries {
            let is_denial = entry["category"] == "security" && !entry["problem"].is_null();
            if !is_denial && entry["category"] != "operations" {
                continue;
            }
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let actor = hashes.get(&text("actor")).map_or_else(|| text("actor"), |citizen| (*citizen).clone());
            let key = (text("action"), actor, text("problem"));
            let total = found.entry(key).or_default();
            match (entry["count"].as_u64(), is_denial) {
                // The count of an hour's reads includes the first, which has its own entry.
                (Some(count), false) => *total += count - 1,
                (count, _) => *total += count.unwrap_or(1),
            }
        }
        let keys: BTreeSet<_> = found.keys().chain(self.counted.keys()).collect();
        let different = keys.into_iter().map(|key| (key, found.get(key), self.counted.get(key)));
        let different: Vec<_> = different.filter(|(_, found, owed)| found != owed).collect();
        assert!(different.is_empty(), "recorded and owed: {different:?}");
    }
}

/// Whether an answer discloses fields, or a call writes some. What masks a profile is none of them, taking or removing a
/// snapshot writes none, and agents of these tests see no fact of a summary.
fn discloses(action: &str, caller: &Caller) -> bool {
    match action {
        "profile.access.read" | "profile.snapshot.take" | "profile.snapshot.remove" => false,
        "profile.summary.read" => caller.claim("role") != "agent",
        _ => true,
    }
}

/// Returns what an entry says of what can be owed. Names are taken from `owed`, so that they can be compared.
fn as_owed(entry: &Value, owed: &[Owed]) -> Owed {
    let known = |name: &str, of: fn(&Owed) -> &'static str| {
        let text = entry[name].as_str().unwrap_or_default();
        let names = owed.iter().map(of).chain(["allowed", "denied", "failed", "compliance", "security"]);
        names.into_iter().find(|known| *known == text).unwrap_or_else(|| panic!("`{name}` in {entry}, owed {owed:?}"))
    };
    Owed {
        action: known("action", |owed| owed.action),
        category: known("category", |owed| owed.category),
        decision: known("decision", |owed| owed.decision),
        // Some operations that name a user in the body have a subject, too.
        has_subject: owed[0].has_subject && entry["subject"].is_string(),
        has_reason: entry["reason"].is_string(),
        has_fields: entry["fields"].is_array(),
    }
}

/// Returns all entries, the newest first.
pub(crate) fn entries(server: &TestServer) -> Vec<Value> {
    let auditor = server.sign(Token::new("auditor", "aud:reader", ""));
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let request = crate::http::Request::new("GET", format!("/api/v2/audit?limit=200{cursor}")).bearer(&auditor);
        let page = server.send(request).json();
        entries.extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["entry"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return entries,
        }
    }
}

/// Returns the text by which a citizen appears as an actor.
fn actor_of(server: &TestServer, citizen: &str) -> String {
    let auditor = Token::new("auditor", "aud:reader", "");
    let page = server.get(&format!("/api/v2/audit?actor={citizen}&limit=1"), auditor).json();
    page["entries"][0]["entry"]["actor"].as_str().expect("an entry of the citizen").to_owned()
}
