//! Backups and their restores: what a backup has, and what is refused.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use domain::port::clock::Entropy;
use domain::port::dead_letters::{DeadLetter, DeadLetters};
use domain::port::journal::Record;
use domain::port::registry::{BACKUP_TIME, RegistryEntry, RegistryKind};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::backup::{BackupError, BackupOptions, RestoreError, check_backup, restore};
use store::{OpenError, Store};

use crate::backup_kit::{NOW, back_up, images, names, restore_options, restore_options_with_copy, try_restore};
use crate::kit::{
    KeepAllAfter, SeededEntropy, append_group, append_one, close, frames, master, open, options, record, seed,
    try_open, user, wait_for,
};

const USERS: usize = 60;
const OPTIONS: BackupOptions = BackupOptions { bytes_per_second: None, now: NOW };

/// Returns the body of a record: its number among all records, and some bytes.
fn body(number: u64) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.resize(1500 + (number % 7) as usize * 400, number as u8);
    body
}

fn letter(number: usize) -> DeadLetter {
    DeadLetter {
        source: "eligibility".to_owned(),
        user: number.is_multiple_of(2).then(|| user(number)),
        event_id: Some(format!("evt_{number}")),
        event_type: None,
        problem: "invalid-value".to_owned(),
        pointer: None,
        body: Some(vec![number as u8; 700]),
        rejected_at: NOW,
    }
}

/// Appends a record of every user `rounds` times, from sequence `first` on.
fn fill(store: &mut Store, first: u64, rounds: u64) {
    for sequence in first..first + rounds {
        let group: Vec<_> =
            (0..USERS).map(|number| record(number, sequence, body(sequence * 100 + number as u64))).collect();
        append_group(store, &group).into_iter().for_each(|result| result.expect("in sequence"));
    }
}

/// Makes a store with users, letters and an entry in the registry, and a backup of it with its keyring.
fn sample(dir: &Path) -> Vec<u8> {
    let mut store = open(dir);
    fill(&mut store, 1, 6);
    for number in 0..20 {
        store.dead_letters.keep(letter(number)).expect("kept");
    }
    wait_for(|| store.dead_letters.read_all().expect("letters").len() == 20);
    let entry = RegistryEntry { value: vec![1, 2, 3], expires_at: None };
    store.registry.put(RegistryKind::REVOCATION, b"key", entry).expect("stored");
    let bytes = back_up(&store);
    close(store);
    bytes
}

#[test]
fn the_registry_is_that_of_the_moment_and_sessions_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, to) = (dir.path().join("data"), dir.path().join("to"));
    let mut store = open(&data);
    fill(&mut store, 1, 2);
    let entry = || RegistryEntry { value: vec![1], expires_at: None };
    let put = |kind, key: &[u8]| store.registry.put(kind, key, entry()).expect("stored");
    put(RegistryKind::REVOCATION, b"before");
    put(RegistryKind::SESSION, b"of a page");
    put(RegistryKind::ERASURE_JOB, b"before");
    let mut backup = store.backups.begin(OPTIONS).expect("it begins");
    put(RegistryKind::REVOCATION, b"after");
    store.registry.remove(RegistryKind::ERASURE_JOB, b"before").expect("removed");
    let mut bytes = Vec::new();
    while let Some(next) = backup.next_bytes().expect("it goes on") {
        bytes.extend_from_slice(&next);
    }
    drop(backup);
    close(store);
    std::fs::create_dir(&to).expect("a directory");
    std::fs::copy(data.join("keyring"), to.join("keyring")).expect("copied");
    try_restore(&restore_options(&to, None), &bytes).expect("restored");
    let store = open(&to);
    let keys = |kind| store.registry.list(kind, 0).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(RegistryKind::REVOCATION), [b"before"]);
    assert_eq!(keys(RegistryKind::ERASURE_JOB), [b"before"]);
    assert_eq!(keys(RegistryKind::SESSION), Vec::<Vec<u8>>::new());
    let since = store.registry.get(RegistryKind::RESTORED, BACKUP_TIME, 0).expect("a note for the first start");
    assert_eq!(since.value, NOW.to_le_bytes());
}

#[test]
fn a_restore_has_the_states_of_the_moment_whatever_changes_while_the_backup_is_read() {
    let (dir, to) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut store = open(dir.path());
    fill(&mut store, 1, 9);
    for number in 0..10 {
        store.dead_letters.keep(letter(number)).expect("kept");
    }
    wait_for(|| store.dead_letters.read_all().expect("letters").len() == 10);
    store.closer.checkpoint().expect("a checkpoint");
    fill(&mut store, 10, 3);
    let before = images(&store, USERS);

    let mut backup = store.backups.begin(OPTIONS).expect("it begins");
    assert!(matches!(store.backups.begin(OPTIONS), Err(BackupError::Busy)));
    let (mut bytes, mut sequence) = (Vec::new(), 13);
    while let Some(next) = backup.next_bytes().expect("it goes on") {
        bytes.extend_from_slice(&next);
        // All users change, new ones come, and letters are written, between any two chunks.
        fill(&mut store, sequence, 1);
        append_one(&mut store, 1000 + sequence as usize, 1, vec![1; 100]);
        store.dead_letters.keep(letter(11)).expect("kept");
        store.closer.checkpoint().expect("a checkpoint");
        sequence += 1;
        assert!(sequence < 60, "what comes after the moment makes the backup longer");
    }
    assert!(sequence > 16, "the backup has several chunks");
    assert!(backup.next_bytes().expect("it has ended").is_none());
    drop(backup);
    let epoch = store.epoch;
    close(store);

    let options = restore_options_with_copy(to.path(), dir.path().join("keyring"));
    let report = try_restore(&options, &bytes).expect("restored");
    assert_eq!((report.users, report.users_without_key, report.erasures_applied), (USERS as u64, 0, 0));
    assert_eq!((report.backup_time, report.bytes), (NOW, bytes.len() as u64));
    let mut restored = open(to.path());
    assert_eq!((restored.epoch, restored.epoch == epoch), (report.epoch, false));
    let after = images(&restored, USERS);
    for number in 0..USERS {
        let (before, after) = (before[number].as_ref().expect("there"), after[number].as_ref().expect("there"));
        assert_eq!((before.0, &before.1), (after.0, &after.1), "user {number}");
    }
    assert!(frames(&restored, 1013).is_empty());
    assert_eq!(restored.dead_letters.read_all().expect("letters").len(), 10);
    // It goes on, and new users get slots that nobody has.
    fill(&mut restored, 13, 2);
    append_one(&mut restored, 2000, 1, vec![5; 50]);
    restored.closer.checkpoint().expect("a checkpoint");
    close(restored);
    let restored = open(to.path());
    assert_eq!((frames(&restored, 3).len(), frames(&restored, 2000)), (14, vec![vec![5; 50]]));
}

/// Maximum number of records that are appended beside a backup. The test fails if they do not last until it has begun.
const MOST_RECORDS: u64 = 7 * 6000;

#[test]
fn a_backup_under_load_has_everything_up_to_a_moment_and_nothing_behind_it() {
    let (dir, to) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut options = options(dir.path());
    options.checkpoint_interval = Duration::from_millis(20);
    // A fold takes longer than an append, so that appends would come between the folds of the last users if nothing held them up.
    let slow = Arc::new(KeepAllAfter(|_: &[Record]| {
        thread::sleep(Duration::from_micros(500));
        Ok(())
    }));
    let mut store = store::open(options, &master(), slow, SeededEntropy::new(1)).expect("opens");
    let (backups, is_done) = (store.backups.clone(), AtomicBool::new(false));
    // Records that were handed to the journal, and those that it has acknowledged.
    let (taken, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
    let (bytes, least, most) = thread::scope(|scope| {
        let journal = &mut store.journal;
        let (is_done, taken, acknowledged) = (&is_done, &taken, &acknowledged);
        scope.spawn(move || {
            let mut number = 0_u64;
            // A state of these tests has all frames of its user, so the load is bounded, and bodies are small.
            while !is_done.load(Ordering::Relaxed) && number < MOST_RECORDS {
                thread::sleep(Duration::from_micros(500));
                // Each group has some users; the records of all groups are numbered.
                let group: Vec<_> = (0..7).map(|offset| numbered(number + offset)).collect();
                number += group.len() as u64;
                taken.store(number, Ordering::SeqCst);
                journal.append(&group).expect("taken").into_iter().for_each(|result| assert!(result.is_ok()));
                acknowledged.store(number, Ordering::SeqCst);
            }
        });
        thread::sleep(Duration::from_millis(100));
        let least = acknowledged.load(Ordering::SeqCst);
        let mut backup = backups.begin(OPTIONS).expect("it begins");
        let most = taken.load(Ordering::SeqCst);
        assert!(most < MOST_RECORDS, "the load ended before the backup began");
        is_done.store(true, Ordering::Relaxed);
        let mut bytes = Vec::new();
        while let Some(next) = backup.next_bytes().expect("it goes on") {
            bytes.extend_from_slice(&next);
        }
        (bytes, least, most)
    });
    close(store);
    let options = restore_options_with_copy(to.path(), dir.path().join("keyring"));
    try_restore(&options, &bytes).expect("restored");
    let restored = open(to.path());
    let mut numbers: Vec<u64> = (0..BUSY_USERS as usize)
        .flat_map(|number| frames(&restored, number))
        .map(|frame| u64::from_le_bytes(*frame.first_chunk().expect("a number")))
        .collect();
    numbers.sort_unstable();
    assert!(!numbers.is_empty() && numbers.len().is_multiple_of(7), "{} records", numbers.len());
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "some records are missing in between");
    let found = numbers.len() as u64;
    assert!(least <= found, "the backup has {found} records, and {least} were acknowledged before it began");
    assert!(found <= most, "the backup has {found} records, and only {most} were made when it had begun");
}

/// Users of the records beside a backup. Few, so that each gets another record while the last ones of all are folded.
const BUSY_USERS: u64 = 14;

/// Returns the record with a number: users take turns.
fn numbered(number: u64) -> Record {
    record((number % BUSY_USERS) as usize, number / BUSY_USERS + 1, number.to_le_bytes().to_vec())
}

#[test]
fn a_backup_that_is_cut_off_or_changed_is_refused_and_leaves_nothing() {
    let (dir, to) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let bytes = sample(dir.path());
    let keyring = dir.path().join("keyring");
    let options = restore_options_with_copy(to.path(), keyring.clone());
    // Header, and then the chunks: each begins with its length.
    let mut ends = vec![0, 128];
    while let Some(&at) = ends.last().filter(|at| **at < bytes.len()) {
        let length = u32::from_le_bytes(*bytes[at..].first_chunk().expect("a length")) as usize;
        ends.push(at + 16 + length + 20);
    }
    assert!(ends.len() > 4);
    let mut cuts: Vec<usize> = ends[..ends.len() - 1].to_vec();
    cuts.extend(ends.iter().flat_map(|end| [end + 1, end + 17]).filter(|cut| *cut < bytes.len()));
    for cut in cuts {
        let error = try_restore(&options, &bytes[..cut]).expect_err("cut off");
        assert!(matches!(error, RestoreError::Backup(_)), "{cut}: {error}");
        assert_eq!(names(to.path()), Vec::<String>::new(), "{cut}");
    }
    let mut random = StdRng::seed_from_u64(seed());
    let all_of_header = 0..128;
    let sampled = (0..60).map(|_| random.random_range(128..bytes.len()));
    for at in all_of_header.chain(sampled).chain(ends[1..].iter().copied().filter(|end| *end < bytes.len())) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x41;
        let error = try_restore(&options, &changed).expect_err("changed");
        assert!(matches!(error, RestoreError::Backup(_) | RestoreError::WrongKeyring), "{at}: {error}");
        assert!(
            !error.to_string().contains('\n') && error.to_string().contains(": "),
            "one line with a remedy: {error}"
        );
        assert_eq!(names(to.path()), Vec::<String>::new(), "{at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    try_restore(&options, &longer).expect_err("something follows");
    // Chunks in another order, and one left out.
    let (first, second, third) = (ends[1]..ends[2], ends[2]..ends[3], ends[3]..bytes.len());
    let order = [&bytes[..128], &bytes[second], &bytes[first.clone()], &bytes[third.clone()]].concat();
    try_restore(&options, &order).expect_err("another order");
    try_restore(&options, &[&bytes[..128], &bytes[first], &bytes[third]].concat()).expect_err("left out");
    assert_eq!(names(to.path()), Vec::<String>::new());

    let dry = check_backup(&mut &bytes[..], Some((&keyring, &master())), NOW, &mut |_| {}).expect("it is sound");
    let without_key = check_backup(&mut &bytes[..], None, NOW, &mut |_| {}).expect("it is sound");
    assert_eq!((dry, dry.users), (without_key, USERS as u64));
    try_restore(&options, &bytes).expect("the backup itself is sound");
    let error = try_restore(&options, &bytes).expect_err("it is not empty any more");
    assert!(matches!(error, RestoreError::NotEmpty { .. }), "{error}");
    let restored = open(to.path());
    assert_eq!(restored.dead_letters.read_all().expect("letters").len(), 20);
    let entry = restored.registry.get(RegistryKind::REVOCATION, b"key", 0).expect("it is there");
    assert_eq!(entry.value, [1, 2, 3]);
}

#[test]
fn what_the_operator_has_put_into_the_directory_stays_and_the_rest_comes_from_the_backup() {
    let (dir, to) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    for name in ["access.toml", "limits.toml"] {
        fs::write(dir.path().join(name), format!("# {name} of the backup")).expect("written");
    }
    let bytes = sample(dir.path());
    fs::write(to.path().join("limits.toml"), "# mine").expect("written");
    fs::copy(dir.path().join("keyring"), to.path().join("keyring")).expect("copied");
    let options = restore_options(to.path(), None);
    try_restore(&options, &bytes[..bytes.len() - 1]).expect_err("cut off");
    assert_eq!(names(to.path()), ["keyring", "limits.toml"]);
    try_restore(&options, &bytes).expect("restored");
    let read = |name| fs::read_to_string(to.path().join(name)).expect("a file");
    assert_eq!(
        (read("access.toml"), read("limits.toml")),
        ("# access.toml of the backup".to_owned(), "# mine".to_owned())
    );
    assert!(!to.path().join("restore.unfinished").exists());
}

const DIRECTORY: &str = "STORE_TEST_RESTORE_DIRECTORY";

/// Gives the bytes of a backup slowly.
struct SlowReader<'a>(&'a [u8]);

impl Read for SlowReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        thread::sleep(Duration::from_millis(1));
        let length = buffer.len().min(8192);
        self.0.read(&mut buffer[..length])
    }
}

/// Is the process that is killed, and not a test by itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let dir = Path::new(&dir);
    let bytes = fs::read(dir.join("backup")).expect("a backup");
    let options = restore_options_with_copy(&dir.join("to"), dir.join("keyring"));
    io::stdout().write_all(b"begins\n").expect("the parent reads");
    let entropy: Arc<dyn Entropy> = SeededEntropy::new(5);
    restore(&options, &master(), &entropy, &mut SlowReader(&bytes), &mut |_| {}).expect("restored");
}

#[test]
fn a_restore_that_is_killed_leaves_no_directory_that_opens_and_the_next_one_completes_it() {
    let mut random = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a directory");
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::write(dir.path().join("backup"), sample(&from)).expect("written");
    fs::copy(from.join("keyring"), dir.path().join("keyring")).expect("copied");
    let mut unfinished = 0;
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "backup::child", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let mut stdout = child.stdout.take().expect("a pipe");
        let mut seen = Vec::new();
        while !seen.ends_with(b"begins\n") {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).expect("output"), 1, "the child ended early");
            seen.extend_from_slice(&byte);
        }
        thread::sleep(Duration::from_millis(250).mul_f64(random.random()));
        child.kill().expect("killed");
        child.wait().expect("ended");
        if !to.exists() || names(&to).is_empty() {
            continue;
        }
        match try_open(options(&to), 1) {
            Ok(store) => {
                assert_eq!(frames(&store, 3).len(), 6, "round {round}: it was complete");
                drop(store);
                fs::remove_dir_all(&to).expect("removed");
            }
            Err(error) => {
                unfinished += 1;
                assert!(matches!(error, OpenError::RestoreUnfinished { .. }), "round {round}: {error}");
            }
        }
    }
    assert!(unfinished > 0, "no restore was killed in the middle");
    let bytes = fs::read(dir.path().join("backup")).expect("a backup");
    if !to.join("sled").exists() || to.join("restore.unfinished").exists() {
        try_restore(&restore_options_with_copy(&to, dir.path().join("keyring")), &bytes).expect("restored");
    }
    let store = open(&to);
    assert!((0..USERS).all(|number| frames(&store, number).len() == 6));
}
