//! Users leave the tiers of memory: live ones become warm, and warm ones cold.

use std::sync::Arc;

use actix::prelude::*;
use domain::id::UserId;
use hashbrown::hash_table::Entry;

use super::Roster;
use super::entry::RosterEntry;
use super::user_map::Visit;
use super::warm::{PackedHead, WarmCounters, WarmUser};
use crate::head::HeadCell;
use crate::request::Request;

impl<A: Actor<Context = Context<A>> + Handler<Request>> Roster<A> {
    /// Ends the actor of a user if no message waits for it. After that, none can arrive. The user becomes `warm`, or cold if
    /// that is `None` or does not fit. Returns how many other users became cold; `None` if the actor goes on.
    pub(crate) fn passivate(&self, user: &UserId, cell: &Arc<HeadCell>, warm: Option<WarmUser>) -> Option<usize> {
        let warm = warm.filter(|warm| self.warm.has_room_for(warm));
        let is_warm = warm.is_some();
        // Returned, so that it is dropped after the lock.
        let _ended = self.users.with_entry(user, |entry| {
            let Entry::Occupied(mut occupied) = entry else { return None };
            let entry = &mut occupied.get_mut().1;
            if !entry.is_of(cell) || !cell.is_quiet() {
                return None;
            }
            let Some(mut warm) = warm else { return Some(occupied.remove().0.1) };
            // One is the roster's, and one the actor's. No other can be made of these two meanwhile.
            warm.set_has_views(Arc::strong_count(cell) > 2);
            self.warm.add(&warm);
            Some(std::mem::replace(entry, RosterEntry::Warm(warm)))
        })?;
        Some(if is_warm { self.enforce_warm_bound() } else { 0 })
    }

    /// Drops warm users until they are within their bound: those that have not been in use since the clock hand last passed
    /// them (CLOCK, second chance). They are in the store, as they became warm with nothing pending. Returns how many.
    fn enforce_warm_bound(&self) -> usize {
        let mut dropped = 0;
        // Two rounds suffice: after the first, no user has its second chance left.
        for _ in 0..2 * self.users.parts() {
            if !self.warm.is_over() {
                break;
            }
            self.users.turn_hand(self.warm.next_part(), |entry| {
                if !self.warm.is_over() {
                    return None;
                }
                let RosterEntry::Warm(warm) = entry else { return Some(Visit::Keep) };
                if warm.take_chance() {
                    return Some(Visit::Keep);
                }
                self.warm.remove(warm);
                dropped += 1;
                Some(Visit::Remove)
            });
        }
        dropped
    }

    /// Returns a copy of a warm user's head. `None` for every other user: the head of a live one changes, and a cold one is
    /// in the store. Any thread may call it; the entry is locked while the bytes are copied.
    pub(crate) fn packed(&self, user: &UserId) -> Option<PackedHead> {
        self.users.with(user, |entry| match entry {
            Some(RosterEntry::Warm(warm)) => warm.packed(),
            _ => None,
        })
    }

    /// Returns the numbers of the warm users.
    pub(crate) fn warm_counters(&self) -> WarmCounters {
        self.warm.counters()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::ProfileActor;

    #[test]
    fn an_entry_of_a_warm_user_is_one_cache_line() {
        assert_eq!(size_of::<(UserId, RosterEntry<ProfileActor>)>(), 64);
    }
}
