//! What a crash or a bad disk can do to the journal's bytes: a torn end is cut off, damage before it stops the start.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::feed::{self, Mint};
use crate::harness::{Place, contents};
use crate::ledger::Ledger;
use crate::random::Random;
use crate::{seeded, verify};

/// A segment's header page; records follow.
const HEADER_BYTES: usize = 4096;
/// The mark that follows the last group without a sync: it may be lost.
const MARK_BYTES: usize = 40;
const MARK_MAGIC: &[u8] = b"PSJ-MARK";
const MARK_MAGIC_AT: usize = 16;

/// A server's directory with acknowledged events that are in no checkpoint.
struct World {
    place: Place,
    token: String,
    mint: Mint,
    ledger: Ledger,
}

impl World {
    fn new() -> Self {
        let place = Place::new().with("log.level", "error").with("checkpoint.interval_s", 3_600);
        let token = verify::feeder(&place);
        Self { place, token, mint: Mint::new(2, 10), ledger: Ledger::default() }
    }

    /// Starts, checks what was acknowledged before, adds to it and dies.
    fn live_and_die(&mut self, random: &mut Random) {
        let server = self.place.start();
        verify::recovered(&server, &self.token, &self.mint, &mut self.ledger);
        let mut client = server.client(&self.token);
        for event in (0..3).flat_map(|_| self.mint.some(random)).map(Arc::new) {
            let fate = feed::post(&mut client, &event).expect("an answer");
            self.ledger.enter([(event, fate)]);
        }
        server.kill();
    }

    fn journal(&self) -> PathBuf {
        self.place.data_dir().join("journal")
    }

    /// The segments that hold acknowledged frames: path, bytes, and where the mark begins that follows them.
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
    let mut world = World::new();
    for round in 0..12 {
        world.live_and_die(&mut random);
        let (path, bytes, mark) = world.segments().pop().expect("a segment");
        let end = mark + MARK_BYTES;
        let file = File::options().write(true).open(&path).expect("the last segment");
        match round % 4 {
            0 => {
                let garbage: Vec<u8> = (0..=random.below(3_000)).map(|_| random.next() as u8).collect();
                file.write_all_at(&garbage, end as u64).expect("written");
            }
            1 => {
                // A group that began like any other and broke off.
                let length = MARK_BYTES + 1 + random.below(150);
                file.write_all_at(&bytes[HEADER_BYTES..HEADER_BYTES + length], end as u64).expect("written");
            }
            2 => file.set_len(end as u64).expect("cut"),
            _ => file.write_all_at(&[0; MARK_BYTES], mark as u64).expect("written"),
        }
    }
    world.live_and_die(&mut random);
}

#[test]
fn a_flipped_bit_in_what_was_acknowledged_stops_the_start_with_one_line() {
    let mut random = seeded("flipped_bit");
    let mut world = World::new();
    world.live_and_die(&mut random);
    world.live_and_die(&mut random);
    for _ in 0..12 {
        let segments = world.segments();
        let (path, bytes, mark) = &segments[random.below(segments.len())];
        let at = HEADER_BYTES + random.below(mark - HEADER_BYTES);
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << random.below(8);
        fs::write(path, &flipped).expect("written");

        let (before, said) = (segments_of(&world.journal()), world.place.log().len());
        let status = world.place.spawn().ready().err().expect("no start").expect("no hanging");
        let log = world.place.log();
        let line = log[said..].trim_end();
        assert_eq!(status.code(), Some(1), "{line}");
        assert!(line.contains("journal") && line.contains("damaged") && !line.contains('\n'), "byte {at}: `{line}`");
        assert!(segments_of(&world.journal()) == before, "something was repaired in silence");
        fs::write(path, bytes).expect("written");
    }
    world.live_and_die(&mut random);
}

/// The journal's files but the segment that was made ahead, which holds nothing: a start makes it anew.
fn segments_of(journal: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = contents(journal);
    files.retain(|(path, _)| !path.ends_with("next.new"));
    files
}
