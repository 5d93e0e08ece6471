//! Checks settings that are valid by themselves but not together.

use crate::keys::Keys;
use crate::{ConfigError, Mode, Settings};

/// Returns the first contradiction as an error.
pub(crate) fn refuse(settings: &Settings, keys: &Keys) -> Result<(), ConfigError> {
    for (key, address) in [("listen", settings.listen), ("admin_listen", settings.admin_listen)] {
        if !address.ip().is_loopback() && !settings.insecure {
            let allowed = "a loopback address, or `insecure` = `true` where something in front speaks TLS";
            return Err(keys.contradicts(key, "insecure", allowed));
        }
    }
    if settings.listen == settings.admin_listen && settings.listen.port() != 0 {
        return Err(keys.contradicts("admin_listen", "listen", "another address or port"));
    }
    if settings.mode == Mode::Production && settings.time.fixed_clock.is_some() {
        return Err(keys.contradicts("time.fixed_clock", "mode", "an empty string, or `mode` = `development`"));
    }
    let is_on_loopback = settings.listen.ip().is_loopback() && settings.admin_listen.ip().is_loopback();
    if settings.mode == Mode::Production && !settings.auth.secure_cookies && !is_on_loopback {
        let allowed = "`true`, or listeners on loopback: a session's cookie must not pass a network in the clear";
        return Err(keys.contradicts("auth.secure_cookies", "mode", allowed));
    }
    if settings.auth.jwks_ca_file.is_some()
        && settings.auth.jwks_url.as_deref().is_none_or(|url| !url.starts_with("https:"))
    {
        return Err(keys.contradicts(
            "auth.jwks_ca_file",
            "auth.jwks_url",
            "an empty string, or an `https://` address",
        ));
    }
    if settings.auth.jwks_file.is_some() && settings.auth.jwks_url.is_some() {
        return Err(keys.contradicts("auth.jwks_url", "auth.jwks_file", "an empty string: keys have one source"));
    }
    if settings.http.max_event_bytes > settings.http.max_body_bytes {
        let allowed = format!("at most {}", settings.http.max_body_bytes);
        return Err(keys.contradicts("http.max_event_bytes", "http.max_body_bytes", allowed));
    }
    // One body of the largest size must fit besides the part that is reserved for small ones.
    if settings.http.in_flight_bytes < 2 * settings.http.max_body_bytes {
        let allowed = format!("{} or more", 2 * settings.http.max_body_bytes);
        return Err(keys.contradicts("http.in_flight_bytes", "http.max_body_bytes", allowed));
    }
    if settings.http.max_connections_per_address > settings.http.max_connections {
        let allowed = format!("at most {}, or 0 for no bound", settings.http.max_connections);
        return Err(keys.contradicts("http.max_connections_per_address", "http.max_connections", allowed));
    }
    if settings.dead_letters.max_bytes_per_source > settings.dead_letters.max_bytes {
        let allowed = format!("at most {}", settings.dead_letters.max_bytes);
        return Err(keys.contradicts("dead_letters.max_bytes_per_source", "dead_letters.max_bytes", allowed));
    }
    // A frame contains the sealed values of an event. Twice the size leaves room for its header and the patch.
    if settings.journal.segment_bytes < 2 * settings.http.max_event_bytes as u64 {
        let allowed = "twice `http.max_event_bytes` or more";
        return Err(keys.contradicts("journal.segment_mib", "http.max_event_bytes", allowed));
    }
    // Followers of the journal reconstruct the profile before each frame.
    if settings.history.revisions < settings.journal.retain {
        let allowed = "as long as `journal.retain_hours` or longer";
        return Err(keys.contradicts("history.revision_days", "journal.retain_hours", allowed));
    }
    if settings.history.daily < settings.history.revisions {
        let allowed = "as long as `history.revision_days` or longer";
        return Err(keys.contradicts("history.daily_days", "history.revision_days", allowed));
    }
    // A checkpoint must become due early enough to catch up before feeds have to wait for it.
    if settings.checkpoint.max_lag_bytes / 2 < settings.checkpoint.journal_bytes {
        let allowed = "twice `checkpoint.journal_bytes` or more";
        return Err(keys.contradicts("checkpoint.max_lag_bytes", "checkpoint.journal_bytes", allowed));
    }
    Ok(())
}
