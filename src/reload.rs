//! The tables of the operator, which are read again when they change.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use config::{AccessTable, Watched};
use domain::access::Policy;
use domain::limits::LimitRules;
use parking_lot::Mutex;

use crate::http::request::limits::Limits;
use crate::start_error::StartError;

/// Reads the access table and the rate limits again when their files have changed.
pub(crate) struct Reloader {
    profiles: actors::Profiles,
    policy: Arc<ArcSwap<Policy>>,
    limits: Arc<Limits>,
    files: Mutex<Files>,
}

struct Files {
    access: Watched<AccessTable>,
    limits: Watched<LimitRules>,
    /// Why the files are not followed, by name. A file's fault is reported once, and stays until the file changes.
    faults: [Option<String>; 2],
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileOutcome {
    /// What is in the file is in force.
    InForce,
    /// The file is not valid, for this reason; what was in force before still is.
    Refused(String),
}

impl Reloader {
    /// Returns the reloader of the files in `data_dir`. The first call of [`Self::reload`] applies a change that came after
    /// the tables were loaded.
    pub(crate) fn new(
        data_dir: &Path,
        profiles: actors::Profiles,
        policy: Arc<ArcSwap<Policy>>,
        limits: Arc<Limits>,
    ) -> Self {
        Self {
            profiles,
            policy,
            limits,
            files: Mutex::new(Files {
                access: AccessTable::watch(data_dir),
                limits: config::watch_limits(data_dir),
                faults: [None, None],
            }),
        }
    }

    /// Applies changes of `access.toml` and `limits.toml`. If a table is not valid, that is logged once and the one in use
    /// is kept. Returns what became of each file, by name.
    pub(crate) fn reload(&self) -> [(&'static str, FileOutcome); 2] {
        let mut files = self.files.lock();
        let Files { access, limits, faults } = &mut *files;
        note("access.toml", self.reload_access(access), &mut faults[0]);
        note("limits.toml", self.reload_limits(limits), &mut faults[1]);
        let outcome = |fault: &Option<String>| fault.clone().map_or(FileOutcome::InForce, FileOutcome::Refused);
        [("access.toml", outcome(&faults[0])), ("limits.toml", outcome(&faults[1]))]
    }

    /// Returns whether the file has changed.
    fn reload_access(&self, file: &mut Watched<AccessTable>) -> Result<bool, StartError> {
        let Some(table) = file.look()? else { return Ok(false) };
        let policy = Policy::compile(&table.rules)?;
        if policy.version != self.policy.load().version {
            tracing::info!(version = policy.version, "the access table has changed");
            self.policy.store(Arc::new(policy));
            self.profiles.follow_policy();
        }
        Ok(true)
    }

    fn reload_limits(&self, file: &mut Watched<LimitRules>) -> Result<bool, StartError> {
        let Some(rules) = file.look()? else { return Ok(false) };
        tracing::info!("the rate limits were read again");
        self.limits.follow(rules);
        Ok(true)
    }
}

/// Keeps the fault of a file until the file changes.
fn note(name: &str, outcome: Result<bool, StartError>, fault: &mut Option<String>) {
    match outcome {
        Ok(true) => *fault = None,
        Ok(false) => {}
        Err(error) => {
            tracing::error!(%error, "`{name}` is not valid: the table in use is kept");
            *fault = Some(error.to_string());
        }
    }
}
