//! How a socket subscribes again to users that it has followed: it does not give up while the server is busy.

use std::future::Future;
use std::time::Duration;

use crate::http::audit::Disclosed;
use crate::http::problem::{Code, Problem};

/// How many times a user is subscribed to again when the answer is `busy`.
const MAX_ATTEMPTS: u32 = 8;
/// How long to wait between two attempts.
const RETRY_DELAY: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 250 });

/// Tries again while the outcome is `busy`, a bounded number of times.
///
/// # Errors
/// The last outcome.
pub(super) async fn unless_busy<T>(mut attempt: impl AsyncFnMut() -> Result<T, Problem>) -> Result<T, Problem> {
    let mut attempts_left = MAX_ATTEMPTS;
    loop {
        attempts_left -= 1;
        match attempt().await {
            Err(problem) if problem.is(Code::Busy) && attempts_left > 0 => tokio::time::sleep(RETRY_DELAY).await,
            outcome => return outcome,
        }
    }
}

/// Returns what a subscription discloses of a user that the client has followed before. A user of whom nothing is visible any
/// more is `gone` for the client and not unknown, so the subscription begins and discloses nothing.
///
/// # Errors
/// The profile cannot be read. The subscription must not begin, because its entry could not say what it discloses.
pub(super) async fn disclosed_again<F>(mut read: impl FnMut() -> F) -> Result<Disclosed, Problem>
where
    F: Future<Output = Result<Disclosed, Problem>>,
{
    match unless_busy(async || read().await).await {
        Err(problem) if problem.is(Code::UnknownUser) => Ok(Disclosed::NOTHING),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use domain::table::LeafSet;

    use super::*;

    fn problem(code: Code) -> Problem {
        Problem::new(code, "a test")
    }

    /// Returns what a subscription discloses if the first `failures` reads fail.
    async fn after(failures: u32, code: Code) -> Result<Disclosed, &'static str> {
        let mut reads = 0;
        let read = || {
            reads += 1;
            let seen = Disclosed::new(LeafSet::ALL, 1);
            std::future::ready(if reads > failures { Ok(seen) } else { Err(problem(code)) })
        };
        disclosed_again(read).await.map_err(|problem| problem.name())
    }

    #[tokio::test]
    async fn a_server_that_is_busy_does_not_take_the_fields_out_of_the_entry() {
        let seen = Disclosed::new(LeafSet::ALL, 1);
        assert_eq!(after(3, Code::Busy).await, Ok(seen));
        assert_eq!(after(u32::MAX, Code::Busy).await, Err("busy"));
        assert_eq!(after(u32::MAX, Code::Timeout).await, Err("timeout"));
        assert_eq!(after(u32::MAX, Code::Unavailable).await, Err("unavailable"));
        assert_eq!(after(u32::MAX, Code::UnknownUser).await, Ok(Disclosed::NOTHING), "the user is gone");
    }
}
