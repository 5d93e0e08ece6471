//! Where values come from, what can be verified of a profile, and what masks it.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::{Request, Response};
use crate::test_server::{TestServer, USER, profile_path, start_on, start_server};
use crate::token::Token;

fn served() -> TestServer {
    let server = start_server();
    server.post_example();
    server
}

fn admin() -> Token {
    Token::new("admin", "adm:a", "profile:read")
}

fn get(server: &TestServer, token: Token, rest: &str) -> Response {
    let request = Request::new("GET", profile_path(USER) + rest).bearer(&server.sign(token));
    server.send(request.header("x-access-reason", "a test"))
}

#[test]
fn provenance_names_the_source_of_what_the_caller_sees() {
    let server = served();
    let plain = server.own_profile(USER).json();
    let answer = get(&server, Token::citizen(USER), "?include=provenance");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.headers.contains_key("etag"), "the source of a value can change without a revision");
    assert!(answer.text().starts_with("{\"_provenance\":{"), "{answer:?}");
    let mut profile = answer.json();
    let provenance = profile.as_object_mut().unwrap().remove("_provenance").unwrap();
    assert_eq!(profile, plain);
    let income = &provenance["economic.income_bracket"];
    assert_eq!((&income["source"], &income["kind"]), (&json!("metadata"), &json!("verified")), "{income}");
    assert_eq!((&income["event_id"], &income["overrides"]), (&json!("met-0001"), &json!(1)), "{income}");
    assert_eq!(income["observed_at"], "2026-01-12T08:30:00Z");
    assert!(provenance.get("eligibility.total_eligible").is_none(), "derived values have no source");

    let sparse = get(&server, Token::citizen(USER), "?include=provenance&fields=demographics").json();
    let paths: Vec<_> = sparse["_provenance"].as_object().unwrap().keys().collect();
    assert!(!paths.is_empty() && paths.iter().all(|path| path.starts_with("demographics.")), "{paths:?}");
    server.consent(USER, &json!({"data_sharing_level": "minimal"}));
    let service = get(&server, Token::service("profile:read"), "?include=provenance").json();
    let paths: Vec<_> = service["_provenance"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(paths, ["demographics.state", "identity.age_bracket"]);
    assert_eq!(get(&server, Token::citizen(USER), "?include=history").problem(), "invalid-parameter");
}

#[test]
fn an_explanation_names_the_candidates_and_the_rule() {
    let server = served();
    let explain = |token: Token, path: &str| get(&server, token, &format!("/explain?path={path}"));
    let income = explain(Token::citizen(USER), "/economic/income_bracket").json();
    assert_eq!((&income["rule"], &income["path"]), (&json!("rank"), &json!("/economic/income_bracket")), "{income}");
    assert_eq!(income["winner"]["value"], "5L-10L");
    let values: Vec<_> = income["candidates"].as_array().unwrap().iter().map(|one| one["value"].clone()).collect();
    assert_eq!(values, ["5L-10L", "10L-20L"]);
    let derived = explain(admin(), "/eligibility/total_eligible").json();
    assert_eq!((&derived["rule"], &derived["winner"]), (&json!("derived"), &Value::Null));
    let schemes = explain(admin(), "/eligibility/eligible_schemes/0/application_status").json();
    assert_eq!((&schemes["rule"], &schemes["path"]), (&json!("owner"), &json!("/eligibility/eligible_schemes")));

    // Unknown and absent names get the same answer; so do hidden ones.
    let body = |answer: Response| {
        let mut problem = answer.json();
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    let unknown = body(explain(Token::citizen(USER), "/economic/nothing"));
    assert_eq!(unknown["status"], 404);
    server.consent(USER, &json!({"data_sharing_level": "full"}));
    let withdrawal = json!({
        "specversion": "1.0", "id": "w1", "source": "/engines/metadata", "type": "user.metadata.updated", "subject": USER,
        "time": "2026-01-20T00:00:00Z", "data": {"fields": {"economic": {"tax_regime": null}}},
    });
    server.apply("metadata", &withdrawal);
    assert_eq!(body(explain(Token::citizen(USER), "/economic/tax_regime")), unknown);
    let table = include_str!("../../config/access.toml")
        .replace("[self]\nminimal = [\"*\"]", "[self]\nminimal = [\"consent.*\"]");
    let directory = server.kill();
    fs::write(directory.path().join("access.toml"), table).unwrap();
    let server = start_on(directory);
    let hidden = get(&server, Token::citizen(USER), "/explain?path=/economic/income_bracket");
    assert_eq!(body(hidden), unknown);
    for path in ["/explain", "/explain?path=economic.income_bracket", "/explain?path=/a&path=/b"] {
        assert_eq!(get(&server, Token::citizen(USER), path).problem(), "invalid-parameter", "{path}");
    }
}

/// Checks what a viewer sees against the hashes, as a client would.
fn verify(profile: &Value, integrity: &Value) {
    let members = integrity["members"].as_object().unwrap();
    let root: serde_json::Map<_, _> =
        members.iter().map(|(name, member)| (name.clone(), member["hash"].clone())).collect();
    let root = hex::encode(Sha256::digest(serde_json_canonicalizer::to_vec(&root).unwrap()));
    assert_eq!((profile["profile_hash"].as_str(), integrity["profile_hash"].as_str()), (Some(&*root), Some(&*root)));
    for (name, member) in members {
        let Some(salt) = member["salt"].as_str() else { continue };
        let hash = Sha256::new().chain_update(hex::decode(salt).unwrap());
        let hash = hash.chain_update(serde_json_canonicalizer::to_vec(&profile[name]).unwrap());
        assert_eq!(hex::encode(hash.finalize()), member["hash"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn a_partial_view_can_be_verified_by_those_whom_the_table_names() {
    let server = served();
    let own = get(&server, Token::citizen(USER), "/integrity").json();
    assert!(own["members"].as_object().unwrap().values().all(|member| member["salt"].is_string()), "{own}");
    verify(&server.own_profile(USER).json(), &own);
    let verifier = || Token::service("profile:read");
    let refused = get(&server, verifier(), "/integrity");
    assert_eq!((refused.status, refused.problem().as_str()), (403, "forbidden"));
    // The table is followed.
    let table = include_str!("../../config/access.toml").replace("services = []", "services = [\"test\"]");
    fs::write(server.data_dir.path().join("access.toml"), table).unwrap();
    crate::test_server::eventually("the service may verify", || get(&server, verifier(), "/integrity").status == 200);
    let integrity = get(&server, verifier(), "/integrity").json();
    let profile = get(&server, verifier(), "").json();
    verify(&profile, &integrity);
    let salted: Vec<_> = integrity["members"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, member)| member["salt"].is_string())
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(salted.contains(&"eligibility") && !salted.contains(&"identity"), "{salted:?}");
}

#[test]
fn access_speaks_of_the_mask_and_not_of_the_profile() {
    let server = served();
    server.consent(USER, &json!({"data_sharing_level": "standard"}));
    let service = get(&server, Token::service("profile:read"), "/access").json();
    let why = |path: &str| {
        let masked = service["masked"].as_array().unwrap().iter().find(|masked| masked["path"] == path);
        masked.map(|masked| masked["why"].as_str().unwrap().to_owned())
    };
    assert!(service["fields"].as_array().unwrap().contains(&json!("economic.income_bracket")));
    assert_eq!(why("deadlines.upcoming").as_deref(), Some("consent"));
    assert_eq!(why("trust.source_trace").as_deref(), Some("scope"));
    assert_eq!(why("identity.display_name").as_deref(), Some("role"));
    // A profile with nothing but the consent gets the same answer.
    let empty = "usr_NobodyElse0001";
    server.consent(empty, &json!({"data_sharing_level": "standard"}));
    let other = server.get(&format!("{}/access", profile_path(empty)), Token::service("profile:read"));
    assert_eq!(other.json(), service);
    let own = get(&server, Token::citizen(USER), "/access").json();
    assert_eq!(own["masked"], json!([]));
}
