//! How much journal and sled grow per byte of posted events, in the worst bursts about one large user.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use domain::record::Replay;
use jiff::tz::TimeZone;
use store::Store;

use crate::fat_user::{BOUND, Meter, SCHEMES, deadline_id, scheme_id};
use crate::kit::{SeededEntropy, master, options};

/// Events between two checkpoints.
const CHECKPOINT_EVENTS: usize = 150;

/// A store with the user in it, and the sizes before the burst.
struct Burst {
    directory: tempfile::TempDir,
    store: Store,
    meter: Meter,
    sequence: u64,
    checkpoints: u64,
    journal: u64,
    sled: u64,
}

impl Burst {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut options = options(directory.path());
        // All frames are in one segment, so that the difference of two positions is the number of bytes between them.
        options.segment_bytes = 64 << 20;
        let store = store::open(options, &master(), Arc::new(Replay), SeededEntropy::new(1)).expect("the store opens");
        let meter = Meter::new(TimeZone::UTC);
        let mut burst = Self { directory, store, meter, sequence: 0, checkpoints: 0, journal: 0, sled: 0 };
        burst.meter.grow();
        burst.append();
        // sled allocates in units of its own, so its size is measured after some checkpoints.
        for _ in 0..4 {
            burst.touch();
            burst.store.closer.checkpoint().expect("a checkpoint");
        }
        burst.meter.start_over();
        (burst.journal, burst.sled) = (burst.store.log.end().0, burst.sled_bytes());
        burst
    }

    /// Changes the user a little.
    fn touch(&mut self) {
        let consent = format!(r#"{{"analytics_opt_in":{}}}"#, self.sequence.is_multiple_of(2));
        self.meter.post("user.consent.updated", "consent", &consent);
        self.append();
    }

    /// Appends the new frames of the meter, each in a group of its own, which takes the most bytes.
    fn append(&mut self) {
        for record in std::mem::take(&mut self.meter.frames) {
            self.sequence = record.sequence;
            self.store.journal.append(&[record]).expect("taken")[0].expect("in sequence");
        }
    }

    fn event(&mut self, number: usize, post: impl FnOnce(&mut Meter)) {
        post(&mut self.meter);
        self.append();
        if number % CHECKPOINT_EVENTS == CHECKPOINT_EVENTS - 1 {
            self.store.closer.checkpoint().expect("a checkpoint");
            self.checkpoints += 1;
        }
    }

    fn sled_bytes(&self) -> u64 {
        bytes_below(&self.directory.path().join("sled"))
    }

    #[track_caller]
    fn check(&self) {
        let journal = self.store.log.end().0 - self.journal;
        let sled = self.sled_bytes().saturating_sub(self.sled);
        // A checkpoint may write a whole state. sled reuses the space of the one before, so they do not add up.
        let state = self.meter.packed().len() as u64;
        let posted = self.meter.posted as u64;
        assert!(self.checkpoints >= 4, "the burst is folded");
        assert!(
            journal + sled <= BOUND as u64 * posted + state,
            "{journal} bytes of journal and {sled} of sled for {posted} posted, beside a state of {state}"
        );
    }
}

fn bytes_below(path: &Path) -> u64 {
    let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(
            |entry| {
                if entry.path().is_dir() { bytes_below(&entry.path()) } else { entry.metadata().expect("a file").len() }
            },
        )
        .sum()
}

#[test]
fn a_burst_of_statuses_is_stored_within_the_bound() {
    let mut burst = Burst::new();
    for number in 0..4 * CHECKPOINT_EVENTS {
        let status = ["applied", "active", "rejected"][number / SCHEMES % 3];
        let data = format!(r#"{{"scheme_id":"{}","application_status":"{status}"}}"#, scheme_id(number % SCHEMES));
        burst.event(number, |meter| meter.post("scheme.application.status_changed", "schemes", &data));
    }
    burst.check();
}

#[test]
fn a_burst_of_completions_that_move_large_deadlines_is_stored_within_the_bound() {
    let mut burst = Burst::new();
    for number in 0..8 * CHECKPOINT_EVENTS {
        let at = if number % 2 == 0 { "\"2026-01-20T00:00:00Z\"" } else { "null" };
        burst.event(number, |meter| meter.complete(&deadline_id(number / 2 % 50), at));
    }
    burst.check();
}
