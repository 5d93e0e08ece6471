//! HTML pages: `/`, the guides, and a page for every problem.

use std::net::SocketAddr;

use crate::http::{Request, Response};
use crate::test_server::{TestServer, USER, profile_path, start_server};
use crate::token::Token;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

pub(crate) fn ask(address: SocketAddr, path: &str, accept: &str) -> Response {
    Request::new("GET", path).header("accept", accept).send(address)
}

/// Checks the properties that every HTML page has.
#[track_caller]
pub(crate) fn check_html(page: &Response) {
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!((page.header("vary"), page.header("referrer-policy")), ("Accept", "no-referrer"));
    for part in ["<html lang=\"en\">", "<title>", "<main>", "<h1>", "name=\"viewport\"", "<nav aria-label"] {
        assert!(page.text().contains(part), "{part} in {}", page.text());
    }
    for part in ["<script", " style=", " onclick", "http-equiv"] {
        assert!(!page.text().contains(part), "{part} in {}", page.text());
    }
}

/// Returns the paths on the same server that a page links to.
pub(crate) fn links(page: &Response) -> Vec<String> {
    let targets = page.text().split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    targets.filter(|target| !target.starts_with("https://")).map(str::to_owned).collect()
}

#[test]
fn the_root_greets_a_browser_and_its_links_lead_somewhere() {
    let server = start_server();
    for address in [server.listen, server.admin_listen] {
        let page = ask(address, "/", BROWSER);
        check_html(&page);
        assert!(page.text().contains("Profile server") && links(&page).len() >= 5, "{}", page.text());
        for target in links(&page) {
            assert_eq!(ask(address, &target, BROWSER).status, 200, "{target}");
        }
        let head = Request::new("HEAD", "/").send(address);
        assert_eq!((head.status, head.body.len()), (200, 0));
        for (accept, form) in
            [("*/*", "text/markdown"), ("text/plain", "text/plain"), ("application/json", "application/json")]
        {
            let answer = ask(address, "/", accept);
            assert!(answer.status == 200 && answer.header("content-type").starts_with(form), "{accept}: {answer:?}");
        }
        assert_eq!(ask(address, "/", "image/png").problem(), "not-acceptable");
    }
}

#[test]
fn every_address_that_the_root_names_is_served() {
    let server = start_server();
    for address in [server.listen, server.admin_listen] {
        let root = ask(address, "/", "application/json").json();
        let rows = root["addresses"].as_array().unwrap();
        for named in rows {
            let values = [
                ("{user_id}", USER),
                ("{source}", "metadata"),
                ("{version}", "2.0"),
                ("{name}", "http"),
                ("{code}", "busy"),
            ];
            let named_path = named["path"].as_str().unwrap().to_owned();
            let path = values.into_iter().fold(named_path, |path, (name, value)| path.replace(name, value));
            let options = Request::new("OPTIONS", &path).send(address);
            // The methods of an address may be in several rows.
            let of_path = rows.iter().filter(|row| row["path"] == named["path"]);
            let methods: Vec<_> = of_path
                .flat_map(|row| row["methods"].as_array().unwrap())
                .map(|method| method.as_str().unwrap())
                .collect();
            let allowed: Vec<_> = options.header("allow").split(", ").filter(|method| *method != "OPTIONS").collect();
            assert_eq!((options.status, methods), (204, allowed), "{path}");
        }
    }
}

#[test]
fn the_type_of_a_problem_leads_to_its_page() {
    let server = start_server();
    let problems = |server: &TestServer| {
        [
            server.send(Request::new("GET", "/nope")),
            server.send(Request::new("GET", profile_path(USER))),
            server.get(&profile_path(USER), Token::citizen(USER)),
            server.post("metadata", "{}"),
        ]
    };
    for problem in problems(&server) {
        let (code, target) = (problem.problem(), problem.json()["type"].as_str().unwrap().to_owned());
        for address in [server.listen, server.admin_listen] {
            let page = ask(address, &target, BROWSER);
            check_html(&page);
            assert!(page.text().contains(problem.json()["title"].as_str().unwrap()), "{code}");
            let text = ask(address, &target, "*/*");
            assert_eq!(text.header("content-type"), "text/markdown; charset=utf-8");
            assert!(text.text().starts_with(&format!("# {code}\n")), "{}", text.text());
        }
    }
    assert_eq!(server.send(Request::new("GET", "/problems/nothing")).problem(), "unknown-resource");
}

#[test]
fn all_problems_and_guides_are_listed_and_served() {
    let server = start_server();
    let list = ask(server.listen, "/problems", BROWSER);
    check_html(&list);
    let pages: Vec<_> = links(&list).into_iter().filter(|target| target.starts_with("/problems/")).collect();
    assert!(pages.len() > 50, "{pages:?}");
    for target in pages {
        check_html(&ask(server.listen, &target, BROWSER));
    }
    for guide in ["http", "feeds", "live", "events", "security", "problems", "http.md"] {
        check_html(&ask(server.listen, &format!("/docs/{guide}"), BROWSER));
    }
    assert_eq!(server.send(Request::new("GET", "/docs/nothing")).problem(), "unknown-resource");
}
