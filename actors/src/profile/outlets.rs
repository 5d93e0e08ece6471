//! A user's subscribers, and the frames that they share.

use std::sync::Arc;

use bytes::Bytes;
use domain::access::{Policy, Viewer, Visibility};
use domain::delta::Delta;
use domain::id::UserId;
use domain::pipeline::mask;
use domain::state::UserState;
use domain::table::LeafSet;
use smallvec::SmallVec;

use crate::metric::Metrics;
use crate::outlet::{self, CursorKey, Frame, FrameKind, OutletSender, Push};

/// The outlets of one user. They all hold the revision of the head.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    outlets: Vec<Outlet>,
    /// The policy that the classes were worked out under.
    policy: u32,
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

/// What frames are made of.
pub(super) struct Studio<'a> {
    pub(super) user: &'a UserId,
    pub(super) state: &'a UserState,
    pub(super) policy: &'a Policy,
    pub(super) cursors: &'a CursorKey,
    pub(super) metrics: &'a Metrics,
}

/// Texts that were made already, by class.
type Made = SmallVec<[(LeafSet, Bytes); 4]>;

impl Outlets {
    pub(super) fn len(&self) -> usize {
        self.outlets.len()
    }

    /// Adds an outlet with the whole document as its first frame, or says that the user is hidden from it.
    pub(super) fn open(&mut self, mut outlet: Outlet, studio: &Studio<'_>) -> bool {
        outlet.class = studio.class(&outlet);
        let Some(class) = outlet.class else { return false };
        if self.outlets.is_empty() {
            self.policy = studio.policy.version;
        }
        let frame = studio.frame(&outlet, FrameKind::Profile, studio.profile(class));
        studio.metrics.frames_profile.increment(1);
        self.outlets.retain(|other| other.id != outlet.id || !other.sender.is_same(&outlet.sender));
        if outlet.sender.open(frame) != Push::Closed {
            self.outlets.push(outlet);
        }
        true
    }

    /// Lets closed ones go; `false` when none is left.
    pub(super) fn prune(&mut self) -> bool {
        self.outlets.retain(|outlet| outlet.sender.is_open(outlet.id));
        !self.outlets.is_empty()
    }

    /// Sends one revision's step: each class its own patch, encoded once; the whole document to those whose class
    /// changed, and to those whose queue is full.
    pub(super) fn publish(&mut self, delta: &Arc<Delta>, studio: &Studio<'_>) {
        let reclass = delta.consent_changed() || self.policy != studio.policy.version;
        self.policy = studio.policy.version;
        let (mut patches, mut profiles) = (Made::new(), Made::new());
        self.outlets.retain_mut(|outlet| {
            if reclass && studio.class(outlet) != outlet.class {
                return studio.show_anew(outlet, &mut profiles);
            }
            let Some(class) = outlet.class else { return true };
            let text = once(&mut patches, class, || studio.patch(delta, class));
            match outlet.sender.push(studio.frame(outlet, FrameKind::Patch, text)) {
                Push::Queued => studio.metrics.frames_patch.increment(1),
                Push::Closed => return false,
                Push::Full => {
                    studio.metrics.live_coalesced.increment(1);
                    return studio.show_anew(outlet, &mut profiles);
                }
            }
            true
        });
    }

    /// Tells everybody that nothing follows from this actor.
    pub(super) fn resync(&self, user: &UserId) {
        for outlet in &self.outlets {
            outlet.sender.replace(outlet::resync(*user, outlet.id));
        }
    }

    /// Follows a new policy: the whole document to those whose class changed.
    pub(super) fn reclass(&mut self, studio: &Studio<'_>) {
        if self.policy == studio.policy.version {
            return;
        }
        self.policy = studio.policy.version;
        let mut profiles = Made::new();
        self.outlets
            .retain_mut(|outlet| studio.class(outlet) == outlet.class || studio.show_anew(outlet, &mut profiles));
    }
}

impl Studio<'_> {
    fn class(&self, outlet: &Outlet) -> Option<LeafSet> {
        match self.policy.visibility(&outlet.viewer, self.user, self.state.consent()) {
            Visibility::Mask(mask) => Some(mask.and(outlet.fields)),
            Visibility::Hidden => None,
        }
    }

    /// Drops what waits in the outlet's queue and sends what is visible now: the very next frame holds nothing that
    /// was withdrawn. `false` when the outlet is closed.
    fn show_anew(&self, outlet: &mut Outlet, profiles: &mut Made) -> bool {
        outlet.class = self.class(outlet);
        let frame = match outlet.class {
            Some(class) => {
                self.metrics.frames_profile.increment(1);
                self.frame(outlet, FrameKind::Profile, once(profiles, class, || self.profile(class)))
            }
            None => {
                self.metrics.frames_gone.increment(1);
                self.frame(outlet, FrameKind::Gone, outlet::gone(self.user))
            }
        };
        outlet.sender.replace(frame) != Push::Closed
    }

    fn profile(&self, class: LeafSet) -> Bytes {
        outlet::profile(self.user, self.state, class, self.cursors)
    }

    fn patch(&self, delta: &Delta, class: LeafSet) -> Bytes {
        let started = std::time::Instant::now();
        let patch = mask::patch(delta, class);
        self.metrics.stage_mask.record(started.elapsed());
        let text = outlet::patch(self.user, self.state, delta.base, &patch, class, self.cursors);
        self.metrics.patch_bytes.record(text.len() as f64);
        text
    }

    fn frame(&self, outlet: &Outlet, kind: FrameKind, text: Bytes) -> Frame {
        let revision = self.state.envelope.revision;
        Frame { subscription: outlet.id, user: *self.user, kind, revision, text }
    }
}

fn once(made: &mut Made, class: LeafSet, make: impl FnOnce() -> Bytes) -> Bytes {
    if let Some((_, text)) = made.iter().find(|(other, _)| *other == class) {
        return text.clone();
    }
    let text = make();
    made.push((class, text.clone()));
    text
}
