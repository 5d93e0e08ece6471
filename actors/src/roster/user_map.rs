//! The hash table of the roster: one entry for each user in memory, in parts with a lock each.
//!
//! It is not a ready-made concurrent map, because the warm tier needs two things of it: a clock hand that walks over its
//! buckets, so that the order of use costs no list and no links, and parts small enough that the growth of one, which
//! moves its entries while it is locked, holds up nobody for long.

use domain::id::UserId;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::Mutex;
use siphasher::sip::SipHasher13;

/// Number of parts, a power of two. With ten million users, a part has about ten thousand entries of 64 bytes.
const PARTS: usize = 1_024;

/// A map from users to values. Its keys are hashed with a random key, as users choose their ids.
pub(super) struct UserMap<V> {
    parts: Box<[Mutex<Part<V>>]>,
    hasher: SipHasher13,
}

/// One part, on cache lines of its own.
#[repr(align(64))]
struct Part<V> {
    table: HashTable<(UserId, V)>,
    /// The bucket that the clock hand points to.
    hand: usize,
}

/// What the clock hand does with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// Keep it, and go on to the next.
    Keep,
    /// Remove it, and go on to the next.
    Remove,
}

impl<V> UserMap<V> {
    /// Returns an empty map. `key` must be random, and secret.
    pub(super) fn new(key: &[u8; 16]) -> Self {
        let part = || Mutex::new(Part { table: HashTable::new(), hand: 0 });
        Self { parts: (0..PARTS).map(|_| part()).collect(), hasher: SipHasher13::new_with_key(key) }
    }

    fn hash(&self, user: &UserId) -> u64 {
        self.hasher.hash(user.as_str().as_bytes())
    }

    /// Returns the part of a hash. The table uses the lowest and the highest bits of it.
    fn part(&self, hash: u64) -> &Mutex<Part<V>> {
        &self.parts[(hash >> 32) as usize % PARTS]
    }

    /// Runs `work` on a user's entry, which is locked meanwhile. `work` must not use the map.
    pub(super) fn with_entry<R>(&self, user: &UserId, work: impl FnOnce(Entry<'_, (UserId, V)>) -> R) -> R {
        let hash = self.hash(user);
        let mut part = self.part(hash).lock();
        work(part.table.entry(hash, |(other, _)| other == user, |(other, _)| self.hash(other)))
    }

    /// Runs `work` on a user's value, which is locked meanwhile. `work` must not use the map.
    pub(super) fn with<R>(&self, user: &UserId, work: impl FnOnce(Option<&mut V>) -> R) -> R {
        let hash = self.hash(user);
        let mut part = self.part(hash).lock();
        work(part.table.find_mut(hash, |(other, _)| other == user).map(|(_, value)| value))
    }

    /// Returns whether `test` holds for all values. Looks at every user.
    pub(super) fn all(&self, test: impl Fn(&V) -> bool) -> bool {
        self.parts.iter().all(|part| part.lock().table.iter().all(|(_, value)| test(value)))
    }

    /// Removes the values for which `keep` returns `false`. Looks at every user.
    pub(super) fn retain(&self, mut keep: impl FnMut(&mut V) -> bool) {
        for part in &self.parts {
            part.lock().table.retain(|(_, value)| keep(value));
        }
    }

    /// Returns the number of parts.
    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Turns the clock hand of a part by at most one round. The hand stops early when `visit` returns `None`.
    ///
    /// A hand that is in the middle of a table when the table grows goes on at the same bucket. Some users are passed over
    /// in that round, or have one chance less.
    pub(super) fn turn_hand(&self, part: usize, mut visit: impl FnMut(&mut V) -> Option<Visit>) {
        let mut part = self.parts[part % PARTS].lock();
        let Part { table, hand } = &mut *part;
        for _ in 0..table.num_buckets() {
            *hand = (*hand + 1) % table.num_buckets();
            let Ok(mut entry) = table.get_bucket_entry(*hand) else { continue };
            match visit(&mut entry.get_mut().1) {
                Some(Visit::Keep) => {}
                Some(Visit::Remove) => drop(entry.remove()),
                None => return,
            }
        }
    }
}
