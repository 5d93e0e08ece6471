//! The audit log over HTTP: what is recorded, who may read it, and that it can be proved.

use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::{Request, Response};
use crate::test_server::{PROGRAM, TestServer, USER, eventually, profile_path, start_on, start_server};
use crate::token::Token;

const REASON: &str = "complaint 42 of Rajesh";

fn auditor() -> Token {
    Token::new("auditor", "aud:one", "")
}

fn admin() -> Token {
    Token::new("admin", "adm:asha", "profile:read")
}

fn read_as_admin(server: &TestServer) -> Response {
    let request = Request::new("GET", profile_path(USER)).bearer(&server.sign(admin()));
    server.send(request.header("x-access-reason", REASON).header("x-purpose", "support"))
}

/// Returns the entries of a page.
#[track_caller]
fn entries(answer: &Response) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let page = answer.json();
    page["entries"].as_array().expect("entries").iter().map(|entry| entry["entry"].clone()).collect()
}

#[track_caller]
fn audit(server: &TestServer, query: &str) -> Vec<Value> {
    entries(&server.get(&format!("/api/v2/audit{query}"), auditor()))
}

fn verify(server: &TestServer, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("verify-audit").arg("--data-dir").arg(server.data_dir.path()).args(arguments);
    command.output().expect("the command")
}

fn hash(prefix: u8, parts: &[&[u8]]) -> Vec<u8> {
    let start = Sha256::new_with_prefix([prefix]);
    parts.iter().fold(start, |hash, part| hash.chain_update(part)).finalize().to_vec()
}

/// Returns the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2).
fn root(line: &str, mut leaf: u64, size: u64, proof: &[Vec<u8>]) -> Vec<u8> {
    let (mut hashed, mut last) = (hash(0, &[line.as_bytes()]), size - 1);
    for other in proof {
        if leaf & 1 == 1 || leaf == last {
            hashed = hash(1, &[other, &hashed]);
            while leaf & 1 == 0 && leaf != 0 {
                (leaf, last) = (leaf >> 1, last >> 1);
            }
        } else {
            hashed = hash(1, &[&hashed, other]);
        }
        (leaf, last) = (leaf >> 1, last >> 1);
    }
    hashed
}

#[test]
fn an_administrators_read_is_recorded_before_it_is_answered_and_can_be_proved() {
    let server = start_server();
    server.post_example();
    for count in 1..=3 {
        assert_eq!(read_as_admin(&server).status, 200);
        assert_eq!(audit(&server, "?category=compliance").len(), count);
    }
    let entry = &audit(&server, "?actor=adm:asha&action=profile.read")[0];
    assert_eq!((&entry["reason"], &entry["purpose"]), (&json!(REASON), &json!("support")));
    assert_eq!((&entry["decision"], &entry["category"]), (&json!("allowed"), &json!("compliance")));
    assert!(entry["fields"].as_array().expect("fields").contains(&json!("identity.display_name")), "{entry}");
    let answer = server.get("/api/v2/audit", auditor());
    assert!(!answer.text().contains(USER) && answer.header("cache-control") == "no-store");

    let page = answer.json();
    let (head, size) = (&page["tree_head"], page["tree_head"]["size"].as_u64().expect("a size"));
    for entry in page["entries"].as_array().expect("entries") {
        let decode = |hash: &Value| hex::decode(hash.as_str().expect("text")).expect("hex");
        let proof: Vec<_> = entry["inclusion"].as_array().expect("a proof").iter().map(decode).collect();
        let line = serde_json_canonicalizer::to_string(&entry["entry"]).expect("JSON");
        let found = root(&line, entry["leaf"].as_u64().expect("a leaf"), size, &proof);
        assert_eq!(hex::encode(found), head["root"].as_str().expect("a root"));
    }
}

#[test]
fn citizens_see_who_read_their_profile_and_nobody_else_sees_anything() {
    let server = start_server();
    server.post_example();
    read_as_admin(&server);
    let service = Token::service("profile:read");
    assert_eq!(server.get(&profile_path(USER), service.clone()).status, 200);
    let path = format!("{}/access-log", profile_path(USER));
    let seen = entries(&server.get(&path, Token::citizen(USER)));
    let actors: Vec<_> = seen.iter().map(|entry| entry["actor"].as_str().expect("an actor")).collect();
    assert_eq!(actors, ["svc:test", "adm:asha"]);
    assert_eq!(entries(&server.get("/api/v2/audit", Token::citizen(USER))), seen);

    let other = "usr_SomebodyElse01";
    assert!(entries(&server.get("/api/v2/audit", Token::citizen(other))).is_empty());
    let of_subject = format!("/api/v2/audit?subject={USER}&actor=adm:asha");
    assert!(entries(&server.get(&of_subject, Token::citizen(other))).is_empty(), "the filter is not theirs");
    assert_eq!(audit(&server, &format!("?subject={USER}")).len(), 2);
    for token in [Token::citizen(other), service.clone(), admin(), auditor()] {
        assert_eq!(server.get(&path, token).status, 404);
    }
    let addresses = ["", "/tree-head", "/inclusion?leaf=0&size=1", "/consistency?from=0&to=1"];
    for token in [service, admin(), Token::new("agent", "agt:x", "").with("act", json!({"sub": USER}))] {
        for address in addresses {
            assert_eq!(server.get(&format!("/api/v2/audit{address}"), token.clone()).status, 403, "{address}");
        }
    }
    for address in addresses {
        assert_eq!(server.send(Request::new("GET", format!("/api/v2/audit{address}"))).status, 401, "{address}");
    }
    for bad in ["?limit=0", "?category=x", "/inclusion", "/inclusion?leaf=5&size=3", "/consistency?from=9&to=99"] {
        assert_eq!(server.get(&format!("/api/v2/audit{bad}"), auditor()).status, 400, "{bad}");
    }
}

#[test]
fn reads_of_services_are_counted_by_the_hour() {
    let server = start_server();
    server.post_example();
    for _ in 0..50 {
        assert_eq!(server.get(&profile_path(USER), Token::service("profile:read")).status, 200);
    }
    let entries = audit(&server, "?category=operations");
    assert_eq!(entries.len(), 1, "{entries:?}");
    let (status, data_dir) = server.terminate();
    assert!(status.success());
    let server = start_on(data_dir);
    let entries = audit(&server, "?category=operations");
    assert_eq!((entries.len(), &entries[0]["count"]), (2, &json!(50)), "{entries:?}");
}

#[test]
fn changes_of_consent_are_recorded_with_a_hash_of_the_citizen() {
    let server = start_server();
    server.post_example();
    let consent = json!({"data_sharing_level": "minimal", "analytics_opt_in": false, "third_party_sharing": false});
    server.consent(USER, &consent);
    let entries = audit(&server, "?action=consent.update");
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    let actor = entry["actor"].as_str().expect("an actor");
    assert_eq!(actor, format!("user:{}", entry["subject"].as_str().expect("a subject")));
    assert_eq!(audit(&server, &format!("?actor={USER}")).len(), 1);
}

#[test]
fn failed_authentication_is_recorded_once_a_minute() {
    let server = start_server();
    for _ in 0..20 {
        let answer = server.send(Request::new("GET", profile_path(USER)).bearer("nonsense"));
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
    }
    let entries = audit(&server, "?category=security");
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((&entry["actor"], &entry["address"]), (&json!("anonymous"), &json!("127.0.0.1")));
    eventually("the counter follows", || server.metric("profile_audit_entries_total{category=\"security\"}") >= 1.0);
}

#[test]
fn pages_continue_and_trees_are_consistent() {
    let server = start_server();
    server.post_example();
    let mut sizes = Vec::new();
    for _ in 0..5 {
        read_as_admin(&server);
        let head = server.get("/api/v2/audit/tree-head", auditor()).json();
        sizes.push(head["tree_head"]["size"].as_u64().expect("a size"));
    }
    assert_eq!(sizes, [1, 2, 3, 4, 5]);
    let proof = server.get("/api/v2/audit/consistency?from=3&to=5", auditor()).json();
    assert_eq!(proof["consistency"].as_array().expect("a proof").len(), 4);
    assert_eq!(server.get("/api/v2/audit/inclusion?leaf=4&size=5", auditor()).status, 200);
    let (mut path, mut seen) = ("/api/v2/audit?limit=2".to_owned(), Vec::new());
    loop {
        let page = server.get(&path, auditor());
        seen.extend(entries(&page).into_iter().map(|entry| entry["seq"].as_u64().expect("a number")));
        let Some(next) = page.json()["next_cursor"].as_str().map(str::to_owned) else { break };
        path = format!("/api/v2/audit?limit=2&cursor={next}");
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
}

#[test]
fn the_log_is_checked_by_the_command_also_beside_a_running_server() {
    let server = start_server();
    server.post_example();
    read_as_admin(&server);
    server.get("/api/v2/audit/tree-head", auditor());
    let key = String::from_utf8(verify(&server, &["--print-public-key"]).stdout).expect("text").trim().to_owned();
    assert_eq!(server.get("/api/v2/audit/tree-head", auditor()).json()["public_key"], json!(key));
    let output = verify(&server, &[]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["entries"]["compliance"], &report["chains_checked"]), (&json!(1), &json!(true)));

    let directory = server.data_dir.path().join("audit");
    let segment = std::fs::read_dir(&directory).expect("a folder").map(|item| item.expect("an item").path());
    let is_segment = |path: &std::path::PathBuf| path.to_string_lossy().contains("compliance-");
    let segment = segment.into_iter().find(is_segment).expect("a segment");
    let text = std::fs::read_to_string(&segment).expect("a segment");
    std::fs::write(&segment, text.replace("adm:asha", "adm:ravi")).expect("a segment");
    let directory = directory.to_string_lossy().into_owned();
    for arguments in [&[][..], &["--dir", &directory, "--public-key", &key]] {
        let output = verify(&server, arguments);
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("entry 1"), "{error}");
    }
    assert_eq!(verify(&server, &["--dir", &directory]).status.code(), Some(2), "a directory needs a public key");
    assert_eq!(verify(&server, &["--dir", "nowhere", "--public-key", &key]).status.code(), Some(1));
}
