//! Trains the compression dictionary of stored histories, on the generated population only, never on people.
//!
//! `cargo run --release -p data --example train_dictionary` writes the next `data/dictionary/state-N.zdict`, and prints
//! how well it compresses the data of other people, compared with the one before. Data can only be decompressed with
//! the dictionary that it was compressed with, so a better one is added to `STATE_DICTIONARIES`, and none is ever
//! changed.

#![expect(clippy::print_stdout, reason = "it says what it made")]

mod rules;

use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use data::{Population, PopulationOptions};
use domain::day::Day;
use domain::id::ProfileId;
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::port::store::{Fold, SideKind};
use domain::record::{Replay, pack};
use domain::source::Source;
use domain::state::UserState;

use rules::rules;

/// The people whose data it is trained on, and those whose data it is tested on.
const TRAINING: Range<u64> = 0..4_000;
const TRIAL: Range<u64> = 4_000..5_000;

/// Maximum number of changes of a person after the first events.
const UPDATES: u64 = 12;
const DICTIONARY_BYTES: usize = 64 * 1024;

/// Packed states, which are not compressed, and histories.
struct Bodies {
    states: Vec<Vec<u8>>,
    histories: Vec<Vec<u8>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let training = bodies(TRAINING)?;
    let all: Vec<&[u8]> = training.histories.iter().map(Vec::as_slice).collect();
    let dictionary = zstd::dict::from_samples(&all, DICTIONARY_BYTES)?;
    let name = format!("dictionary/state-{}.zdict", data::STATE_DICTIONARIES.len() + 1);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::write(&path, &dictionary)?;
    let trial = bodies(TRIAL)?;
    for (name, bodies) in [("states", &trial.states), ("histories", &trial.histories)] {
        println!(
            "{name}: mean {} bytes; compressed {} without a dictionary, {} with the one before, {} with the new one",
            bodies.iter().map(Vec::len).sum::<usize>() / bodies.len(),
            mean_compressed(bodies, &[])?,
            mean_compressed(bodies, data::STATE_DICTIONARY)?,
            mean_compressed(bodies, &dictionary)?,
        );
    }
    Ok(())
}

/// Returns the mean size of the bodies after compression at the level of the store.
fn mean_compressed(bodies: &[Vec<u8>], dictionary: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut compressor = zstd::bulk::Compressor::with_dictionary(1, dictionary)?;
    let mut bytes = 0;
    for body in bodies {
        bytes += compressor.compress(body)?.len();
    }
    Ok(bytes / bodies.len())
}

fn bodies(users: Range<u64>) -> Result<Bodies, Box<dyn Error>> {
    let options = PopulationOptions { users: users.end, seed: 20_260_101, ..PopulationOptions::default() };
    let (now, population) = (options.base_time, Population::new(options));
    let rules = rules()?;
    let context = AssemblyContext {
        rules: &rules,
        rules_fingerprint: rules.fingerprint(),
        policy_version: 1,
        day: Day::at(now, &rules.zone),
    };
    let mut bodies = Bodies { states: Vec::new(), histories: Vec::new() };
    for user in users {
        let mut events = population.first_events(user);
        events.extend((0..user % UPDATES).map(|n| population.update(user, n)));
        let mut state: Option<Arc<UserState>> = None;
        let mut frames = Vec::new();
        for event in events {
            let source = Source::parse(event.source).ok_or("a source that is none")?;
            let event = validate(&event.json, source, &rules, now).map_err(|rejection| format!("{rejection:?}"))?;
            // Random parts differ from user to user, so that the dictionary does not learn them.
            let id = (u128::from(user) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes();
            let new_user = || NewUser { profile_id: ProfileId::from_random(id), integrity_key: id };
            if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
                let finished = change.finish(&event.user, now, 900);
                frames.push(finished.record);
                state = Some(finished.state);
            }
        }
        let Some(state) = state.map(|state| pack(&state)) else { continue };
        let blocks = Replay.keep_history(&state, None, &frames)?.put.into_iter();
        bodies.histories.extend(blocks.filter(|record| record.key.kind == SideKind::HISTORY).map(|block| block.body));
        bodies.states.push(state);
    }
    Ok(bodies)
}
