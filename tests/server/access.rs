//! Access: every reading route, for every caller and every consent, compared with access.toml.
//!
//! The expected view is computed here from the table's text and the citizen's own view, by removing members of a
//! JSON value. It shares no code with the masks of the server.

use std::collections::BTreeSet;

use domain::table::{FIELDS, Weight};
use serde_json::{Map, Value, json};

use crate::http::{Request, Response};
use crate::test_server::{TestServer, USER, profile_path, start_server};
use crate::token::Token;

const OTHER: &str = "usr_SomebodyElse01";
const ENVELOPE: [&str; 6] =
    ["assembly_latency_ms", "generated_at", "profile_hash", "profile_id", "revision", "schema_version"];

/// A caller, and the rows of the table that apply to it; `None` if the profile is hidden from it.
struct Reader {
    name: &'static str,
    token: Token,
    rows: Option<&'static [&'static str]>,
    /// Whether the caller sees only users who consent to third-party sharing.
    third_party: bool,
    /// The sections that the caller's scopes select, if they narrow the view.
    sections: Option<&'static [&'static str]>,
}

fn readers() -> Vec<Reader> {
    let reader = |name, token, rows| Reader { name, token, rows, third_party: false, sections: None };
    let service = |name, scope, rows| reader(name, Token::service(scope), rows);
    let agent = |name, user: &str, scope, sections| Reader {
        sections: Some(sections),
        ..reader(name, Token::new("agent", "agt:helper", scope).with("act", json!({"sub": user})), Some(&["agent"]))
    };
    const READ: &[&str] = &["service.profile:read"];
    const CONTEXT: &[&str] = &["service.profile:read", "service.ai_context"];
    vec![
        reader("the citizen", Token::citizen(USER), Some(&["self"])),
        reader("another citizen", Token::citizen(OTHER), None),
        service("a service without scopes", "", None),
        service("an engine", "feed:identity live:many third_party ai_context", None),
        service("a reading service", "profile:read", Some(READ)),
        service("the prediction engine", "profile:read ai_context", Some(CONTEXT)),
        Reader { third_party: true, ..service("a third party", "profile:read third_party", Some(READ)) },
        Reader {
            third_party: true,
            ..service("a third party with context", "third_party ai_context profile:read", Some(CONTEXT))
        },
        reader("a reading admin", Token::new("admin", "adm:root", "profile:read"), Some(&["admin.profile:read"])),
        reader("an operating admin", Token::new("admin", "adm:root", "operate"), None),
        reader("an auditor", Token::new("auditor", "aud:one", "profile:read"), None),
        agent("an agent without sections", USER, "", &[]),
        agent(
            "an agent",
            USER,
            "section:eligibility section:cohort_tags section:nonsense",
            &["eligibility", "cohort_tags"],
        ),
        Reader { rows: None, ..agent("an agent of somebody else", OTHER, "section:eligibility", &["eligibility"]) },
    ]
}

/// A consent; `None` if no consent is on record.
struct Consent {
    level: Option<&'static str>,
    third_party_sharing: Option<bool>,
}

const CONSENTS: [Consent; 7] = [
    Consent { level: None, third_party_sharing: None },
    Consent { level: None, third_party_sharing: Some(true) },
    Consent { level: Some("minimal"), third_party_sharing: Some(false) },
    Consent { level: Some("standard"), third_party_sharing: Some(false) },
    Consent { level: Some("standard"), third_party_sharing: Some(true) },
    Consent { level: Some("full"), third_party_sharing: Some(true) },
    Consent { level: Some("full"), third_party_sharing: Some(false) },
];

/// Returns the paths that a row shows at a level, including those of the levels below.
fn paths(table: &toml::Value, row: &str, level: &str) -> BTreeSet<String> {
    let row = row.split('.').fold(table, |table, name| &table[name]);
    let columns = ["minimal", "standard", "full"];
    let reached = columns.iter().position(|column| *column == level).unwrap();
    let cells = columns[..=reached].iter().flat_map(|column| row[*column].as_array().unwrap());
    cells.map(|path| path.as_str().unwrap().to_owned()).collect()
}

/// Returns whether `paths` show the leaf `path`.
fn shows(paths: &BTreeSet<String>, path: &str) -> bool {
    let section = format!("{}.*", path.split('.').next().unwrap());
    ["*", path, section.as_str()].iter().any(|shown| paths.contains(*shown))
}

/// Returns `whole` with only the leaves that `keep` accepts, without empty sections.
fn filtered(whole: &Value, keep: impl Fn(&str) -> bool) -> Map<String, Value> {
    let mut kept = Map::new();
    for (member, value) in whole.as_object().unwrap() {
        let is_section = value.is_object();
        if ENVELOPE.contains(&member.as_str()) || (!is_section && keep(member)) {
            kept.insert(member.clone(), value.clone());
        } else if is_section {
            let fields = value.as_object().unwrap().iter().filter(|(name, _)| keep(&format!("{member}.{name}")));
            let fields: Map<_, _> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
            if !fields.is_empty() {
                kept.insert(member.clone(), fields.into());
            }
        }
    }
    kept
}

impl Reader {
    /// Returns what the reader must see of `whole` by the table, or `None` if the profile must be hidden.
    fn expected(&self, table: &toml::Value, whole: &Value, consent: &Consent) -> Option<Map<String, Value>> {
        let rows = self.rows?;
        if self.third_party && consent.third_party_sharing != Some(true) {
            return None;
        }
        let level = consent.level.unwrap_or("minimal");
        let shown = rows.iter().flat_map(|row| paths(table, row, level)).collect();
        let in_sections =
            |path: &str| self.sections.is_none_or(|sections| sections.contains(&path.split('.').next().unwrap()));
        Some(filtered(whole, |path| shows(&shown, path) && in_sections(path)))
    }

    fn ask(&self, server: &TestServer, method: &'static str, path: &str) -> Response {
        let request = Request::new(method, path).bearer(&server.sign(self.token.clone()));
        server.send(if self.name.contains("admin") { request.header("x-access-reason", "a test") } else { request })
    }
}

/// Starts a server with the example citizen at `consent`.
fn served(consent: &Consent) -> TestServer {
    let server = start_server();
    for (source, event) in crate::test_server::example().into_iter().filter(|(source, _)| source != "consent") {
        server.apply(&source, &event);
    }
    let mut body = Map::new();
    if let Some(level) = consent.level {
        body.insert("data_sharing_level".to_owned(), level.into());
    }
    if let Some(shared) = consent.third_party_sharing {
        body.insert("third_party_sharing".to_owned(), shared.into());
    }
    if !body.is_empty() {
        server.consent(USER, &body.into());
    }
    server
}

#[test]
fn every_route_shows_each_caller_at_each_consent_what_the_table_says_byte_for_byte() {
    let table: toml::Value = toml::from_str(include_str!("../../config/access.toml")).unwrap();
    for consent in &CONSENTS {
        let server = served(consent);
        let whole = server.own_profile(USER).json();
        for reader in readers() {
            let expected = reader.expected(&table, &whole, consent);
            let case = format!("{} at {:?}, sharing {:?}", reader.name, consent.level, consent.third_party_sharing);
            match &expected {
                Some(expected) => sees(&server, &reader, expected, &whole, &case),
                None => sees_nobody(&server, &reader, &case),
            }
        }
    }
}

/// Checks GET, HEAD, sparse views, their `_meta` and ETags, and completeness.
#[track_caller]
fn sees(server: &TestServer, reader: &Reader, expected: &Map<String, Value>, whole: &Value, case: &str) {
    let get = reader.ask(server, "GET", &profile_path(USER));
    let canonical = serde_json_canonicalizer::to_vec(&Value::Object(expected.clone())).unwrap();
    assert_eq!(get.text(), std::str::from_utf8(&canonical).unwrap(), "{case}");
    let head = reader.ask(server, "HEAD", &profile_path(USER));
    assert_eq!((head.status, head.header("etag")), (200, get.header("etag")), "{case}");

    // Selecting every field shows no more, and reveals no other name.
    let sections: Vec<_> = whole.as_object().unwrap().keys().map(String::as_str).collect();
    for fields in ["identity.display_name,consent", "nonsense", "demographics,deadlines.overdue", &sections.join(",")] {
        let sparse = reader.ask(server, "GET", &format!("{}?fields={fields}", profile_path(USER)));
        let asked: BTreeSet<_> = fields.split(',').collect();
        let wanted = |path: &str| asked.contains(path) || asked.contains(path.split('.').next().unwrap());
        let mut view = filtered(&Value::Object(expected.clone()), wanted);
        let mut meta = json!({"assembly_latency_ms": whole["assembly_latency_ms"], "fields_included": leaves(&view)});
        if reader.name == "the citizen" || reader.name.contains("admin") {
            meta["cache_hit"] = true.into();
        }
        view.insert("_meta".to_owned(), meta);
        let canonical = serde_json_canonicalizer::to_vec(&Value::Object(view)).unwrap();
        assert_eq!(sparse.text(), std::str::from_utf8(&canonical).unwrap(), "{case}, fields={fields}");
    }

    let completeness = reader.ask(server, "GET", &format!("{}/completeness", profile_path(USER)));
    if !expected.contains_key("profile_completeness_pct") {
        assert_eq!((completeness.status, completeness.problem().as_str()), (404, "unknown-user"), "{case}");
        return;
    }
    assert_eq!(completeness.json()["pct"], whole["profile_completeness_pct"], "{case}");
}

/// Returns the dotted paths of a view, in the order of the document.
fn leaves(view: &Map<String, Value>) -> Vec<String> {
    let mut leaves = Vec::new();
    for (member, value) in view.iter().filter(|(member, _)| !ENVELOPE.contains(&member.as_str())) {
        match value.as_object() {
            Some(fields) => leaves.extend(fields.keys().map(|name| format!("{member}.{name}"))),
            None => leaves.push(member.clone()),
        }
    }
    leaves
}

/// Checks that every route answers with the same 404 as for a user who does not exist.
#[track_caller]
fn sees_nobody(server: &TestServer, reader: &Reader, case: &str) {
    for tail in [
        "",
        "?fields=identity",
        "/completeness",
        "?revision=1",
        "?revision=9999",
        "/history",
        "/delta?since=1",
        "/diff?from=1&to=2",
    ] {
        let hidden = reader.ask(server, "GET", &format!("{}{tail}", profile_path(USER)));
        let unknown = reader.ask(server, "GET", &format!("{}{tail}", profile_path("usr_NobodyAtAll000")));
        assert_eq!((hidden.status, hidden.problem().as_str()), (404, "unknown-user"), "{case}");
        assert_eq!(without_names(&hidden), without_names(&unknown), "{case}");
    }
}

/// Returns an answer without the members that identify the request.
fn without_names(answer: &Response) -> (u16, Vec<(String, String)>, Value) {
    let mut problem = answer.json();
    for member in ["instance", "request_id"] {
        problem[member].take();
    }
    // What is left of the limit is one call less at each call.
    let named = ["x-request-id", "date", "content-length", "ratelimit"];
    let headers = answer.headers.clone().into_iter().filter(|(name, _)| !named.contains(&name.as_str())).collect();
    (answer.status, headers, problem)
}

#[test]
fn completeness_names_only_what_its_reader_may_see() {
    let table: toml::Value = toml::from_str(include_str!("../../config/access.toml")).unwrap();
    let server = start_server();
    let (source, event) = crate::test_server::example().swap_remove(0);
    server.apply(&source, &event);
    server.consent(USER, &json!({"data_sharing_level": "full", "third_party_sharing": true}));
    let present = leaves(server.own_profile(USER).json().as_object().unwrap());
    let counted = FIELDS.iter().filter(|field| field.weight != Weight::None).map(|field| field.path);
    let missing: BTreeSet<_> = counted.filter(|path| !present.iter().any(|there| there == path)).collect();
    assert!(missing.len() > 10 && missing.contains("family.dependents"), "{missing:?}");
    for reader in readers() {
        let Some(rows) = reader.rows else { continue };
        let shown = rows.iter().flat_map(|row| paths(&table, row, "full")).collect();
        let visible = |path: &str| {
            let in_sections = |sections: &[&str]| sections.contains(&path.split('.').next().unwrap());
            shows(&shown, path) && reader.sections.is_none_or(in_sections)
        };
        let answer = reader.ask(&server, "GET", &format!("{}/completeness", profile_path(USER)));
        if !visible("profile_completeness_pct") {
            assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-user"), "{}", reader.name);
            continue;
        }
        let answer = answer.json();
        let named = answer["missing_fields"].as_array().unwrap().iter().map(|field| field["path"].as_str().unwrap());
        let expected: BTreeSet<_> = missing.iter().copied().filter(|path| visible(path)).collect();
        assert_eq!(named.collect::<BTreeSet<_>>(), expected, "{}", reader.name);
        // Missing fields are ordered by value: many schemes require the income, none the years of residency.
        let fields = answer["missing_fields"].as_array().unwrap().iter();
        let value = |field: &Value| {
            let importance =
                ["nice_to_have", "optional", "critical"].iter().position(|name| field["importance"] == *name);
            (importance.unwrap(), field["schemes_waiting"].as_u64().unwrap())
        };
        assert!(fields.clone().map(value).is_sorted_by(|first, second| first >= second), "{answer}");
        let waiting = |path: &str| fields.clone().find(|field| field["path"] == path).map(|field| value(field).1);
        assert!(waiting("economic.income_bracket").is_none_or(|schemes| schemes > 5), "{answer}");
        assert!(waiting("demographics.residency_years").is_none_or(|schemes| schemes == 0), "{answer}");
        let sections: BTreeSet<_> = answer["sections"].as_object().unwrap().keys().map(String::as_str).collect();
        let counted = FIELDS.iter().filter(|field| field.weight != Weight::None && visible(field.path));
        assert_eq!(sections, counted.map(|field| field.member.name()).collect(), "{}", reader.name);
    }
}

#[test]
fn equal_masks_share_an_etag_and_different_ones_do_not() {
    let server = served(&Consent { level: Some("standard"), third_party_sharing: None });
    let tag = |reader: &Reader| reader.ask(&server, "GET", &profile_path(USER)).header("etag").to_owned();
    let all = readers();
    let of = |name: &str| tag(all.iter().find(|reader| reader.name == name).unwrap());
    assert_eq!(of("the citizen"), of("a reading admin"));
    let different: BTreeSet<_> =
        ["the citizen", "a reading service", "the prediction engine", "an agent"].map(of).into();
    assert_eq!(different.len(), 4);
}

#[test]
fn only_the_citizen_changes_the_consent() {
    let server = served(&Consent { level: Some("standard"), third_party_sharing: None });
    let before = server.own_profile(USER);
    let path = format!("{}/consent", profile_path(USER));
    for reader in readers().into_iter().filter(|reader| reader.name != "the citizen") {
        let request = Request::new("PUT", &path).bearer(&server.sign(reader.token.clone()));
        let answer = server.send(request.body("application/json", r#"{"data_sharing_level":"full"}"#));
        assert_eq!((answer.status, answer.problem().as_str()), (404, "unknown-user"), "{}", reader.name);
    }
    assert_eq!(server.own_profile(USER).body, before.body);
}

#[test]
fn a_withdrawal_holds_from_the_very_next_read() {
    let server = served(&Consent { level: Some("full"), third_party_sharing: Some(true) });
    let read = || server.get(&profile_path(USER), Token::service("profile:read third_party"));
    assert!(read().json().get("deadlines").is_some());
    for (level, seen) in [("minimal", false), ("full", true), ("standard", false)] {
        server.consent(USER, &json!({"data_sharing_level": level}));
        assert_eq!(read().json().get("deadlines").is_some(), seen, "{level}");
    }
    server.consent(USER, &json!({"third_party_sharing": false}));
    assert_eq!(read().status, 404);
}

#[test]
fn an_administrator_must_say_why() {
    let server = served(&CONSENTS[0]);
    for user in [USER, "usr_NobodyAtAll000"] {
        for tail in ["", "/completeness"] {
            let answer =
                server.get(&format!("{}{tail}", profile_path(user)), Token::new("admin", "adm:root", "profile:read"));
            assert_eq!((answer.status, answer.problem().as_str()), (400, "access-reason-missing"), "{user}{tail}");
        }
    }
}

#[test]
fn a_change_of_the_table_is_picked_up_without_a_restart() {
    let server = served(&Consent { level: Some("minimal"), third_party_sharing: None });
    let read = || server.get(&profile_path(USER), Token::service("profile:read"));
    assert!(read().json().get("family").is_none());
    let before = read().header("etag").to_owned();
    let text = include_str!("../../config/access.toml");
    let changed = text.replacen("\"identity.age_bracket\"]", "\"identity.age_bracket\", \"family.*\"]", 1);
    std::fs::write(server.data_dir.path().join("access.toml"), changed).unwrap();
    crate::test_server::eventually("the new table holds", || read().json().get("family").is_some());
    assert_ne!(read().header("etag"), before);
    std::fs::write(server.data_dir.path().join("access.toml"), "[self]").unwrap();
    crate::test_server::eventually("the fault is reported", || server.log().contains("the table in use is kept"));
    assert!(read().json().get("family").is_some());

    // Removing the file does not restore the access that it had withdrawn.
    let stricter = text.replacen("\"demographics.state\", ", "", 1);
    std::fs::write(server.data_dir.path().join("access.toml"), stricter).unwrap();
    crate::test_server::eventually("the stricter table holds", || read().json().get("demographics").is_none());
    std::fs::remove_file(server.data_dir.path().join("access.toml")).unwrap();
    crate::test_server::eventually("its absence is reported", || server.log().contains("was removed"));
    assert!(read().json().get("demographics").is_none());
}

/// Returns the members that a difference leads to from `view`.
#[track_caller]
fn patched(view: &Map<String, Value>, operations: &Value, case: &str) -> Value {
    let operations: json_patch::Patch = serde_json::from_value(operations.clone()).unwrap();
    let mut view = Value::Object(view.clone());
    json_patch::patch(&mut view, &operations).unwrap_or_else(|error| panic!("{case}: {error}: {operations}"));
    view
}

#[test]
fn the_past_shows_each_caller_what_the_table_says_at_todays_consent_and_differences_lead_from_view_to_view() {
    let table: toml::Value = toml::from_str(include_str!("../../config/access.toml")).unwrap();
    for consent in &CONSENTS {
        let server = served(consent);
        let newest = server.own_profile(USER).json()["revision"].as_u64().unwrap();
        let own_past = |revision: u64| {
            let path = format!("{}?revision={revision}", profile_path(USER));
            server.get(&path, Token::citizen(USER)).json()
        };
        let pasts: Vec<Value> = (1..=newest).map(own_past).collect();
        assert_eq!(pasts.last(), Some(&server.own_profile(USER).json()));
        for reader in readers() {
            let case = format!("{} at {:?}, sharing {:?}", reader.name, consent.level, consent.third_party_sharing);
            let views: Option<Vec<_>> = pasts.iter().map(|past| reader.expected(&table, past, consent)).collect();
            let Some(views) = views else { continue };
            for (revision, view) in (1..).zip(&views) {
                let read = reader.ask(&server, "GET", &format!("{}?revision={revision}", profile_path(USER)));
                let canonical = serde_json_canonicalizer::to_vec(view).unwrap();
                assert_eq!(read.text(), std::str::from_utf8(&canonical).unwrap(), "{case}, revision {revision}");
            }
            let view = |revision: u64| &views[revision as usize - 1];
            for (from, to) in [(1, newest), (newest, 1), (newest / 2, newest - 1), (3, 3), (newest, newest)] {
                let path = format!("{}/diff?from={from}&to={to}", profile_path(USER));
                let diff = reader.ask(&server, "GET", &path).json();
                assert_eq!(patched(view(from), &diff["operations"], &case), Value::Object(view(to).clone()), "{case}");
                assert_eq!(diff["operations"] == json!([]), from == to, "{case}: {diff}");
                let delta = reader.ask(&server, "GET", &format!("{}/delta?since={from}", profile_path(USER))).json();
                let patched = patched(view(from), &delta["operations"], &case);
                assert_eq!(patched, Value::Object(view(newest).clone()), "{case}");
            }
            let visible: BTreeSet<_> = views.iter().flat_map(leaves).collect();
            let history = reader.ask(&server, "GET", &format!("{}/history", profile_path(USER))).json();
            for item in history["items"].as_array().unwrap() {
                let named = item["changed"].as_array().unwrap();
                assert!(named.iter().all(|path| visible.contains(path.as_str().unwrap())), "{case}: {item}");
                let is_whole = reader.name == "the citizen" || reader.name.contains("admin");
                assert_eq!(item["cause"]["event_id"].is_string(), is_whole, "{case}: {item}");
                assert!(is_whole || !named.is_empty() || item.get("cause").is_none(), "{case}: {item}");
            }
        }
    }
}
