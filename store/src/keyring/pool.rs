//! The unused slots of the keyring.

use std::collections::VecDeque;
use std::io;

use domain::port::clock::Entropy;
use zeroize::Zeroizing;

use super::slot::{self, FIRST_GENERATION, SLOTS_PER_PAGE};
use super::writer::EncodeSlots;
use crate::disk::WriteFailed;
use crate::seal::{Cipher, KEY_BYTES, SecretKey};

/// Minimum number of slots that a refill writes.
const BATCH_SLOTS: usize = 1024;
/// Maximum number of slots that a refill writes, 512 KiB, unless more are needed at once.
const MAX_BATCH_SLOTS: usize = 8192;

/// Writes slots from the given one on, and makes them durable.
pub(super) type WriteBatch<'a> = &'a dyn Fn(u32, EncodeSlots<'_>) -> Result<(), WriteFailed>;

/// A slot with its key. Its generation is [`FIRST_GENERATION`].
pub(crate) struct IssuedSlot {
    pub(crate) slot: u32,
    pub(crate) key: SecretKey,
}

/// The slots that are written and synced but not used, lowest first.
pub(super) struct SlotPool {
    ready: VecDeque<IssuedSlot>,
    /// The first slot that was never written.
    next: u32,
}

impl SlotPool {
    /// Returns an empty pool. Its first batch starts at `next`, the first slot of a page.
    pub(super) fn starting_at(next: u32) -> Self {
        Self { ready: VecDeque::new(), next }
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Returns the first slot that was never written.
    pub(super) fn next_slot(&self) -> u32 {
        self.next
    }

    /// Returns the first slot of the run of ready slots at the end of the written ones.
    pub(super) fn first_unused(&self) -> u32 {
        let run = self.ready.iter().rev().zip(1..).take_while(|(issued, back)| issued.slot + back == self.next);
        self.next - run.count() as u32
    }

    pub(super) fn take(&mut self, count: usize) -> Vec<IssuedSlot> {
        self.ready.drain(..count.min(self.ready.len())).collect()
    }

    /// Puts slots back in their order, so that the unused slots stay one run.
    pub(super) fn give_back(&mut self, unused: Vec<IssuedSlot>) {
        // Every group calls this, and most have no new user. The sort would be a 25th of the cost of a POST.
        if unused.is_empty() {
            return;
        }
        self.ready.extend(unused);
        self.ready.make_contiguous().sort_unstable_by_key(|issued| issued.slot);
    }

    /// Writes one batch with `write`, so that at least `wanted` slots are ready.
    ///
    /// After a failed write or sync the content of the batch is unknown, so the next try starts behind it.
    pub(super) fn refill(&mut self, wanted: usize, entropy: &dyn Entropy, write: WriteBatch<'_>) -> io::Result<()> {
        // Where many new users come at once, more will follow.
        let missing = wanted - self.ready.len();
        let count = (missing * 4).clamp(BATCH_SLOTS, MAX_BATCH_SLOTS).max(missing);
        let count = count.next_multiple_of(SLOTS_PER_PAGE as usize);
        let first = self.next;
        let end = u32::try_from(count).ok().and_then(|count| first.checked_add(count));
        let end = end.ok_or_else(|| io::Error::other("the keyring has no slot left"))?;

        let mut secrets = Zeroizing::new(vec![0; count * KEY_BYTES]);
        entropy.fill(&mut secrets);
        let mut batch = Vec::with_capacity(count);
        for (number, secret) in (first..end).zip(secrets.chunks_exact(KEY_BYTES)) {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            key.copy_from_slice(secret);
            batch.push(IssuedSlot { slot: number, key: SecretKey::new(*key) });
        }
        let encode = |ring: &Cipher| {
            let slots = batch.iter().map(|issued| slot::encode(ring, issued.slot, FIRST_GENERATION, &issued.key));
            slots.collect::<Vec<_>>().concat()
        };
        match write(first, &encode) {
            // Nothing was written, so the next try may start at the same slot.
            Err(WriteFailed { partial: false, source }) => return Err(source),
            Err(WriteFailed { source, .. }) => {
                self.next = end;
                return Err(source);
            }
            Ok(()) => self.next = end,
        }
        self.ready.extend(batch);
        Ok(())
    }
}
