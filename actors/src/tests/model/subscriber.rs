//! A subscriber that follows the live protocol and checks every frame.

use domain::access::Viewer;
use domain::schema_version::SchemaVersion;
use domain::table::{FIELDS, LeafSet};
use json_patch::Patch;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::super::fixture::user;
use super::super::harness::Harness;
use super::checks::Durable;
use super::schedule::Tally;
use crate::outlet::{FrameKind, OutletFrame, OutletReceiver, OutletSender, channel};
use crate::{ReadError, Subscription};

const ID: u64 = 5;

/// A client that follows a user, and what it holds, connected or not.
pub(super) struct Client {
    number: usize,
    viewer: Viewer,
    fields: Option<LeafSet>,
    schema: SchemaVersion,
    names_sources: bool,
    document: Option<(u64, Value)>,
    cursor: Option<String>,
}

pub(super) struct Subscriber {
    client: Client,
    outlet: OutletSender,
    frames: OutletReceiver,
    opening: JoinHandle<Result<(), ReadError>>,
    /// Whether a cursor was sent that no frame has answered yet.
    asked_to_continue: bool,
    /// Whether the last frame was a resync.
    ended: bool,
}

impl Client {
    pub(super) fn new(
        number: usize,
        viewer: Viewer,
        fields: Option<LeafSet>,
        schema: SchemaVersion,
        names_sources: bool,
    ) -> Self {
        Self { number, viewer, fields, schema, names_sources, document: None, cursor: None }
    }

    /// Returns the leaves that the client asks for and that its schema version has.
    fn fields(&self) -> LeafSet {
        self.fields.unwrap_or(LeafSet::ALL).and(self.schema.leaves())
    }
}

impl Subscriber {
    pub(super) fn open(harness: &Harness, client: Client, capacity: usize) -> Self {
        let (outlet, frames) = channel(capacity);
        let profiles = harness.profiles.clone();
        let Client { number, viewer, fields, schema, names_sources, cursor, .. } = &client;
        let (user, cursor) = (user(*number), cursor.clone());
        let asked_to_continue = cursor.is_some();
        let subscription = Subscription {
            id: ID,
            viewer: viewer.clone(),
            fields: *fields,
            schema: *schema,
            names_sources: *names_sources,
            cursor,
            followed_before: false,
            outlet: outlet.clone(),
        };
        let opening = actix_rt::spawn(async move { profiles.subscribe(user, subscription).await });
        Self { client, outlet, frames, opening, asked_to_continue, ended: false }
    }

    pub(super) fn close(mut self, harness: &Harness) -> Client {
        harness.profiles.unsubscribe(user(self.client.number), ID, &self.outlet);
        assert!(self.frames.try_recv().is_none(), "a frame after the subscription ended");
        self.lose()
    }

    /// Returns the client after the server is gone, with whatever waited to be received.
    pub(super) fn lose(self) -> Client {
        self.opening.abort();
        self.client
    }

    /// Receives and checks all frames that wait.
    pub(super) fn receive(&mut self, durable: &Durable, tally: &mut Tally) {
        while let Some(frame) = self.frames.try_recv() {
            assert!(!self.ended, "a frame after the last");
            match frame.message.kind {
                FrameKind::Profile => self.profile(&frame, tally),
                FrameKind::Patch => self.patch(&frame, durable, tally),
                FrameKind::Completeness => self.completeness(&frame, tally),
                FrameKind::Gone => {
                    tally.count("gone");
                    (self.client.document, self.client.cursor) = (None, None);
                }
                FrameKind::Erased => panic!("nobody was erased"),
                FrameKind::Resync => {
                    tally.count("resyncs");
                    self.ended = true;
                }
            }
            if let Some(cursor) = frame.message.cursor() {
                self.client.cursor = Some(cursor.to_owned());
                self.asked_to_continue = false;
            }
            self.check(durable, &frame);
        }
    }

    fn profile(&mut self, frame: &OutletFrame, tally: &mut Tally) {
        tally.count("profiles");
        assert!(!frame.reset || self.asked_to_continue, "a reset that nobody asked for");
        if frame.reset {
            tally.count("resets");
        }
        self.client.document = Some((frame.message.revision, json(frame)["profile"].take()));
    }

    fn patch(&mut self, frame: &OutletFrame, durable: &Durable, tally: &mut Tally) {
        tally.count("patches");
        assert!(!frame.reset, "a patch continues");
        let text = json(frame);
        self.check_sources(&text, durable, tally);
        let (revision, document) = self.client.document.as_mut().expect("a patch continues a document");
        assert_eq!(text["base_revision"], *revision, "no revision is missed");
        assert_eq!(text["revision"], frame.message.revision);
        let patch: Patch = serde_json::from_value(text["operations"].clone()).expect("a patch");
        json_patch::patch(document, &patch).expect("it applies");
        for (name, value) in text["envelope"].as_object().expect("an object") {
            document[name] = value.clone();
        }
        if self.asked_to_continue {
            tally.count("continued");
        } else if frame.message.revision > *revision + 1 {
            tally.count("merged patches");
        }
        if patch.is_empty() {
            tally.count("empty patches");
        }
        let crosses = frame.message.revision / 64 != *revision / 64;
        assert_eq!(text.get("view_hash").is_some(), crosses, "from {revision} to {}", frame.message.revision);
        *revision = frame.message.revision;
        if let Some(hash) = text.get("view_hash") {
            let canonical = serde_json::to_vec(document).expect("JSON");
            let hex: String = Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(*hash, hex);
        }
    }

    /// Checks that each operation names the source that its leaf has at a revision of the patch, and names none to a client that
    /// has not asked for sources.
    fn check_sources(&self, patch: &Value, durable: &Durable, tally: &mut Tally) {
        let Client { number, schema, names_sources, .. } = &self.client;
        let revision = |member: &str| patch[member].as_u64().expect("a number");
        for operation in patch["operations"].as_array().expect("a list") {
            let named = operation.get("x-source").map(|source| source.as_str().expect("a name"));
            if !names_sources {
                assert_eq!(named, None, "nobody asked for it: {patch}");
                continue;
            }
            if operation["op"] == "remove" {
                assert_eq!(named, None, "what is removed has no source: {patch}");
                continue;
            }
            let path = operation["path"].as_str().expect("a pointer");
            let is_of = |name: &str| {
                let rest = path[1..].strip_prefix(&name.replace('.', "/"));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let leaf = FIELDS.iter().map(|field| field.leaf).find(|leaf| schema.path(*leaf).is_some_and(is_of));
            let sources =
                leaf.map(|leaf| durable.sources(*number, revision("base_revision"), revision("revision"), leaf));
            assert!(sources.unwrap_or_else(|| vec![None]).contains(&named), "{operation} of {patch}");
            if named.is_some() {
                tally.count("sources");
            }
        }
    }

    /// Checks a completeness message: it follows the patch with the percentage, and names only fields that were asked for.
    fn completeness(&self, frame: &OutletFrame, tally: &mut Tally) {
        tally.count("completeness");
        let text = json(frame);
        let (_, document) = self.client.document.as_ref().expect("a change of what is held");
        assert_eq!(text["new_pct"], document["profile_completeness_pct"]);
        assert_ne!(text["new_pct"], text["old_pct"]);
        for path in text["missing_fields"].as_array().expect("a list") {
            let field = FIELDS.iter().find(|field| *path == field.path).expect("a field");
            assert!(self.client.fields().has(field.leaf), "{path} was not asked for");
        }
    }

    /// Checks that the document after a frame is the view of its revision, and contains nothing that an acknowledged
    /// revision withdrew.
    fn check(&self, durable: &Durable, frame: &OutletFrame) {
        let Client { number, viewer, schema, document, .. } = &self.client;
        let Some((revision, document)) = document else { return };
        let kind = frame.message.kind;
        if kind == FrameKind::Resync {
            return;
        }
        let fields = self.client.fields();
        let expected = durable.document(*number, viewer, fields, *schema, *revision);
        let expected: Value = serde_json::from_slice(&expected).expect("JSON");
        assert_eq!(*document, expected, "after {kind:?} to revision {revision}");
        durable.check_not_withdrawn(*number, viewer, fields, *revision);
    }

    /// Checks that the client holds the head, when nothing is left to do.
    pub(super) fn check_complete(&self, durable: &Durable) {
        if self.ended || self.asked_to_continue || !self.opening.is_finished() {
            return;
        }
        let Some((revision, _)) = &self.client.document else { return };
        let head = durable.head(self.client.number).expect("the subscriber knows of the user");
        assert_eq!(*revision, head.envelope.revision, "a subscriber missed the last revisions");
    }
}

fn json(frame: &OutletFrame) -> Value {
    serde_json::from_slice(frame.message.text()).expect("JSON")
}
