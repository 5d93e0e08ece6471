//! A table of a fixed size that counts reads by service, user and hour. Each pair has one place; another pair with the same
//! place takes it over, and what was counted there is handed out.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use domain::id::UserId;

use super::disclosed::Disclosed;

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadKey {
    /// Hours since the Unix epoch.
    pub(super) hour: i64,
    /// The service.
    pub(super) subject: Arc<str>,
    pub(super) action: &'static str,
    pub(super) user: UserId,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) reads: u64,
    /// What all of them disclosed.
    pub(super) disclosed: Disclosed,
}

/// The table.
pub(super) struct CountTable {
    places: Box<[Option<(ReadKey, Counted)>]>,
    /// Whether a service is placed by the address of its text, which is faster. It differs between texts of the same content,
    /// so that a service may have several places.
    is_local: bool,
}

impl ReadKey {
    /// Returns the part of a divided table that the key belongs to.
    pub(super) fn part(&self, parts: usize) -> usize {
        (hash(text_seed(&self.subject), &self.user) >> 48) as usize % parts
    }

    fn is(&self, hour: i64, subject: &Arc<str>, action: &'static str, user: &UserId) -> bool {
        // All tokens of a service share one text, so another allocation is rare.
        let is_same_subject = Arc::ptr_eq(&self.subject, subject) || self.subject == *subject;
        self.hour == hour && self.user == *user && is_same_subject && self.action == action
    }
}

impl CountTable {
    /// Returns an empty table. `places` is a power of two.
    pub(super) fn new(places: usize) -> Self {
        debug_assert!(places.is_power_of_two());
        Self { places: std::iter::repeat_with(|| None).take(places).collect(), is_local: false }
    }

    /// Returns an empty table for one thread.
    pub(super) fn local(places: usize) -> Self {
        Self { is_local: true, ..Self::new(places) }
    }

    /// Counts one read if its pair has its place. Returns whether it has.
    pub(super) fn count(
        &mut self,
        hour: i64,
        subject: &Arc<str>,
        action: &'static str,
        user: &UserId,
        disclosed: Disclosed,
    ) -> bool {
        let place = self.place(subject, action, user);
        match &mut self.places[place] {
            Some((key, counted)) if key.is(hour, subject, action, user) => {
                counted.reads += 1;
                counted.disclosed = counted.disclosed.and_later(disclosed);
                true
            }
            _ => false,
        }
    }

    /// Adds reads if their pair has its place. Returns whether it has.
    pub(super) fn add(&mut self, key: &ReadKey, reads: u64, disclosed: Disclosed) -> bool {
        let place = self.place(&key.subject, key.action, &key.user);
        match &mut self.places[place] {
            Some((known, counted)) if known == key => {
                counted.reads += reads;
                counted.disclosed = counted.disclosed.and_later(disclosed);
                true
            }
            _ => false,
        }
    }

    /// Gives a pair its place, and returns what was there.
    pub(super) fn replace(&mut self, key: ReadKey, counted: Counted) -> Option<(ReadKey, Counted)> {
        let place = self.place(&key.subject, key.action, &key.user);
        self.places[place].replace((key, counted))
    }

    /// Removes and returns what was counted in hours before `hour`.
    pub(super) fn take_before(&mut self, hour: i64) -> Vec<(ReadKey, Counted)> {
        let is_before =
            |place: &&mut Option<(ReadKey, Counted)>| place.as_ref().is_some_and(|(key, _)| key.hour < hour);
        self.places.iter_mut().filter(is_before).filter_map(Option::take).collect()
    }

    fn place(&self, subject: &Arc<str>, action: &'static str, user: &UserId) -> usize {
        let seed = if self.is_local { Arc::as_ptr(subject).cast::<u8>() as usize as u64 } else { text_seed(subject) };
        // The lengths of actions differ. With one place for all, a service that alternates between two actions would
        // leave an entry at each call.
        hash(seed ^ (action.len() as u64) << 56, user) as usize & (self.places.len() - 1)
    }
}

/// Returns the place of a pair, before it is reduced to the size of a table. It need not withstand an attacker: a place that
/// is taken over costs an entry of a log that is bounded anyway.
fn hash(seed: u64, user: &UserId) -> u64 {
    let mut hasher = PlaceHasher(seed);
    user.hash(&mut hasher);
    hasher.finish()
}

/// Returns a seed that is the same for all texts with this content.
fn text_seed(subject: &str) -> u64 {
    let mut hasher = PlaceHasher(0);
    hasher.write(subject.as_bytes());
    hasher.finish()
}

/// A hash that takes a few instructions for each eight bytes.
struct PlaceHasher(u64);

impl PlaceHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for PlaceHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        let (halves, rest) = rest.as_chunks::<4>();
        halves.iter().for_each(|half| self.mix(u64::from(u32::from_le_bytes(*half))));
        rest.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
}
