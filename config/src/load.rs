//! Loads the settings: overlays the layers, reads each key with its type and range, and refuses contradictions.

use std::path::PathBuf;
use std::thread;

use toml::Value;

use crate::contradictions;
use crate::keys::Keys;
use crate::sections::{
    Actors, AuditSettings, Auth, Cache, Checkpoint, Commit, DeadLetterSettings, Events, ExportSettings,
    HistorySettings, Http, JournalSettings, KeySettings, Live, Log, ProfileLimits, StoreSettings, Time,
};
use crate::{ConfigError, Mode, Settings, Sources};

impl Settings {
    /// Collects the layers of `sources`, gives every value its type and checks them against each other.
    ///
    /// # Errors
    /// An unknown key, a wrong type or range, a contradiction, or a file that cannot be read; the message
    /// names key, value, origin and what is allowed.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut keys = sources.collect()?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let listen = keys.address("listen")?;
        let admin_listen = keys.address("admin_listen")?;
        let mode = read_mode(&mut keys, listen.ip().is_loopback() && admin_listen.ip().is_loopback())?;
        let settings = Self {
            mode,
            data_dir: PathBuf::from(keys.filled_text("data_dir")?),
            listen,
            admin_listen,
            insecure: keys.boolean("insecure")?,
            http: Http::read(&mut keys, cores)?,
            time: Time::read(&keys)?,
            actors: Actors::read(&mut keys, cores)?,
            commit: Commit::read(&keys)?,
            journal: JournalSettings::read(&keys)?,
            checkpoint: Checkpoint::read(&keys)?,
            store: StoreSettings::read(&keys)?,
            history: HistorySettings::read(&keys)?,
            cache: Cache::read(&keys)?,
            profile: ProfileLimits::read(&keys)?,
            auth: Auth::read(&mut keys, mode)?,
            live: Live::read(&keys)?,
            events: Events::read(&keys)?,
            log: Log::read(&keys)?,
            dead_letters: DeadLetterSettings::read(&keys)?,
            audit: AuditSettings::read(&keys)?,
            export: ExportSettings::read(&keys)?,
            keys: KeySettings::read(&keys)?,
            given: keys,
        };
        contradictions::refuse(&settings, &settings.given)?;
        Ok(settings)
    }
}

fn read_mode(keys: &mut Keys, on_loopback: bool) -> Result<Mode, ConfigError> {
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
