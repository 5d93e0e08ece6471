//! The oldest token of a service that was accepted and has not expired.

use parking_lot::Mutex;

use super::lifetime::{Lifetime, MICROS};

/// The oldest token. Tokens whose verification was remembered were noted when they were verified.
#[derive(Default)]
pub(super) struct OldestToken(Mutex<Option<Lifetime>>);

impl OldestToken {
    /// Notes a token that is accepted at the time `now`, in microseconds since the Unix epoch.
    pub(super) fn note(&self, token: Lifetime, now: i64) {
        let mut oldest = self.0.lock();
        if oldest.is_none_or(|known| has_expired(&known, now) || token.made_from < known.made_from) {
            *oldest = Some(token);
        }
    }

    /// Returns the earliest time at which the oldest token can have been made, in microseconds since the Unix epoch.
    pub(super) fn made_from(&self, now: i64) -> Option<i64> {
        self.0.lock().filter(|token| !has_expired(token, now)).map(|token| token.made_from)
    }
}

fn has_expired(token: &Lifetime, now: i64) -> bool {
    now.div_euclid(MICROS) > token.ends_at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_token_counts_until_it_expires() {
        let token = |made: i64, ends_at| Lifetime { made_from: made * MICROS, starts_at: made * MICROS, ends_at };
        let oldest = OldestToken::default();
        assert_eq!(oldest.made_from(0), None);
        for (made, ends) in [(50, 500), (10, 100), (20, 900)] {
            oldest.note(token(made, ends), 60 * MICROS);
        }
        assert_eq!(oldest.made_from(100 * MICROS), Some(10 * MICROS));
        assert_eq!(oldest.made_from(101 * MICROS), None);
        oldest.note(token(20, 900), 101 * MICROS);
        assert_eq!(oldest.made_from(101 * MICROS), Some(20 * MICROS));
    }
}
