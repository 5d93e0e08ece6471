//! Power cuts while people are erased, over the whole chain of an erasure: registry, audit log, journal, keyring, and the
//! registry again. No erasure that was begun is forgotten, no key that was destroyed comes back, no receipt and no entry of the
//! audit log is lost, and nobody else loses anything.
//!
//! The process that is recorded is killed at a step, and goes on as a server does at a start. The power fails before or after
//! that: what the killed process wrote, and never synced, is lost with it.

mod check;
mod eraser;
mod promises;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog};
use domain::port::journal::{Record, RowId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::Store;
use store::audit::{self, AuditKeys, AuditOptions};

use self::check::Image;
use self::eraser::{Eraser, Ports, body};
use self::promises::{Note, Notes, Promises, Step, notes};
use crate::image::{DiskImage, random_survival};
use crate::kit::clock::{DAY, TestClock};
use crate::kit::erasing::{GENERATION_RECORDS, check_user, erasing_record, is_erased_often};
use crate::kit::{master, options, seed, try_open};
use crate::recording::{Operation, Recording};
use crate::{ROOT, compile_recorder, record_run, scratch_directory};

const FIRST_DAY: &str = "STORE_TEST_DAY";
/// Number of threads that erase users at the same time.
const ERASERS: usize = 3;
/// Users with these numbers; every fifth one is erased again and again.
const USERS: usize = 60;
/// How often each of them is erased in a run.
const ERASURES: usize = 2;
/// 2026-11-10, in days since the Unix epoch.
const TODAY: i64 = 20_767;
/// Days between the starts of two runs, more than the clock moves in one.
const DAYS_OF_RUN: i64 = 200;

/// Rounds unless `STORE_TEST_ROUNDS` says otherwise. Each has two runs, between which the process is killed.
const ROUNDS: usize = 4;
/// The steps after which it is killed, in turn; `None` is when a file has got its name. First come those at which the next process
/// relies on what this one has not synced.
const KILLED_AFTER: [Option<Step>; 9] = [
    Some(Step::Begun),
    Some(Step::Noted),
    None,
    Some(Step::Ended),
    Some(Step::Forgotten),
    Some(Step::Recorded),
    Some(Step::Proved),
    Some(Step::Removing),
    Some(Step::Removed),
];
/// Rounds after which the next one starts with nothing, so that the audit log does not grow too long.
const ROUNDS_IN_A_ROW: usize = 4;
/// Images of each run: one for each step, and one of the start.
const IMAGES: usize = Step::ALL.len() + 1;
/// One image in so many is started a second time.
const STARTED_AGAIN: usize = 3;

fn audit_options(data: &Path, day: i64) -> AuditOptions {
    AuditOptions {
        confirm_clock: Duration::ZERO,
        head_interval: Duration::from_secs(3600),
        run_lines: 16,
        ..AuditOptions::new(data, TestClock::at_day(day))
    }
}

/// A record that is to be made durable, and where its row is sent.
type CommitRequest = (Record, SyncSender<RowId>);

/// Is the process that is recorded, and not a test by itself. It finishes the erasures that it finds, and erases people while
/// others get records in the same groups, checkpoints run and the ring key is rotated. It writes down what was acknowledged.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test tells its child what to do")]
fn child() {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else { return };
    let Ok(day) = std::env::var(FIRST_DAY) else { return };
    let (data, id) = (root.join("data"), u64::from(std::process::id()));
    let clock = TestClock::at_day(day.parse().expect("a day"));
    let mut options = options(&data);
    options.checkpoint_interval = Duration::from_millis(30);
    let mut store = try_open(options, id).expect("the store opens");
    let audit_options =
        AuditOptions { head_interval: Duration::from_millis(5), clock: clock.clone(), ..audit_options(&data, 0) };
    let audit = audit::open(&audit_options, AuditKeys::derive(&store.system_keys)).expect("the audit log opens");
    let notes = Notes::below(&root);
    // What is read after a start is durable.
    let found: Vec<u64> = (0..USERS).map(|number| check_user(&store, number, body, "the child")).collect();
    for (number, &sequence) in found.iter().enumerate() {
        notes.add(Note::Appended { number, sequence });
    }
    let (keys, is_over) = (store.closer.keys(), AtomicBool::new(false));
    thread::scope(|scope| {
        let _over = SetOnDrop(&is_over);
        scope.spawn(|| {
            while keys.rotate_ring(&master()).is_ok() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let (sender, requests) = channel();
        for place in 0..ERASERS {
            let (ports, sender) = (Ports::of(&store, &audit), sender.clone());
            let (found, notes, clock) = (&found, &notes, &*clock);
            scope.spawn(move || {
                let eraser = Eraser {
                    ports,
                    commit: Box::new(move |record| {
                        let (answer, row) = sync_channel(1);
                        sender.send((record, answer)).expect("the journal is open");
                        row.recv().expect("the record is taken")
                    }),
                    note: Box::new(|note| notes.add(note)),
                };
                let is_own = |number: usize| is_erased_often(number) && number / 5 % ERASERS == place;
                erase_people(&eraser, is_own, found, clock, &mut StdRng::seed_from_u64(id + place as u64));
            });
        }
        drop(sender);
        commit(&mut store, &requests, &found, &notes, &mut StdRng::seed_from_u64(id));
    });
    audit.close();
    notes.add(Note::Closed);
    if id.is_multiple_of(2) {
        store.closer.close().expect("closes");
    }
}

/// Ends the rotations, also after a panic.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Appends what the erasers ask for, in groups with records of other users, until no eraser is left.
fn commit(store: &mut Store, requests: &Receiver<CommitRequest>, found: &[u64], notes: &Notes, random: &mut StdRng) {
    let mut sequences = found.to_vec();
    while let Ok(first) = requests.recv() {
        let requests: Vec<CommitRequest> = std::iter::once(first).chain(requests.try_iter()).collect();
        let mut group: Vec<Record> = requests.iter().map(|(record, _)| record.clone()).collect();
        let start = random.random_range(0..USERS);
        let others = (start..start + random.random_range(0..USERS / 2)).map(|number| number % USERS);
        let others: Vec<usize> = others.filter(|number| !is_erased_often(*number)).collect();
        for &number in &others {
            sequences[number] += 1;
            group.push(erasing_record(number, sequences[number], body(number, sequences[number])));
        }
        let rows = store.journal.append(&group).expect("taken").into_iter();
        let rows: Vec<RowId> = rows.map(|row| row.expect("in sequence")).collect();
        for ((_, answer), row) in requests.iter().zip(rows) {
            answer.send(row).expect("the eraser waits");
        }
        for number in others {
            notes.add(Note::Appended { number, sequence: sequences[number] });
        }
    }
}

/// Finishes the erasures of some people that were begun before, and erases these people while the months go by.
fn erase_people(
    eraser: &Eraser<'_>,
    is_own: impl Fn(usize) -> bool,
    found: &[u64],
    clock: &TestClock,
    random: &mut StdRng,
) {
    let mut sequences = found.to_vec();
    for job in eraser.resume(&is_own) {
        let last = u64::from(job.generation) * GENERATION_RECORDS;
        sequences[job.number] = sequences[job.number].max(last);
    }
    for number in (0..ERASURES).flat_map(|_| (0..USERS).filter(|number| is_own(*number))) {
        let lives_again = random.random_bool(0.25);
        sequences[number] = eraser.live(number, sequences[number]) + 1;
        eraser.erase(number, lives_again);
        sequences[number] += u64::from(lives_again);
        // Entries that nobody waits for, of a category that is soon removed for its age.
        let caller = AuditActor::Caller("svc:engine".into());
        eraser.ports.audit.note(AuditEntry::new(AuditCategory::Operations, "profile.read", caller));
        if random.random_bool(0.125) {
            clock.advance(20 * DAY);
        }
    }
}

/// A run of the child, and how far it was promised to have come before it.
struct Run {
    before: DiskImage,
    promised: Promises,
    recording: Recording,
    /// Each with the number of the operation that wrote it down.
    notes: Vec<(usize, Note)>,
    /// The places of the notes that say something new. An erasure that is resumed takes steps again.
    new: Vec<usize>,
}

impl Run {
    /// Runs the child on the data below `root`, which are those of `before`. `killed` is the recording of a process that was
    /// killed there.
    fn record(tools: &Tools<'_>, day: i64, before: DiskImage, killed: Option<&Recording>, promised: Promises) -> Self {
        let recording = record_run(tools.scratch, &tools.root, tools.library, ("erasures::child", &[(FIRST_DAY, day)]));
        let recording = killed.into_iter().fold(recording, Recording::after);
        let notes = notes(&recording, before.clone(), &tools.root);
        let mut known = promised.clone();
        let new = (0..notes.len()).filter(|place| known.take(notes[*place].1)).collect();
        Self { before, promised, recording, notes, new }
    }

    /// Returns the disk after so many operations, and what was promised by then.
    fn at(&self, moment: usize) -> (DiskImage, Promises) {
        let (mut disk, mut promised) = (self.before.clone(), self.promised.clone());
        self.recording.operations[..moment].iter().for_each(|operation| disk.apply(operation));
        for (_, note) in self.notes.iter().filter(|(at, _)| *at < moment) {
            promised.take(*note);
        }
        (disk, promised)
    }

    /// Returns a moment after a step of an erasure: at once, or at a write before the next note about the same user. Of all
    /// erasures it is the first one if `is_first`.
    fn moment_after(&self, step: Step, is_at_once: bool, is_first: bool, random: &mut StdRng) -> usize {
        let has_reached = |note: &Note| matches!(note, Note::Reached { step: reached, .. } if *reached == step);
        let reached: Vec<usize> = self.new.iter().copied().filter(|place| has_reached(&self.notes[*place].1)).collect();
        let place = reached[if is_first { 0 } else { random.random_range(0..reached.len()) }];
        let (at, note) = self.notes[place];
        let next = self.notes[place + 1..].iter().find(|(_, next)| next.number() == note.number());
        let writes: Vec<usize> = (at + 1..next.map_or(self.recording.operations.len(), |(next, _)| *next))
            .filter(|at| matches!(self.recording.operations[*at], Operation::Wrote { .. }))
            .collect();
        if is_at_once || writes.is_empty() { at + 1 } else { writes[random.random_range(0..writes.len())] + 1 }
    }

    /// Returns a moment at which a file has just got its name, while erasures are under way.
    fn moment_of_a_name(&self, random: &mut StdRng) -> usize {
        let erasing = self.notes[self.new[0]].0..self.notes[self.new[self.new.len() - 1]].0;
        let is_named = |at: &usize| matches!(self.recording.operations[*at], Operation::Renamed { .. });
        let named: Vec<usize> = erasing.filter(is_named).collect();
        named[random.random_range(0..named.len())] + 1
    }
}

/// What runs are recorded with.
struct Tools<'t> {
    scratch: &'t Path,
    root: PathBuf,
    library: &'t Path,
}

impl Tools<'_> {
    /// Where images are put.
    fn image(&self) -> PathBuf {
        self.scratch.join("image")
    }
}

/// Returns how often the child is recorded, killed and recorded again: `STORE_TEST_ROUNDS`, or else a few times.
#[expect(clippy::disallowed_methods, reason = "a test takes its length from the environment")]
fn rounds() -> usize {
    std::env::var("STORE_TEST_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"))
}

#[test]
fn no_power_cut_forgets_an_acknowledged_step_of_an_erasure() {
    let mut random = StdRng::seed_from_u64(seed());
    let scratch = scratch_directory();
    // File systems in memory may be mounted without execute permission.
    let library_directory = tempfile::tempdir().expect("a directory");
    let library = compile_recorder(library_directory.path());
    let tools = Tools { scratch: scratch.path(), root: scratch.path().join("root"), library: &library };
    let data = tools.root.join("data");
    let (mut disk, mut promised, mut cuts) = (DiskImage::default(), Promises::default(), Cuts::default());
    for round in 0..rounds() {
        if round.is_multiple_of(ROUNDS_IN_A_ROW) {
            let _ = fs::remove_dir_all(&tools.root);
            fs::create_dir_all(&data).expect("a folder");
            (disk, promised) = (DiskImage::read(&tools.root), Promises::default());
        }
        let day = TODAY + 2 * (round % ROUNDS_IN_A_ROW) as i64 * DAYS_OF_RUN;
        let first = Run::record(&tools, day, disk, None, promised);
        cuts.check_images(&tools, &first, (&format!("round {round}"), day), &mut random);
        // The process is killed in the middle of a step, and loses nothing by that.
        let step = KILLED_AFTER[round % KILLED_AFTER.len()];
        let moment = match step {
            Some(step) => first.moment_after(step, false, false, &mut random),
            None => first.moment_of_a_name(&mut random),
        };
        let (mut killed, promised_at_kill) = first.at(moment);
        killed.kill();
        fs::remove_dir_all(&data).expect("removed");
        killed.cut(&data, &data, &first.recording, &mut |_, all| all);
        let (what, day) = (format!("round {round}, killed at {moment} after {step:?}"), day + DAYS_OF_RUN);
        let second = Run::record(&tools, day, killed, Some(&first.recording), promised_at_kill);
        let (left, left_promised) = cuts.check_images(&tools, &second, (&what, day), &mut random);
        // The next round starts from the last image of this one, as the cut left it.
        fs::remove_dir_all(&tools.root).expect("removed");
        left.cut(&tools.image(), &data, &second.recording, &mut |_, all| all);
        (disk, promised) = (DiskImage::read(&tools.root), left_promised);
    }
    cuts.check_coverage();
}

/// What was checked.
#[derive(Default)]
struct Cuts {
    images: usize,
    /// Erasures that had begun before the power failed, and that the start after it has finished.
    finished: usize,
    /// Images in which the last step of an erasure is this one.
    after: BTreeMap<Step, usize>,
}

impl Cuts {
    /// Checks images of a run, one for each step, of right after it or of before the next step, and one of the start. Returns the last image, as the cut
    /// left it, and what was promised by then.
    fn check_images(
        &mut self,
        tools: &Tools<'_>,
        run: &Run,
        (what, day): (&str, i64),
        random: &mut StdRng,
    ) -> (DiskImage, Promises) {
        let (from, image, mut left) = (tools.root.join("data"), tools.image(), DiskImage::default());
        let mut promises = Promises::default();
        for number in 0..IMAGES {
            let step = Step::ALL.get(number).copied();
            let moment = match step {
                // The last step is also taken at the end, when everything was closed.
                Some(Step::Removed) if random.random() => run.recording.operations.len(),
                Some(step) => run.moment_after(step, random.random(), random.random(), random),
                None => random.random_range(0..run.notes[0].0),
            };
            let (disk, promised) = run.at(moment);
            let loses_all = random.random();
            disk.cut(&from, &image, &run.recording, &mut |durable, all| {
                if loses_all { durable } else { random_survival(durable, all, random) }
            });
            if number + 1 == IMAGES {
                left = DiskImage::read(&image);
            }
            promises = promised;
            let of = run.recording.operations.len();
            let loss = if loses_all { "everything" } else { "some" };
            let what = format!("{what}: cut at {moment} of {of} after {step:?}, {loss} of what was not synced lost");
            let checked = Image { what: &what, data: &image, promises: &promises, day: day + DAYS_OF_RUN };
            self.finished += checked.check(self.images.is_multiple_of(STARTED_AGAIN));
            self.images += 1;
            if let Some(step) = step {
                assert!(promises.has_come_to(step), "{what}: no erasure has come to that step");
                *self.after.entry(step).or_default() += 1;
            }
            fs::remove_dir_all(&image).expect("removed");
        }
        (left, promises)
    }

    /// Asserts that cuts came after each step, and that there was something left to do.
    fn check_coverage(&self) {
        let Self { images, finished, after } = self;
        #[expect(clippy::print_stderr, reason = "figures are for people")]
        {
            eprintln!("{images} images, {finished} erasures that were finished after the cut; by last step: {after:?}");
        }
        assert!(Step::ALL.iter().all(|step| after.contains_key(step)), "{after:?}");
        assert!(*finished > 0, "no erasure was cut off");
    }
}
