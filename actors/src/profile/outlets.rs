//! The outlets of one user's subscribers.

use std::sync::Arc;

use domain::delta::Delta;
use domain::id::UserId;
use domain::mask_class::MaskClass;
use smallvec::SmallVec;

use super::frame_builder::FrameBuilder;
use super::outlet::Outlet;
use super::outlet_class::{ClassOperations, OutletClass};
use super::per_class::PerClass;
use crate::outlet::{OutletFrame, OutletMessage, Push};

/// The outlets of one user. All outlets of a class are at the same revision: the head, or the base of the class's
/// deferred patch.
#[derive(Debug, Default)]
pub(crate) struct Outlets {
    outlets: Vec<Outlet>,
    /// The version of the policy that the classes belong to, see `Policy::view_version`.
    policy: (u32, u32),
    /// The classes that saw nothing of the last revisions, and have not received a patch for them.
    deferred: SmallVec<[DeferredPatch; 2]>,
}

/// The first frame of a new outlet.
pub(super) enum FirstFrame {
    /// The whole document. `reset` says that it answers a cursor that could not be continued.
    Profile { class: OutletClass, reset: bool },
    /// A patch from the cursor's revision to the head; the whole document if that is shorter.
    Continue { class: OutletClass, delta: Delta },
    /// The user is not visible any more.
    Gone,
}

/// An empty patch that was not sent to a class yet, to save frames. Later revisions extend it.
#[derive(Debug)]
struct DeferredPatch {
    class: OutletClass,
    /// The revision that the class's outlets are at.
    base: u64,
}

/// The messages of one revision to one class.
#[derive(Clone)]
struct RevisionMessages {
    patch: Arc<OutletMessage>,
    completeness: Option<Arc<OutletMessage>>,
}

impl Outlets {
    pub(super) fn len(&self) -> usize {
        self.outlets.len()
    }

    /// Returns whether a patch of some class is deferred.
    pub(super) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Adds an outlet, and sends its first frame.
    pub(super) fn open(&mut self, outlet: Outlet, first: FirstFrame, builder: &FrameBuilder<'_>) {
        // After this, all outlets of the class are at the head, as the new one is.
        self.flush_deferred(builder);
        if self.outlets.is_empty() {
            self.policy = builder.policy.view_version();
        }
        let (message, reset) = match first {
            FirstFrame::Profile { class, reset } => (builder.cached_profile(class.mask), reset),
            FirstFrame::Continue { class, delta } => {
                let patch = builder.patch(delta.base, &class.operations(&delta, builder.state), class.mask);
                (OutletMessage::merge(builder.user, &[], &patch, &builder.cached_profile(class.mask)), false)
            }
            FirstFrame::Gone => (Arc::new(OutletMessage::gone(builder.user)), false),
        };
        builder.metrics.frames(message.kind).increment(1);
        self.outlets.retain(|other| other.id != outlet.id || !other.sender.is_same(&outlet.sender));
        let frame = OutletFrame { reset, ..builder.frame(&outlet, message) };
        if outlet.sender.open(frame) != Push::Closed {
            self.outlets.push(outlet);
        }
    }

    /// Removes closed outlets. Returns `false` if none is left.
    pub(super) fn prune(&mut self) -> bool {
        self.outlets.retain(|outlet| outlet.sender.is_open(outlet.id));
        !self.outlets.is_empty()
    }

    /// Sends one revision: to each class its own patch, encoded once, and the whole document to the outlets whose class
    /// changes.
    pub(super) fn publish(&mut self, delta: &Delta, builder: &FrameBuilder<'_>) {
        let may_reclass = delta.consent_changed() || self.policy != builder.policy.view_version();
        self.policy = builder.policy.view_version();
        let (mut messages, mut profiles) = (PerClass::new(), PerClass::new());
        let deferred = &mut self.deferred;
        self.outlets.retain_mut(|outlet| {
            if may_reclass && builder.is_reclassed(outlet) {
                return builder.send_document(outlet, &mut profiles);
            }
            let Some(class) = outlet.class else { return true };
            // An outlet that enters a class gets the head, so no other outlet of that class may be behind it.
            let may_defer = !may_reclass;
            let make = || revision_messages(builder, delta, class, deferred, may_defer);
            let of_class: Option<RevisionMessages> = messages.get_or_insert_with(class, make);
            let Some(RevisionMessages { patch, completeness }) = of_class else { return true };
            let sent = builder.send_patch(outlet, patch, &mut profiles);
            if let (Push::Queued, Some(completeness)) = (sent, completeness) {
                builder.send_completeness(outlet, completeness);
            }
            sent != Push::Closed
        });
        if may_reclass {
            // What is left belongs to classes without outlets: all of those have changed their class.
            self.deferred.clear();
        }
    }

    /// Sends the deferred patches. An outlet whose class changes under a new policy gets no patch: it gets the document.
    pub(super) fn flush_deferred(&mut self, builder: &FrameBuilder<'_>) {
        let mut profiles = PerClass::<MaskClass, _>::new();
        for DeferredPatch { class, base } in std::mem::take(&mut self.deferred) {
            let patch = builder.patch(base, &ClassOperations::NONE, class.mask);
            let of_class = |outlet: &&Outlet| outlet.class == Some(class) && !builder.is_reclassed(outlet);
            for outlet in self.outlets.iter().filter(of_class) {
                builder.send_patch(outlet, Arc::clone(&patch), &mut profiles);
            }
        }
    }

    /// Sends every outlet its last frame: subscribe again.
    pub(crate) fn resync(&self, user: &UserId) {
        let outlets = self.outlets.iter();
        end(outlets, user, &Arc::new(OutletMessage::resync()));
    }

    /// Sends the outlets their last frame: the user was erased. Those from which the user was hidden get none. Returns how many
    /// got it.
    pub(super) fn send_erased(&self, user: &UserId) -> usize {
        let outlets = self.outlets.iter().filter(|outlet| outlet.class.is_some());
        end(outlets, user, &Arc::new(OutletMessage::erased(user)))
    }

    /// Follows a new policy: sends the whole document to the outlets whose class changes.
    pub(super) fn follow_policy(&mut self, builder: &FrameBuilder<'_>) {
        if self.policy == builder.policy.view_version() {
            return;
        }
        self.policy = builder.policy.view_version();
        self.flush_deferred(builder);
        let mut profiles = PerClass::new();
        self.outlets.retain_mut(|outlet| !builder.is_reclassed(outlet) || builder.send_document(outlet, &mut profiles));
    }
}

/// Sends outlets their last frame, in place of those that wait. Returns their number.
fn end<'a>(outlets: impl Iterator<Item = &'a Outlet>, user: &UserId, message: &Arc<OutletMessage>) -> usize {
    outlets.fold(0, |sent, outlet| {
        let message = Arc::clone(message);
        outlet.sender.replace(OutletFrame { subscription: outlet.id, user: *user, reset: false, message });
        sent + 1
    })
}

/// Returns the messages of a revision to a class. `None` if the class sees nothing of it and its patch is deferred, to be
/// sent with the next one.
fn revision_messages(
    builder: &FrameBuilder<'_>,
    delta: &Delta,
    class: OutletClass,
    deferred: &mut SmallVec<[DeferredPatch; 2]>,
    may_defer: bool,
) -> Option<RevisionMessages> {
    let started = std::time::Instant::now();
    let operations = class.operations(delta, builder.state);
    builder.metrics.stage_mask.record(started.elapsed());
    let index = deferred.iter().position(|deferred| deferred.class == class);
    if operations.is_empty() && may_defer {
        if index.is_none() {
            deferred.push(DeferredPatch { class, base: delta.base });
        }
        return None;
    }
    let base = index.map_or(delta.base, |index| deferred.swap_remove(index).base);
    let patch = builder.patch(base, &operations, class.mask);
    builder.metrics.patch_bytes.record(patch.text().len() as f64);
    Some(RevisionMessages { patch, completeness: builder.completeness(delta, class.mask) })
}
