//! The entries of a category that are written together, and the answers to those who wait for them.

use domain::port::audit::{AuditDecision, AuditEntry, AuditError, AuditReceipt, AuditValue, NOT_DONE_MEMBER};

use super::queue::WaitingSender;

/// Entries of a category, with those who wait for them.
#[derive(Default)]
pub(super) struct EntryBatch {
    entries: Vec<AuditEntry>,
    waiting: Vec<Option<WaitingSender>>,
}

impl EntryBatch {
    /// Returns a batch that nobody waits for.
    pub(super) fn of_notes(entries: Vec<AuditEntry>) -> Self {
        let waiting = entries.iter().map(|_| None).collect();
        Self { entries, waiting }
    }

    pub(super) fn push(&mut self, entry: AuditEntry, waiting: Option<WaitingSender>) {
        self.entries.push(entry);
        self.waiting.push(waiting);
    }

    pub(super) fn entries(&self) -> &[AuditEntry] {
        &self.entries
    }

    /// Returns whether somebody waits for an entry.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.iter().any(Option::is_some)
    }

    /// Removes everything but the first `count` entries, and returns it.
    pub(super) fn split_off(&mut self, count: usize) -> Self {
        Self { entries: self.entries.split_off(count), waiting: self.waiting.split_off(count) }
    }

    /// Says where the entries are, which are durable. Returns an entry for each one whose sender has stopped waiting before it
    /// did what the entry says, which says that nothing was done.
    pub(super) fn confirm(self, receipts: Vec<AuditReceipt>) -> Vec<AuditEntry> {
        let answers = self.entries.iter().zip(self.waiting).zip(receipts);
        let given_up = answers.filter_map(|((entry, waiting), receipt)| {
            let is_given_up = waiting.is_some_and(|waiting| waiting.answer(Ok(receipt)));
            is_given_up.then(|| not_done(entry, receipt.seq))
        });
        given_up.collect()
    }

    /// Says why the entries were not written. Returns how many nobody waited for.
    pub(super) fn refuse(self, error: AuditError) -> usize {
        let notes = self.waiting.iter().filter(|waiting| waiting.is_none()).count();
        for waiting in self.waiting.into_iter().flatten() {
            waiting.answer(Err(error));
        }
        notes
    }
}

/// Returns the entry that follows the one with the number `seq`, which became durable when nobody waited for it any more.
fn not_done(entry: &AuditEntry, seq: u64) -> AuditEntry {
    let AuditEntry { subject, generation, tenant, ref request_id, .. } = *entry;
    let (decision, request_id) = (AuditDecision::Failed, request_id.clone());
    let about = AuditEntry::new(entry.category, entry.action, entry.actor.clone());
    let about = AuditEntry { subject, generation, tenant, decision, request_id, ..about };
    about.with(NOT_DONE_MEMBER, AuditValue::Integer(i64::try_from(seq).unwrap_or(i64::MAX)))
}
