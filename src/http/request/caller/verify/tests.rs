//! Tokens as RFC 8725 wants them, and what is refused.

use domain::port::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::http::request::caller::claims::Audience;
use crate::http::request::caller::key_source::KeySource;
use crate::http::request::caller::memory_registry::MemoryRegistry;
use crate::http::request::caller::{NumericDate, Role, Scope, sign};

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const KEY: [u8; 32] = [9; 32];
pub(super) const DAY: Duration = Duration::from_secs(86_400);

struct Fixed(i64);

impl Clock for Fixed {
    fn now_micros(&self) -> i64 {
        self.0 * 1_000_000
    }
}

fn verifier_at(now: i64) -> Verifier {
    verifier_with(Some(KEY), None, Arc::new(Fixed(now)))
}

/// A clock that tests set, in seconds since the Unix epoch.
pub(super) struct MovingClock(std::sync::atomic::AtomicI64);

impl MovingClock {
    pub(super) fn new(now: i64) -> Arc<Self> {
        Arc::new(Self(now.into()))
    }

    pub(super) fn set(&self, now: i64) {
        self.0.store(now, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for MovingClock {
    fn now_micros(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed) * 1_000_000
    }
}

/// Returns a clock that stands still.
pub(super) fn fixed_clock(now: i64) -> Arc<dyn Clock> {
    Arc::new(Fixed(now))
}

/// Returns a verifier with keys of `source`, and without revocations.
pub(super) fn verifier_with(
    development_key: Option<[u8; 32]>,
    source: Option<KeySource>,
    clock: Arc<dyn Clock>,
) -> Verifier {
    verifier_of(Arc::new(MemoryRegistry::default()), development_key, source, clock)
}

/// Returns a verifier with the revocations of `registry`.
pub(super) fn verifier_of(
    registry: Arc<dyn Registry>,
    development_key: Option<[u8; 32]>,
    source: Option<KeySource>,
    clock: Arc<dyn Clock>,
) -> Verifier {
    let version = Arc::new(CredentialVersion::new());
    let keys = Arc::new(KeyStore::new(source, Arc::clone(&version)));
    keys.load().expect("keys");
    let revocations = Revocations::load(registry, Arc::clone(&version), DAY);
    let revocations = Arc::new(revocations.expect("revocations"));
    let settings = config::Settings::load(&config::Sources::default()).expect("the defaults").auth;
    Verifier::new(VerifierParts { development_key, keys, revocations, version, settings, clock, hash_key: [5; 16] })
}

pub(super) fn seconds(seconds: i64) -> NumericDate {
    NumericDate::from_seconds(seconds)
}

pub(super) fn claims() -> Claims {
    Claims {
        iss: "profile-server".to_owned(),
        aud: Audience::One("profile-server".to_owned()),
        sub: "svc:dashboard".to_owned(),
        role: "service".to_owned(),
        scope: "profile:read feed:identity".to_owned(),
        exp: seconds(NOW + 3_600),
        nbf: seconds(NOW),
        iat: seconds(NOW),
        jti: "1".to_owned(),
        amr: Vec::new(),
        auth_time: None,
        act: None,
        tenant: None,
    }
}

/// A token of any header and claims, signed with the key.
fn raw(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let message = format!("{}.{}", part(header), part(claims));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &jsonwebtoken::EncodingKey::from_secret(&KEY), Algorithm::HS256)
            .expect("a signature");
    format!("{message}.{signature}")
}

#[track_caller]
fn refused(token: &str, part: &str) {
    let refusal = verifier_at(NOW).caller(token.as_bytes()).expect_err(part);
    assert!(refusal.0.contains(part), "`{}` does not say `{part}`", refusal.0);
}

#[test]
fn a_token_of_the_local_key_gives_its_caller() {
    let token = sign(&claims(), &KEY).expect("a token");
    let caller = verifier_at(NOW).caller(token.as_bytes()).expect("a caller");
    assert_eq!((caller.subject(), caller.role), ("svc:dashboard", Role::Service));
    let feeds = domain::source::Source::ALL.into_iter().filter(|source| caller.scopes.has_feed(*source));
    assert_eq!(feeds.collect::<Vec<_>>(), [domain::source::Source::Identity]);
    assert!(!caller.has(Scope::LiveMany) && !caller.sees_serving());
}

#[test]
fn each_claim_is_checked() {
    type Change = fn(&mut Claims);
    let cases: [(Change, &str); 13] = [
        (|claims| claims.iss = "other".to_owned(), "`iss`"),
        (|claims| claims.aud = Audience::Several(vec!["other".to_owned()]), "`aud`"),
        (|claims| claims.sub = "adm:x".to_owned(), "prefix of the claim `sub`"),
        (|claims| claims.sub = "svc:".to_owned(), "prefix of the claim `sub`"),
        (|claims| claims.role = "legal".to_owned(), "`role`"),
        (|claims| claims.role = "root".to_owned(), "`role`"),
        (|claims| claims.tenant = Some("7".to_owned()), "`tenant`"),
        (|claims| claims.nbf = seconds(NOW + 61), "not valid yet"),
        (|claims| claims.iat = seconds(NOW + 61), "not valid yet"),
        (|claims| claims.exp = seconds(NOW + 91 * 86_400), "life"),
        (|claims| claims.exp = seconds(i64::MAX), "life"),
        (|claims| claims.exp = claims.iat, "life"),
        (
            |claims| {
                claims.iat = seconds(NOW - 3_600);
                claims.exp = seconds(NOW - 61);
            },
            "expired",
        ),
    ];
    for (change, part) in cases {
        let mut wrong = claims();
        change(&mut wrong);
        refused(&sign(&wrong, &KEY).expect("a token"), part);
    }
    let mut person = claims();
    person.sub = "usr_7Qm2Xr9TzKpA".to_owned();
    person.role = "self".to_owned();
    person.exp = seconds(NOW + 3_601);
    refused(&sign(&person, &KEY).expect("a token"), "life");
}

#[test]
fn header_and_signature_are_checked() {
    let good = serde_json::to_value(claims()).expect("claims");
    verifier_at(NOW).caller(raw(&json!({"alg": "HS256", "typ": "at+jwt"}), &good).as_bytes()).expect("the plain case");
    for header in
        [json!({"alg": "none", "typ": "at+jwt"}), json!({"alg": "HS384", "typ": "at+jwt"}), json!({"typ": "at+jwt"})]
    {
        refused(&raw(&header, &good), "algorithm");
    }
    refused(&raw(&json!({"alg": "HS256", "typ": "JWT"}), &good), "`typ`");
    refused(&raw(&json!({"alg": "HS256"}), &good), "`typ`");
    refused(&raw(&json!({"alg": "HS256", "typ": "at+jwt", "crit": ["exp"]}), &good), "`crit`");
    refused(&sign(&claims(), &[8; 32]).expect("a token"), "signature");
    refused("nonsense", "form");
    for missing in ["iss", "aud", "sub", "role", "exp", "nbf", "iat", "jti"] {
        let mut wrong = good.clone();
        wrong.as_object_mut().expect("an object").remove(missing);
        refused(&raw(&json!({"alg": "HS256", "typ": "at+jwt"}), &wrong), "claims");
    }
}

#[test]
fn times_may_have_fractions_and_exponents() {
    let header = json!({"alg": "HS256", "typ": "at+jwt"});
    let good = serde_json::to_value(claims()).expect("claims");
    for (claim, value) in
        [("exp", "1800003599.5"), ("exp", "1.800003599e9"), ("nbf", "1800000059.9"), ("iat", "1799999999.25")]
    {
        let mut changed = good.clone();
        changed[claim] = serde_json::from_str(value).expect("a number");
        assert!(verifier_at(NOW).caller(raw(&header, &changed).as_bytes()).is_ok(), "{claim} {value}");
    }
    for (claim, value, part) in [
        ("exp", "1807776001.5", "life"),
        ("nbf", "1800000060.5", "not valid yet"),
        ("exp", "\"1800003599\"", "claims"),
        ("act", "[\"usr_7Qm2Xr9TzKpA\"]", "claims"),
    ] {
        let mut changed = good.clone();
        changed[claim] = serde_json::from_str(value).expect("JSON");
        refused(&raw(&header, &changed), part);
    }
    let list: Vec<_> = ["iss", "aud", "sub", "role", "scope", "exp", "nbf", "iat", "jti"]
        .iter()
        .map(|name| good[name].clone())
        .collect();
    refused(&raw(&header, &Value::Array(list)), "claims");
}

#[test]
fn a_remembered_token_ends_all_the_same() {
    let clock = MovingClock::new(NOW);
    let verifier = verifier_with(Some(KEY), None, clock.clone());
    let token = sign(&claims(), &KEY).expect("a token");
    verifier.caller(token.as_bytes()).expect("a caller");
    clock.set(NOW + 3_660);
    verifier.caller(token.as_bytes()).expect("within the leeway");
    clock.set(NOW + 3_661);
    assert_eq!(verifier.caller(token.as_bytes()).map(|_| ()), Err(TokenError("the token has expired")));
}

#[test]
fn a_token_is_not_accepted_before_its_time_although_it_is_remembered() {
    let clock = MovingClock::new(NOW + 1_000);
    let verifier = verifier_with(Some(KEY), None, clock.clone());
    let mut later = claims();
    (later.iat, later.nbf) = (seconds(NOW + 1_000), seconds(NOW));
    let token = sign(&later, &KEY).expect("a token");
    let refusal = |now: i64| {
        clock.set(now);
        verifier.caller(token.as_bytes()).map(drop).err()
    };
    assert_eq!(refusal(NOW + 1_000), None);
    assert_eq!(refusal(NOW), Some(TokenError("the token is not valid yet")), "the clock was set back");
    assert_eq!(refusal(NOW + 939), Some(TokenError("the token is not valid yet")));
    assert_eq!(refusal(NOW + 940), None, "the issuer's clock may be ahead by the leeway");
}

#[test]
fn an_agent_sees_only_the_sections_of_its_scopes() {
    let mut agent = claims();
    agent.sub = "agt:helper".to_owned();
    agent.role = "agent".to_owned();
    agent.scope = "section:eligibility feed:identity".to_owned();
    refused(&sign(&agent, &KEY).expect("a token"), "`act`");
    agent.act = Some(JsonObject(crate::http::request::caller::Act { sub: "usr_7Qm2Xr9TzKpA".to_owned() }));
    let token = sign(&agent, &KEY).expect("a token");
    let caller = verifier_at(NOW).caller(token.as_bytes()).expect("a caller");
    let domain::access::Viewer::Agent { sections, .. } = &caller.viewer else { panic!("an agent") };
    assert_eq!(*sections, domain::table::Member::Eligibility.leaves());
}
