//! One-time tickets for live sockets, and the allowed origins.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

use crate::http::{Request, Response, connect, read_response};
use crate::test_server::{TestServer, USER, start_server_with};
use crate::token::{Token, now};

const PAGE: &str = "https://pages.example";
const ELSEWHERE: &str = "https://elsewhere.example";
const ORIGINS: &str = "[http]\ncors_origins = [\"https://pages.example\"]\n";

fn server_with(settings: &str) -> TestServer {
    let server = start_server_with(&format!("{ORIGINS}{settings}"));
    server.post_example();
    server
}

/// Requests a ticket as a page of `origin` does.
fn request_ticket(server: &TestServer, token: Token, origin: Option<&str>) -> Response {
    let request = Request::new("POST", "/api/v2/live/ticket").bearer(&server.sign(token));
    server.send(origin.into_iter().fold(request, |request, origin| request.header("origin", origin)))
}

#[track_caller]
fn issue(server: &TestServer, token: Token, origin: Option<&str>) -> String {
    let answer = request_ticket(server, token, origin);
    assert_eq!((answer.status, answer.header("cache-control")), (201, "no-store"), "{answer:?}");
    answer.json()["ticket"].as_str().unwrap().to_owned()
}

/// Sends a handshake as text. The returned stream is a WebSocket if the status is 101.
fn handshake(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> (Response, TcpStream) {
    let request = Request::new("GET", path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, *value));
    let mut stream = connect(server.listen);
    stream.write_all(request.head().as_bytes()).unwrap();
    // The server sends nothing before the first message, so the reader's buffer is empty when it is dropped.
    let answer = read_response(&mut BufReader::new(&stream), true);
    (answer, stream)
}

/// Sends a handshake with a ticket, as a page of `origin` does.
fn open(server: &TestServer, ticket: &str, origin: Option<&str>) -> (Response, TcpStream) {
    let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
    handshake(server, &format!("/api/v2/live?ticket={ticket}"), &headers)
}

fn status(server: &TestServer, ticket: &str, origin: Option<&str>) -> u16 {
    open(server, ticket, origin).0.status
}

struct Socket(WebSocket<TcpStream>);

impl Socket {
    #[track_caller]
    fn new((answer, stream): (Response, TcpStream)) -> Self {
        assert_eq!(answer.status, 101, "{answer:?}");
        Self(WebSocket::from_raw_socket(stream, Role::Client, None))
    }

    fn subscribe(&mut self) -> Value {
        let subscribe = json!({"type": "subscribe", "id": "7", "users": [{"user_id": USER}]});
        self.0.send(Message::text(subscribe.to_string())).unwrap();
        serde_json::from_str(self.0.read().unwrap().to_text().unwrap()).unwrap()
    }
}

#[test]
fn a_ticket_opens_one_socket_as_its_caller() {
    let server = server_with("");
    let answer = request_ticket(&server, Token::citizen(USER), Some(PAGE));
    assert_eq!((answer.status, &answer.json()["expires_in_s"]), (201, &json!(30)), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    assert_eq!(ticket.len(), 43, "256 bits in base64url");
    let state = Socket::new(open(&server, &ticket, Some(PAGE))).subscribe();
    assert_eq!((&state["type"], &state["profile"]), (&json!("profile"), &server.own_profile(USER).json()));
    assert_eq!(status(&server, &ticket, Some(PAGE)), 401);
}

#[test]
fn a_ticket_is_valid_only_for_the_origin_that_requested_it() {
    let server = server_with("");
    let own = format!("http://{}", server.listen);
    let localhost = format!("http://localhost:{}", server.listen.port());
    for (requested, opened, expected) in [
        (None, None, 101),
        (Some(PAGE), Some(PAGE), 101),
        (Some(own.as_str()), Some(own.as_str()), 101),
        (Some(localhost.as_str()), Some(localhost.as_str()), 101),
        (Some(PAGE), Some(own.as_str()), 401),
        (Some(PAGE), None, 401),
        (None, Some(PAGE), 401),
        (Some(PAGE), Some(ELSEWHERE), 403),
    ] {
        let ticket = issue(&server, Token::citizen(USER), requested);
        assert_eq!(status(&server, &ticket, opened), expected, "requested by {requested:?}, opened by {opened:?}");
        assert_eq!(status(&server, &ticket, requested), 401, "spent by {opened:?}, whatever the outcome");
    }
}

#[test]
fn pages_of_other_origins_get_neither_tickets_nor_sockets() {
    let server = server_with("");
    let token = format!("Bearer {}", server.sign(Token::citizen(USER)));
    let own = format!("http://{}", server.listen);
    for (origins, expected) in [
        (&[][..], 101),
        (&[PAGE], 101),
        (&[own.as_str()], 101),
        (&[ELSEWHERE], 403),
        (&["null"], 403),
        (&[""], 403),
        (&["https://pages.example.evil.example"], 403),
        (&["http://pages.example"], 403),
        (&[PAGE, PAGE], 403),
    ] {
        let mut headers = vec![("authorization", token.as_str())];
        headers.extend(origins.iter().map(|origin| ("origin", *origin)));
        let (answer, _) = handshake(&server, "/api/v2/live", &headers);
        assert_eq!(answer.status, expected, "{origins:?}");
        if expected == 403 {
            assert_eq!(answer.problem(), "forbidden");
            let asked = request_ticket(&server, Token::citizen(USER), origins.first().copied());
            assert_eq!(asked.status, if origins.len() == 1 { 403 } else { 201 }, "{origins:?}");
        }
    }
}

#[test]
fn of_many_handshakes_with_one_ticket_at_once_one_succeeds() {
    let server = server_with("");
    for _ in 0..8 {
        let ticket = issue(&server, Token::citizen(USER), None);
        let start = Barrier::new(12);
        let admitted = thread::scope(|scope| {
            let race = || {
                start.wait();
                status(&server, &ticket, None)
            };
            let racers: Vec<_> = (0..12).map(|_| scope.spawn(race)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).filter(|status| *status == 101).count()
        });
        assert_eq!(admitted, 1);
    }
}

#[test]
fn the_answer_does_not_reveal_why_a_ticket_is_refused() {
    let server = server_with("[live]\nticket_life_s = 1");
    let spent = issue(&server, Token::citizen(USER), None);
    Socket::new(open(&server, &spent, None));
    let foreign = issue(&server, Token::citizen(USER), Some(PAGE));
    let expired = issue(&server, Token::citizen(USER), None);
    let unknown = "A".repeat(43);
    let refused_foreign = open(&server, &foreign, None).0;
    // A ticket can be tried only once, so its expiry cannot be polled.
    thread::sleep(Duration::from_millis(1_100));
    let others = [spent.as_str(), expired.as_str(), unknown.as_str(), "", "%00%ff"];
    let refusals = others.map(|ticket| open(&server, ticket, None).0);
    for refusal in refusals.iter().chain([&refused_foreign]) {
        assert_eq!((refusal.status, refusal.problem().as_str()), (401, "invalid-ticket"));
        assert_eq!(refusal.header("www-authenticate"), "Bearer");
        let [mut problem, mut expected] = [refusal, &refused_foreign].map(Response::json);
        problem["request_id"] = Value::Null;
        expected["request_id"] = Value::Null;
        assert_eq!(problem, expected);
    }
}

#[test]
fn a_ticket_and_its_socket_end_with_the_token() {
    let server = server_with("");
    // Accepted for about two more seconds, because the leeway is 60 seconds.
    let ending = Token::citizen(USER).with("iat", now() - 600).with("exp", now() - 58);
    let answer = request_ticket(&server, ending.clone(), None);
    assert!(answer.json()["expires_in_s"].as_u64() <= Some(3), "{answer:?}");
    let late = issue(&server, ending, None);
    let mut socket = Socket::new(open(&server, answer.json()["ticket"].as_str().unwrap(), None));
    assert_eq!(socket.subscribe()["type"], "profile");
    let Message::Close(Some(reason)) = socket.0.read().unwrap() else { panic!("no close") };
    assert_eq!(u16::from(reason.code), 4401);
    assert_eq!(status(&server, &late, None), 401);
}

#[test]
fn a_ticket_beside_a_token_is_refused_and_spent() {
    let server = server_with("");
    let ticket = issue(&server, Token::citizen(USER), None);
    let token = format!("Bearer {}", server.sign(Token::citizen(USER)));
    let path = format!("/api/v2/live?ticket={ticket}");
    let (answer, _) = handshake(&server, &path, &[("authorization", &token)]);
    assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid-parameter"));
    assert_eq!(status(&server, &ticket, None), 401);
    let plain = issue(&server, Token::citizen(USER), None);
    let answer = server.send(Request::new("GET", format!("/api/v2/live?ticket={plain}")));
    assert_eq!((answer.status, answer.problem().as_str()), (426, "upgrade-required"));
    assert_eq!(status(&server, &plain, None), 401, "a request that is not a handshake also redeems it");
}

#[test]
fn the_reason_of_an_administrator_goes_with_the_ticket() {
    let server = server_with("[log]\nlevel = \"debug\"");
    let admin = || Token::new("admin", "adm:root", "profile:read");
    let without = request_ticket(&server, admin(), None);
    assert_eq!((without.status, without.problem().as_str()), (400, "access-reason-missing"));
    let request = Request::new("POST", "/api/v2/live/ticket").bearer(&server.sign(admin()));
    let answer = server.send(request.header("x-access-reason", "complaint 42"));
    let ticket = answer.json()["ticket"].as_str().unwrap().to_owned();
    assert_eq!(Socket::new(open(&server, &ticket, None)).subscribe()["type"], "profile");
    let log = server.log();
    let entry = log.lines().find(|line| line.contains("administrative access")).expect("an entry");
    assert!(entry.contains("reason=\"complaint 42\"") && entry.contains("action=\"profile.subscribe\""), "{entry}");
}

#[test]
fn tickets_are_bounded() {
    let server = server_with("[live]\nmax_tickets_per_caller = 2\nmax_tickets = 3");
    let service = || Token::service("profile:read");
    let [first, second, third] = [(); 3].map(|()| issue(&server, service(), None));
    assert_eq!(status(&server, &first, None), 401, "the caller's oldest went first");
    issue(&server, Token::citizen(USER), None);
    let full = request_ticket(&server, Token::citizen("usr_SomebodyElse01"), None);
    assert_eq!((full.status, full.problem().as_str(), full.header("retry-after")), (429, "too-many-tickets", "1"));
    assert_eq!([second, third].map(|ticket| status(&server, &ticket, None)), [101, 101]);
    issue(&server, Token::citizen("usr_SomebodyElse01"), None);
}

#[test]
fn only_a_caller_gets_a_ticket() {
    let server = server_with("");
    let anonymous = server.send(Request::new("POST", "/api/v2/live/ticket"));
    assert_eq!((anonymous.status, anonymous.problem().as_str()), (401, "unauthenticated"));
    let read = server.get("/api/v2/live/ticket", Token::citizen(USER));
    assert_eq!((read.status, read.header("allow")), (405, "POST, OPTIONS"));
    let preflight = Request::new("OPTIONS", "/api/v2/live/ticket")
        .header("origin", PAGE)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, x-access-reason");
    let allowed = server.send(preflight);
    assert_eq!(allowed.header("access-control-allow-origin"), PAGE);
    assert!(allowed.header("access-control-allow-methods").contains("POST"));
    assert!(allowed.header("access-control-allow-headers").contains("authorization"));
}

#[test]
fn a_ticket_stands_in_no_log_and_no_metric() {
    let server = server_with("[log]\nlevel = \"trace\"");
    let ticket = issue(&server, Token::citizen(USER), None);
    assert_eq!(Socket::new(open(&server, &ticket, None)).subscribe()["type"], "profile");
    let refused = open(&server, &ticket, None).0;
    assert!(!refused.text().contains(&ticket), "{refused:?}");
    let metrics = Request::new("GET", "/metrics").send(server.admin_listen);
    assert!(metrics.text().contains("live_ticket") && !metrics.text().contains(&ticket));
    let log = server.log();
    assert!(log.contains("live_ticket") && !log.contains(&ticket), "{log}");
}
