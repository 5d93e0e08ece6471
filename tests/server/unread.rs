//! Clients that do not read: the server disconnects them and frees everything that it held for them.

use std::fs;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, sockopt};
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, client::client_with_config};

use crate::http::{BodyReader, PATIENCE, Request, read_head, read_response};
use crate::test_server::{
    TestServer, USER, eventually, feed_path, print_figure, profile_path, start_server, start_server_with,
};
use crate::token::Token;
use crate::transport::refusal;

const SOON: &str = "[http]\nunread_timeout_s = 1\n";

/// Opens a connection with a receive buffer of a few KiB.
pub(crate) fn narrow(address: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 4_096).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Returns the number of connections on the public listener and of unlinked files in which answers wait.
pub(crate) fn held(server: &TestServer) -> usize {
    const LISTENS: &str = "0A";
    let port = format!(":{:04X}", server.listen.port());
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let sockets = sockets.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    // Fields: local address, remote address, state, ..., inode, which is 0 once no process holds the socket.
    let held = sockets.filter(|socket| socket[1].ends_with(&port) && socket[3] != LISTENS && socket[9] != "0").count();
    held + server.unlinked_files()
}

/// Returns the unacknowledged bytes of each connection on the public listener, where there are any.
fn untaken(server: &TestServer) -> Vec<u64> {
    let port = format!(":{:04X}", server.listen.port());
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    let sockets = sockets.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let sockets = sockets.filter(|socket| socket[1].ends_with(&port));
    let queued = sockets.map(|socket| u64::from_str_radix(socket[4].split(':').next().unwrap(), 16).unwrap());
    let mut queued: Vec<u64> = queued.filter(|bytes| *bytes > 0).collect();
    queued.sort_unstable();
    queued
}

/// Waits until `clients` connections no longer read and the server is at rest.
#[track_caller]
pub(crate) fn clients_wait(server: &TestServer, clients: usize) {
    eventually("the server waits for its clients", || {
        let queued = untaken(server);
        queued.len() == clients && server.is_at_rest() && untaken(server) == queued
    });
}

/// Sends requests without reading the responses, until the server closes the connection.
#[track_caller]
fn unread_responses(server: &TestServer) {
    let request = Request::new("GET", profile_path(USER)).bearer(&server.sign(Token::citizen(USER))).head();
    let mut stream = narrow(server.listen);
    let error = loop {
        if let Err(error) = stream.write_all(request.as_bytes()) {
            break error;
        }
    };
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
}

/// Waits until the server holds no connection and no file.
#[track_caller]
pub(crate) fn nothing_is_held(server: &TestServer) {
    eventually("everything is closed", || held(server) == 0);
}

/// Returns events whose patches are long.
fn long_changes(numbers: Range<u32>) -> String {
    let tags: Vec<String> = (0..64).map(|n| format!("{n:x>100}")).collect();
    let event = |n: u32| {
        let time = format!("2026-01-21T{:02}:{:02}:{:02}Z", n / 3_600, n / 60 % 60, n % 60);
        let tags: Vec<_> = tags.iter().map(|tag| format!("{n}{tag}")).collect();
        json!({
            "specversion": "1.0", "id": format!("t-{n}"), "source": "analytics", "type": "analytics.cohort.computed",
            "subject": USER, "time": time, "data": {"cohort_tags": tags},
        })
    };
    numbers.map(|n| format!("{}\n", event(n))).collect()
}

#[test]
fn a_live_client_that_sends_and_never_reads_is_disconnected() {
    let server = start_server_with(SOON);
    server.post_example();
    // Posts a load of the same size first, so that memory for the load itself is not counted.
    server.post_as("analytics", "application/x-ndjson", long_changes(0..1_000));
    let mut request = format!("ws://{}/api/v2/live", server.listen).into_client_request().unwrap();
    let token = format!("Bearer {}", server.sign(Token::citizen(USER)));
    request.headers_mut().insert("authorization", token.parse().unwrap());
    let config = WebSocketConfig::default().read_buffer_size(1_024);
    let (mut socket, _) = client_with_config(request, narrow(server.listen), Some(config)).unwrap();
    socket.send(Message::text(json!({"type": "subscribe", "users": [{"user_id": USER}]}).to_string())).unwrap();
    assert!(socket.read().unwrap().to_text().unwrap().starts_with(r#"{"type":"profile""#));
    assert_eq!(server.metric("profile_live_connections"), 1.0);
    let memory = server.resident_bytes();

    // The client keeps sending, so the idle limit does not end the connection.
    let pings = thread::spawn(move || {
        while socket.send(Message::Pong("still here".into())).is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
        socket
    });
    let total = server.post_as("analytics", "application/x-ndjson", long_changes(1_000..2_000)).lines().pop().unwrap();
    assert_eq!(total["applied"], 1_000, "the client delays no feed: {total}");
    eventually("its socket is gone", || server.metric("profile_live_connections") == 0.0);
    assert_eq!(server.metric("profile_live_closed_total{reason=\"stuck\"}"), 1.0);
    nothing_is_held(&server);
    // The client's queue is bounded: 256 frames of about 8 KiB. The system's buffers are not counted.
    print_figure("bytes held after a client that did not read", server.resident_bytes().saturating_sub(memory));
    pings.join().unwrap();
}

#[test]
fn a_live_client_that_leaves_is_not_called_stuck() {
    let server = start_server_with(SOON);
    server.post_example();
    let mut request = format!("ws://{}/api/v2/live", server.listen).into_client_request().unwrap();
    let token = format!("Bearer {}", server.sign(Token::citizen(USER)));
    request.headers_mut().insert("authorization", token.parse().unwrap());
    let (mut socket, _) = client_with_config(request, narrow(server.listen), None).unwrap();
    socket.send(Message::text(json!({"type": "ping"}).to_string())).unwrap();
    assert!(socket.read().unwrap().is_text());
    // Meanwhile the limit ends another client. It does not apply to an idle one.
    unread_responses(&server);
    assert_eq!(server.metric("profile_live_connections"), 1.0);
    drop(socket);
    eventually("its socket is gone", || server.metric("profile_live_connections") == 0.0);
    assert_eq!(server.metric("profile_live_closed_total{reason=\"client\"}"), 1.0);
}

#[test]
fn a_client_of_a_stream_of_events_that_never_reads_is_disconnected() {
    let server = start_server_with(SOON);
    server.post_example();
    let token = server.sign(Token::citizen(USER));
    let own = Request::new("GET", format!("{}/events", profile_path(USER))).bearer(&token);
    let all = crate::follower::request(&server, Token::service("profile:read events:read"), "");
    let streams = [own, all].map(|request| {
        let mut stream = narrow(server.listen);
        stream.write_all(request.head().as_bytes()).unwrap();
        assert_eq!(read_head(&mut BufReader::new(&stream)).status, 200);
        stream
    });
    assert_eq!(held(&server), 2);
    server.post_as("analytics", "application/x-ndjson", long_changes(0..1_000));
    nothing_is_held(&server);
    assert_eq!(server.metric("profile_live_connections"), 0.0);
    drop(streams);
}

#[test]
fn a_client_that_reads_no_responses_is_disconnected() {
    let server = start_server_with(SOON);
    server.post_example();
    let started = Instant::now();
    unread_responses(&server);
    print_figure("an unread response was given up after", started.elapsed());
    nothing_is_held(&server);
}

#[test]
fn requests_that_are_sent_ahead_wait_and_are_all_answered() {
    const REQUESTS: usize = 20_000;
    let server = start_server();
    let mut stream = narrow(server.listen);
    stream.set_write_timeout(None).unwrap();
    let mut sender = stream.try_clone().unwrap();
    let ahead = Request::new("GET", "/health/live").head().repeat(REQUESTS);
    // The last request is refused, after all answers.
    let last = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    let sending = thread::spawn(move || sender.write_all((ahead + &last).as_bytes()).unwrap());
    clients_wait(&server, 1);
    let mut reader = BufReader::new(&mut stream);
    for number in 0..REQUESTS {
        assert_eq!(read_response(&mut reader, true).status, 200, "{number}");
    }
    assert_eq!(refusal(&read_response(&mut reader, true)), (414, "uri-too-long".to_owned()));
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    sending.join().unwrap();
}

#[test]
fn requests_with_bodies_that_are_sent_ahead_wait() {
    let server = start_server();
    let request = Request::new("GET", "/health/live").body("text/plain", "a");
    let ahead = Arc::new(format!("{}a", request.head()).repeat(20_000));
    // A request is answered with `Connection: close` if its body has not come by then, as when the server reads up to the end of a
    // head. Then another connection is tried.
    let waits = (0..50).any(|_| {
        let stream = narrow(server.listen);
        let (mut sender, ahead) = (stream.try_clone().unwrap(), Arc::clone(&ahead));
        let sending = thread::spawn(move || sender.write_all(ahead.as_bytes()));
        eventually("the server waits for its client, or closes the connection", || {
            let seen = (untaken(&server), held(&server));
            seen.0.len() == seen.1 && server.is_at_rest() && (untaken(&server), held(&server)) == seen
        });
        let waits = held(&server) == 1;
        stream.shutdown(Shutdown::Both).unwrap_or_default();
        let _ = sending.join().unwrap();
        waits
    });
    assert!(waits, "the server closes every connection");
}

#[test]
fn the_system_buffers_little_for_a_client_that_does_not_read_a_stream() {
    let server = start_server();
    server.post_example();
    let token = server.sign(Token::citizen(USER));
    let own = Request::new("GET", format!("{}/events", profile_path(USER))).bearer(&token);
    let all = crate::follower::request(&server, Token::service("profile:read events:read"), "");
    let streams = [own, all].map(|request| {
        let mut stream = narrow(server.listen);
        stream.write_all(request.head().as_bytes()).unwrap();
        assert_eq!(read_head(&mut BufReader::new(&stream)).status, 200);
        stream
    });
    server.post_as("analytics", "application/x-ndjson", long_changes(0..1_000));
    clients_wait(&server, 2);
    assert!(untaken(&server).iter().all(|bytes| *bytes < 640 * 1_024), "{:?}", untaken(&server));
    drop(streams);
}

/// Begins a stream whose lines are all rejected; the answer is many times as long.
fn begin_stream(server: &TestServer) -> TcpStream {
    let mut stream = open_stream(server, "metadata");
    send_chunk(&mut stream, &"x\n".repeat(50_000));
    stream
}

fn open_stream(server: &TestServer, source: &str) -> TcpStream {
    let token = server.sign(Token::service(&format!("feed:{source}")));
    let head = Request::new("POST", feed_path(source))
        .bearer(&token)
        .header("content-type", "application/x-ndjson")
        .header("transfer-encoding", "chunked")
        .head();
    let mut stream = narrow(server.listen);
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn send_chunk(stream: &mut TcpStream, text: &str) {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).unwrap();
}

#[test]
fn a_client_that_sends_all_of_its_stream_before_it_reads_is_not_cut_off() {
    let server = start_server_with(SOON);
    server.post_example();
    let mut stream = begin_stream(&server);
    // Meanwhile the limit ends another client, while this one still sends.
    thread::scope(|scope| {
        let other = scope.spawn(|| unread_responses(&server));
        while !other.is_finished() {
            thread::sleep(Duration::from_millis(100));
            send_chunk(&mut stream, "x\n");
        }
    });
    stream.write_all(b"0\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    assert_eq!(read_head(&mut reader).status, 200);
    let mut answer = String::new();
    BodyReader::chunked(reader).read_to_string(&mut answer).unwrap();
    let total: serde_json::Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
    assert!(total["rejected"].as_u64() > Some(50_000), "{total}");
}

#[test]
fn the_answer_of_a_stream_that_was_sent_is_to_be_read() {
    let server = start_server_with(SOON);
    let mut stream = begin_stream(&server);
    stream.write_all(b"0\r\n\r\n").unwrap();
    eventually("its answer waits in a file", || held(&server) == 2);
    nothing_is_held(&server);
    drop(stream);
}

#[test]
fn a_stream_without_a_file_stops_between_two_lines_and_goes_on_when_another_gives_one_back() {
    const FILES: usize = 32;
    const LINES: u64 = 65_536;
    // Memory for the reservation of every stream and for some results; the other results go to files. Dead letters are
    // off, because writing them takes longer than the test.
    let server = start_server_with(
        "[dead_letters]\nmax_bytes_per_source = 0\n[http]\nin_flight_bytes = 10_000_000\nmax_body_bytes = 1_000_000\nmax_event_bytes = 100_000\n\
         client_body_timeout_s = 600\nunread_timeout_s = 600\n",
    );
    let open = |source| {
        let stream = open_stream(&server, source);
        assert_eq!(read_head(&mut BufReader::new(&stream)).status, 200);
        stream
    };
    let mut others: Vec<_> = (0..FILES).map(|_| open("metadata")).collect();
    let mut last = open("analytics");
    // More results than the buffers of the sockets can hold.
    let lines = "x\n".repeat(20_000);
    others.iter_mut().for_each(|other| send_chunk(other, &lines));
    eventually("every file is taken", || server.unlinked_files() == FILES);

    let rejected = || server.metric("profile_feed_events_total{source=\"analytics\",status=\"rejected\"}") as u64;
    let sending = thread::spawn(move || {
        send_chunk(&mut last, &"x\n".repeat(LINES as usize));
        last.write_all(b"0\r\n\r\n").unwrap();
        last
    });
    eventually("some lines are taken", || rejected() > 0);
    server.wait_until_at_rest();
    let taken = rejected();
    assert!(taken < LINES / 2, "{taken} results of one piece wait in memory");
    drop(others);
    eventually("all lines are taken before anything is read", || rejected() == LINES);
    let mut answer = String::new();
    BodyReader::chunked(BufReader::new(sending.join().unwrap())).read_to_string(&mut answer).unwrap();
    let total: serde_json::Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
    assert_eq!(total["total"], LINES);
}
