//! What an operation requires of its callers, and what it owes for each call. The route table has one for each operation
//! that needs a caller; [`AccessControl`](super::access_control::AccessControl) enforces it.

use super::caller::{Role, Scope};
use super::limits::LimitClass;
use super::parameter::Parameter;
use super::query;

/// What an operation requires.
#[derive(Debug)]
pub(crate) struct Requirements {
    /// Who is admitted.
    pub(crate) callers: Callers,
    /// The class of rate limits that counts the calls; `None` if they are not counted.
    pub(crate) limit: Option<LimitClass>,
    /// What is recorded in the audit log.
    pub(crate) audit: AuditRule,
    /// Whether an administrator must give a reason.
    reason: bool,
    /// Whether the request may open a WebSocket. Then the origin of the page is checked, and a ticket is accepted.
    pub(crate) opens_socket: bool,
    /// Whether the caller must have authenticated with a second factor in the last five minutes.
    pub(crate) fresh_second_factor: bool,
    /// Whether it is also for users whose profiles nobody may read for now.
    pub(super) of_blocked_users: bool,
    /// The requirements of calls whose query has one of some parameters, in place of these. The first that is there decides.
    pub(crate) by_query: &'static [QueryRequirements],
}

/// The requirements of calls whose query has a parameter.
#[derive(Debug)]
pub(crate) struct QueryRequirements {
    /// The parameter.
    pub(crate) parameter: &'static Parameter,
    /// What its calls require, in place of what others do.
    pub(crate) requirements: &'static Requirements,
}

/// Which callers an operation admits.
#[derive(Debug)]
pub(crate) enum Callers {
    /// All callers with a token.
    All,
    /// Callers who may see the user of the path. The answer to others is that of an unknown user.
    ViewersOfUser,
    /// The citizen of the path. The answer to others is that of an unknown user.
    CitizenOfPath,
    /// Services with the scope `feed:…` for the source of the path.
    FeedOfPath,
    /// Services with the scope `feed:…` for the source of the path, and administrators with the scope.
    FeedOfPathOrAdmins(Scope),
    /// Callers with one of these roles.
    WithRole(&'static [Role]),
    /// Callers with one of these roles and the scope.
    WithScope(&'static [Role], Scope),
    /// Callers with one of these roles who may see the user of the path. The answer to others of them is that of an unknown
    /// user.
    ViewersInRole(&'static [Role]),
    /// Callers with one of these roles, and services with the scope, who may see the user of the path. The answer to others of
    /// them is that of an unknown user.
    ViewersOrServices(&'static [Role], Scope),
}

/// What is recorded for a call, besides refusals, which every rule records. The text is the action, which names the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuditRule {
    /// Refusals only.
    Refusals(&'static str),
    /// A read: for administrators and agents an entry before the answer is sent, for services a count.
    Read(&'static str),
    /// A look at what belongs to no profile: for administrators an entry before the answer is sent.
    Listing(&'static str),
    /// Reads of several users, each recorded as one read of a user is. The operation records them.
    ReadEach(&'static str),
    /// A read through history: for every caller an entry before the answer is sent.
    History(&'static str),
    /// Live subscriptions, for administrators and agents an entry before the first frame, for services a count, and for
    /// citizens an entry without a promise. The operation may subscribe to many users, and records each.
    Subscribe(&'static str),
    /// A change by a person, recorded before it is committed.
    Write(&'static str),
}

impl AuditRule {
    /// Returns the action that the entries name.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::Refusals(action)
            | Self::Read(action)
            | Self::Listing(action)
            | Self::ReadEach(action)
            | Self::History(action)
            | Self::Subscribe(action)
            | Self::Write(action) => action,
        }
    }

    /// Returns the name of the rule.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Refusals(_) => "refusals",
            Self::Read(_) => "read",
            Self::Listing(_) => "listing",
            Self::ReadEach(_) => "reads",
            Self::History(_) => "history",
            Self::Subscribe(_) => "subscribe",
            Self::Write(_) => "write",
        }
    }
}

impl Requirements {
    /// Returns the requirements of an operation that admits `callers`, without those that only few operations have.
    pub(crate) const fn new(callers: Callers, limit: LimitClass, audit: AuditRule) -> Self {
        let limit = Some(limit);
        let reason = !matches!(audit, AuditRule::Refusals(_) | AuditRule::Write(_));
        let (opens_socket, fresh_second_factor, of_blocked_users) = (false, false, false);
        Self { callers, limit, audit, reason, opens_socket, fresh_second_factor, of_blocked_users, by_query: &[] }
    }

    /// Returns the requirements of an operation that depend on the query of a call.
    pub(crate) const fn by_query(self, by_query: &'static [QueryRequirements]) -> Self {
        Self { by_query, ..self }
    }

    /// Returns what a call with this query requires.
    pub(crate) fn for_query(&'static self, query: &str) -> &'static Self {
        // Most reads have no query.
        if query.is_empty() {
            return self;
        }
        self.by_query.iter().find(|by| query::has(query, by.parameter)).map_or(self, |by| by.requirements)
    }

    /// Returns the requirements of an operation that opens a WebSocket.
    pub(crate) const fn opening_socket(self) -> Self {
        Self { opens_socket: true, ..self }
    }

    /// Returns the requirements of a read that shows no data of a citizen: an administrator may leave the reason out.
    pub(crate) const fn without_reason(self) -> Self {
        Self { reason: false, ..self }
    }

    /// Returns the requirements of an operation that needs a reason for what a later call does.
    pub(crate) const fn with_reason(self) -> Self {
        Self { reason: true, ..self }
    }

    /// Returns the requirements of an operation that destroys something, takes much away, or takes away a protection: a reason
    /// and a fresh second factor.
    pub(crate) const fn with_reason_and_second_factor(self) -> Self {
        Self { reason: true, fresh_second_factor: true, ..self }
    }

    /// Returns the requirements of an operation that hands out much at once: a fresh second factor.
    pub(crate) const fn with_second_factor(self) -> Self {
        Self { fresh_second_factor: true, ..self }
    }

    /// Returns the requirements of an operation that shows and changes nothing of a profile, so that it is also for users whose
    /// profiles nobody may read for now.
    pub(crate) const fn also_of_blocked_users(self) -> Self {
        Self { of_blocked_users: true, ..self }
    }

    /// Returns the requirements of an operation that no rate limit may stop.
    pub(crate) const fn uncounted(self) -> Self {
        Self { limit: None, ..self }
    }

    /// Whether an administrator must give a reason (`X-Access-Reason`).
    pub(crate) fn needs_reason(&self) -> bool {
        self.reason
    }
}
