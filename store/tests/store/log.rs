//! The journal as a log: a follower that starts anywhere sees every later frame, over restarts, faults and checkpoints.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::port::journal::JournalError;
use domain::port::log::{EventLog, LogError, LogPosition};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::{Store, StoreOptions};

use crate::kit;
use crate::kit::clock::{DAY, TestClock};
use crate::kit::faulty_disk::{FaultPlan, FaultyDisk};
use crate::kit::layout::{MARK_BYTES, MARK_MAGIC, MARK_MAGIC_AT};
use crate::kit::{close, open, options, record, seed, try_open};

const MAX: LogPosition = LogPosition(u64::MAX);

/// Keeps all segments.
fn keeping_all_segments(dir: &Path) -> StoreOptions {
    StoreOptions { retain_journal_bytes: 1 << 40, ..options(dir) }
}

fn try_append(store: &mut Store, number: usize, sequence: u64, length: usize) -> Result<(), JournalError> {
    let mut body = vec![number as u8; length.max(16)];
    body[..8].copy_from_slice(&sequence.to_le_bytes());
    store.journal.append(&[record(number, sequence, body)])?[0].expect("in sequence");
    Ok(())
}

fn append(store: &mut Store, number: usize, sequence: u64, length: usize) {
    try_append(store, number, sequence, length).expect("taken");
}

/// Reads from `from` to the end in batches of `max_bytes`. Returns user, sequence and next position of each frame.
fn follow(log: &dyn EventLog, from: LogPosition, max_bytes: usize) -> Vec<(usize, u64, LogPosition)> {
    let (mut at, mut read) = (from, Vec::new());
    loop {
        let batch = log.read(at, MAX, max_bytes).expect("reads");
        for entry in &batch.entries {
            let sequence = u64::from_le_bytes(entry.record.body[..8].try_into().expect("eight bytes"));
            assert_eq!(sequence, entry.record.sequence);
            assert!(at <= entry.at && entry.at < entry.next, "positions grow");
            assert!(entry.newest.sequence >= sequence);
            read.push((usize::from(entry.record.body[8]), sequence, entry.next));
        }
        if batch.next == at {
            assert!(batch.entries.is_empty());
            return read;
        }
        at = batch.next;
    }
}

fn names(read: &[(usize, u64, LogPosition)]) -> Vec<(usize, u64)> {
    read.iter().map(|(number, sequence, _)| (*number, *sequence)).collect()
}

#[test]
fn frames_come_in_their_order_over_segments_restarts_and_faults_from_anywhere() {
    let mut random = StdRng::seed_from_u64(seed());
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let on_disk = || StoreOptions { disk: Arc::new(disk.clone()), ..keeping_all_segments(dir.path()) };
    let mut store = try_open(on_disk(), 1).expect("the store opens");
    let (mut newest, mut all, mut places) = ([0; 6], Vec::new(), vec![(0, store.log.end())]);
    for _ in 0..400 {
        match random.random_range(0..100) {
            0..90 => {
                let number = random.random_range(0..6);
                newest[number] += 1;
                let length = if random.random_bool(0.05) { 200_000 } else { 2_000 };
                // The sync that fails may be that of the next segment: then nothing was taken, and sending again helps.
                if let Err(error) = try_append(&mut store, number, newest[number], length) {
                    assert!(matches!(error, JournalError::NotTaken(_)) && disk.is_used_up(), "{error}");
                    append(&mut store, number, newest[number], length);
                }
                all.push((number, newest[number]));
            }
            90..94 => store.closer.checkpoint().expect("a checkpoint"),
            94..97 => disk.set(FaultPlan { path: "journal", syncs: 1, ..FaultPlan::default() }),
            _ => {
                drop(store);
                disk.set(FaultPlan::default());
                store = try_open(on_disk(), 1).expect("the store opens");
            }
        }
        places.push((all.len(), store.log.end()));
    }
    assert_eq!(names(&follow(&*store.log, store.log.oldest(), 1)), all);
    let read = follow(&*store.log, store.log.oldest(), 300_000);
    assert_eq!(names(&read), all);
    for (frame, (_, _, next)) in read.iter().enumerate().step_by(7) {
        assert_eq!(names(&follow(&*store.log, *next, 50_000)), all[frame + 1..]);
    }
    // What was the end once still leads to all that came after it. A restart copies the last group, so it may repeat.
    for (frame, place) in places.into_iter().step_by(5) {
        let read = names(&follow(&*store.log, place, 1 << 20));
        let repeated = read.len() - (all.len() - frame);
        assert!(repeated <= 1, "one group at most is repeated");
        assert_eq!(read, all[frame - repeated..]);
    }
}

/// Overwrites the mark at the end of the journal, which is written without a sync, so that a power cut may lose it.
fn lose_the_last_mark(dir: &Path) {
    let path = kit::segment_paths(dir).pop().expect("a segment");
    let mut bytes = std::fs::read(&path).expect("a segment");
    let magic = bytes.windows(MARK_MAGIC.len()).rposition(|window| window == MARK_MAGIC).expect("a mark");
    let mark = magic - MARK_MAGIC_AT;
    bytes[mark..mark + MARK_BYTES].fill(0);
    std::fs::write(&path, bytes).expect("written");
}

#[test]
fn a_group_that_start_up_moves_keeps_its_place_in_the_order_in_which_frames_became_durable() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = try_open(keeping_all_segments(dir.path()), 1).expect("the store opens");
    append(&mut store, 1, 1, 100);
    append(&mut store, 2, 1, 100);
    let began = store.log.end();
    for later in 1..=3 {
        drop(store);
        if later == 1 {
            lose_the_last_mark(dir.path());
        }
        store = try_open(keeping_all_segments(dir.path()), 1).expect("the store opens");
        let moved = store.log.read(began, MAX, 1 << 20).expect("reads").entries;
        let [moved, ..] = &moved[..] else { panic!("the last group comes again after start {later}") };
        assert!(moved.at >= began, "it is at a later position");
        assert!(moved.origin < began, "start {later}: it became durable before");
    }
    append(&mut store, 1, 2, 100);
    append(&mut store, 1, 3, 100);
    drop(store);
    let store = try_open(keeping_all_segments(dir.path()), 1).expect("the store opens");
    let all = store.log.read(store.log.oldest(), MAX, 1 << 20).expect("reads").entries;
    assert_eq!(all.iter().map(|entry| entry.record.sequence).collect::<Vec<_>>(), [1, 1, 2, 3]);
    assert!(all.is_sorted_by(|one, next| one.origin < next.origin), "{all:?}");
    let since = all.iter().filter(|entry| entry.origin >= began).map(|entry| entry.record.sequence);
    assert_eq!(since.collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn nothing_is_read_beyond_what_is_asked_or_durable() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    append(&mut store, 1, 1, 100);
    let middle = store.log.end();
    append(&mut store, 1, 2, 100);
    let batch = store.log.read(store.log.oldest(), middle, 1 << 20).expect("reads");
    assert_eq!((batch.entries.len(), batch.next), (1, middle));
    let batch = store.log.read(middle, middle, 1 << 20).expect("reads");
    assert_eq!((batch.entries.len(), batch.next), (0, middle));
    let end = store.log.end();
    for nowhere in [end.0 + 1, middle.0 + 1, middle.0 - 3, end.0 - 2, u64::MAX, store.log.oldest().0 - 1] {
        let read = store.log.read(LogPosition(nowhere), MAX, 1 << 20);
        assert!(matches!(read, Err(LogError::Nowhere)), "{nowhere}: {read:?}");
    }
}

fn fill(store: &mut Store, from: u64) {
    for sequence in from..from + 100 {
        append(store, 1, sequence, 20_000);
    }
}

#[test]
fn segments_are_kept_by_bytes_and_by_age_and_an_older_position_is_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = TestClock::at_system_time();
    let mut options = keeping_all_segments(dir.path());
    options.clock = Some(clock.clone());
    options.retain_journal = Duration::from_secs(3600);
    options.retain_journal_bytes = 1 << 20;
    let mut store = try_open(options.clone(), 1).expect("the store opens");
    let (begin, segments) = (store.log.oldest(), || kit::segments(dir.path()));
    fill(&mut store, 1);
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(segments(), 5, "a mebibyte of segments of 256 KiB, and the one that is written to");
    let gone = store.log.read(begin, MAX, 1);
    assert!(matches!(gone, Err(LogError::Gone { oldest }) if oldest == store.log.oldest()), "{gone:?}");
    let kept = follow(&*store.log, store.log.oldest(), 1 << 20);
    assert_eq!(kept.last().map(|(_, sequence, _)| *sequence), Some(100));

    // They are there after a restart, too, and expire without any new frame.
    drop(store);
    let store = try_open(options, 1).expect("the store opens");
    assert_eq!(names(&follow(&*store.log, store.log.oldest(), 1 << 20)), names(&kept));
    clock.advance(3_700_000_000);
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(segments(), 1);
}

#[test]
fn a_full_disk_removes_the_segments_that_are_kept_for_followers() {
    let (dir, disk) = (tempfile::tempdir().expect("a directory"), FaultyDisk::default());
    let options = StoreOptions { disk: Arc::new(disk.clone()), ..keeping_all_segments(dir.path()) };
    let mut store = try_open(options, 1).expect("the store opens");
    let segments = || kit::segments(dir.path());
    fill(&mut store, 1);
    store.closer.checkpoint().expect("a checkpoint");
    fill(&mut store, 101);
    assert!(segments() > 14);
    // The next segment finds no disk space, and the one after that does.
    disk.set(FaultPlan { path: "next.new", full: 1, ..FaultPlan::default() });
    fill(&mut store, 201);
    assert!(disk.is_used_up());
    let kept = names(&follow(&*store.log, store.log.oldest(), 1 << 20));
    assert_eq!(kept.last(), Some(&(1, 300)));
    assert!(kept[0].1 > 90 && kept[0].1 <= 101, "what no checkpoint has stays: {:?}", kept[0]);
}

#[test]
fn a_jump_of_the_clock_removes_no_segment() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = TestClock::at_system_time();
    let options = StoreOptions {
        clock: Some(clock.clone()),
        retain_journal: Duration::from_secs(24 * 3600),
        confirm_clock: Duration::from_secs(3600),
        ..keeping_all_segments(dir.path())
    };
    let mut store = try_open(options.clone(), 1).expect("the store opens");
    fill(&mut store, 1);
    store.closer.checkpoint().expect("a checkpoint");
    let kept = kit::segments(dir.path());
    clock.advance(400 * DAY);
    for _ in 0..3 {
        store.closer.checkpoint().expect("a checkpoint");
        assert_eq!(kit::segments(dir.path()), kept);
    }
    close(store);
    let store = try_open(options, 1).expect("the store opens");
    store.closer.checkpoint().expect("a checkpoint");
    assert_eq!(kit::segments(dir.path()), kept + 1, "a start creates one");
}
