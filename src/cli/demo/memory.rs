//! What a demo remembers of its first start: the same population must come out again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use data::{Population, PopulationOptions};
use serde::{Deserialize, Serialize};

use crate::wiring;

const FILE_NAME: &str = "demo.json";
/// How many citizens there are where nobody says.
const USERS: u64 = 2_000;
/// Over how many days their past lies.
const DAYS: u32 = 30;
const SEED: u64 = 1;

/// The file's content, and where it lies.
pub(super) struct Memory {
    path: PathBuf,
    kept: Kept,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    users: u64,
    seed: u64,
    days: u32,
    /// The time of the first start, in microseconds since the Unix epoch: until then their past goes.
    base_time: i64,
    progress: Progress,
    /// The events that followed their past.
    #[serde(default)]
    turns: Turns,
}

/// How many events of the trickle were posted. The next start goes on from there, so that nobody's story begins anew.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Turns {
    /// About everybody, in turn.
    pub(super) everybody: u64,
    /// About the citizen to show.
    pub(super) hero: u64,
}

/// How far the first start came.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Progress {
    /// Nobody is there yet.
    Planned,
    /// Something was posted, perhaps.
    Begun,
    /// Everything was posted.
    Complete,
}

impl Memory {
    /// What is remembered in `data_dir`, or a new beginning.
    ///
    /// # Errors
    /// Another number of citizens is there already, or data that is no demo's, or the file cannot be read or written.
    pub(super) fn of(data_dir: &Path, users: Option<u64>) -> anyhow::Result<Self> {
        let path = data_dir.join(FILE_NAME);
        let kept: Kept = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("`{}` is not a demo's: choose another --data-dir", path.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Self::begin(path, data_dir, users),
            Err(error) => return Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
        };
        if let Some(users) = users.filter(|users| *users != kept.users) {
            if kept.progress == Progress::Planned {
                return Self::remember(path, Some(users));
            }
            let there = kept.users;
            bail!(
                "`{}` has {there} citizens, not {users}: leave --users out, or choose another --data-dir",
                data_dir.display()
            );
        }
        Ok(Self { path, kept })
    }

    /// A new beginning, remembered before the server makes its own files.
    fn begin(path: PathBuf, data_dir: &Path, users: Option<u64>) -> anyhow::Result<Self> {
        if data_dir.join("journal").exists() {
            bail!("`{}` holds data that is no demo's: choose another --data-dir, or remove it", data_dir.display());
        }
        Self::remember(path, users)
    }

    fn remember(path: PathBuf, users: Option<u64>) -> anyhow::Result<Self> {
        let (users, base_time) = (users.unwrap_or(USERS), wiring::wall_clock().now_micros());
        let kept =
            Kept { users, seed: SEED, days: DAYS, base_time, progress: Progress::Planned, turns: Turns::default() };
        let memory = Self { path, kept };
        memory.write()?;
        Ok(memory)
    }

    pub(super) fn population(&self) -> Population {
        let Kept { users, seed, days, base_time, .. } = self.kept;
        Population::new(PopulationOptions { users, seed, base_time, days })
    }

    /// Whether everything was posted at an earlier start.
    pub(super) fn is_complete(&self) -> bool {
        self.kept.progress == Progress::Complete
    }

    /// Remembers how far this start has come.
    pub(super) fn reach(&mut self, progress: Progress) -> anyhow::Result<()> {
        self.kept.progress = progress;
        self.write()
    }

    /// The events of the trickle that were posted so far.
    pub(super) fn turns(&self) -> Turns {
        self.kept.turns
    }

    /// Remembers how many events of the trickle were posted.
    pub(super) fn reach_turns(&mut self, turns: Turns) -> anyhow::Result<()> {
        if turns == self.kept.turns {
            return Ok(());
        }
        self.kept.turns = turns;
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let write = || {
            self.path.parent().map_or(Ok(()), fs::create_dir_all)?;
            // Whole, or as it was: half a file would be nobody's.
            let new = self.path.with_extension("json.new");
            fs::write(&new, serde_json::to_vec_pretty(&self.kept)?)?;
            fs::rename(&new, &self.path)
        };
        write().with_context(|| format!("`{}` cannot be written", self.path.display()))
    }
}
