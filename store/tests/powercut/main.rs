//! Power cuts. The operations of the store on its files are recorded. From the recording, images of the disk are built in
//! which a random part of the writes that were not synced is lost, and each image has to open with every acknowledged frame and
//! without the key of any user whose erasure was acknowledged.
//!
//! Each run starts from an image of the run before, so start-ups and their repairs are interrupted, too.

#[path = "../kit/mod.rs"]
mod kit;

mod erasures;
mod image;
mod recording;
mod thinning;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use image::{DiskImage, random_survival};
use kit::erasing::{check_key_is_gone, check_user, erasing_record, finish_erasures, is_erased_often};
use kit::{check_history, master, open, options, seed, try_open};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use recording::{Operation, Recording};

const ROOT: &str = "RECORDER_ROOT";
const GROUP: &str = "STORE_TEST_GROUP";
const GROUPS: &str = "STORE_TEST_GROUPS";
const USERS: usize = 6000;
/// The history of one in so many users is checked, too.
const HISTORY_OF_EACH: usize = 4;
/// The keyring is read for one in so many users.
const KEY_OF_EACH: usize = 50;

/// (records in a group, groups in a run, images of it)
const RUNS: [(usize, usize, usize); 8] = [
    (1, 150, 30),
    (16, 100, 30),
    (256, 30, 30),
    (1, 150, 25),
    (4096, 5, 30),
    (64, 60, 25),
    (4096, 5, 30),
    (1024, 10, 25),
];

fn body(number: usize, sequence: u64) -> Vec<u8> {
    format!("{number}/{sequence}/").repeat(1 + (number + sequence as usize) % 8).into_bytes()
}

/// Is the process that is recorded, and not a test by itself. It appends while checkpoints run and the ring key is rotated, and
/// writes down what was acknowledged.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else { return };
    let number = |name: &str| std::env::var(name).expect(name).parse::<usize>().expect(name);
    let mut options = options(&root.join("data"));
    options.checkpoint_interval = Duration::from_millis(30);
    let mut store = try_open(options, u64::from(std::process::id())).expect("the store opens");
    let mut random = StdRng::seed_from_u64(std::process::id().into());
    let (keys, is_over) = (store.closer.keys(), Arc::new(AtomicBool::new(false)));
    let has_ended = Arc::clone(&is_over);
    let rotations =
        thread::spawn(move || while !has_ended.load(Ordering::Relaxed) && keys.rotate_ring(&master()).is_ok() {});
    let mut notes = fs::File::options().create(true).append(true).open(root.join("acknowledged")).expect("a file");
    let mut next = vec![0; USERS];
    for _ in 0..number(GROUPS) {
        let first = random.random_range(0..USERS);
        let mut group = Vec::new();
        let mut note = Vec::new();
        for number in (first..first + number(GROUP)).map(|number| number % USERS) {
            if next[number] == 0 {
                next[number] = check_user(&store, number, body, "the child") + 1;
            }
            group.push(erasing_record(number, next[number], body(number, next[number])));
            note.extend_from_slice(&(number as u32).to_le_bytes());
            note.extend_from_slice(&(next[number] as u32).to_le_bytes());
            next[number] += 1;
        }
        let rows: Vec<_> =
            store.journal.append(&group).expect("taken").into_iter().map(|row| row.expect("in sequence")).collect();
        finish_erasures(&store, &group, &rows);
        notes.write_all(&note).expect("noted");
    }
    if random.random() {
        store.closer.close().expect("closes");
    }
    is_over.store(true, Ordering::Relaxed);
    rotations.join().expect("no panic");
}

/// Returns a directory in memory if possible: the power cuts are simulated, so real syncs would only take time.
fn scratch_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

fn compile_recorder(to: &Path) -> PathBuf {
    let library = to.join("recorder.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/powercut/recorder.c");
    let gcc = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-w", "-o"])
        .arg(&library)
        .args([source, "-ldl", "-pthread"])
        .status();
    assert!(gcc.expect("gcc is installed").success(), "the recorder compiles");
    library
}

/// Runs a test as a child of which each operation on files below `root` is recorded.
fn record_run(scratch: &Path, root: &Path, library: &Path, (child, settings): (&str, &[(&str, i64)])) -> Recording {
    let log = scratch.join("log");
    let status = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", child, "--nocapture", "--quiet"])
        .env(ROOT, root)
        .env("RECORDER_LOG", &log)
        .env("LD_PRELOAD", library)
        .envs(settings.iter().map(|(name, value)| (name, value.to_string())))
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.expect("a child").success(), "the child ends well");
    Recording::parse(fs::read(log).expect("a log"))
}

/// The number of acknowledged frames of each user.
type Acknowledged = Vec<u64>;

/// Opens an image and checks that everything is there that was acknowledged.
fn check(what: &str, data: &Path, acknowledged: &Acknowledged, random: &mut StdRng) {
    let mut store = try_open(options(data), 1).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (number, &sequence) in acknowledged.iter().enumerate().filter(|(_, sequence)| **sequence > 0) {
        let found = check_user(&store, number, body, what);
        assert!(found >= sequence, "{what}: user {number} has {found} of {sequence} acknowledged records");
        if number % HISTORY_OF_EACH == 1 && !is_erased_often(number) {
            check_history(&store, number, what);
        }
        if number % KEY_OF_EACH == 0 {
            check_key_is_gone(data, &store, number, sequence, what);
        }
    }
    // The store takes the next record.
    let number = random.random_range(0..USERS);
    let next = check_user(&store, number, body, what) + 1;
    store.journal.append(&[erasing_record(number, next, body(number, next))]).expect("taken")[0].expect("in sequence");
    if random.random_bool(0.2) {
        store.closer.checkpoint().expect("a checkpoint");
        drop(store);
        assert_eq!(check_user(&open(data), number, body, what), next);
    }
}

#[test]
fn no_power_cut_loses_an_acknowledged_frame() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let scratch = scratch_directory();
    // File systems in memory may be mounted without execute permission.
    let library_directory = tempfile::tempdir().expect("a directory");
    let library = compile_recorder(library_directory.path());
    let root = scratch.path().join("root");
    let mut acknowledged: Acknowledged = vec![0; USERS];
    fs::create_dir_all(root.join("data")).expect("a folder");
    let mut images = 0;
    for (group, groups, count) in RUNS {
        let before = DiskImage::read(&root);
        let settings = [(GROUP, group as i64), (GROUPS, groups as i64)];
        let recording = record_run(scratch.path(), &root, &library, ("child", &settings));
        let acks = acknowledgements(&recording, before.clone(), &root);
        assert_eq!(acks.len(), groups, "every group was acknowledged");
        check_recording(&root, &scratch.path().join("image"), before.clone(), &recording);
        let mut left = None;
        for number in 1..=count {
            // Half of the cuts come right after an acknowledgement, when most can be lost.
            let moment = if random.random() {
                acks[random.random_range(0..acks.len())].0 + 1
            } else {
                random.random_range(0..=recording.operations.len())
            };
            let mut expected = acknowledged.clone();
            for (number, sequence) in acks.iter().take_while(|ack| ack.0 < moment).flat_map(|ack| &ack.1) {
                expected[*number] = expected[*number].max(*sequence);
            }
            let mut disk = before.clone();
            recording.operations[..moment].iter().for_each(|operation| disk.apply(operation));
            let data = scratch.path().join("image");
            disk.cut(&root.join("data"), &data, &recording, &mut |durable, all| {
                random_survival(durable, all, &mut random)
            });
            // The next run starts from the last image of this one, as the cut left it.
            if number == count {
                left = Some((DiskImage::read(&data), expected.clone()));
            }
            let of = recording.operations.len();
            let what = format!("groups of {group}, image {number}, cut at {moment} of {of}");
            check(&what, &data, &expected, &mut random);
            images += 1;
            fs::remove_dir_all(&data).expect("removed");
        }
        let (image, expected) = left.expect("an image");
        fs::remove_dir_all(&root).expect("removed");
        image.cut(&scratch.path().join("image"), &root.join("data"), &recording, &mut |_, all| all);
        acknowledged = expected;
    }
    assert!(images >= 200, "{images} images");
}

/// Checks the recording: an image in which nothing is lost has to equal the real files.
fn check_recording(root: &Path, image: &Path, mut disk: DiskImage, recording: &Recording) {
    recording.operations.iter().for_each(|operation| disk.apply(operation));
    disk.cut(&root.join("data"), image, recording, &mut |_, all| all);
    for file in ["keyring", "sled/db", "sled/conf"] {
        let (played, real) = (fs::read(image.join(file)), fs::read(root.join("data").join(file)));
        let (played, real) = (played.expect("played"), real.expect("real"));
        let differs = played.iter().zip(&real).position(|(played, real)| played != real);
        assert!(differs.is_none() && played.len() == real.len(), "{file} was played wrong: {differs:?}");
    }
    fs::remove_dir_all(image).expect("removed");
}

/// Returns when each group was acknowledged, as the number of an operation, and its (user, sequence) pairs.
fn acknowledgements(recording: &Recording, mut disk: DiskImage, root: &Path) -> Vec<(usize, Vec<(usize, u64)>)> {
    let notes = root.join("acknowledged");
    let mut acks = Vec::new();
    for (moment, operation) in recording.operations.iter().enumerate() {
        disk.apply(operation);
        let Operation::Wrote { descriptor, payload, .. } = operation else { continue };
        if disk.path_of(*descriptor) == Some(&notes) {
            let pair = |pair: &[u8]| {
                let word = |at: usize| u32::from_le_bytes(pair[at..at + 4].try_into().expect("four bytes"));
                (word(0) as usize, u64::from(word(4)))
            };
            acks.push((moment, recording.bytes[payload.clone()].chunks_exact(8).map(pair).collect()));
        }
    }
    acks
}
