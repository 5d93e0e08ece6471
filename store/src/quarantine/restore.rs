//! A user in quarantine goes on from a backup.

use super::{PATIENCE, Quarantine, QuarantineError, ReleasedUser, StoredRecords, UserKey, busy};
use crate::backup::{BackedUpUser, past_position};
use crate::user_hash::UserHash;

impl Quarantine {
    /// Returns how a user would go on from what a backup has, and changes nothing.
    ///
    /// # Errors
    /// As [`Self::restore`], but for a loss.
    pub fn check_restore(&self, key: UserKey, backed_up: &BackedUpUser) -> Result<ReleasedUser, QuarantineError> {
        let user = self.known(key)?;
        self.checkpointer.check_restore(&user, &self.fitting_records(&user, backed_up)?)
    }

    /// Puts what a backup has of a user in place of what the store has. If the frames in quarantine follow it and fold, the user
    /// has everything that was acknowledged. Otherwise, if `may_lose`, the user goes on as after [`Self::drop_frames`]. Durable
    /// when it returns.
    ///
    /// # Errors
    /// The records do not open under the user's key, do not fit, or something would be lost. The user stays in quarantine, as it
    /// was.
    pub fn restore(
        &self,
        key: UserKey,
        backed_up: &BackedUpUser,
        may_lose: bool,
    ) -> Result<ReleasedUser, QuarantineError> {
        let user = self.known(key)?;
        let records = self.fitting_records(&user, backed_up)?;
        let _no_checkpoint = self.checkpointer.lock_out(PATIENCE).ok_or_else(busy)?;
        // Another call, or an erasure, may have come first.
        self.checkpointer.restore(&self.known(key)?, &records, may_lose)
    }

    /// Returns the records of a backup that was made of this store, or of what it was restored from.
    fn fitting_records(&self, user: &UserHash, backed_up: &BackedUpUser) -> Result<StoredRecords, QuarantineError> {
        let unfit = |what: &str| QuarantineError::Unfit { what: what.to_owned() };
        backed_up.authenticate(&self.engine.keyring.system_keys()).map_err(unfit)?;
        let (epoch, position) = backed_up.moment();
        let end = match epoch == self.engine.segments.epoch() {
            true => Some(self.engine.durable_end()),
            false => past_position(&self.registry, epoch),
        };
        // Its sequences have other contents here, and revisions would come twice.
        if end.is_none_or(|end| position > end) {
            return Err(unfit(
                "the backup has a later past than this data directory, which was restored from an earlier one",
            ));
        }
        backed_up.records(user).ok_or_else(|| unfit("a value is of another user, or is missing"))
    }
}
