//! The law of live views: for any history, mask, field set, reading pace and interruption, every patch applies to what its
//! reader holds and gives the reader's next view; and no frame contains what was withdrawn before.
//!
//! It runs on the actors themselves, over a journal in memory. `LAW_SEED` and `LAW_CASES` choose the histories.

mod follower;
mod memory_store;
mod visibility;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use actors::{Options, Ports, Profiles, Reply, Status};
use arc_swap::ArcSwap;
use domain::access::{Policy, Viewer};
use domain::event::FeedEvent;
use domain::id::UserId;
use domain::port::clock::{Clock, Entropy};
use domain::port::projection::NothingStored;
use domain::schema_version::SchemaVersion;
use domain::table::{FIELDS, LeafSet, Member};
use serde_json::{Value, json};

use crate::events::{Case, SUBJECT};
use crate::random::Random;
use crate::sentences;
use crate::subject::Domain;
use follower::{Coverage, Follower};
use memory_store::MemoryStore;

/// 2026-01-21T06:30:00Z, noon in India.
const NOON: i64 = 1_768_977_000_000_000;
/// Number of small cases in a history, which is then long enough for a frame with the hash of a view.
const CASES: u64 = 6;
const DAY: i64 = 86_400_000_000;
/// How long the test waits for a follower. Nothing takes this long: it ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A clock that the test moves.
struct ManualClock(AtomicI64);

impl Clock for ManualClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct ConstantEntropy;

impl Entropy for ConstantEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

/// A running system, its clock, and the random choices of one history.
struct Harness {
    profiles: Profiles,
    clock: Arc<ManualClock>,
    domain: Domain,
    random: Random,
}

#[test]
#[expect(clippy::print_stdout, reason = "says what the histories came to; shown with --nocapture")]
fn patches_commute_with_masks_and_nothing_withdrawn_goes_out() {
    let mut coverage = Coverage::default();
    for seed in crate::seeds(400) {
        let run = std::panic::AssertUnwindSafe(|| {
            actix::System::new().block_on(async { Harness::start(seed).run(seed).await })
        });
        match std::panic::catch_unwind(run) {
            Ok(one) => coverage.add(&one),
            Err(panic) => {
                println!("LAW_SEED={seed} LAW_CASES=1 brings it back");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{coverage:?}");
    if crate::setting("LAW_CASES", 400) >= 400 {
        coverage.assert_complete();
    }
}

impl Harness {
    fn start(seed: u64) -> Self {
        let domain = Domain::new(&sentences::fixture());
        let clock = Arc::new(ManualClock(AtomicI64::new(NOON)));
        let memory = MemoryStore::default();
        let table = config::AccessTable::load(std::path::Path::new("/nonexistent")).expect("the embedded table");
        let policy = Policy::compile(&table.rules).expect("the embedded table");
        let ports = Ports {
            journal: Box::new(memory.clone()),
            store: Arc::new(memory.clone()),
            projections: Arc::new(NothingStored),
            log: Arc::new(memory),
            clock: clock.clone(),
            entropy: Arc::new(ConstantEntropy),
            rules: Arc::new(domain.rules().clone()),
            policy: Arc::new(ArcSwap::from_pointee(policy)),
        };
        let options = Options { shards: 1, hydration_threads: 1, tick: Duration::from_millis(2), ..Options::default() };
        let profiles = Profiles::start(options, ports).expect("threads");
        Self { profiles, clock, domain, random: Random(seed) }
    }

    /// Runs a history while followers come, go, read and do not read. Checks that in the end each holds what a read gives.
    async fn run(mut self, seed: u64) -> Coverage {
        let mut coverage = Coverage::default();
        let (mut followers, mut away): (Vec<Follower>, Vec<Follower>) = (Vec::new(), Vec::new());
        for event in self.history(seed) {
            self.submit(event).await;
            if self.random.one_in(12) {
                self.clock.0.fetch_add(DAY, Ordering::Relaxed);
            }
            match self.random.below(8) {
                0..=3 if followers.len() < 6 => {
                    let mut follower = match away.pop() {
                        Some(follower) if !self.random.one_in(3) => follower,
                        _ => self.new_follower(),
                    };
                    if follower.open(&self.profiles, 1 + self.random.below(4)).await {
                        followers.push(follower);
                    }
                }
                4 if !followers.is_empty() => {
                    let mut follower = followers.swap_remove(self.random.below(followers.len()));
                    follower.close(&self.profiles);
                    away.push(follower);
                }
                _ => {}
            }
            let own = self.own_view().await;
            for follower in &mut followers {
                if self.random.one_in(2) {
                    follower.read(&own, &mut coverage);
                }
            }
        }
        for mut follower in followers {
            let end = Instant::now() + PATIENCE;
            while !self.is_at_the_head(&mut follower, &mut coverage).await {
                assert!(Instant::now() < end, "a follower never comes to the head");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(self.profiles.stop().await);
        coverage
    }

    /// Returns the events of some cases, with many changes of consent between them.
    fn history(&mut self, seed: u64) -> Vec<FeedEvent> {
        let cases = (0..CASES).map(|number| Case::small(seed.wrapping_mul(CASES).wrapping_add(number)));
        let mut events: Vec<_> = cases.flat_map(|case| case.events).map(|event| self.domain.accept(&event)).collect();
        let mut place = 0;
        let mut number = 0;
        while place <= events.len() {
            let consent = json!({
                "data_sharing_level": self.random.pick(&["minimal", "standard", "full"]),
                "third_party_sharing": self.random.one_in(2),
            });
            events.insert(place, self.domain.accept(&consent_event(number, &consent)));
            number += 1;
            place += 1 + self.random.below(6);
        }
        events
    }

    async fn submit(&self, event: FeedEvent) {
        let (reply, result) = Reply::one();
        assert!(self.profiles.submit(event, Instant::now(), reply).is_ok(), "there is room");
        let result = result.await.expect("an answer");
        assert_ne!(result.status, Status::Busy);
    }

    fn new_follower(&mut self) -> Follower {
        let subject = UserId::parse(SUBJECT).expect("an id");
        let viewer = match self.random.below(6) {
            0 => Viewer::SelfCitizen(subject),
            1 => Viewer::Admin { profile_read: true },
            2 => Viewer::Agent {
                citizen: subject,
                sections: Member::ALL
                    .iter()
                    .filter(|_| self.random.one_in(2))
                    .fold(LeafSet::EMPTY, |sections, member| sections.or(member.leaves())),
            },
            _ => Viewer::Service {
                profile_read: true,
                third_party: self.random.one_in(2),
                ai_context: self.random.one_in(2),
            },
        };
        let some = |random: &mut Random| {
            FIELDS.iter().filter(|_| random.one_in(3)).map(|field| field.leaf).collect::<LeafSet>()
        };
        let fields = self.random.one_in(2).then(|| some(&mut self.random));
        let schema = SchemaVersion::ALL[self.random.below(SchemaVersion::ALL.len())];
        let names_sources = self.random.one_in(3);
        Follower::new(subject, viewer, fields, schema, names_sources)
    }

    /// Returns the citizen's own view, whose consent the frames are checked against.
    async fn own_view(&self) -> Value {
        let subject = UserId::parse(SUBJECT).expect("an id");
        let view = self
            .profiles
            .view(subject, &Viewer::SelfCitizen(subject), SchemaVersion::NEWEST)
            .await
            .expect("it is known");
        serde_json::from_slice(&view.body).expect("JSON")
    }

    async fn is_at_the_head(&self, follower: &mut Follower, coverage: &mut Coverage) -> bool {
        let own = self.own_view().await;
        follower.read(&own, coverage);
        let subject = UserId::parse(SUBJECT).expect("an id");
        match self.profiles.view(subject, &follower.viewer, follower.schema).await {
            Err(_) => follower.held.is_none(),
            Ok(view) => {
                let fields = follower.fields.unwrap_or(LeafSet::ALL);
                let sparse = domain::pipeline::serialize::project(&view.body, view.class, fields, None);
                let mut expected: Value = serde_json::from_slice(&sparse).expect("JSON");
                expected.as_object_mut().expect("an object").remove("_meta");
                let Some(held) = follower.held.as_ref().filter(|_| follower.revision == view.revision) else {
                    return false;
                };
                assert_eq!(*held, expected, "{:?}", follower.viewer);
                true
            }
        }
    }
}

fn consent_event(number: usize, consent: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": format!("law-consent-{number}"), "source": "/engines/consent",
        "type": "user.consent.updated", "subject": SUBJECT,
        "time": format!("2027-01-01T00:{:02}:{:02}Z", number / 60, number % 60), "data": consent,
    })
}
