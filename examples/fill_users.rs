//! Fills a data directory with users without a server, for load tests of more users than can be posted in a short time.
//!
//! ```text
//! cargo run --release --example fill_users -- DATA_DIR [USERS [PEOPLE]]
//! target/release/loadtest run --scenario warm --set 'data_dir="DATA_DIR"'
//! ```
//!
//! Each of USERS users (default 10,000,000) gets the records of one of PEOPLE people (default 1,000): those that the first
//! events of the person make, under the user's own id and key. They are appended and folded as in a server, but the events are
//! applied only once for each person. Event ids and profile ids therefore repeat.
//!
//! The order of the users in the store is written beside them, so that the load generator can read all of them once without
//! jumping over the disk. In a directory that is filled already, only that is done.
#![expect(clippy::print_stdout, reason = "it prints how far it is")]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use config::{Secrets, Settings, Sources};
use data::{Population, PopulationOptions};
use domain::day::Day;
use domain::id::{ProfileId, UserId};
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::port::clock::Entropy;
use domain::port::journal::{Journal, Record};
use domain::port::store::{Fold, SideChanges, SideRecord, StoreError};
use domain::record::{Replay, pack};
use domain::source::Source;
use domain::splitmix64;
use secrecy::ExposeSecret;
use store::{MasterKey, Store, StoreOptions, UserKey};

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Users of one group of appends, which becomes durable at once.
const GROUP: usize = 512;
/// Users between two checkpoints.
const CHECKPOINT: usize = 250_000;
/// The file by which the load generator knows how many users a kept data directory has.
const FILLED: &str = "loadtest.users";
/// The file by which it knows their order in the store: their indexes, 4 bytes each, little-endian.
const ORDER: &str = "loadtest.order";

struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has random bytes");
    }
}

/// What the first events of a person make.
struct Template {
    records: Vec<Record>,
    packed: Vec<u8>,
}

/// Folds the records of a template to its state without replaying them.
struct TemplateFold {
    /// The packed states by the body of the last record.
    states: HashMap<Vec<u8>, Vec<u8>>,
}

impl Fold for TemplateFold {
    fn replay(&self, state: Option<&[u8]>, frames: &[Record]) -> Result<Vec<u8>, StoreError> {
        let known = frames.last().and_then(|last| self.states.get(&last.body));
        known.map_or_else(|| Replay.replay(state, frames), |packed| Ok(packed.clone()))
    }

    fn keep_history(
        &self,
        state: &[u8],
        newest_block: Option<SideRecord>,
        frames: &[Record],
    ) -> Result<SideChanges, StoreError> {
        Replay.keep_history(state, newest_block, frames)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("usage: fill_users DATA_DIR [USERS [PEOPLE]]")?);
    let users: u64 = arguments.next().map_or(Ok(10_000_000), |users| users.parse::<u32>().map(u64::from))?;
    let people: u64 = arguments.next().map_or(Ok(1_000), |people| people.parse())?;
    let filled = fs::read_to_string(directory.join(FILLED)).ok();
    if directory.join("keyring").exists() && filled != Some(users.to_string()) {
        return Err("the data directory has other users already: give another one".into());
    }
    fs::create_dir_all(&directory)?;
    let sources = Sources::from_process().with("data_dir", directory.display(), "DATA_DIR");
    let settings = Settings::load(&sources)?;
    let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed()?.as_micros())?;
    let population = Population::new(PopulationOptions { users, base_time: now, ..PopulationOptions::default() });
    let (rules, policy) = (profile_server::rules(&settings)?, profile_server::load_policy(&settings)?);
    let context = AssemblyContext {
        rules: &rules,
        rules_fingerprint: rules.fingerprint(),
        policy_version: policy.version,
        day: Day::at(now, &rules.zone),
    };
    let templates: Vec<Template> = (0..people.clamp(1, users))
        .map(|person| template(&population, person, &context, now))
        .collect::<Result<_, _>>()?;
    let mut states = HashMap::new();
    for template in &templates {
        let body = template.records.last().ok_or("a person without events")?.body.clone();
        let before = states.insert(body, template.packed.clone());
        if before.is_some_and(|before| before != template.packed) {
            return Err("the last events of two people are the same".into());
        }
    }

    let mut randomness = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(io::Error::other);
    let (mode, keys) = (settings.mode, &settings.keys);
    let secrets = Secrets::load(&directory, mode, keys, &sources.environment, &mut randomness)?;
    let (number, key) = secrets.master_key.versions().next().ok_or("no master key")?;
    let master = MasterKey::new(number, *key.expose_secret());
    let options = StoreOptions {
        checkpoint_interval: Duration::from_secs(24 * 60 * 60),
        checkpoint_journal_bytes: u64::MAX / 4,
        checkpoint_users_per_second: 0,
        checkpoint_stop: Duration::from_secs(600),
        retain_journal_bytes: 0,
        sled_cache_bytes: 3 << 30,
        dictionaries: data::STATE_DICTIONARIES.iter().map(|dictionary| dictionary.to_vec()).collect(),
        ..StoreOptions::new(&directory)
    };
    let store = store::open(options, &master, Arc::new(TemplateFold { states }), Arc::new(OsEntropy))?;
    let Store { mut journal, closer, quarantine, .. } = store;
    let begin = Instant::now();
    // In the order of their keys in the store, so that a checkpoint writes neighbours behind those of the one before.
    let keyed = |index| Ok((quarantine.key_of(&UserId::parse(&population.user_id(index))?), index));
    let mut indexes: Vec<(UserKey, u64)> = (0..users).map(keyed).collect::<Result<_, domain::id::InvalidId>>()?;
    indexes.sort_unstable();
    let order: Vec<[u8; 4]> = indexes.iter().map(|(_, index)| (*index as u32).to_le_bytes()).collect();
    fs::write(directory.join(ORDER), order.as_flattened())?;
    let mut end = 0;
    for part in indexes.chunks(CHECKPOINT).filter(|_| filled.is_none()) {
        for group in part.chunks(GROUP) {
            append(&mut *journal, &population, &templates, group)?;
        }
        end += part.len();
        let appended = begin.elapsed();
        closer.checkpoint()?;
        let (appended, elapsed) = (appended.as_secs_f64(), begin.elapsed().as_secs_f64());
        println!("{end} users in {elapsed:.1} s, the last checkpoint in {:.1} s", elapsed - appended);
    }
    drop(journal);
    closer.close()?;
    fs::write(directory.join(FILLED), users.to_string())?;
    Ok(())
}

fn append(
    journal: &mut dyn Journal,
    population: &Population,
    templates: &[Template],
    users: &[(UserKey, u64)],
) -> Result<(), Box<dyn Error>> {
    let mut group = Vec::new();
    for (_, index) in users {
        let user = UserId::parse(&population.user_id(*index))?;
        let template = &templates[(index % templates.len() as u64) as usize];
        group.extend(template.records.iter().map(|record| Record { user, ..record.clone() }));
    }
    for result in journal.append(&group)? {
        result?;
    }
    Ok(())
}

/// Applies the first events of a person.
fn template(
    population: &Population,
    person: u64,
    context: &AssemblyContext<'_>,
    now: i64,
) -> Result<Template, Box<dyn Error>> {
    let user = UserId::parse(&population.user_id(person))?;
    let new_user = || {
        let halves = [splitmix64::mix(2 * person), splitmix64::mix(2 * person + 1)].map(u64::to_le_bytes);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(halves.as_flattened());
        NewUser { profile_id: ProfileId::from_random(bytes), integrity_key: bytes }
    };
    let (mut state, mut records) = (None, Vec::new());
    for event in population.first_events(person) {
        let source = Source::parse(event.source).ok_or("a source that is none")?;
        let event = validate(&event.json, source, context.rules, now).map_err(|rejection| format!("{rejection:?}"))?;
        if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, context) {
            let finished = change.finish(&user, now, 300);
            records.push(finished.record);
            state = Some(finished.state);
        }
    }
    let state = state.ok_or("a person without events")?;
    Ok(Template { records, packed: pack(&state) })
}
