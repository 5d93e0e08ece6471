//! What outlives a server, and a server's erasures on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actors::EraseError;
use arc_swap::ArcSwap;
use domain::access::{AccessRules, Policy};
use domain::erasure::{ErasureReason, Tombstone};
use domain::id::UserId;
use domain::json::{self, Json};
use domain::port::audit::{AuditActor, AuditCategory};
use domain::port::audit_trail::{AuditQuery, AuditTrail};
use domain::port::clock::{Clock, Entropy};
use domain::port::erasure::{ErasedUser, ErasureParticipant, StoredUser, UserDirectory};
use domain::port::journal::RowId;
use domain::port::keyring_backup::KeyringBackups;
use domain::port::registry::{Registry, RegistryKind};
use domain::port::store::StoreError;
use parking_lot::Mutex;
use store::audit::{AuditKeys, AuditOptions, AuditStore};
use tempfile::TempDir;

use super::super::erasures::{ErasureParts, Erasures, StepHook};
use super::super::job::ErasureOrigin;
use super::super::read_block::ReadBlock;
use super::super::run::Step;
use super::super::user_eraser::{EraseUser, Erasing};
use crate::http::request::caller::memory_registry::MemoryRegistry;

pub(super) const NOW: i64 = 1_800_000_000_000_000;
pub(super) const DAY: i64 = 24 * 3_600 * 1_000_000;
/// Participants of a test.
pub(super) const PARTICIPANTS: usize = 3;

pub(super) fn user() -> UserId {
    UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id")
}

pub(super) fn origin() -> ErasureOrigin {
    let request_id = Some("request-1".to_owned());
    ErasureOrigin { actor: AuditActor::Citizen(user()), tenant: 0, reason: None, purpose: None, request_id }
}

pub(super) struct TestClock(pub(super) AtomicI64);

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed) as u8);
    }
}

/// The users of a store, in memory.
#[derive(Default)]
pub(super) struct TestUsers {
    pub(super) users: Mutex<HashMap<UserId, StoredUser>>,
    /// How often a generation was ended.
    pub(super) ended: AtomicUsize,
    /// How many of the next calls fail.
    pub(super) failures: AtomicUsize,
}

impl TestUsers {
    /// Begins the next life of a user.
    pub(super) fn live(&self, user: UserId, generation: u32) {
        self.users.lock().insert(user, StoredUser::Living { row: RowId(41), generation });
    }

    pub(super) fn get(&self) -> StoredUser {
        self.users.lock()[&user()]
    }
}

impl UserDirectory for TestUsers {
    fn find(&self, user: &UserId) -> Result<Option<StoredUser>, StoreError> {
        Ok(self.users.lock().get(user).copied())
    }
}

impl EraseUser for TestUsers {
    fn erase(&self, user: UserId, reason: ErasureReason) -> Erasing<'_> {
        Box::pin(async move {
            let fails = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if fails.is_ok() {
                return Err(EraseError::Busy);
            }
            let mut users = self.users.lock();
            let stored = users.get_mut(&user).ok_or(EraseError::Unknown)?;
            let (row, tombstone) = match *stored {
                StoredUser::Erased { row, tombstone } => (row, tombstone),
                StoredUser::Living { row, generation } => {
                    self.ended.fetch_add(1, Ordering::Relaxed);
                    let (last_revision, last_sequence) = (12, 34);
                    (
                        row,
                        Tombstone {
                            generation,
                            erased_at: NOW + 5,
                            reason,
                            last_revision,
                            last_sequence,
                            was_shared: true,
                        },
                    )
                }
            };
            *stored = StoredUser::Erased { row, tombstone };
            Ok(ErasedUser { user, row, tombstone })
        })
    }
}

/// Notes whom it was asked to forget, and fails as often as a test says.
struct TestParticipant {
    place: usize,
    asked: Arc<Mutex<Vec<(usize, bool)>>>,
    failures: Arc<[AtomicUsize; PARTICIPANTS]>,
}

impl ErasureParticipant for TestParticipant {
    fn name(&self) -> &'static str {
        "a part of the test"
    }

    fn forget(&self, erased: &ErasedUser) -> Result<(), StoreError> {
        assert_eq!((erased.user, erased.row), (user(), RowId(41)));
        let left = &self.failures[self.place];
        let fails = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        self.asked.lock().push((self.place, !fails));
        if fails { Err(StoreError::Damaged { what: "a test says so".to_owned() }) } else { Ok(()) }
    }
}

struct Backups;

impl KeyringBackups for Backups {
    fn kept_until(&self) -> Option<i64> {
        Some(NOW + 7 * DAY)
    }
}

/// What outlives a server.
pub(super) struct Disk {
    pub(super) registry: Arc<MemoryRegistry>,
    pub(super) audit: Arc<AuditStore>,
    pub(super) users: Arc<TestUsers>,
    /// The participants that were asked, and whether each has forgotten.
    pub(super) asked: Arc<Mutex<Vec<(usize, bool)>>>,
    /// How often each participant still fails.
    pub(super) failures: Arc<[AtomicUsize; PARTICIPANTS]>,
    pub(super) clock: Arc<TestClock>,
    entropy: Arc<Counting>,
    _dir: TempDir,
}

/// The erasures of a server after a start, with what the tests look at.
pub(super) struct Started {
    pub(super) erasures: Erasures,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    /// How often live clients were told to follow the policy.
    pub(super) changes: Arc<AtomicUsize>,
}

impl Disk {
    /// Returns a store with a user in its first life.
    pub(super) fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        let clock = Arc::new(TestClock(AtomicI64::new(NOW)));
        let keys = AuditKeys::from_keys([7; 32], &[7; 32], &[7; 32]);
        let options = AuditOptions::new(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>);
        let users = TestUsers::default();
        users.live(user(), 1);
        Self {
            registry: Arc::default(),
            audit: Arc::new(store::audit::open(&options, keys).expect("a log")),
            users: Arc::new(users),
            asked: Arc::default(),
            failures: Arc::default(),
            clock,
            entropy: Arc::new(Counting(AtomicU64::new(1))),
            _dir: dir,
        }
    }

    pub(super) fn start(&self) -> Started {
        self.start_with(None)
    }

    /// Starts erasures that end before the step after this one, as a crash would.
    pub(super) fn start_until(&self, last: Step) -> Started {
        self.start_with(Some(Box::new(move |step| step != last)))
    }

    fn start_with(&self, hook: Option<StepHook>) -> Started {
        let policy = Policy::compile(&AccessRules::default()).expect("a table");
        let (policy, changes) = (Arc::new(ArcSwap::from_pointee(policy)), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&changes);
        let participant = |place| {
            let (asked, failures) = (Arc::clone(&self.asked), Arc::clone(&self.failures));
            Arc::new(TestParticipant { place, asked, failures }) as Arc<dyn ErasureParticipant>
        };
        let parts = ErasureParts {
            registry: Arc::<MemoryRegistry>::clone(&self.registry),
            audit: Arc::<AuditStore>::clone(&self.audit),
            trail: Arc::<AuditStore>::clone(&self.audit),
            directory: Arc::<TestUsers>::clone(&self.users),
            users: Arc::<TestUsers>::clone(&self.users),
            participants: (0..PARTICIPANTS).map(participant).collect(),
            reads: ReadBlock::new(Arc::clone(&policy), Arc::default(), move || {
                count.fetch_add(1, Ordering::Relaxed);
            }),
            backups: Arc::new(Backups),
            clock: Arc::<TestClock>::clone(&self.clock),
            entropy: Arc::<Counting>::clone(&self.entropy),
            key: [3; 32],
            patience: Duration::from_secs(60),
            confirm_clock: Duration::ZERO,
            hook,
        };
        Started { erasures: Erasures::load(parts).expect("jobs"), policy, changes }
    }

    /// Returns the entries of erasures: the request ids of those with a commitment, the newest first.
    pub(super) fn recorded(&self) -> Vec<String> {
        let query = AuditQuery { action: Some("profile.erase".to_owned()), ..AuditQuery::newest(100) };
        let page = self.audit.query(&query).expect("a page");
        let id = |line: &str| {
            let entry = json::parse(line.as_bytes(), 4).expect("JSON");
            let text = |name: &str| entry.get(name).and_then(Json::as_str).map(str::to_owned);
            assert_eq!(text("category").as_deref(), Some(AuditCategory::Compliance.name()));
            text("commitment").and_then(|_| text("request_id"))
        };
        page.records.iter().filter_map(|record| id(&record.line)).collect()
    }

    /// Returns how many jobs the registry holds.
    pub(super) fn jobs(&self) -> usize {
        self.registry.list(RegistryKind::ERASURE_JOB, i64::MIN).len()
    }

    pub(super) fn public_key(&self) -> [u8; 32] {
        self.audit.public_key()
    }
}

impl Started {
    pub(super) fn is_blocked(&self) -> bool {
        self.policy.load().is_blocked(&user())
    }

    pub(super) async fn erase(&self) -> Result<String, super::super::ErasureError> {
        let erased = self.erasures.erase(user(), ErasureReason::Citizen, origin()).await;
        erased.map(|finished| finished.receipt)
    }
}
