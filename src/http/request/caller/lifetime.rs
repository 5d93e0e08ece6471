//! When a token is accepted, by the clock of this server.

use std::time::Duration;

use super::claims::Claims;
use super::role::Role;
use super::token_error::TokenError;

/// Microseconds in a second.
pub(super) const MICROS: i64 = 1_000_000;

/// When a token is accepted, by the clock of this server. Issuers' clocks may differ from it by the leeway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// The earliest time at which the token can have been made, in microseconds since the Unix epoch: its `iat` less the
    /// leeway, since the issuer's clock may be ahead by that.
    pub(super) made_from: i64,
    /// The time from which on it is accepted, in microseconds since the Unix epoch.
    pub(super) starts_at: i64,
    /// The last second in which it is accepted, in seconds since the Unix epoch.
    pub(super) ends_at: i64,
}

impl Lifetime {
    /// Returns the lifetime of a token with these claims.
    ///
    /// # Errors
    /// It is longer than the settings allow.
    pub(super) fn of_token(claims: &Claims, settings: &config::Auth) -> Result<Self, TokenError> {
        let longest = match Role::parse(&claims.role) {
            Some(Role::Service) => settings.max_service_life,
            _ => settings.max_life,
        };
        let life = claims.exp.micros().saturating_sub(claims.iat.micros());
        // Compared in whole seconds, because the fractions of two times may be rounded differently.
        if life <= 0 || life / MICROS > seconds(longest) {
            return Err(TokenError("the token's lifetime, `exp` minus `iat`, is not within the accepted range"));
        }
        let leeway = micros(settings.leeway);
        Ok(Self {
            made_from: claims.iat.micros().saturating_sub(leeway),
            starts_at: claims.iat.max(claims.nbf).micros().saturating_sub(leeway),
            ends_at: claims.exp.seconds().saturating_add(seconds(settings.leeway)),
        })
    }

    /// Returns the lifetime of a session with these claims, which this server's clock has timed. The clock may be set back a
    /// little while it lasts.
    pub(super) fn of_session(claims: &Claims, settings: &config::Auth) -> Self {
        let begin = claims.iat.micros();
        Self {
            made_from: begin,
            starts_at: begin.saturating_sub(micros(settings.leeway)),
            ends_at: claims.exp.seconds().saturating_sub(1),
        }
    }

    /// Checks whether a token of this lifetime is accepted at the time `now`, in microseconds since the Unix epoch. A token
    /// that was accepted before may not be any more, or not yet: the clock may have been set.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn check(&self, now: i64) -> Result<(), TokenError> {
        if self.starts_at > now {
            return Err(TokenError("the token is not valid yet"));
        }
        if self.ends_at < now.div_euclid(MICROS) { Err(TokenError("the token has expired")) } else { Ok(()) }
    }

    /// Returns how long after `now` the token is still accepted: until the end of the second in which it expires.
    pub(super) fn left(&self, now: i64) -> Duration {
        let end = self.ends_at.saturating_add(1).saturating_mul(MICROS);
        Duration::from_micros(u64::try_from(end.saturating_sub(now)).unwrap_or(0))
    }
}

/// Returns the whole seconds of a duration.
fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Returns the whole seconds of a duration, in microseconds.
pub(super) fn micros(duration: Duration) -> i64 {
    seconds(duration).saturating_mul(MICROS)
}
