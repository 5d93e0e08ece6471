//! Why a job is not started.

use domain::export::BudgetRefusal;
use domain::port::registry::RegistryError;

/// Why a job was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartRefusal {
    /// Too many jobs wait.
    #[error("too many exports wait: try again later")]
    Busy,
    /// The privacy budget does not allow it.
    #[error(transparent)]
    Budget(BudgetRefusal),
    /// The job could not be stored.
    #[error("the job could not be stored")]
    Unavailable(#[source] RegistryError),
    /// The server stops.
    #[error("the server stops")]
    Stopping,
}
