//! How many bytes of history a citizen has after a month, and how many of them are left when the month is old.
//!
//! `cargo run --release -p data --example history_month` has a generated population live for 30 days: 25 events for each
//! person, and a read every day, so that each day that changes something makes a revision. It prints the bytes that side
//! records take in the store, with compression, encryption, headers and keys.

#![expect(clippy::print_stdout, reason = "it prints its figures")]

mod rules;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use data::{Population, PopulationOptions};
use domain::day::Day;
use domain::id::{ProfileId, UserId};
use domain::pipeline::validate::validate;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, RollOutcome, apply, roll};
use domain::port::journal::Record;
use domain::port::retention::{HistoryRetention, SideRecords};
use domain::port::store::{Fold, SideChanges, SideKey, SideKind, SideRecord, StoreError};
use domain::record::{Replay, ThinHistory, pack};
use domain::rules::Rules;
use domain::snapshot::SnapshotPeriods;
use domain::source::Source;
use domain::state::UserState;

use rules::rules;

const USERS: u64 = 1_000;
const EVENTS_PER_USER: u64 = 25;
const DAYS: u32 = 30;
const DAY: i64 = 86_400_000_000;
const PERIODS: SnapshotPeriods = SnapshotPeriods { revisions: 30 * DAY, requested: 30 * DAY, daily: 365 * DAY };
/// Header of a record, tag of its seal, and the key in sled.
const OVERHEAD: usize = 44 + 16 + 27;
/// Bytes of a value in sled, and of the key of each further one.
const VALUE: (usize, usize) = (4_000, 27);

/// The side records of one person.
#[derive(Default)]
struct Side(BTreeMap<SideKey, Vec<u8>>);

impl SideRecords for Side {
    fn keys(&self, kind: SideKind) -> Result<Vec<SideKey>, StoreError> {
        Ok(self.0.keys().filter(|key| key.kind == kind).copied().collect())
    }

    fn read(&self, key: SideKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(&key).cloned())
    }
}

impl Side {
    /// Folds the records of a day, as a checkpoint does.
    fn fold(&mut self, state: &UserState, records: &mut Vec<Record>) -> Result<(), StoreError> {
        let newest = |kind| self.0.keys().rfind(|key| key.kind == kind).copied();
        let (block, base) = (newest(SideKind::HISTORY), newest(SideKind::BASE));
        let is_open = |block: &SideKey| base.is_none_or(|base| base.number <= block.number);
        let block = block.filter(is_open).map(|key| SideRecord { key, body: self.0[&key].clone() });
        self.apply(Replay.keep_history(&pack(state), block, records)?);
        records.clear();
        Ok(())
    }

    fn apply(&mut self, SideChanges { put, remove }: SideChanges) {
        remove.iter().for_each(|key| drop(self.0.remove(key)));
        self.0.extend(put.into_iter().map(|SideRecord { key, body }| (key, body)));
    }

    /// Returns the bytes that they take in the store.
    fn stored_bytes(&self, compressor: &mut zstd::bulk::Compressor<'_>) -> Result<usize, Box<dyn Error>> {
        let mut bytes = 0;
        for (key, body) in &self.0 {
            let length = if key.kind == SideKind::BASE { body.len() } else { compressor.compress(body)?.len() };
            bytes += length + OVERHEAD + length / VALUE.0 * VALUE.1;
        }
        Ok(bytes)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = PopulationOptions { users: USERS, days: DAYS, ..PopulationOptions::default() };
    let (end, population) = (options.base_time, Population::new(options));
    let (rules, mut compressor) = (rules()?, zstd::bulk::Compressor::with_dictionary(1, data::STATE_DICTIONARY)?);
    let retention = ThinHistory { zone: rules.zone.clone(), periods: PERIODS };
    let (mut month, mut thinned, mut revisions) = (Vec::new(), Vec::new(), 0);
    for index in 0..USERS {
        let mut side = Side::default();
        let Some(state) = live(&population, index, &rules, end, &mut side)? else { continue };
        revisions += state.envelope.revision;
        month.push(side.stored_bytes(&mut compressor)?);
        // A month later, all but one revision of each day can go.
        side.apply(retention.thin(&side, end + 31 * DAY)?);
        thinned.push(side.stored_bytes(&mut compressor)?);
    }
    println!("{} people, {} revisions each in {DAYS} days", month.len(), revisions / month.len() as u64);
    print("history of the month", month);
    print("what is left of it a month later", thinned);
    Ok(())
}

fn print(what: &str, mut bytes: Vec<usize>) {
    bytes.sort_unstable();
    let mean = bytes.iter().sum::<usize>() / bytes.len();
    let (p99, most) = (bytes[bytes.len() * 99 / 100], bytes[bytes.len() - 1]);
    println!("{what}: mean {mean} bytes, 99 % within {p99}, most {most}");
}

/// Has a person live until `end`, with a checkpoint each day. Returns the state at the end.
fn live(
    population: &Population,
    index: u64,
    rules: &Rules,
    end: i64,
    side: &mut Side,
) -> Result<Option<Arc<UserState>>, Box<dyn Error>> {
    let user = UserId::parse(&population.user_id(index))?;
    let (mut state, mut records): (Option<Arc<UserState>>, Vec<Record>) = Default::default();
    let mut context = AssemblyContext {
        rules,
        rules_fingerprint: rules.fingerprint(),
        policy_version: 1,
        day: Day::at(end - i64::from(DAYS) * DAY, &rules.zone),
    };
    let arrivals = population.traffic(EVENTS_PER_USER * USERS).of_person(index);
    let mut arrivals = arrivals.into_iter().peekable();
    for day in context.day.0..=Day::at(end, &rules.zone).0 {
        let next = Day(day + 1).start(&rules.zone);
        context.day = Day(day);
        if let Some(before) = &state {
            match roll(before, &context) {
                RollOutcome::Same(same) => state = Some(same),
                RollOutcome::Changed(change) => {
                    let finished = change.finish(&user, Day(day).start(&rules.zone), 300);
                    records.push(finished.record);
                    state = Some(finished.state);
                }
            }
        }
        while let Some(arrival) = arrivals.next_if(|arrival| arrival.at < next) {
            let source = Source::parse(arrival.event.source).ok_or("a source that is none")?;
            let event = validate(&arrival.event.json, source, rules, arrival.at);
            let event = event.map_err(|rejection| format!("{rejection:?}"))?;
            let id = (u128::from(index) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes();
            let new_user = || NewUser { profile_id: ProfileId::from_random(id), integrity_key: id };
            if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
                let finished = change.finish(&user, arrival.at, 900);
                records.push(finished.record);
                state = Some(finished.state);
            }
        }
        if let Some(state) = &state {
            side.fold(state, &mut records)?;
        }
    }
    Ok(state)
}
