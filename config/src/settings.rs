//! The resolved settings, with types and checked ranges, for the crates that use them.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::Value;

use crate::hide::shown;
use crate::keys::Keys;
use crate::sections::{
    Actors, AuditSettings, Auth, Cache, Checkpoint, Commit, DeadLetterSettings, Events, ExportSettings,
    HistorySettings, Http, JournalSettings, KeySettings, Live, Log, ProfileLimits, StoreSettings, Time,
};

/// Whether conveniences that weaken security are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The local HS256 key signs tokens, and the clock may be fixed.
    Development,
    /// Neither is allowed.
    Production,
}

/// All settings of the server. The field names are the keys of `default.toml` without units, which are in the types.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Development or production. `auto` has been resolved.
    pub mode: Mode,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Address of the API.
    pub listen: SocketAddr,
    /// Address of metrics and administration.
    pub admin_listen: SocketAddr,
    /// Whether listeners may have addresses other than loopback, without TLS.
    pub insecure: bool,
    /// The section `[http]`.
    pub http: Http,
    /// The section `[time]`.
    pub time: Time,
    /// The section `[actors]`.
    pub actors: Actors,
    /// The section `[commit]`.
    pub commit: Commit,
    /// The section `[journal]`.
    pub journal: JournalSettings,
    /// The section `[checkpoint]`.
    pub checkpoint: Checkpoint,
    /// The section `[store]`.
    pub store: StoreSettings,
    /// The section `[history]`.
    pub history: HistorySettings,
    /// The section `[cache]`.
    pub cache: Cache,
    /// The section `[profile]`.
    pub profile: ProfileLimits,
    /// The section `[auth]`.
    pub auth: Auth,
    /// The section `[live]`.
    pub live: Live,
    /// The section `[events]`.
    pub events: Events,
    /// The section `[log]`.
    pub log: Log,
    /// The section `[dead_letters]`.
    pub dead_letters: DeadLetterSettings,
    /// The section `[audit]`.
    pub audit: AuditSettings,
    /// The section `[export]`.
    pub export: ExportSettings,
    /// The section `[keys]`.
    pub keys: KeySettings,
    pub(crate) given: Keys,
}

impl Settings {
    /// Returns a line for each setting with its value and origin, in the order of names. Secrets are hidden.
    #[must_use]
    pub fn print(&self) -> String {
        let mut lines = String::new();
        for (key, given) in self.given.iter() {
            let value = match &given.value {
                Value::String(_) => format!("{:?}", shown(key, &given.value)),
                other => shown(key, other),
            };
            let note = given.note.as_ref().map_or(String::new(), |note| format!(", {note}"));
            lines.push_str(&format!("{key} = {value}  # {}{note}\n", given.origin));
        }
        lines
    }
}
