//! Attacks on tokens that public keys verify, after RFC 8725 and what Wycheproof tries on libraries.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tests::{KEY, NOW, claims, fixed_clock, verifier_with};
use super::*;
use crate::http::request::caller::key_set::KeySet;
use crate::http::request::caller::key_source::KeySource;
use crate::http::request::caller::sign::sign_with;

const ED: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/keys/ed25519.pem"));
const EC: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/keys/p256.pem"));
const RSA: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/keys/rsa.pem"));
const OTHER: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/keys/other.pem"));

fn signers() -> [(&'static str, EncodingKey, Algorithm); 3] {
    [
        ("ed", EncodingKey::from_ed_pem(ED).expect("a key"), Algorithm::EdDSA),
        ("ec", EncodingKey::from_ec_pem(EC).expect("a key"), Algorithm::ES256),
        ("rsa", EncodingKey::from_rsa_pem(RSA).expect("a key"), Algorithm::RS256),
    ]
}

fn jwk(id: &str, key: &EncodingKey, algorithm: Algorithm) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).expect("a public key");
    jwk.common.key_id = Some(id.to_owned());
    json!(jwk)
}

fn key_set() -> Value {
    json!({ "keys": signers().map(|(id, key, algorithm)| jwk(id, &key, algorithm)) })
}

/// A verifier with the three keys and the development key, and the directory of its key set.
struct Harness {
    verifier: Verifier,
    dir: TempDir,
}

impl Harness {
    fn new() -> Self {
        Self::with(&key_set(), Some(KEY))
    }

    fn with(keys: &Value, development_key: Option<[u8; 32]>) -> Self {
        let dir = TempDir::new().expect("a directory");
        let path = dir.path().join("keys.json");
        fs::write(&path, keys.to_string()).expect("a file");
        Self { verifier: verifier_with(development_key, Some(KeySource::File(path)), fixed_clock(NOW)), dir }
    }

    fn replace_keys(&self, keys: &Value) {
        fs::write(self.dir.path().join("keys.json"), keys.to_string()).expect("a file");
        self.verifier.keys.load().expect("keys");
    }

    #[track_caller]
    fn accepts(&self, token: &str) -> Arc<Caller> {
        self.verifier.caller(token.as_bytes()).expect("accepted")
    }

    #[track_caller]
    fn refuses(&self, token: &str) -> &'static str {
        self.verifier.caller(token.as_bytes()).expect_err(token).0
    }
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn header(algorithm: &str, id: Option<&str>) -> Value {
    let mut header = json!({"alg": algorithm, "typ": "at+jwt"});
    if let Some(id) = id {
        header["kid"] = id.into();
    }
    header
}

/// Signs the texts of a header and of claims, whatever they say.
fn signed(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).expect("a signature");
    format!("{message}.{signature}")
}

fn good_claims() -> String {
    serde_json::to_string(&claims()).expect("claims")
}

#[test]
fn each_algorithm_is_accepted_with_its_own_key_only() {
    let harness = Harness::new();
    for (id, key, algorithm) in signers() {
        let token = sign_with(&claims(), &key, algorithm, Some(id.to_owned())).expect("a token");
        assert_eq!(harness.accepts(&token).token.key.as_ref().map(|key| &*key.id), Some(id));
        for (other, ..) in signers() {
            if other != id {
                let token = sign_with(&claims(), &key, algorithm, Some(other.to_owned())).expect("a token");
                assert_eq!(harness.refuses(&token), "the token's algorithm is not that of its key", "{id} as {other}");
            }
        }
        let nameless = sign_with(&claims(), &key, algorithm, None).expect("a token");
        assert!(harness.refuses(&nameless).contains("unknown"), "{id}: three keys, and none is named");
        let alone = Harness::with(&json!({"keys": [jwk(id, &key, algorithm)]}), None);
        alone.accepts(&nameless);
    }
    let forged = EncodingKey::from_ed_pem(OTHER).expect("a key");
    let token = sign_with(&claims(), &forged, Algorithm::EdDSA, Some("ed".to_owned())).expect("a token");
    assert!(harness.refuses(&token).contains("signature"));
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let harness = Harness::new();
    for name in ["none", "None", "NONE", "nOnE", "", "HS256", "EdDSA", "ES256", "RS256"] {
        for id in [None, Some("ed"), Some("ec"), Some("rsa")] {
            let token = format!("{}.{}.", encoded(&header(name, id)), URL_SAFE_NO_PAD.encode(good_claims()));
            harness.refuses(&token);
            harness.refuses(token.trim_end_matches('.'));
        }
    }
}

#[test]
fn a_public_key_is_no_secret_of_hmac() {
    let set = key_set();
    let mut secrets = vec![set.to_string().into_bytes(), RSA.to_vec(), EC.to_vec()];
    for key in set["keys"].as_array().expect("keys") {
        secrets.push(key.to_string().into_bytes());
        for member in ["n", "e", "x", "y"] {
            let Some(text) = key[member].as_str() else { continue };
            secrets.push(text.as_bytes().to_vec());
            secrets.push(URL_SAFE_NO_PAD.decode(text).expect("base64url"));
        }
    }
    for harness in [Harness::new(), Harness::with(&set, None)] {
        for secret in &secrets {
            for (name, algorithm) in
                [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
            {
                for id in [None, Some("ed"), Some("ec"), Some("rsa")] {
                    let key = EncodingKey::from_secret(secret);
                    harness.refuses(&signed(&header(name, id).to_string(), &good_claims(), &key, algorithm));
                }
            }
        }
    }
}

#[test]
fn production_accepts_no_secret() {
    let token =
        signed(&header("HS256", None).to_string(), &good_claims(), &EncodingKey::from_secret(&KEY), Algorithm::HS256);
    Harness::new().accepts(&token);
    assert!(Harness::with(&key_set(), None).refuses(&token).contains("development"));
}

#[test]
fn other_algorithms_of_a_known_key_are_refused() {
    let harness = Harness::new();
    let [_, _, (_, rsa, _)] = signers();
    for (name, algorithm) in [
        ("RS384", Algorithm::RS384),
        ("RS512", Algorithm::RS512),
        ("PS256", Algorithm::PS256),
        ("PS384", Algorithm::PS384),
        ("PS512", Algorithm::PS512),
    ] {
        harness.refuses(&signed(&header(name, Some("rsa")).to_string(), &good_claims(), &rsa, algorithm));
    }
}

#[test]
fn a_key_id_is_only_a_name() {
    let harness = Harness::new();
    let [(_, key, algorithm), ..] = signers();
    let long = "x".repeat(4_000);
    for id in
        ["../../../../dev/null", "/dev/null", "keys.json", "ed\0", " ed", "ED", "'; --", "http://[::1]/", "", &long]
    {
        let token = signed(&header("EdDSA", Some(id)).to_string(), &good_claims(), &key, algorithm);
        assert!(harness.refuses(&token).contains("unknown"), "{id}");
    }
}

#[test]
fn headers_with_keys_are_ignored() {
    let harness = Harness::new();
    let [(id, key, algorithm), ..] = signers();
    let forger = EncodingKey::from_ed_pem(OTHER).expect("a key");
    let mut given = header("EdDSA", Some(id));
    given["jwk"] = jwk(id, &forger, algorithm);
    given["jku"] = "http://127.0.0.1:9/keys".into();
    given["x5u"] = "http://127.0.0.1:9/certificate".into();
    given["x5c"] = json!(["MIIB"]);
    harness.accepts(&signed(&given.to_string(), &good_claims(), &key, algorithm));
    assert!(harness.refuses(&signed(&given.to_string(), &good_claims(), &forger, algorithm)).contains("signature"));
}

#[test]
fn repeated_members_and_other_forms_are_refused() {
    let harness = Harness::new();
    let [(id, key, algorithm), ..] = signers();
    let (head, body) = (header("EdDSA", Some(id)).to_string(), good_claims());
    let token = signed(&head, &body, &key, algorithm);
    harness.accepts(&token);
    for (member, value) in [("sub", "\"adm:root\""), ("role", "\"admin\""), ("exp", "1"), ("scope", "\"operate\"")] {
        let twice = format!("{},\"{member}\":{value}}}", body.trim_end_matches('}'));
        harness.refuses(&signed(&head, &twice, &key, algorithm));
    }
    for (member, value) in [("alg", "\"EdDSA\""), ("kid", "\"ed\""), ("typ", "\"at+jwt\"")] {
        let twice = format!("{},\"{member}\":{value}}}", head.trim_end_matches('}'));
        harness.refuses(&signed(&twice, &body, &key, algorithm));
    }
    let deep = format!("{},\"amr\":{}{}}}", body.trim_end_matches('}'), "[".repeat(500), "]".repeat(500));
    harness.refuses(&signed(&head, &deep, &key, algorithm));
    let parts: Vec<&str> = token.split('.').collect();
    let [first, second, third] = [parts[0], parts[1], parts[2]];
    for other in [
        format!("{token}."),
        format!("{token}.{third}"),
        format!(".{token}"),
        format!("{first}.{second}.{third}="),
        format!("{first}.{second}.{third}A"),
        format!("{first}.{second} .{third}"),
        format!("{first}..{third}"),
        format!(".{second}.{third}"),
        format!("{first}.{second}"),
        json!({"protected": first, "payload": second, "signature": third}).to_string(),
        "..".to_owned(),
        String::new(),
    ] {
        harness.refuses(&other);
    }
}

#[test]
fn extensions_that_must_be_understood_are_refused() {
    let harness = Harness::new();
    let [(id, key, algorithm), ..] = signers();
    for critical in [json!(["b64"]), json!(["exp"]), json!([])] {
        let mut given = header("EdDSA", Some(id));
        given["crit"] = critical;
        given["b64"] = false.into();
        harness.refuses(&signed(&given.to_string(), &good_claims(), &key, algorithm));
    }
}

#[test]
fn signatures_of_zeros_and_in_der_are_refused() {
    let harness = Harness::new();
    let message = format!("{}.{}", encoded(&header("ES256", Some("ec"))), URL_SAFE_NO_PAD.encode(good_claims()));
    let mut der = vec![0x30, 6, 2, 1, 1, 2, 1, 1];
    for signature in [vec![0; 64], vec![0; 63], vec![0; 65], vec![0xff; 64], der.clone(), std::mem::take(&mut der)] {
        harness.refuses(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)));
    }
    let message = format!("{}.{}", encoded(&header("EdDSA", Some("ed"))), URL_SAFE_NO_PAD.encode(good_claims()));
    harness.refuses(&format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64])));
}

#[test]
fn a_token_has_a_maximum_length() {
    let harness = Harness::new();
    let [(id, key, algorithm), ..] = signers();
    let padded = |length: usize| {
        let mut long = serde_json::to_value(claims()).expect("claims");
        long["padding"] = "x".repeat(length).into();
        signed(&header("EdDSA", Some(id)).to_string(), &long.to_string(), &key, algorithm)
    };
    harness.accepts(&padded(5_000));
    assert!(padded(7_000).len() > MAX_TOKEN_BYTES);
    assert_eq!(harness.refuses(&padded(7_000)), "the token is too long");
    harness.refuses(&"a.".repeat(1_000_000));
}

#[test]
fn times_are_bounded_to_the_second() {
    let harness = Harness::new();
    let [(id, key, algorithm), ..] = signers();
    let token = |issued: i64, starts: i64, ends: i64| {
        let mut timed = serde_json::to_value(claims()).expect("claims");
        (timed["iat"], timed["nbf"], timed["exp"]) = (issued.into(), starts.into(), ends.into());
        signed(&header("EdDSA", Some(id)).to_string(), &timed.to_string(), &key, algorithm)
    };
    let (longest, leeway) = (90 * 86_400, 60);
    harness.accepts(&token(NOW, NOW, NOW + longest));
    harness.refuses(&token(NOW, NOW, NOW + longest + 1));
    harness.accepts(&token(NOW - 600, NOW - 600, NOW - leeway));
    harness.refuses(&token(NOW - 600, NOW - 600, NOW - leeway - 1));
    harness.accepts(&token(NOW, NOW + leeway, NOW + 600));
    harness.refuses(&token(NOW, NOW + leeway + 1, NOW + 600));
    harness.accepts(&token(NOW + leeway, NOW, NOW + 600));
    harness.refuses(&token(NOW + leeway + 1, NOW, NOW + 600));
}

#[test]
fn keys_of_other_kinds_are_left_out_of_a_set() {
    let good = key_set();
    let [ed, ec, rsa] = [0, 1, 2].map(|place| good["keys"][place].clone());
    let with = |key: &Value, member: &str, value: Value| {
        let mut changed = key.clone();
        changed[member] = value;
        changed
    };
    let unusable = [
        json!({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "oct", "alg": "HS256"}),
        json!({"kty": "unheard", "kid": "unheard"}),
        json!("no object"),
        with(&ed, "use", "enc".into()),
        with(&ed, "key_ops", json!(["sign"])),
        with(&ed, "d", "c2VjcmV0".into()),
        with(&ec, "alg", "ES384".into()),
        with(&ec, "crv", "P-384".into()),
        with(&rsa, "alg", "HS256".into()),
        with(&rsa, "alg", "PS256".into()),
    ];
    for key in &unusable {
        let set = json!({ "keys": [key] }).to_string();
        assert!(KeySet::parse(set.as_bytes()).expect("a key set").is_empty(), "{set}");
    }
    let mixed = json!({ "keys": unusable.iter().chain([&with(&ed, "kid", "good".into())]).collect::<Vec<_>>() });
    let set = KeySet::parse(mixed.to_string().as_bytes()).expect("one key is good");
    assert!(set.find(Some("good")).is_some() && set.find(Some("oct")).is_none() && set.find(None).is_some());
    for wrong in [json!({"keys": [ed, ed]}), json!({"keys": vec![ed.clone(); 65]}), json!([])] {
        assert!(KeySet::parse(wrong.to_string().as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_key_that_is_removed_ends_its_tokens_and_no_others() {
    let harness = Harness::new();
    let tokens = signers()
        .map(|(id, key, algorithm)| sign_with(&claims(), &key, algorithm, Some(id.to_owned())).expect("a token"));
    tokens.iter().for_each(|token| drop(harness.accepts(token)));
    let mut fewer = key_set();
    fewer["keys"].as_array_mut().expect("keys").remove(1);
    harness.replace_keys(&fewer);
    harness.accepts(&tokens[0]);
    harness.refuses(&tokens[1]);
    harness.accepts(&tokens[2]);
    // Another key under the same name is another key.
    let mut swapped = fewer;
    let forger = EncodingKey::from_ed_pem(OTHER).expect("a key");
    swapped["keys"][0] = jwk("ed", &forger, Algorithm::EdDSA);
    harness.replace_keys(&swapped);
    harness.refuses(&tokens[0]);
    // A set that cannot be read changes nothing, and neither does an empty one before the server runs.
    fs::write(harness.dir.path().join("keys.json"), "{").expect("a file");
    assert!(harness.verifier.keys.load().is_err());
    fs::write(harness.dir.path().join("keys.json"), r#"{"keys": []}"#).expect("a file");
    assert!(harness.verifier.keys.load().is_err());
    harness.accepts(&tokens[2]);
}

#[test]
fn the_header_names_the_type_of_access_tokens() {
    let harness = Harness::new();
    let [(id, key, algorithm), ..] = signers();
    for (kind, accepted) in [
        (Some("at+jwt"), true),
        (Some("application/at+jwt"), true),
        (Some("AT+JWT"), true),
        (Some("JWT"), false),
        (Some("login+jwt"), false),
        (Some("logout+jwt"), false),
        (Some(""), false),
        (None, false),
    ] {
        let header = Header { typ: kind.map(str::to_owned), kid: Some(id.to_owned()), ..Header::new(algorithm) };
        let token = jsonwebtoken::encode(&header, &claims(), &key).expect("a token");
        assert_eq!(harness.verifier.caller(token.as_bytes()).is_ok(), accepted, "{kind:?}");
    }
}
