//! The one way in: a request for an operation that needs a caller is admitted or refused here, by the row of the route
//! table.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::web::{self, Data};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use domain::access::Viewer;
use domain::id::UserId;
use domain::source::Source;

use super::access::{check_visibility, user_id};
use super::access_control::{AccessControl, Authenticated, NotAuthenticated};
use super::caller::{Caller, Role};
use super::context::{Admitted, RequestContext};
use super::justification::Justification;
use super::limits::Allowance;
use super::requirements::{AuditRule, Callers, Requirements};
use crate::http::problem::{Code, Problem};
use crate::http::request_id::RequestIds;

/// Admits the requests of one operation.
#[derive(Clone)]
pub(crate) struct Admission {
    control: Data<AccessControl>,
    ids: Rc<RequestIds>,
    requirements: &'static Requirements,
}

impl Admission {
    /// Returns the admission of an operation with these requirements.
    pub(crate) fn new(control: Data<AccessControl>, ids: Rc<RequestIds>, requirements: &'static Requirements) -> Self {
        Self { control, ids, requirements }
    }

    /// Returns the route of a handler, which is called for admitted requests with their context and with what it extracts
    /// from the request.
    pub(crate) fn to<T, F>(self, handler: F) -> actix_web::Route
    where
        T: FromRequest + 'static,
        F: AsyncFn(&RequestContext, T) -> Result<HttpResponse, Problem> + Clone + 'static,
    {
        web::to(move |request: HttpRequest, extracted: T| {
            let (admission, handler) = (self.clone(), handler.clone());
            async move {
                let context = admission.admit(request).await?;
                if context.is_write() {
                    return to_its_end(async move {
                        let answer = handler(&context, extracted).await;
                        context.complete(answer).await
                    })
                    .await;
                }
                let answer = handler(&context, extracted).await;
                context.complete(answer).await
            }
        })
    }

    /// Authenticates the caller of a request, counts the call, and checks what the operation requires.
    ///
    /// # Errors
    /// The caller is not authenticated, has reached a limit, or does not meet the requirements.
    async fn admit(mut self, request: HttpRequest) -> Result<RequestContext, Problem> {
        self.requirements = self.requirements.for_query(request.query_string());
        let Authenticated { caller, justification } =
            self.control.authenticate(&request, self.requirements).await.map_err(
                |NotAuthenticated { caller, problem }| {
                    self.deny(caller.as_deref(), &request, &problem);
                    problem
                },
            )?;
        let allowance = match self.requirements.limit {
            Some(class) => self.control.limits.count(&caller, class, &request)?,
            None => Allowance::UNCOUNTED,
        };
        let checked = self.check(&caller, &request, justification);
        let (user, justification) = match checked {
            Ok(checked) => checked,
            Err(problem) => {
                self.deny(Some(&caller), &request, &problem);
                return Err(allowance.on_problem(problem));
            }
        };
        let Self { control, ids, requirements } = self;
        let admitted = Admitted { request, requirements, caller, user, justification, allowance };
        Ok(RequestContext::new(control, ids, admitted))
    }

    /// Checks what the operation requires of an authenticated caller. Returns the user of the path, and the justification
    /// if the call is recorded. `justification` came with a ticket.
    fn check(
        &self,
        caller: &Arc<Caller>,
        request: &HttpRequest,
        justification: Option<Box<Justification>>,
    ) -> Result<(Option<UserId>, Option<Box<Justification>>), Problem> {
        let Self { control, requirements, .. } = self;
        let user = check_callers(&requirements.callers, caller, request)?;
        if let Some(user) = user.filter(|_| !requirements.of_blocked_users) {
            self.check_not_blocked(caller, &user)?;
        }
        if requirements.fresh_second_factor && !control.verifier.has_fresh_second_factor(caller) {
            return Err(Problem::new(
                Code::SecondFactorNeeded,
                "authenticate with a second factor again, and repeat the request within five minutes",
            ));
        }
        let justification = match justification {
            Some(given) => Some(given),
            None if is_recorded(requirements, caller) => {
                Some(Justification::from_headers(caller, request.headers(), requirements.needs_reason())?.into())
            }
            None => None,
        };
        Ok((user, justification))
    }

    /// Refuses a call about a user whose profile nobody may read for now. To callers who must not learn whether a user exists
    /// the policy hides the user, and they get the answer of an unknown one.
    fn check_not_blocked(&self, caller: &Caller, user: &UserId) -> Result<(), Problem> {
        if caller.viewer.existence_may_be_hidden() || !self.control.policy.load().is_blocked(user) {
            return Ok(());
        }
        Err(Problem::new(
            Code::ErasurePending,
            "an erasure of this profile is scheduled or under way: until it is finished or undone, nobody reads or changes it",
        ))
    }

    /// Records a refusal.
    fn deny(&self, caller: Option<&Caller>, request: &HttpRequest, problem: &Problem) {
        let request_id = || self.ids.assign(request).to_str().ok().map(str::to_owned);
        let (recorder, action) = (&self.control.recorder, self.requirements.audit.action());
        recorder.deny(caller, action, user_id(request).ok(), problem, request_id);
    }
}

/// Runs a write to its end, whether or not its client still waits: what was recorded may take effect, and if it fails, that is
/// recorded, too.
///
/// # Errors
/// The answer is a problem, or the write has panicked.
async fn to_its_end(
    write: impl Future<Output = Result<HttpResponse, Problem>> + 'static,
) -> Result<HttpResponse, Problem> {
    actix_web::rt::spawn(write).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a write has ended early");
        Err(Problem::new(Code::Internal, "the request could not be handled"))
    })
}

/// Whether the audit log gets an entry of its own for a call, or a later step of the operation records it with its
/// justification.
fn is_recorded(requirements: &Requirements, caller: &Arc<Caller>) -> bool {
    match requirements.audit {
        AuditRule::Refusals(_) => requirements.needs_reason(),
        AuditRule::Listing(_) => caller.role == Role::Admin,
        AuditRule::Read(_) | AuditRule::ReadEach(_) => matches!(caller.role, Role::Admin | Role::Agent),
        AuditRule::History(_) | AuditRule::Subscribe(_) | AuditRule::Write(_) => true,
    }
}

/// Checks whether an operation admits the caller. Returns the user of the path, if the operation is about one.
fn check_callers(callers: &Callers, caller: &Caller, request: &HttpRequest) -> Result<Option<UserId>, Problem> {
    match callers {
        Callers::All => Ok(None),
        Callers::ViewersOfUser => visible_user(caller, request),
        Callers::CitizenOfPath => {
            let user = user_id(request)?;
            if caller.viewer == Viewer::SelfCitizen(user) { Ok(Some(user)) } else { Err(Problem::unknown_user()) }
        }
        Callers::FeedOfPath => check_feed(caller, request).map(|()| None),
        Callers::FeedOfPathOrAdmins(scope) if caller.role == Role::Admin => {
            let detail = format!("the scope `{}` is needed", scope.name());
            if caller.has(*scope) { Ok(None) } else { Err(Problem::new(Code::MissingScope, detail)) }
        }
        Callers::FeedOfPathOrAdmins(_) => check_feed(caller, request).map(|()| None),
        Callers::WithRole(roles) if roles.contains(&caller.role) => Ok(None),
        Callers::WithScope(roles, scope) if !roles.contains(&caller.role) => Err(Problem::new(
            Code::Forbidden,
            format!(
                "the role `{}` may not do this: the scope `{}` opens it to others",
                caller.role.name(),
                scope.name()
            ),
        )),
        Callers::WithScope(_, scope) if !caller.has(*scope) => {
            Err(Problem::new(Code::MissingScope, format!("the scope `{}` is needed", scope.name())))
        }
        Callers::WithScope(..) => Ok(None),
        Callers::ViewersOrServices(roles, scope) => {
            let is_admitted = roles.contains(&caller.role) || (caller.role == Role::Service && caller.has(*scope));
            if !is_admitted {
                let detail = format!("this is for other roles, and for services with the scope `{}`", scope.name());
                return Err(Problem::new(Code::MissingScope, detail));
            }
            visible_user(caller, request)
        }
        Callers::ViewersInRole(roles) if roles.contains(&caller.role) => visible_user(caller, request),
        Callers::ViewersInRole(_) | Callers::WithRole(_) => {
            Err(Problem::new(Code::Forbidden, format!("the role `{}` may not do this", caller.role.name())))
        }
    }
}

/// Returns the user of the path, whom the caller may see under some consent.
fn visible_user(caller: &Caller, request: &HttpRequest) -> Result<Option<UserId>, Problem> {
    let user = user_id(request)?;
    check_visibility(caller, &user)?;
    Ok(Some(user))
}

fn check_feed(caller: &Caller, request: &HttpRequest) -> Result<(), Problem> {
    let source = Source::parse(request.match_info().query("source"))
        .ok_or_else(|| Problem::new(Code::UnknownResource, "there is no feed with this name"))?;
    // Only services post events: the token of a person opens no feed, whatever its scopes.
    if caller.role == Role::Service && caller.scopes.has_feed(source) {
        return Ok(());
    }
    Err(Problem::new(
        Code::MissingScope,
        "posting to this feed needs the token of a service with the scope `feed:{source}`",
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt;

    use super::*;

    #[actix_web::test]
    async fn a_write_goes_on_when_its_client_is_gone() {
        let is_done = Rc::new(Cell::new(false));
        let done = Rc::clone(&is_done);
        let write = async move {
            tokio::task::yield_now().await;
            done.set(true);
            Ok(HttpResponse::Ok().finish())
        };
        assert!(to_its_end(write).now_or_never().is_none(), "it is dropped before it is answered");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(is_done.get());
    }
}
