use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::*;
use crate::bytes::u32_at;
use crate::disk::RealDisk;
use crate::seal::SecretKey;
use crate::test_kit::TestEntropy;

const KINDS: [RegistryKind; 3] = [RegistryKind::REVOCATION, RegistryKind::SESSION, RegistryKind::new(200)];
const MAX_KIND_BYTES: usize = 100_000;
const HEADER_BYTES: usize = 64;

fn try_open(dir: &Path, is_new: bool) -> Result<DurableRegistry, OpenError> {
    let keys = SystemKeys::new(SecretKey::new([9; 32]));
    // Different nonces after each start, as from the system.
    static STARTS: AtomicUsize = AtomicUsize::new(0);
    let entropy = TestEntropy::new(STARTS.fetch_add(1, Ordering::Relaxed) as u64);
    DurableRegistry::open(Arc::new(RealDisk), dir, is_new, keys, Arc::new(entropy), MAX_KIND_BYTES)
}

fn open(dir: &Path) -> DurableRegistry {
    try_open(dir, false).expect("the registry opens")
}

fn create() -> (tempfile::TempDir, DurableRegistry) {
    let dir = tempfile::tempdir().expect("a directory");
    let registry = try_open(dir.path(), true).expect("a new registry");
    (dir, registry)
}

fn entry(value: &[u8], expires_at: Option<i64>) -> RegistryEntry {
    RegistryEntry { value: value.to_vec(), expires_at }
}

fn file_bytes(dir: &Path) -> Vec<u8> {
    fs::read(file::path(dir)).expect("the file")
}

/// Returns where the records end: after them is only allocated space.
fn end_of(bytes: &[u8]) -> usize {
    let mut end = HEADER_BYTES;
    while bytes.len() - end >= 4 && u32_at(bytes, end) > 0 {
        end += u32_at(bytes, end) as usize;
    }
    end
}

/// What a registry should hold.
#[derive(Default, Clone, Debug, PartialEq)]
struct Model(BTreeMap<EntryKey, RegistryEntry>);

impl Model {
    #[track_caller]
    fn check(&self, registry: &DurableRegistry, now: i64, what: &str) {
        for kind in KINDS {
            let listed = registry.list(kind, now).into_iter().map(|(key, entry)| ((kind, key), (*entry).clone()));
            let expected = self.0.iter().filter(|(key, entry)| key.0 == kind && !entry.has_expired(now));
            let expected = expected.map(|(key, entry)| (key.clone(), entry.clone()));
            assert!(listed.eq(expected), "{what}: the entries of {kind:?} differ");
        }
    }
}

/// Makes a random change to both. Returns whether the file was written.
fn random_change(random: &mut StdRng, registry: &DurableRegistry, model: &mut Model, now: i64) -> bool {
    let key = (KINDS[random.random_range(0..KINDS.len())], format!("key {}", random.random_range(0..12)).into_bytes());
    let mut value = vec![0; [0, 10, 300, 16 << 10][random.random_range(0..4)]];
    random.fill_bytes(&mut value);
    let entry = RegistryEntry { value, expires_at: random.random_bool(0.4).then(|| random.random_range(0..100)) };
    let written = match random.random_range(0..4) {
        0 => {
            let removed = registry.remove(key.0, &key.1).expect("durable");
            assert_eq!(removed.as_deref(), model.0.remove(&key).as_ref());
            return removed.is_some();
        }
        1 => {
            let is_there = model.0.get(&key).is_some_and(|entry| !entry.has_expired(now));
            let written = registry.put_new(key.0, &key.1, entry.clone(), now);
            assert!(
                !matches!(written, Ok(written) if written == is_there),
                "an entry is replaced only if it has expired"
            );
            written
        }
        _ => registry.put(key.0, &key.1, entry.clone()).map(|()| true),
    };
    match written {
        Ok(true) => drop(model.0.insert(key, entry)),
        Ok(false) | Err(RegistryError::Full) => return false,
        Err(error) => panic!("{error}"),
    }
    true
}

/// Leaves the directory as a kill during the last write could have left it. Returns whether the write is complete.
fn kill(random: &mut StdRng, dir: &Path, before: &[u8]) -> bool {
    let after = file_bytes(dir);
    let is_same_file = before[..HEADER_BYTES] == after[..HEADER_BYTES];
    if !is_same_file {
        // The new file had no name yet.
        let written = &after[..random.random_range(0..end_of(&after))];
        fs::write(dir.join("registry.new"), written).expect("written");
        fs::write(file::path(dir), before).expect("written");
        return false;
    }
    let (start, end) = (end_of(before), end_of(&after));
    let cut = random.random_range(start..=end);
    let mut torn = after.clone();
    if random.random() {
        torn[cut..end].fill(0);
    } else if cut < end {
        // Pages are written in any order.
        torn[cut..end].iter_mut().for_each(|byte| *byte = if random.random() { 0 } else { *byte });
        torn[cut] ^= 1;
    }
    fs::write(file::path(dir), &torn).expect("written");
    torn == after
}

#[test]
fn it_holds_what_a_map_would_hold_through_kills_and_restarts() {
    for seed in 0..5 {
        let mut random = StdRng::seed_from_u64(seed);
        let (dir, mut registry) = create();
        let (mut model, mut now, mut replaced) = (Model::default(), 0, 0);
        for step in 0..250 {
            let what = format!("seed {seed}, step {step}");
            let (before, model_before) = (file_bytes(dir.path()), model.clone());
            let written = random_change(&mut random, &registry, &mut model, now);
            model.check(&registry, now, &what);
            replaced += usize::from(file_bytes(dir.path())[..HEADER_BYTES] != before[..HEADER_BYTES]);
            match random.random_range(0..10) {
                0 if written => {
                    drop(registry);
                    if !kill(&mut random, dir.path(), &before) {
                        model = model_before;
                    }
                    registry = open(dir.path());
                }
                1 => {
                    drop(registry);
                    registry = open(dir.path());
                }
                2 => {
                    now += random.random_range(0..10);
                    let swept = now - random.random_range(0..5);
                    registry.sweep(swept);
                    model.0.retain(|_, entry| !entry.has_expired(swept));
                }
                _ => continue,
            }
            // A restart brings back entries that were swept after the file was written; they stay invisible.
            model.check(&registry, now, &what);
            registry.sweep(now);
            model.0.retain(|_, entry| !entry.has_expired(now));
        }
        assert!(replaced > 2, "seed {seed}: full files are replaced");
    }
}

#[test]
fn damage_before_the_last_record_is_never_taken_for_a_torn_write() {
    let (dir, registry) = create();
    for number in 0..20_u8 {
        registry.put(RegistryKind::REVOCATION, &[number], entry(&[number; 40], None)).expect("durable");
    }
    drop(registry);
    let bytes = file_bytes(dir.path());
    let last = end_of(&bytes) - (44 + 20 + 1 + 40);
    for at in (0..last).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        fs::write(file::path(dir.path()), &damaged).expect("written");
        let error = try_open(dir.path(), false).err().unwrap_or_else(|| panic!("damage at byte {at} is not found"));
        assert!(matches!(error, OpenError::Damaged { .. } | OpenError::NewerFormat { .. }), "byte {at}: {error}");
    }
}

#[test]
fn a_file_that_was_replaced_is_complete_up_to_its_end() {
    let (dir, registry) = create();
    registry.put(RegistryKind::REVOCATION, b"jti", entry(b"revoked", None)).expect("durable");
    *registry.writer.lock() = None;
    registry.put(RegistryKind::REVOCATION, b"other", entry(b"revoked", None)).expect("durable");
    drop(registry);
    let mut bytes = file_bytes(dir.path());
    let end = end_of(&bytes);
    bytes[end - 30..].fill(0);
    fs::write(file::path(dir.path()), &bytes).expect("written");
    assert!(matches!(try_open(dir.path(), false), Err(OpenError::Damaged { .. })), "its records were synced");
}

#[test]
fn a_record_of_another_file_or_another_place_is_refused() {
    let (dir, registry) = create();
    registry.put(RegistryKind::REVOCATION, b"a", entry(b"1", None)).expect("durable");
    let first = file_bytes(dir.path());
    *registry.writer.lock() = None;
    registry.put(RegistryKind::REVOCATION, b"a", entry(b"2", None)).expect("durable");
    let second = file_bytes(dir.path());
    drop(registry);
    // The records of one file under the header of another.
    let mixed = [&second[..HEADER_BYTES], &first[HEADER_BYTES..]].concat();
    fs::write(file::path(dir.path()), mixed).expect("written");
    assert!(matches!(try_open(dir.path(), false), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_missing_file_is_an_error_and_no_value_stands_on_the_disk() {
    let (dir, registry) = create();
    registry.put(RegistryKind::SESSION, b"usr_7Qm2Xr9TzKpA", entry(b"Rajesh Kumar", None)).expect("durable");
    let bytes = file_bytes(dir.path());
    for secret in [&b"usr_7Qm2Xr9TzKpA"[..], b"Rajesh Kumar"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
    drop(registry);
    fs::remove_file(file::path(dir.path())).expect("removed");
    assert!(matches!(try_open(dir.path(), false), Err(OpenError::PartMissing { .. })));
}

#[test]
fn the_job_of_an_erasure_leaves_the_file_when_it_is_removed() {
    let (dir, registry) = create();
    let is_replaced = |registry: &DurableRegistry| {
        let before = file_bytes(dir.path());
        registry.forget_removed_jobs();
        before[..HEADER_BYTES] != file_bytes(dir.path())[..HEADER_BYTES]
    };
    let put_and_remove = |registry: &DurableRegistry, kind| {
        registry.put(kind, b"key", entry(b"of usr_7Qm2Xr9TzKpA", None)).expect("durable");
        assert!(!is_replaced(registry), "nothing was removed");
        registry.remove(kind, b"key").expect("durable");
    };
    put_and_remove(&registry, RegistryKind::SESSION);
    assert!(!is_replaced(&registry), "that is no job");
    put_and_remove(&registry, RegistryKind::ERASURE_JOB);
    assert!(is_replaced(&registry));
    assert!(!is_replaced(&registry), "once is enough");
    assert_eq!(end_of(&file_bytes(dir.path())), HEADER_BYTES, "nothing is left");

    // The same after a restart between the removal and the replacement.
    put_and_remove(&registry, RegistryKind::ERASURE_JOB);
    drop(registry);
    let registry = open(dir.path());
    assert!(is_replaced(&registry) && !is_replaced(&registry));
}

#[test]
fn a_registry_that_cannot_be_replaced_goes_on_with_the_space_that_it_has() {
    let (dir, registry) = create();
    registry.put(RegistryKind::ERASURE_JOB, b"key", entry(b"of usr_7Qm2Xr9TzKpA", None)).expect("durable");
    registry.remove(RegistryKind::ERASURE_JOB, b"key").expect("durable");
    let header = file_bytes(dir.path())[..HEADER_BYTES].to_vec();
    // No file can be created where a folder is.
    let obstacle = dir.path().join("registry.new");
    fs::create_dir(&obstacle).expect("a folder");
    registry.forget_removed_jobs();
    registry.put(RegistryKind::REVOCATION, b"token", entry(b"revoked", None)).expect("durable");
    assert_eq!(file_bytes(dir.path())[..HEADER_BYTES], header, "the same file");
    fs::remove_dir(&obstacle).expect("removed");
    registry.forget_removed_jobs();
    assert_ne!(file_bytes(dir.path())[..HEADER_BYTES], header, "a new file");
    drop(registry);
    assert!(open(dir.path()).get(RegistryKind::REVOCATION, b"token", 0).is_some());
}

#[test]
fn keys_and_values_are_bounded() {
    let (_dir, registry) = create();
    let put = |key: &[u8], length: usize| registry.put(RegistryKind::SESSION, key, entry(&vec![0; length], None));
    assert!(matches!(put(b"", 1), Err(RegistryError::Size)));
    assert!(matches!(put(&[1; 257], 1), Err(RegistryError::Size)));
    assert!(matches!(put(b"a", (16 << 10) + 1), Err(RegistryError::Size)));
    put(&[1; 256], 16 << 10).expect("the longest that is allowed");
    let stored = (0..100_u8).take_while(|number| put(&[*number], 16 << 10).is_ok()).count();
    assert_eq!(stored, 5, "a kind takes at most {MAX_KIND_BYTES} bytes");
    registry.put(RegistryKind::REVOCATION, b"a", entry(b"", None)).expect("another kind has its own bound");
}

#[test]
fn a_key_that_many_want_is_given_once() {
    let (_dir, registry) = create();
    let wins = |run: &(dyn Fn() -> bool + Sync)| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).filter(|won| *won).count()
        })
    };
    let put = || registry.put_new(RegistryKind::SESSION, b"code", entry(b"", None), 0).expect("durable");
    assert_eq!(wins(&put), 1);
    let remove = || registry.remove(RegistryKind::SESSION, b"code").expect("durable").is_some();
    assert_eq!(wins(&remove), 1);
}
