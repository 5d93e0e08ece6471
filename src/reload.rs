//! The tables of the operator, which are read again when they change.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use config::{ACCESS_TOML, AccessTable, ConfigError, LIMITS_TOML, Watched};
use domain::access::{InvalidAccess, Policy};
use domain::limits::LimitRules;
use domain::port::audit::AuditError;
use tokio::sync::Mutex;

use crate::http::request::limits::Limits;
use crate::http::{ChangeOrigin, ConfigChanges};
use crate::start_error::StartError;

const ACCESS: &str = "access.toml";
const LIMITS: &str = "limits.toml";

/// Reads the access table and the rate limits again when their files have changed.
pub(crate) struct Reloader {
    profiles: actors::Profiles,
    policy: Arc<ArcSwap<Policy>>,
    limits: Arc<Limits>,
    changes: Arc<ConfigChanges>,
    files: Mutex<Files>,
}

struct Files {
    access: FollowedFile<AccessTable>,
    limits: FollowedFile<LimitRules>,
}

/// A file that is followed.
struct FollowedFile<T> {
    name: &'static str,
    /// What is in force without a file.
    embedded: &'static str,
    file: Watched<T>,
    /// Whether it was noted what was in force at the start.
    has_begun: bool,
    /// Why the file is not followed. It is reported once, and stays until the file changes.
    fault: Option<String>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileOutcome {
    /// What is in the file is in force.
    InForce,
    /// The file is not valid, for this reason; what was in force before still is.
    Refused(String),
}

/// Why a change of a file does not take effect.
enum Refusal {
    /// The table is not valid, or its file is gone.
    Table(StartError),
    /// The change cannot be recorded. It is tried again.
    NotRecorded(AuditError),
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::Table(error.into())
    }
}

impl From<InvalidAccess> for Refusal {
    fn from(error: InvalidAccess) -> Self {
        Self::Table(error.into())
    }
}

impl Reloader {
    /// Returns the reloader of the files in `data_dir`. The first call of [`Self::reload`] applies a change that came after
    /// the tables were loaded.
    pub(crate) fn new(
        data_dir: &Path,
        profiles: actors::Profiles,
        policy: Arc<ArcSwap<Policy>>,
        limits: Arc<Limits>,
        changes: Arc<ConfigChanges>,
    ) -> Self {
        let access = FollowedFile::new(ACCESS, ACCESS_TOML, AccessTable::watch(data_dir));
        let rules = FollowedFile::new(LIMITS, LIMITS_TOML, config::watch_limits(data_dir));
        Self { profiles, policy, limits, changes, files: Mutex::new(Files { access, limits: rules }) }
    }

    /// Applies changes of `access.toml` and `limits.toml`, each after it was recorded. If a table is not valid, that is
    /// logged and recorded once, and the one in use is kept. Returns what became of each file, by name.
    pub(crate) async fn reload(&self, origin: &ChangeOrigin) -> [(&'static str, FileOutcome); 2] {
        let mut files = self.files.lock().await;
        let Files { access, limits } = &mut *files;
        let take_access = |table: AccessTable| {
            let policy = Policy::compile(&table.rules)?;
            Ok(move || self.follow_policy(policy))
        };
        access.follow(&self.changes, origin, take_access).await;
        let take_limits = |rules| {
            Ok(move || {
                tracing::info!("the rate limits were read again");
                self.limits.follow(rules);
            })
        };
        limits.follow(&self.changes, origin, take_limits).await;
        [(ACCESS, access.outcome()), (LIMITS, limits.outcome())]
    }

    fn follow_policy(&self, policy: Policy) {
        let version = policy.version;
        // Users may be blocked meanwhile, which the new table must not undo.
        let before = self.policy.rcu(|before| policy.clone().with_blocked_of(before));
        if version != before.version {
            tracing::info!(version, "the access table has changed");
            self.profiles.follow_policy();
        }
    }
}

impl<T> FollowedFile<T> {
    fn new(name: &'static str, embedded: &'static str, file: Watched<T>) -> Self {
        Self { name, embedded, file, has_begun: false, fault: None }
    }

    fn outcome(&self) -> FileOutcome {
        self.fault.clone().map_or(FileOutcome::InForce, FileOutcome::Refused)
    }

    /// Puts the table in force if the file has changed. `check` checks it, and returns what puts it in force.
    async fn follow<F: FnOnce()>(
        &mut self,
        changes: &ConfigChanges,
        origin: &ChangeOrigin,
        check: impl FnOnce(T) -> Result<F, Refusal>,
    ) {
        match self.look(changes, origin, check).await {
            Ok(true) => self.fault = None,
            Ok(false) => {}
            Err(Refusal::Table(error)) => {
                tracing::error!(%error, "`{}` is not valid: the table in use is kept", self.name);
                self.fault = Some(error.to_string());
                changes.refuse(self.name, self.file.text().map(str::as_bytes), origin).await;
            }
            Err(Refusal::NotRecorded(error)) => {
                // Forgotten, so that the next look finds the change again.
                self.file.forget();
                let fault = format!("the change of `{}` could not be recorded: {error}", self.name);
                if self.fault.replace(fault.clone()).is_none_or(|known| known != fault) {
                    tracing::error!(%error, "a change of `{}` could not be recorded: the table in use is kept", self.name);
                }
            }
        }
    }

    /// Returns whether the file has changed.
    async fn look<F: FnOnce()>(
        &mut self,
        changes: &ConfigChanges,
        origin: &ChangeOrigin,
        check: impl FnOnce(T) -> Result<F, Refusal>,
    ) -> Result<bool, Refusal> {
        let table = self.file.look()?;
        let put_in_force = table.map(check).transpose()?;
        let text = self.file.text().unwrap_or(self.embedded).as_bytes();
        if !self.has_begun {
            changes.begin(self.name, text).await.map_err(Refusal::NotRecorded)?;
            (self.has_begun, self.fault) = (true, None);
        } else if put_in_force.is_some() {
            changes.announce(self.name, text, origin).await.map_err(Refusal::NotRecorded)?;
        }
        let Some(put_in_force) = put_in_force else { return Ok(false) };
        put_in_force();
        Ok(true)
    }
}
