//! Batches of reads are answered in pieces: what changes between two of them holds for all lines that follow.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::http::{BodyReader, Request, read_head};
use crate::revocation::revoke;
use crate::test_server::{TestServer, USER, profile_path, start_server_with};
use crate::token::Token;
use crate::unread::{clients_wait, held, narrow, nothing_is_held};

const LINES: usize = 1_000;
/// Schemes of the citizen, so that the buffers of a connection do not hold all lines.
const SCHEMES: usize = 60;

/// A server with a citizen whose profile is long.
fn served(settings: &str) -> TestServer {
    let server = start_server_with(settings);
    server.post_example();
    let scheme = |number| {
        json!({"scheme_id": format!("sch_number_{number}"), "scheme_name": "a scheme", "confidence": 0.9,
        "matched_rules": ["rule_urban"], "application_status": "not_applied", "annual_benefit_inr": 0})
    };
    let schemes: Vec<_> = (0..SCHEMES).map(scheme).collect();
    server.apply(
        "eligibility",
        &json!({
            "specversion": "1.0", "id": "long", "source": "/engines/eligibility", "type": "eligibility.batch.computed",
            "subject": USER, "time": "2026-01-21T10:00:00Z", "data": {"schemes": schemes},
        }),
    );
    server
}

/// A batch of reads whose answer the client does not read yet.
struct PausedBatch(BufReader<BodyReader<BufReader<TcpStream>>>);

impl PausedBatch {
    /// Sends a batch about one citizen, whose view is in the cache, and waits until the server waits for the client.
    #[track_caller]
    fn begin(server: &TestServer, token: &Token) -> Self {
        let bearer = server.sign(token.clone());
        assert_eq!(server.send(Request::new("GET", profile_path(USER)).bearer(&bearer)).status, 200);
        let request = Request::new("POST", "/api/v2/profiles/batch-get").bearer(&bearer);
        let request = request.body("application/json", json!({"user_ids": vec![USER; LINES]}).to_string());
        let mut stream = narrow(server.listen);
        stream.write_all(request.head().as_bytes()).unwrap();
        stream.write_all(request.content()).unwrap();
        let mut stream = BufReader::with_capacity(1_024, stream);
        assert_eq!(read_head(&mut stream).status, 200);
        clients_wait(server, 1);
        Self(BufReader::new(BodyReader::chunked(stream)))
    }

    /// Reads all lines. Returns their number up to the change, and those after it.
    #[track_caller]
    fn rest(mut self, is_before: impl Fn(&Value) -> bool) -> (usize, Vec<Value>) {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), LINES);
        let before = lines.iter().take_while(|line| is_before(line)).count();
        (before, lines.split_off(before))
    }
}

#[test]
fn a_token_that_is_revoked_between_two_pieces_reads_nothing_more() {
    let server = served("");
    let token = Token::service("profile:read").with("jti", "the-victim");
    let batch = PausedBatch::begin(&server, &token);
    revoke(&server, &json!({"jti": "the-victim"}));
    let (before, after) = batch.rest(|line| line["status"] == 200);
    assert!(before > 0 && !after.is_empty(), "{before} before");
    for line in after {
        assert_eq!(
            (&line["status"], &line["problem"]["type"]),
            (&json!(401), &json!("/problems/invalid-token")),
            "{line}"
        );
        assert!(line.get("profile").is_none() && line.get("etag").is_none(), "{line}");
    }
}

#[test]
fn a_consent_that_is_withdrawn_between_two_pieces_holds_for_the_next() {
    let server = served("");
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    let batch = PausedBatch::begin(&server, &Token::service("profile:read third_party"));
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": false}));
    let (before, after) = batch.rest(|line| line["status"] == 200);
    assert!(before > 0 && !after.is_empty(), "{before} before");
    let own = server.get(&profile_path(USER), Token::service("profile:read third_party"));
    for line in after {
        assert_eq!((&line["status"], &line["problem"]["type"]), (&json!(own.status), &own.json()["type"]), "{line}");
        assert!(line.get("profile").is_none() && line.get("etag").is_none(), "{line}");
    }
}

#[test]
fn a_client_that_reads_no_batch_is_disconnected() {
    let server = served("[http]\nunread_timeout_s = 1\n");
    let batch = PausedBatch::begin(&server, &Token::service("profile:read"));
    assert_eq!(held(&server), 1);
    nothing_is_held(&server);
    drop(batch);
}
