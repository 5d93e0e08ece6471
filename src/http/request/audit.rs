//! Records what callers do.

use std::sync::Arc;

use domain::access::Viewer;
use domain::id::UserId;
use domain::port::audit::{AuditActor, AuditCategory, AuditDecision, AuditEntry, AuditLog, AuditMember};
use domain::table::LeafSet;

use super::caller::{Caller, Claims, Role};
use super::justification::Justification;
use crate::http::audit::ServiceReads;
use crate::http::problem::{Code, Problem};

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
    /// The leaves that were disclosed.
    pub(crate) leaves: LeafSet,
    pub(crate) decision: AuditDecision,
    /// The id of the request; `None` for what a connection does after its first request.
    pub(crate) request_id: Option<String>,
}

/// Records what callers do in the audit log.
pub(crate) struct AccessRecorder {
    log: Arc<dyn AuditLog>,
    service_reads: Arc<ServiceReads>,
}

impl AccessRecorder {
    /// Returns a recorder that writes to `log`.
    pub(crate) fn new(log: Arc<dyn AuditLog>, service_reads: Arc<ServiceReads>) -> Self {
        Self { log, service_reads }
    }

    /// Counts a read by a service, which needs no entry of its own if it is not the first of its hour.
    pub(super) fn count_read(&self, caller: &Caller, action: &'static str, user: &UserId, leaves: LeafSet) {
        self.service_reads.record(caller.account.subject(), action, user, leaves);
    }

    /// Records an access of a person or agent. The entry is durable when this returns.
    ///
    /// # Errors
    /// The entry cannot be written. The access must not take place.
    pub(crate) async fn write(&self, entry: AccessEntry<'_>) -> Result<(), Problem> {
        entry.trace();
        self.log.write(entry.audit_entry(AuditCategory::Compliance)).await.map(drop).map_err(|error| {
            tracing::error!(%error, action = entry.action, "an access was refused because it could not be recorded");
            Problem::new(Code::Unavailable, "the access could not be recorded, so it did not take place: try again")
        })
    }

    /// Records that a session of a page has begun.
    pub(crate) fn session_began(&self, claims: &Claims) {
        let actor = match UserId::parse(&claims.sub) {
            Ok(citizen) => AuditActor::Citizen(citizen),
            Err(_) => AuditActor::Caller(Arc::from(claims.sub.as_str())),
        };
        self.log.note(AuditEntry::new(AuditCategory::Security, "session.begin", actor));
    }

    /// Records a subscription: of a service without waiting, of others as [`Self::write`] does.
    ///
    /// # Errors
    /// As [`Self::write`].
    async fn subscription(&self, entry: AccessEntry<'_>) -> Result<(), Problem> {
        match entry.caller.role {
            Role::Admin | Role::Agent => self.write(entry).await,
            Role::Service => {
                self.log.note(entry.audit_entry(AuditCategory::Operations));
                Ok(())
            }
            Role::SelfCitizen | Role::Auditor => Ok(()),
        }
    }
}

impl AccessEntry<'_> {
    fn audit_entry(&self, category: AuditCategory) -> AuditEntry {
        let given = self.justification;
        AuditEntry {
            subject: self.user,
            fields: self.leaves,
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

/// Records the subscriptions of one connection.
pub(crate) struct SubscriptionRecorder {
    recorder: Arc<AccessRecorder>,
    action: &'static str,
    justification: Justification,
}

impl SubscriptionRecorder {
    /// Returns the recorder of a connection that was opened with this justification.
    pub(super) fn new(recorder: Arc<AccessRecorder>, action: &'static str, justification: Justification) -> Self {
        Self { recorder, action, justification }
    }

    /// Records a subscription of `caller`, before its first frame is sent. Without `user` it is one to all users.
    ///
    /// # Errors
    /// The entry cannot be written. The subscription must not begin.
    pub(crate) async fn record(&self, caller: &Caller, user: Option<UserId>) -> Result<(), Problem> {
        let justification = Some(&self.justification);
        let (action, leaves) = (self.action, LeafSet::EMPTY);
        let decision = AuditDecision::Allowed;
        let (details, request_id) = (Vec::new(), None);
        let entry = AccessEntry { caller, action, user, justification, details, leaves, decision, request_id };
        self.recorder.subscription(entry).await
    }
}
