//! What a handler knows about a request that was admitted, and what the request owes when it is answered.

use std::cell::Cell;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::id::UserId;
use domain::table::LeafSet;

use super::access_control::AccessControl;
use super::audit::{AccessEntry, AccessRecorder, SubscriptionRecorder};
use super::caller::{Caller, Role};
use super::justification::Justification;
use super::limits::Allowance;
use super::requirements::{AuditRule, Requirements};
use crate::http::problem::{Code, Problem};

/// A request whose caller was admitted to the operation.
pub(crate) struct RequestContext {
    pub(crate) request: HttpRequest,
    pub(crate) caller: Arc<Caller>,
    control: Data<AccessControl>,
    requirements: &'static Requirements,
    user: Option<UserId>,
    /// Present if the call is recorded.
    justification: Option<Box<Justification>>,
    allowance: Allowance,
    /// The leaves that the answer discloses.
    disclosed: Cell<LeafSet>,
    /// Whether the entry of a write was written.
    is_recorded: Cell<bool>,
}

impl RequestContext {
    /// Returns the context of a request that was admitted. `user` is that of the path.
    pub(super) fn new(
        control: Data<AccessControl>,
        request: HttpRequest,
        requirements: &'static Requirements,
        caller: Arc<Caller>,
        user: Option<UserId>,
        justification: Option<Box<Justification>>,
        allowance: Allowance,
    ) -> Self {
        let (disclosed, is_recorded) = (Cell::new(LeafSet::EMPTY), Cell::new(false));
        Self { request, caller, control, requirements, user, justification, allowance, disclosed, is_recorded }
    }

    /// Returns the headers of the request.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Returns the query string.
    pub(crate) fn query(&self) -> &str {
        self.request.query_string()
    }

    /// Returns the user of the path, whom the caller may see.
    ///
    /// # Errors
    /// The operation is about no user.
    pub(crate) fn user(&self) -> Result<UserId, Problem> {
        self.user.ok_or_else(Problem::unknown_user)
    }

    /// Returns why the caller accesses data. It is empty unless the call is recorded.
    pub(crate) fn justification(&self) -> Justification {
        self.justification.as_deref().cloned().unwrap_or_default()
    }

    /// Notes that the answer discloses these leaves of the user of the path.
    pub(crate) fn disclose(&self, leaves: LeafSet) {
        self.disclosed.set(leaves);
    }

    /// Records a change before it is committed. Handlers whose rule is [`AuditRule::Write`] call this, and commit nothing
    /// if it fails.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub(crate) async fn record_write(&self) -> Result<(), Problem> {
        let AuditRule::Write(action) = self.requirements.audit else { return Ok(()) };
        self.recorder().write(self.entry(action)).await?;
        self.is_recorded.set(true);
        Ok(())
    }

    /// Returns what records the subscriptions that the request begins.
    pub(crate) fn subscription_recorder(&self) -> SubscriptionRecorder {
        let action = match self.requirements.audit {
            AuditRule::Subscribe(action) => action,
            _ => "profile.subscribe",
        };
        SubscriptionRecorder::new(Arc::clone(&self.control.recorder), action, self.justification())
    }

    /// Pays what the request owes: its audit entry, and the headers that tell what is left of the limit. Nothing of the
    /// answer is sent before.
    ///
    /// # Errors
    /// The answer is a problem, or its entry cannot be written.
    pub(super) async fn complete(self, answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
        match (self.requirements.audit, self.caller.role) {
            (AuditRule::Read(action), Role::Admin | Role::Agent) => self.recorder().write(self.entry(action)).await?,
            (AuditRule::Write(_), _) if answer.is_ok() && !self.is_recorded.get() => {
                tracing::error!(path = self.request.match_pattern(), "a write was not recorded");
                return Err(Problem::new(Code::Internal, "the request could not be recorded"));
            }
            _ => {}
        }
        let mut answer = answer?;
        self.allowance.write(answer.headers_mut());
        Ok(answer)
    }

    fn recorder(&self) -> &AccessRecorder {
        &self.control.recorder
    }

    fn entry(&self, action: &'static str) -> AccessEntry<'_> {
        AccessEntry {
            caller: &self.caller,
            action,
            user: self.user,
            justification: self.justification.as_deref(),
            leaves: self.disclosed.get(),
        }
    }
}
