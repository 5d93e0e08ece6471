//! Dead letters: listed for their own engine and for operators, without the events, and taken again.

use std::thread;

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::route_table::entries;
use crate::test_server::{TestServer, USER, eventually, feed_path, residency, start_on, start_server};
use crate::token::Token;

const OTHER: &str = "usr_SomebodyElse01";

fn engine() -> Token {
    Token::service("feed:metadata")
}

fn operator(scopes: &str) -> Token {
    Token::new("admin", "adm:root", scopes)
}

fn path() -> String {
    format!("{}/rejected", feed_path("metadata"))
}

/// Sends a request with a reason, which administrators need.
fn send(server: &TestServer, method: &'static str, path: &str, token: Token) -> Response {
    server.send(Request::new(method, path).bearer(&server.sign(token)).header("x-access-reason", "a bad release"))
}

#[track_caller]
fn list(server: &TestServer, token: Token, query: &str) -> Value {
    let answer = send(server, "GET", &format!("{}?{query}", path()), token);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().unwrap().clone()
}

fn retry(server: &TestServer, token: Token, item: &Value) -> Response {
    send(server, "POST", &format!("{}/{}/retry", path(), item["id"].as_str().unwrap()), token)
}

/// Posts an event that lies an hour ahead of the server's clock, which is rejected.
#[track_caller]
fn reject_early(server: &TestServer, user: &str, id: &str) {
    let answer = server.post("metadata", residency(user, id, "2026-01-21T13:00:00Z", 9).to_string());
    assert_eq!(answer.status, 422, "{answer:?}");
}

/// Waits until the letters are written.
fn wait_for(server: &TestServer, count: usize) {
    eventually("the letters are written", || items(&list(server, engine(), "")).len() == count);
}

#[test]
fn an_engine_lists_its_letters_newest_first_and_never_sees_an_event() {
    let server = start_server();
    server.post_example();
    for number in 0..5 {
        reject_early(&server, USER, &format!("early-{number}"));
        wait_for(&server, number + 1);
    }
    let all = list(&server, engine(), "");
    let item = &items(&all)[0];
    let id = item["id"].as_str().unwrap();
    assert!(id.starts_with("rej_") && id.len() == 36, "{id}");
    assert_eq!((&item["event_id"], &item["subject"]), (&json!("early-4"), &json!(USER)));
    assert_eq!(item["problem"], json!({"type": "/problems/time-in-future", "pointer": "/time"}));
    assert_eq!((&item["can_retry"], &item["event_type"]), (&json!(true), &json!("user.metadata.updated")));
    assert!(item["bytes"].as_u64().unwrap() > 100 && item["rejected_at"].is_string(), "{item}");
    assert!(!all.to_string().contains("residency_years"), "no event is shown");

    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&server, engine(), &format!("limit=2{cursor}"));
        found.extend(items(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, items(&all));
    let ids: Vec<_> = found.iter().map(|item| item["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["early-4", "early-3", "early-2", "early-1", "early-0"]);

    // Operators see whom it is about only if they may read profiles. Their looks are recorded.
    assert!(items(&list(&server, operator("operate"), ""))[0].get("subject").is_none());
    assert_eq!(items(&list(&server, operator("operate profile:read"), ""))[0]["subject"], USER);
    let recorded = entries(&server).into_iter().filter(|entry| entry["action"] == "feed.rejected.list").count();
    assert_eq!(recorded, 2);
    for query in ["limit=0", "limit=201", "cursor=x", "cursor=AAAA"] {
        let answer = send(&server, "GET", &format!("{}?{query}", path()), engine());
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid-parameter"), "{query}");
    }
}

#[test]
fn a_letter_is_for_its_own_engine_and_for_operators_alone() {
    let server = start_server();
    reject_early(&server, OTHER, "early");
    wait_for(&server, 1);
    let item = items(&list(&server, engine(), "")).remove(0);
    let id = item["id"].as_str().unwrap();
    // The path of another source knows no such letter.
    let elsewhere = format!("{}/rejected/{id}/retry", feed_path("identity"));
    let both = Token::service("feed:metadata feed:identity");
    assert_eq!(send(&server, "POST", &elsewhere, both).problem(), "unknown-resource");
    for (token, status) in [
        (Token::service("feed:identity"), 403),
        (operator("profile:read"), 403),
        (Token::citizen(OTHER), 403),
        (Token::new("auditor", "aud:a", "operate feed:metadata"), 403),
    ] {
        assert_eq!(retry(&server, token.clone(), &item).status, status);
        assert_eq!(send(&server, "GET", &path(), token).status, status);
    }
    assert_eq!(send(&server, "GET", "/api/v2/feeds/nothing/rejected", both_feeds()).status, 404);
    for unknown in ["rej_00000000000000000000000000000000", "rej_1", "x"] {
        let answer = send(&server, "POST", &format!("{}/{unknown}/retry", path()), engine());
        assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-resource"), "{unknown}");
    }
}

fn both_feeds() -> Token {
    Token::service("feed:metadata feed:identity")
}

#[test]
fn an_event_that_is_still_wrong_stays_with_its_new_problem_and_one_that_is_right_is_applied_and_gone() {
    let server = start_server();
    server.post_example();
    let revision = server.own_profile(USER).json()["revision"].as_u64().unwrap();
    reject_early(&server, USER, "early");
    wait_for(&server, 1);
    let item = items(&list(&server, engine(), "")).remove(0);
    let refused = retry(&server, engine(), &item);
    assert_eq!((refused.status, refused.problem().as_str()), (422, "time-in-future"), "{refused:?}");
    assert_eq!(items(&list(&server, engine(), "")), std::slice::from_ref(&item));

    // Two hours later, and after a kill, the time is right.
    let server = crate::test_server::start_at(server.terminate().1, "2026-01-21T14:00:00Z");
    let applied = retry(&server, operator("operate"), &item);
    assert_eq!((applied.status, &applied.json()["applied"]), (200, &json!(1)), "{applied:?}");
    let profile = server.own_profile(USER).json();
    assert_eq!(profile["demographics"]["residency_years"], 9);
    assert!(profile["revision"].as_u64().unwrap() > revision);
    assert_eq!(items(&list(&server, engine(), "")), Vec::<Value>::new());
    assert_eq!(retry(&server, engine(), &item).status, 404);
    let retries: Vec<_> = entries(&server)
        .into_iter()
        .filter(|entry| entry["action"] == "feed.rejected.retry")
        .map(|entry| (entry["actor"].clone(), entry["decision"].clone(), entry["subject"].is_string()))
        .collect();
    let entry = |actor: &str, decision: &str| (json!(actor), json!(decision), true);
    assert_eq!(retries, [entry("adm:root", "allowed"), entry("svc:test", "failed"), entry("svc:test", "allowed")]);
    // It is gone for good.
    let server = start_on(server.kill());
    assert_eq!(items(&list(&server, engine(), "")), Vec::<Value>::new());
}

#[test]
fn a_letter_without_its_event_cannot_be_retried() {
    let server = start_server();
    let mut event = residency(OTHER, "red", "2026-01-21T11:00:00Z", 9);
    event["id"] = json!("2341 2341 2346");
    let answer = server.post("metadata", event.to_string());
    assert_eq!(answer.problem(), "class-red", "{answer:?}");
    wait_for(&server, 1);
    let item = items(&list(&server, engine(), "")).remove(0);
    assert_eq!((&item["can_retry"], item.get("bytes")), (&json!(false), None), "{item}");
    let refused = retry(&server, engine(), &item);
    assert_eq!((refused.status, refused.problem().as_str()), (409, "not-retryable"));
}

#[test]
fn of_many_retries_at_once_one_wins_and_the_event_counts_once() {
    let server = start_server();
    reject_early(&server, OTHER, "early");
    wait_for(&server, 1);
    let item = items(&list(&server, engine(), "")).remove(0);
    let server = crate::test_server::start_at(server.terminate().1, "2026-01-21T14:00:00Z");
    let statuses: Vec<(u16, Value)> = thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| retry(&server, engine(), &item))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).map(|answer| (answer.status, answer.json())).collect()
    });
    let applied = statuses.iter().filter(|(status, answer)| *status == 200 && answer["applied"] == 1).count();
    assert_eq!(applied, 1, "{statuses:?}");
    assert!(statuses.iter().all(|(status, _)| matches!(status, 200 | 404 | 409)), "{statuses:?}");
    let accepted = statuses.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(accepted, 1, "{statuses:?}");
    assert_eq!(server.own_profile(OTHER).json()["revision"], 1);
}
