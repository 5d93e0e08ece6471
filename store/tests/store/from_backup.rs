//! A user in quarantine goes on from a backup, whole or not at all: with the frames behind it if they fold, and else without them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use domain::erasure::{ErasureReason, Tombstone};
use domain::port::clock::Entropy;
use domain::port::erasure::{ErasedUser, StoredUser};
use domain::port::journal::{Record, RecordKind, RowId};
use domain::port::store::StoreError;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::backup::{BackedUpUser, FindUserError, find_user};
use store::inspect::{InspectError, InspectOptions, inspect};
use store::{QuarantineError, QuarantineReason, ReleasedUser, Store, UserKey};

use crate::backup_kit::{back_up, restore_options_with_copy, try_restore};
use crate::kit::{
    LOST, SeededEntropy, append_group, append_one, check_history, close, frames, master, open, open_sled, options,
    record, seed, try_load, user, wait_for,
};
use crate::release::{keys, number_of, open_refusing};

pub(crate) fn body(sequence: u64) -> Vec<u8> {
    vec![sequence as u8; 3_000]
}

pub(crate) fn append_all(store: &mut Store, users: usize, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        (1..=users).for_each(|number| append_one(store, number, sequence, body(sequence)));
    }
}

/// The frames of a user from 1 to `last`, without those behind `left`.
pub(crate) fn frames_without(left: u64, last: u64) -> Vec<Vec<u8>> {
    (1..=last).map(|sequence| if sequence <= left { body(sequence) } else { LOST.to_vec() }).collect()
}

/// Flips a bit of the last value of a user's state, or of all users' states, in a store that is closed.
pub(crate) fn damage_states(dir: &Path, only: Option<UserKey>) {
    let db = open_sled(dir);
    let tree = db.open_tree("users").expect("a tree");
    let mut last: BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
    for entry in tree.iter() {
        let (key, value) = entry.expect("reads");
        last.insert(key[..16].to_vec(), (key.to_vec(), value.to_vec()));
    }
    for (of, (key, mut value)) in last {
        if only.is_none_or(|only| only.0 == of[..]) {
            *value.last_mut().expect("a byte") ^= 1;
            tree.insert(key, value).expect("written");
        }
    }
    db.flush().expect("flushed");
}

/// Puts users 1 to `users`, of whom the checkpoint has 6 frames, into quarantine because their states are damaged. They have 8
/// frames, all of which open and fold. Returns a backup for each sequence of `backups`.
fn damage_users<const N: usize>(dir: &Path, users: usize, backups: [u64; N]) -> [Vec<u8>; N] {
    let mut store = open(dir);
    let mut from = 1;
    let made = backups.map(|sequence| {
        append_all(&mut store, users, from..=sequence);
        from = sequence + 1;
        back_up(&store)
    });
    append_all(&mut store, users, from..=6);
    store.closer.checkpoint().expect("a checkpoint");
    append_all(&mut store, users, 7..=8);
    // As in a crash: the frames are in the journal alone.
    drop(store);
    damage_states(dir, None);
    close(open(dir));
    made
}

#[track_caller]
pub(crate) fn find(backup: &[u8], key: UserKey) -> BackedUpUser {
    let mut read = 0;
    let found = find_user(&mut &backup[..], key, &mut |bytes| read = bytes).expect("the user is in the backup");
    assert!(read > 0);
    BackedUpUser::decode(&found.encode()).expect("it was encoded")
}

/// The number of a tree, a key and a value.
type StoredValue = (u8, Vec<u8>, Vec<u8>);

/// What is sent of a user, in its parts.
struct Parts {
    header: Vec<u8>,
    values: Vec<StoredValue>,
}

impl Parts {
    fn new(user: &BackedUpUser) -> Self {
        let bytes = user.encode();
        let (header, mut rest) = bytes.split_at(128);
        let mut values = Vec::new();
        while !rest.is_empty() {
            let key = usize::from(u16::from_le_bytes([rest[1], rest[2]]));
            let value = u32::from_le_bytes([rest[3], rest[4], rest[5], rest[6]]) as usize;
            values.push((rest[0], rest[7..7 + key].to_vec(), rest[7 + key..7 + key + value].to_vec()));
            rest = &rest[7 + key + value..];
        }
        Self { header: header.to_vec(), values }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.header.clone();
        for (tree, key, value) in &self.values {
            bytes.push(*tree);
            bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value);
        }
        bytes
    }
}

#[track_caller]
fn refused(store: &Store, key: UserKey, backed_up: &BackedUpUser) -> String {
    let checked = store.quarantine.check_restore(key, backed_up).expect_err("refused").to_string();
    let error = store.quarantine.restore(key, backed_up, true).expect_err("refused");
    assert!(matches!(error, QuarantineError::Unfit { .. }), "{error}");
    assert_eq!(error.to_string(), checked);
    assert!(!checked.contains('\n'));
    checked
}

#[test]
fn frames_that_follow_the_backup_fold_over_it_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let [at_3, at_6] = damage_users(dir.path(), 3, [3, 6]);
    let store = open(dir.path());
    let found = keys(&store, 9);
    assert_eq!(found.len(), 3);
    let inspected = store.quarantine.inspect(found[0]).expect("reads");
    assert_eq!((inspected.listed.reason, inspected.state_sequence), (Some(QuarantineReason::State), None));
    assert!(matches!(store.quarantine.drop_frames(found[0]), Err(QuarantineError::NothingLeft)));
    assert!(matches!(store.quarantine.retry(found[0]), Err(QuarantineError::StillDamaged { .. })));

    // Nothing of it needs to be accepted.
    let number = number_of(&store, found[0]);
    let expected = ReleasedUser { user: user(number), sequence: 8, folded: 2, lost: 0 };
    let newest = find(&at_6, found[0]);
    assert_eq!(store.quarantine.check_restore(found[0], &newest).expect("it fits"), expected);
    assert!(matches!(try_load(&*store.reader, number), Err(StoreError::Damaged { .. })), "a check changes nothing");
    assert_eq!(store.quarantine.restore(found[0], &newest, false).expect("restored"), expected);
    let all: Vec<_> = (1..=8).map(body).collect();
    assert_eq!(frames(&store, number), all);
    check_history(&store, number, "after a restore with all frames");
    assert!(matches!(store.quarantine.restore(found[0], &newest, true), Err(QuarantineError::Unknown)), "it is out");

    // An older backup: the frames between it and those in quarantine are in no place that is left.
    let (key, number) = (found[1], number_of(&store, found[1]));
    let older = find(&at_3, key);
    let expected = ReleasedUser { user: user(number), sequence: 8, folded: 0, lost: 5 };
    assert_eq!(store.quarantine.check_restore(key, &older).expect("it fits"), expected);
    let error = store.quarantine.restore(key, &older, false).expect_err("something would be lost");
    assert!(matches!(error, QuarantineError::WouldLose { lost: 5 }), "{error}");
    assert!(matches!(try_load(&*store.reader, number), Err(StoreError::Damaged { .. })), "nothing has changed");
    assert_eq!(store.quarantine.restore(key, &older, true).expect("restored"), expected);
    assert_eq!(frames(&store, number), frames_without(3, 8));
    check_history(&store, number, "after a restore with a loss");
    drop(store);

    // Both go on, also after a crash, and nothing is left of what was damaged.
    let mut store = open(dir.path());
    let numbers: Vec<_> = (1..=3).filter(|number| try_load(&*store.reader, *number).is_ok()).collect();
    assert_eq!((numbers.len(), keys(&store, 9)), (2, vec![found[2]]));
    for number in numbers {
        append_one(&mut store, number, 9, body(9));
        store.closer.checkpoint().expect("a checkpoint");
        assert_eq!(frames(&store, number).len(), 9);
        check_history(&store, number, "after a checkpoint");
    }
    store.quarantine.restore(found[2], &find(&at_6, found[2]), false).expect("restored");
    close(store);
    let scratch = tempfile::tempdir().expect("a directory");
    let options = InspectOptions { store: options(dir.path()), scratch: scratch.path().to_owned() };
    let entropy: Arc<dyn Entropy> = SeededEntropy::new(4);
    let report = loop {
        match inspect(&options, &master(), &entropy) {
            // A child that another test has just forked still has the lock file.
            Err(InspectError::InUse { .. }) => std::thread::sleep(Duration::from_millis(5)),
            report => break report.expect("inspected"),
        }
    };
    assert!(report.fault.is_none(), "{:?}", report.fault);
}

#[test]
fn records_that_do_not_open_or_do_not_fit_change_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open_refusing(dir.path());
    append_all(&mut store, 2, 1..=2);
    let at_2 = back_up(&store);
    append_all(&mut store, 2, 3..=6);
    let at_6 = back_up(&store);
    (1..=2).for_each(|number| append_one(&mut store, number, 7, b"panic".to_vec()));
    close(store);
    let store = open_refusing(dir.path());
    let found = keys(&store, 9);
    let (key, other) = match number_of(&store, found[0]) {
        1 => (found[0], found[1]),
        _ => (found[1], found[0]),
    };
    drop(store);
    damage_states(dir.path(), Some(key));

    let mut store = open_refusing(dir.path());
    assert!(refused(&store, key, &find(&at_6, other)).contains("of another user"));
    let backed_up = find(&at_6, key);
    let states = Parts::new(&backed_up).values.iter().filter(|(tree, ..)| *tree == 1).count();
    assert!(states > 1 && Parts::new(&backed_up).values.len() > states + 1, "records of several values");
    let mut of_two_moments = Parts::new(&find(&at_2, key));
    of_two_moments.values.retain(|(tree, ..)| *tree == 1);
    of_two_moments.values.extend(Parts::new(&backed_up).values.split_off(states));
    let of_two_moments = BackedUpUser::decode(&of_two_moments.encode()).expect("it has the form");
    assert!(refused(&store, key, &of_two_moments).contains("newer than the state"));
    type Spoil<'a> = &'a dyn Fn(&mut Vec<StoredValue>);
    let unfit: [(&str, Spoil<'_>); 8] = [
        ("of another generation", &|values| values[0].2[8] = 2),
        ("cannot be read", &|values| values[0].2[12] = 5),
        ("not whole", &|values| drop(values.remove(states - 1))),
        ("is missing", &|values| drop(values.remove(0))),
        ("cannot be read", &|values| values[1].2[9] ^= 1),
        ("cannot be read", &|values| values[states].2[60] ^= 1),
        ("of another user", &|values| values[states].1[3] ^= 1),
        ("not whole", &Vec::clear),
    ];
    for (text, change) in unfit {
        let mut parts = Parts::new(&backed_up);
        change(&mut parts.values);
        let error = refused(&store, key, &BackedUpUser::decode(&parts.encode()).expect("it has the form"));
        assert!(error.contains(text), "{text}: {error}");
    }
    let bytes = backed_up.encode();
    let mut changed = bytes.clone();
    changed[64] ^= 1;
    for malformed in [&changed[..], &bytes[..bytes.len() - 1], &bytes[..100], b""] {
        assert!(BackedUpUser::decode(malformed).is_err());
    }
    assert!(matches!(try_load(&*store.reader, 1), Err(StoreError::Damaged { .. })), "nothing has changed");

    let restored = store.quarantine.restore(key, &backed_up, true).expect("restored");
    assert_eq!(restored, ReleasedUser { user: user(1), sequence: 7, folded: 0, lost: 1 });
    assert_eq!(frames(&store, 1), frames_without(6, 7));
    check_history(&store, 1, "after a restore");
    append_one(&mut store, 1, 8, vec![8]);
    close(store);
    let store = open_refusing(dir.path());
    assert_eq!((frames(&store, 1).len(), keys(&store, 9)), (8, vec![other]));
}

#[test]
fn a_backup_without_the_user_a_damaged_one_and_one_with_too_much_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let [backup] = damage_users(dir.path(), 1, [3]);
    let key = user_keys(dir.path())[0];
    let find = |bytes: &[u8], key| find_user(&mut &bytes[..], key, &mut |_| {}).map(drop);
    find(&backup, key).expect("it is there");
    assert!(matches!(find(&backup, UserKey([7; 16])), Err(FindUserError::NotThere)));
    let mut damaged = backup.clone();
    damaged[backup.len() / 2] ^= 1;
    for bad in [&damaged[..], &backup[..backup.len() - 1], b"no backup", &[]] {
        let error = find(bad, key).expect_err("damaged");
        assert!(matches!(error, FindUserError::Backup(_)) && error.to_string().contains(": "), "{error}");
    }
    let large = tempfile::tempdir().expect("a directory");
    let mut store = open(large.path());
    (1..=24).for_each(|sequence| append_one(&mut store, 1, sequence, vec![sequence as u8; 600_000]));
    let bytes = back_up(&store);
    drop(store);
    assert!(bytes.len() > 32 << 20);
    assert!(matches!(find(&bytes, user_keys(large.path())[0]), Err(FindUserError::TooMuch)));
}

/// Returns the keys of all users of a store that is closed.
fn user_keys(dir: &Path) -> Vec<UserKey> {
    let db = open_sled(dir);
    let keys = db.open_tree("users").expect("a tree").iter().keys();
    let mut found: Vec<_> = keys.map(|key| UserKey(*key.expect("reads").first_chunk().expect("a key"))).collect();
    found.dedup();
    found
}

/// Puts a user with 4 frames, all of them folded, into quarantine with one more.
fn quarantine_with_one_more(dir: &Path, number: usize, sequence: u64) -> UserKey {
    let mut store = open_refusing(dir);
    append_one(&mut store, number, sequence, b"panic".to_vec());
    close(store);
    keys(&open_refusing(dir), 9)[0]
}

#[test]
fn a_backup_of_a_past_that_a_restored_directory_does_not_have_is_refused() {
    let dirs = tempfile::tempdir().expect("a directory");
    let (from, to, third) = (dirs.path().join("from"), dirs.path().join("to"), dirs.path().join("third"));
    let mut store = open_refusing(&from);
    append_all(&mut store, 1, 1..=2);
    let before = back_up(&store);
    append_all(&mut store, 1, 3..=3);
    let origin = back_up(&store);
    append_all(&mut store, 1, 4..=6);
    // Its frames 4 to 6 are not those of the restored directory.
    let later = back_up(&store);
    close(store);
    try_restore(&restore_options_with_copy(&to, from.join("keyring")), &origin).expect("restored");
    let mut store = open_refusing(&to);
    append_one(&mut store, 1, 4, vec![44]);
    let own = back_up(&store);
    append_one(&mut store, 1, 5, vec![55]);
    close(store);
    let key = quarantine_with_one_more(&to, 1, 6);
    let store = open_refusing(&to);
    assert!(refused(&store, key, &find(&later, key)).contains("restored from an earlier one"));
    for (backup, lost) in [(&before, 4), (&origin, 3), (&own, 2)] {
        let checked = store.quarantine.check_restore(key, &find(backup, key)).expect("it fits");
        assert_eq!((checked.sequence, checked.lost), (6, lost));
    }
    // A store that is restored from this one has the past of both.
    let second = back_up(&store);
    drop(store);
    try_restore(&restore_options_with_copy(&third, from.join("keyring")), &second)
        .expect("restored with its quarantine");
    let length = |dir: &Path| std::fs::metadata(dir.join("keyring")).expect("a keyring").len();
    assert_eq!(length(&third), length(&from), "no slot is reserved that nothing refers to");
    let store = open_refusing(&third);
    for backup in [&before, &origin, &own] {
        store.quarantine.check_restore(key, &find(backup, key)).expect("it fits");
    }
    assert!(refused(&store, key, &find(&later, key)).contains("restored from an earlier one"));
    store.quarantine.restore(key, &find(&origin, key), true).expect("restored");
    assert_eq!(frames(&store, 1), frames_without(3, 6));
    drop(store);

    let other = dirs.path().join("other");
    let entropy = SeededEntropy::new(88);
    let fold = Arc::new(crate::kit::KeepAll);
    let mut store = store::open(options(&other), &master(), fold, entropy).expect("opens");
    append_one(&mut store, 1, 1, vec![1]);
    let backup = back_up(&store);
    drop(store);
    let of_another = find(&backup, user_keys(&other)[0]);
    let key = quarantine_with_one_more(&from, 1, 7);
    assert!(refused(&open_refusing(&from), key, &of_another).contains("of another data directory"));
}

#[test]
fn keys_may_rotate_after_the_backup_and_an_erasure_makes_it_useless() {
    let dir = tempfile::tempdir().expect("a directory");
    let [at_6] = damage_users(dir.path(), 3, [6]);
    let mut store = open(dir.path());
    store.closer.keys().rotate_ring(&master()).expect("rotated");
    let found = keys(&store, 9);
    let backed_up = found.iter().map(|key| find(&at_6, *key)).collect::<Vec<_>>();
    store.quarantine.restore(found[0], &backed_up[0], false).expect("the data keys are the same");
    // The second is erased, and the third is erased and begins anew.
    for (index, begins_anew) in [(1, false), (2, true)] {
        let number = number_of(&store, found[index]);
        erase(&mut store, number, 9);
        let erased = |store: &Store| {
            let error = store.quarantine.restore(found[index], &backed_up[index], true).expect_err("erased");
            assert!(matches!(error, QuarantineError::Erased), "{error}");
        };
        erased(&store);
        store.closer.checkpoint().expect("a checkpoint");
        erased(&store);
        let at_9 = back_up(&store);
        if begins_anew {
            let anew = Record { generation: 2, ..record(number, 10, body(10)) };
            append_group(&mut store, &[anew])[0].expect("it begins anew");
            store.closer.checkpoint().expect("a checkpoint");
            let more = Record { generation: 2, ..record(number, 11, body(11)) };
            append_group(&mut store, &[more])[0].expect("in sequence");
            drop(store);
            damage_states(dir.path(), Some(found[index]));
            close(open(dir.path()));
            store = open(dir.path());
            assert!(refused(&store, found[index], &backed_up[index]).contains("erased after the backup"));
            assert!(refused(&store, found[index], &find(&at_9, found[index])).contains("erased when the backup"));
        }
    }
}

/// Erases a user with the record of a sequence.
fn erase(store: &mut Store, number: usize, sequence: u64) {
    let tombstone = Tombstone {
        generation: 1,
        erased_at: 5,
        reason: ErasureReason::Citizen,
        last_revision: sequence,
        last_sequence: sequence,
        was_shared: false,
    };
    let body = tombstone.encode().to_vec();
    let erasure = Record { kind: RecordKind::ERASURE, ..record(number, sequence, body) };
    append_group(store, &[erasure])[0].expect("in sequence");
    let row = match store.users.find(&user(number)).expect("reads") {
        Some(StoredUser::Erased { row, .. } | StoredUser::Living { row, .. }) => row,
        None => RowId(0),
    };
    store.keys.forget(&ErasedUser { user: user(number), row, tombstone }).expect("forgotten");
}

const DIRECTORY: &str = "STORE_TEST_FROM_BACKUP_DIRECTORY";
/// How many users the child lets out.
const LIMIT: &str = "STORE_TEST_FROM_BACKUP_LIMIT";

/// Lets the users out of quarantine one after the other until it is killed, each with a backup that loses nothing, or with one
/// that loses five frames. It is the process that the next test kills, and not a test by itself.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let limit: usize = std::env::var(LIMIT).expect("a limit").parse().expect("a number");
    let store = open(&dir.join("data"));
    let backups = ["older", "newest"].map(|name| std::fs::read(dir.join(name)).expect("a backup"));
    let found = keys(&store, 200);
    let backed_up: Vec<_> = found.iter().map(|key| find(&backups[usize::from(key.0[0]) % 2], *key)).collect();
    std::fs::write(dir.join("ready"), "").expect("written");
    for (key, backed_up) in found.iter().zip(&backed_up).take(limit) {
        store.quarantine.restore(*key, backed_up, true).expect("restored");
        // What is acknowledged is there after the kill.
        std::fs::write(dir.join(format!("restored-{key}")), "").expect("written");
    }
    std::fs::write(dir.join("done"), "").expect("written");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_kill_leaves_each_user_in_quarantine_as_it_was_or_out_of_it_with_the_backup() {
    const USERS: usize = 40;
    let mut random = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let backups = damage_users(&data, USERS, [3, 6]);
    for (name, bytes) in ["older", "newest"].into_iter().zip(&backups) {
        std::fs::write(dir.path().join(name), bytes).expect("written");
    }
    let all = keys(&open(&data), 200);
    assert_eq!(all.len(), USERS);
    let (mut killed_inside, expected) = (0, [frames_without(3, 8), (1..=8).map(body).collect()]);
    for round in 0.. {
        let _ = std::fs::remove_file(dir.path().join("ready"));
        let restored = || all.iter().filter(|key| dir.path().join(format!("restored-{key}")).exists()).count();
        // In the middle of the one after some more.
        let more = random.random_range(0..10);
        let to = (restored() + more).min(USERS);
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "from_backup::child", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .env(LIMIT, (more + 1).to_string())
            .spawn()
            .expect("a child");
        wait_for(|| dir.path().join("ready").exists());
        while restored() < to && !dir.path().join("done").exists() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(random.random_range(0..3_000)));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let store = open(&data);
        let inside = keys(&store, 200);
        for key in &inside {
            let inspected = store.quarantine.inspect(*key).expect("reads");
            let seen: Vec<_> = inspected.frames.iter().map(|frame| (frame.sequence, frame.opens)).collect();
            assert_eq!((inspected.state_sequence, seen), (None, vec![(7, true), (8, true)]), "round {round}");
            assert!(!dir.path().join(format!("restored-{key}")).exists(), "{key} came back");
        }
        let mut outside: Vec<_> = (1..=USERS).filter(|number| try_load(&*store.reader, *number).is_ok()).collect();
        assert_eq!(outside.len() + inside.len(), USERS, "round {round}");
        outside.retain(|number| !expected.contains(&frames(&store, *number)));
        assert_eq!(outside, [0; 0], "round {round}");
        (1..=USERS).filter(|number| try_load(&*store.reader, *number).is_ok()).for_each(|number| {
            check_history(&store, number, "after a kill");
        });
        killed_inside += usize::from(!inside.is_empty() && inside.len() < USERS);
        if inside.is_empty() {
            break;
        }
    }
    assert!(killed_inside > 0, "no restore was killed between two users");
}
