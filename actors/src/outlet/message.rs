//! The messages of the live protocol, each encoded once for a whole mask class.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use domain::completeness::MissingField;
use domain::id::UserId;
use domain::mask_class::MaskClass;
use domain::pipeline::serialize;
use domain::profile::push_hex;
use domain::schema_version::SchemaVersion;
use domain::state::UserState;
use sha2::{Digest, Sha256};

use super::CursorKey;

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// The whole document. It replaces what the client holds.
    Profile,
    /// A patch from one revision to a later one.
    Patch,
    /// The percentage of completeness changed.
    Completeness,
    /// The user is not visible any more. A profile follows if that changes.
    Gone,
    /// The user was erased. The subscription ends.
    Erased,
    /// The user's actor has ended, and nothing follows: subscribe again. This kind has no text.
    Resync,
}

impl FrameKind {
    /// Returns whether nothing follows a frame of this kind.
    pub fn is_last(self) -> bool {
        matches!(self, Self::Erased | Self::Resync)
    }
}

/// One message, framed for the WebSocket. All subscribers of a class share its bytes.
#[derive(Debug)]
pub struct OutletMessage {
    /// The kind of the message.
    pub kind: FrameKind,
    /// The revision that a patch starts at; 0 for other kinds.
    pub base: u64,
    /// The revision that the client is at after the message; 0 if the message does not move it.
    pub revision: u64,
    framed: Bytes,
    /// Where the text begins in the frame.
    text_at: usize,
    /// The cursor in the text.
    cursor: Range<usize>,
    /// The operations of a patch in the text, without their brackets.
    operations: Range<usize>,
    /// The envelope of a patch in the text.
    envelope: Range<usize>,
    /// The document of a profile message in the text.
    view: Range<usize>,
}

/// A patch that reaches or crosses a multiple of this many revisions contains a hash of the view that it leads to.
const VIEW_HASH_EVERY: u64 = 64;

impl OutletMessage {
    /// Returns the message as a WebSocket frame of a server (RFC 6455): a final, unmasked text frame.
    pub fn framed(&self) -> &Bytes {
        &self.framed
    }

    /// Returns the JSON text, which begins with `{`. It is empty for [`FrameKind::Resync`].
    pub fn text(&self) -> &[u8] {
        &self.framed[self.text_at..]
    }

    /// Returns the cursor of a client that has read the message; `None` if the message does not move it.
    pub fn cursor(&self) -> Option<&str> {
        Some(self.part(&self.cursor)).filter(|cursor| !cursor.is_empty())
    }

    /// Returns the document of a profile message. It shares the message's bytes.
    pub(crate) fn view(&self) -> Bytes {
        self.framed.slice(self.text_at + self.view.start..self.text_at + self.view.end)
    }

    /// Returns a part of the text, which is UTF-8 throughout.
    fn part(&self, range: &Range<usize>) -> &str {
        std::str::from_utf8(&self.text()[range.clone()]).unwrap_or_default()
    }

    /// Returns `{"type":"profile",…}`. `view` is the state as the class sees it, in canonical JSON.
    pub(crate) fn profile(
        user: &UserId,
        state: &UserState,
        class: MaskClass,
        view: &[u8],
        cursors: &CursorKey,
    ) -> Self {
        let mut text = MessageWriter::new("profile", user);
        let cursor = text.string("cursor", &cursors.cursor(user, state, class));
        text.raw("revision", state.envelope.revision.to_string().as_bytes());
        let view = text.raw("profile", view);
        Self { revision: state.envelope.revision, cursor, view, ..text.finish(FrameKind::Profile) }
    }

    /// Returns `{"type":"patch",…}`, from the revision `base` to `state`. `operations` is the JSON list of those
    /// that the class sees, possibly none.
    pub(crate) fn patch(
        user: &UserId,
        state: &UserState,
        base: u64,
        operations: &[u8],
        class: MaskClass,
        cursors: &CursorKey,
    ) -> Self {
        let revision = state.envelope.revision;
        let operations = operations.strip_prefix(b"[").and_then(|list| list.strip_suffix(b"]")).unwrap_or_default();
        let span = PatchSpan { user, base, revision, cursor: &cursors.cursor(user, state, class) };
        let view_hash = span.hashes_view().then(|| Sha256::digest(serialize::view(state, class)).into());
        span.write(&[operations], &serialize::envelope(state, class.schema()), view_hash)
    }

    /// Returns one message in place of several: a patch from the base of the first of `waiting` to the revision of
    /// `newest`. Returns `profile`, the whole document at that revision, if it is not longer, or if one of the messages is
    /// no patch.
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
        let span = PatchSpan { user, base, revision: newest.revision, cursor };
        let view_hash = span.hashes_view().then(|| Sha256::digest(profile.part(&profile.view)).into());
        Arc::new(span.write(&operations, newest.part(&newest.envelope), view_hash))
    }

    /// Returns `{"type":"completeness",…}`. `missing` has only fields that the class may see. They are named as in `schema`.
    pub(crate) fn completeness(
        user: &UserId,
        old_pct: &str,
        new_pct: &str,
        missing: &[MissingField],
        schema: SchemaVersion,
    ) -> Self {
        let mut text = MessageWriter::new("completeness", user);
        text.raw("old_pct", old_pct.as_bytes());
        text.raw("new_pct", new_pct.as_bytes());
        let paths = missing.iter().filter_map(|field| schema.path(field.leaf));
        let paths: Vec<_> = paths.map(|path| format!("\"{path}\"")).collect();
        text.raw("missing_fields", format!("[{}]", paths.join(",")).as_bytes());
        text.finish(FrameKind::Completeness)
    }

    /// Returns `{"type":"gone",…}`.
    pub(crate) fn gone(user: &UserId) -> Self {
        MessageWriter::new("gone", user).finish(FrameKind::Gone)
    }

    /// Returns `{"type":"erased",…}`.
    pub(crate) fn erased(user: &UserId) -> Self {
        MessageWriter::new("erased", user).finish(FrameKind::Erased)
    }

    /// Returns the message that nothing follows. It has no text.
    pub(crate) fn resync() -> Self {
        Self::without_parts(FrameKind::Resync, Bytes::new(), 0)
    }

    fn without_parts(kind: FrameKind, framed: Bytes, text_at: usize) -> Self {
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

/// The revisions that a patch leads from and to.
struct PatchSpan<'a> {
    user: &'a UserId,
    base: u64,
    revision: u64,
    cursor: &'a str,
}

impl PatchSpan<'_> {
    /// Returns whether the patch contains the hash of the view that it leads to.
    fn hashes_view(&self) -> bool {
        self.revision / VIEW_HASH_EVERY != self.base / VIEW_HASH_EVERY
    }

    /// Returns the patch message. `operations` are JSON lists without their brackets.
    fn write(&self, operations: &[&[u8]], envelope: &str, view_hash: Option<[u8; 32]>) -> OutletMessage {
        let mut text = MessageWriter::new("patch", self.user);
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
        OutletMessage { base, revision, cursor, operations, envelope, ..text.finish(FrameKind::Patch) }
    }
}

/// Writes a JSON object, with room for the frame's header before it.
struct MessageWriter(Vec<u8>);

impl MessageWriter {
    fn new(kind: &str, user: &UserId) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.resize(MAX_HEADER_BYTES, 0);
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

    /// Adds a member with a value that is JSON already. Returns the value's place in the text.
    fn raw(&mut self, name: &str, value: &[u8]) -> Range<usize> {
        self.name(name);
        self.value(value)
    }

    /// Adds a string that needs no escapes. Returns the place of what is between the quotes.
    fn string(&mut self, name: &str, value: &str) -> Range<usize> {
        self.name(name);
        self.0.push(b'"');
        let place = self.value(value.as_bytes());
        self.0.push(b'"');
        place
    }

    /// Adds several lists, given without their brackets, as one. Returns the place of what is between the brackets.
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
        let place = start - MAX_HEADER_BYTES..self.0.len() - MAX_HEADER_BYTES;
        self.0.push(b']');
        place
    }

    fn value(&mut self, value: &[u8]) -> Range<usize> {
        let start = self.0.len() - MAX_HEADER_BYTES;
        self.0.extend_from_slice(value);
        start..start + value.len()
    }

    fn finish(mut self, kind: FrameKind) -> OutletMessage {
        self.0.push(b'}');
        let length = self.0.len() - MAX_HEADER_BYTES;
        let (header, header_length) = text_header(length);
        let start = MAX_HEADER_BYTES - header_length;
        self.0[start..MAX_HEADER_BYTES].copy_from_slice(&header[..header_length]);
        OutletMessage::without_parts(kind, Bytes::from(self.0).slice(start..), header_length)
    }
}

/// Maximum number of bytes of a frame's header.
const MAX_HEADER_BYTES: usize = 10;

/// Returns the header of a final, unmasked text frame with `length` bytes of text (RFC 6455, section 5.2), and the
/// number of its bytes that are used.
pub fn text_header(length: usize) -> ([u8; MAX_HEADER_BYTES], usize) {
    const FINAL_TEXT: u8 = 0x81;
    let mut header = [0; MAX_HEADER_BYTES];
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
