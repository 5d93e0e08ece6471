//! The port of keyring backups, as an erasure sees them.

/// Knows until when the keyring may be in a backup.
pub trait KeyringBackups: Send + Sync {
    /// Returns until when the backups of the keyring may be kept that were made so far, in microseconds since the Unix epoch;
    /// `None` if there are none any more. Until then, whoever has such a backup, a backup of the data and the master key can
    /// decrypt what was stored about a user who is erased now.
    fn keyring_backup_until(&self) -> Option<i64>;
}
