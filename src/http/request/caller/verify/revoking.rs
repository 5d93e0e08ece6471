//! Revocation: by token, by subject and by key, at once, for good, and under many callers at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use domain::port::registry::{Registry, RegistryEntry, RegistryKind};

use super::tests::{DAY, KEY, MovingClock, NOW, claims, fixed_clock, seconds, verifier_of};
use super::*;
use crate::http::request::caller::memory_registry::MemoryRegistry;
use crate::http::request::caller::sign;

const SECOND: i64 = 1_000_000;

fn token(id: &str, subject: &str, issued: i64) -> String {
    let mut claims = claims();
    (claims.jti, claims.sub) = (id.to_owned(), subject.to_owned());
    (claims.iat, claims.nbf) = (seconds(issued), seconds(issued));
    sign(&claims, &KEY).expect("a token")
}

fn verifier(registry: &Arc<MemoryRegistry>) -> Verifier {
    let registry: Arc<dyn Registry> = Arc::<MemoryRegistry>::clone(registry);
    verifier_of(registry, Some(KEY), None, fixed_clock(NOW))
}

#[test]
fn a_revocation_ends_what_it_names_and_holds_after_a_restart() {
    let registry = Arc::new(MemoryRegistry::default());
    let first = verifier(&registry);
    let [one, two, other] =
        [token("one", "svc:a", NOW - 10), token("two", "svc:a", NOW - 5), token("one-more", "svc:b", NOW - 10)];
    let accepted = |verifier: &Verifier| [&one, &two, &other].map(|token| verifier.caller(token.as_bytes()).is_ok());
    assert_eq!(accepted(&first), [true, true, true]);

    first.revoke(Revocation::Token { id: "one".to_owned() }).expect("stored");
    assert_eq!(accepted(&first), [false, true, true]);
    let until = (NOW - 5) * SECOND;
    first.revoke(Revocation::Subject { subject: "svc:a".to_owned(), issued_until: until }).expect("stored");
    assert_eq!(accepted(&first), [false, false, true]);
    assert!(first.caller(token("three", "svc:a", NOW + 55).as_bytes()).is_err(), "it can have been made before");
    assert!(first.caller(token("four", "svc:a", NOW + 56).as_bytes()).is_ok(), "a later token is accepted");
    // An earlier time gives nothing back.
    first.revoke(Revocation::Subject { subject: "svc:a".to_owned(), issued_until: 0 }).expect("stored");
    assert_eq!(accepted(&first), [false, false, true]);
    assert_eq!(accepted(&verifier(&registry)), [false, false, true], "after a restart");
}

#[test]
fn a_token_of_an_issuer_whose_clock_is_ahead_is_revoked_with_its_subject() {
    let clock = MovingClock::new(NOW);
    let verifier = verifier_of(Arc::new(MemoryRegistry::default()), Some(KEY), None, clock.clone());
    // The greatest difference of clocks with which a token is accepted.
    let [ahead, unseen] = ["ahead", "unseen"].map(|id| token(id, "svc:a", NOW + 60));
    verifier.caller(ahead.as_bytes()).expect("accepted");
    verifier.revoke(Revocation::Subject { subject: "svc:a".to_owned(), issued_until: NOW * SECOND }).expect("stored");
    for now in [NOW, NOW + 60, NOW + 3_000] {
        clock.set(now);
        for token in [&ahead, &unseen] {
            assert_eq!(verifier.caller(token.as_bytes()).map(drop), Err(TokenError("the token was revoked")), "{now}");
        }
    }
    verifier.caller(token("later", "svc:a", NOW + 61).as_bytes()).expect("it cannot have been made before");
}

#[test]
fn a_clock_that_jumps_forward_and_back_brings_nothing_back() {
    let registry = Arc::new(MemoryRegistry::default());
    let clock = MovingClock::new(NOW);
    let start = || verifier_of(Arc::<MemoryRegistry>::clone(&registry), Some(KEY), None, clock.clone());
    let tokens = [token("one", "svc:a", NOW), token("two", "svc:b", NOW)];
    let verifier = start();
    verifier.revoke(Revocation::Token { id: "one".to_owned() }).expect("stored");
    verifier.revoke(Revocation::Subject { subject: "svc:b".to_owned(), issued_until: NOW * SECOND }).expect("stored");
    let is_accepted = |verifier: &Verifier| tokens.iter().any(|token| verifier.caller(token.as_bytes()).is_ok());
    assert!(!is_accepted(&verifier));

    clock.set(NOW + 1_000 * i64::try_from(DAY.as_secs()).expect("a day"));
    for number in 0..1_000 {
        verifier.revoke(Revocation::Token { id: format!("other-{number}") }).expect("stored");
    }
    let started_meanwhile = start();
    clock.set(NOW);
    assert!(!is_accepted(&verifier) && !is_accepted(&started_meanwhile) && !is_accepted(&start()));
    // A revocation that was made while the clock was ahead holds, too.
    let late = token("other-7", "svc:c", NOW);
    assert!([&verifier, &start()].iter().all(|verifier| verifier.caller(late.as_bytes()).is_err()));
}

#[test]
fn what_the_registry_has_removed_is_forgotten() {
    let registry = Arc::new(MemoryRegistry::default());
    let verifier = verifier(&registry);
    for round in 0..20 {
        for number in 0..500 {
            verifier.revoke(Revocation::Token { id: format!("{round}-{number}") }).expect("stored");
        }
        assert!(verifier.revocations.len() <= 1_000, "{}", verifier.revocations.len());
        for (key, _) in registry.list(RegistryKind::REVOCATION, NOW * SECOND) {
            registry.remove(RegistryKind::REVOCATION, &key).expect("removed");
        }
    }
}

#[test]
fn a_revocation_that_cannot_be_read_refuses_the_start() {
    let registry = Arc::new(MemoryRegistry::default());
    let load = || {
        let registry: Arc<dyn Registry> = Arc::<MemoryRegistry>::clone(&registry);
        Revocations::load(registry, Arc::new(CredentialVersion::new()), DAY).map(drop)
    };
    verifier(&registry).revoke(Revocation::Token { id: "one".to_owned() }).expect("stored");
    load().expect("the revocation is read");
    let entry = RegistryEntry { value: br#"{"kind": "later"}"#.to_vec(), expires_at: None };
    registry.put(RegistryKind::REVOCATION, b"x", entry).expect("stored");
    load().expect_err("this version does not know the kind");
}

#[test]
fn a_revocation_is_kept_for_as_long_as_a_token_may_live() {
    let registry = Arc::new(MemoryRegistry::default());
    verifier(&registry).revoke(Revocation::Token { id: "one".to_owned() }).expect("stored");
    let kept = |now: i64| registry.list(RegistryKind::REVOCATION, now * SECOND).len();
    let day = i64::try_from(DAY.as_secs()).expect("a day");
    assert_eq!((kept(NOW + day - 1), kept(NOW + day)), (1, 0));
    let too_long = "x".repeat(MAX_TOKEN_BYTES + 1);
    assert!(verifier(&registry).revoke(Revocation::Token { id: too_long }).is_err());
}

#[test]
fn no_request_that_begins_after_a_revocation_is_accepted() {
    const TOKENS: usize = 1_000;
    const THREADS: usize = 8;
    let verifier = verifier(&Arc::new(MemoryRegistry::default()));
    let tokens: Vec<String> = (0..TOKENS).map(|n| token(&format!("token-{n}"), &format!("svc:{n}"), NOW)).collect();
    tokens.iter().for_each(|token| drop(verifier.caller(token.as_bytes()).expect("accepted")));
    // Tokens below this number are revoked. Every second one is revoked by its subject.
    let revoked = AtomicUsize::new(0);
    let is_accepted = |n: usize| verifier.caller(tokens[n].as_bytes()).is_ok();
    thread::scope(|scope| {
        for worker in 0..THREADS {
            let (revoked, is_accepted) = (&revoked, &is_accepted);
            scope.spawn(move || {
                let mut n = worker;
                while revoked.load(Ordering::Acquire) < TOKENS - 1 {
                    n = (n * 31 + 7) % TOKENS;
                    let before = revoked.load(Ordering::Acquire);
                    let accepted = is_accepted(n);
                    let after = revoked.load(Ordering::Acquire);
                    assert!(!(accepted && n < before), "token {n} was accepted after {before} were revoked");
                    // One more may be revoked and not counted yet.
                    assert!(accepted || n <= after, "token {n} was refused before it was revoked: {after}");
                }
            });
        }
        for n in 0..TOKENS - 1 {
            let by_token = Revocation::Token { id: format!("token-{n}") };
            let by_subject = Revocation::Subject { subject: format!("svc:{n}"), issued_until: NOW * SECOND };
            verifier.revoke(if n % 2 == 0 { by_token } else { by_subject }).expect("stored");
            revoked.store(n + 1, Ordering::Release);
        }
    });
    assert!(is_accepted(TOKENS - 1) && !(0..TOKENS - 1).any(is_accepted));
}

#[test]
fn a_second_factor_is_fresh_for_five_minutes() {
    let verifier = verifier(&Arc::new(MemoryRegistry::default()));
    for (method, ago, fresh) in [
        ("mfa", Some(0), true),
        ("otp", Some(299), true),
        ("mfa", Some(300), false),
        ("mfa", Some(-60), true),
        ("mfa", Some(-61), false),
        ("pwd", Some(0), false),
        ("mfa", None, false),
    ] {
        let mut claims = claims();
        claims.amr = vec!["hwk".to_owned(), method.to_owned()];
        claims.auth_time = ago.map(|ago| seconds(NOW - ago));
        let caller = verifier.caller(sign(&claims, &KEY).expect("a token").as_bytes()).expect("a caller");
        assert_eq!(verifier.has_fresh_second_factor(&caller), fresh, "{method} {ago:?}");
    }
}
