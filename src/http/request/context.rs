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

use super::access_control::AccessControl;
use super::audit::{self, AccessEntry, AccessRecorder};
use super::caller::{Caller, Role};
use super::connection_context::ConnectionContext;
use super::justification::Justification;
use super::limits::Allowance;
use super::requirements::{AuditRule, Requirements};
use crate::erasure::ErasureOrigin;
use crate::http::audit::{ChangeOrigin, Disclosed};
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
    allowance: RefCell<Allowance>,
    /// What the answer discloses, or the call writes.
    disclosed: Cell<Disclosed>,
    /// Whether the entry of a write was written, or the connection that the request opens records what it does.
    is_recorded: Cell<bool>,
    /// Whether it is not known if a write takes effect.
    is_open: Cell<bool>,
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
        let (disclosed, is_recorded, is_open) = (Cell::new(Disclosed::NOTHING), Cell::default(), Cell::default());
        let (user, details, allowance) = (Cell::new(user), RefCell::default(), RefCell::new(allowance));
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
            is_open,
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

    /// Whether the call makes a change that is recorded before.
    pub(super) fn is_write(&self) -> bool {
        matches!(self.requirements.audit, AuditRule::Write(_))
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

    /// Notes what the answer discloses of the user of the path, or what the call writes.
    pub(crate) fn disclose(&self, disclosed: Disclosed) {
        self.disclosed.set(disclosed);
    }

    /// Notes whom the call is about, where the path does not say.
    pub(crate) fn set_user(&self, user: UserId) {
        self.user.set(Some(user));
    }

    /// Notes that it is not known whether a recorded write takes effect, although its answer is a problem: it was handed on
    /// and not acknowledged.
    pub(crate) fn leave_outcome_open(&self) {
        self.is_open.set(true);
    }

    /// Notes what a call is about, for its entry: a caller, a credential, a network, or a setting. A citizen is recorded as
    /// the subject of the entry and not by name.
    pub(crate) fn concerns(&self, name: &'static str, what: impl Into<Cow<'static, str>>) {
        let what = what.into();
        match UserId::parse(&what) {
            Ok(citizen) => self.set_user(citizen),
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
        let AuditRule::Write(_) = self.requirements.audit else { return Ok(()) };
        self.recorder().write(self.entry(AuditDecision::Allowed)).await?;
        self.is_recorded.set(true);
        Ok(())
    }

    /// Returns what the connection that the request opens counts and records by. Handlers whose rule is
    /// [`AuditRule::Subscribe`] or [`AuditRule::ReadEach`] call this, and the connection records what happens from then on.
    pub(crate) fn connection(&self) -> ConnectionContext {
        self.is_recorded.set(true);
        ConnectionContext {
            request: self.request.clone(),
            control: self.control.clone(),
            requirements: self.requirements,
            justification: self.justification(),
            request_id: self.request_id(),
        }
    }

    /// Counts a call that is worth `count` calls as that many. One of them was counted when the call was admitted.
    ///
    /// # Errors
    /// The caller has reached the limit.
    pub(crate) fn count_as(&self, count: usize) -> Result<(), Problem> {
        let more = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
        if let (Some(class), 1..) = (self.requirements.limit, more) {
            let allowance = self.control.limits.count_many(&self.caller, class, more, &self.request)?;
            self.allowance.replace(allowance);
        }
        Ok(())
    }

    /// Returns the origin of changes that the call makes to the configuration.
    pub(crate) fn change_origin(&self) -> ChangeOrigin {
        let reason = self.justification.as_deref().and_then(|given| given.reason.clone());
        ChangeOrigin::caller(audit::actor(&self.caller), reason, self.request_id())
    }

    /// Returns who asks for an erasure and why, for its entry in the audit log.
    pub(crate) fn erasure_origin(&self) -> ErasureOrigin {
        let Justification { reason, purpose } = self.justification();
        let (actor, tenant) = (audit::actor(&self.caller), self.caller.token.tenant);
        ErasureOrigin { actor, tenant, reason, purpose, request_id: self.request_id() }
    }

    /// Notes that the operation itself has recorded the write.
    pub(crate) fn leave_record_to_operation(&self) {
        self.is_recorded.set(true);
    }

    /// Pays what the request owes: its audit entry, and the headers that tell what is left of the limit. Nothing of the
    /// answer is sent before.
    ///
    /// # Errors
    /// The answer is a problem, or its entry cannot be written.
    pub(super) async fn complete(self, answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
        let recorded = self.record(answer).await;
        self.allowance.into_inner().on(recorded)
    }

    /// Writes what the audit log gets of an answered request.
    async fn record(&self, answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
        let is_recorded = self.is_recorded.get();
        match (self.requirements.audit, self.caller.role, &answer) {
            (AuditRule::Read(_) | AuditRule::History(_), Role::Admin | Role::Agent, _)
            | (AuditRule::Listing(_), Role::Admin, _)
            | (AuditRule::History(_), _, Ok(_)) => match &answer {
                Ok(_) => self.recorder().write(self.entry(AuditDecision::Allowed)).await?,
                Err(problem) => self.recorder().record(self.entry(problem.decision())).await?,
            },
            (AuditRule::Read(action), Role::Service, Ok(_)) => self.count_read(action),
            // What may still take effect is not said to have failed.
            (AuditRule::Write(_), _, Err(_)) if is_recorded && self.is_open.get() => {}
            (AuditRule::Write(_), _, Err(problem)) if is_recorded => {
                self.recorder().write_failure(self.entry(AuditDecision::Failed), problem).await;
            }
            (AuditRule::Write(_) | AuditRule::Subscribe(_) | AuditRule::ReadEach(_), _, Ok(_)) if !is_recorded => {
                tracing::error!(path = self.request.match_pattern(), "a call was not recorded");
                return Err(Problem::new(Code::Internal, "the request could not be recorded"));
            }
            (_, _, Err(problem)) if !is_recorded => {
                let action = self.requirements.audit.action();
                self.recorder().deny(Some(&self.caller), action, self.user.get(), problem, || self.request_id());
            }
            _ => {}
        }
        answer
    }

    /// Counts a read of a service.
    fn count_read(&self, action: &'static str) {
        let Some(user) = &self.user.get() else { return };
        // A purpose that is not valid is no reason to refuse a service's read, which needs none.
        let given = || Justification::from_headers(&self.caller, self.headers(), false).ok();
        let purpose = || given().and_then(|given| given.purpose);
        self.recorder().count_read(&self.caller, action, user, self.disclosed.get(), purpose);
    }

    fn recorder(&self) -> &AccessRecorder {
        &self.control.recorder
    }

    fn request_id(&self) -> Option<String> {
        self.ids.assign(&self.request).to_str().ok().map(str::to_owned)
    }

    fn entry(&self, decision: AuditDecision) -> AccessEntry<'_> {
        AccessEntry {
            caller: &self.caller,
            action: self.requirements.audit.action(),
            user: self.user.get(),
            details: self.details.borrow().clone(),
            justification: self.justification.as_deref(),
            disclosed: self.disclosed.get(),
            decision,
            request_id: self.request_id(),
        }
    }
}
