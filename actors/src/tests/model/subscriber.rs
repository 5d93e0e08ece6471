//! A subscriber that does what the protocol says, and looks closely.

use domain::access::Viewer;
use domain::table::LeafSet;
use json_patch::Patch;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::super::world::{World, user};
use super::checks::Durable;
use super::schedule::Seen;
use crate::outlet::{Frame, FrameKind, OutletReceiver, OutletSender, channel};
use crate::{ReadError, Subscription};

const ID: u64 = 5;

pub(super) struct Subscriber {
    number: usize,
    viewer: Viewer,
    fields: Option<LeafSet>,
    outlet: OutletSender,
    frames: OutletReceiver,
    opening: JoinHandle<Result<(), ReadError>>,
    /// What it holds.
    document: Option<(u64, Value)>,
    /// Whether its actor said that nothing follows.
    ended: bool,
}

impl Subscriber {
    pub(super) fn open(world: &World, number: usize, viewer: Viewer, fields: Option<LeafSet>, capacity: usize) -> Self {
        let (outlet, frames) = channel(capacity);
        let profiles = world.profiles.clone();
        let subscription = Subscription { id: ID, viewer: viewer.clone(), fields, outlet: outlet.clone() };
        let opening = actix_rt::spawn(async move { profiles.subscribe(user(number), subscription).await });
        Self { number, viewer, fields, outlet, frames, opening, document: None, ended: false }
    }

    pub(super) fn close(mut self, world: &World) {
        world.profiles.unsubscribe(user(self.number), ID, &self.outlet);
        assert!(self.frames.try_recv().is_none(), "a frame after the subscription ended");
    }

    /// Takes all frames that wait.
    pub(super) fn receive(&mut self, durable: &Durable, seen: &mut Seen) {
        while let Some(frame) = self.frames.try_recv() {
            assert!(!self.ended, "a frame after the last");
            match frame.kind {
                FrameKind::Profile => {
                    seen.profiles += 1;
                    let mut text: Value = serde_json::from_slice(&frame.text).expect("JSON");
                    self.document = Some((frame.revision, text["profile"].take()));
                }
                FrameKind::Patch => {
                    seen.patches += 1;
                    self.patch(&frame);
                }
                FrameKind::Gone => {
                    seen.gone += 1;
                    self.document = None;
                }
                FrameKind::Resync => {
                    seen.resyncs += 1;
                    self.ended = true;
                }
            }
            self.check(durable, &frame);
        }
    }

    fn patch(&mut self, frame: &Frame) {
        let text: Value = serde_json::from_slice(&frame.text).expect("JSON");
        let (revision, document) = self.document.as_mut().expect("a patch continues a document");
        assert_eq!(text["base_revision"], *revision, "no revision is missed");
        assert_eq!(text["revision"], frame.revision);
        let patch: Patch = serde_json::from_value(text["operations"].clone()).expect("a patch");
        json_patch::patch(document, &patch).expect("it applies");
        for (name, value) in text["envelope"].as_object().expect("an object") {
            document[name] = value.clone();
        }
        *revision = frame.revision;
        if let Some(hash) = text.get("view_hash") {
            let canonical = serde_json::to_vec(document).expect("JSON");
            let hex: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(*hash, hex);
        }
    }

    /// After a frame the document is the view of its revision; and nothing that was withdrawn in an acknowledged
    /// revision is in it.
    fn check(&self, durable: &Durable, frame: &Frame) {
        let Some((revision, document)) = &self.document else { return };
        if frame.kind == FrameKind::Resync {
            return;
        }
        let fields = self.fields.unwrap_or(LeafSet::ALL);
        let expected = durable.document(self.number, &self.viewer, fields, *revision);
        let expected: Value = serde_json::from_slice(&expected).expect("JSON");
        assert_eq!(*document, expected, "after {:?} to revision {revision}", frame.kind);
        durable.check_not_withdrawn(self.number, &self.viewer, fields, *revision);
    }

    /// When nothing is under way, it holds the head.
    pub(super) fn check_complete(&self, durable: &Durable) {
        if self.ended || !self.opening.is_finished() {
            return;
        }
        let Some((revision, _)) = &self.document else { return };
        let head = durable.head(self.number).expect("the subscriber knows of the user");
        assert_eq!(*revision, head.envelope.revision, "a subscriber missed the last revisions");
    }
}
