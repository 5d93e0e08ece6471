//! The document while it is sent: the section that it has come to, and where in it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use actors::history::RevisionRange;
use actors::snapshots::SnapshotPosition;
use domain::id::UserId;
use domain::port::audit_trail::AuditCursor;
use domain::port::dead_letters::LetterPosition;

use super::permits::ExportPermit;
use super::sections::{self, HELD_ELSEWHERE, omits_access_log};
use super::state::ExportDataState;
use crate::http::problem::{Code, Problem};
use crate::http::request::caller::Caller;
use crate::http::request::expiry::Expiry;
use crate::json_text;

/// How often a reading is tried again that finds the server busy, and the time before each try.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(200);

/// The next thing to send.
enum Section {
    Head(Vec<u8>),
    Consents(RevisionRange),
    Revisions(RevisionRange),
    Snapshots(Option<SnapshotPosition>),
    Letters(Option<LetterPosition>),
    AccessLog(Option<AuditCursor>),
    End,
    Done,
}

/// One document while it is sent.
pub(super) struct Document {
    pub(super) state: Data<ExportDataState>,
    pub(super) user: UserId,
    pub(super) caller: Arc<Caller>,
    /// The revision of the profile in the document, which is the last one that it lists.
    until: u64,
    section: Section,
    /// Whether the array of the section has begun, and whether it has an item.
    is_open: bool,
    has_items: bool,
    expiry: Expiry,
    _permit: ExportPermit,
}

impl Document {
    /// Returns a document that begins with `head`.
    pub(super) fn new(
        state: Data<ExportDataState>,
        user: UserId,
        caller: Arc<Caller>,
        until: u64,
        head: Vec<u8>,
        expiry: Expiry,
        permit: ExportPermit,
    ) -> Self {
        let (section, is_open, has_items) = (Section::Head(head), false, false);
        Self { state, user, caller, until, section, is_open, has_items, expiry, _permit: permit }
    }

    /// Returns the next piece, which is not empty; `None` after the last one.
    ///
    /// # Errors
    /// The caller is not accepted any more, or something cannot be read.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        loop {
            if let Some(expired) = self.expiry.is_expired() {
                return Err(Problem::new(Code::InvalidToken, expired.detail()));
            }
            match self.step().await? {
                Some(piece) if piece.is_empty() => {}
                piece => return Ok(piece),
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let all = RevisionRange { after: None, until: self.until, width: 0 };
        let section = std::mem::replace(&mut self.section, Section::Done);
        Ok(Some(match section {
            Section::Head(head) => {
                self.begin(Section::Consents(all));
                head
            }
            Section::Consents(range) => {
                let page = self.patiently(async || sections::revisions(self, range).await).await?;
                let items = page.items.iter().filter_map(sections::consent).collect();
                self.piece("consents", items, page.next.map(Section::Consents), Section::Revisions(all))
            }
            Section::Revisions(range) => {
                let page = self.patiently(async || sections::revisions(self, range).await).await?;
                let items = page.items.iter().map(sections::revision).collect();
                self.piece("revisions", items, page.next.map(Section::Revisions), Section::Snapshots(None))
            }
            Section::Snapshots(after) => {
                let page = self.patiently(async || sections::snapshots(self, after).await).await?;
                let next = page.1.map(|next| Section::Snapshots(Some(next)));
                self.piece("snapshots", page.0, next, Section::Letters(None))
            }
            Section::Letters(from) => {
                let page = self.patiently(async || sections::letters(self, from).await).await?;
                let next = page.1.map(|next| Section::Letters(Some(next)));
                let then = if omits_access_log(&self.caller) { Section::End } else { Section::AccessLog(None) };
                self.piece("dead_letters", page.0, next, then)
            }
            Section::AccessLog(cursor) => {
                let page = self.patiently(async || sections::access_log(self, cursor).await).await?;
                let next = page.1.map(|next| Section::AccessLog(Some(next)));
                self.piece("access_log", page.0, next, Section::End)
            }
            Section::End => {
                let elsewhere: Vec<_> = HELD_ELSEWHERE.iter().map(sections::elsewhere).collect();
                format!(",\"held_elsewhere\":{}}}\n", json_text::to_text(&elsewhere)).into_bytes()
            }
            Section::Done => return Ok(None),
        }))
    }

    fn begin(&mut self, section: Section) {
        (self.section, self.is_open, self.has_items) = (section, false, false);
    }

    /// Returns the text of items of an array, and goes on with `next`, or with `then` if that is all of it.
    fn piece(&mut self, name: &str, items: Vec<String>, next: Option<Section>, then: Section) -> Vec<u8> {
        let mut out = String::new();
        if !std::mem::replace(&mut self.is_open, true) {
            out.push_str(&format!(",\"{name}\":["));
        }
        for item in items {
            if std::mem::replace(&mut self.has_items, true) {
                out.push(',');
            }
            out.push_str(&item);
        }
        match next {
            Some(next) => self.section = next,
            None => {
                out.push(']');
                self.begin(then);
            }
        }
        out.into_bytes()
    }

    /// Reads something, and tries again for a while if the server is busy.
    async fn patiently<T>(&self, read: impl AsyncFn() -> Result<T, Problem>) -> Result<T, Problem> {
        for _ in 1..ATTEMPTS {
            match read().await {
                Err(problem) if problem.is(Code::Busy) => tokio::time::sleep(PAUSE).await,
                other => return other,
            }
        }
        read().await
    }
}
