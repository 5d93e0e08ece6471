//! The messages of the live protocol, each encoded once for a whole mask class.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use domain::completeness::MissingField;
use domain::id::UserId;
use domain::pipeline::serialize;
use domain::profile::push_hex;
use domain::state::UserState;
use domain::table::LeafSet;
use json_patch::Patch;
use sha2::{Digest, Sha256};

use super::CursorKey;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// The whole document: what came before it no longer counts.
    Profile,
    /// From one revision to a later one.
    Patch,
    /// The percentage of completeness changed.
    Completeness,
    /// Nothing is visible any more. Should that change, a profile follows.
    Gone,
    /// The actor is no more, and nothing follows: subscribe again. It has no text.
    Resync,
}

/// One message, framed for the WebSocket. Everybody of a class shares its bytes.
#[derive(Debug)]
pub struct Message {
    /// What it is.
    pub kind: FrameKind,
    /// The revision that a patch begins at.
    pub base: u64,
    /// The revision that the subscriber holds after it; 0 where there is none.
    pub revision: u64,
    framed: Bytes,
    text_at: usize,
    cursor: Range<usize>,
    /// A patch's operations, without their brackets.
    operations: Range<usize>,
    /// A patch's envelope.
    envelope: Range<usize>,
    /// A profile's document.
    view: Range<usize>,
}

/// Every how many revisions a patch carries a hash of the view that it leads to.
const VIEW_HASH_EVERY: u64 = 64;

impl Message {
    /// The whole message as a WebSocket frame of a server (RFC 6455): a final, unmasked text frame.
    pub fn framed(&self) -> &Bytes {
        &self.framed
    }

    /// The JSON text, which begins with `{`.
    pub fn text(&self) -> &[u8] {
        &self.framed[self.text_at..]
    }

    /// Where a subscriber stands who has read the message, if it moves them.
    pub fn cursor(&self) -> Option<&str> {
        Some(self.part(&self.cursor)).filter(|cursor| !cursor.is_empty())
    }

    /// The document of a profile message; it shares the message's bytes.
    pub(crate) fn view(&self) -> Bytes {
        self.framed.slice(self.text_at + self.view.start..self.text_at + self.view.end)
    }

    /// A part of the text, which is UTF-8 throughout.
    fn part(&self, range: &Range<usize>) -> &str {
        std::str::from_utf8(&self.text()[range.clone()]).unwrap_or_default()
    }

    /// `{"type":"profile",…}`: the state as a class sees it.
    ///
    /// `view` is the state as the class sees it, serialised.
    pub(crate) fn profile(user: &UserId, state: &UserState, class: LeafSet, view: &[u8], cursors: &CursorKey) -> Self {
        let mut text = Text::new("profile", user);
        let cursor = text.string("cursor", &cursors.cursor(user, state, class));
        text.raw("revision", state.envelope.revision.to_string().as_bytes());
        let view = text.raw("profile", view);
        Self { revision: state.envelope.revision, cursor, view, ..text.finish(FrameKind::Profile) }
    }

    /// `{"type":"patch",…}`: the step from `base` to the state as a class sees it; without operations where it sees
    /// nothing of it.
    pub(crate) fn patch(
        user: &UserId,
        state: &UserState,
        base: u64,
        patch: &Patch,
        class: LeafSet,
        cursors: &CursorKey,
    ) -> Self {
        let revision = state.envelope.revision;
        // Operations are JSON values already: writing them cannot fail.
        let operations = serde_json::to_vec(patch).unwrap_or_default();
        let operations = operations.strip_prefix(b"[").and_then(|list| list.strip_suffix(b"]")).unwrap_or_default();
        let step = Step { user, base, revision, cursor: &cursors.cursor(user, state, class) };
        let view_hash = step.hashes_view().then(|| Sha256::digest(serialize::view(state, class)).into());
        step.write(&[operations], &serialize::envelope(state), view_hash)
    }

    /// One message in place of several: from where the first of `waiting` begins to where `newest` ends, all of them
    /// patches. Where that is not shorter than `profile`, the whole document at that same revision, it is that one.
    pub(crate) fn merge(user: &UserId, waiting: &[Arc<Self>], newest: &Arc<Self>, profile: &Arc<Self>) -> Arc<Self> {
        let all = || waiting.iter().chain([newest]);
        let operations: Vec<&[u8]> = all().map(|message| message.part(&message.operations).as_bytes()).collect();
        let length: usize = operations.iter().map(|list| list.len() + 1).sum();
        let is_patches = all().all(|message| message.kind == FrameKind::Patch);
        if !is_patches || length + newest.text().len() - newest.operations.len() >= profile.text().len() {
            return Arc::clone(profile);
        }
        let base = waiting.first().map_or(newest.base, |first| first.base);
        let cursor = newest.cursor().unwrap_or_default();
        let step = Step { user, base, revision: newest.revision, cursor };
        let view_hash = step.hashes_view().then(|| Sha256::digest(profile.part(&profile.view)).into());
        Arc::new(step.write(&operations, newest.part(&newest.envelope), view_hash))
    }

    /// `{"type":"completeness",…}`. `missing` names only what the class may see.
    pub(crate) fn completeness(user: &UserId, old_pct: &str, new_pct: &str, missing: &[MissingField]) -> Self {
        let mut text = Text::new("completeness", user);
        text.raw("old_pct", old_pct.as_bytes());
        text.raw("new_pct", new_pct.as_bytes());
        let paths: Vec<_> = missing.iter().map(|field| format!("\"{}\"", field.leaf.field().path)).collect();
        text.raw("missing_fields", format!("[{}]", paths.join(",")).as_bytes());
        text.finish(FrameKind::Completeness)
    }

    /// `{"type":"gone",…}`.
    pub(crate) fn gone(user: &UserId) -> Self {
        Text::new("gone", user).finish(FrameKind::Gone)
    }

    /// The word that nothing follows.
    pub(crate) fn resync() -> Self {
        Self::of(FrameKind::Resync, Bytes::new(), 0)
    }

    fn of(kind: FrameKind, framed: Bytes, text_at: usize) -> Self {
        let none = 0..0;
        Self {
            kind,
            base: 0,
            revision: 0,
            framed,
            text_at,
            cursor: none.clone(),
            operations: none.clone(),
            envelope: none.clone(),
            view: none,
        }
    }
}

/// Where a patch leads from and to.
struct Step<'a> {
    user: &'a UserId,
    base: u64,
    revision: u64,
    cursor: &'a str,
}

impl Step<'_> {
    /// Whether the step reaches or crosses a revision at which the view's hash is told.
    fn hashes_view(&self) -> bool {
        self.revision / VIEW_HASH_EVERY != self.base / VIEW_HASH_EVERY
    }

    /// `operations` are lists without their brackets.
    fn write(&self, operations: &[&[u8]], envelope: &str, view_hash: Option<[u8; 32]>) -> Message {
        let mut text = Text::new("patch", self.user);
        text.raw("base_revision", self.base.to_string().as_bytes());
        text.raw("revision", self.revision.to_string().as_bytes());
        let cursor = text.string("cursor", self.cursor);
        let operations = text.list("operations", operations);
        let envelope = text.raw("envelope", envelope.as_bytes());
        if let Some(hash) = view_hash {
            let mut hex = String::with_capacity(64);
            push_hex(&mut hex, &hash);
            text.string("view_hash", &hex);
        }
        let (base, revision) = (self.base, self.revision);
        Message { base, revision, cursor, operations, envelope, ..text.finish(FrameKind::Patch) }
    }
}

/// A JSON object in the making, with room for the frame's header before it.
struct Text(Vec<u8>);

impl Text {
    fn new(kind: &str, user: &UserId) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.resize(LONGEST_HEADER, 0);
        let mut text = Self(bytes);
        text.0.extend_from_slice(b"{\"type\":\"");
        text.0.extend_from_slice(kind.as_bytes());
        text.0.push(b'"');
        text.string("user_id", user.as_str());
        text
    }

    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    /// Adds a member whose value is JSON already; its place in the text.
    fn raw(&mut self, name: &str, value: &[u8]) -> Range<usize> {
        self.name(name);
        self.value(value)
    }

    /// Adds a string that needs no escapes; the place of what is between the quotes.
    fn string(&mut self, name: &str, value: &str) -> Range<usize> {
        self.name(name);
        self.0.push(b'"');
        let place = self.value(value.as_bytes());
        self.0.push(b'"');
        place
    }

    /// Adds lists, without their brackets, as one; the place of what is between the brackets.
    fn list(&mut self, name: &str, lists: &[&[u8]]) -> Range<usize> {
        self.name(name);
        self.0.push(b'[');
        let start = self.0.len();
        for list in lists.iter().filter(|list| !list.is_empty()) {
            if self.0.len() > start {
                self.0.push(b',');
            }
            self.0.extend_from_slice(list);
        }
        let place = start - LONGEST_HEADER..self.0.len() - LONGEST_HEADER;
        self.0.push(b']');
        place
    }

    fn value(&mut self, value: &[u8]) -> Range<usize> {
        let start = self.0.len() - LONGEST_HEADER;
        self.0.extend_from_slice(value);
        start..start + value.len()
    }

    fn finish(mut self, kind: FrameKind) -> Message {
        self.0.push(b'}');
        let length = self.0.len() - LONGEST_HEADER;
        let (header, header_length) = text_header(length);
        let start = LONGEST_HEADER - header_length;
        self.0[start..LONGEST_HEADER].copy_from_slice(&header[..header_length]);
        Message::of(kind, Bytes::from(self.0).slice(start..), header_length)
    }
}

const LONGEST_HEADER: usize = 10;

/// The header of a final, unmasked text frame (RFC 6455, section 5.2), and how many bytes of it count.
pub fn text_header(length: usize) -> ([u8; LONGEST_HEADER], usize) {
    const FINAL_TEXT: u8 = 0x81;
    let mut header = [0; LONGEST_HEADER];
    header[0] = FINAL_TEXT;
    match length {
        0..=125 => {
            header[1] = length as u8;
            (header, 2)
        }
        126..=0xffff => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            (header, 4)
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            (header, 10)
        }
    }
}
