//! The head cell: what readers check a cached view against, without asking the actor.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use domain::state::UserState;

/// A user's committed (generation, revision) in one word: 20 bits and 44 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// No state yet: equal to the stamp of no state.
    const NONE: Self = Self(0);
    /// The incarnation is over: equal to the stamp of no state.
    const RETIRED: Self = Self(u64::MAX);

    /// The stamp of a state.
    pub(crate) fn of(state: &UserState) -> Self {
        Self(u64::from(state.generation) << 44 | (state.envelope.revision & ((1 << 44) - 1)))
    }
}

/// One incarnation's head, shared by its roster entry, its actor and the views that were made of it.
///
/// A view is current while its stamp equals the cell's. The cell moves before the revision is published or
/// acknowledged; so a slow reader that puts an old view back into the cache harms nobody: the view is never served.
///
/// A cell outlives an actor that passivates, so that the views of its head stay good. The next incarnation goes on with
/// the cell of the views in the cache if it begins at the very head that they show, and retires it if not. A cell is
/// retired, too, when its actor ends in any other way.
#[derive(Debug)]
pub(crate) struct HeadCell {
    stamp: AtomicU64,
    inbox: AtomicU32,
}

impl HeadCell {
    pub(crate) fn new(state: Option<&UserState>) -> Self {
        let stamp = state.map_or(Stamp::NONE, Stamp::of);
        Self { stamp: AtomicU64::new(stamp.0), inbox: AtomicU32::new(0) }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(self.stamp.load(Ordering::Acquire))
    }

    /// Moves on to a newer head. A retired cell stays retired.
    pub(crate) fn advance(&self, state: &UserState) {
        self.advance_to(Stamp::of(state));
    }

    fn advance_to(&self, stamp: Stamp) {
        let next = |now: u64| (now != Stamp::RETIRED.0).then_some(stamp.0);
        let _ = self.stamp.fetch_update(Ordering::Release, Ordering::Relaxed, next);
    }

    /// Makes every view of this incarnation stale, for ever.
    pub(crate) fn retire(&self) {
        self.stamp.store(Stamp::RETIRED.0, Ordering::Release);
    }

    /// Counts a message into the actor's mailbox. The roster's lock, not this counter, orders it with passivation.
    pub(crate) fn message_in(&self) {
        self.inbox.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message out: it was handled, or did not get in.
    pub(crate) fn message_out(&self) {
        self.inbox.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether no message waits or is being handled.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inbox.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_cell_stays_retired() {
        let cell = HeadCell::new(None);
        cell.retire();
        cell.advance_to(Stamp(7));
        assert_eq!(cell.stamp(), Stamp::RETIRED);
    }
}
