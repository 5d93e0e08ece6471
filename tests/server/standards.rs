//! Headers, parameters and times, as RFC 9110 and related standards define them.

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::test_server::{TestServer, USER, profile_path, residency, start_server, start_server_with};
use crate::token::{Token, now};

fn served() -> TestServer {
    let server = start_server();
    server.post_example();
    server
}

/// Returns a request for the example citizen's profile, by the citizen.
fn read(server: &TestServer, query: &str) -> Request {
    Request::new("GET", format!("{}{query}", profile_path(USER))).bearer(&server.sign(Token::citizen(USER)))
}

fn with_lines(request: Request, name: &str, lines: &[&str]) -> Request {
    lines.iter().fold(request, |request, line| request.header(name, *line))
}

#[test]
fn accept_is_one_list_with_weights() {
    let server = served();
    let cases: [(&[&str], u16); 6] = [
        (&["text/html", "application/json"], 200),
        (&["application/json", "text/html"], 200),
        (&["text/html;q=0.9, */*;q=0.1"], 200),
        (&["text/html"], 406),
        (&["application/json;q=0"], 406),
        (&["application/vnd.civic.profile+json;q=0, */*"], 406),
    ];
    for (lines, status) in cases {
        assert_eq!(server.send(with_lines(read(&server, ""), "accept", lines)).status, status, "{lines:?}");
    }
    let schema = |accept: &str| server.send(Request::new("GET", "/api/v2/schemas/2.0").header("accept", accept));
    assert_eq!((schema("*/*;q=0.1").status, schema("application/schema+json").status), (200, 200));
    assert_eq!(
        (schema("application/json;q=0").status, schema("text/html").problem().as_str()),
        (406, "not-acceptable")
    );
}

/// Returns the head of the answer to a request for a stream, whose body has no end.
pub(crate) fn open_stream(server: &TestServer, request: &Request) -> Response {
    use std::io::{BufReader, Write};
    let mut socket = crate::http::connect(server.listen);
    socket.write_all(request.head().as_bytes()).unwrap();
    crate::http::read_head(&mut BufReader::new(socket))
}

#[test]
fn a_stream_has_the_form_that_the_client_prefers() {
    let server = served();
    let token = server.sign(Token::service("profile:read events:read"));
    let ask = |path: &str, lines: &[&str]| {
        open_stream(&server, &with_lines(Request::new("GET", path).bearer(&token), "accept", lines))
    };
    let cases: [(&[&str], &str); 5] = [
        (&["text/event-stream;q=0, application/x-ndjson"], "application/x-ndjson"),
        (&["*/*;q=0.1, application/x-ndjson"], "application/x-ndjson"),
        (&["text/html", "application/x-ndjson"], "application/x-ndjson"),
        (&["*/*"], "text/event-stream"),
        (&[], "text/event-stream"),
    ];
    // Each stream has another caller: earlier streams may still be open, and a caller may have four.
    for (number, (lines, form)) in cases.into_iter().enumerate() {
        let app_token = server.sign(Token::new("service", &format!("svc:{number}"), "profile:read events:read"));
        let request = with_lines(Request::new("GET", "/api/v2/events").bearer(&app_token), "accept", lines);
        let answer = open_stream(&server, &request);
        assert_eq!((answer.status, answer.header("content-type")), (200, form), "{lines:?}");
    }
    let own = format!("{}/events", profile_path(USER));
    for path in ["/api/v2/events", &own] {
        assert_eq!(ask(path, &["text/event-stream;q=0"]).status, 406, "{path}");
        assert_eq!(ask(path, &["application/json"]).status, 406, "{path}");
        let head = server.send(Request::new("HEAD", path).bearer(&token));
        assert_eq!((head.status, head.header("allow")), (405, "GET, OPTIONS"), "a stream has no useful HEAD: {path}");
        let long = Request::new("GET", path).bearer(&token).header("last-event-id", "x".repeat(2_000));
        assert_eq!(server.send(long).problem(), "invalid-parameter", "{path}");
        let twice = Request::new("GET", path).bearer(&token).header("last-event-id", "a").header("last-event-id", "b");
        assert_eq!(server.send(twice).problem(), "invalid-request", "{path}");
    }
}

#[test]
fn conditions_on_reads_are_evaluated_in_the_order_of_rfc_9110() {
    let server = served();
    let tag = server.send(read(&server, "")).header("etag").to_owned();
    let ask = |headers: &[(&str, &str)]| {
        let request = headers.iter().fold(read(&server, ""), |request, (name, value)| request.header(name, *value));
        server.send(request)
    };
    let listed = format!("\"a,b\", W/\"*\", {tag}");
    let weak = format!("W/{tag}");
    let cases: [(&[(&str, &str)], u16); 13] = [
        (&[("if-none-match", "\"x,*,y\"")], 200),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", &weak)], 304),
        (&[("if-none-match", "\"x\""), ("if-none-match", &tag)], 304),
        (&[("if-none-match", "*, \"x\"")], 200),
        (&[("if-match", "\"nonsense\"")], 412),
        (&[("if-match", &tag)], 200),
        (&[("if-match", &listed)], 200),
        (&[("if-match", "\"x\""), ("if-match", &tag)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", &weak)], 412),
        (&[("if-match", "\"x\""), ("if-none-match", &tag)], 412),
        (&[("if-match", &tag), ("if-none-match", &tag)], 304),
    ];
    for (headers, status) in cases {
        let answer = ask(headers);
        assert_eq!(answer.status, status, "{headers:?}");
        assert!(status != 412 || answer.problem() == "precondition-failed", "{answer:?}");
    }
    // A resource without a tag matches only `*`; errors take precedence over conditions; a consent change ignores them.
    let other = |path: &str, value: &str| server.send(Request::new("GET", path).header("if-match", value)).status;
    assert_eq!((other("/api/v2/schemas", "\"x\""), other("/api/v2/schemas", "*")), (412, 200));
    assert_eq!((other("/nope", "\"x\""), other("/health/live", "\"x\"")), (404, 412));
    let consent =
        Request::new("PUT", format!("{}/consent", profile_path(USER))).bearer(&server.sign(Token::citizen(USER)));
    let consent = consent.header("if-match", "\"x\"").body("application/json", r#"{"analytics_opt_in":false}"#);
    assert_eq!(server.send(consent).status, 200);
}

#[test]
fn names_of_parameters_are_decoded_and_lists_are_joined() {
    let server = served();
    for (query, status) in [
        ("?schema%5Fversion=9.0", 406),
        ("?as%5Fof=2020-01-01T00:00:00Z", 404),
        ("?%69nclude=nonsense", 400),
        ("?schema_version=2.0&schema_version=2.0", 400),
        ("?unknown=1&unknown=2", 200),
    ] {
        assert_eq!(server.send(read(&server, query)).status, status, "{query}");
    }
    let sparse = |query: &str| server.send(read(&server, query)).json()["_meta"]["fields_included"].clone();
    let both = json!(["consent.analytics_opt_in", "demographics.state"]);
    for query in [
        "?fields=consent.analytics_opt_in,demographics.state",
        "?fields=consent.analytics_opt_in,%20demographics.state",
        "?fields=consent.analytics_opt_in,+demographics.state",
        "?fields=consent.analytics_opt_in&fields=demographics.state",
        "?%66ields=demographics.state%2Cconsent.analytics_opt_in",
    ] {
        assert_eq!(sparse(query), both, "{query}");
    }
    let follow = |query: &str| {
        let token = server.sign(Token::service("profile:read events:read"));
        open_stream(&server, &Request::new("GET", format!("/api/v2/events{query}")).bearer(&token)).status
    };
    assert_eq!(follow("?types=profile.assembled,%20profile.erased"), 200);
    assert_eq!(follow("?types=profile.assembled&types=profile.erased"), 200);
    assert_eq!(follow("?types=profile.assembled&types=nonsense"), 400, "the second is checked");
    assert_eq!(follow("?cursor=oldest&cursor=oldest"), 400);
}

#[test]
fn a_header_that_may_stand_once_is_refused_twice() {
    let server = served();
    let (own, other) = (server.sign(Token::citizen(USER)), server.sign(Token::service("profile:read")));
    for tokens in [[&own, &other], [&other, &own], [&own, &own]] {
        let request =
            tokens.iter().fold(Request::new("GET", profile_path(USER)), |request, token| request.bearer(token));
        let answer = server.send(request);
        assert_eq!((answer.status, answer.problem().as_str()), (400, "invalid-request"));
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_request\"");
    }
    let feed = Request::new("POST", "/api/v2/feeds/metadata").bearer(&server.sign(Token::service("feed:metadata")));
    let feed = feed.header("content-type", "application/x-ndjson").body("application/cloudevents+json", "{}");
    assert_eq!(server.send(feed).problem(), "invalid-request");
}

#[test]
fn times_in_tokens_may_have_fractions() {
    let server = served();
    let soon = now() + 600;
    for exp in [format!("{soon}.5"), format!("{soon}.0"), format!("{}e-1", soon * 10)] {
        let token = Token::citizen(USER).with("exp", serde_json::from_str::<Value>(&exp).unwrap());
        assert_eq!(server.get(&profile_path(USER), token).status, 200, "{exp}");
    }
}

fn completed(at: &str) -> String {
    json!({
        "specversion": "1.0", "id": format!("done-{at}"), "source": "/engines/deadlines", "type": "deadline.completed",
        "subject": USER, "time": "2026-01-20T00:00:00Z", "data": {"deadline_id": "d", "completed_at": at},
    })
    .to_string()
}

#[test]
fn times_of_events_follow_rfc_3339() {
    let server = served();
    for at in [
        "1985-04-12T00:59:59.999999999999999Z",
        "2026-01-10T06:00:00.0000000000Z",
        "9999-12-31T23:59:59Z",
        "2016-12-31T23:59:60Z",
        "2017-01-01T05:29:60+05:30",
    ] {
        assert_eq!(server.post("deadlines", completed(at)).status, 200, "{at}");
    }
    for at in ["1998-12-31T22:59:60Z", "1998-12-31T23:58:60Z", "2026-01-10T12:34:60Z"] {
        assert_eq!(server.post("deadlines", completed(at)).problem(), "invalid-time", "{at}");
    }
    let at = |time: &str| server.post("metadata", residency(USER, time, time, 3).to_string());
    assert_eq!(at("2026-01-10T06:00:00.999999999999999Z").status, 200);
    assert_eq!(at("9999-12-31T23:59:59Z").problem(), "time-in-future");
    for time in ["2026-01-10T12:34:60Z", "2016-12-31T22:59:60Z"] {
        assert_eq!(at(time).problem(), "invalid-time", "{time}");
    }
}

#[test]
fn a_value_of_a_leap_second_is_later_than_the_one_before() {
    let server = start_server();
    for (years, time) in [(1, "2016-12-31T23:59:59.9Z"), (2, "2016-12-31T23:59:60.5Z"), (3, "2017-01-01T00:00:00Z")] {
        server.apply("metadata", &residency(USER, time, time, years));
        assert_eq!(server.own_profile(USER).json()["demographics"]["residency_years"], years, "{time}");
    }
}

#[test]
fn display_names_are_written_as_people_write_them() {
    let server = served();
    let post = |name: &str| {
        let event = json!({
            "specversion": "1.0", "id": name, "source": "/engines/identity", "type": "identity.verified",
            "subject": USER, "time": "2026-01-20T00:00:00Z", "data": {"identity": {"display_name": name}},
        });
        server.post("identity", event.to_string())
    };
    for name in ["ರಾಜ್\u{200c}ಕುಮಾರ್ ಕೆ.", "రాజ్\u{200c}కుమార్ కె.", "പ്രവീണ്\u{200d} കെ.", "राजेश एस.", "ரவி ஆர்.", "Md. K."]
    {
        assert_eq!(post(name).status, 200, "{name}");
    }
    for name in ["राजेश राव.", "Rajesh Kumar", "Rajesh\u{200d} K."] {
        assert_eq!(post(name).problem(), "invalid-format", "{name}");
    }
}

#[test]
fn a_page_may_send_trace_context_and_the_headers_of_the_api() {
    let server = start_server_with("[http]\ncors_origins = [\"https://d.example\"]");
    let preflight = Request::new("OPTIONS", profile_path(USER)).header("origin", "https://d.example");
    let answer = server.send(preflight.header("access-control-request-method", "GET"));
    let allowed: Vec<_> = answer.header("access-control-allow-headers").split(", ").collect();
    for name in [
        "authorization",
        "content-type",
        "traceparent",
        "tracestate",
        "prefer",
        "if-match",
        "if-none-match",
        "last-event-id",
        "x-access-reason",
        "x-csrf-token",
        "x-purpose",
        "x-request-id",
    ] {
        assert!(allowed.contains(&name), "{name} in {allowed:?}");
    }
}

#[test]
fn a_refused_handshake_says_what_would_be_right() {
    let server = served();
    let ask = |headers: &[(&str, &str)]| {
        let request = Request::new("GET", "/api/v2/live").bearer(&server.sign(Token::citizen(USER)));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, *value));
        open_stream(&server, &request)
    };
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket")];
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for headers in [
        vec![],
        vec![("connection", "Upgrade")],
        vec![upgrade[0], upgrade[1], key],
        vec![upgrade[0], upgrade[1], key, ("sec-websocket-version", "8")],
    ] {
        let answer = ask(&headers);
        assert_eq!((answer.status, answer.header("upgrade")), (426, "websocket"), "{headers:?}");
        let connection = answer.header("connection").to_ascii_lowercase();
        assert!(connection.split(',').any(|option| option.trim() == "upgrade"), "{connection} for {headers:?}");
        assert_eq!(answer.header("sec-websocket-version"), "13", "{headers:?}");
    }
    let answer = ask(&[upgrade[0], upgrade[1], ("sec-websocket-version", "13"), ("sec-websocket-key", "short")]);
    assert_eq!(answer.status, 400);
}

#[test]
fn what_is_refused_for_now_says_when_to_try_again() {
    let server = start_server_with("[live]\nmax_sockets_per_caller = 1\n[events]\nmax_followers_per_caller = 1");
    server.post_example();
    let token = server.sign(Token::service("profile:read events:read"));
    for (path, problem) in [
        (format!("{}/events", profile_path(USER)), "too-many-sockets"),
        ("/api/v2/events".to_owned(), "too-many-followers"),
    ] {
        use std::io::{BufReader, Write};
        let mut held = crate::http::connect(server.listen);
        held.write_all(Request::new("GET", &path).bearer(&token).head().as_bytes()).unwrap();
        let mut held = BufReader::new(held);
        assert_eq!(crate::http::read_head(&mut held).status, 200);
        let refused = server.send(Request::new("GET", &path).bearer(&token));
        assert_eq!((refused.status, refused.problem().as_str()), (429, problem));
        assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
        let body = refused.json();
        assert_eq!((&body["error"], &body["message"]), (&json!("rate_limit_exceeded"), &body["detail"]));
    }
}
