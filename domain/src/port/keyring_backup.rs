//! The port of backups of the keyring: until when one may exist that still has the key of a user who is erased now.

/// Knows of the backups of the keyring.
pub trait KeyringBackups: Send + Sync {
    /// Returns when the last backup of the keyring expires that was made until now, in microseconds since the Unix epoch;
    /// `None` if none is known.
    fn kept_until(&self) -> Option<i64>;
}
