//! Ports that do almost nothing, so that only the live state is measured.

use std::sync::Arc;

use actors::Ports;
use arc_swap::ArcSwap;
use data::{GeneratedEvent, Population, PopulationOptions};
use domain::access::{AccessRules, Policy, ViewerRules};
use domain::event::FeedEvent;
use domain::id::UserId;
use domain::pipeline::validate::validate;
use domain::port::clock::{Clock, Entropy};
use domain::port::journal::{AppendResult, Journal, JournalError, Record, RowId};
use domain::port::log::{EventLog, LogBatch, LogError, LogPosition, NewestRecord};
use domain::port::projection::NothingStored;
use domain::port::store::{LoadVisitor, LoadedUser, ProfileStore, StoreError};
use domain::rules::Rules;
use domain::source::Source;
use domain::splitmix64::mix;
use jiff::tz::TimeZone;

/// The time that the clock shows: just after the newest event of the population.
pub(crate) const NOW: i64 = 1_769_000_000_000_000;

/// A clock that stands still, constant entropy, and an empty store and log.
struct FixedPorts;

impl Clock for FixedPorts {
    fn now_micros(&self) -> i64 {
        NOW
    }
}

impl Entropy for FixedPorts {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// Accepts every record and keeps none, but the rows of the users by a hash of their ids: so it takes little beside what is
/// measured.
#[derive(Default)]
struct FixedJournal(Vec<(u64, RowId)>);

impl FixedJournal {
    fn row(&mut self, user: &UserId) -> RowId {
        let hash = user.as_str().as_bytes().chunks(8).fold(0, |hash, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            mix(hash ^ u64::from_le_bytes(word))
        });
        match self.0.binary_search_by_key(&hash, |(known, _)| *known) {
            Ok(place) => self.0[place].1,
            Err(place) => {
                let row = RowId(self.0.len() as u32);
                self.0.insert(place, (hash, row));
                row
            }
        }
    }
}

impl Journal for FixedJournal {
    fn append(&mut self, group: &[Record]) -> Result<Vec<AppendResult>, JournalError> {
        Ok(group.iter().map(|record| Ok(self.row(&record.user))).collect())
    }
}

impl ProfileStore for FixedPorts {
    fn load(&self, _: &UserId, _: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
        Ok(None)
    }

    fn load_history(&self, _: &UserId, _: u64, _: &mut dyn LoadVisitor) -> Result<Option<LoadedUser>, StoreError> {
        Ok(None)
    }
}

impl EventLog for FixedPorts {
    fn end(&self) -> LogPosition {
        LogPosition(0)
    }

    fn oldest(&self) -> LogPosition {
        LogPosition(0)
    }

    fn read(&self, from: LogPosition, _: LogPosition, _: usize) -> Result<LogBatch, LogError> {
        Ok(LogBatch { next: from, ..LogBatch::default() })
    }

    fn newest(&self, _: &UserId) -> Result<NewestRecord, StoreError> {
        Ok(NewestRecord::default())
    }
}

pub(crate) fn rules() -> Rules {
    let districts = data::states().iter().map(|state| {
        let slugs = data::districts(state.slug).unwrap_or_default().iter().map(|slug| (*slug).to_owned());
        (state.slug.to_owned(), slugs.collect())
    });
    Rules {
        zone: TimeZone::get("Asia/Kolkata").unwrap_or(TimeZone::UTC),
        districts: districts.collect(),
        not_applicable: Vec::new(),
        schemes_waiting: Default::default(),
        limits: Default::default(),
    }
}

pub(crate) fn ports() -> Ports {
    let all = ViewerRules { minimal: vec!["*".to_owned()], ..ViewerRules::default() };
    let access = AccessRules { self_citizen: all, ..AccessRules::default() };
    let policy = Policy::compile(&access).unwrap_or_else(|error| panic!("{error}"));
    Ports {
        journal: Box::new(FixedJournal::default()),
        store: Arc::new(FixedPorts),
        projections: Arc::new(NothingStored),
        log: Arc::new(FixedPorts),
        clock: Arc::new(FixedPorts),
        entropy: Arc::new(FixedPorts),
        rules: Arc::new(rules()),
        policy: Arc::new(ArcSwap::from_pointee(policy)),
    }
}

pub(crate) fn population(users: u64) -> Population {
    Population::new(PopulationOptions { users, ..PopulationOptions::default() })
}

/// Returns the event as the server submits it after validation.
pub(crate) fn accept(event: &GeneratedEvent, rules: &Rules) -> FeedEvent {
    let source = Source::parse(event.source).unwrap_or_else(|| panic!("unknown source `{}`", event.source));
    validate(&event.json, source, rules, NOW).unwrap_or_else(|rejection| panic!("{}", rejection.detail()))
}
