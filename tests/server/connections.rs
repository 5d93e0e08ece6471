//! The limit of connections, and what still works when it is reached.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType};
use serde_json::{Value, json};

use crate::http::{Request, Response, connect, read_response};
use crate::test_server::{
    TestServer, eventually, feed_path, residency, start_server, start_server_under, start_server_with,
    start_server_with_open_files,
};
use crate::token::Token;

/// Few threads, so that a small limit of open files allows connections on every machine.
const SMALL: &str = "[http]\nworkers = 2\nclient_header_timeout_s = 3_600\n[actors]\nshards = 2\n\
                     [journal]\nsegment_mib = 2\n[checkpoint]\ninterval_s = 1\n";

fn open_files(server: &TestServer) -> usize {
    server.metric("process_open_fds") as usize
}

/// Returns the number of open files while nothing else opens files. Reading the metric itself uses one descriptor.
fn open_files_at_rest(server: &TestServer) -> usize {
    server.wait_until_at_rest();
    open_files(server)
}

/// Opens a connection that stays open, and returns it with the answer to a request on it.
fn ask(mut stream: TcpStream, request: &Request) -> (TcpStream, Response) {
    stream.write_all(request.head().as_bytes()).unwrap();
    stream.write_all(request.content()).unwrap();
    let answer = read_response(&mut BufReader::new(&stream), true);
    (stream, answer)
}

fn health() -> Request {
    Request::new("GET", "/health/live")
}

#[test]
fn a_connection_takes_one_descriptor() {
    const CONNECTIONS: usize = 40;
    let server = start_server();
    assert_eq!(server.send(health()).status, 200);
    let open = || server.metric("profile_http_connections{listener=\"public\"}");
    eventually("the first is closed", || open() == 0.0);
    let before = open_files_at_rest(&server);
    let streams: Vec<_> = (0..CONNECTIONS).map(|_| ask(connect(server.listen), &health()).0).collect();
    assert_eq!(open(), CONNECTIONS as f64);
    eventually("each takes one descriptor", || open_files(&server) == before + CONNECTIONS);
    drop(streams);
    eventually("all are given back", || open() == 0.0 && open_files(&server) == before);
}

/// Returns the answer on a refused connection, or `None` if the connection was reset before it arrived.
fn refusal(address: SocketAddr) -> Option<Response> {
    let mut stream = connect(address);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok().filter(|length| *length > 0)?;
    Some(read_response(&mut answer.as_slice(), true))
}

/// Returns an event about a new user.
fn new_user(number: u32) -> Value {
    residency(&format!("usr_{number:0>12}"), &format!("e-{number}"), "2026-01-21T09:00:00Z", number % 100)
}

#[test]
fn everything_else_works_at_the_limit_of_connections() {
    let server = start_server_with_open_files(256, &SMALL.replace("[http]", "[http]\nmax_connections_per_address = 0"));
    server.post_example();
    let log = server.log();
    assert_eq!(log.matches("`http.max_connections` = 16384 is lowered to").count(), 1, "{log}");
    let refused = || server.metric("profile_http_connections_refused_total{listener=\"public\",limit=\"connections\"}");
    let (mut own, _) = ask(connect(server.listen), &health());
    let mut idle = Vec::new();
    while refused() == 0.0 {
        idle.push(connect(server.listen));
        assert!(idle.len() < 256, "the limit of open files bounds the connections");
        if idle.len() % 8 == 0 {
            // Accepted connections stay open while they are used from time to time.
            (own, _) = ask(own, &health());
        }
    }
    assert!(idle.len() > 8, "{}", idle.len());

    // Above the limit: a short answer at once.
    let answer = refusal(server.listen).expect("an answer");
    assert_eq!((answer.status, answer.header("retry-after"), answer.header("connection")), (503, "1", "close"));
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(answer.header("date").ends_with(" GMT"), "{answer:?}");
    assert_eq!(server.metric("profile_http_requests_total{route=\"unknown\",method=\"other\",status=\"503\"}"), 0.0);
    assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));

    // At the limit the server can still open files: new journal segments and a changed access table.
    let token = server.sign(Token::service("feed:metadata"));
    let segments = || fs::read_dir(server.data_dir.path().join("journal")).unwrap().count();
    let before = segments();
    for round in 0..5 {
        let events: Vec<_> = (round * 2_000..(round + 1) * 2_000).map(new_user).collect();
        let request = Request::new("POST", feed_path("metadata")).bearer(&token);
        let request = request.body("application/cloudevents-batch+json", serde_json::to_vec(&events).unwrap());
        let (stream, answer) = ask(own, &request);
        assert_eq!((answer.status, &answer.json()["applied"]), (200, &json!(2_000)), "{}", answer.text());
        own = stream;
    }
    assert!(segments() > before, "new segments were begun");
    let table = config::ACCESS_TOML.replace("  \"identity.gender\",\n", "");
    assert_ne!(table, config::ACCESS_TOML);
    fs::write(server.data_dir.path().join("access.toml"), table).unwrap();
    eventually("the access table is taken over", || server.log().contains("the access table has changed"));
    assert!(!server.log().contains("is gone"), "{}", server.log());
    assert_eq!(ask(own, &Request::new("GET", "/health/ready")).1.status, 200);
    // The admin listener has its own limit of connections.
    assert_eq!(Request::new("GET", "/health/ready").send(server.admin_listen).status, 200);

    drop(idle);
    eventually("there is room again", || server.metric("profile_http_connections{listener=\"public\"}") < 2.0);
    assert_eq!(server.send(health()).status, 200);
}

#[test]
fn a_start_without_room_for_connections_says_what_is_needed() {
    let data_dir = tempfile::TempDir::new().unwrap();
    fs::write(data_dir.path().join("config.local.toml"), SMALL).unwrap();
    let server = crate::test_server::serve(data_dir.path());
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 128; exec \"$0\" \"$@\"", crate::test_server::PROGRAM]).args(server.get_args());
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{error}");
    assert!(error.lines().last().unwrap().contains("ulimit -n"), "{error}");
}

#[test]
fn a_start_raises_the_limit_of_open_files() {
    let server = start_server_under("ulimit -Sn 256 && test $(ulimit -Hn) -gt 256", SMALL);
    let [soft, hard] = server.limit("Max open files");
    assert_eq!(soft, hard);
    assert_ne!(soft, "256");
}

/// Opens a connection from one of this machine's addresses.
fn connect_from(source: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::from(source), 0))).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    TcpStream::from(socket)
}

#[test]
fn one_address_cannot_take_all_connections() {
    let server = start_server_with("[http]\nmax_connections_per_address = 3\n");
    let held: Vec<_> = (0..3).map(|_| ask(connect(server.listen), &health()).0).collect();
    assert_eq!(refusal(server.listen).expect("an answer").status, 503);
    let limit = "profile_http_connections_refused_total{listener=\"public\",limit=\"address\"}";
    assert_eq!(server.metric(limit), 1.0);
    assert_eq!(ask(connect_from([127, 0, 0, 2], server.listen), &health()).1.status, 200);
    drop(held);
    eventually("there is room again", || {
        let mut stream = connect(server.listen);
        let asked = stream.write_all(health().head().as_bytes());
        let mut first = [0; 12];
        asked.is_ok() && stream.read_exact(&mut first).is_ok() && first.ends_with(b"200")
    });
}

#[test]
fn one_address_cannot_take_all_connections_where_few_files_may_be_open() {
    let server = start_server_with_open_files(256, SMALL);
    let refused = || server.metric("profile_http_connections_refused_total{listener=\"public\",limit=\"address\"}");
    let mut held = Vec::new();
    while refused() == 0.0 {
        held.push(connect(server.listen));
        assert!(held.len() < 256, "the limit of open files bounds the connections");
    }
    assert_eq!(server.metric("profile_http_connections_refused_total{listener=\"public\",limit=\"connections\"}"), 0.0);
    assert_eq!(ask(connect_from([127, 0, 0, 2], server.listen), &health()).1.status, 200);
}
