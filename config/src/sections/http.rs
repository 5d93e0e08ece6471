//! Requests, tokens, live sockets and streams.

use std::path::PathBuf;
use std::time::Duration;

use domain::limits::Network;

use toml::Value;

use super::url;
use super::{DAY_S, HOUR_S, MANY, MIB, TIB};
use crate::keys::Keys;
use crate::{ConfigError, Mode, Origin};

/// The section `[http]`: workers, time-outs and limits of connections and requests.
#[derive(Debug, Clone)]
pub struct Http {
    /// Number of threads that serve requests, at least 1.
    pub workers: usize,
    /// How long a request may take. Streams are exempt.
    pub request_timeout: Duration,
    /// How long a client may take to send its headers.
    pub client_header_timeout: Duration,
    /// Maximum time between two pieces of a body.
    pub client_body_timeout: Duration,
    /// How long a client may leave an answer unread.
    pub unread_timeout: Duration,
    /// How long an idle connection stays open.
    pub keep_alive: Duration,
    /// Maximum number of connections of the API.
    pub max_connections: usize,
    /// Maximum number of connections of one client address; 0 for no bound.
    pub max_connections_per_address: usize,
    /// How long draining may take when the server stops.
    pub shutdown_timeout: Duration,
    /// Maximum size of a feed event, in bytes.
    pub max_event_bytes: usize,
    /// Maximum size of a body that is not streamed, in bytes.
    pub max_body_bytes: usize,
    /// Maximum size of the answer to a batch, in bytes.
    pub max_answer_bytes: usize,
    /// Maximum size of all bodies and feed answers that are in memory at the same time, in bytes.
    pub in_flight_bytes: usize,
    /// Maximum nesting depth of JSON.
    pub max_json_depth: usize,
    /// Proxies whose `X-Forwarded-For` names the client.
    pub trusted_proxies: Vec<Network>,
    /// Origins of the pages that browsers may call the API from.
    pub cors_origins: Vec<String>,
}

impl Http {
    pub(crate) fn read(keys: &mut Keys, cores: usize) -> Result<Self, ConfigError> {
        Ok(Self {
            workers: keys.threads("http.workers", cores)?,
            request_timeout: keys.seconds("http.request_timeout_s", 1..=HOUR_S)?,
            client_header_timeout: keys.seconds("http.client_header_timeout_s", 1..=HOUR_S)?,
            client_body_timeout: keys.seconds("http.client_body_timeout_s", 1..=HOUR_S)?,
            unread_timeout: keys.seconds("http.unread_timeout_s", 1..=HOUR_S)?,
            keep_alive: keys.seconds("http.keep_alive_s", 1..=HOUR_S)?,
            max_connections: keys.integer("http.max_connections", 1..=MANY)?,
            max_connections_per_address: keys.integer("http.max_connections_per_address", 0..=MANY)?,
            shutdown_timeout: keys.seconds("http.shutdown_timeout_s", 1..=HOUR_S)?,
            max_event_bytes: keys.integer("http.max_event_bytes", 1_024..=64 * MIB)?,
            max_body_bytes: keys.integer("http.max_body_bytes", 1_024..=1_024 * MIB)?,
            max_answer_bytes: keys.integer("http.max_answer_bytes", 16 * 1_024..=1_024 * MIB)?,
            in_flight_bytes: keys.integer("http.in_flight_bytes", MIB..=TIB)?,
            max_json_depth: keys.integer("http.max_json_depth", 8..=120)?,
            trusted_proxies: networks(keys)?,
            cors_origins: keys.list(
                "http.cors_origins",
                is_web_origin,
                "a list of origins such as `https://example.in`",
            )?,
        })
    }
}

/// Reads the networks of trusted proxies.
fn networks(keys: &mut Keys) -> Result<Vec<Network>, ConfigError> {
    let is_network = |text: &str| Network::parse(text).is_some();
    let allowed = "a list of addresses and networks such as `10.0.0.0/8`";
    let texts = keys.list("http.trusted_proxies", is_network, allowed)?;
    Ok(texts.iter().filter_map(|text| Network::parse(text)).collect())
}

/// Returns whether a text is an origin: a scheme, a host and an optional port (RFC 6454, section 6.2).
fn is_web_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '@', '?', '#', ' ']))
}

/// The section `[auth]`: the tokens that are accepted.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The required claim `iss`.
    pub issuer: String,
    /// The required audience in the claim `aud`.
    pub audience: String,
    /// How much the clocks of issuer and server may differ.
    pub leeway: Duration,
    /// Maximum lifetime of the token of a person or agent.
    pub max_life: Duration,
    /// Maximum lifetime of the token of a service.
    pub max_service_life: Duration,
    /// The file with the public keys of the identity service; `None` if there is none.
    pub jwks_file: Option<PathBuf>,
    /// The address of the public keys of the identity service; `None` if there is none.
    pub jwks_url: Option<String>,
    /// The certificates of the authorities that may certify the host of that address; `None` for those that browsers know.
    pub jwks_ca_file: Option<PathBuf>,
    /// Time between two requests for the public keys.
    pub jwks_refresh: Duration,
    /// Whether browsers send the cookie of a session over TLS only.
    pub secure_cookies: bool,
    /// Maximum number of verified tokens in the cache.
    pub token_cache_entries: u64,
}

impl Auth {
    pub(crate) fn read(keys: &mut Keys, mode: Mode) -> Result<Self, ConfigError> {
        let days: u64 = keys.integer("auth.max_service_life_days", 1..=90)?;
        Ok(Self {
            issuer: keys.filled_text("auth.issuer")?,
            audience: keys.filled_text("auth.audience")?,
            leeway: keys.seconds("auth.leeway_s", 0..=300)?,
            max_life: keys.seconds("auth.max_life_s", 1..=HOUR_S)?,
            max_service_life: Duration::from_secs(days * 86_400),
            jwks_file: filled(keys.text("auth.jwks_file")?).map(PathBuf::from),
            jwks_url: key_set_url(keys)?,
            jwks_ca_file: filled(keys.text("auth.jwks_ca_file")?).map(PathBuf::from),
            jwks_refresh: keys.seconds("auth.jwks_refresh_s", 10..=DAY_S)?,
            secure_cookies: secure_cookies(keys, mode)?,
            token_cache_entries: keys.integer("auth.token_cache_entries", 1..=MANY)?,
        })
    }
}

/// Returns the address of the key set. Whoever can change its answer can sign any token, so it must not pass a network in
/// the clear.
fn key_set_url(keys: &Keys) -> Result<Option<String>, ConfigError> {
    const KEY: &str = "auth.jwks_url";
    let Some(text) = filled(keys.text(KEY)?) else { return Ok(None) };
    if url::is_private(text) {
        return Ok(Some(text.to_owned()));
    }
    Err(keys.refuse(
        KEY,
        "an `https://` address without a user name, an `http://` address of this machine, or an empty string; a key set in a \
         file is set as `auth.jwks_file`",
    ))
}

/// Returns whether the cookie of a session goes over TLS only. In production it does, unless a setting says otherwise.
fn secure_cookies(keys: &mut Keys, mode: Mode) -> Result<bool, ConfigError> {
    const KEY: &str = "auth.secure_cookies";
    let is_default = matches!(keys.given(KEY).origin, Origin::Embedded(_));
    if mode == Mode::Production && is_default {
        keys.resolve(KEY, Value::Boolean(true), "`mode` is `production`");
    }
    keys.boolean(KEY)
}

/// Returns a text unless it is empty.
fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The section `[live]`: bounds of live sockets, profile streams and tickets.
#[derive(Debug, Clone)]
pub struct Live {
    /// Maximum number of open sockets and profile streams of one caller.
    pub max_sockets_per_caller: usize,
    /// Maximum number of users that one socket may follow.
    pub max_subscriptions_per_socket: usize,
    /// Number of bytes of messages that are read from one socket per second, after a burst of the same size.
    pub read_bytes_per_s: usize,
    /// Maximum number of frames that wait for a slow client before they are merged.
    pub outlet_queue_frames: usize,
    /// Time between two pings.
    pub heartbeat: Duration,
    /// How long a ticket is valid.
    pub ticket_life: Duration,
    /// Maximum number of outstanding tickets of one caller.
    pub max_tickets_per_caller: usize,
    /// Maximum number of outstanding tickets of all callers.
    pub max_tickets: usize,
}

impl Live {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        Ok(Self {
            max_sockets_per_caller: keys.integer("live.max_sockets_per_caller", 1..=MANY)?,
            max_subscriptions_per_socket: keys.integer("live.max_subscriptions_per_socket", 1..=MANY)?,
            read_bytes_per_s: keys.integer("live.read_bytes_per_s", 1_024..=1_024 * MIB)?,
            outlet_queue_frames: keys.integer("live.outlet_queue_frames", 1..=MANY)?,
            heartbeat: keys.seconds("live.heartbeat_s", 1..=HOUR_S)?,
            ticket_life: keys.seconds("live.ticket_life_s", 1..=300)?,
            max_tickets_per_caller: keys.integer("live.max_tickets_per_caller", 1..=MANY)?,
            max_tickets: keys.integer("live.max_tickets", 1..=MANY)?,
        })
    }
}

/// The section `[events]`: bounds of streams of all users' events.
#[derive(Debug, Clone)]
pub struct Events {
    /// Maximum number of open streams.
    pub max_followers: usize,
    /// Maximum number of open streams of one caller.
    pub max_followers_per_caller: usize,
    /// Maximum size of the cached profiles of all streams, in bytes.
    pub cache_bytes: u64,
    /// Maximum time between two pieces of a stream.
    pub heartbeat: Duration,
}

impl Events {
    pub(crate) fn read(keys: &Keys) -> Result<Self, ConfigError> {
        Ok(Self {
            max_followers: keys.integer("events.max_followers", 0..=MANY)?,
            max_followers_per_caller: keys.integer("events.max_followers_per_caller", 1..=MANY)?,
            cache_bytes: keys.integer("events.cache_bytes", 0..=TIB)?,
            heartbeat: keys.seconds("events.heartbeat_s", 1..=HOUR_S)?,
        })
    }
}
