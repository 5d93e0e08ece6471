//! The head cell: readers check a cached view against it, without a request to the actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use domain::access::{Consent, SharingLevel};
use domain::erasure::Tombstone;
use domain::state::UserState;

use crate::priority::Pool;

/// A user's committed generation (20 bits) and revision (44 bits) in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// There is no state yet. Differs from the stamp of every state.
    const NONE: Self = Self(0);
    /// The incarnation has ended. Differs from the stamp of every state.
    const RETIRED: Self = Self(u64::MAX);

    /// Returns the stamp of a state.
    pub(crate) fn from_state(state: &UserState) -> Self {
        Self(u64::from(state.generation) << 44 | (state.envelope.revision & ((1 << 44) - 1)))
    }

    /// Returns the stamp of an erased user. No state has it: a revision is not that great.
    fn from_tombstone(tombstone: &Tombstone) -> Self {
        Self(u64::from(tombstone.generation) << 44 | ((1 << 44) - 1))
    }
}

/// The head of one incarnation of an actor, shared by the roster entry, the actor and the views that were made of it.
///
/// A view is current while its stamp equals the cell's. The cell moves before the revision is published or acknowledged,
/// so an old view that a slow reader puts back into the cache is never served.
///
/// A cell outlives an actor that is passivated for as long as views hold it, so that the views of its head stay valid. While
/// the user is warm or cold, nothing can commit, so the cell stays true. The next incarnation takes over the cell of the
/// cached views if it begins at the head that they show; otherwise it retires the cell. A cell is also retired when its
/// actor ends in any other way.
///
/// An actor is not passivated while a reader holds its head (see [`HeadLease`]). Otherwise the reader could put a view into
/// the cache after the next incarnation has begun with another cell, and nothing would ever make that view outdated.
#[derive(Debug)]
pub(crate) struct HeadCell {
    stamp: AtomicU64,
    /// The head's consent, for callers who must not learn whether the user exists: their reads do not depend on the
    /// actor's mailbox.
    consent: AtomicU8,
    /// Number of [`HeadLease`]s of the cell.
    leases: AtomicU32,
    /// The messages that wait for the actor, or are being handled.
    inbox: Pool,
}

/// Keeps the actor of a head from being passivated, for as long as a reader makes an answer from that head. Does not keep
/// it from ending after a fault: its cell is retired then.
#[derive(Debug)]
pub(crate) struct HeadLease(Arc<HeadCell>);

impl HeadLease {
    /// Takes a lease. Only the shard of the cell's actor may do so, as it is the shard that passivates.
    pub(crate) fn take(cell: &Arc<HeadCell>) -> Self {
        cell.leases.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(cell))
    }

    /// Returns the cell.
    pub(crate) fn cell(&self) -> &Arc<HeadCell> {
        &self.0
    }
}

impl Drop for HeadLease {
    fn drop(&mut self) {
        // Whoever sees the lease ended also sees what its reader put into the cache.
        self.0.leases.fetch_sub(1, Ordering::Release);
    }
}

/// Set if there is a head.
const HAS_HEAD: u8 = 1;
const THIRD_PARTY: u8 = 2;
const LEVELS: [(u8, SharingLevel); 3] =
    [(0, SharingLevel::Minimal), (4, SharingLevel::Standard), (8, SharingLevel::Full)];

/// The consent at a head, or that there is no head, in the four lowest bits of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsentBits(u8);

impl ConsentBits {
    /// Returns the bits of a head's consent; `None` if there is no head.
    fn new(consent: Option<Consent>) -> Self {
        let Some(consent) = consent else { return Self(0) };
        let level = LEVELS.into_iter().find(|(_, level)| *level == consent.level).map_or(0, |(bits, _)| bits);
        Self(HAS_HEAD | level | if consent.third_party_sharing { THIRD_PARTY } else { 0 })
    }

    /// Returns what [`Self::bits`] returned.
    pub(crate) fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Returns the byte.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// Returns the consent; `None` if there is no head.
    pub(crate) fn consent(self) -> Option<Consent> {
        let (_, level) = LEVELS.into_iter().find(|(of_level, _)| self.0 & 12 == *of_level)?;
        (self.0 & HAS_HEAD != 0).then_some(Consent { level, third_party_sharing: self.0 & THIRD_PARTY != 0 })
    }
}

impl HeadCell {
    /// Returns a cell at `state`; `None` if there is no head yet.
    pub(crate) fn new(state: Option<&UserState>) -> Self {
        let stamp = state.map_or(Stamp::NONE, Stamp::from_state);
        Self::at(stamp, ConsentBits::new(state.map(UserState::consent)))
    }

    /// Returns a cell at the head of a user that was warm. The consent is known, so that it need not be unpacked.
    pub(crate) fn for_warm(state: &UserState, consent: ConsentBits) -> Self {
        Self::at(Stamp::from_state(state), consent)
    }

    fn at(stamp: Stamp, consent: ConsentBits) -> Self {
        Self {
            stamp: AtomicU64::new(stamp.0),
            consent: AtomicU8::new(consent.0),
            leases: AtomicU32::new(0),
            inbox: Pool::default(),
        }
    }

    /// Returns the stamp of the head.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp(self.stamp.load(Ordering::Acquire))
    }

    /// Moves to a newer head. A retired cell stays retired.
    pub(crate) fn advance(&self, state: &UserState) {
        // What was not written since the state was unpacked is what the cell began with.
        if let Some(consent) = state.profile.written_consent() {
            self.consent.store(ConsentBits::new(Some(consent)).0, Ordering::Release);
        }
        self.advance_to(Stamp::from_state(state));
    }

    /// Moves to the erasure of the head's generation. There is no consent any more.
    pub(crate) fn advance_to_tombstone(&self, tombstone: &Tombstone) {
        self.consent.store(ConsentBits::new(None).0, Ordering::Release);
        self.advance_to(Stamp::from_tombstone(tombstone));
    }

    fn advance_to(&self, stamp: Stamp) {
        let next = |now: u64| (now != Stamp::RETIRED.0).then_some(stamp.0);
        let _ = self.stamp.fetch_update(Ordering::Release, Ordering::Relaxed, next);
    }

    /// Makes every view of this incarnation outdated, for ever.
    pub(crate) fn retire(&self) {
        self.stamp.store(Stamp::RETIRED.0, Ordering::Release);
    }

    /// Returns the consent at the head; `None` if there is no head.
    pub(crate) fn consent(&self) -> Option<Consent> {
        self.consent_bits().consent()
    }

    /// Returns the same in a byte.
    pub(crate) fn consent_bits(&self) -> ConsentBits {
        ConsentBits(self.consent.load(Ordering::Acquire))
    }

    /// Counts a message into the actor's mailbox if fewer than `limit` are in it. The roster's lock orders this with
    /// passivation; the counter alone would not.
    pub(crate) fn message_in(&self, limit: usize) -> bool {
        self.inbox.try_take(limit)
    }

    /// Counts messages that waited for the actor before it existed.
    pub(crate) fn messages_in(&self, messages: usize) {
        self.inbox.add(messages);
    }

    /// Counts a message out, which was handled or was not sent after all.
    pub(crate) fn message_out(&self) {
        self.inbox.give_back(1);
    }

    /// Returns whether a message waits or is being handled.
    pub(crate) fn has_messages(&self) -> bool {
        self.inbox.taken() > 0
    }

    /// Returns whether no message waits or is being handled, and no reader holds the head.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inbox.taken() == 0 && self.leases.load(Ordering::Acquire) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_consent_beside_a_head_is_the_heads() {
        assert_eq!(HeadCell::new(None).consent(), None);
        for (_, level) in LEVELS {
            for third_party_sharing in [false, true] {
                let consent = Consent { level, third_party_sharing };
                assert_eq!(ConsentBits::new(Some(consent)).consent(), Some(consent));
            }
        }
    }

    #[test]
    fn a_retired_cell_stays_retired() {
        let cell = HeadCell::new(None);
        cell.retire();
        cell.advance_to(Stamp(7));
        assert_eq!(cell.stamp(), Stamp::RETIRED);
    }
}
