//! Stage 2, merge: one event's writes into the source documents.

use crate::documents::{SourceDocuments, WriteOutcome};
use crate::event::{FeedEvent, RegisterPath, RegisterWrite};
use crate::source::Source;
use crate::table::Member;

/// The result of merging an event.
pub(super) struct Merged {
    /// The documents with the event in them.
    pub(super) documents: SourceDocuments,
    /// The writes that the registers took, in the event's order.
    pub(super) taken: Vec<RegisterWrite>,
    /// Whether a register already holds a stamp of this event.
    pub(super) is_duplicate: bool,
    /// The members that must be assembled again.
    pub(super) touched: Touched,
}

/// A set of members.
#[derive(Clone, Copy, Default)]
pub(super) struct Touched(u16);

impl Touched {
    pub(super) const ALL: Self = Self((1 << Member::COUNT) - 1);

    pub(super) fn insert(&mut self, member: Member) {
        self.0 |= 1 << member as u16;
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Member> {
        Member::ALL.iter().copied().filter(move |member| self.0 & (1 << *member as u16) != 0)
    }
}

impl FromIterator<Member> for Touched {
    fn from_iter<T: IntoIterator<Item = Member>>(members: T) -> Self {
        let mut touched = Self::default();
        members.into_iter().for_each(|member| touched.insert(member));
        touched
    }
}

/// Merges `event` into `documents`.
pub(super) fn merge(mut documents: SourceDocuments, event: &FeedEvent) -> Merged {
    let mut taken = Vec::with_capacity(event.writes.len());
    let mut is_duplicate = false;
    let before = newest(&documents, event.source);
    let mut touched = Touched::default();
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
    if newest(&documents, event.source) != before {
        // source_trace and data_freshness_hours follow the newest stamp of every source.
        touched.insert(Member::Trust);
    }
    Merged { documents, taken, is_duplicate, touched }
}

fn newest(documents: &SourceDocuments, source: Source) -> Option<i64> {
    documents.document(source)?.newest()
}

/// Adds the members whose assembly reads the register.
fn touch(path: &RegisterPath, touched: &mut Touched) {
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
