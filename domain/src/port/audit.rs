//! The port of the audit log: what is recorded, and with which promise.
//!
//! Entries of later systems are data: a new action is a name, and what only some entries have is an [`AuditMember`].

use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::id::UserId;
use crate::named_enum;
use crate::table::LeafSet;

named_enum! {
    /// The category of an entry, which decides what is promised about it and how long it is kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum AuditCategory {
        /// Reads by administrators and agents or through history, writes by a person, consent, exports, erasures, keys,
        /// configuration, calls of the admin listener. Durable before the operation takes effect.
        Compliance => "compliance",
        /// Failed authentication, refusals, limits that were reached. Durable within a second.
        Security => "security",
        /// Reads by services and live subscriptions. Best effort: entries that are dropped are counted.
        Operations => "operations",
    }
}

named_enum! {
    /// What was decided about an operation.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum AuditDecision {
        /// It was allowed. A compliance entry is written before the operation, so the operation may still fail.
        Allowed => "allowed",
        /// It was refused.
        Denied => "denied",
        /// It was allowed and has failed: an entry that follows the one that allowed it.
        Failed => "failed",
    }
}

/// Who acts. Names of people do not appear in the log: a citizen is recorded as a keyed hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AuditActor {
    /// The server itself.
    System,
    /// A caller without valid credentials.
    Anonymous,
    /// A citizen, acting for himself or herself. Only the writer of the log makes the keyed hash.
    Citizen(UserId),
    /// Any other caller, by the subject of its token, such as `svc:name` or `adm:name`.
    Caller(Arc<str>),
}

/// The member of an entry that says that an earlier one was not done: the number of that one.
pub const NOT_DONE_MEMBER: &str = "not_done";

/// The value of an [`AuditMember`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditValue {
    /// An integer of at most 2^53 in magnitude.
    Integer(i64),
    /// `true` or `false`.
    Bool(bool),
    /// The address of a client.
    Address(IpAddr),
    /// The SHA-256 of a file of the operator's, written in hex. It stays as it is, though it looks like a key.
    Digest([u8; 32]),
    /// Text that names something of the server's, such as the id of a job. Never a citizen's data. Personal numbers in it
    /// are replaced, as in a log line.
    Text(Cow<'static, str>),
}

/// A member that only some entries have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditMember {
    /// The member's name, in lower case with `_`. None of the names that every entry may have.
    pub name: &'static str,
    /// The member's value.
    pub value: AuditValue,
}

/// An entry as the caller of the port gives it. The writer adds `format`, `seq`, `time` and `chain`, and replaces user ids
/// by keyed hashes.
///
/// There is no place for a value of a profile's field: what was read or written is a set of leaves, recorded by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The category.
    pub category: AuditCategory,
    /// What was done, as a dotted name such as `profile.read`.
    pub action: &'static str,
    /// Who did it.
    pub actor: AuditActor,
    /// Whom it was done to; `None` if it concerns no user or all of them.
    pub subject: Option<UserId>,
    /// The subject's erasure generation, where it is known.
    pub generation: Option<u32>,
    /// The tenant.
    pub tenant: u32,
    /// What was decided.
    pub decision: AuditDecision,
    /// The fields that were read or written.
    pub fields: LeafSet,
    /// The reason that the caller gave (`X-Access-Reason`). Personal numbers in it are replaced, as in a log line.
    pub reason: Option<String>,
    /// The purpose that the caller gave (`X-Purpose`), treated like the reason.
    pub purpose: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// Further members.
    pub members: Vec<AuditMember>,
}

impl AuditEntry {
    /// Returns an entry about an allowed operation, without any of the optional members.
    pub fn new(category: AuditCategory, action: &'static str, actor: AuditActor) -> Self {
        Self {
            category,
            action,
            actor,
            subject: None,
            generation: None,
            tenant: 0,
            decision: AuditDecision::Allowed,
            fields: LeafSet::EMPTY,
            reason: None,
            purpose: None,
            request_id: None,
            members: Vec::new(),
        }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: AuditValue) -> Self {
        self.members.push(AuditMember { name, value });
        self
    }
}

/// Where an entry was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditReceipt {
    /// The entry's category.
    pub category: AuditCategory,
    /// The entry's number within its category, from 1.
    pub seq: u64,
    /// The entry's time, in microseconds since the Unix epoch.
    pub time: i64,
    /// The entry's leaf in the Merkle log, from 0; `None` outside [`AuditCategory::Compliance`].
    pub leaf: Option<u64>,
}

/// Why an entry was not written. The operation that it belongs to must not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The disk did not take the entry. A later try may succeed.
    #[error("the audit log could not be written")]
    NotWritten,
    /// More entries wait than the writer may hold.
    #[error("more audit entries are waiting than can be written")]
    Overloaded,
    /// The entry was not durable in time. If it becomes durable later, an entry that says [`AuditDecision::Failed`] follows.
    #[error("the audit log did not write the entry in time")]
    TimedOut,
    /// The log is closed, because the server is stopping or because an earlier write has left it in an unknown state.
    #[error("the audit log is closed")]
    Closed,
}

/// A write that resolves when the entry is durable.
pub type AuditWrite = Pin<Box<dyn Future<Output = Result<AuditReceipt, AuditError>> + Send>>;

/// Records what is done to citizens' data.
pub trait AuditLog: Send + Sync {
    /// Writes an entry and makes it durable, whatever its category. The entry is queued when this returns, and the future
    /// only waits for the outcome, for a bounded time. Writes of all callers share their syncs. If the future is dropped, or
    /// ends with [`AuditError::TimedOut`], the entry is not written, or one that says [`AuditDecision::Failed`] follows it.
    ///
    /// Where an operation needs an entry of [`AuditCategory::Compliance`], it starts after the future has resolved to `Ok`,
    /// and does nothing otherwise.
    fn write(&self, entry: AuditEntry) -> AuditWrite;

    /// Writes an entry about what has happened already, such as a failure or a refusal, and makes it durable. It is queued and
    /// waited for as with [`Self::write`], but it is also written, and nothing follows it, if the future is dropped or the
    /// time is over: a client that goes away must not take the trace of its call with it. A log that knows no such entries
    /// writes them like all others.
    fn record(&self, entry: AuditEntry) -> AuditWrite {
        self.write(entry)
    }

    /// Writes an entry as [`Self::write`] does and blocks the thread until it is durable.
    ///
    /// # Errors
    /// The entry is not recorded.
    fn write_blocking(&self, entry: AuditEntry) -> Result<AuditReceipt, AuditError>;

    /// Records an entry without waiting for it. If the queue is full, the entry is dropped and counted. An entry of
    /// [`AuditCategory::Compliance`] is never to be recorded in this way.
    fn note(&self, entry: AuditEntry);

    /// Waits until what was noted before is written, for a bounded time, so that there is space for more. Blocks. A log
    /// without a queue has nothing to wait for.
    fn flush(&self) {}
}

/// An audit log that discards everything, for tests of parts that record entries.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAuditLog;

impl NoAuditLog {
    fn receipt(category: AuditCategory) -> AuditReceipt {
        AuditReceipt { category, seq: 0, time: 0, leaf: None }
    }
}

impl AuditLog for NoAuditLog {
    fn write(&self, entry: AuditEntry) -> AuditWrite {
        Box::pin(std::future::ready(Ok(Self::receipt(entry.category))))
    }

    fn write_blocking(&self, entry: AuditEntry) -> Result<AuditReceipt, AuditError> {
        Ok(Self::receipt(entry.category))
    }

    fn note(&self, _: AuditEntry) {}
}
