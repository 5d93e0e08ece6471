//! The ages of keys: a gauge, a warning when one is to be replaced, and the list that operators see.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::port::clock::Clock;
use domain::port::registry::{Registry, RegistryEntry, RegistryKind};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;
use store::KeyManager;

use crate::http::request::caller::{KeyStore, Verifier};
use crate::telemetry::metric;

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400 * MICROS;
/// Time between two warnings about a key.
const WARNING_INTERVAL: i64 = DAY;
/// Tokens of services end at their age limit, so a warning comes this much earlier.
const NOTICE: Duration = Duration::from_secs(7 * 86_400);
/// How long it is remembered when a credential was first seen.
const REMEMBERED: i64 = 3_650 * DAY;
/// What precedes the fingerprint of a credential in the registry.
const FIRST_SEEN: &[u8] = b"credential first seen: ";

/// What the ages are about.
pub(crate) struct KeyAgeParts {
    pub(crate) manager: KeyManager,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) verifier: Arc<Verifier>,
    /// The local key that signs tokens, in development only.
    pub(crate) development_secret: Option<Zeroizing<[u8; 32]>>,
    /// The key of the fingerprints of credentials.
    pub(crate) fingerprint_key: Zeroizing<[u8; 32]>,
    pub(crate) registry: Arc<dyn Registry>,
    /// The wall clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// Age at which the master key and the ring key are to be rotated.
    pub(crate) key_limit: Duration,
    /// Age at which credentials are to be replaced.
    pub(crate) credential_limit: Duration,
}

/// Tells how old keys are.
pub(crate) struct KeyAges {
    parts: KeyAgeParts,
    /// When credentials were first seen, by fingerprint, in microseconds since the Unix epoch.
    first_seen: Mutex<HashMap<[u8; 16], i64>>,
    /// When a warning was logged, by kind and id.
    warned: Mutex<HashMap<(&'static str, String), i64>>,
}

/// A key, and how old it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgedKey {
    /// The kind, which is the label of the gauge.
    pub(crate) kind: &'static str,
    /// Which one of several it is; empty if there is only one.
    pub(crate) id: String,
    /// Its version; `None` if it has none.
    pub(crate) version: Option<u32>,
    /// Since when it is in use, in microseconds since the Unix epoch; `None` if that is not known.
    pub(crate) since: Option<i64>,
    /// Age at which a warning is given.
    pub(crate) limit: Duration,
}

impl AgedKey {
    /// Returns the age in microseconds, at least 0.
    pub(crate) fn age(&self, now: i64) -> Option<i64> {
        self.since.map(|since| now.saturating_sub(since).max(0))
    }

    /// Whether the key is to be replaced.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        let limit = i64::try_from(self.limit.as_micros()).unwrap_or(i64::MAX);
        self.age(now).is_some_and(|age| age >= limit)
    }

    /// Returns what replaces the key.
    fn remedy(&self) -> &'static str {
        match self.kind {
            "master" => "rotate it with `profile-server keys rotate --master`",
            "ring" => "rotate it with `profile-server keys rotate --ring`",
            "development_secret" => "remove it from `.env`, and the next start makes another one",
            "token_key" => "let the identity service sign with a new key, and remove this one from its key set",
            _ => "give the service a new token",
        }
    }
}

impl KeyAges {
    /// Returns the ages of these keys.
    pub(crate) fn new(parts: KeyAgeParts) -> Self {
        Self { parts, first_seen: Mutex::default(), warned: Mutex::default() }
    }

    /// Returns the time in microseconds since the Unix epoch.
    pub(crate) fn now_micros(&self) -> i64 {
        self.parts.clock.now_micros()
    }

    /// Returns all keys and credentials in use. When a credential is seen for the first time, that is stored, which blocks for a
    /// sync of the disk.
    pub(crate) fn list(&self) -> Vec<AgedKey> {
        let KeyAgeParts { manager, keys, verifier, key_limit, credential_limit, .. } = &self.parts;
        let status = manager.status();
        let one =
            |kind, version, since, limit: &Duration| AgedKey { kind, id: String::new(), version, since, limit: *limit };
        let mut list = vec![
            one("master", Some(status.master.version), status.master.since, key_limit),
            one("ring", Some(status.ring.version), status.ring.since, key_limit),
        ];
        if let Some(secret) = &self.parts.development_secret {
            let since = self.first_seen(b"development secret", &**secret);
            list.push(one("development_secret", None, since, credential_limit));
        }
        for (id, thumbprint) in keys.key_names() {
            let since = self.first_seen(b"token key", thumbprint.as_bytes());
            let id = id.to_string();
            list.push(AgedKey { id, ..one("token_key", None, since, credential_limit) });
        }
        if let Some(since) = verifier.oldest_service_token() {
            let limit = credential_limit.saturating_sub(NOTICE).max(*credential_limit / 2);
            list.push(one("service_token", None, Some(since), &limit));
        }
        list
    }

    /// Sets the gauges, and logs a warning once a day for each key that is to be replaced. Called about once a minute.
    pub(crate) fn observe(&self) {
        let now = self.now_micros();
        let list = self.list();
        let mut oldest: HashMap<&'static str, i64> = HashMap::new();
        for key in &list {
            if let Some(age) = key.age(now) {
                let known = oldest.entry(key.kind).or_default();
                *known = age.max(*known);
            }
        }
        for (kind, age) in oldest {
            metric::key_age(kind).set(age as f64 / MICROS as f64);
        }
        let mut warned = self.warned.lock();
        warned.retain(|_, at| *at > now - WARNING_INTERVAL && *at <= now);
        for key in list.iter().filter(|key| key.is_due(now)) {
            if warned.insert((key.kind, key.id.clone()), now).is_none() {
                let days = key.age(now).unwrap_or(0) / DAY;
                tracing::warn!(key = key.kind, id = key.id, days, "a key has reached its age limit: {}", key.remedy());
            }
        }
    }

    /// Returns when a credential was first seen, or `None` if that cannot be stored.
    fn first_seen(&self, purpose: &[u8], credential: &[u8]) -> Option<i64> {
        let fingerprint = self.fingerprint(purpose, credential);
        let mut known = self.first_seen.lock();
        if let Some(at) = known.get(&fingerprint) {
            return Some(*at);
        }
        let now = self.now_micros();
        let key = [FIRST_SEEN, &fingerprint].concat();
        let registry = &self.parts.registry;
        let stored = registry.get(RegistryKind::CONFIGURATION, &key, now);
        let stored = stored.and_then(|entry| entry.value.as_slice().try_into().ok()).map(i64::from_le_bytes);
        let at = stored.unwrap_or(now);
        if stored.is_none() {
            let entry =
                RegistryEntry { value: now.to_le_bytes().to_vec(), expires_at: Some(now.saturating_add(REMEMBERED)) };
            if let Err(error) = registry.put(RegistryKind::CONFIGURATION, &key, entry) {
                tracing::warn!(%error, "it could not be stored when a credential was first seen");
                return None;
            }
        }
        known.insert(fingerprint, at);
        Some(at)
    }

    /// Returns what stands for a credential in the registry.
    fn fingerprint(&self, purpose: &[u8], credential: &[u8]) -> [u8; 16] {
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(&*self.parts.fingerprint_key);
        let mac =
            Hmac::<Sha256>::new(&(*block).into()).chain_update(purpose).chain_update([0]).chain_update(credential);
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        fingerprint
    }
}
