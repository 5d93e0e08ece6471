//! Turns: how long one actor, or one task of a shard, works before the others of the shard run (ADR 0011).
//!
//! They are needed because actix polls a mailbox until it is empty, and a mailbox that is filled as fast as it is emptied
//! never is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Maximum number of messages in one turn.
pub(crate) const MAX_MESSAGES: u32 = 32;
/// Maximum duration of a turn, except one of outcomes.
const MAX_TIME: Duration = Duration::from_millis(1);

/// Maximum duration of a turn of outcomes.
const MAX_OUTCOME_TIME: Duration = Duration::from_millis(20);

/// The work since the last pause.
#[derive(Debug)]
pub(crate) struct Turn {
    messages: u32,
    spent_nanos: u32,
    is_of_outcomes: bool,
    /// The duration after which the turn is over.
    time: Duration,
}

impl Default for Turn {
    fn default() -> Self {
        Self { messages: 0, spent_nanos: 0, is_of_outcomes: false, time: MAX_TIME }
    }
}

impl Turn {
    /// Returns the turn of a shard's events: outcomes of commits, and users that were loaded. Between two such turns every
    /// busy actor has a turn of its own. So the number of events is not limited, and they may take as long as the actors
    /// took, up to [`MAX_OUTCOME_TIME`]. Otherwise many actors would make more commits than the shard settles.
    pub(crate) fn for_outcomes() -> Self {
        Self { is_of_outcomes: true, ..Self::default() }
    }

    /// Does one piece of work. Returns whether the turn is over. Then the caller must pause, and a new turn begins.
    pub(crate) fn work(&mut self, work: impl FnOnce()) -> bool {
        let started = Instant::now();
        work();
        self.messages += 1;
        let nanos = u32::try_from(started.elapsed().as_nanos()).unwrap_or(u32::MAX);
        self.spent_nanos = self.spent_nanos.saturating_add(nanos);
        let is_counted = !self.is_of_outcomes && self.messages >= MAX_MESSAGES;
        let is_over = is_counted || u128::from(self.spent_nanos) >= self.time.as_nanos();
        if is_over {
            (self.messages, self.spent_nanos) = (0, 0);
        }
        is_over
    }

    /// Does one piece of work of a shard, then pauses if the turn is over. A panic is logged with `doing`, and does not end
    /// the shard.
    pub(crate) async fn work_guarded(&mut self, doing: &str, work: impl FnOnce()) {
        let guarded = || {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("a shard panicked while {doing}");
            }
        };
        if self.work(guarded) {
            let paused = Instant::now();
            tokio::task::yield_now().await;
            if self.is_of_outcomes {
                self.time = paused.elapsed().clamp(MAX_TIME, MAX_OUTCOME_TIME);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_after_some_tens_of_messages_or_a_long_one() {
        let mut turn = Turn::default();
        let long = MAX_TIME;
        assert!(turn.work(|| std::thread::sleep(long)), "one message may be long");
        // On a busy machine a turn may end sooner, but never later.
        let messages = (1..).find(|_| turn.work(|| {})).expect("a turn ends");
        assert!(messages <= MAX_MESSAGES);
    }
}
