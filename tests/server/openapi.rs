//! The description of the API: `/api/v2/openapi.json` and `/api/docs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Write};
use std::net::SocketAddr;

use profile_server::route_table;
use serde_json::{Value, json};

use crate::description::Description;
use crate::http::{BodyReader, Request, Response, connect, read_head};
use crate::pages::{ask, check_html, links};
use crate::route_table::{Caller, callers, is_admitted, probe};
use crate::test_server::{TestServer, USER, start_server};

#[test]
fn the_document_has_each_row_of_the_table_and_nothing_else() {
    let server = start_server();
    let description = Description::read(&server);
    for is_admin in [false, true] {
        let document = description.of(is_admin);
        assert_eq!(document["openapi"], "3.1.0");
        let paths = document["paths"].as_object().unwrap().iter();
        let described: BTreeSet<_> = paths
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone())))
            .collect();
        let rows = route_table().into_iter().filter(|row| row.is_admin == is_admin);
        let rows: BTreeSet<_> = rows
            .flat_map(|row| row.methods.into_iter().map(move |method| (row.path.to_owned(), method.to_lowercase())))
            .collect();
        assert_eq!(described, rows);
    }
}

fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
}

#[test]
fn requirements_of_callers_are_described() {
    let server = start_server();
    let description = Description::read(&server);
    for row in route_table().into_iter().filter(|row| row.parameter.is_none()) {
        for method in &row.methods {
            let operation = description.operation(row.is_admin, method, row.path);
            let needs_caller = row.requirements.is_some();
            assert_eq!(operation["security"] != json!([]), needs_caller, "{method} {}", row.path);
            let Some(requirements) = &row.requirements else { continue };
            let text = operation["description"].as_str().unwrap();
            if let Some(limit) = requirements.limit {
                assert!(text.contains(&format!("`{limit}`")), "{text}");
            }
            assert!(text.contains(&format!("`{}`", requirements.action)), "{text}");
            assert_eq!(text.contains("second factor"), requirements.needs_second_factor, "{method} {}", row.path);
            let described: Vec<_> = placeholders(row.path).collect();
            let of_path = operation["parameters"].as_array().unwrap().iter().filter(|one| one["in"] == "path");
            assert_eq!(of_path.map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(), described);
        }
    }
}

/// The parameters of the query that an operation lists: whether each is a list.
fn listed(operation: &Value) -> BTreeMap<String, bool> {
    let parameters = operation["parameters"].as_array().unwrap().iter().filter(|parameter| parameter["in"] == "query");
    parameters.map(|one| (one["name"].as_str().unwrap().to_owned(), one["explode"] == false)).collect()
}

/// Returns the parts of a probe's query that the operation needs, besides the parameter `name`.
fn needed(operation: &Value, probe: &str, name: &str) -> String {
    let parameters = operation["parameters"].as_array().unwrap();
    let is_needed = |part: &&str| {
        let given = part.split('=').next().unwrap();
        given != name && parameters.iter().any(|one| one["name"] == given && one["required"] == true)
    };
    let query = probe.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter(is_needed).map(|part| format!("{part}&")).collect()
}

/// What shows that a handler reads a parameter: a repeated value is refused, and so is a name that no list may have. `fields` takes
/// every name, and adds `_meta`.
fn query(name: &str, is_list: bool) -> String {
    match (name, is_list) {
        ("fields", _) => "fields=consent".to_owned(),
        (_, true) => format!("{name}=nonsense"),
        (_, false) => format!("{name}=1&{name}=1"),
    }
}

fn is_read(name: &str, is_list: bool, answer: &Response) -> bool {
    let detail = || answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    match (name, is_list) {
        // Not every answer is text: a backup is none.
        ("fields", _) => answer.status == 200 && String::from_utf8_lossy(&answer.body).contains("\"_meta\""),
        (_, true) => answer.status == 400 && detail().contains(&format!("`{name}`")),
        (_, false) => answer.status == 400 && detail() == format!("the parameter `{name}` must not be repeated"),
    }
}

#[test]
fn a_parameter_is_listed_where_a_handler_reads_it_and_nowhere_else() {
    let server = start_server();
    server.post_example();
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    let description = Description::read(&server);
    let rows: Vec<_> = route_table().into_iter().filter(|row| row.parameter.is_none()).collect();
    let of_row = |method: &str, path: &str, is_admin: bool| listed(description.operation(is_admin, method, path));
    let all: BTreeMap<String, bool> =
        rows.iter().flat_map(|row| of_row(row.methods[0], row.path, row.is_admin)).collect();
    assert!(all.len() > 25, "{all:?}");
    for row in &rows {
        let (method, address) = (row.methods[0], if row.is_admin { server.admin_listen } else { server.listen });
        let own = of_row(method, row.path, row.is_admin);
        let probe = probe(method, row.path, None);
        let mut callers: Vec<_> = callers().into_iter().filter(|caller| is_admitted(&probe, caller)).collect();
        assert!(!callers.is_empty(), "nobody may call {method} {}", row.path);
        // One of each role: only of the audit log, auditors ask for more than others.
        callers.sort_by_key(|caller| caller.claim("role").to_owned());
        callers.dedup_by_key(|caller| caller.claim("role").to_owned());
        let target = Target { method, path: probe.path.split('?').next().unwrap(), address };
        let body = match row.path {
            "/api/v2/profiles/batch-get" => Some(("application/json", json!({ "user_ids": [USER] }).to_string())),
            _ => probe.body.clone(),
        };
        for (name, is_list) in &all {
            // What a stream of events shows is compared in `tests/server/sse.rs`.
            if name == "fields" && row.path.ends_with("/events") {
                continue;
            }
            let operation = description.operation(row.is_admin, method, row.path);
            let query = needed(operation, &probe.path, name) + &query(name, *is_list);
            let reads = |caller: &Caller| is_read(name, *is_list, &target.send(&server, caller, &query, body.as_ref()));
            let listed = own.contains_key(name);
            assert_eq!(callers.iter().any(reads), listed, "`{name}` of {method} {}: whether it is listed", row.path);
        }
    }
}

/// Where a request goes.
struct Target<'a> {
    method: &'static str,
    path: &'a str,
    address: SocketAddr,
}

impl Target<'_> {
    /// Sends a request with a query. Of a stream of events only the head is read, since it does not end.
    fn send(&self, server: &TestServer, caller: &Caller, query: &str, body: Option<&(&str, String)>) -> Response {
        let Self { method, path, address } = self;
        let mut request = Request::new(method, format!("{path}?{query}")).header("x-access-reason", "a test");
        if let Some(token) = &caller.token {
            request = request.bearer(&server.sign(token.clone()));
        }
        if let Some((kind, body)) = body {
            request = request.body(kind, body.as_bytes());
        }
        let mut stream = BufReader::new(connect(*address));
        stream.get_mut().write_all(request.header("connection", "close").head().as_bytes()).unwrap();
        if let Some((_, body)) = body {
            // A server that refuses early may close before it has read everything.
            let _ = stream.get_mut().write_all(body.as_bytes());
        }
        let mut answer = read_head(&mut stream);
        if answer.headers.get("content-type").is_some_and(|kind| kind != "text/event-stream") {
            BodyReader::new(&answer.headers, &mut stream).read_to_end(&mut answer.body).unwrap();
        }
        answer
    }
}

#[test]
fn the_document_and_every_page_are_sent_once() {
    let server = start_server();
    let (browser, text) = ("text/html", "text/markdown");
    for (path, accept) in [
        ("/api/v2/openapi.json", "*/*"),
        ("/api/docs", browser),
        ("/api/docs", text),
        ("/", browser),
        ("/problems", text),
    ] {
        for address in [server.listen, server.admin_listen] {
            let tag = ask(address, path, accept).header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.len() > 10, "{tag}");
            let conditional = |name: &str, tag: &str| {
                Request::new("GET", path).header("accept", accept).header(name, tag).send(address)
            };
            let again = conditional("if-none-match", &tag);
            assert_eq!((again.status, again.header("etag"), again.body.len()), (304, tag.as_str(), 0));
            assert_eq!(conditional("if-none-match", "\"other\"").status, 200);
            assert_eq!(conditional("if-match", &tag).status, 200);
            assert_eq!(conditional("if-match", "\"other\"").problem(), "precondition-failed");
            assert_eq!(Request::new("HEAD", path).header("accept", accept).send(address).header("etag"), tag);
        }
    }
    let tag = |accept| ask(server.listen, "/api/docs", accept).header("etag").to_owned();
    assert_ne!(tag(browser), tag(text));
    assert_ne!(tag("text/plain"), tag(text), "media types of the same text are representations of their own");
}

#[test]
fn the_page_shows_every_operation_and_loads_nothing() {
    let server = start_server();
    let description = Description::read(&server);
    for (is_admin, address) in [(false, server.listen), (true, server.admin_listen)] {
        let page = ask(address, "/api/docs", "text/html");
        check_html(&page);
        for part in ["<img", "<link", "src=", "@import", "url("] {
            assert!(!page.text().contains(part), "{part}");
        }
        let targets = links(&page);
        for target in &targets {
            match target.strip_prefix('#') {
                Some(place) => assert!(page.text().contains(&format!("id=\"{place}\"")), "{target}"),
                None => assert!(target.starts_with('/'), "{target}"),
            }
        }
        let elsewhere: BTreeSet<_> = targets.iter().filter(|target| target.starts_with('/')).collect();
        for target in elsewhere {
            assert_eq!(ask(address, target, "*/*").status, 200, "{target}");
        }
        for path in description.of(is_admin)["paths"].as_object().unwrap().keys() {
            assert!(page.text().contains(&format!("<code>{path}</code>")), "{path}");
        }
        for name in description.of(is_admin)["components"]["schemas"].as_object().unwrap().keys() {
            assert!(page.text().contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
    }
}
