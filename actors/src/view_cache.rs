//! Views that are ready to send, and their cache.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::access::Consent;
use domain::day::Day;
use domain::id::UserId;
use domain::mask_class::MaskClass;
use domain::pipeline::serialize;
use domain::schema_version::SchemaVersion;
use domain::state::UserState;
use domain::table::LeafSet;
use moka::sync::Cache;
use smallvec::SmallVec;

use crate::head::{HeadCell, Stamp};
use crate::outlet::OutletMessage;
use crate::reading::{EncodedForms, View};

/// The views of one user at one revision, by mask class.
#[derive(Debug, Clone)]
pub(crate) struct UserViews {
    cell: Arc<HeadCell>,
    stamp: Stamp,
    revision: u64,
    generation: u32,
    day: Day,
    /// The consent at that revision. Each read computes its class from it, so a view needs no policy version: its bytes
    /// depend on the mask alone, and another policy gives another mask.
    pub(crate) consent: Consent,
    // Most users are read by one or two classes.
    classes: SmallVec<[CachedView; 2]>,
    /// Profile messages of live subscriptions, by class, for clients that subscribe again and again.
    messages: SmallVec<[(MaskClass, Arc<OutletMessage>); 1]>,
}

/// The view of one mask class.
#[derive(Debug, Clone)]
struct CachedView {
    class: MaskClass,
    body: Bytes,
    encoded: Arc<EncodedForms>,
}

impl CachedView {
    /// Returns about the bytes that the view takes. Its encoded forms are made later, when the cache does not weigh it again, so
    /// they count as if each took a third of the document and some bytes more.
    fn weight(&self) -> usize {
        2 * self.body.len() + size_of::<EncodedForms>() + 256
    }
}

/// Maximum number of cached messages of a user. Without it, a client could fill the cache by asking for many different
/// `fields`.
const MAX_MESSAGES: usize = 4;

impl UserViews {
    fn new(cell: &Arc<HeadCell>, state: &UserState) -> Self {
        Self {
            cell: Arc::clone(cell),
            stamp: Stamp::from_state(state),
            revision: state.envelope.revision,
            generation: state.generation,
            day: state.day,
            consent: state.consent(),
            classes: SmallVec::new(),
            messages: SmallVec::new(),
        }
    }

    /// Returns whether the views show the head, on `today` or a later day. (A profile's day never goes back.)
    pub(crate) fn is_current(&self, today: Day) -> bool {
        self.cell.stamp() == self.stamp && self.day >= today
    }

    /// Returns whether the views are of this incarnation and stamp.
    fn is_of(&self, cell: &Arc<HeadCell>, stamp: Stamp) -> bool {
        self.stamp == stamp && Arc::ptr_eq(&self.cell, cell)
    }

    /// Returns the view of the viewers who see the leaves of `mask` in a schema version, if it is cached. Their class is not
    /// asked for, because a hit would pay for making it.
    pub(crate) fn get(&self, mask: LeafSet, schema: SchemaVersion) -> Option<View> {
        let leaves = mask.and(schema.leaves());
        let is_of = |class: &MaskClass| class.leaves() == leaves && class.schema() == schema;
        let CachedView { class, body, encoded } = self.classes.iter().find(|view| is_of(&view.class))?;
        Some(View {
            body: body.clone(),
            revision: self.revision,
            generation: self.generation,
            class: *class,
            day: self.day,
            encoded: Arc::clone(encoded),
            cache_hit: true,
        })
    }

    fn weight(&self) -> u32 {
        // An entry takes about 350 bytes besides its bodies, moka's own bookkeeping included.
        let bodies: usize = self.classes.iter().map(CachedView::weight).sum();
        let messages: usize = self.messages.iter().map(|(_, message)| message.framed().len() + 256).sum();
        u32::try_from(bodies + messages + 350).unwrap_or(u32::MAX)
    }
}

/// The cache of views, limited in bytes, with one entry for each user.
///
/// Readers and the user's actor add to an entry, and every reader checks it against the head cell.
#[derive(Debug)]
pub(crate) struct ViewCache {
    users: Cache<UserId, Arc<UserViews>>,
}

impl ViewCache {
    /// Returns an empty cache. A user's views are dropped if nobody reads them for `idle`.
    pub(crate) fn new(max_bytes: u64, idle: Duration) -> Self {
        let users = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, views: &Arc<UserViews>| views.weight())
            .time_to_idle(idle)
            .build();
        Self { users }
    }

    /// Returns a user's views, if they are current.
    pub(crate) fn current(&self, user: &UserId, today: Day) -> Option<Arc<UserViews>> {
        self.users.get(user).filter(|views| views.is_current(today))
    }

    /// Returns a user's views, if they are current and show `state`. Newer views would be of no use to a reader of `state`:
    /// the reader's mask is that of the consent in `state`, and may allow what a newer consent withdraws.
    pub(crate) fn of_state(&self, user: &UserId, state: &UserState) -> Option<Arc<UserViews>> {
        self.current(user, state.day).filter(|views| views.stamp == Stamp::from_state(state))
    }

    /// Drops a user's views from memory.
    pub(crate) fn forget(&self, user: &UserId) {
        self.users.invalidate(user);
        // What was invalidated stays in memory until the cache does its work.
        self.users.run_pending_tasks();
    }

    /// Returns the head cell for a new incarnation that begins at `state`: the cell of the cached views if they show this
    /// head, or else a new one.
    pub(crate) fn adopt(&self, user: &UserId, state: Option<&UserState>) -> Arc<HeadCell> {
        if let Some(views) = self.users.get(user) {
            if state.is_some_and(|state| views.cell.stamp() == Stamp::from_state(state)) {
                return Arc::clone(&views.cell);
            }
            views.cell.retire();
        }
        Arc::new(HeadCell::new(state))
    }

    /// Adds a view of the committed `state`, next to other classes of the same revision and day. The caller is the actor of
    /// `cell`, or holds a lease of `cell`.
    pub(crate) fn insert(&self, user: UserId, cell: &Arc<HeadCell>, state: &UserState, view: &View) {
        let View { class, ref body, ref encoded, .. } = *view;
        self.change(user, cell, state, |views| {
            views.classes.retain(|other| other.class != class);
            views.classes.push(CachedView { class, body: body.clone(), encoded: Arc::clone(encoded) });
        });
    }

    /// Returns the profile message of the committed `state`, which is the head, for a class. If it is not cached, `make`
    /// makes it from the view in canonical JSON.
    pub(crate) fn message(
        &self,
        user: &UserId,
        cell: &Arc<HeadCell>,
        state: &UserState,
        class: MaskClass,
        make: impl FnOnce(&[u8]) -> OutletMessage,
    ) -> Arc<OutletMessage> {
        let views = self.of_state(user, state);
        if let Some((_, message)) = views.iter().flat_map(|views| &views.messages).find(|(of, _)| *of == class) {
            return Arc::clone(message);
        }
        let view = views.and_then(|views| views.get(class.leaves(), class.schema())).map(|view| view.body);
        let message = Arc::new(make(&view.unwrap_or_else(|| serialize::view(state, class).into())));
        self.change(*user, cell, state, |views| {
            if views.messages.len() >= MAX_MESSAGES {
                views.messages.remove(0);
            }
            views.messages.push((class, Arc::clone(&message)));
            // The view of the class shares the message's bytes.
            views.classes.iter_mut().filter(|view| view.class == class).for_each(|view| view.body = message.view());
        });
        message
    }

    /// Changes the views of `state`. Does nothing once the head has moved on: the views would never be served, and would
    /// displace newer ones. Of two changes at the same time, one may be lost, and is then made again by the next reader.
    fn change(&self, user: UserId, cell: &Arc<HeadCell>, state: &UserState, change: impl FnOnce(&mut UserViews)) {
        let stamp = Stamp::from_state(state);
        let cached = self.users.get(&user).filter(|views| views.is_of(cell, stamp));
        if cell.stamp() != stamp || cached.as_ref().is_some_and(|views| views.day > state.day) {
            return;
        }
        let cached = cached.filter(|views| views.day == state.day);
        let mut views = cached.map_or_else(|| UserViews::new(cell, state), |views| UserViews::clone(&views));
        change(&mut views);
        self.users.insert(user, Arc::new(views));
    }

    /// Adds views as a slow reader might.
    #[cfg(test)]
    pub(crate) fn put_back(&self, user: UserId, views: Arc<UserViews>) {
        self.users.insert(user, views);
    }

    /// Returns the bytes that the views take.
    pub(crate) fn bytes(&self) -> u64 {
        self.users.weighted_size()
    }
}
