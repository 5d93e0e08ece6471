//! Trains the compression dictionary of stored states and histories, on the sample population only, never on people.
//!
//! `cargo run --release -p data --example train_dictionary` writes `data/dictionary/state-1.zdict`. What was compressed
//! with a dictionary can be read with the same one only: a better one gets the next number, beside this.

#![expect(clippy::print_stdout, reason = "it says what it made")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use data::sample::{Options, Sample};
use domain::day::Day;
use domain::id::ProfileId;
use domain::pipeline::validate::validate;
use domain::pipeline::{Birth, Context, Outcome, apply};
use domain::port::store::Fold;
use domain::record::{Replay, pack};
use domain::rules::{Limits, Rules};
use domain::source::Source;
use domain::state::UserState;

const USERS: u64 = 4000;
const UPDATES: u64 = 6;
const DICTIONARY_BYTES: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options { users: USERS, seed: 20_260_101, ..Options::default() };
    let (now, sample) = (options.base_time, Sample::new(options));
    let districts = data::states().iter().map(|state| {
        let districts = data::districts(state.slug).unwrap_or_default();
        (state.slug.to_string(), districts.iter().map(ToString::to_string).collect())
    });
    let rules = Rules {
        zone: jiff::tz::TimeZone::get("Asia/Kolkata")?,
        districts: districts.collect::<BTreeMap<_, _>>(),
        not_applicable: Vec::new(),
        limits: Limits::default(),
    };
    let context = Context {
        rules: &rules,
        rules_fingerprint: rules.fingerprint(),
        policy_version: 1,
        day: Day::at(now, &rules.zone),
    };
    let mut bodies = Vec::new();
    for user in 0..USERS {
        let mut events = sample.first_events(user);
        events.extend((0..user % UPDATES).map(|n| sample.update(user, n)));
        let mut state: Option<Arc<UserState>> = None;
        let mut frames = Vec::new();
        for event in events {
            let source = Source::parse(event.source).ok_or("a source that is none")?;
            let event = validate(&event.json, source, &rules, now).map_err(|rejection| format!("{rejection:?}"))?;
            // Random parts differ from user to user, so that the dictionary does not learn them.
            let id = (u128::from(user) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes();
            let birth = || Birth { profile_id: ProfileId::from_random(id), integrity_key: id };
            if let Outcome::Changed(change) = apply(state.as_ref(), birth, &event, &context) {
                let finished = change.finish(&event.user, now, 900);
                frames.push(finished.body);
                state = Some(finished.state);
            }
        }
        bodies.extend(state.map(|state| pack(&state)));
        bodies.push(Replay.fold(None, None, &frames)?.tail);
    }
    let dictionary = zstd::dict::from_samples(&bodies, DICTIONARY_BYTES)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionary/state-1.zdict");
    std::fs::write(&path, &dictionary)?;
    let mut compressor = zstd::bulk::Compressor::with_dictionary(1, &dictionary)?;
    let total: usize = bodies.iter().map(Vec::len).sum();
    let mut packed = 0;
    for body in &bodies {
        packed += compressor.compress(body)?.len();
    }
    let count = bodies.len();
    println!(
        "{count} bodies, mean {} bytes, {} with the dictionary of {} bytes",
        total / count,
        packed / count,
        dictionary.len()
    );
    Ok(())
}
