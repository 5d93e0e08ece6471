//! A follower of the citizen, which checks every frame.

use std::collections::BTreeMap;

use actors::outlet::{FrameKind, OutletFrame, OutletReceiver, OutletSender, channel};
use actors::{Profiles, Subscription};
use domain::access::Viewer;
use domain::id::UserId;
use domain::migration::migrate;
use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::visibility;

/// How often each thing happened. A test in which something never happens proves nothing about it.
#[derive(Debug, Default)]
pub(super) struct Coverage(BTreeMap<&'static str, usize>);

const EVENTS: [&str; 10] = [
    "profiles",
    "patches",
    "empty patches",
    "merged patches",
    "continued",
    "resets",
    "view hashes",
    "completeness",
    "gone",
    "sources",
];

impl Coverage {
    fn record(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| *self.0.entry(what).or_default() += times);
    }

    pub(super) fn assert_complete(&self) {
        for what in EVENTS {
            assert!(self.0.get(what).is_some_and(|times| *times >= 20), "{what} hardly ever: {self:?}");
        }
    }
}

pub(super) struct Follower {
    user: UserId,
    pub(super) viewer: Viewer,
    pub(super) fields: Option<LeafSet>,
    pub(super) schema: SchemaVersion,
    names_sources: bool,
    pub(super) held: Option<Value>,
    /// The revision of what is held, which version 1.0 does not say.
    pub(super) revision: u64,
    cursor: Option<String>,
    outlet: Option<(OutletSender, OutletReceiver)>,
    asked_to_continue: bool,
}

impl Follower {
    pub(super) fn new(
        user: UserId,
        viewer: Viewer,
        fields: Option<LeafSet>,
        schema: SchemaVersion,
        names_sources: bool,
    ) -> Self {
        let (held, cursor, outlet) = (None, None, None);
        let asked_to_continue = false;
        Self { user, viewer, fields, schema, names_sources, held, revision: 0, cursor, outlet, asked_to_continue }
    }

    /// Subscribes, with its cursor if it has one. Returns whether the user is visible to it.
    pub(super) async fn open(&mut self, profiles: &Profiles, capacity: usize) -> bool {
        let (sender, receiver) = channel(capacity);
        self.asked_to_continue = self.cursor.is_some();
        let subscription = Subscription {
            id: 1,
            viewer: self.viewer.clone(),
            fields: self.fields,
            schema: self.schema,
            names_sources: self.names_sources,
            cursor: self.cursor.clone(),
            followed_before: false,
            outlet: sender.clone(),
        };
        self.outlet = Some((sender, receiver));
        profiles.subscribe(self.user, subscription).await.is_ok()
    }

    pub(super) fn close(&mut self, profiles: &Profiles) {
        if let Some((sender, mut receiver)) = self.outlet.take() {
            profiles.unsubscribe(self.user, 1, &sender);
            assert!(receiver.try_recv().is_none(), "a frame after the subscription ended");
        }
    }

    /// Reads the frames that wait. `own` is the citizen's profile, as acknowledged before.
    pub(super) fn read(&mut self, own: &Value, coverage: &mut Coverage) {
        while let Some(frame) = self.outlet.as_mut().and_then(|(_, receiver)| receiver.try_recv()) {
            self.take(&frame, coverage);
            let held = self.held.as_ref().map(lifted);
            if let Some(path) = held.and_then(|held| visibility::forbidden_path(&self.viewer, own, &held)) {
                panic!("{:?} holds {path} after {}", self.viewer, String::from_utf8_lossy(frame.message.text()));
            }
        }
    }

    fn take(&mut self, frame: &OutletFrame, coverage: &mut Coverage) {
        let text: Value = serde_json::from_slice(frame.message.text()).expect("JSON");
        match frame.message.kind {
            FrameKind::Profile => {
                coverage.record("profiles");
                assert!(!frame.reset || self.asked_to_continue, "a reset that nobody asked for");
                if frame.reset {
                    coverage.record("resets");
                }
                self.held = Some(text["profile"].clone());
                self.revision = number(&text["revision"]);
            }
            FrameKind::Patch => self.patch(&text, coverage),
            FrameKind::Erased => panic!("nobody was erased"),
            FrameKind::Completeness => {
                coverage.record("completeness");
                let held = self.held.as_ref().expect("a change of what is held");
                assert_eq!(text["new_pct"], held["profile_completeness_pct"]);
            }
            FrameKind::Gone => {
                coverage.record("gone");
                (self.held, self.cursor) = (None, None);
            }
            FrameKind::Resync => panic!("no actor ends here"),
        }
        if let Some(cursor) = frame.message.cursor() {
            self.cursor = Some(cursor.to_owned());
            self.asked_to_continue = false;
        }
    }

    fn patch(&mut self, text: &Value, coverage: &mut Coverage) {
        coverage.record("patches");
        if self.asked_to_continue {
            coverage.record("continued");
        }
        let held = self.held.as_mut().expect("a patch continues a document");
        assert_eq!(text["base_revision"], self.revision, "no gap, and nothing twice");
        let operations: json_patch::Patch = serde_json::from_value(text["operations"].clone()).expect("a patch");
        let sources = text["operations"].as_array().expect("a list").iter().filter_map(|one| one.get("x-source"));
        let sources = sources.inspect(|_| coverage.record("sources")).count();
        assert!(self.names_sources || sources == 0, "nobody asked for sources: {text}");
        json_patch::patch(held, &operations).unwrap_or_else(|error| panic!("{error}: {text}"));
        for (name, value) in text["envelope"].as_object().expect("an object") {
            held[name] = value.clone();
        }
        self.revision = number(&text["revision"]);
        match self.schema {
            SchemaVersion::V1_0 => assert_eq!(held.get("revision"), None),
            SchemaVersion::V2_0 => assert_eq!(held["revision"], self.revision),
        }
        if operations.is_empty() {
            coverage.record("empty patches");
        }
        let (base, revision) = (number(&text["base_revision"]), number(&text["revision"]));
        if revision > base + 1 {
            coverage.record("merged patches");
        }
        assert_eq!(text.get("view_hash").is_some(), revision / 64 != base / 64);
        if let Some(hash) = text.get("view_hash") {
            coverage.record("view hashes");
            let canonical = serde_json_canonicalizer::to_vec(held).expect("canonical form");
            assert_eq!(*hash, hex::encode(Sha256::digest(canonical)));
        }
    }
}

/// Returns a document with the names of the newest version, in which the table of what viewers may hold is written.
fn lifted(held: &Value) -> Value {
    let document = held.as_object().expect("an object").clone();
    migrate(document, SchemaVersion::V2_0).expect("a known version").into()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}
