//! Checks whether a caller may see a user. Refusals do not reveal whether the user exists.

use std::future::Future;
use std::time::Duration;

use actix_web::HttpRequest;
use actors::ReadError;
use domain::access::Viewer;
use domain::id::UserId;

use super::caller::Caller;
use crate::http::problem::{Code, Problem};

/// Denials of callers who must not learn whether a user exists are sent at a multiple of this time after the request.
/// All denials take the same code path (ADR 0012), but loading a hidden user for the first time takes longer than
/// finding no user: the response time would reveal whether the user exists.
const DENIAL_QUANTUM: Duration = Duration::from_millis(50);

/// Returns the user id of the path `…/{user_id}…`.
///
/// # Errors
/// The text is no user id, which is answered with [`Code::UnknownUser`] like an id that no user has.
pub(crate) fn user_id(request: &HttpRequest) -> Result<UserId, Problem> {
    UserId::parse(request.match_info().query("user_id")).map_err(|_| Problem::unknown_user())
}

/// Refuses a caller who cannot see this user in any state. This comes before the user is looked up, because the time of
/// a look-up would reveal whether the user exists.
///
/// # Errors
/// [`Code::UnknownUser`], as for an id that no user has.
pub(crate) fn check_visibility(caller: &Caller, user: &UserId) -> Result<(), Problem> {
    if caller.viewer.may_ever_see(user) { Ok(()) } else { Err(Problem::unknown_user()) }
}

/// Waits for a read on behalf of `viewer`, at most `request_timeout`. Denials that could reveal whether the user exists
/// are held back until the next multiple of [`DENIAL_QUANTUM`].
///
/// # Errors
/// The read has failed, or has taken too long, which is answered with [`Code::Timeout`].
pub(crate) async fn read_within<T>(
    request_timeout: Duration,
    viewer: &Viewer,
    read: impl Future<Output = Result<T, ReadError>>,
) -> Result<T, Problem> {
    let asked = tokio::time::Instant::now();
    match tokio::time::timeout(request_timeout, read).await {
        Ok(Err(ReadError::Unknown | ReadError::Erased)) if viewer.existence_may_be_hidden() => {
            tokio::time::sleep_until(asked + denial_time(asked.elapsed())).await;
            Err(ReadError::Unknown.into())
        }
        Ok(read) => read.map_err(Problem::from),
        Err(_) => Err(Problem::new(Code::Timeout, "the profile could not be read in time")),
    }
}

/// Returns how long after the request a denial is sent that was known after `elapsed`.
fn denial_time(elapsed: Duration) -> Duration {
    let quanta = elapsed.as_nanos() / DENIAL_QUANTUM.as_nanos() + 1;
    DENIAL_QUANTUM * u32::try_from(quanta).unwrap_or(u32::MAX)
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unknown => Self::unknown_user(),
            ReadError::Erased => Self::erased(),
            ReadError::Busy => Self::new(Code::Busy, "too many profiles are being loaded: try again"),
            ReadError::Unavailable => Self::new(Code::Unavailable, "the profile cannot be read now"),
            ReadError::TooLong => Self::new(Code::Timeout, "the answer takes too long to make: ask for less"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_less_than_a_quantum_is_denied_at_the_same_time() {
        let quantum = DENIAL_QUANTUM;
        let instant = Duration::from_nanos(1);
        for elapsed in [Duration::ZERO, instant, quantum / 2, quantum - instant] {
            assert_eq!(denial_time(elapsed), quantum);
        }
        for elapsed in [quantum, quantum + instant, 2 * quantum - instant] {
            assert_eq!(denial_time(elapsed), 2 * quantum);
        }
    }
}
