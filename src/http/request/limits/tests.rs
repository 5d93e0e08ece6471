//! The limits as requests meet them: many callers at once, services with their own numbers, changed rules, the allowlist.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use actix_web::test::TestRequest;
use domain::port::audit::{AuditActor, AuditEntry, AuditReceipt, AuditValue, AuditWrite, NoAuditLog};
use domain::port::registry::{ListedEntry, RegistryEntry, RegistryError, RegistryKind};
use parking_lot::Mutex;

use super::*;
use crate::http::problem::Code;
use crate::http::request::caller::Accounts;
use domain::limits::{Network, Quota};

type RamEntries = BTreeMap<(RegistryKind, Vec<u8>), Arc<RegistryEntry>>;

/// A registry in memory that counts how often it was listed.
#[derive(Default)]
struct RamRegistry(Mutex<RamEntries>, AtomicUsize);

impl Registry for RamRegistry {
    fn get(&self, kind: RegistryKind, key: &[u8], now: i64) -> Option<Arc<RegistryEntry>> {
        self.0.lock().get(&(kind, key.to_vec())).filter(|entry| !entry.has_expired(now)).cloned()
    }

    fn list(&self, kind: RegistryKind, now: i64) -> Vec<ListedEntry> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let entries = self.0.lock();
        let valid = entries.iter().filter(|((other, _), entry)| *other == kind && !entry.has_expired(now));
        valid.map(|((_, key), entry)| (key.clone(), Arc::clone(entry))).collect()
    }

    fn put(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry) -> Result<(), RegistryError> {
        self.0.lock().insert((kind, key.to_vec()), Arc::new(entry));
        Ok(())
    }

    fn put_new(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry, now: i64) -> Result<bool, RegistryError> {
        let is_new = self.get(kind, key, now).is_none();
        if is_new { self.put(kind, key, entry).map(|()| true) } else { Ok(false) }
    }

    fn remove(&self, kind: RegistryKind, key: &[u8]) -> Result<Option<Arc<RegistryEntry>>, RegistryError> {
        Ok(self.0.lock().remove(&(kind, key.to_vec())))
    }
}

#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Noted(Mutex<Vec<AuditEntry>>);

impl AuditLog for Noted {
    fn write(&self, entry: AuditEntry) -> AuditWrite {
        NoAuditLog.write(entry)
    }

    fn write_blocking(&self, entry: AuditEntry) -> Result<AuditReceipt, domain::port::audit::AuditError> {
        NoAuditLog.write_blocking(entry)
    }

    fn note(&self, entry: AuditEntry) {
        self.0.lock().push(entry);
    }
}

struct Fixture {
    limits: Limits,
    clock: Arc<TestClock>,
    noted: Arc<Noted>,
    registry: Arc<RamRegistry>,
}

/// Returns limits with the embedded rules, changed by `change`.
fn fixture(change: impl FnOnce(&mut LimitRules)) -> Fixture {
    let (clock, noted) = (Arc::new(TestClock::default()), Arc::new(Noted::default()));
    let registry = Arc::new(RamRegistry::default());
    let limits = Limits::new(LimitParts {
        rules: rules(change),
        registry: Arc::clone(&registry) as Arc<dyn Registry>,
        audit: Arc::clone(&noted) as Arc<dyn AuditLog>,
        wall_clock: Arc::clone(&clock) as Arc<dyn Clock>,
        proxies: TrustedProxies::default(),
    });
    Fixture { limits, clock, noted, registry }
}

fn rules(change: impl FnOnce(&mut LimitRules)) -> LimitRules {
    let mut rules = config::load_limits(std::path::Path::new("/nonexistent")).expect("the embedded limits");
    change(&mut rules);
    rules
}

fn caller(subject: &str) -> Caller {
    let mut caller = Arc::into_inner(Caller::for_tests(subject)).expect("the only one");
    if subject.starts_with("svc:") {
        caller.role = Role::Service;
    }
    caller
}

fn request(address: &str) -> HttpRequest {
    let address = std::net::SocketAddr::new(address.parse().expect("an address"), 5_000);
    TestRequest::default().peer_addr(address).to_http_request()
}

/// Returns how many calls of the class pass before the limit.
fn calls(limits: &Limits, caller: &Caller, class: LimitClass) -> usize {
    let request = request("192.0.2.1");
    (0..5_000).take_while(|_| limits.count(caller, class, &request).is_ok()).count()
}

#[test]
fn a_thousand_callers_at_once_have_exactly_their_calls() {
    let Fixture { limits, .. } = fixture(|_| {});
    let callers: Vec<Caller> = (0..1_000).map(|number| caller(&format!("aud:{number}"))).collect();
    let allowed: Vec<AtomicUsize> = callers.iter().map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (limits, callers, allowed) = (&limits, &callers, &allowed);
            scope.spawn(move || {
                let request = request("192.0.2.1");
                for round in 0..40 {
                    for index in 0..callers.len() {
                        let index = (index * 7 + thread * 251 + round) % callers.len();
                        if limits.count(&callers[index], LimitClass::Read, &request).is_ok() {
                            allowed[index].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    // Each was called 160 times within the minute.
    assert!(allowed.iter().all(|allowed| allowed.load(Ordering::Relaxed) == 100));
}

#[test]
fn a_service_has_its_own_number_and_people_behind_one_address_do_not_share_one() {
    let Fixture { limits, .. } = fixture(|rules| {
        rules.services.entry("svc:portal".to_owned()).or_default().insert(LimitClass::Auth, 3);
    });
    assert_eq!(calls(&limits, &caller("svc:portal"), LimitClass::Auth), 3);
    assert_eq!(calls(&limits, &caller("svc:other"), LimitClass::Auth), 10);
    assert_eq!(calls(&limits, &caller("svc:other"), LimitClass::Read), 5_000);
    assert_eq!(calls(&limits, &caller("aud:a"), LimitClass::Read), 100);
    assert_eq!(calls(&limits, &caller("aud:b"), LimitClass::Read), 100);
    assert_eq!(calls(&limits, &caller("svc:other"), LimitClass::Feed), 5_000, "feeds are not counted");
}

#[test]
fn other_rules_keep_what_was_counted() {
    let Fixture { limits, .. } = fixture(|_| {});
    let caller = caller("aud:a");
    assert_eq!(calls(&limits, &caller, LimitClass::Read), 100);
    let read = |limit: u32| {
        move |rules: &mut LimitRules| rules.classes[LimitClass::Read as usize].quota = Some(Quota::per_minute(limit))
    };
    limits.follow(rules(read(130)));
    assert_eq!(calls(&limits, &caller, LimitClass::Read), 30);
    limits.follow(rules(read(50)));
    assert_eq!(calls(&limits, &caller, LimitClass::Read), 0);
    caller.account.limits().reset();
    assert_eq!(calls(&limits, &caller, LimitClass::Read), 50);
}

#[test]
fn failures_are_counted_by_address_and_never_stop_accepted_callers() {
    let Fixture { limits, noted, .. } = fixture(|_| {});
    let refuse = |address: &str| {
        limits.count_failure(&request(address), Problem::new(Code::InvalidToken, "not valid")).status().as_u16()
    };
    let statuses: Vec<u16> = (0..62).map(|_| refuse("192.0.2.1")).collect();
    assert!(statuses[..60].iter().all(|status| *status == 401) && statuses[60..] == [429, 429]);
    assert_eq!(refuse("192.0.2.2"), 401, "another address");
    assert_eq!(calls(&limits, &caller("aud:a"), LimitClass::Read), 100, "from the same address");
    let v6 = |last: u16| refuse(&format!("2001:db8:1:2::{last:x}"));
    assert_eq!((1..=61).map(v6).filter(|status| *status == 401).count(), 60, "a network counts as one address");
    limits.reset_address("192.0.2.1".parse().expect("an address"));
    assert_eq!(refuse("192.0.2.1"), 401);

    let of = |action: &str| noted.0.lock().iter().filter(|entry| entry.action == action).count();
    assert_eq!(
        (of("authentication.failed"), of("limit.reached")),
        (3, 3),
        "an entry for each address, and for the caller"
    );
    limits.finish();
    let entries = noted.0.lock();
    let counted = entries.iter().flat_map(|entry| &entry.members).filter(|member| member.name == "count");
    let sum: i64 = counted.map(|member| if let AuditValue::Integer(count) = member.value { count } else { 0 }).sum();
    assert_eq!(sum, 62 + 1 + 60 + 1 + 1 + 2 + 1 + 1, "all are counted");
}

#[test]
fn a_spray_of_callers_and_addresses_takes_bounded_memory() {
    let Fixture { limits, noted, .. } = fixture(|rules| rules.failures = Quota::per_minute(1));
    for number in 0..200_000_u32 {
        let address = std::net::Ipv4Addr::from_bits(number).to_string();
        for _ in 0..2 {
            limits.count_failure(&request(&address), Problem::new(Code::InvalidToken, "not valid"));
        }
    }
    assert!(limits.addresses.len() <= 32_768);
    assert!(noted.0.lock().len() <= 20_000, "the audit log is not the attack");
}

#[test]
fn a_spray_of_addresses_hides_no_caller_that_reaches_its_limit() {
    let Fixture { limits, noted, .. } = fixture(|rules| rules.failures = Quota::per_minute(1));
    let spray = |first: u32, times: usize| {
        let request = request(&std::net::Ipv4Addr::from_bits(first).to_string());
        (0..times).for_each(|_| drop(limits.count_failure(&request, Problem::new(Code::InvalidToken, "not valid"))));
    };
    (0..20_000).for_each(|number| spray(number, 1));
    spray(20_000, 2);
    assert_eq!(calls(&limits, &caller("aud:a"), LimitClass::Auth), 10);
    let is_of_caller = |entry: &AuditEntry| entry.actor == AuditActor::Caller("aud:a".into());
    assert_eq!(noted.0.lock().iter().filter(|entry| is_of_caller(entry)).count(), 1);
    noted.0.lock().clear();
    limits.finish();
    let member = |entry: &AuditEntry, name| entry.members.iter().find(|member| member.name == name).cloned();
    let entries = noted.0.lock();
    let others = entries.iter().map(|entry| {
        let values = ["several", "count"].map(|name| member(entry, name).expect("a member").value);
        assert_eq!(entry.actor, AuditActor::System);
        (entry.action, values)
    });
    let several = |count| [AuditValue::Text("addresses".into()), AuditValue::Integer(count)];
    let expected = [("authentication.failed", several(10_002)), ("limit.reached", several(1))];
    assert_eq!(others.collect::<Vec<_>>(), expected, "counted by what was refused");
}

#[test]
fn a_million_other_callers_do_not_make_the_server_forget_a_count() {
    let Fixture { limits, .. } = fixture(|_| {});
    let accounts = Accounts::new([7; 16]);
    let of = |subject: &str| Caller::with_account(accounts.get(subject));
    assert_eq!(calls(&limits, &of("aud:victim"), LimitClass::Read), 100);
    assert_eq!(calls(&limits, &of("aud:other"), LimitClass::Sensitive), 30);
    let request = request("192.0.2.1");
    for number in 0..1_000_000 {
        limits.count(&of(&format!("aud:{number}")), LimitClass::Auth, &request).expect("its first call");
    }
    let (kept, resting) = accounts.lengths();
    assert!(kept <= 2 * 16_384 && resting <= 1 << 20, "{kept} accounts, {resting} with calls");
    assert_eq!(calls(&limits, &of("aud:victim"), LimitClass::Read), 0, "its minute is not over");
    assert_eq!(calls(&limits, &of("aud:other"), LimitClass::Sensitive), 0);
    assert_eq!(calls(&limits, &of("aud:other"), LimitClass::Read), 100, "another class");
    // An account that was not called since it came back is not forgotten either.
    for round in 0..3 {
        drop(of("aud:victim"));
        for number in 0..100_000 {
            drop(of(&format!("aud:{round}-{number}")));
        }
    }
    assert_eq!(calls(&limits, &of("aud:victim"), LimitClass::Read), 0);
}

#[test]
fn the_allowlist_lifts_the_limits_until_it_expires() {
    let Fixture { limits, clock, .. } = fixture(|_| {});
    let caller = caller("aud:a");
    assert_eq!(calls(&limits, &caller, LimitClass::Auth), 10);
    let network = Network::parse("192.0.2.0/24").expect("a network");
    for subject in [AllowlistSubject::Caller("aud:a".to_owned()), AllowlistSubject::Address(network)] {
        let (reason, added_by) = ("a load test".to_owned(), "adm:root".to_owned());
        limits.allowlist().add(&AllowlistEntry { subject, reason, added_by, expires_at: 1_000 }).expect("stored");
    }
    assert_eq!(limits.allowlist().entries().len(), 2);
    limits.upkeep();
    assert_eq!(calls(&limits, &caller, LimitClass::Auth), 5_000);
    let anonymous = || (0..301).filter(|_| limits.count_anonymous(&request("192.0.2.9")).is_ok()).count();
    assert_eq!(anonymous(), 301);
    clock.0.store(1_000, Ordering::Relaxed);
    limits.upkeep();
    assert_eq!(calls(&limits, &caller, LimitClass::Auth), 0, "what was counted before is still counted");
    assert_eq!(anonymous(), 300);
    assert!(limits.allowlist().entries().is_empty());
}

fn exempt(limits: &Limits, subject: AllowlistSubject, expires_at: i64) -> Result<(), AllowlistError> {
    let (reason, added_by) = ("a load test".to_owned(), "adm:root".to_owned());
    limits.allowlist().add(&AllowlistEntry { subject, reason, added_by, expires_at })
}

#[test]
fn the_allowlist_has_a_bounded_number_of_entries() {
    let Fixture { limits, clock, .. } = fixture(|_| {});
    let add = |number: usize| exempt(&limits, AllowlistSubject::Caller(format!("aud:{number}")), 1_000);
    (0..1_000).for_each(|number| add(number).expect("a place"));
    let refused = add(1_000).expect_err("no place");
    assert!(refused.to_string().contains("1000 entries"), "{refused}");
    add(0).expect("in place of the one for the same caller");
    limits.allowlist().remove(&AllowlistSubject::Caller("aud:0".to_owned())).expect("removed");
    add(1_000).expect("a place");
    clock.0.store(1_000, Ordering::Relaxed);
    exempt(&limits, AllowlistSubject::Caller("aud:later".to_owned()), 2_000).expect("the others have expired");
}

#[test]
fn the_allowlist_is_read_again_only_when_it_has_changed() {
    let Fixture { limits, clock, registry, .. } = fixture(|_| {});
    exempt(&limits, AllowlistSubject::Caller("aud:a".to_owned()), 1_000).expect("stored");
    exempt(&limits, AllowlistSubject::Caller("aud:b".to_owned()), 2_000).expect("stored");
    let reads_at = |now: i64| {
        clock.0.store(now, Ordering::Relaxed);
        let before = registry.1.load(Ordering::Relaxed);
        (0..3).for_each(|_| limits.upkeep());
        registry.1.load(Ordering::Relaxed) - before
    };
    let is_exempt = |subject: &str| limits.allowlist().callers().contains(subject);
    assert_eq!((reads_at(0), is_exempt("aud:a"), is_exempt("aud:b")), (1, true, true), "added");
    assert_eq!(reads_at(999), 0);
    assert_eq!((reads_at(1_000), is_exempt("aud:a"), is_exempt("aud:b")), (1, false, true), "expired");
    assert_eq!(reads_at(1_999), 0);
    assert_eq!((reads_at(500), is_exempt("aud:a")), (1, true), "the clock was set back");
    limits.allowlist().remove(&AllowlistSubject::Caller("aud:a".to_owned())).expect("removed");
    assert_eq!((reads_at(500), is_exempt("aud:a")), (1, false), "removed");
}

#[test]
fn assemblies_of_people_are_also_counted_by_address() {
    let Fixture { limits, .. } = fixture(|rules| {
        if let Some(quota) = &mut rules.classes[LimitClass::Assemble as usize].quota {
            quota.burst = None;
        }
    });
    let (first, second) = (caller("aud:a"), caller("aud:b"));
    assert_eq!(calls(&limits, &first, LimitClass::Assemble), 5, "the address has five");
    assert_eq!(calls(&limits, &second, LimitClass::Assemble), 0);
    let elsewhere = request("192.0.2.2");
    assert!(limits.count(&second, LimitClass::Assemble, &elsewhere).is_ok());
    assert_eq!(calls(&limits, &caller("svc:engine"), LimitClass::Assemble), 200, "a service has the class `internal`");
}

#[test]
fn a_batch_counts_as_its_number_of_ids() {
    let Fixture { limits, .. } = fixture(|_| {});
    let (caller, request) = (caller("aud:a"), request("192.0.2.1"));
    assert!(limits.count_many(&caller, LimitClass::Read, 60, &request).is_ok());
    assert!(limits.count_many(&caller, LimitClass::Read, 41, &request).is_err());
    assert!(limits.count_many(&caller, LimitClass::Read, 40, &request).is_ok());
    assert!(limits.count(&caller, LimitClass::Read, &request).is_err());
}
