//! Power cuts and kills in the middle of thinning: every revision that has to stay is there and is what was recorded, and
//! thinning goes on.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use domain::port::clock::Clock;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::image::{DiskImage, random_survival};
use crate::kit::clock::{DAY, TestClock};
use crate::kit::recorded::{self, Recorded};
use crate::kit::{close, seed};
use crate::recording::{Operation, Recording};
use crate::{ROOT, compile_recorder, record_run, scratch_directory};

const NOW: &str = "STORE_TEST_NOW";
/// Days of history before it is thinned, and revisions of each.
const DAYS: i64 = 45;
const A_DAY: i64 = 6;
/// How often the child thins, and the time between.
const THINNINGS: usize = 4;
const BETWEEN: i64 = 9 * DAY;
const IMAGES: usize = 60;

/// Is the process that is recorded, and not a test by itself. It thins, and writes down when it begins and when it has ended.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else { return };
    let Ok(now) = std::env::var(NOW) else { return };
    let clock = TestClock::at(now.parse().expect("a time"));
    let store = recorded::open(&root.join("data"), clock.clone());
    let mut notes = fs::File::options().create(true).append(true).open(root.join("notes")).expect("a file");
    for _ in 0..THINNINGS {
        clock.advance(BETWEEN);
        notes.write_all(&clock.now_micros().to_le_bytes()).expect("noted");
        store.closer.thin_histories().expect("thinned");
        notes.write_all(&0_i64.to_le_bytes()).expect("noted");
    }
    close(store);
}

/// Returns the operations during which histories were thinned, each with the time by which they were.
fn thinnings(recording: &Recording, mut disk: DiskImage, root: &Path) -> Vec<(usize, i64)> {
    let notes = root.join("notes");
    let (mut moments, mut now) = (Vec::new(), 0);
    for (moment, operation) in recording.operations.iter().enumerate() {
        disk.apply(operation);
        let Operation::Wrote { descriptor, payload, .. } = operation else {
            continue;
        };
        if disk.path_of(*descriptor) == Some(&notes) {
            now = i64::from_le_bytes(recording.bytes[payload.clone()].try_into().expect("eight bytes"));
        } else if now > 0 {
            moments.push((moment, now));
        }
    }
    moments
}

#[test]
fn whatever_moment_of_thinning_the_power_fails_at_what_stays_is_what_was_recorded() {
    let mut random = StdRng::seed_from_u64(seed());
    let scratch = scratch_directory();
    // File systems in memory may be mounted without execute permission.
    let library_directory = tempfile::tempdir().expect("a directory");
    let library = compile_recorder(library_directory.path());
    let root = scratch.path().join("root");
    fs::create_dir_all(root.join("data")).expect("a folder");
    let mut recorded = Recorded::new();
    let mut store = recorded.open(&root.join("data"));
    for revision in 0..DAYS * A_DAY {
        recorded.append(&mut store);
        recorded.clock.advance(DAY / A_DAY);
        if revision % 20 == 0 {
            store.closer.checkpoint().expect("a checkpoint");
        }
    }
    close(store);
    let before = DiskImage::read(&root);
    let began = recorded.now();
    let recording = record_run(scratch.path(), &root, &library, ("thinning::child", &[(NOW, began)]));
    let moments = thinnings(&recording, before.clone(), &root);
    assert!(moments.len() >= 2 * THINNINGS, "{} writes while histories were thinned", moments.len());
    let (mut unthinned, mut thinned) = (0, 0);
    for number in 0..IMAGES {
        let (moment, now) = moments[random.random_range(0..moments.len())];
        let mut disk = before.clone();
        recording.operations[..=moment].iter().for_each(|operation| disk.apply(operation));
        let data = scratch.path().join("image");
        // A process that is killed loses nothing that it has written.
        let is_kill = number % 3 == 0;
        disk.cut(&root.join("data"), &data, &recording, &mut |durable, all| {
            if is_kill { all } else { random_survival(durable, all, &mut random) }
        });
        let mut left = recorded.at(now);
        let mut store = left.open(&data);
        let dropped = left.check(&store);
        let expected = left.droppable();
        assert!(dropped <= expected, "image {number}: {dropped} of {expected}");
        *(if dropped < expected { &mut unthinned } else { &mut thinned }) += 1;
        // The next pass ends what was begun, and the next revision continues what is left.
        left.clock.advance(BETWEEN);
        store.closer.thin_histories().expect("thinned");
        assert_eq!(left.check(&store), left.droppable(), "image {number}, after another pass");
        left.append(&mut store);
        store.closer.checkpoint().expect("a checkpoint");
        left.check(&store);
        drop(store);
        fs::remove_dir_all(&data).expect("removed");
    }
    assert!(unthinned > 0, "some images are from before the end of a pass: {unthinned} and {thinned}");
}
