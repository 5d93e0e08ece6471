//! What a connection keeps of the request that has opened it: sockets and streams count and record by it what they do
//! later.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::Data;
use domain::id::UserId;
use domain::port::audit::AuditDecision;

use super::access_control::AccessControl;
use super::audit::{AccessEntry, AccessRecorder};
use super::caller::{Caller, Role};
use super::justification::Justification;
use super::limits::LimitClass;
use super::requirements::Requirements;
use crate::http::audit::Disclosed;
use crate::http::problem::{Code, Problem};

/// What a connection keeps of the request that has opened it.
pub(crate) struct ConnectionContext {
    pub(super) request: HttpRequest,
    pub(super) control: Data<AccessControl>,
    pub(super) requirements: &'static Requirements,
    pub(super) justification: Justification,
    /// The id of the request.
    pub(super) request_id: Option<String>,
}

/// A subscription that was recorded, as far as it must be before it begins.
pub(crate) struct AdmittedSubscription {
    user: Option<UserId>,
    disclosed: Disclosed,
}

impl ConnectionContext {
    /// Counts `count` users that the caller subscribes to, as that many reads of a class would count.
    ///
    /// # Errors
    /// The caller has reached the limit.
    pub(crate) fn count_reads(&self, caller: &Caller, class: LimitClass, count: usize) -> Result<(), Problem> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.control.limits.count_many(caller, class, count, &self.request).map(drop)
    }

    /// Returns the caller of a newer token, which replaces the one of `current`. The attempt is counted as one to
    /// authenticate.
    ///
    /// # Errors
    /// The token is not accepted or belongs to another caller, or a limit was reached.
    pub(crate) async fn renew(&self, current: &Caller, token: &str) -> Result<Arc<Caller>, Problem> {
        let AccessControl { limits, verifier, .. } = &**self.control;
        limits.count(current, LimitClass::Auth, &self.request)?;
        let renewed = verifier.caller_with_new_keys(token.as_bytes()).await;
        let caller = renewed.map_err(|error| self.control.count_failure(&self.request, error.into()))?;
        if caller.subject() != current.subject() {
            let problem =
                Problem::new(Code::Forbidden, "the token belongs to another caller: open another socket with it");
            self.deny(current, None, &problem);
            return Err(problem);
        }
        Ok(caller)
    }

    /// Records a subscription to a user, or without `user` to all users, before its first frame: for administrators and
    /// agents with an entry that is durable when this returns. `disclosed` is what the caller sees of the user now, or why
    /// it sees nothing. [`Self::settle`] records the outcome.
    ///
    /// # Errors
    /// The caller sees nothing, or the entry cannot be written. The subscription must not begin.
    pub(crate) async fn admit(
        &self,
        caller: &Caller,
        user: Option<UserId>,
        disclosed: Result<Disclosed, Problem>,
    ) -> Result<AdmittedSubscription, Problem> {
        if !is_compliance(caller) {
            return match disclosed {
                Ok(disclosed) => Ok(AdmittedSubscription { user, disclosed }),
                Err(problem) => {
                    self.deny(caller, user, &problem);
                    Err(problem)
                }
            };
        }
        match disclosed {
            Ok(disclosed) => {
                self.recorder().write(self.entry(caller, user, disclosed, AuditDecision::Allowed)).await?;
                Ok(AdmittedSubscription { user, disclosed })
            }
            Err(problem) => {
                let refused = self.entry(caller, user, Disclosed::NOTHING, problem.decision());
                self.recorder().record(refused).await?;
                Err(problem)
            }
        }
    }

    /// Records what became of a subscription.
    pub(crate) async fn settle(&self, caller: &Caller, admitted: AdmittedSubscription, outcome: Result<(), &Problem>) {
        let AdmittedSubscription { user, disclosed } = admitted;
        let entry = || self.entry(caller, user, disclosed, AuditDecision::Allowed);
        match (outcome, caller.role, user) {
            (Ok(()), Role::Admin | Role::Agent, _) => {}
            (Ok(()), Role::Service, Some(user)) => {
                let (action, purpose) = (self.requirements.audit.action(), || self.justification.purpose.clone());
                self.recorder().count_read(caller, action, &user, disclosed, purpose);
            }
            (Ok(()), ..) => self.recorder().note(&entry()),
            (Err(problem), ..) if is_compliance(caller) => self.recorder().write_failure(entry(), problem).await,
            (Err(problem), ..) => self.deny(caller, user, problem),
        }
    }

    /// Checks whether the caller is still accepted.
    ///
    /// # Errors
    /// The token or session was revoked meanwhile.
    pub(crate) fn check_accepted(&self, caller: &Caller) -> Result<(), Problem> {
        self.control.verifier.check_revoked(caller).map_err(Problem::from)
    }

    /// Records a read of one of several users, before its answer is sent. `outcome` is what the answer discloses, or why it
    /// discloses nothing.
    ///
    /// # Errors
    /// The entry cannot be written. The answer must not be sent.
    pub(crate) async fn record_read(
        &self,
        caller: &Caller,
        user: UserId,
        outcome: Result<Disclosed, &Problem>,
    ) -> Result<(), Problem> {
        if is_compliance(caller) {
            let decision = outcome.err().map_or(AuditDecision::Allowed, Problem::decision);
            let disclosed = outcome.unwrap_or(Disclosed::NOTHING);
            return self.recorder().write(self.entry(caller, Some(user), disclosed, decision)).await;
        }
        match outcome {
            Ok(disclosed) => self.count_read(caller, user, disclosed),
            Err(problem) => self.deny(caller, Some(user), problem),
        }
        Ok(())
    }

    /// Records a read that needs no entry before its answer is sent.
    pub(crate) fn count_read(&self, caller: &Caller, user: UserId, disclosed: Disclosed) {
        if caller.role == Role::Service {
            let (action, purpose) = (self.requirements.audit.action(), || self.justification.purpose.clone());
            self.recorder().count_read(caller, action, &user, disclosed, purpose);
        }
    }

    /// Records a refusal.
    pub(crate) fn deny(&self, caller: &Caller, user: Option<UserId>, problem: &Problem) {
        let action = self.requirements.audit.action();
        self.recorder().deny(Some(caller), action, user, problem, || self.request_id.clone());
    }

    fn recorder(&self) -> &AccessRecorder {
        &self.control.recorder
    }

    fn entry<'a>(
        &'a self,
        caller: &'a Caller,
        user: Option<UserId>,
        disclosed: Disclosed,
        decision: AuditDecision,
    ) -> AccessEntry<'a> {
        AccessEntry {
            caller,
            action: self.requirements.audit.action(),
            user,
            justification: Some(&self.justification),
            details: Vec::new(),
            disclosed,
            decision,
            request_id: self.request_id.clone(),
        }
    }
}

/// Whether an access of the caller is recorded before it takes place.
pub(crate) fn is_compliance(caller: &Caller) -> bool {
    matches!(caller.role, Role::Admin | Role::Agent)
}
