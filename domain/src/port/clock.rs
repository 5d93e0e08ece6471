//! The ports of time and randomness, which are injected: the domain and the actors have neither.

/// A clock that a test can stop.
pub trait Clock: Send + Sync {
    /// Microseconds since the Unix epoch, as assembly, the day and the check of `time` read it.
    fn now_micros(&self) -> i64;
}

/// A source of unguessable bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}
