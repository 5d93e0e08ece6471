//! What a handler knows about a request that was admitted, and what the request owes when it is answered.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::id::UserId;
use domain::port::audit::{AuditDecision, AuditMember, AuditValue};
use domain::table::LeafSet;

use super::access_control::AccessControl;
use super::audit::{AccessEntry, AccessRecorder, SubscriptionRecorder};
use super::caller::{Caller, Role};
use super::justification::Justification;
use super::limits::Allowance;
use super::requirements::{AuditRule, Requirements};
use crate::http::problem::{Code, Problem};
use crate::http::request_id::RequestIds;

/// A request whose caller was admitted to the operation.
pub(crate) struct RequestContext {
    pub(crate) request: HttpRequest,
    pub(crate) caller: Arc<Caller>,
    control: Data<AccessControl>,
    ids: Rc<RequestIds>,
    requirements: &'static Requirements,
    /// The user whom the call is about.
    user: Cell<Option<UserId>>,
    /// Present if the call is recorded.
    justification: Option<Box<Justification>>,
    /// Further members of the call's entry.
    details: RefCell<Vec<AuditMember>>,
    allowance: Allowance,
    /// The leaves that the answer discloses.
    disclosed: Cell<LeafSet>,
    /// Whether the entry of a write was written.
    is_recorded: Cell<bool>,
}

/// What is known about a request when it is admitted.
pub(super) struct Admitted {
    pub(super) request: HttpRequest,
    pub(super) requirements: &'static Requirements,
    pub(super) caller: Arc<Caller>,
    /// The user of the path, if the operation is about one.
    pub(super) user: Option<UserId>,
    /// Present if the call is recorded.
    pub(super) justification: Option<Box<Justification>>,
    pub(super) allowance: Allowance,
}

impl RequestContext {
    /// Returns the context of a request that was admitted.
    pub(super) fn new(control: Data<AccessControl>, ids: Rc<RequestIds>, admitted: Admitted) -> Self {
        let Admitted { request, requirements, caller, user, justification, allowance } = admitted;
        let (disclosed, is_recorded) = (Cell::new(LeafSet::EMPTY), Cell::new(false));
        let (user, details) = (Cell::new(user), RefCell::default());
        Self {
            request,
            caller,
            control,
            ids,
            requirements,
            user,
            justification,
            details,
            allowance,
            disclosed,
            is_recorded,
        }
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
        self.user.get().ok_or_else(Problem::unknown_user)
    }

    /// Returns why the caller accesses data. It is empty unless the call is recorded.
    pub(crate) fn justification(&self) -> Justification {
        self.justification.as_deref().cloned().unwrap_or_default()
    }

    /// Notes that the answer discloses these leaves of the user of the path.
    pub(crate) fn disclose(&self, leaves: LeafSet) {
        self.disclosed.set(leaves);
    }

    /// Notes what a call is about, for its entry: a caller, a credential, a network, or a setting. A citizen is recorded as
    /// the subject of the entry and not by name.
    pub(crate) fn concerns(&self, name: &'static str, what: impl Into<Cow<'static, str>>) {
        let what = what.into();
        match UserId::parse(&what) {
            Ok(citizen) => self.user.set(Some(citizen)),
            Err(_) => self.note(name, AuditValue::Text(what)),
        }
    }

    /// Adds a member to the entry of the call.
    pub(crate) fn note(&self, name: &'static str, value: AuditValue) {
        self.details.borrow_mut().push(AuditMember { name, value });
    }

    /// Records a change before it is committed. Handlers whose rule is [`AuditRule::Write`] call this, and commit nothing
    /// if it fails.
    ///
    /// # Errors
    /// The entry cannot be written.
    pub(crate) async fn record_write(&self) -> Result<(), Problem> {
        let AuditRule::Write(action) = self.requirements.audit else { return Ok(()) };
        self.recorder().write(self.entry(action, AuditDecision::Allowed)).await?;
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
            (AuditRule::Read(action), Role::Admin | Role::Agent) => {
                self.recorder().write(self.entry(action, decision(&answer))).await?;
            }
            (AuditRule::Read(action), Role::Service) if answer.is_ok() => {
                if let Some(user) = &self.user.get() {
                    self.recorder().count_read(&self.caller, action, user, self.disclosed.get());
                }
            }
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

    fn entry(&self, action: &'static str, decision: AuditDecision) -> AccessEntry<'_> {
        AccessEntry {
            caller: &self.caller,
            action,
            user: self.user.get(),
            details: self.details.borrow().clone(),
            justification: self.justification.as_deref(),
            leaves: self.disclosed.get(),
            decision,
            request_id: self.ids.assign(&self.request).to_str().ok().map(str::to_owned),
        }
    }
}

/// Returns what became of a call, for its entry.
fn decision(answer: &Result<HttpResponse, Problem>) -> AuditDecision {
    match answer {
        Ok(_) => AuditDecision::Allowed,
        Err(problem) if problem.status().is_client_error() => AuditDecision::Denied,
        Err(_) => AuditDecision::Failed,
    }
}
