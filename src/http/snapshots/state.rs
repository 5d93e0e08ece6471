//! State of the handlers of snapshots, and what they share.

use std::future::Future;
use std::time::Duration;

use actors::Profiles;
use actors::snapshots::SnapshotError;
use domain::access::Viewer;
use domain::snapshot::SnapshotId;

use crate::http::problem::{Code, Problem};
use crate::http::request::access::read_within;
use crate::http::request::context::RequestContext;
use crate::http::request::in_flight::InFlight;

/// State of the handlers of snapshots.
pub(crate) struct SnapshotState {
    pub(crate) profiles: Profiles,
    /// The memory budget of request bodies.
    pub(crate) in_flight: InFlight,
    /// How long a request may take.
    pub(crate) request_timeout: Duration,
    /// Maximum time between two pieces of the body.
    pub(crate) body_timeout: Duration,
}

impl SnapshotState {
    /// Waits for a request about snapshots on behalf of `viewer`, for as long as a request may take.
    ///
    /// # Errors
    /// The request has failed, or has taken too long.
    pub(super) async fn within<T>(
        &self,
        viewer: &Viewer,
        work: impl Future<Output = Result<T, SnapshotError>>,
    ) -> Result<T, Problem> {
        let separated = async {
            match work.await {
                Err(SnapshotError::Read(error)) => Err(error),
                other => Ok(other),
            }
        };
        read_within(self.request_timeout, viewer, separated).await?.map_err(Problem::from)
    }
}

/// Returns the snapshot of the path.
///
/// # Errors
/// The text is no id, which is answered like one that no snapshot has.
pub(super) fn snapshot_id(context: &RequestContext) -> Result<SnapshotId, Problem> {
    SnapshotId::parse(context.request.match_info().query("id")).map_err(|_| unknown_snapshot())
}

fn unknown_snapshot() -> Problem {
    Problem::new(Code::UnknownSnapshot, "the profile has no snapshot with this id, or has it no more")
}

impl From<SnapshotError> for Problem {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Read(error) => error.into(),
            SnapshotError::Unknown => unknown_snapshot(),
            SnapshotError::TooMany { limit } => Self::new(
                Code::TooManySnapshots,
                format!(
                    "the profile has {limit} snapshots, which is the limit: wait until one expires, or have one removed"
                ),
            ),
        }
    }
}
