//! `demo.json`: what a demo saves at its first start, so that later starts make the same population again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use data::{Population, PopulationOptions};
use serde::{Deserialize, Serialize};

use crate::wiring;

const FILE_NAME: &str = "demo.json";
/// Default number of citizens.
const USERS: u64 = 2_000;
/// Number of days that the history covers.
const DAYS: u32 = 30;
const SEED: u64 = 1;

/// The saved state of a demo.
pub(super) struct DemoState {
    path: PathBuf,
    saved: SavedDemo,
}

/// The content of `demo.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedDemo {
    users: u64,
    seed: u64,
    days: u32,
    /// The time of the first start, at which the history ends, in microseconds since the Unix epoch.
    base_time: i64,
    progress: HistoryProgress,
    #[serde(default, rename = "turns")]
    new_events: NewEventCount,
}

/// The number of events that were posted after the history. The next start continues with the event after them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEventCount {
    /// Events about all citizens, round-robin.
    pub(super) everybody: u64,
    /// Events about the sample citizen alone.
    #[serde(rename = "hero")]
    pub(super) sample_citizen: u64,
}

/// How much of the history was posted.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum HistoryProgress {
    /// Nothing.
    Planned,
    /// Possibly some of it.
    Begun,
    /// All of it.
    Complete,
}

impl DemoState {
    /// Loads the state from `data_dir`, or plans a new demo there with `users` citizens.
    ///
    /// # Errors
    /// The demo there has another number of citizens, the directory holds the data of something else, or the file
    /// cannot be read or written.
    pub(super) fn load_or_plan(data_dir: &Path, users: Option<u64>) -> anyhow::Result<Self> {
        let path = data_dir.join(FILE_NAME);
        let saved: SavedDemo = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| {
                format!("`{}` was not written by a demo: choose another --data-dir", path.display())
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Self::plan_in_empty(path, data_dir, users),
            Err(error) => return Err(error).with_context(|| format!("could not read `{}`", path.display())),
        };
        if let Some(users) = users.filter(|users| *users != saved.users) {
            if saved.progress == HistoryProgress::Planned {
                return Self::plan(path, Some(users));
            }
            bail!(
                "`{}` has {} citizens, not {users}: omit --users, or choose another --data-dir",
                data_dir.display(),
                saved.users
            );
        }
        Ok(Self { path, saved })
    }

    fn plan_in_empty(path: PathBuf, data_dir: &Path, users: Option<u64>) -> anyhow::Result<Self> {
        if data_dir.join("journal").exists() {
            bail!(
                "`{}` holds data that is not from a demo: choose another --data-dir, or delete it",
                data_dir.display()
            );
        }
        Self::plan(path, users)
    }

    /// Saves a new plan. This comes before the server writes its own files to the directory.
    fn plan(path: PathBuf, users: Option<u64>) -> anyhow::Result<Self> {
        let state = Self {
            path,
            saved: SavedDemo {
                users: users.unwrap_or(USERS),
                seed: SEED,
                days: DAYS,
                base_time: wiring::wall_clock().now_micros(),
                progress: HistoryProgress::Planned,
                new_events: NewEventCount::default(),
            },
        };
        state.save()?;
        Ok(state)
    }

    /// Makes the population, which is the same at every start.
    pub(super) fn population(&self) -> Population {
        let SavedDemo { users, seed, days, base_time, .. } = self.saved;
        Population::new(PopulationOptions { users, seed, base_time, days })
    }

    /// Whether an earlier start posted the whole history.
    pub(super) fn is_complete(&self) -> bool {
        self.saved.progress == HistoryProgress::Complete
    }

    /// Saves how much of the history was posted.
    pub(super) fn set_progress(&mut self, progress: HistoryProgress) -> anyhow::Result<()> {
        self.saved.progress = progress;
        self.save()
    }

    /// The number of events that were posted after the history.
    pub(super) fn new_events(&self) -> NewEventCount {
        self.saved.new_events
    }

    /// Saves the number of events that were posted after the history.
    pub(super) fn set_new_events(&mut self, new_events: NewEventCount) -> anyhow::Result<()> {
        if new_events == self.saved.new_events {
            return Ok(());
        }
        self.saved.new_events = new_events;
        self.save()
    }

    /// Writes a new file and renames it, so that a crash leaves the old file or the new one.
    fn save(&self) -> anyhow::Result<()> {
        let write = || {
            self.path.parent().map_or(Ok(()), fs::create_dir_all)?;
            let new = self.path.with_extension("json.new");
            fs::write(&new, serde_json::to_vec_pretty(&self.saved)?)?;
            fs::rename(&new, &self.path)
        };
        write().with_context(|| format!("could not write `{}`", self.path.display()))
    }
}
