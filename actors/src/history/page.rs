//! Pages of a user's revisions.

use domain::access::Viewer;
use domain::id::UserId;
use domain::port::store::{ProfileStore, StoreError};
use domain::record::{Cause, RevisionEntry, RevisionList, VisibleCause};
use domain::table::LeafSet;

use crate::reading::ReadInput;

/// How much wider the next look is if a page was not full, because revisions are missing in history.
const WIDEN: u64 = 16;

/// A page of a user's revisions.
#[derive(Debug, Clone)]
pub struct RevisionPage {
    /// The revisions, newest first.
    pub items: Vec<ListedRevision>,
    /// The revision before which the next page begins; `None` after the last page.
    pub next_before: Option<u64>,
    /// The leaves that the viewer may see.
    pub leaves: LeafSet,
    /// The erasure generation of the user.
    pub generation: u32,
}

/// A revision as a viewer may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRevision {
    /// The revision.
    pub revision: u64,
    /// When it was generated, in microseconds since the Unix epoch.
    pub generated_at: i64,
    /// The fields that it changed and that the viewer may see, as dotted paths in the order of the document.
    pub changed: Vec<&'static str>,
    /// Why it was made; `None` if the viewer may not learn it.
    pub cause: Option<ListedCause>,
}

/// Why a revision was made, as far as a viewer may learn it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCause {
    /// `feed`, `person` or `roll`.
    pub kind: &'static str,
    /// The source of the event; `None` for a roll.
    pub source: Option<&'static str>,
    /// The id of the event, for viewers who may know it.
    pub event_id: Option<String>,
    /// The subject of the person's token, for viewers who may know it.
    pub person: Option<String>,
}

/// Returns the newest revisions from `first` to `last`, newest first. Blocks.
pub(super) fn page(
    store: &dyn ProfileStore,
    user: &UserId,
    first: u64,
    last: u64,
    limit: usize,
) -> Result<Vec<RevisionEntry>, StoreError> {
    if last < first {
        return Ok(Vec::new());
    }
    let mut width = limit as u64;
    loop {
        let start = (last + 1).saturating_sub(width).max(first);
        let mut list = RevisionList::new(start, last, limit);
        store.load_history(user, start.saturating_sub(1), &mut list)?;
        let entries = list.finish();
        if entries.len() >= limit || start == first {
            return Ok(entries);
        }
        width = width.saturating_mul(WIDEN);
    }
}

impl RevisionPage {
    /// Masks the revisions of a page.
    pub(super) fn new(
        entries: &[RevisionEntry],
        viewer: &Viewer,
        input: &ReadInput<'_>,
        first: u64,
        limit: usize,
    ) -> Self {
        let oldest = entries.last().map(|entry| entry.revision);
        Self {
            items: entries.iter().map(|entry| ListedRevision::new(entry, viewer, input.mask)).collect(),
            next_before: oldest.filter(|oldest| entries.len() >= limit && *oldest > first),
            leaves: input.mask,
            generation: input.state.generation,
        }
    }
}

impl ListedRevision {
    pub(super) fn new(entry: &RevisionEntry, viewer: &Viewer, mask: LeafSet) -> Self {
        let RevisionEntry { revision, generated_at, changed, .. } = *entry;
        let changed = changed.and(mask).iter().map(|leaf| leaf.field().path).collect();
        let cause = match entry.cause_for(viewer, mask) {
            VisibleCause::Whole(cause) => Some(ListedCause::new(cause, true)),
            VisibleCause::Source(cause) => Some(ListedCause::new(cause, false)),
            VisibleCause::Hidden => None,
        };
        Self { revision, generated_at, changed, cause }
    }
}

impl ListedCause {
    fn new(cause: &Cause, is_whole: bool) -> Self {
        let (kind, source, event_id, person) = match cause {
            Cause::Roll => ("roll", None, None, None),
            Cause::Feed { source, event_id } => ("feed", Some(source), Some(event_id), None),
            Cause::Person { person, source, event_id } => ("person", Some(source), Some(event_id), Some(person)),
        };
        let text = |text: &domain::event::SharedText| text.as_str().to_owned();
        Self {
            kind,
            source: source.map(|source| source.name()),
            event_id: event_id.filter(|_| is_whole).map(text),
            person: person.filter(|_| is_whole).map(text),
        }
    }
}
