//! Records what callers do.

use std::sync::Arc;

use domain::access::Viewer;
use domain::id::UserId;
use domain::port::audit::{
    AuditActor, AuditCategory, AuditDecision, AuditEntry, AuditError, AuditLog, AuditMember, AuditValue,
};

use super::caller::{Caller, Claims, Role};
use super::justification::Justification;
use crate::http::audit::{Denial, Denials, Disclosed, ServiceReads};
use crate::http::problem::{Code, Problem};

/// The problems that say that a caller may not do something, or not as often. Those of rate limits and of credentials are
/// recorded where they are counted.
const REFUSALS: [Code; 8] = [
    Code::MissingScope,
    Code::Forbidden,
    Code::UnknownUser,
    Code::AccessReasonMissing,
    Code::SecondFactorNeeded,
    Code::TooManySockets,
    Code::TooManyTickets,
    Code::TooManyFollowers,
];

/// What happened, for one entry of the audit log.
pub(crate) struct AccessEntry<'a> {
    pub(crate) caller: &'a Caller,
    /// The action, such as `profile.read`.
    pub(crate) action: &'static str,
    /// Whose data was accessed; `None` for the data of all users.
    pub(crate) user: Option<UserId>,
    pub(crate) justification: Option<&'a Justification>,
    /// Further members of the entry.
    pub(crate) details: Vec<AuditMember>,
    /// What was disclosed or written.
    pub(crate) disclosed: Disclosed,
    pub(crate) decision: AuditDecision,
    /// The id of the request, or of the one that has opened the connection.
    pub(crate) request_id: Option<String>,
}

/// Records what callers do in the audit log.
pub(crate) struct AccessRecorder {
    log: Arc<dyn AuditLog>,
    service_reads: Arc<ServiceReads>,
    denials: Arc<Denials>,
}

impl AccessRecorder {
    /// Returns a recorder that writes to `log`.
    pub(crate) fn new(log: Arc<dyn AuditLog>, service_reads: Arc<ServiceReads>, denials: Arc<Denials>) -> Self {
        Self { log, service_reads, denials }
    }

    /// Counts a read by a service, which needs no entry of its own if it is not the first of its hour. The purpose is
    /// asked for if it is.
    pub(super) fn count_read(
        &self,
        caller: &Caller,
        action: &'static str,
        user: &UserId,
        disclosed: Disclosed,
        purpose: impl FnOnce() -> Option<String>,
    ) {
        self.service_reads.record(caller.account.subject(), action, user, disclosed, purpose);
    }

    /// Records an access of a person or agent. The entry is durable when this returns.
    ///
    /// # Errors
    /// The entry cannot be written. The access must not take place.
    pub(crate) async fn write(&self, entry: AccessEntry<'_>) -> Result<(), Problem> {
        entry.trace();
        let written = self.log.write(entry.audit_entry(AuditCategory::Compliance)).await;
        written.map(drop).map_err(|error| not_recorded(error, entry.action))
    }

    /// Records an access that was refused or has failed. The entry is durable when this returns, and is written also if the
    /// request ends meanwhile.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub(super) async fn record(&self, entry: AccessEntry<'_>) -> Result<(), Problem> {
        entry.trace();
        let written = self.log.record(entry.audit_entry(AuditCategory::Compliance)).await;
        written.map(drop).map_err(|error| not_recorded(error, entry.action))
    }

    /// Records an access without a promise.
    pub(super) fn note(&self, entry: &AccessEntry<'_>) {
        self.log.note(entry.audit_entry(AuditCategory::Operations));
    }

    /// Records that an access has failed that was recorded as allowed, also if the request ends meanwhile. A failure to do so
    /// is logged: nothing more happens.
    pub(super) async fn write_failure(&self, mut entry: AccessEntry<'_>, problem: &Problem) {
        entry.decision = AuditDecision::Failed;
        entry.details.push(AuditMember { name: "problem", value: AuditValue::Text(problem.name().into()) });
        if let Err(error) = self.log.record(entry.audit_entry(AuditCategory::Compliance)).await {
            tracing::error!(%error, action = entry.action, "the failure of an access could not be recorded");
        }
    }

    /// Records that a call was refused, if `problem` says so. Without `caller` it is one whose caller is not known.
    pub(super) fn deny(
        &self,
        caller: Option<&Caller>,
        action: &'static str,
        subject: Option<UserId>,
        problem: &Problem,
        request_id: impl FnOnce() -> Option<String>,
    ) {
        if REFUSALS.iter().any(|code| problem.is(*code)) {
            let (actor, tenant) =
                caller.map_or((AuditActor::Anonymous, 0), |caller| (actor(caller), caller.token.tenant));
            self.denials.record(Denial { action, actor, subject, problem: problem.name() }, tenant, request_id);
        }
    }

    /// Records that a session of a page has begun. The entry is durable when this returns.
    ///
    /// # Errors
    /// The entry cannot be written. The session must not be used.
    pub(crate) async fn session_began(&self, claims: &Claims, request_id: Option<String>) -> Result<(), Problem> {
        const BEGIN: &str = "session.begin";
        let citizen = UserId::parse(&claims.sub).ok();
        let actor = citizen.map_or_else(|| AuditActor::Caller(Arc::from(claims.sub.as_str())), AuditActor::Citizen);
        let tenant = claims.tenant.as_deref().and_then(|tenant| tenant.parse().ok()).unwrap_or(0);
        let entry = AuditEntry::new(AuditCategory::Compliance, BEGIN, actor);
        let entry = AuditEntry { subject: citizen, tenant, request_id, ..entry }
            .with("session", AuditValue::Text(claims.jti.clone().into()));
        self.log.write(entry).await.map(drop).map_err(|error| not_recorded(error, BEGIN))
    }
}

fn not_recorded(error: AuditError, action: &'static str) -> Problem {
    tracing::error!(%error, action, "an access was refused because it could not be recorded");
    Problem::new(Code::Unavailable, "the access could not be recorded, so it did not take place: try again")
}

impl AccessEntry<'_> {
    fn audit_entry(&self, category: AuditCategory) -> AuditEntry {
        let (given, Disclosed { leaves, generation }) = (self.justification, self.disclosed);
        AuditEntry {
            subject: self.user,
            generation,
            fields: leaves,
            reason: given.and_then(|given| given.reason.clone()),
            purpose: given.and_then(|given| given.purpose.clone()),
            tenant: self.caller.token.tenant,
            decision: self.decision,
            request_id: self.request_id.clone(),
            members: self.details.clone(),
            ..AuditEntry::new(category, self.action, actor(self.caller))
        }
    }

    /// Logs an administrator's access.
    fn trace(&self) {
        if self.caller.role != Role::Admin {
            return;
        }
        let (actor, action) = (self.caller.subject(), self.action);
        let user = self.user.as_ref().map(UserId::as_str);
        let reason = self.justification.and_then(|given| given.reason.as_deref());
        tracing::info!(target: "audit", actor, action, user, reason, "administrative access");
    }
}

/// Returns a caller as the audit log names it.
pub(super) fn actor(caller: &Caller) -> AuditActor {
    match caller.viewer {
        Viewer::SelfCitizen(citizen) => AuditActor::Citizen(citizen),
        _ => AuditActor::Caller(Arc::clone(caller.account.subject())),
    }
}
