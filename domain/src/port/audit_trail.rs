//! The port through which the audit log is read: by filter, and with proofs that nothing was rewritten.

use super::audit::{AuditActor, AuditCategory, AuditError, AuditReceipt};
use crate::id::UserId;

/// Which entries are asked for. Every filter that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditQuery {
    /// The categories to look through.
    pub categories: Vec<AuditCategory>,
    /// Entries about this user.
    pub subject: Option<UserId>,
    /// Entries of this actor.
    pub actor: Option<AuditActor>,
    /// Entries of this action.
    pub action: Option<String>,
    /// Entries from this time on, in microseconds since the Unix epoch.
    pub from: Option<i64>,
    /// Entries before this time, in microseconds since the Unix epoch.
    pub until: Option<i64>,
    /// Where the page before has ended.
    pub cursor: Option<AuditCursor>,
    /// Maximum number of entries in the page.
    pub limit: usize,
}

impl AuditQuery {
    /// Returns the query for the newest `limit` entries of all categories.
    pub fn newest(limit: usize) -> Self {
        Self {
            categories: AuditCategory::ALL.to_vec(),
            subject: None,
            actor: None,
            action: None,
            from: None,
            until: None,
            cursor: None,
            limit,
        }
    }
}

/// A position in the log: the page after it holds entries with smaller numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCursor {
    /// The numbers below which to go on, in the order of [`AuditCategory::ALL`].
    pub before: [u64; AuditCategory::COUNT],
}

/// An entry that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// The entry's place.
    pub receipt: AuditReceipt,
    /// The entry: a canonical JSON object, whose bytes are the leaf of the tree.
    pub line: String,
}

/// A page of entries, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries. There may be fewer than asked for although more follow.
    pub records: Vec<AuditRecord>,
    /// Where to go on; `None` if there are no more entries.
    pub next: Option<AuditCursor>,
}

/// A signed statement of what the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTreeHead {
    /// The number of compliance entries.
    pub size: u64,
    /// The statement with its signature: a canonical JSON object.
    pub line: String,
}

/// A hash in a proof.
pub type AuditHash = [u8; 32];

/// A read of the log that failed.
#[derive(Debug, thiserror::Error)]
pub enum AuditReadError {
    /// The log has no such leaf, or no tree of that size.
    #[error("the audit log has no entry or tree of that number")]
    NoSuchTree,
    /// The entries could not be brought up to date.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// The files could not be read.
    #[error("the audit log could not be read")]
    Unreadable(#[source] std::io::Error),
}

/// Reads the audit log. The methods block, so they are called on a thread that may block.
pub trait AuditTrail: Send + Sync {
    /// Returns entries that fit, the newest first. Entries that were recorded before the call are among them.
    ///
    /// # Errors
    /// The log could not be written up to now, or not be read.
    fn query(&self, query: &AuditQuery) -> Result<AuditPage, AuditReadError>;

    /// Returns the newest signed tree head; `None` if none was signed yet.
    fn tree_head(&self) -> Option<AuditTreeHead>;

    /// Signs a tree head that has everything that was recorded before the call, or returns the newest one if it has.
    ///
    /// # Errors
    /// The head could not be stored.
    fn sign_tree_head(&self) -> Result<AuditTreeHead, AuditReadError>;

    /// Returns a signed tree head that has the first `leaves` compliance entries: the newest one if it has them, and else a new
    /// one. Entries of other categories alone cause no new head.
    ///
    /// # Errors
    /// The head could not be stored.
    fn covering_tree_head(&self, leaves: u64) -> Result<AuditTreeHead, AuditReadError>;

    /// Returns the proof that a leaf is in the tree of the first `size` leaves: hashes from below (RFC 9162, section 2.1.3).
    ///
    /// # Errors
    /// There is no such leaf or tree, or the nodes could not be read.
    fn inclusion(&self, leaf: u64, size: u64) -> Result<Vec<AuditHash>, AuditReadError>;

    /// Returns the proof that the tree of the first `old` leaves is the start of that of the first `new` (RFC 9162, section
    /// 2.1.4).
    ///
    /// # Errors
    /// There is no such tree, or the nodes could not be read.
    fn consistency(&self, old: u64, new: u64) -> Result<Vec<AuditHash>, AuditReadError>;

    /// Returns the Ed25519 public key with which tree heads are checked.
    fn public_key(&self) -> [u8; 32];
}
