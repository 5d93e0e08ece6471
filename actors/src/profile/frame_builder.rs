//! The frames of a user's subscribers, made from one state.

use std::sync::Arc;

use domain::access::{Policy, Viewer, Visibility};
use domain::completeness;
use domain::delta::Delta;
use domain::id::UserId;
use domain::mask_class::MaskClass;
use domain::pipeline::serialize;
use domain::rules::Rules;
use domain::schema_version::SchemaVersion;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet};

use super::outlet::Outlet;
use super::outlet_class::{ClassOperations, OutletClass};
use super::per_class::PerClass;
use crate::head::HeadCell;
use crate::metric::Metrics;
use crate::outlet::{CursorKey, FrameKind, OutletFrame, OutletMessage, Push};
use crate::view_cache::ViewCache;

/// Makes messages of one state of a user, and sends them to its outlets.
pub(super) struct FrameBuilder<'a> {
    pub(super) user: &'a UserId,
    pub(super) state: &'a UserState,
    pub(super) policy: &'a Policy,
    pub(super) rules: &'a Rules,
    pub(super) cell: &'a Arc<HeadCell>,
    pub(super) cache: &'a ViewCache,
    pub(super) cursors: &'a CursorKey,
    pub(super) metrics: &'a Metrics,
}

impl FrameBuilder<'_> {
    /// Returns a subscriber's class: the mask of its viewer, limited to its fields, in its schema version. `None` if the user
    /// is hidden.
    pub(super) fn class(&self, viewer: &Viewer, fields: LeafSet, schema: SchemaVersion) -> Option<MaskClass> {
        self.leaves(viewer, fields, schema).map(|leaves| MaskClass::for_version(leaves, schema))
    }

    /// Returns whether an outlet's class is not the one that it has now.
    pub(super) fn is_reclassed(&self, outlet: &Outlet) -> bool {
        self.leaves(&outlet.viewer, outlet.fields, outlet.schema) != outlet.class.map(|class| class.mask.leaves())
    }

    fn leaves(&self, viewer: &Viewer, fields: LeafSet, schema: SchemaVersion) -> Option<LeafSet> {
        match self.policy.visibility(viewer, self.user, self.state.consent()) {
            Visibility::Mask(mask) => Some(mask.and(fields).and(schema.leaves())),
            Visibility::Hidden => None,
        }
    }

    /// Gives an outlet its new class: takes back what waits in its queue and sends what is visible now, so that the very
    /// next frame contains nothing that was withdrawn. Returns `false` if the outlet is closed.
    pub(super) fn send_document(
        &self,
        outlet: &mut Outlet,
        profiles: &mut PerClass<MaskClass, Arc<OutletMessage>>,
    ) -> bool {
        let class = self.class(&outlet.viewer, outlet.fields, outlet.schema);
        outlet.class = class.map(|mask| OutletClass { mask, names_sources: outlet.names_sources });
        let message = match class {
            Some(class) => profiles.get_or_insert_with(class, || self.profile(class)),
            None => Arc::new(OutletMessage::gone(self.user)),
        };
        self.metrics.frames(message.kind).increment(1);
        outlet.sender.replace(self.frame(outlet, message)) != Push::Closed
    }

    /// Sends a patch. If the queue is full, the patch is merged with what waits in it.
    pub(super) fn send_patch(
        &self,
        outlet: &Outlet,
        patch: Arc<OutletMessage>,
        profiles: &mut PerClass<MaskClass, Arc<OutletMessage>>,
    ) -> Push {
        let Some(OutletClass { mask: class, .. }) = outlet.class else { return Push::Queued };
        let frame = self.frame(outlet, patch);
        match outlet.sender.push(frame.clone()) {
            Push::Full => {
                self.metrics.live_coalesced.increment(1);
                outlet.sender.merge(frame, &profiles.get_or_insert_with(class, || self.profile(class)))
            }
            Push::Queued => {
                self.metrics.frames(FrameKind::Patch).increment(1);
                Push::Queued
            }
            Push::Closed => Push::Closed,
        }
    }

    /// Sends a completeness message. It is dropped if the queue is full: the patch has the percentage too.
    pub(super) fn send_completeness(&self, outlet: &Outlet, completeness: Arc<OutletMessage>) {
        if outlet.sender.push(self.frame(outlet, completeness)) == Push::Queued {
            self.metrics.frames(FrameKind::Completeness).increment(1);
        }
    }

    /// Returns the completeness message of a class; `None` if the percentage did not change or is not visible.
    pub(super) fn completeness(&self, delta: &Delta, class: MaskClass) -> Option<Arc<OutletMessage>> {
        let pct = Leaf::ProfileCompletenessPct;
        let change = delta.changes.iter().find(|change| class.leaves().has(pct) && change.leaf == pct)?;
        let (old, new) = (change.old.as_ref()?.as_str(), change.new.as_ref()?.as_str());
        let profile = &self.state.profile;
        let value = |leaf| profile.get(leaf).cloned();
        let missing = completeness::missing_fields(profile.present(), &value, self.rules, class.leaves());
        Some(Arc::new(OutletMessage::completeness(self.user, old, new, &missing, class.schema())))
    }

    fn profile(&self, class: MaskClass) -> Arc<OutletMessage> {
        let view = serialize::view(self.state, class);
        Arc::new(OutletMessage::profile(self.user, self.state, class, &view, self.cursors))
    }

    /// Returns the profile message of the head, from the cache: a client may subscribe again and again.
    pub(super) fn cached_profile(&self, class: MaskClass) -> Arc<OutletMessage> {
        let make = |view: &[u8]| OutletMessage::profile(self.user, self.state, class, view, self.cursors);
        self.cache.message(self.user, self.cell, self.state, class, make)
    }

    pub(super) fn patch(&self, base: u64, operations: &ClassOperations, class: MaskClass) -> Arc<OutletMessage> {
        Arc::new(OutletMessage::patch(self.user, self.state, base, &operations.to_json(), class, self.cursors))
    }

    pub(super) fn frame(&self, outlet: &Outlet, message: Arc<OutletMessage>) -> OutletFrame {
        OutletFrame { subscription: outlet.id, user: *self.user, reset: false, message }
    }
}
