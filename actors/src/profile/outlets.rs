//! A user's subscribers, and the messages that they share.

use std::sync::Arc;

use domain::access::{Policy, Viewer, Visibility};
use domain::completeness;
use domain::delta::Delta;
use domain::id::UserId;
use domain::pipeline::{mask, serialize};
use domain::rules::Rules;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet};
use json_patch::Patch;
use smallvec::SmallVec;

use crate::head::HeadCell;
use crate::metric::Metrics;
use crate::outlet::{CursorKey, Frame, FrameKind, Message, OutletSender, Push};
use crate::view_cache::ViewCache;

/// The outlets of one user. Those of a class hold the same revision: the head, or the one that the class is held at.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    outlets: Vec<Outlet>,
    /// The policy that the classes were worked out under.
    policy: u32,
    /// The classes that saw nothing of the last revisions, and were not told of them yet.
    held: SmallVec<[Held; 2]>,
}

/// One subscriber of the user.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) id: u64,
    pub(super) viewer: Viewer,
    pub(super) fields: LeafSet,
    pub(super) sender: OutletSender,
    /// What it is shown: mask and fields; `None` while the user is hidden from it.
    pub(super) class: Option<LeafSet>,
}

/// What a new outlet gets first.
pub(super) enum First {
    /// The whole document, since it holds nothing, or, with `reset`, nothing that can be continued.
    Profile { class: LeafSet, reset: bool },
    /// The way from what it holds to the head; the whole document where that is shorter.
    Continue { class: LeafSet, delta: Delta },
    /// The word that nothing is visible to it any more.
    Gone,
}

/// A class, and the revision that its outlets hold.
#[derive(Debug)]
struct Held {
    class: LeafSet,
    base: u64,
}

/// What messages are made of.
pub(super) struct Studio<'a> {
    pub(super) user: &'a UserId,
    pub(super) state: &'a UserState,
    pub(super) policy: &'a Policy,
    pub(super) rules: &'a Rules,
    pub(super) cell: &'a Arc<HeadCell>,
    pub(super) cache: &'a ViewCache,
    pub(super) cursors: &'a CursorKey,
    pub(super) metrics: &'a Metrics,
}

/// What was made already, by class.
struct Made<T>(SmallVec<[(LeafSet, T); 4]>);

/// One revision's messages to a class; none while it is held back.
type Step = Option<(Arc<Message>, Option<Arc<Message>>)>;

impl Outlets {
    pub(super) fn len(&self) -> usize {
        self.outlets.len()
    }

    /// Whether some class waits to be told of revisions that it saw nothing of.
    pub(super) fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// Adds an outlet, whose class the caller worked out, with its first message.
    pub(super) fn open(&mut self, outlet: Outlet, first: First, studio: &Studio<'_>) {
        // From here on the class is at the head.
        self.tell_held(studio);
        if self.outlets.is_empty() {
            self.policy = studio.policy.version;
        }
        let (message, reset) = match first {
            First::Profile { class, reset } => (studio.cached_profile(class), reset),
            First::Continue { class, delta } => {
                let patch = studio.patch(delta.base, &mask::patch(&delta, class), class);
                (Message::merge(studio.user, &[], &patch, &studio.cached_profile(class)), false)
            }
            First::Gone => (Arc::new(Message::gone(studio.user)), false),
        };
        studio.metrics.frames(message.kind).increment(1);
        self.outlets.retain(|other| other.id != outlet.id || !other.sender.is_same(&outlet.sender));
        let frame = Frame { reset, ..studio.frame(&outlet, message) };
        if outlet.sender.open(frame) != Push::Closed {
            self.outlets.push(outlet);
        }
    }

    /// Lets closed ones go; `false` when none is left.
    pub(super) fn prune(&mut self) -> bool {
        self.outlets.retain(|outlet| outlet.sender.is_open(outlet.id));
        !self.outlets.is_empty()
    }

    /// Sends one revision's step: each class its own patch, encoded once; the whole document to those whose class
    /// changed. Where a queue is full, one message takes the place of those that wait.
    pub(super) fn publish(&mut self, delta: &Delta, studio: &Studio<'_>) {
        let reclass = delta.consent_changed() || self.policy != studio.policy.version;
        self.policy = studio.policy.version;
        let (mut steps, mut profiles) = (Made::new(), Made::new());
        let held = &mut self.held;
        self.outlets.retain_mut(|outlet| {
            if reclass && studio.class(&outlet.viewer, outlet.fields) != outlet.class {
                return studio.show_anew(outlet, &mut profiles);
            }
            let Some(class) = outlet.class else { return true };
            // Those who come into a class get the head: nobody of it may be held back behind them.
            let step = steps.once(class, || studio.step(delta, class, held, !reclass));
            let Some((patch, completeness)) = step else { return true };
            let sent = studio.send(outlet, patch, &mut profiles);
            if let (Push::Queued, Some(completeness)) = (sent, completeness) {
                // One that finds no room is dropped: the patch has the percentage.
                if outlet.sender.push(studio.frame(outlet, completeness)) == Push::Queued {
                    studio.metrics.frames(FrameKind::Completeness).increment(1);
                }
            }
            sent != Push::Closed
        });
        if reclass {
            // Whoever was in a class that nobody is in any more has left it with a document.
            self.held.clear();
        }
    }

    /// Tells the classes that were held back that they saw nothing. Whoever is to see something else by now, under a new
    /// policy, gets that instead.
    pub(super) fn tell_held(&mut self, studio: &Studio<'_>) {
        let mut profiles = Made::new();
        for Held { class, base } in std::mem::take(&mut self.held) {
            let patch = studio.patch(base, &Patch::default(), class);
            let of_class = |outlet: &&Outlet| {
                outlet.class == Some(class) && studio.class(&outlet.viewer, outlet.fields) == Some(class)
            };
            for outlet in self.outlets.iter().filter(of_class) {
                studio.send(outlet, Arc::clone(&patch), &mut profiles);
            }
        }
    }

    /// Tells everybody that nothing follows from this actor.
    pub(super) fn resync(&self, user: &UserId) {
        let message = Arc::new(Message::resync());
        for outlet in &self.outlets {
            let message = Arc::clone(&message);
            outlet.sender.replace(Frame { subscription: outlet.id, user: *user, reset: false, message });
        }
    }

    /// Follows a new policy: the whole document to those whose class changed.
    pub(super) fn reclass(&mut self, studio: &Studio<'_>) {
        if self.policy == studio.policy.version {
            return;
        }
        self.policy = studio.policy.version;
        self.tell_held(studio);
        let mut profiles = Made::new();
        self.outlets.retain_mut(|outlet| {
            studio.class(&outlet.viewer, outlet.fields) == outlet.class || studio.show_anew(outlet, &mut profiles)
        });
    }
}

impl Studio<'_> {
    /// What a viewer is shown: mask and fields; `None` if the user is hidden from it.
    pub(super) fn class(&self, viewer: &Viewer, fields: LeafSet) -> Option<LeafSet> {
        match self.policy.visibility(viewer, self.user, self.state.consent()) {
            Visibility::Mask(mask) => Some(mask.and(fields)),
            Visibility::Hidden => None,
        }
    }

    /// Drops what waits in the outlet's queue and sends what is visible now: the very next frame holds nothing that
    /// was withdrawn. `false` when the outlet is closed.
    fn show_anew(&self, outlet: &mut Outlet, profiles: &mut Made<Arc<Message>>) -> bool {
        outlet.class = self.class(&outlet.viewer, outlet.fields);
        let message = match outlet.class {
            Some(class) => profiles.once(class, || self.profile(class)),
            None => Arc::new(Message::gone(self.user)),
        };
        self.metrics.frames(message.kind).increment(1);
        outlet.sender.replace(self.frame(outlet, message)) != Push::Closed
    }

    fn send(&self, outlet: &Outlet, patch: Arc<Message>, profiles: &mut Made<Arc<Message>>) -> Push {
        let Some(class) = outlet.class else { return Push::Queued };
        let frame = self.frame(outlet, patch);
        match outlet.sender.push(frame.clone()) {
            Push::Full => {
                self.metrics.live_coalesced.increment(1);
                outlet.sender.merge(frame, &profiles.once(class, || self.profile(class)))
            }
            Push::Queued => {
                self.metrics.frames(FrameKind::Patch).increment(1);
                Push::Queued
            }
            Push::Closed => Push::Closed,
        }
    }

    /// What a class gets of one revision. A class that sees nothing of it may be held back, to be told with the next.
    fn step(&self, delta: &Delta, class: LeafSet, held: &mut SmallVec<[Held; 2]>, may_hold: bool) -> Step {
        let started = std::time::Instant::now();
        let patch = mask::patch(delta, class);
        self.metrics.stage_mask.record(started.elapsed());
        let place = held.iter().position(|held| held.class == class);
        if patch.is_empty() && may_hold {
            if place.is_none() {
                held.push(Held { class, base: delta.base });
            }
            return None;
        }
        let base = place.map_or(delta.base, |place| held.swap_remove(place).base);
        let patch = self.patch(base, &patch, class);
        self.metrics.patch_bytes.record(patch.text().len() as f64);
        Some((patch, self.completeness(delta, class)))
    }

    /// The word of a change of the percentage, to those who may see it.
    fn completeness(&self, delta: &Delta, class: LeafSet) -> Option<Arc<Message>> {
        let pct = Leaf::ProfileCompletenessPct;
        let change = delta.changes.iter().find(|change| class.has(pct) && change.leaf == pct)?;
        let (old, new) = (change.old.as_ref()?.as_str(), change.new.as_ref()?.as_str());
        let profile = &self.state.profile;
        let value = |leaf| profile.get(leaf).cloned();
        let missing = completeness::missing_fields(profile.present(), &value, self.rules, class);
        Some(Arc::new(Message::completeness(self.user, old, new, &missing)))
    }

    fn profile(&self, class: LeafSet) -> Arc<Message> {
        let view = serialize::view(self.state, class);
        Arc::new(Message::profile(self.user, self.state, class, &view, self.cursors))
    }

    /// The same of the head, from the cache: a client may ask for it again and again.
    fn cached_profile(&self, class: LeafSet) -> Arc<Message> {
        let make = |view: &[u8]| Message::profile(self.user, self.state, class, view, self.cursors);
        self.cache.message(self.user, self.cell, self.state, class, make)
    }

    fn patch(&self, base: u64, patch: &Patch, class: LeafSet) -> Arc<Message> {
        Arc::new(Message::patch(self.user, self.state, base, patch, class, self.cursors))
    }

    fn frame(&self, outlet: &Outlet, message: Arc<Message>) -> Frame {
        Frame { subscription: outlet.id, user: *self.user, reset: false, message }
    }
}

impl<T: Clone> Made<T> {
    fn new() -> Self {
        Self(SmallVec::new())
    }

    fn once(&mut self, class: LeafSet, make: impl FnOnce() -> T) -> T {
        if let Some((_, made)) = self.0.iter().find(|(other, _)| *other == class) {
            return made.clone();
        }
        let made = make();
        self.0.push((class, made.clone()));
        made
    }
}
