//! The secrets of the server, and what is made of them.

use std::io;
use std::sync::Arc;

use config::{MasterKeys, Secrets, Settings};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use store::{KeyManager, MasterKey, SystemKeys};

use super::{Components, Credentials, wall_clock};
use crate::http::request::caller::LoginCodes;
use crate::key_ages::{KeyAgeParts, KeyAges};
use crate::key_rotations::KeyRotations;

/// The purposes of keys that derive from the keyring's system root, which does not rotate.
const LOGIN_CODES: &str = "profile-server: login codes";
const CREDENTIAL_FINGERPRINTS: &str = "profile-server: credential fingerprints";

/// Loads the secrets. In development they are created at the first start.
///
/// # Errors
/// As [`Secrets::load`].
pub(crate) fn load_secrets(
    settings: &Settings,
    environment: &[(String, String)],
) -> Result<Secrets, config::ConfigError> {
    let (data_dir, mode, keys) = (&settings.data_dir, settings.mode, &settings.keys);
    Secrets::load(data_dir, mode, keys, environment, &mut randomness)
}

/// Loads the secrets without creating any. Returns `None` if a development server would create them at its start.
///
/// # Errors
/// As [`Secrets::look`].
pub(crate) fn look_at_secrets(
    settings: &Settings,
    environment: &[(String, String)],
) -> Result<Option<Secrets>, config::ConfigError> {
    Secrets::look(&settings.data_dir, settings.mode, &settings.keys, environment)
}

/// Fills a buffer with random bytes of the operating system.
pub(crate) fn randomness(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::other)
}

/// Returns the key that opens the keyring, in the versions that are given.
pub(crate) fn master_key(secrets: &Secrets) -> MasterKey {
    to_store(&secrets.master_key)
}

/// Returns the versions of the master key that a provider has given as the store takes them.
pub(crate) fn to_store(given: &MasterKeys) -> MasterKey {
    let mut versions = given.versions().map(|(number, key)| (number, *key.expose_secret()));
    let (number, key) = versions.next().expect("a provider gives one version at least");
    versions.fold(MasterKey::new(number, key), |master, (number, key)| master.with_version(number, key))
}

/// Logs that a newer version of the master key is given than the one in use: a rotation may have been forgotten.
pub(super) fn note_newer_master_key(secrets: &Secrets, keys: &KeyManager) {
    let (given, in_use) = (secrets.master_key.newest(), keys.status().master.version);
    if given > in_use {
        tracing::info!(
            "version {given} of the master key is given, and version {in_use} is in use: `profile-server keys rotate --master` takes the \
             new one into use"
        );
    }
}

/// Returns the one-time codes that begin sessions. Their key derives from the system root, which the command that makes them
/// can read while the server runs, and which does not rotate.
pub(crate) fn login_codes(system_keys: &SystemKeys) -> LoginCodes {
    LoginCodes::new(*system_keys.derive(LOGIN_CODES))
}

/// What tells the ages of keys, and rotates them.
pub(crate) struct KeyParts {
    pub(crate) ages: Arc<KeyAges>,
    pub(crate) rotations: Arc<KeyRotations>,
}

/// Returns what tells the ages of keys, and rotates them. The secrets are wiped from memory afterwards; a rotation reads the
/// master key again.
pub(crate) fn key_parts(
    settings: &Settings,
    secrets: Secrets,
    components: &Components,
    credentials: &Credentials,
) -> KeyParts {
    let Secrets { development_secret, key_provider, .. } = secrets;
    let ages = KeyAges::new(KeyAgeParts {
        manager: components.keys.clone(),
        keys: Arc::clone(&credentials.keys),
        verifier: Arc::clone(&credentials.verifier),
        development_secret: development_secret.map(|secret| Zeroizing::new(*secret.expose_secret())),
        fingerprint_key: components.system_keys.derive(CREDENTIAL_FINGERPRINTS),
        registry: Arc::clone(&components.registry),
        clock: wall_clock(),
        key_limit: settings.keys.master_max_age,
        credential_limit: settings.keys.credential_max_age,
    });
    let (keys, audit) = (components.keys.clone(), components.audit.clone());
    let rotations = KeyRotations::new(keys, key_provider, audit, wall_clock());
    KeyParts { ages: Arc::new(ages), rotations: Arc::new(rotations) }
}
