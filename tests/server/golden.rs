//! A data directory of an earlier build is served as it was published. `tests/golden/` has one for each format of the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Once};

use base64::Engine;
use data::{GeneratedEvent, Population, PopulationOptions};
use domain::id::UserId;
use domain::port::clock::Entropy;
use domain::record::{Replay, Rewind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{MasterKey, StoreOptions};
use tempfile::TempDir;

use crate::test_server::{self, TestServer};

/// The store of the newest format, which [`cut`] makes. Those of earlier formats stay as they are.
const NEWEST: &str = "store-2";
/// Days on which the citizens of the store got events.
const DAYS: [&str; 4] =
    ["2026-01-21T12:00:00Z", "2026-01-22T12:00:00Z", "2026-02-03T12:00:00Z", "2026-03-01T12:00:00Z"];
const CITIZENS: u64 = 12;
/// The citizen who got so many events that the history has several blocks.
const BUSY_CITIZEN: u64 = 3;
const BUSY_UPDATES: u64 = 100;
/// A checkpoint comes soon, and segments are small.
const SETTINGS: &str = "[checkpoint]\ninterval_s = 1\n[journal]\nsegment_mib = 2\n";

/// What was published while the store was made.
#[derive(Default, Serialize, Deserialize)]
struct Published {
    /// The clock of the last start.
    clock: String,
    /// Each citizen's profile at the end, without what depends on the answer.
    profiles: BTreeMap<String, Value>,
    /// The `profile_hash` of revisions that were read on the way, by citizen.
    hashes: BTreeMap<String, BTreeMap<u64, String>>,
}

impl Published {
    /// Reads a citizen's profile, and adds its revision.
    fn add(&mut self, server: &TestServer, user: &str) {
        let mut profile = server.own_profile(user).json();
        let revision = profile["revision"].as_u64().unwrap();
        let hash = profile["profile_hash"].as_str().unwrap().to_owned();
        self.hashes.entry(user.to_owned()).or_default().insert(revision, hash);
        remove_latency(&mut profile);
        self.profiles.insert(user.to_owned(), profile);
    }
}

/// Removes the only member that says how the answer was made.
fn remove_latency(profile: &mut Value) {
    profile.as_object_mut().unwrap().remove("assembly_latency_ms");
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn tar(arguments: &[&str], archive: &Path, directory: &Path) {
    let status = Command::new("tar").args(arguments).arg(archive).arg("-C").arg(directory).arg(".").status().unwrap();
    assert!(status.success());
}

/// Returns a copy of a golden store, and what was published while it was made.
///
/// # Panics
/// If the newest one is missing, as that of a new format is. It is made then, to be committed.
fn open(name: &str) -> (TempDir, Published) {
    static MISSING: Once = Once::new();
    MISSING.call_once(|| {
        if !golden(&format!("{NEWEST}.tar.gz")).exists() {
            cut();
            panic!("{NEWEST} was missing in tests/golden and has been made: commit it, and never replace it");
        }
    });
    let dir = TempDir::new().unwrap();
    tar(&["-xzf"], &golden(&format!("{name}.tar.gz")), dir.path());
    let published = std::fs::read(golden(&format!("{name}.json"))).unwrap();
    (dir, serde_json::from_slice(&published).unwrap())
}

fn master_key(dir: &Path) -> MasterKey {
    let secrets = std::fs::read_to_string(dir.join(".env")).unwrap();
    let key = secrets.lines().find_map(|line| line.strip_prefix("PROFILE_SERVER_MASTER_KEY=")).unwrap();
    let key = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
    MasterKey::new(1, key.try_into().unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The store seals what it writes at its start; none of it is kept.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

#[test]
fn a_golden_store_is_served_as_it_was_published_and_goes_on() {
    let (dir, published) = open(NEWEST);
    let server = test_server::start_at(dir, &published.clock);
    assert_eq!(published.profiles.len() as u64, CITIZENS);
    for (user, profile) in &published.profiles {
        let mut served = server.own_profile(user).json();
        remove_latency(&mut served);
        assert_eq!(&served, profile, "{user}");
    }
    let (user, before) = published.profiles.first_key_value().unwrap();
    server.apply("metadata", &test_server::residency(user, "after-golden", &published.clock, 77));
    let after = server.own_profile(user).json();
    assert_eq!(after["revision"].as_u64(), before["revision"].as_u64().map(|revision| revision + 1));
    // A checkpoint over the golden records, and a start on it.
    let (_, dir) = server.terminate();
    let server = test_server::start_at(dir, &published.clock);
    assert_eq!(server.own_profile(user).json(), after);
    assert_eq!(server.metric("profile_store_quarantined_users"), 0.0);
}

#[test]
fn the_revisions_of_a_golden_store_have_the_hashes_that_were_published() {
    let (dir, published) = open(NEWEST);
    let dictionaries = data::STATE_DICTIONARIES.iter().map(|dictionary| dictionary.to_vec()).collect();
    let options = StoreOptions { dictionaries, ..StoreOptions::new(dir.path()) };
    let store = store::open(options, &master_key(dir.path()), Arc::new(Replay), Arc::new(NoEntropy)).unwrap();
    let mut revisions = 0;
    for (user, hashes) in &published.hashes {
        let user_id = UserId::parse(user).unwrap();
        for (&revision, hash) in hashes {
            let mut rewind = Rewind::new(revision);
            store.reader.load_history(&user_id, revision, &mut rewind).unwrap();
            let past = rewind.finish().past().unwrap_or_else(|| panic!("revision {revision} of {user} is missing"));
            assert_eq!(&hex(&past.profile_hash()), hash, "revision {revision} of {user}");
            revisions += 1;
        }
    }
    assert!(revisions > 100);
}

/// Makes the newest golden store.
fn cut() {
    let population = Population::new(PopulationOptions { users: CITIZENS, ..PopulationOptions::default() });
    let users: Vec<String> = (0..CITIZENS).map(|index| population.user_id(index)).collect();
    let mut published = Published::default();
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("config.local.toml"), SETTINGS).unwrap();
    let mut dir = Some(dir);
    for (day, clock) in (0_u64..).zip(DAYS) {
        let server = test_server::start_at(dir.take().unwrap(), clock);
        published.clock = clock.to_owned();
        for (index, user) in (0_u64..).zip(&users) {
            let updates = if index == BUSY_CITIZEN { BUSY_UPDATES } else { 3 + index };
            let updates = (day * updates..(day + 1) * updates).map(|n| population.update(index, n));
            let first = if day == 0 { population.first_events(index) } else { Vec::new() };
            for GeneratedEvent { source, json } in first.into_iter().chain(updates) {
                assert_eq!(server.post(source, json).status, 200);
                published.add(&server, user);
            }
        }
        server.consent(&users[day as usize], &json!({"data_sharing_level": "full", "analytics_opt_in": true}));
        published.add(&server, &users[day as usize]);
        assert_eq!(server.post("identity", json!({"id": format!("bad-{day}")}).to_string()).status, 422);
        // The last day's frames are in the journal alone; those before are in checkpoints.
        dir = Some(if clock == DAYS[DAYS.len() - 1] { server.kill() } else { server.terminate().1 });
    }
    let dir = dir.unwrap();
    for own in ["test.log", "limits.toml"] {
        std::fs::remove_file(dir.path().join(own)).unwrap();
    }
    let (archive, file) = (golden(&format!("{NEWEST}.tar.gz")), golden(&format!("{NEWEST}.json")));
    std::fs::create_dir_all(golden("")).unwrap();
    tar(&["-czf"], &archive, dir.path());
    std::fs::write(file, serde_json::to_string_pretty(&published).unwrap() + "\n").unwrap();
}
