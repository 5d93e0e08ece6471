use std::sync::atomic::{AtomicU64, Ordering};

use super::super::memory_registry::MemoryRegistry;
use super::super::numeric_date::NumericDate;
use super::super::revocations::Revocation;
use super::super::{Audience, CredentialVersion};
use super::*;

const NOW: i64 = 1_800_000_000;
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600;
const LEEWAY: Duration = Duration::from_secs(60);

/// Bytes that differ each time.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes[..8].copy_from_slice(&number);
    }
}

/// Sessions on a registry, which may hold some already.
struct Fixture {
    registry: Arc<MemoryRegistry>,
    sessions: Sessions,
    entropy: Arc<Counting>,
}

fn fixture() -> Fixture {
    Fixture::on(Arc::default(), Arc::default())
}

impl Fixture {
    fn on(registry: Arc<MemoryRegistry>, entropy: Arc<Counting>) -> Self {
        let (port, version) = (Arc::<MemoryRegistry>::clone(&registry), Arc::new(CredentialVersion::new()));
        let revocations = Revocations::load(port.clone(), version, Duration::from_secs(86_400)).expect("revocations");
        let codes = LoginCodes::new([7; 32]);
        let sessions = Sessions::new(port, Arc::<Counting>::clone(&entropy), codes, Arc::new(revocations), LEEWAY);
        Self { registry, sessions, entropy }
    }

    fn restart(self) -> Self {
        Self::on(self.registry, self.entropy)
    }

    /// Begins a session of a subject at a time in seconds, which lasts an hour. Returns its id.
    fn begin(&self, subject: &str, at: i64) -> String {
        let claims = Claims {
            iss: String::new(),
            aud: Audience::One(String::new()),
            sub: subject.to_owned(),
            role: "auditor".to_owned(),
            scope: String::new(),
            exp: NumericDate::from_seconds(at + HOUR),
            nbf: NumericDate::from_seconds(at),
            iat: NumericDate::from_seconds(at),
            jti: self.sessions.random::<16>(),
            amr: Vec::new(),
            auth_time: None,
            act: None,
            tenant: None,
        };
        let code = LoginCodes::new([7; 32]).make(&claims).expect("a code");
        self.sessions.begin(&code, at * SECOND).expect("a session").stored.claims.jti
    }

    fn ids(&self, subject: &str, now: i64) -> Vec<String> {
        self.sessions.of_subject(subject, now * SECOND).into_iter().map(|stored| stored.claims.jti).collect()
    }
}

#[test]
fn a_subject_has_its_own_sessions_also_after_a_restart() {
    let fixture = fixture();
    let [first, second] = [1, 0].map(|ago| fixture.begin("aud:a", NOW - ago));
    let other = fixture.begin("aud:b", NOW);
    for fixture in [Fixture::on(Arc::clone(&fixture.registry), Arc::default()), fixture.restart()] {
        assert_eq!(fixture.ids("aud:a", NOW), [first.as_str(), second.as_str()], "the oldest first");
        assert_eq!(fixture.ids("aud:b", NOW), [other.as_str()]);
        assert!(fixture.ids("aud:c", NOW).is_empty());
        assert_eq!(fixture.ids("aud:a", NOW + HOUR - 1), [second.as_str()], "the first has ended");
    }
}

#[test]
fn only_the_subject_ends_its_session() {
    let fixture = fixture();
    let id = fixture.begin("aud:a", NOW);
    let end = |subject| fixture.sessions.end(subject, &id, NOW * SECOND).expect("stored");
    assert!(!end("aud:b") && end("aud:a") && !end("aud:a"));
    assert!(fixture.ids("aud:a", NOW).is_empty() && fixture.restart().ids("aud:a", NOW).is_empty());
}

#[test]
fn a_revoked_session_is_neither_listed_nor_counted() {
    let fixture = fixture();
    let ids: Vec<_> = (0..MAX_PER_SUBJECT as i64).map(|ago| fixture.begin("aud:a", NOW - ago)).collect();
    let revoke = |revocation| fixture.sessions.revocations.revoke(revocation, NOW * SECOND).expect("stored");
    // One that is not the oldest: the next session would end the oldest if this one counted.
    revoke(Revocation::Token { id: ids[3].clone() });
    assert!(!fixture.ids("aud:a", NOW).contains(&ids[3]));
    assert!(!fixture.sessions.end("aud:a", &ids[3], NOW * SECOND).expect("nothing to end"));
    fixture.begin("aud:a", NOW);
    assert!(fixture.ids("aud:a", NOW).contains(&ids[MAX_PER_SUBJECT - 1]), "the oldest goes on");
    revoke(Revocation::Subject { subject: "aud:a".to_owned(), issued_until: NOW * SECOND });
    assert!(fixture.ids("aud:a", NOW).is_empty());
    let later = fixture.begin("aud:a", NOW + 1);
    assert_eq!(fixture.ids("aud:a", NOW + 1), [later], "what began afterwards is accepted");
}

#[test]
fn sessions_that_began_while_the_clock_was_ahead_end_with_their_subject() {
    let fixture = fixture();
    let [now, later] = [NOW, NOW + HOUR].map(|at| fixture.begin("aud:a", at));
    let other = fixture.begin("aud:b", NOW + HOUR);
    fixture.sessions.end_later_ones("aud:a", NOW * SECOND).expect("stored");
    assert_eq!(fixture.ids("aud:a", NOW), [now.as_str()], "{later} has ended");
    assert_eq!(fixture.ids("aud:b", NOW), [other.as_str()]);
}

#[test]
fn the_index_forgets_sessions_that_the_registry_has_removed() {
    let fixture = fixture();
    for number in 0..2_000 {
        fixture.begin(&format!("aud:{number}"), NOW);
        for (key, _) in fixture.registry.list(RegistryKind::SESSION, NOW * SECOND) {
            fixture.registry.remove(RegistryKind::SESSION, &key).expect("removed");
        }
        assert!(fixture.sessions.index.lock().len() <= 256);
    }
}

#[test]
fn the_revocation_of_a_session_is_kept_until_the_session_would_have_ended() {
    let fixture = fixture();
    let id = fixture.begin("aud:a", NOW);
    assert!(fixture.sessions.end("aud:a", &id, (NOW + 5) * SECOND).expect("ended"));
    let kept = |now: i64| fixture.registry.list(RegistryKind::REVOCATION, now * SECOND).len();
    assert_eq!((kept(NOW + HOUR + 59), kept(NOW + HOUR + 60)), (1, 0), "not for the life of the longest token");
}
