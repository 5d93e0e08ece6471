//! State of the handlers of the quarantine, and what they share.

use std::sync::Arc;

use actix_web::web::Data;
use actors::Profiles;
use store::{Quarantine, QuarantineError, UserKey};
use tokio::sync::Semaphore;

use crate::http::credential_state::{CredentialState, blocking};
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;

/// State of `/admin/quarantine…`.
pub(crate) struct QuarantineState {
    pub(crate) quarantine: Arc<Quarantine>,
    pub(crate) profiles: Profiles,
    /// The bounds of bodies that are read.
    pub(crate) credentials: Data<CredentialState>,
    /// The turn to let a user go on from a backup.
    pub(crate) restores: Arc<Semaphore>,
}

impl QuarantineState {
    /// Works on the quarantine, on a thread that may block.
    ///
    /// # Errors
    /// The work has failed.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Quarantine) -> Result<T, QuarantineError> + Send + 'static,
    ) -> Result<T, Problem> {
        let quarantine = Arc::clone(&self.quarantine);
        blocking(move || work(&quarantine)).await?.map_err(Problem::from)
    }
}

/// Returns the key of the path.
///
/// # Errors
/// The text is no key, which is answered like a key that nobody in quarantine has.
pub(super) fn key(context: &RequestContext) -> Result<UserKey, Problem> {
    UserKey::parse(context.request.match_info().query("key")).ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::new(Code::UnknownResource, "nobody with this key is in quarantine")
}

impl From<QuarantineError> for Problem {
    fn from(error: QuarantineError) -> Self {
        match error {
            QuarantineError::Unknown => unknown(),
            QuarantineError::Erased => Self::new(Code::Erased, error.to_string()),
            QuarantineError::WouldLose { .. } => {
                Self::new(Code::StillDamaged, format!("{error}: accept that with `accept_loss`"))
            }
            QuarantineError::StillDamaged { .. } | QuarantineError::NothingLeft | QuarantineError::Unfit { .. } => {
                Self::new(Code::StillDamaged, error.to_string())
            }
            QuarantineError::Store(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(error = cause, "the quarantine could not be read or changed");
                Self::new(Code::Unavailable, "the quarantine cannot be read or changed now: try again")
            }
        }
    }
}
