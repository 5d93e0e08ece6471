//! The law of time: what is read of the past is what was published then, for any history, over checkpoints, stops and
//! crashes of the store.
//!
//! All histories are in one store, each of a citizen of its own. `LAW_SEED` and `LAW_CASES` choose them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use data::{Population, PopulationOptions};
use domain::id::UserId;
use domain::mask_class::MaskClass;
use domain::pipeline::{FinishedChange, serialize};
use domain::port::clock::Entropy;
use domain::port::journal::Record;
use domain::port::store::{LoadVisitor, StoreError};
use domain::record::{PastOutcome, PastSearch, PastTarget, Replay, RevisionList, pack};
use domain::splitmix64;
use domain::state::UserState;
use domain::table::LeafSet;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{MasterKey, Store, StoreOptions};

use crate::events::Case;
use crate::random::Random;
use crate::sentences;
use crate::subject::{Citizen, Domain};

/// The number of parts in which the histories come to the store.
const ROUNDS: usize = 6;
/// Records that are appended together.
const GROUP: usize = 256;

/// Different bytes with each call.
struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = splitmix64::next(&mut self.0.fetch_add(1, Ordering::Relaxed)).to_le_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}

/// A revision as it was published.
struct Published {
    revision: u64,
    generated_at: i64,
    changed: LeafSet,
    /// SHA-256 of the whole document.
    document: [u8; 32],
    /// SHA-256 of the packed state, with the documents that the revision was made with.
    state: [u8; 32],
}

impl Published {
    fn new(step: &FinishedChange) -> Option<Self> {
        let changed = step.delta.as_ref()?.changed();
        let envelope = step.state.envelope;
        let (revision, generated_at) = (envelope.revision, envelope.generated_at);
        let state = Sha256::digest(pack(&step.state)).into();
        Some(Self { revision, generated_at, changed, document: digest(&step.state), state })
    }
}

fn digest(state: &UserState) -> [u8; 32] {
    Sha256::digest(serialize::view(state, MaskClass::UNMASKED)).into()
}

/// A citizen, and what the store has of their history so far.
struct Recorded<'a> {
    seed: u64,
    user: UserId,
    citizen: Citizen<'a>,
    case: Case,
    applied: usize,
    published: Vec<Published>,
}

impl<'a> Recorded<'a> {
    fn new(seed: u64, number: usize, domain: &'a Domain) -> Self {
        let user = UserId::parse(&format!("usr_{number:012}")).expect("an id");
        let mut case = Case::small(seed);
        if seed.is_multiple_of(50) {
            // Long enough for several blocks and bases.
            case.events = (0..24).flat_map(|part| Case::small(splitmix64::next(&mut (seed ^ part))).events).collect();
        }
        for event in &mut case.events {
            event["subject"] = json!(user.as_str());
        }
        Self { seed, user, citizen: domain.recorded_citizen(user), case, applied: 0, published: Vec::new() }
    }

    /// Applies the events up to `end`, and returns the records.
    fn advance(&mut self, end: usize, domain: &Domain, random: &mut Random) -> Vec<Record> {
        let Self { citizen, case, .. } = self;
        for (place, event) in case.events.iter().enumerate().take(end).skip(self.applied) {
            citizen.now += i64::try_from(random.below(3)).expect("small") * 1_000;
            citizen.advance_to(case.days[place * case.days.len() / case.events.len()]);
            citizen.apply(&domain.accept(event));
        }
        self.applied = end;
        let steps = citizen.steps.as_mut().map(std::mem::take).expect("they are kept");
        self.published.extend(steps.iter().filter_map(Published::new));
        steps.into_iter().map(|step| step.record).collect()
    }

    /// Compares reads of some points with what was published, and the list of some revisions.
    fn check(&self, store: &Store, random: &mut Random) {
        let newest = self.published.len() as u64;
        if newest == 0 {
            return;
        }
        let seed = self.seed;
        let read = |target: PastTarget| {
            let mut search = PastSearch::new(target);
            store.reader.load_history(&self.user, target.since(), &mut search).expect("the store reads");
            search.finish()
        };
        let check = |target, expected: &Published| match read(target) {
            PastOutcome::Found(state) => {
                assert_eq!(state.envelope.revision, expected.revision, "{target:?} of LAW_SEED={seed}");
                assert_eq!(digest(&state), expected.document, "{target:?} of LAW_SEED={seed}");
            }
            other => panic!("{target:?} of LAW_SEED={seed}: {other:?}"),
        };
        for _ in 0..3 {
            let picked = &self.published[random.below(self.published.len())];
            check(PastTarget::Revision(picked.revision), picked);
            let PastOutcome::Found(made) = read(PastTarget::Made(picked.revision)) else {
                panic!("revision {} of LAW_SEED={seed}", picked.revision)
            };
            assert_eq!(<[u8; 32]>::from(Sha256::digest(pack(&made))), picked.state, "LAW_SEED={seed}");
            let instant = picked.generated_at + i64::try_from(random.below(1_500)).expect("small");
            let last = self.published.iter().rfind(|published| published.generated_at <= instant);
            check(PastTarget::AsOf(instant), last.expect("the picked one is before it"));
        }
        let before = PastTarget::AsOf(self.published[0].generated_at - 1);
        assert!(matches!(read(before), PastOutcome::BeforeFirst), "LAW_SEED={seed}");
        let beyond = PastTarget::Revision(newest + 1);
        assert!(matches!(read(beyond), PastOutcome::NotReached), "LAW_SEED={seed}");
        let first = 1 + random.below(self.published.len()) as u64;
        let mut list = RevisionList::new(first, newest, 30);
        store.reader.load_history(&self.user, first - 1, &mut list).expect("the store reads");
        let listed: Vec<_> = list.finish().iter().map(|entry| (entry.revision, entry.changed)).collect();
        let expected = self.published.iter().rev().map(|published| (published.revision, published.changed));
        let expected: Vec<_> = expected.take_while(|(revision, _)| *revision >= first).take(30).collect();
        assert_eq!(listed, expected, "LAW_SEED={seed}");
    }
}

fn open(dir: &std::path::Path, entropy: &Arc<CountingEntropy>) -> Store {
    let options = StoreOptions { checkpoint_interval: Duration::from_secs(3_600), ..StoreOptions::new(dir) };
    store::open(options, &MasterKey::new(1, [7; 32]), Arc::new(Replay), entropy.clone()).expect("the store opens")
}

/// Makes a last checkpoint, and closes all of the store.
fn close(store: Store) {
    store.closer.close().expect("the last checkpoint");
}

#[test]
fn time_travel_gives_what_was_published() {
    let fixture = sentences::fixture();
    let domain = Domain::new(&fixture);
    let seeds: Vec<u64> = crate::seeds(2_000).collect();
    let mut random = Random(seeds.first().copied().unwrap_or_default());
    let mut citizens: Vec<_> =
        seeds.iter().enumerate().map(|(number, seed)| Recorded::new(*seed, number, &domain)).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let entropy = Arc::new(CountingEntropy(AtomicU64::new(1)));
    let mut store = open(directory.path(), &entropy);
    for round in 1..=ROUNDS {
        let mut records = Vec::new();
        for citizen in &mut citizens {
            let most = citizen.case.events.len();
            let end = if round == ROUNDS { most } else { citizen.applied + random.below(most - citizen.applied + 1) };
            records.extend(citizen.advance(end, &domain, &mut random));
        }
        for group in records.chunks(GROUP) {
            let taken = store.journal.append(group).expect("taken");
            assert!(taken.iter().all(Result::is_ok), "in sequence");
        }
        if random.one_in(2) || round == 2 {
            store.closer.checkpoint().expect("a checkpoint");
        }
        if round.is_multiple_of(2) {
            // As in a crash, or after a last checkpoint.
            if random.one_in(2) {
                drop(store);
            } else {
                close(store);
            }
            store = open(directory.path(), &entropy);
        }
        let every = if round == ROUNDS { 1 } else { 10 };
        for citizen in citizens.iter().skip(round % every).step_by(every) {
            citizen.check(&store, &mut random);
        }
    }
}

/// Counts what a search reads.
struct CountedSearch {
    search: PastSearch,
    bases: usize,
    blocks: usize,
    block_bytes: usize,
}

impl CountedSearch {
    fn new(target: PastTarget) -> Self {
        Self { search: PastSearch::new(target), bases: 0, blocks: 0, block_bytes: 0 }
    }
}

impl LoadVisitor for CountedSearch {
    fn checkpoint(&mut self, state: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.search.checkpoint(state)
    }

    fn needs_history(&self) -> bool {
        self.search.needs_history()
    }

    fn base(&mut self, state: Vec<u8>) -> Result<bool, StoreError> {
        self.bases += 1;
        self.search.base(state)
    }

    fn block(&mut self, body: &[u8]) -> Result<(), StoreError> {
        self.blocks += 1;
        self.block_bytes += body.len();
        self.search.block(body)
    }

    fn frame(&mut self, record: &Record) -> Result<(), StoreError> {
        self.search.frame(record)
    }

    fn is_done(&self) -> bool {
        self.search.is_done()
    }
}

/// Returns the steps of a generated citizen with `revisions` revisions.
fn long_history(revisions: usize, domain: &Domain) -> (UserId, Vec<FinishedChange>) {
    let population = Population::new(PopulationOptions { users: 1, ..PopulationOptions::default() });
    let user = UserId::parse(&population.user_id(0)).expect("an id");
    let mut citizen = domain.recorded_citizen(user);
    citizen.advance_to(jiff::civil::date(2026, 1, 21));
    let updates = (0..).map(|number| population.update(0, number));
    for event in population.first_events(0).into_iter().chain(updates) {
        citizen.now += 1_000_000;
        let event = serde_json::from_slice(&event.json).expect("an event");
        citizen.apply(&domain.accept(&event));
        let steps = citizen.steps.as_ref().expect("they are kept");
        if steps.last().is_some_and(|step| step.state.envelope.revision as usize == revisions) {
            return (user, citizen.steps.take().expect("they are kept"));
        }
    }
    unreachable!("updates do not end")
}

#[test]
#[expect(clippy::print_stdout, reason = "figures are for people; shown with --nocapture")]
fn any_of_ten_thousand_revisions_is_found_in_a_few_reads() {
    const REVISIONS: usize = 10_000;
    /// Records between two checkpoints.
    const EVERY: usize = 40;
    let domain = Domain::new(&sentences::fixture());
    let (user, steps) = long_history(REVISIONS, &domain);
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(directory.path(), &Arc::new(CountingEntropy(AtomicU64::new(1))));
    for run in steps.chunks(EVERY) {
        let records: Vec<_> = run.iter().map(|step| step.record.clone()).collect();
        assert!(store.journal.append(&records).expect("taken").iter().all(Result::is_ok));
        store.closer.checkpoint().expect("a checkpoint");
    }
    let revisions: Vec<_> = steps.iter().filter(|step| step.delta.is_some()).collect();
    let (mut most, mut times) = ((0, 0, 0, 0), Vec::new());
    for step in revisions.iter().step_by(97).chain(revisions.last()) {
        let envelope = step.state.envelope;
        let revision = envelope.revision;
        for target in
            [PastTarget::Revision(revision), PastTarget::AsOf(envelope.generated_at + 1), PastTarget::Made(revision)]
        {
            let (mut counted, started) = (CountedSearch::new(target), Instant::now());
            store.reader.load_history(&user, target.since(), &mut counted).expect("the store reads");
            let CountedSearch { search, bases, blocks, block_bytes } = counted;
            let replayed = search.replayed();
            let PastOutcome::Found(state) = search.finish() else { panic!("{target:?} is there") };
            times.push(started.elapsed());
            assert_eq!(digest(&state), digest(&step.state), "{target:?}");
            most = (most.0.max(bases), most.1.max(blocks), most.2.max(block_bytes), most.3.max(replayed));
        }
    }
    let (bases, blocks, bytes, replayed) = most;
    times.sort_unstable();
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "at most {bases} bases, {blocks} blocks of {bytes} bytes, {replayed} records; a read took {median:?}, the slowest {slowest:?}"
    );
    // Halving some hundred bases, and then the records up to the next base, which comes after 16 KiB of them or four times the
    // bytes of the state, and with a checkpoint.
    assert!(bases <= 10 && blocks <= 3 && bytes <= 64 << 10 && replayed <= 400, "{most:?}");
}
