//! Damage to the journal's bytes: a torn end is cut off, and damage before it stops the start.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::feed::{self, EventGenerator};
use crate::harness::{Harness, contents};
use crate::ledger::Ledger;
use crate::random::Random;
use crate::{seeded, verify};

/// A segment's header page; records follow.
const HEADER_BYTES: usize = 4096;
/// Length of the mark that follows the last group. It is written without a sync and may be lost.
const MARK_BYTES: usize = 40;
const MARK_MAGIC: &[u8] = b"PSJ-MARK";
const MARK_MAGIC_AT: usize = 16;

/// A data directory with acknowledged events that are in no checkpoint.
struct Fixture {
    harness: Harness,
    token: String,
    generator: EventGenerator,
    ledger: Ledger,
}

impl Fixture {
    fn new() -> Self {
        let harness = Harness::new().with("log.level", "error").with("checkpoint.interval_s", 3_600);
        let token = verify::feeder(&harness);
        Self { harness, token, generator: EventGenerator::new(2, 10), ledger: Ledger::default() }
    }

    /// Starts a server, checks what was acknowledged before, posts more events, and kills it.
    fn run_and_kill(&mut self, random: &mut Random) {
        let server = self.harness.start();
        verify::recovered(&server, &self.token, &self.generator, &mut self.ledger);
        let mut client = server.client(&self.token);
        for event in (0..3).flat_map(|_| self.generator.draw_some(random)).map(Arc::new) {
            let outcome = feed::post(&mut client, &event).expect("an answer");
            self.ledger.enter([(event, outcome)]);
        }
        server.kill();
    }

    fn journal(&self) -> PathBuf {
        self.harness.data_dir().join("journal")
    }

    /// Returns the segments that contain acknowledged frames: path, bytes, and the offset of the mark after them.
    fn segments(&self) -> Vec<(PathBuf, Vec<u8>, usize)> {
        let with_end = |(path, bytes): (PathBuf, Vec<u8>)| {
            let magic = bytes.windows(MARK_MAGIC.len()).rposition(|window| window == MARK_MAGIC)?;
            let mark = magic - MARK_MAGIC_AT;
            (mark > HEADER_BYTES).then_some((path, bytes, mark))
        };
        contents(&self.journal()).into_iter().filter_map(with_end).collect()
    }
}

#[test]
fn a_torn_end_is_cut_off_and_nothing_acknowledged_goes_with_it() {
    let mut random = seeded("torn_end");
    let mut fixture = Fixture::new();
    for round in 0..12 {
        fixture.run_and_kill(&mut random);
        let (path, bytes, mark) = fixture.segments().pop().expect("a segment");
        let end = mark + MARK_BYTES;
        let file = File::options().write(true).open(&path).expect("the last segment");
        match round % 4 {
            0 => {
                let garbage: Vec<u8> = (0..=random.below(3_000)).map(|_| random.next() as u8).collect();
                file.write_all_at(&garbage, end as u64).expect("written");
            }
            1 => {
                // The beginning of a valid group, cut off.
                let length = MARK_BYTES + 1 + random.below(150);
                file.write_all_at(&bytes[HEADER_BYTES..HEADER_BYTES + length], end as u64).expect("written");
            }
            2 => file.set_len(end as u64).expect("cut"),
            _ => file.write_all_at(&[0; MARK_BYTES], mark as u64).expect("written"),
        }
    }
    fixture.run_and_kill(&mut random);
}

#[test]
fn a_flipped_bit_in_what_was_acknowledged_stops_the_start_with_one_line() {
    let mut random = seeded("flipped_bit");
    let mut fixture = Fixture::new();
    fixture.run_and_kill(&mut random);
    fixture.run_and_kill(&mut random);
    for _ in 0..12 {
        let segments = fixture.segments();
        let (path, bytes, mark) = &segments[random.below(segments.len())];
        let at = HEADER_BYTES + random.below(mark - HEADER_BYTES);
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << random.below(8);
        fs::write(path, &flipped).expect("written");

        let (before, log_length) = (segments_of(&fixture.journal()), fixture.harness.log().len());
        let status = fixture.harness.spawn().ready().err().expect("no start").expect("no hanging");
        let log = fixture.harness.log();
        let line = log[log_length..].trim_end();
        assert_eq!(status.code(), Some(1), "{line}");
        assert!(line.contains("journal") && line.contains("damaged") && !line.contains('\n'), "byte {at}: `{line}`");
        assert!(segments_of(&fixture.journal()) == before, "the journal was changed");
        fs::write(path, bytes).expect("written");
    }
    fixture.run_and_kill(&mut random);
}

/// Returns the journal's files without the empty segment that is prepared ahead, which every start replaces.
fn segments_of(journal: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = contents(journal);
    files.retain(|(path, _)| !path.ends_with("next.new"));
    files
}
