//! The routes that read profiles.

use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::test_server::{TestServer, USER, example, profile_path, start_server, start_server_with};
use crate::token::Token;

#[test]
fn the_example_gives_what_its_readme_says_in_any_order() {
    let events = example();
    let orders: [Vec<usize>; 3] = [(0..13).collect(), (0..13).rev().collect(), (0..13).map(|n| n * 5 % 13).collect()];
    for order in orders {
        let server = start_server();
        for &place in &order {
            let (source, event) = &events[place];
            let answer = server.post(source, event.to_string());
            let tally = answer.json();
            let taken = tally["applied"].as_u64().unwrap() + tally["unchanged"].as_u64().unwrap();
            assert_eq!((answer.status, taken), (200, 1), "{answer:?} in {order:?}");
        }
        let profile = server.own_profile(USER).json();
        assert_eq!(profile["economic"]["income_bracket"], "5L-10L");
        assert_eq!(profile["demographics"]["residency_years"], 6);
        assert_eq!(profile["demographics"]["state"], "karnataka");
        assert_eq!(profile["eligibility"]["total_eligible"], 2);
        assert_eq!(profile["eligibility"]["total_applied"], 2);
        assert_eq!(profile["eligibility"]["total_active"], 0);
        assert_eq!(profile["eligibility"]["potential_annual_benefit_inr"], 6000);
        assert_eq!(profile["deadlines"]["upcoming"][0]["deadline_id"], "dl_itr_2026");
        assert_eq!(profile["deadlines"]["completed_last_90d"], 1);
        assert_eq!(profile["profile_completeness_pct"], 100);
        assert_eq!(profile["trust"]["data_freshness_hours"], 252.5);
        assert_eq!(profile["consent"]["consent_updated_at"], "2026-01-01T00:00:00Z");
        assert_eq!(profile["risk_scores"]["overall"], 0.2);
        let seen = server.get(&profile_path(USER), Token::service("profile:read")).json();
        assert!(seen["eligibility"].is_object() && seen["demographics"]["state"].is_string());
        assert!(seen["demographics"].get("pincode").is_none() && seen["family"].get("dependents").is_none());
        assert!(seen.get("deadlines").is_none());
    }
}

fn served() -> TestServer {
    let server = start_server();
    server.post_example();
    server
}

#[test]
fn a_read_carries_the_headers_of_the_contract_and_no_others() {
    let server = served();
    let own = server.own_profile(USER);
    let names: Vec<_> = own.headers.keys().map(String::as_str).collect();
    let expected = [
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "date",
        "etag",
        "ratelimit",
        "ratelimit-policy",
        "server-timing",
        "vary",
        "x-cache",
        "x-content-type-options",
        "x-profile-revision",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(own.header("cache-control"), "private, no-cache");
    assert_eq!(own.header("vary"), "Accept, Accept-Encoding, Authorization");
    assert_eq!(own.header("content-type"), "application/vnd.civic.profile+json;version=2.0");
    assert_eq!(own.header("x-profile-revision"), own.json()["revision"].to_string());
    assert_eq!(server.own_profile(USER).header("x-cache"), "hit");

    let service = server.get(&profile_path(USER), Token::service("profile:read"));
    assert!(!service.headers.contains_key("x-cache") && !service.headers.contains_key("server-timing"), "{service:?}");
}

#[test]
fn head_is_get_without_its_body() {
    let server = served();
    let token = server.sign(Token::service("profile:read"));
    let get = server.send(Request::new("GET", profile_path(USER)).bearer(&token));
    let head = server.send(Request::new("HEAD", profile_path(USER)).bearer(&token));
    assert!(head.body.is_empty());
    let kept = |answer: &Response| {
        let mut headers = answer.headers.clone();
        // These differ from one call to the next.
        for name in ["x-request-id", "date", "ratelimit"] {
            headers.remove(name);
        }
        (answer.status, headers)
    };
    assert_eq!(kept(&head), kept(&get));
}

#[test]
fn an_unchanged_view_is_not_sent_again() {
    let server = served();
    let token = server.sign(Token::citizen(USER));
    let ask =
        |tag: &str, path: &str| server.send(Request::new("GET", path).bearer(&token).header("if-none-match", tag));
    for path in [profile_path(USER), format!("{}?fields=identity", profile_path(USER))] {
        let tag = ask("\"none\"", &path).header("etag").to_owned();
        let same = ask(&format!("\"other\", {tag}"), &path);
        assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, tag.as_str()));
        assert!(same.headers.contains_key("x-profile-revision") && same.headers.contains_key("cache-control"));
        assert_eq!(ask("*", &path).status, 304);
    }
    let before = server.own_profile(USER).header("etag").to_owned();
    server.consent(USER, &json!({"analytics_opt_in": false}));
    let after = ask(&before, &profile_path(USER));
    assert_eq!(after.status, 200, "a new revision is a new tag");
    assert_ne!(after.header("etag"), before);
}

#[test]
fn a_sparse_view_holds_the_envelope_what_was_asked_for_and_meta() {
    let server = served();
    let whole = server.own_profile(USER).json();
    let path = format!("{}?fields=eligibility,deadlines.upcoming,nonsense,identity.nothing", profile_path(USER));
    let own = server.get(&path, Token::citizen(USER));
    let mut expected = serde_json::Map::new();
    for member in [
        "assembly_latency_ms",
        "generated_at",
        "profile_hash",
        "profile_id",
        "revision",
        "schema_version",
        "eligibility",
    ] {
        expected.insert(member.to_owned(), whole[member].clone());
    }
    expected.insert("deadlines".to_owned(), json!({"upcoming": whole["deadlines"]["upcoming"]}));
    let included: Vec<_> =
        whole["eligibility"].as_object().unwrap().keys().map(|name| format!("eligibility.{name}")).collect();
    let mut names = vec!["deadlines.upcoming".to_owned()];
    names.extend(included);
    expected.insert(
        "_meta".to_owned(),
        json!({"assembly_latency_ms": whole["assembly_latency_ms"], "cache_hit": true, "fields_included": names}),
    );
    assert_eq!(own.json(), Value::Object(expected));
    assert!(own.header("etag").starts_with("W/\"e"), "bytes may differ by `cache_hit`");

    let service = server.get(&path, Token::service("profile:read"));
    assert!(service.header("etag").starts_with("\"e"));
    assert!(service.json()["_meta"].get("cache_hit").is_none());
    assert!(service.json().get("deadlines").is_none());
}

#[test]
fn what_is_not_served_is_not_acceptable_and_says_what_is() {
    let server = served();
    let token = server.sign(Token::citizen(USER));
    let ask = |accept: &str, query: &str| {
        server
            .send(Request::new("GET", format!("{}{query}", profile_path(USER))).bearer(&token).header("accept", accept))
    };
    for (accept, query) in
        [("application/vnd.civic.profile+json;version=3.0", ""), ("text/html", ""), ("*/*", "?schema_version=3.0")]
    {
        let answer = ask(accept, query);
        assert_eq!((answer.status, answer.problem().as_str()), (406, "not-acceptable"));
        assert_eq!(answer.json()["served"], json!(["2.0", "1.0"]));
    }
    assert_eq!(ask("application/vnd.civic.profile+json;version=2.0", "?schema_version=2.0").status, 200);
}

#[test]
fn an_unknown_method_or_address_is_answered_with_a_problem() {
    let server = start_server();
    let put = server.send(Request::new("PUT", profile_path(USER)));
    assert_eq!((put.status, put.problem().as_str()), (405, "method-not-allowed"));
    assert_eq!(put.header("allow"), "GET, HEAD, DELETE, OPTIONS");
    let options = server.send(Request::new("OPTIONS", "/api/v2/feeds/identity"));
    assert_eq!((options.status, options.header("allow")), (204, "POST, OPTIONS"));
    for path in ["/api/v2", "/api/v2/profile", "/api/v2/profile/x/y", "/metrics", "/version"] {
        let answer = server.send(Request::new("GET", path));
        assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-resource"), "{path}");
        assert_eq!(answer.json()["instance"], path);
    }
}

#[test]
fn a_request_id_of_the_caller_is_kept() {
    let server = start_server();
    let answer = server.send(Request::new("GET", "/nope").header("x-request-id", "trace-7"));
    assert_eq!((answer.header("x-request-id"), answer.problem().as_str()), ("trace-7", "unknown-resource"));
    let made = server.send(Request::new("GET", "/nope").header("x-request-id", "a b"));
    assert!(made.header("x-request-id").len() > 20);
}

#[test]
fn health_version_and_metrics_stand_where_they_should() {
    let server = served();
    for address in [server.listen, server.admin_listen] {
        for path in ["/health/live", "/health/ready"] {
            let answer = Request::new("GET", path).send(address);
            assert_eq!((answer.status, answer.text()), (200, "ok\n"));
        }
    }
    let version = Request::new("GET", "/version").send(server.admin_listen).json();
    assert_eq!((&version["name"], &version["schema_versions"]), (&json!("profile-server"), &json!(["2.0", "1.0"])));
    server.own_profile(USER);
    assert!(server.metric("profile_http_requests_total{route=\"profile\",method=\"GET\",status=\"200\"}") >= 1.0);
    assert_eq!(server.metric("profile_feed_events_total{source=\"identity\",status=\"applied\"}"), 1.0);
    assert!(server.metric("process_resident_memory_bytes") > 1e6);
    let metrics = Request::new("GET", "/metrics").send(server.admin_listen);
    assert!(!metrics.text().contains("usr_"), "no user id is a label");
}

#[test]
fn pages_of_a_configured_origin_may_call_and_others_may_not() {
    let server = start_server_with("[http]\ncors_origins = [\"https://dashboard.example.in\"]");
    server.post_example();
    let token = server.sign(Token::citizen(USER));
    let ask = |method, origin: &str| {
        let request = Request::new(method, profile_path(USER)).header("origin", origin);
        server.send(request.header("access-control-request-method", "GET"))
    };
    let preflight = ask("OPTIONS", "https://dashboard.example.in");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://dashboard.example.in");
    assert_eq!(preflight.header("access-control-allow-methods"), "GET, HEAD, DELETE, OPTIONS");
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
    for origin in ["https://example.in", "null", "https://dashboard.example.in.evil.example"] {
        assert!(!ask("OPTIONS", origin).headers.contains_key("access-control-allow-origin"), "{origin}");
    }
    let request =
        Request::new("GET", profile_path(USER)).bearer(&token).header("origin", "https://dashboard.example.in");
    let read = server.send(request);
    assert_eq!((read.status, read.header("access-control-allow-origin")), (200, "https://dashboard.example.in"));
    assert!(read.header("access-control-expose-headers").contains("etag"));
}

#[test]
fn a_whole_profile_is_encoded_as_the_caller_prefers_and_its_parts_are_not() {
    let server = served();
    let read = |rest: &str, accepted: &str, tag: Option<&str>| {
        let token = server.sign(Token::citizen(USER));
        let request = Request::new("GET", profile_path(USER) + rest).bearer(&token).header("accept-encoding", accepted);
        server.send(match tag {
            Some(tag) => request.header("if-none-match", tag),
            None => request,
        })
    };
    let plain = read("", "identity", None);
    assert!(!plain.headers.contains_key("content-encoding"), "{plain:?}");
    let mut tags = vec![plain.header("etag").to_owned()];
    for coding in ["zstd", "br", "gzip"] {
        for _ in 0..2 {
            let answer = read("", coding, None);
            assert_eq!((answer.status, answer.header("content-encoding")), (200, coding));
            assert_eq!(answer.header("content-length"), answer.body.len().to_string());
            assert!(answer.body.len() < plain.body.len());
            let mut decoded = Vec::new();
            match coding {
                "zstd" => decoded = zstd::decode_all(&*answer.body).unwrap(),
                "br" => brotli::BrotliDecompress(&mut &*answer.body, &mut decoded).unwrap(),
                _ => std::io::copy(&mut flate2::read::GzDecoder::new(&*answer.body), &mut decoded).map(drop).unwrap(),
            }
            assert_eq!(decoded, plain.body);
            let unchanged = read("", coding, Some(answer.header("etag")));
            assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
        }
        tags.push(read("", coding, None).header("etag").to_owned());
        let sparse = read("?fields=demographics", coding, None);
        assert!(!sparse.headers.contains_key("content-encoding"), "{sparse:?}");
    }
    let count = tags.len();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), count, "each coding has a tag of its own");
}
