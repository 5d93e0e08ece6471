//! Operations of the store, on a temporary directory: frames, a checkpoint, loads.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::id::UserId;
use domain::port::clock::Entropy;
use domain::port::journal::{Journal, Record};
use domain::port::log::{EventLog, LogPosition};
use domain::port::memory::{CommittedState, CommittedStates};
use domain::record::{Hydration, Replay, pack};
use domain::rules::Rules;
use domain::splitmix64::mix;
use store::{MasterKey, Store, StoreOptions};

use super::chain::{advance, context};
use super::meter::{Meter, measure};
use super::people::Person;

/// Number of loads of each user.
const LOADS: usize = 4;

/// Bytes that look random and are the same in each run.
#[derive(Default)]
struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = mix(self.0.fetch_add(1, Ordering::Relaxed));
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Counts the operations. Returns the bytes of each frame that an update has made.
///
/// # Errors
/// The temporary directory could not be used.
pub(crate) fn count(meter: &mut dyn Meter, people: &[Person], rules: &Rules) -> io::Result<Vec<u64>> {
    let directory = tempfile::tempdir()?;
    let mut store = open(directory.path())?;
    let Records { earlier, updates, leaf_updates, .. } = records(people, rules);
    for group in earlier {
        append(&mut *store.journal, &group);
    }
    let before = store.log.end();
    append_counted(meter, "frames, many in a group", &mut *store.journal, &updates);
    let frames = read_log(meter, &*store.log, before);
    let alone: Vec<Vec<Record>> = leaf_updates.into_iter().flatten().map(|record| vec![record]).collect();
    append_counted(meter, "frame, alone in its group", &mut *store.journal, &alone);

    meter.start();
    store.closer.checkpoint().map_err(io::Error::other)?;
    meter.stop("checkpoint of a user", people.len());
    let mut users: Vec<UserId> = (0..LOADS).flat_map(|_| people).map(|person| person.user).collect();
    measure(meter, "load of a user", &mut users, |user| {
        let mut hydration = Hydration::default();
        let sequence = store.reader.load(user, &mut hydration);
        assert!(matches!(sequence, Ok(Some(_))), "the user is stored");
        hydration.take_state()
    });
    store.closer.close().map_err(io::Error::other)?;
    count_from_memory(meter, people, rules)?;
    Ok(frames)
}

/// Counts a checkpoint of the same frames while memory holds the state of every user.
fn count_from_memory(meter: &mut dyn Meter, people: &[Person], rules: &Rules) -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut store = open(directory.path())?;
    let Records { earlier, updates, leaf_updates, states } = records(people, rules);
    for group in [earlier, updates, leaf_updates].into_iter().flatten() {
        append(&mut *store.journal, &group);
    }
    store.closer.use_committed_states(Arc::new(Memory(states)));
    meter.start();
    store.closer.checkpoint().map_err(io::Error::other)?;
    meter.stop("checkpoint of a user in memory", people.len());
    store.closer.close().map_err(io::Error::other)
}

/// The states that memory holds.
struct Memory(BTreeMap<UserId, CommittedState>);

impl CommittedStates for Memory {
    fn committed(&self, user: &UserId) -> Option<CommittedState> {
        self.0.get(user).cloned()
    }
}

fn open(directory: &std::path::Path) -> io::Result<Store> {
    let options = StoreOptions {
        checkpoint_interval: std::time::Duration::from_secs(86_400),
        checkpoint_users_per_second: 0,
        dictionaries: data::STATE_DICTIONARIES.map(<[u8]>::to_vec).to_vec(),
        ..StoreOptions::new(directory)
    };
    let entropy = Arc::new(CountingEntropy::default());
    store::open(options, &MasterKey::new(1, [1; 32]), Arc::new(Replay), entropy).map_err(io::Error::other)
}

/// The records of all people, in groups of one record of each user.
struct Records {
    earlier: Vec<Vec<Record>>,
    updates: Vec<Vec<Record>>,
    leaf_updates: Vec<Vec<Record>>,
    /// The state of each user after them.
    states: BTreeMap<UserId, CommittedState>,
}

fn records(people: &[Person], rules: &Rules) -> Records {
    let context = context(rules);
    let mut states = BTreeMap::new();
    let mut groups: [BTreeMap<usize, Vec<Record>>; 3] = Default::default();
    for person in people {
        let mut state = None;
        for (groups, events) in groups.iter_mut().zip([&person.earlier, &person.updates, &person.leaf_updates]) {
            for (n, event) in events.iter().enumerate() {
                let finished = advance(&mut state, event, &context);
                groups.entry(n).or_default().extend(finished.map(|finished| finished.record));
            }
        }
        states.extend(state.map(|state| {
            let (generation, sequence, packed) = (state.generation, state.sequence, pack(&state));
            (person.user, CommittedState { generation, sequence, packed })
        }));
    }
    let [earlier, updates, leaf_updates] = groups.map(|groups| groups.into_values().collect());
    Records { earlier, updates, leaf_updates, states }
}

fn append(journal: &mut dyn Journal, group: &[Record]) {
    let results = journal.append(group).unwrap_or_else(|error| panic!("{error}"));
    assert!(results.iter().all(Result::is_ok), "the records continue their users' frames");
}

fn append_counted(meter: &mut dyn Meter, name: &str, journal: &mut dyn Journal, groups: &[Vec<Record>]) {
    meter.start();
    for group in groups {
        append(journal, group);
    }
    meter.stop(name, groups.iter().map(Vec::len).sum());
}

/// Reads the frames from a position on, as a follower does, and returns the bytes of each.
fn read_log(meter: &mut dyn Meter, log: &dyn EventLog, from: LogPosition) -> Vec<u64> {
    meter.start();
    let batch = log.read(from, log.end(), usize::MAX).unwrap_or_else(|error| panic!("{error}"));
    meter.stop("read of a frame", batch.entries.len());
    batch.entries.iter().map(|entry| entry.next.0 - entry.at.0).collect()
}
