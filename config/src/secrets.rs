//! Secrets, from the environment or from `.env` in the data directory, and never from a settings file.
//!
//! In development missing secrets are created at the first start. In production they are not: a server that has lost
//! its `.env` must not start with a new key, with which it cannot read its data.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretBox;
use secrecy::zeroize::Zeroizing;

use crate::dot_env::{DotEnv, lock_directory};
use crate::{ConfigError, Mode, Origin};

/// Name of the variable with the master key.
pub const MASTER_KEY: &str = "PROFILE_SERVER_MASTER_KEY";
/// Name of the variable with the local development key for HS256 tokens.
pub const DEVELOPMENT_SECRET: &str = "PROFILE_SERVER_DEV_SECRET";

const NAMES: [&str; 2] = [MASTER_KEY, DEVELOPMENT_SECRET];
const FILE_NAME: &str = ".env";

/// A key of 32 bytes, which is zeroized when dropped and hidden by `Debug`. The trait `ExposeSecret` of the crate
/// secrecy reads it.
pub type Key = SecretBox<[u8; 32]>;

/// A function of the caller that fills a buffer with random bytes of the operating system.
pub type Randomness<'a> = &'a mut dyn FnMut(&mut [u8]) -> io::Result<()>;

/// The secrets that the server starts with.
#[derive(Debug)]
pub struct Secrets {
    /// The root of the key tree.
    pub master_key: Key,
    /// The key that signs and verifies local tokens, in development only.
    pub development_secret: Option<Key>,
    origins: Vec<(&'static str, Origin)>,
}

impl Secrets {
    /// Reads the secrets. `environment` (see [`process_environment`](crate::process_environment)) overrides `.env`. In
    /// development the data directory (mode 0700), `.env` (mode 0600) and keys are created if they are missing.
    ///
    /// # Errors
    /// Other users can read `.env`; a key is not 32 bytes in base64; or, in production, the master key is missing or a
    /// development secret is set.
    pub fn load(
        data_dir: &Path,
        mode: Mode,
        environment: &[(String, String)],
        randomness: Randomness<'_>,
    ) -> Result<Self, ConfigError> {
        let path = data_dir.join(FILE_NAME);
        let mut file = DotEnv::read(&path, &NAMES)?;
        if mode == Mode::Development && NAMES.iter().any(|name| is_missing(name, &file, environment)) {
            let _lock = lock_directory(data_dir)?;
            file = DotEnv::read(&path, &NAMES)?;
            make_missing(&mut file, environment, randomness)?;
        }
        let found = |name| find(name, &file, &path, environment);
        let missing = || ConfigError::MissingSecret { name: MASTER_KEY, path: path.clone() };
        let (master_key, origin) = found(MASTER_KEY)?.ok_or_else(missing)?;
        let mut origins = vec![(MASTER_KEY, origin)];
        let development_secret = match found(DEVELOPMENT_SECRET)? {
            Some((_, origin)) if mode == Mode::Production => {
                return Err(ConfigError::DevelopmentSecret { name: DEVELOPMENT_SECRET, origin });
            }
            Some((key, origin)) => {
                origins.push((DEVELOPMENT_SECRET, origin));
                Some(key)
            }
            None => None,
        };
        Ok(Self { master_key, development_secret, origins })
    }

    /// Reads and checks the secrets without creating any. Returns `None` if a development server would create keys at
    /// its start.
    ///
    /// # Errors
    /// As [`Secrets::load`].
    pub fn look(data_dir: &Path, mode: Mode, environment: &[(String, String)]) -> Result<Option<Self>, ConfigError> {
        let path = data_dir.join(FILE_NAME);
        let file = DotEnv::read(&path, &NAMES)?;
        if mode == Mode::Development && NAMES.iter().any(|name| is_missing(name, &file, environment)) {
            NAMES.iter().try_for_each(|name| find(name, &file, &path, environment).map(drop))?;
            return Ok(None);
        }
        let mut none_made = |_: &mut [u8]| Err(io::Error::other("no key is missing"));
        Self::load(data_dir, mode, environment, &mut none_made).map(Some)
    }

    /// Returns a line for each secret with its name and origin. The values are hidden.
    #[must_use]
    pub fn print(&self) -> String {
        self.origins.iter().map(|(name, origin)| format!("{name} = (hidden)  # {origin}\n")).collect()
    }
}

fn from_environment<'a>(name: &str, environment: &'a [(String, String)]) -> Option<&'a str> {
    environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn is_missing(name: &str, file: &DotEnv, environment: &[(String, String)]) -> bool {
    from_environment(name, environment).is_none() && file.get(name).is_none()
}

fn make_missing(
    file: &mut DotEnv,
    environment: &[(String, String)],
    randomness: Randomness<'_>,
) -> Result<(), ConfigError> {
    let mut lines = Zeroizing::new(String::new());
    for name in NAMES {
        if is_missing(name, file, environment) {
            let mut key = Zeroizing::new([0; 32]);
            randomness(&mut *key).map_err(|source| ConfigError::Randomness { name, source })?;
            let text = Zeroizing::new(STANDARD.encode(*key));
            lines.push_str(&format!("{name}={}\n", *text));
        }
    }
    if lines.is_empty() { Ok(()) } else { file.append(&lines) }
}

fn find(
    name: &'static str,
    file: &DotEnv,
    path: &Path,
    environment: &[(String, String)],
) -> Result<Option<(Key, Origin)>, ConfigError> {
    let (text, origin) = match (from_environment(name, environment), file.get(name)) {
        (Some(text), _) => (text, Origin::Environment(name.to_owned())),
        (None, Some(text)) => (text, Origin::File(path.to_owned())),
        (None, None) => return Ok(None),
    };
    match decode(text) {
        Some(key) => Ok(Some((key, origin))),
        None => Err(ConfigError::WrongSecret { name, origin }),
    }
}

fn decode(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    let key: Box<[u8; 32]> = Box::new(bytes.as_slice().try_into().ok()?);
    Some(SecretBox::new(key))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;
    use tempfile::TempDir;

    use super::*;

    const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    /// Returns a source of randomness of which every call fills its buffer with the next number.
    fn counting() -> impl FnMut(&mut [u8]) -> io::Result<()> {
        let mut next = 6;
        move |buffer: &mut [u8]| {
            next += 1;
            buffer.fill(next);
            Ok(())
        }
    }

    fn load(dir: &Path, mode: Mode) -> Result<Secrets, ConfigError> {
        Secrets::load(dir, mode, &[], &mut counting())
    }

    fn write(dir: &TempDir, text: &str, mode: u32) {
        fs::write(dir.path().join(".env"), text).unwrap();
        fs::set_permissions(dir.path().join(".env"), Permissions::from_mode(mode)).unwrap();
    }

    #[track_caller]
    fn refused(result: Result<Secrets, ConfigError>, parts: &[&str]) {
        let message = result.unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "`{message}` does not say `{part}`");
        }
        assert!(!message.contains('\n') && !message.contains(ONES), "{message}");
    }

    #[test]
    fn development_makes_what_is_missing_once() {
        let dir = TempDir::new().unwrap();
        let data_dir = dir.path().join("fresh/data");
        let first = load(&data_dir, Mode::Development).unwrap();
        assert_eq!(first.master_key.expose_secret(), &[7; 32]);
        assert_eq!(first.development_secret.unwrap().expose_secret(), &[8; 32]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data_dir), mode(&data_dir.join(".env"))), (0o700, 0o600));

        let mut none_left = |_: &mut [u8]| Err(io::Error::other("no key is made twice"));
        let second = Secrets::load(&data_dir, Mode::Development, &[], &mut none_left).unwrap();
        assert_eq!(second.master_key.expose_secret(), &[7; 32]);
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn looking_makes_nothing_and_finds_what_is_broken() {
        let dir = TempDir::new().unwrap();
        assert!(Secrets::look(dir.path(), Mode::Development, &[]).unwrap().is_none());
        let broken = [(MASTER_KEY.to_owned(), "c2hvcnQ=".to_owned())];
        assert!(Secrets::look(dir.path(), Mode::Development, &broken).is_err());
        assert!(Secrets::look(dir.path(), Mode::Production, &[]).is_err());
        write(&dir, &format!("{MASTER_KEY}={ONES}\n"), 0o600);
        assert!(Secrets::look(dir.path(), Mode::Development, &[]).unwrap().is_none());
        assert!(Secrets::look(dir.path(), Mode::Production, &[]).unwrap().is_some());
        let text = fs::read_to_string(dir.path().join(".env")).unwrap();
        assert!(!text.contains(DEVELOPMENT_SECRET), "{text}");
    }

    #[test]
    fn what_stands_in_the_file_is_kept() {
        let dir = TempDir::new().unwrap();
        write(&dir, &format!("# mine\nOTHER=1\nexport {MASTER_KEY}=\"{ONES}\""), 0o600);
        let secrets = load(dir.path(), Mode::Development).unwrap();
        assert_eq!(secrets.master_key.expose_secret(), &[1; 32]);
        let text = fs::read_to_string(dir.path().join(".env")).unwrap();
        assert!(text.starts_with("# mine\nOTHER=1\n") && text.contains(&format!("\n{DEVELOPMENT_SECRET}=")));
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let dir = TempDir::new().unwrap();
        write(&dir, &format!("{MASTER_KEY}=broken"), 0o600);
        let environment = [(MASTER_KEY.to_owned(), ONES.to_owned())];
        let secrets = Secrets::load(dir.path(), Mode::Production, &environment, &mut counting()).unwrap();
        assert_eq!(secrets.master_key.expose_secret(), &[1; 32]);
        assert_eq!(secrets.print(), format!("{MASTER_KEY} = (hidden)  # environment `{MASTER_KEY}`\n"));
        assert!(!format!("{secrets:?}").contains("1, 1"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        for mode in [0o644, 0o640, 0o602] {
            let dir = TempDir::new().unwrap();
            write(&dir, &format!("{MASTER_KEY}={ONES}"), mode);
            for run in [Mode::Development, Mode::Production] {
                refused(load(dir.path(), run), &["chmod 600", ".env", &format!("{mode:04o}")]);
            }
        }
    }

    #[test]
    fn production_makes_no_key_and_takes_no_development_secret() {
        let dir = TempDir::new().unwrap();
        refused(load(dir.path(), Mode::Production), &[MASTER_KEY, ".env", "0600", "openssl rand -base64 32"]);
        assert!(!dir.path().join(".env").exists());
        write(&dir, &format!("{MASTER_KEY}={ONES}\n{DEVELOPMENT_SECRET}={ONES}\n"), 0o600);
        refused(load(dir.path(), Mode::Production), &[DEVELOPMENT_SECRET, "remove", ".env"]);
        write(&dir, &format!("{MASTER_KEY}={ONES}\n"), 0o600);
        assert!(load(dir.path(), Mode::Production).unwrap().development_secret.is_none());
    }

    #[test]
    fn a_broken_secret_is_named_and_not_shown() {
        let dir = TempDir::new().unwrap();
        for wrong in ["", "c2hvcnQ=", "not base64 at all"] {
            write(&dir, &format!("{MASTER_KEY}={wrong}\n"), 0o600);
            refused(load(dir.path(), Mode::Development), &[MASTER_KEY, "32 bytes in base64"]);
        }
        write(&dir, &format!("\nPROFILE_SERVER_MASTERKEY={ONES}\n"), 0o600);
        refused(load(dir.path(), Mode::Development), &["line 2", "`PROFILE_SERVER_MASTERKEY`", MASTER_KEY]);
        write(&dir, ONES.trim_end_matches('='), 0o600);
        refused(load(dir.path(), Mode::Development), &["line 1", "`NAME=value`"]);
    }

    #[test]
    fn two_first_starts_at_once_agree_on_the_key() {
        let dir = TempDir::new().unwrap();
        let start = |seed: u8| {
            let mut randomness = move |buffer: &mut [u8]| {
                buffer.fill(seed);
                Ok(())
            };
            let secrets = Secrets::load(dir.path(), Mode::Development, &[], &mut randomness).unwrap();
            *secrets.master_key.expose_secret()
        };
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || start(seed))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
    }
}
