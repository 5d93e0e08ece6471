//! Views that are ready to send, and the cache of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::access::Consent;
use domain::day::Day;
use domain::id::UserId;
use domain::pipeline::serialize;
use domain::state::UserState;
use domain::table::LeafSet;
use moka::sync::Cache;
use smallvec::SmallVec;

use crate::head::{HeadCell, Stamp};
use crate::outlet::Message;

/// A profile as one mask class sees it, at one revision.
#[derive(Debug, Clone)]
pub struct View {
    /// The document in canonical JSON.
    pub body: Bytes,
    /// The revision that it shows.
    pub revision: u64,
    /// The erasure generation that it belongs to.
    pub generation: u32,
    /// The mask class: what may be seen, whether it is there or not.
    pub mask: LeafSet,
    /// The calendar day that its time-derived values are of.
    pub day: Day,
    /// Whether it came from the cache.
    pub cache_hit: bool,
}

/// One user's views of one revision, by mask class.
#[derive(Debug, Clone)]
pub(crate) struct UserViews {
    cell: Arc<HeadCell>,
    stamp: Stamp,
    revision: u64,
    generation: u32,
    day: Day,
    /// The consent at that revision, from which the class is worked out at each read: so a view needs no policy
    /// version, since its bytes depend on the mask alone, and another policy gives another mask.
    pub(crate) consent: Consent,
    // One or two classes read most users.
    classes: SmallVec<[(LeafSet, Bytes); 2]>,
    /// Messages of live subscriptions that hold the whole document, by class. A client that subscribes again and again
    /// is served these bytes.
    messages: SmallVec<[(LeafSet, Arc<Message>); 1]>,
}

/// Maximum number of cached messages of a user: `fields` gives a client the choice of many classes.
const MAX_MESSAGES: usize = 4;

impl UserViews {
    fn new(cell: &Arc<HeadCell>, state: &UserState) -> Self {
        Self {
            cell: Arc::clone(cell),
            stamp: Stamp::of(state),
            revision: state.envelope.revision,
            generation: state.generation,
            day: state.day,
            consent: state.consent(),
            classes: SmallVec::new(),
            messages: SmallVec::new(),
        }
    }

    /// Whether the views show the head, on `today` or a later day (a day never goes back).
    pub(crate) fn is_current(&self, today: Day) -> bool {
        self.cell.stamp() == self.stamp && self.day >= today
    }

    /// The view of a class, where it was made.
    pub(crate) fn get(&self, mask: LeafSet) -> Option<View> {
        let (_, body) = self.classes.iter().find(|(class, _)| *class == mask)?;
        Some(View {
            body: body.clone(),
            revision: self.revision,
            generation: self.generation,
            mask,
            day: self.day,
            cache_hit: true,
        })
    }

    fn weight(&self) -> u32 {
        // What the entry costs beside its bodies was measured with moka's own bookkeeping: about 300 bytes.
        let bodies: usize = self.classes.iter().map(|(_, body)| body.len() + 64).sum();
        let messages: usize = self.messages.iter().map(|(_, message)| message.framed().len() + 256).sum();
        u32::try_from(bodies + messages + 300).unwrap_or(u32::MAX)
    }
}

/// The L1 cache: bounded by bytes, one entry a user.
///
/// Only the user's actor writes to it, and every reader checks what it finds against the head cell.
#[derive(Debug)]
pub(crate) struct ViewCache {
    users: Cache<UserId, Arc<UserViews>>,
}

impl ViewCache {
    pub(crate) fn new(max_bytes: u64, idle: Duration) -> Self {
        let users = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, views: &Arc<UserViews>| views.weight())
            .time_to_idle(idle)
            .build();
        Self { users }
    }

    /// A user's views, if they are current.
    pub(crate) fn current(&self, user: &UserId, today: Day) -> Option<Arc<UserViews>> {
        self.users.get(user).filter(|views| views.is_current(today))
    }

    /// The head cell of a new incarnation that begins at `state`: that of the views which the last one left, if they
    /// show this very head.
    pub(crate) fn adopt(&self, user: &UserId, state: Option<&UserState>) -> Arc<HeadCell> {
        if let (Some(state), Some(views)) = (state, self.users.get(user)) {
            if views.cell.stamp() == Stamp::of(state) {
                return Arc::clone(&views.cell);
            }
            views.cell.retire();
        }
        Arc::new(HeadCell::new(state))
    }

    /// Keeps a view of the committed `state`, beside other classes of the same revision and day.
    pub(crate) fn insert(&self, user: UserId, cell: &Arc<HeadCell>, state: &UserState, mask: LeafSet, body: Bytes) {
        self.change(user, cell, state, |views| {
            views.classes.retain(|(class, _)| *class != mask);
            views.classes.push((mask, body));
        });
    }

    /// The message with the whole document of the committed `state`, which is the head, for a class; `make` makes it of
    /// the serialised view, where it is not cached.
    pub(crate) fn message(
        &self,
        user: &UserId,
        cell: &Arc<HeadCell>,
        state: &UserState,
        class: LeafSet,
        make: impl FnOnce(&[u8]) -> Message,
    ) -> Arc<Message> {
        let views = self.current(user, state.day);
        if let Some((_, message)) = views.iter().flat_map(|views| &views.messages).find(|(of, _)| *of == class) {
            return Arc::clone(message);
        }
        let view = views.and_then(|views| views.get(class)).map(|view| view.body);
        let message = Arc::new(make(&view.unwrap_or_else(|| serialize::view(state, class).into())));
        self.change(*user, cell, state, |views| {
            if views.messages.len() >= MAX_MESSAGES {
                views.messages.remove(0);
            }
            views.messages.push((class, Arc::clone(&message)));
            // A view of the same class need not be there twice.
            views.classes.iter_mut().filter(|(of, _)| *of == class).for_each(|(_, body)| *body = message.view());
        });
        message
    }

    fn change(&self, user: UserId, cell: &Arc<HeadCell>, state: &UserState, change: impl FnOnce(&mut UserViews)) {
        let mut views = match self.current(&user, state.day) {
            Some(views) if views.day == state.day => UserViews::clone(&views),
            _ => UserViews::new(cell, state),
        };
        change(&mut views);
        self.users.insert(user, Arc::new(views));
    }

    /// Puts views in as a slow reader might.
    #[cfg(test)]
    pub(crate) fn put_back(&self, user: UserId, views: Arc<UserViews>) {
        self.users.insert(user, views);
    }

    /// How many bytes the views take.
    pub(crate) fn bytes(&self) -> u64 {
        self.users.weighted_size()
    }
}
