//! Sessions of pages: a one-time code becomes a cookie, and the page is then a caller like any other.

use std::process::Command;
use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::route_table::entries;
use crate::test_server::{PROGRAM, TestServer, USER, profile_path, start_on, start_server, start_server_with};
use crate::token::{Token, now};

const PATH: &str = "/api/v2/session";

/// Returns a code that `profile-server login-link` has made.
#[track_caller]
fn code(server: &TestServer, arguments: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    let output =
        command.arg("login-link").arg("--data-dir").arg(server.data_dir.path()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let link = String::from_utf8(output.stdout).unwrap();
    assert!(link.starts_with("http://127.0.0.1:8080/#login=") && link.lines().count() == 1, "{link}");
    link.trim().split_once("#login=").unwrap().1.to_owned()
}

fn begin(server: &TestServer, code: &str) -> Response {
    server.send(Request::new("POST", PATH).body("application/json", json!({ "code": code }).to_string()))
}

/// A page with a session.
struct Page {
    cookie: String,
    csrf: String,
    id: String,
}

impl Page {
    #[track_caller]
    fn open(server: &TestServer, arguments: &[&str]) -> Self {
        let answer = begin(server, &code(server, arguments));
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let body = answer.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { cookie, csrf: text(&body["csrf_token"]), id: text(&body["session"]["id"]) }
    }

    fn own(server: &TestServer) -> Self {
        Self::open(server, &["--sub", USER, "--role", "self"])
    }

    fn request(&self, method: &'static str, path: &str) -> Request {
        Request::new(method, path).header("cookie", self.cookie.clone())
    }

    fn get(&self, server: &TestServer, path: &str) -> Response {
        server.send(self.request("GET", path))
    }

    fn write(&self, method: &'static str, path: &str) -> Request {
        self.request(method, path).header("x-csrf-token", self.csrf.clone())
    }
}

fn consent(request: Request) -> Request {
    request.body("application/json", r#"{"data_sharing_level":"standard"}"#)
}

#[test]
fn a_page_with_a_session_is_a_caller_like_any_other() {
    let server = start_server();
    server.post_example();
    let page = Page::own(&server);
    let seen = page.get(&server, &profile_path(USER));
    assert_eq!((seen.status, &seen.body), (200, &server.own_profile(USER).body));
    assert_eq!(page.get(&server, &profile_path("usr_SomebodyElse01")).problem(), "unknown-user");
    let path = format!("{}/consent", profile_path(USER));
    assert_eq!(server.send(consent(page.write("PUT", &path))).status, 200);
    // A bearer token goes before the cookie.
    let other = server.sign(Token::citizen("usr_SomebodyElse01"));
    assert_eq!(server.send(page.request("GET", &profile_path(USER)).bearer(&other)).status, 404);
    assert_eq!(server.send(page.request("GET", &profile_path(USER)).bearer("nonsense")).status, 401);
}

#[test]
fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let server = start_server();
    let answer = begin(&server, &code(&server, &["--sub", USER, "--role", "self"]));
    let cookie = answer.header("set-cookie");
    let attributes: Vec<&str> = cookie.split("; ").collect();
    assert_eq!(attributes[1..], ["Path=/", "Max-Age=3600", "HttpOnly", "SameSite=Strict"], "{cookie}");
    let secret = attributes[0].strip_prefix("profile_session=").unwrap();
    assert!(secret.len() >= 43 && !answer.text().contains(secret), "{answer:?}");
    let server = start_server_with("[auth]\nsecure_cookies = true");
    let page = Page::own(&server);
    assert!(page.cookie.starts_with("__Host-profile_session="), "{}", page.cookie);
    assert_eq!(page.get(&server, PATH).status, 200);
    let plain = page.cookie.trim_start_matches("__Host-").to_owned();
    assert_eq!(server.send(Request::new("GET", PATH).header("cookie", plain)).status, 401);
}

#[test]
fn a_write_needs_the_token_of_its_own_session() {
    let server = start_server();
    server.post_example();
    let (page, other) = (Page::own(&server), Page::own(&server));
    let path = format!("{}/consent", profile_path(USER));
    for wrong in ["", "x", &other.csrf, &page.csrf.to_lowercase(), &page.cookie] {
        let request = page.request("PUT", &path).header("x-csrf-token", wrong);
        let answer = server.send(consent(request));
        assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"), "{wrong}");
    }
    assert_eq!(server.send(consent(page.request("PUT", &path))).status, 403, "none at all");
    assert_eq!(server.send(page.request("DELETE", PATH)).status, 403);
    assert_eq!(server.send(page.request("POST", "/api/v2/live/ticket")).status, 403);
    let twice = page.write("PUT", &path).header("x-csrf-token", page.csrf.clone());
    assert_eq!(server.send(consent(twice)).problem(), "invalid-request");
    // A page that is loaded anew gets the token again.
    assert_eq!(page.get(&server, PATH).json()["csrf_token"], page.csrf);
    assert_eq!(server.send(consent(page.write("PUT", &path))).status, 200);
    // One of two cookies of the name was planted.
    let planted = format!("{}; profile_session=planted", page.cookie);
    assert_eq!(server.send(Request::new("GET", PATH).header("cookie", planted)).problem(), "invalid-request");
}

#[test]
fn a_code_begins_one_session() {
    let server = start_server();
    let code = code(&server, &["--sub", USER, "--role", "self"]);
    let barrier = Barrier::new(8);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    begin(&server, &code).status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 201 | 401)), "{statuses:?}");
    let server = start_on(server.kill());
    assert_eq!(begin(&server, &code).problem(), "invalid-token", "after a restart neither");
}

#[test]
fn codes_and_tokens_are_not_accepted_as_each_other() {
    let server = start_server();
    let code = code(&server, &["--sub", USER, "--role", "self"]);
    assert_eq!(server.send(Request::new("GET", profile_path(USER)).bearer(&code)).problem(), "invalid-token");
    let access = server.sign(Token::citizen(USER));
    let mut typed = Token::citizen(USER);
    typed.header.typ = Some("login+jwt".to_owned());
    for wrong in [access, server.sign(typed), format!("{code}A"), String::new(), "x".repeat(5_000)] {
        assert_eq!(begin(&server, &wrong).problem(), "invalid-token", "{wrong}");
    }
    for body in ["", "[]", "{}", r#"{"code":7}"#, r#"{"code":"a","more":1}"#, r#"["a"]"#] {
        let answer = server.send(Request::new("POST", PATH).body("application/json", body));
        assert_eq!(answer.problem(), "malformed-body", "{body}");
    }
    assert_eq!(begin(&server, &"x".repeat(6 * 1024)).problem(), "too-large");
    let form =
        server.send(Request::new("POST", PATH).body("application/x-www-form-urlencoded", format!("code={code}")));
    assert_eq!(form.problem(), "unsupported-media-type", "a form of another site cannot log in");
    let foreign = Request::new("POST", PATH).header("origin", "https://evil.example");
    let answer = server.send(foreign.body("application/json", json!({ "code": code }).to_string()));
    assert_eq!(answer.problem(), "forbidden");
    assert_eq!(begin(&server, &code).status, 201);
}

#[test]
fn sessions_are_listed_to_their_owner_and_ended_one_by_one() {
    let server = start_server();
    let (first, second) = (Page::own(&server), Page::own(&server));
    let other = Page::open(&server, &["--sub", "aud:a", "--role", "auditor"]);
    let listed = |page: &Page| {
        let items = page.get(&server, PATH).json()["items"].as_array().unwrap().clone();
        items.iter().map(|item| (item["id"].as_str().unwrap().to_owned(), item["current"] == true)).collect::<Vec<_>>()
    };
    let mut expected = vec![(first.id.clone(), true), (second.id.clone(), false)];
    let mut found = listed(&first);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let by_token = server.get(PATH, Token::citizen(USER)).json();
    assert_eq!((by_token["items"].as_array().map(Vec::len), &by_token["csrf_token"]), (Some(2), &Value::Null));

    let foreign = format!("{PATH}?id={}", first.id);
    assert_eq!(server.send(other.write("DELETE", &foreign)).problem(), "unknown-resource");
    let ended = server.send(first.write("DELETE", &format!("{PATH}?id={}", second.id)));
    assert!(ended.status == 204 && !ended.headers.contains_key("set-cookie"), "{ended:?}");
    assert_eq!((second.get(&server, PATH).status, first.get(&server, PATH).status), (401, 200));
    let own = server.send(first.write("DELETE", PATH));
    assert_eq!(own.status, 204);
    assert!(own.header("set-cookie").starts_with("profile_session=; Path=/; Max-Age=0"), "{own:?}");
    assert_eq!((first.get(&server, PATH).status, other.get(&server, PATH).status), (401, 200));
    let server = start_on(server.kill());
    assert_eq!((first.get(&server, PATH).status, other.get(&server, PATH).status), (401, 200), "after a restart");
}

#[test]
fn a_subject_has_at_most_sixteen_sessions() {
    let server = start_server();
    let pages: Vec<Page> = (0..17).map(|_| Page::open(&server, &["--sub", "aud:a", "--role", "auditor"])).collect();
    let open = pages.iter().filter(|page| page.get(&server, PATH).status == 200).count();
    assert_eq!(open, 16);
    assert_eq!(pages[16].get(&server, PATH).status, 200, "the newest is open");
}

#[test]
fn a_revoked_subject_loses_its_sessions() {
    let server = start_server();
    server.post_example();
    let page = Page::own(&server);
    let operator = Token::new("admin", "adm:root", "operate").with("amr", json!(["otp"])).with("auth_time", now());
    let request = Request::new("POST", "/admin/revocations").bearer(&server.sign(operator));
    let body = json!({ "sub": USER }).to_string();
    let answer = request.header("x-access-reason", "a test").body("application/json", body).send(server.admin_listen);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(page.get(&server, &profile_path(USER)).problem(), "invalid-token");
}

#[test]
fn a_revoked_session_is_not_listed_any_more() {
    let server = start_server();
    let (first, second) = (Page::own(&server), Page::own(&server));
    let operator = Token::new("admin", "adm:root", "operate").with("amr", json!(["otp"])).with("auth_time", now());
    let request = Request::new("POST", "/admin/revocations").bearer(&server.sign(operator));
    let body = json!({ "jti": second.id }).to_string();
    let answer = request.header("x-access-reason", "a test").body("application/json", body).send(server.admin_listen);
    assert_eq!(answer.status, 201, "{answer:?}");
    let items = first.get(&server, PATH).json()["items"].clone();
    assert_eq!((items.as_array().map(Vec::len), &items[0]["id"]), (Some(1), &json!(first.id)));
    let gone = server.send(first.write("DELETE", &format!("{PATH}?id={}", second.id)));
    assert_eq!(gone.problem(), "unknown-resource");
}

#[test]
fn the_begin_and_end_of_a_session_name_the_citizen_the_tenant_and_the_request() {
    let server = start_server();
    let body = json!({ "code": code(&server, &["--sub", USER, "--role", "self"]) }).to_string();
    let request = Request::new("POST", PATH).header("x-request-id", "the-login").body("application/json", body);
    let answer = server.send(request);
    assert_eq!((answer.status, answer.header("x-request-id")), (201, "the-login"));
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let csrf = answer.json()["csrf_token"].as_str().unwrap().to_owned();
    let request = Request::new("DELETE", PATH).header("cookie", cookie).header("x-csrf-token", csrf);
    assert_eq!(server.send(request.header("x-request-id", "the-logout")).status, 204);
    // An id that the server makes is the one of the answer.
    let answer = begin(&server, &code(&server, &["--sub", "aud:a", "--role", "auditor"]));
    let entries = entries(&server);
    let of = |id: &str| entries.iter().find(|entry| entry["request_id"] == id).unwrap_or_else(|| panic!("no {id}"));
    let (begun, ended) = (of("the-login"), of("the-logout"));
    assert_eq!((&begun["action"], &ended["action"]), (&json!("session.begin"), &json!("session.end")));
    assert_eq!((&begun["subject"], &begun["session"]), (&ended["subject"], &ended["session"]));
    for entry in [begun, ended, of(answer.header("x-request-id"))] {
        assert_eq!(entry["tenant"], json!(0), "{entry}");
    }
    assert_eq!(begun["actor"], format!("user:{}", ended["subject"].as_str().expect("a subject")));
    assert!(of(answer.header("x-request-id")).get("subject").is_none(), "an auditor is no citizen");
}

#[test]
fn an_administrators_session_has_the_scopes_and_factors_of_its_link() {
    let server = start_server();
    server.post_example();
    let page = Page::open(&server, &["--sub", "adm:root", "--role", "admin", "--scope", "operate", "--amr", "mfa"]);
    let read = page.request("GET", &profile_path(USER)).header("x-access-reason", "a test");
    assert_eq!(server.send(read).problem(), "unknown-user", "the scope `profile:read` is not there");
    let revoke = page.write("POST", "/admin/revocations").header("x-access-reason", "a test");
    let answer = revoke.body("application/json", r#"{"jti":"x"}"#).send(server.admin_listen);
    assert_eq!(answer.status, 201, "{answer:?}");
    for role in ["service", "agent"] {
        let mut command = Command::new(PROGRAM);
        command.arg("login-link").arg("--data-dir").arg(server.data_dir.path());
        let output = command.args(["--sub", "svc:a", "--role", role]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{role}");
    }
}
