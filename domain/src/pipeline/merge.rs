//! Stage 2, merge: one event's writes into the source documents.

use crate::documents::{SourceDocuments, WriteOutcome};
use crate::event::{FeedEvent, RegisterPath, RegisterWrite};
use crate::table::{Member, MemberSet};

/// The result of merging an event.
pub(super) struct Merged {
    /// The documents with the event in them.
    pub(super) documents: SourceDocuments,
    /// The writes that the registers took, in the event's order.
    pub(super) taken: Vec<RegisterWrite>,
    /// Whether a register already holds a stamp of this event.
    pub(super) is_duplicate: bool,
    /// The members that must be assembled again because of the registers that were written. The trust section also
    /// follows the newest stamps.
    pub(super) touched: MemberSet,
}

/// Merges `event` into `documents`.
pub(super) fn merge(mut documents: SourceDocuments, event: &FeedEvent) -> Merged {
    let mut taken = Vec::with_capacity(event.writes.len());
    let mut is_duplicate = false;
    let mut touched = MemberSet::default();
    for write in &event.writes {
        match documents.write(event.source, event.time, &event.id, write) {
            WriteOutcome::Taken => {
                touch(&write.path, &mut touched);
                taken.push(write.clone());
            }
            WriteOutcome::Duplicate => is_duplicate = true,
            WriteOutcome::Superseded => {}
        }
    }
    Merged { documents, taken, is_duplicate, touched }
}

/// Adds the members whose assembly reads the register.
fn touch(path: &RegisterPath, touched: &mut MemberSet) {
    match path {
        RegisterPath::Leaf(leaf) => touched.insert(leaf.field().member),
        // Adjudication may change the winner of any shared path.
        RegisterPath::SourceConfidence => {
            for member in [Member::Demographics, Member::Economic, Member::Family] {
                touched.insert(member);
            }
        }
        RegisterPath::AggregatedMetrics => {}
        RegisterPath::SchemeStatus(_) => touched.insert(Member::Eligibility),
        RegisterPath::DeadlineDetails(_) | RegisterPath::DeadlineCompletion(_) => touched.insert(Member::Deadlines),
    }
}
