//! State of the handlers of backups.

use std::sync::Arc;

use actix_web::web::Data;
use domain::port::audit::AuditLog;
use domain::port::clock::Clock;
use parking_lot::Mutex;
use store::backup::Backups;
use tokio::sync::watch;

use super::transfer::Transfer;
use crate::http::credential_state::CredentialState;
use crate::http::request::caller::{Caller, Verifier};
use crate::http::request::expiry::Expiry;

/// State of the handlers of backups.
pub(crate) struct BackupState {
    pub(crate) backups: Arc<Backups>,
    /// The newest backup, from its beginning on. Locked while one begins, which takes as long as a checkpoint: use `try_lock`.
    pub(crate) transfer: Mutex<Option<Arc<Transfer>>>,
    /// Its entries are on the disk before they are copied.
    pub(crate) audit: Arc<dyn AuditLog>,
    /// The wall clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// Reads bodies.
    pub(crate) credentials: Data<CredentialState>,
    pub(crate) verifier: Arc<Verifier>,
    /// Turns true when the server stops.
    pub(crate) closing: watch::Receiver<bool>,
}

impl BackupState {
    /// Returns what ends a backup early: the end of the token, its revocation, or that of the server.
    pub(super) fn expiry(&self, caller: &Arc<Caller>) -> Expiry {
        Expiry::new(&self.verifier, caller, self.closing.clone())
    }
}
