//! The ends of connections, and the answers to requests that reach no handler.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::http::{Request, Response, connect, read_head, read_response};
use crate::test_server::{TestServer, USER, eventually, feed_path, profile_path, start_server, start_server_with};
use crate::token::Token;
use crate::unread::nothing_is_held;

/// Sends `request` and returns everything that the server sends, up to the end of the connection.
fn all_of(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    rest_of(&mut stream)
}

fn rest_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut sent = Vec::new();
    stream.read_to_end(&mut sent).unwrap();
    sent
}

/// Parses the only answer in `sent`.
#[track_caller]
fn only(sent: &[u8]) -> Response {
    let mut rest = sent;
    let answer = read_response(&mut rest, true);
    assert!(rest.is_empty(), "more than one answer: {}", String::from_utf8_lossy(sent));
    answer
}

/// Checks the headers of an answer that no handler made, and returns status and problem.
#[track_caller]
pub(crate) fn refusal(answer: &Response) -> (u16, String) {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    assert_eq!(answer.header("connection"), "close");
    assert!(answer.header("date").ends_with(" GMT"), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status);
    assert_eq!(problem["request_id"], answer.header("x-request-id"));
    assert!(!answer.header("x-request-id").is_empty() && problem["detail"].is_string(), "{problem}");
    (answer.status, problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned())
}

fn head(method: &'static str, path: impl Into<String>) -> Request {
    Request::new(method, path).header("transfer-encoding", "chunked")
}

#[test]
fn a_body_that_never_ends_holds_no_connection() {
    let server = start_server_with("[http]\nclient_body_timeout_s = 1\n");
    server.post_example();
    let [own, feeder] = [Token::citizen(USER), Token::service("feed:metadata")].map(|token| server.sign(token));
    let feed = || head("POST", feed_path("metadata")).bearer(&feeder);
    let consent = format!("{}/consent", profile_path(USER));
    let cases = [
        (200, head("GET", "/health/live")),
        (404, head("POST", "/nope")),
        (401, head("POST", feed_path("metadata"))),
        (415, feed()),
        (200, head("GET", profile_path(USER)).bearer(&own)),
        (304, head("GET", profile_path(USER)).bearer(&own).header("if-none-match", "*")),
        (204, head("OPTIONS", profile_path(USER))),
        (405, head("PUT", profile_path(USER))),
        (401, head("PUT", consent.as_str())),
        (408, head("PUT", consent.as_str()).bearer(&own).header("content-type", "application/json")),
        (408, feed().header("content-type", "application/cloudevents+json")),
        (408, feed().header("content-type", "application/cloudevents-batch+json")),
        (200, feed().header("content-type", "application/x-ndjson")),
        (426, head("GET", "/api/v2/live").bearer(&own)),
    ];
    // The same for bodies that are announced by `content-length`.
    let sized = [
        (200, Request::new("GET", "/health/live").header("content-length", "100")),
        (404, Request::new("POST", "/nope").header("content-length", "100")),
    ];
    let streams: Vec<_> = thread::scope(|scope| {
        let address = server.listen;
        let cases = cases.into_iter().chain(sized);
        let clients: Vec<_> =
            cases.map(|(status, request)| scope.spawn(move || begin_body(address, &request, status))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    // The clients have not closed their sockets.
    nothing_is_held(&server);
    drop(streams);
}

/// Sends a request and the beginning of its body. Checks that the response has `status` and that the server then closes
/// the connection, whose other half is returned.
#[track_caller]
fn begin_body(address: SocketAddr, request: &Request, status: u16) -> TcpStream {
    let head = request.head();
    let mut stream = connect(address);
    stream.write_all(head.as_bytes()).unwrap();
    // The beginning of an array, so that no form is refused before the rest is awaited.
    stream.write_all(b"5\r\n[    \r\n").unwrap();
    // Reads the whole answer up to the end of the connection.
    let sent = rest_of(&mut stream);
    let answer = read_response(&mut sent.as_slice(), true);
    assert_eq!(answer.status, status, "{head}");
    assert!(answer.header("connection").contains("close"), "{head}{answer:?}");
    if answer.headers.get("content-type").is_some_and(|of| of == "application/x-ndjson") {
        assert_eq!(answer.lines().last().unwrap()["problem"]["status"], 408, "{}", answer.text());
    }
    stream
}

#[test]
fn a_body_that_was_read_to_its_end_keeps_the_connection() {
    let server = start_server();
    let mut stream = connect(server.listen);
    let token = server.sign(Token::service("feed:metadata"));
    for number in 0..3 {
        let event = crate::test_server::residency(
            USER,
            &format!("e-{number}"),
            &format!("2026-01-0{}T00:00:00Z", number + 1),
            number,
        );
        let event = event.to_string();
        let head =
            head("POST", feed_path("metadata")).bearer(&token).header("content-type", "application/cloudevents+json");
        write!(stream, "{}{:x}\r\n{event}\r\n0\r\n\r\n", head.head(), event.len()).unwrap();
        let answer = read_response(&mut BufReader::new(&stream), true);
        assert_eq!((answer.status, answer.headers.get("connection")), (200, None), "{answer:?}");
    }
}

#[test]
fn a_client_that_is_refused_while_it_sends_reads_the_answer() {
    let server = start_server();
    let head = Request::new("POST", "/nope").header("content-length", (8 << 20).to_string()).head();
    let mut stream = connect(server.listen);
    stream.write_all(head.as_bytes()).unwrap();
    // Sends the whole request before it reads.
    stream.write_all(&vec![b'x'; 8 << 20]).unwrap();
    assert_eq!(only(&rest_of(&mut stream)).problem(), "unknown-resource");
}

#[test]
fn a_broken_body_is_answered_once() {
    let server = start_server();
    let token = server.sign(Token::service("feed:metadata"));
    let head =
        head("POST", feed_path("metadata")).bearer(&token).header("content-type", "application/cloudevents+json");
    let answer = only(&all_of(server.listen, format!("{}5\r\nhello\r\nnonsense\r\n", head.head()).as_bytes()));
    assert_eq!((answer.status, answer.problem().as_str()), (400, "malformed-body"));
    // The answer is complete before the fault is noticed, also for a cached view. If a handler still waits then, it is
    // cancelled and the connection is closed.
    server.post_example();
    let own = server.sign(Token::citizen(USER));
    assert_eq!(server.own_profile(USER).status, 200);
    let get = || self::head("GET", profile_path(USER)).bearer(&own);
    let cases = [
        (204, self::head("OPTIONS", profile_path(USER))),
        (204, self::head("OPTIONS", "*")),
        (304, get().header("if-none-match", "*")),
        (200, get()),
        (200, self::head("GET", "/health/live")),
        (404, self::head("POST", "/nope")),
    ];
    for (status, request) in cases {
        for body in ["nonsense\r\n", "5\r\nhello\r\nnonsense\r\n"] {
            let sent = all_of(server.listen, format!("{}{body}", request.head()).as_bytes());
            assert!(!sent.is_empty(), "no answer: {}{body}", request.head());
            assert_eq!(only(&sent).status, status, "{}", request.head());
        }
    }
}

const SHORT_HEADER_TIMEOUT: &str = "[http]\nclient_header_timeout_s = 1\n";
/// The beginning of a request whose head does not end.
const BEGUN: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ";

#[test]
fn an_unfinished_head_ends_the_connection_the_first_and_any_later() {
    let server = start_server_with(SHORT_HEADER_TIMEOUT);
    assert_eq!(refusal(&only(&all_of(server.listen, BEGUN))), (408, "request-timeout".to_owned()));

    let whole = Request::new("GET", "/health/live").head();
    let mut stream = connect(server.listen);
    for _ in 0..3 {
        stream.write_all(whole.as_bytes()).unwrap();
        assert_eq!(read_response(&mut BufReader::new(&stream), true).status, 200);
    }
    // Byte by byte with pauses, so that the connection is never idle.
    let mut slow = stream.try_clone().unwrap();
    let dripping = thread::spawn(move || {
        for byte in BEGUN.iter().chain(std::iter::repeat(&b'x')) {
            if slow.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    assert_eq!(refusal(&only(&rest_of(&mut stream))), (408, "request-timeout".to_owned()));
    stream.shutdown(Shutdown::Both).unwrap();
    dripping.join().unwrap();
    nothing_is_held(&server);
}

#[test]
fn blank_lines_are_not_a_request() {
    let server = start_server_with(SHORT_HEADER_TIMEOUT);
    let whole = Request::new("GET", "/health/live").head();
    thread::scope(|scope| {
        // A client that sends nothing receives nothing.
        for nothing in [&b""[..], b"\r\n\r\n"] {
            let address = server.listen;
            scope.spawn(move || assert!(all_of(address, nothing).is_empty()));
        }
    });
    let mut stream = connect(server.listen);
    for _ in 0..2 {
        stream.write_all(whole.as_bytes()).unwrap();
        assert_eq!(read_response(&mut BufReader::new(&stream), true).status, 200);
        stream.write_all(b"\r\n").unwrap();
        // An unfinished head times out meanwhile.
        assert_eq!(only(&all_of(server.listen, BEGUN)).status, 408);
    }
    drop(stream);
    nothing_is_held(&server);
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let server = start_server_with("[http]\nkeep_alive_s = 1\nclient_header_timeout_s = 1\n");
    server.post_example();
    let mut stream = connect(server.listen);
    stream.write_all(Request::new("GET", "/health/live").head().as_bytes()).unwrap();
    assert_eq!(only(&rest_of(&mut stream)).status, 200);

    let own = server.sign(Token::citizen(USER));
    let mut stream = connect(server.listen);
    let events = Request::new("GET", format!("{}/events", profile_path(USER))).bearer(&own);
    stream.write_all(events.head().as_bytes()).unwrap();
    // Two idle connections, one after the other, time out meanwhile.
    for _ in 0..2 {
        let mut idle = connect(server.listen);
        idle.write_all(Request::new("GET", "/health/live").head().as_bytes()).unwrap();
        assert_eq!(only(&rest_of(&mut idle)).status, 200);
    }
    let token = server.sign(Token::service("feed:metadata"));
    let event = crate::test_server::residency(USER, "e", "2026-01-20T00:00:00Z", 33).to_string();
    let post = Request::new("POST", feed_path("metadata")).bearer(&token).body("application/cloudevents+json", event);
    assert_eq!(post.send(server.listen).status, 200);
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    assert!(lines.into_iter().any(|line| line == "event: patch"), "it goes on");
}

#[test]
fn requests_that_cannot_be_parsed_are_answered_with_a_problem() {
    let server = start_server();
    let long = |length: usize| format!("GET /health/live?{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(length));
    let headers = |count: usize, length: usize| {
        let lines = (0..count).map(|n| format!("X-{n}: {}\r\n", "a".repeat(length)));
        format!("GET /health/live HTTP/1.1\r\nHost: x\r\n{}\r\n", lines.collect::<String>())
    };
    let get = "GET /health/live HTTP/1.1\r\n";
    let cases = [
        ("nonsense\r\n\r\n".to_owned(), 400, "malformed-request"),
        (format!("{get}\r\n"), 400, "malformed-request"),
        (format!("{get}Host: x\r\nHost: y\r\n\r\n"), 400, "malformed-request"),
        (format!("{get}Host: x\r\nContent-Length: -1\r\n\r\n"), 400, "malformed-request"),
        (format!("{get}Host: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, "malformed-request"),
        (format!("{get}Host: x\r\nTransfer-Encoding: gzip\r\n\r\n"), 400, "malformed-request"),
        ("POST / HTTP/1.0\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("GET / HTTP/3.0\r\nHost: x\r\n\r\n".to_owned(), 400, "malformed-request"),
        (long(20_000), 414, "uri-too-long"),
        (long(70_000), 414, "uri-too-long"),
        (long(400_000), 414, "uri-too-long"),
        (format!("\r\n{}", long(20_000)), 414, "uri-too-long"),
        (headers(100, 1), 431, "headers-too-large"),
        (headers(20, 10_000), 431, "headers-too-large"),
    ];
    for (request, status, problem) in cases {
        let sent = all_of(server.listen, request.as_bytes());
        assert_eq!(refusal(&only(&sent)), (status, problem.to_owned()), "{}", &request[..request.len().min(80)]);
    }
    assert_eq!(only_close(&server, &long(10_000)).status, 200, "long, and not too long");
    // After a valid request.
    let sent = all_of(server.listen, format!("{get}Host: x\r\n\r\n{get}\r\n").as_bytes());
    let mut rest = sent.as_slice();
    assert_eq!(read_response(&mut rest, true).status, 200);
    assert_eq!(refusal(&only(rest)), (400, "malformed-request".to_owned()));
    assert!(server.metric("profile_http_requests_total{route=\"unknown\",method=\"other\",status=\"414\"}") >= 3.0);
    nothing_is_held(&server);
    assert!(!server.log().contains("ERROR"), "what clients do wrong is no error of the server: {}", server.log());
}

/// Sends a request, closes the sending half, and returns the answer.
fn only_close(server: &TestServer, request: &str) -> Response {
    let mut stream = connect(server.listen);
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    only(&rest_of(&mut stream))
}

#[test]
fn every_target_and_host_has_its_answer() {
    let server = start_server();
    let answer = only_close(&server, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!((answer.status, answer.header("allow")), (204, "GET, HEAD, POST, PUT, DELETE, OPTIONS"));
    assert!(!answer.header("x-request-id").is_empty());
    for (line, status, problem) in [
        ("CONNECT a:80", 405, "method-not-allowed"),
        ("GET *", 404, "unknown-resource"),
        ("GET http://x/nope", 404, "unknown-resource"),
    ] {
        let answer = only_close(&server, &format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!((answer.status, answer.problem().as_str()), (status, problem), "{line}");
    }
    for (host, status) in [("a b/c", 400), ("user@host", 400), ("x:8080", 200), ("[::1]:80", 200), ("", 200)] {
        let answer = only_close(&server, &format!("GET /health/live HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.status, status, "`{host}`");
        if status == 400 {
            assert_eq!(answer.problem(), "malformed-request");
        }
    }
}

#[test]
fn streams_for_clients_of_http_1_0_have_no_chunks() {
    let server = start_server();
    server.post_example();
    let events = format!("GET {}/events HTTP/1.0\r\n", profile_path(USER));
    let token = server.sign(Token::citizen(USER));
    let mut stream = connect(server.listen);
    write!(stream, "{events}Host: x\r\nConnection: keep-alive\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader);
    assert_eq!((head.status, head.headers.get("transfer-encoding"), head.headers.get("connection")), (200, None, None));
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "event: profile\n");

    let token = server.sign(Token::service("feed:metadata"));
    let event = crate::test_server::residency(USER, "e", "2026-01-20T00:00:00Z", 34);
    let request = format!(
        "POST {} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/x-ndjson\r\n\
         Content-Length: {}\r\n\r\n{event}\n",
        feed_path("metadata"),
        event.to_string().len() + 1,
    );
    let sent = String::from_utf8(all_of(server.listen, request.as_bytes())).unwrap();
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("transfer-encoding") && head.starts_with("HTTP/1.0 200"), "{head}");
    let total: serde_json::Value = serde_json::from_str(body.lines().last().unwrap()).unwrap();
    assert_eq!((&total["total"], &total["applied"]), (&json!(1), &json!(1)), "{body}");
}

#[test]
fn a_websocket_is_not_opened_over_http_1_0() {
    let server = start_server();
    let token = server.sign(Token::citizen(USER));
    let request = format!(
        "GET /api/v2/live HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let answer = only(&all_of(server.listen, request.as_bytes()));
    assert_eq!((answer.status, answer.problem().as_str()), (426, "upgrade-required"));
}

/// Opens a stream, and returns its status and connection.
fn open(address: SocketAddr, request: &Request) -> (u16, TcpStream) {
    let mut stream = connect(address);
    stream.write_all(request.head().as_bytes()).unwrap();
    let status = read_head(&mut BufReader::new(&stream)).status;
    (status, stream)
}

/// Sends a request and closes the sending half at once.
fn ask_and_leave(address: SocketAddr, request: &Request) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(request.head().as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream
}

#[test]
fn a_stream_whose_client_is_gone_gives_its_place_back() {
    // Without heartbeats no failed write reveals the end of a connection.
    let settings = "[live]\nheartbeat_s = 3_600\nmax_sockets_per_caller = 3\n[events]\nheartbeat_s = 3_600\nmax_followers_per_caller = 3\n";
    let server = start_server_with(settings);
    server.post_example();
    let own = server.sign(Token::citizen(USER));
    let own = Request::new("GET", format!("{}/events", profile_path(USER))).bearer(&own);
    let all = crate::follower::request(&server, Token::service("profile:read events:read"), "");
    for request in [own, all] {
        let streams: Vec<_> = (0..3).map(|_| open(server.listen, &request)).collect();
        assert!(streams.iter().all(|(status, _)| *status == 200));
        assert_eq!(open(server.listen, &request).0, 429);
        let mut streams = streams.into_iter().map(|(_, stream)| stream);
        // One closes, one closes its half only, one is reset.
        drop(streams.next());
        let half = streams.next().unwrap();
        half.shutdown(Shutdown::Write).unwrap();
        let reset = streams.next().unwrap();
        rustix::net::sockopt::set_socket_linger(&reset, Some(Duration::ZERO)).unwrap();
        drop(reset);
        eventually("all places are free", || {
            let again: Vec<_> = (0..3).map(|_| open(server.listen, &request)).collect();
            again.iter().all(|(status, _)| *status == 200)
        });
        // Some close their half before the stream begins.
        let left: Vec<_> = (0..3).map(|_| ask_and_leave(server.listen, &request)).collect();
        eventually("all places are free again", || {
            let again: Vec<_> = (0..3).map(|_| open(server.listen, &request)).collect();
            again.iter().all(|(status, _)| *status == 200)
        });
        drop(left);
    }
    nothing_is_held(&server);
}

#[test]
fn a_stream_of_events_takes_no_more_requests_than_it_must() {
    let server = start_server();
    server.post_example();
    let own = server.sign(Token::citizen(USER));
    let request = Request::new("GET", format!("{}/events", profile_path(USER))).bearer(&own);
    let (status, mut stream) = open(server.listen, &request);
    assert_eq!(status, 200);
    let more = Request::new("GET", "/health/live").head().repeat(4_000);
    let _ = stream.write_all(more.as_bytes());
    let _ = stream.read_to_end(&mut Vec::new());
    nothing_is_held(&server);
}

#[actix_web::test]
async fn a_socket_that_its_client_closes_is_closed_at_once_with_its_code() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;

    let server = start_server();
    let mut shortest = Duration::MAX;
    for (sent, answered) in [(1_000, 1_000), (4_000, 4_000), (4_999, 4_999), (3_000, 3_000), (1_001, 1_000)] {
        let mut client = crate::live_client::LiveClient::open(&server, Token::citizen(USER)).await;
        let started = Instant::now();
        let close = CloseFrame { code: sent.into(), reason: "".into() };
        client.socket.send(Message::Close(Some(close))).await.unwrap();
        assert_eq!(client.receive().await, Err(answered), "{sent}");
        // Ends when the server has closed its half.
        assert!(client.socket.next().await.is_none());
        shortest = shortest.min(started.elapsed());
    }
    // A close that waits for a time-out always takes half a second or more. The shortest of five is compared, so that a
    // busy machine does not fail the test.
    assert!(shortest < Duration::from_millis(300), "{shortest:?}");
}
