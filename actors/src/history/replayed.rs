//! The revisions of a user in their order, each with what it changed, so that all of them can be written out.

use domain::access::Viewer;
use domain::id::UserId;
use domain::mask_class::MaskClass;
use domain::pipeline::serialize;
use domain::port::store::{ProfileStore, StoreError};
use domain::publication::operations_between;
use domain::record::{HistoryWalk, RevisionEntry, RevisionList};
use domain::schema_version::SchemaVersion;
use domain::state::UserState;
use domain::table::{LeafSet, Member};

use super::page::ListedRevision;
use crate::error::ReadError;
use crate::profiles::Profiles;
use crate::reading::ReadInput;
use crate::runtime::Runtime;

/// Maximum number of revisions of a page. Their states are in memory together, and share what did not change.
const PAGE: usize = 32;
/// How many times wider the next look is after one that has found few revisions, because history was thinned.
const WIDEN: u64 = 8;

/// Which revisions are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionRange {
    /// The last revision of the page before; `None` for the oldest ones.
    pub after: Option<u64>,
    /// The last revision that is wanted.
    pub until: u64,
    /// How many numbers to look at. Zero for the first page; the page before says it for the others.
    pub width: u64,
}

/// Some revisions, the oldest first.
#[derive(Debug, Clone)]
pub struct ReplayedPage {
    /// The revisions. There may be none although more follow.
    pub items: Vec<ReplayedRevision>,
    /// The next page; `None` after the last one.
    pub next: Option<RevisionRange>,
}

/// A revision and what it changed.
#[derive(Debug, Clone)]
pub struct ReplayedRevision {
    /// The revision, as the list of revisions has it.
    pub listed: ListedRevision,
    /// How to get the profile at this revision.
    pub content: RevisionContent,
    /// The consent after it, as a JSON object, if it changed the consent and the viewer may see that.
    pub consent: Option<String>,
}

/// How to get the profile at a revision.
#[derive(Debug, Clone)]
pub enum RevisionContent {
    /// The whole profile, as JSON: there is no earlier revision to begin with.
    Profile(Vec<u8>),
    /// The operations of a JSON Patch, as JSON text, which lead to it from the revision before in the list.
    Operations(String),
}

impl Profiles {
    /// Returns the revisions of a profile in their order, each with what it changed, under today's mask.
    ///
    /// # Errors
    /// As [`Profiles::view`], and if too many reads through history wait.
    pub async fn replayed_revisions(
        &self,
        user: UserId,
        viewer: &Viewer,
        schema: SchemaVersion,
        range: RevisionRange,
    ) -> Result<ReplayedPage, ReadError> {
        self.runtime().replayed_revisions(user, viewer, schema, range).await
    }
}

/// What was read of a page, before it is masked.
struct Found {
    /// The state at the end of the page before.
    before: Option<UserState>,
    states: Vec<UserState>,
    entries: Vec<RevisionEntry>,
    next: Option<RevisionRange>,
}

impl Runtime {
    async fn replayed_revisions(
        &self,
        user: UserId,
        viewer: &Viewer,
        schema: SchemaVersion,
        range: RevisionRange,
    ) -> Result<ReplayedPage, ReadError> {
        let question = async {
            let head = self.visible_head(user, viewer).await?;
            let (first, newest) = (head.salts.first_revision, head.envelope.revision);
            let found = self.history.read(move |store| read(store, &user, range, first, newest)).await?;
            self.answer_today(user, viewer, |_, input| page(&found, viewer, input, schema)).await
        };
        self.ask_for(user, viewer, question).await
    }
}

/// Reads a page. Blocks.
fn read(
    store: &dyn ProfileStore,
    user: &UserId,
    range: RevisionRange,
    first: u64,
    newest: u64,
) -> Result<Found, StoreError> {
    let RevisionRange { after, until, width } = range;
    let (from, until) = (after.map_or(first, |after| after + 1), until.min(newest));
    let last = from.saturating_add(width.max(PAGE as u64) - 1).min(until);
    let (mut before, mut states) = (None, Vec::new());
    if from <= last {
        let mut visit = |state: &UserState| {
            let revision = state.envelope.revision;
            // A load that has started over visits revisions again.
            while states.last().is_some_and(|last: &UserState| last.envelope.revision >= revision) {
                states.pop();
            }
            match revision {
                revision if revision < from => before = Some(state.clone()),
                _ if states.len() < PAGE => states.push(state.clone()),
                _ => {}
            }
        };
        let start = after.unwrap_or(from);
        let mut walk = HistoryWalk::new(start, last, &mut visit);
        store.load_history(user, start, &mut walk)?;
        walk.finish();
    }
    let is_full = states.len() == PAGE;
    let reached = states.last().filter(|_| is_full).map_or(last, |state: &UserState| state.envelope.revision);
    let entries = match states.is_empty() {
        true => Vec::new(),
        false => {
            let mut list = RevisionList::new(from, reached, PAGE);
            store.load_history(user, from.saturating_sub(1), &mut list)?;
            list.finish()
        }
    };
    let width = match states.len() {
        found if found < PAGE / 2 => width.max(PAGE as u64).saturating_mul(WIDEN),
        _ if is_full && reached < last => (width / WIDEN).max(PAGE as u64),
        _ => width,
    };
    let next = (reached < until).then_some(RevisionRange { after: Some(reached), until, width });
    Ok(Found { before, states, entries, next })
}

/// Makes the page that a viewer receives.
fn page(
    found: &Found,
    viewer: &Viewer,
    input: &ReadInput<'_>,
    schema: SchemaVersion,
) -> Result<ReplayedPage, ReadError> {
    let class = MaskClass::for_version(input.mask, schema);
    let consent = input.mask.and(Member::Consent.leaves());
    let mut before = found.before.as_ref();
    let mut items = Vec::with_capacity(found.states.len());
    for state in &found.states {
        input.of(state)?;
        let revision = state.envelope.revision;
        let Some(entry) = found.entries.iter().find(|entry| entry.revision == revision) else { continue };
        let content = match before {
            Some(before) => {
                input.of(before)?;
                RevisionContent::Operations(operations_between(before, state, class))
            }
            None => RevisionContent::Profile(serialize::view(state, class)),
        };
        let is_consent = !entry.changed.and(consent).is_empty();
        items.push(ReplayedRevision {
            listed: ListedRevision::new(entry, viewer, input.mask),
            content,
            consent: is_consent.then(|| consent_of(state, consent)),
        });
        before = Some(state);
    }
    Ok(ReplayedPage { items, next: found.next })
}

/// Returns the consent of a state as a JSON object.
fn consent_of(state: &UserState, mask: LeafSet) -> String {
    let mut object = Vec::new();
    let section = state.profile.section(Member::Consent);
    match section.filter(|section| section.leaves().iter().any(|(leaf, _)| mask.has(*leaf))) {
        Some(section) => section.write(mask, |piece| object.extend_from_slice(piece)),
        None => object.extend_from_slice(b"{}"),
    }
    String::from_utf8(object).unwrap_or_else(|_| "{}".to_owned())
}
