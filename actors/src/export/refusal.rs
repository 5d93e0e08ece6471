//! Why a job is not started, and why a question has no answer.

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

/// Why it is not known what an export of everyone would need.
#[derive(Debug, thiserror::Error)]
pub enum FeasibilityRefusal {
    /// The columns are still being filled.
    #[error("the columns are still being filled after the start: try again in a minute")]
    NotReady,
    /// The classes cannot be counted, for this reason, which repeats no value of a profile.
    #[error("the classes cannot be counted: {0}")]
    NotCounted(&'static str),
    /// The server stops.
    #[error("the server stops")]
    Stopping,
}
