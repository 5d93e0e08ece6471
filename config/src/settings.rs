//! The resolved side: every setting with its type, its range checked, ready to be mapped onto the
//! `Options` of the crates that use it.

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
    /// The local HS256 key signs tokens and the clock may be fixed.
    Development,
    /// Refuses both.
    Production,
}

/// All settings of the server. Field names are the keys of `default.toml` without their units, which
/// their types carry instead.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Development or production; `auto` is resolved.
    pub mode: Mode,
    /// Everything that the server keeps lies below it.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where metrics and administration listen.
    pub admin_listen: SocketAddr,
    /// Allows a listener beyond loopback without TLS.
    pub insecure: bool,
    /// `[http]`
    pub http: Http,
    /// `[time]`
    pub time: Time,
    /// `[actors]`
    pub actors: Actors,
    /// `[commit]`
    pub commit: Commit,
    /// `[journal]`
    pub journal: Journal,
    /// `[checkpoint]`
    pub checkpoint: Checkpoint,
    /// `[store]`
    pub store: Store,
    /// `[cache]`
    pub cache: Cache,
    /// `[profile]`
    pub profile: ProfileLimits,
    /// `[auth]`
    pub auth: Auth,
    /// `[live]`
    pub live: Live,
    /// `[events]`
    pub events: Events,
    /// `[log]`
    pub log: Log,
    /// `[dead_letters]`
    pub dead_letters: DeadLetters,
    keys: Keys,
}

impl Settings {
    /// Collects the layers of `sources`, gives every value its type and checks them against each other.
    ///
    /// # Errors
    /// An unknown key, a wrong type or range, a contradiction, or a file that cannot be read; the message
    /// names key, value, origin and what is allowed.
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

    /// Every resolved value with its origin, a line each, in order of name; what may be secret is hidden.
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
