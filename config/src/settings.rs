//! The resolved settings, with types and checked ranges, for the crates that use them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;

use toml::Value;

use crate::hide::shown;
use crate::keys::Keys;
use crate::sections::{
    Actors, Auth, Cache, Checkpoint, Commit, DeadLetters, Events, Http, Journal, Live, Log, ProfileLimits, Store, Time,
};
use crate::{Error, Sources, contradictions};

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
    pub journal: Journal,
    /// The section `[checkpoint]`.
    pub checkpoint: Checkpoint,
    /// The section `[store]`.
    pub store: Store,
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
    pub dead_letters: DeadLetters,
    keys: Keys,
}

impl Settings {
    /// Merges the layers of `sources`, and checks the values by themselves and against each other.
    ///
    /// # Errors
    /// A key is unknown, a value has the wrong type or range, two values contradict each other, or a file cannot be
    /// read. The message names the key, the value, its origin and the allowed values.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        let mut keys = sources.collect()?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let listen = keys.address("listen")?;
        let admin_listen = keys.address("admin_listen")?;
        let settings = Self {
            mode: read_mode(&mut keys, listen.ip().is_loopback() && admin_listen.ip().is_loopback())?,
            data_dir: PathBuf::from(keys.filled_text("data_dir")?),
            listen,
            admin_listen,
            insecure: keys.boolean("insecure")?,
            http: Http::read(&mut keys, cores)?,
            time: Time::read(&keys)?,
            actors: Actors::read(&mut keys, cores)?,
            commit: Commit::read(&keys)?,
            journal: Journal::read(&keys)?,
            checkpoint: Checkpoint::read(&keys)?,
            store: Store::read(&keys)?,
            cache: Cache::read(&keys)?,
            profile: ProfileLimits::read(&keys)?,
            auth: Auth::read(&keys)?,
            live: Live::read(&keys)?,
            events: Events::read(&keys)?,
            log: Log::read(&keys)?,
            dead_letters: DeadLetters::read(&keys)?,
            keys,
        };
        contradictions::refuse(&settings, &settings.keys)?;
        Ok(settings)
    }

    /// Returns a line for each setting with its value and origin, in the order of names. Secrets are hidden.
    #[must_use]
    pub fn print(&self) -> String {
        let mut lines = String::new();
        for (key, given) in self.keys.iter() {
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

fn read_mode(keys: &mut Keys, on_loopback: bool) -> Result<Mode, Error> {
    let choices = [("auto", None), ("development", Some(Mode::Development)), ("production", Some(Mode::Production))];
    match keys.choice("mode", &choices)? {
        Some(mode) => Ok(mode),
        None if on_loopback => {
            keys.resolve("mode", Value::String("development".to_owned()), "auto: every listener is on loopback");
            Ok(Mode::Development)
        }
        None => {
            keys.resolve("mode", Value::String("production".to_owned()), "auto: a listener is beyond loopback");
            Ok(Mode::Production)
        }
    }
}
