//! The vectors of Wycheproof for signatures and keys. Their payloads are no claims, so a signature that holds is told by the
//! refusal of the claims, which comes after it.

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tests::{NOW, fixed_clock, verifier_with};
use super::*;
use crate::http::request::caller::key_set::KeySet;
use crate::http::request::caller::key_source::KeySource;

const SIGNATURES: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/wycheproof/json_web_signature.json"));
const KEYS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/wycheproof/json_web_key.json"));

/// Vectors with the same keys.
#[derive(Deserialize)]
struct Group {
    comment: String,
    keys: Vec<Value>,
    tests: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(rename = "tcId")]
    id: u32,
    comment: String,
    jws: String,
    result: String,
}

/// Returns a verifier with the keys of a group; `None` if none of them is used.
fn verifier(group: &Group) -> Option<Verifier> {
    let set = json!({ "keys": group.keys }).to_string();
    if KeySet::parse(set.as_bytes()).expect("a key set").is_empty() {
        return None;
    }
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("keys.json");
    std::fs::write(&path, set).expect("a file");
    Some(verifier_with(None, Some(KeySource::File(path)), fixed_clock(NOW)))
}

fn has_valid_signature(verifier: &Verifier, token: &str) -> bool {
    let refusal = verifier.caller(token.as_bytes()).expect_err("the payload is no claims");
    refusal == TokenError("the token's claims are not valid")
}

/// Checks all vectors. Returns the number of valid and of invalid ones.
fn check(vectors: &str) -> (usize, usize) {
    let groups: Vec<Group> = serde_json::from_str(vectors).expect("vectors");
    let (mut valid, mut invalid) = (0, 0);
    for group in &groups {
        let verifier = verifier(group);
        // Secret keys of a set are never used, so what they have signed is refused.
        let is_secret = group.keys.iter().all(|key| key["kty"] == "oct");
        for Vector { id, comment, jws, result } in &group.tests {
            let expected = result == "valid" && !is_secret;
            let found = verifier.as_ref().is_some_and(|verifier| has_valid_signature(verifier, jws));
            assert_eq!(found, expected, "{id} of `{}`: {comment}", group.comment);
            if expected { valid += 1 } else { invalid += 1 }
        }
    }
    (valid, invalid)
}

#[test]
fn signatures_are_accepted_and_refused_as_wycheproof_expects() {
    assert_eq!(check(SIGNATURES), (10, 306));
}

#[test]
fn keys_are_accepted_and_refused_as_wycheproof_expects() {
    assert_eq!(check(KEYS), (1, 25));
}
