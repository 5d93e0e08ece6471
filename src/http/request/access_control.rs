//! What decides about requests: verified tokens, tickets and limits.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header;
use arc_swap::ArcSwap;
use domain::access::Policy;

use super::audit::AccessRecorder;
use super::caller::{Caller, Sessions, Verifier};
use super::credentials::SessionCookie;
use super::justification::Justification;
use super::limits::Limits;
use super::parameter::TICKET;
use super::requirements::Requirements;
use super::tickets::Tickets;
use super::{credentials, origin, query};
use crate::http::problem::{Code, Problem};

/// Shared by all operations that need a caller.
pub(crate) struct AccessControl {
    pub(crate) verifier: Arc<Verifier>,
    /// The tickets that open sockets.
    pub(crate) tickets: Arc<Tickets>,
    /// The sessions of pages.
    pub(crate) sessions: Arc<Sessions>,
    /// The cookie of sessions.
    pub(crate) cookie: SessionCookie,
    pub(crate) limits: Arc<Limits>,
    pub(crate) recorder: Arc<AccessRecorder>,
    /// The access policy, which also says whose profiles nobody may read for now.
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    /// Origins of pages that may open a socket, besides the server's own.
    pub(crate) cors_origins: Vec<String>,
}

/// An authenticated caller, with the justification that came with a ticket.
pub(super) struct Authenticated {
    pub(super) caller: Arc<Caller>,
    pub(super) justification: Option<Box<Justification>>,
}

/// Why a request has no authenticated caller.
pub(super) struct NotAuthenticated {
    /// The caller of a session whose request lacks what proves that its page sent it.
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) problem: Problem,
}

impl<E: Into<Problem>> From<E> for NotAuthenticated {
    fn from(problem: E) -> Self {
        Self { caller: None, problem: problem.into() }
    }
}

impl AccessControl {
    /// Returns the caller of a request. A refusal is counted for the address of the client.
    ///
    /// # Errors
    /// The request has no credential, or one that is not accepted.
    pub(super) async fn authenticate(
        &self,
        request: &HttpRequest,
        requirements: &Requirements,
    ) -> Result<Authenticated, NotAuthenticated> {
        let authenticated = match requirements.opens_socket {
            true => self.by_ticket_or_token(request).await,
            false => self.by_token(request).await,
        };
        authenticated.map_err(|NotAuthenticated { caller, problem }| {
            let problem = self.count_failure(request, problem);
            NotAuthenticated { caller, problem }
        })
    }

    /// Counts a request without an accepted credential. Returns the problem that answers it.
    pub(crate) fn count_failure(&self, request: &HttpRequest, problem: Problem) -> Problem {
        self.limits.count_failure(request, problem)
    }

    /// Returns the caller of a handshake, which may present a ticket.
    ///
    /// # Errors
    /// As [`Self::authenticate`]. The answer does not say why a ticket was refused.
    async fn by_ticket_or_token(&self, request: &HttpRequest) -> Result<Authenticated, NotAuthenticated> {
        let query = request.query_string();
        // A ticket is used up by the attempt, whatever its outcome.
        let mut redeemed: Vec<_> = query::all(query, &TICKET).map(|text| self.tickets.redeem(&text)).collect();
        query::single(query, &TICKET)?;
        let origin = origin::check(request, &self.cors_origins)?;
        let Some(ticket) = redeemed.pop() else { return self.by_token(request).await };
        if request.headers().contains_key(header::AUTHORIZATION) {
            let twice = "send either a ticket or `Authorization`, not both";
            return Err(Problem::new(Code::InvalidParameter, twice).into());
        }
        ticket
            .filter(|ticket| ticket.origin == origin && self.verifier.check_again(&ticket.caller).is_ok())
            .map(|ticket| Authenticated { caller: ticket.caller, justification: Some(Box::new(ticket.justification)) })
            .ok_or_else(|| {
                Problem::new(
                    Code::InvalidTicket,
                    "request a new ticket: each opens one socket, for a short time, from the origin that requested it",
                )
                .into()
            })
    }

    /// Returns the caller of a request with a bearer token, or without one and with the cookie of a session.
    async fn by_token(&self, request: &HttpRequest) -> Result<Authenticated, NotAuthenticated> {
        let headers = request.headers();
        let caller = match credentials::bearer_token(headers)? {
            Some(token) => self.verifier.caller_with_new_keys(token).await?,
            None => self.by_session(request)?,
        };
        Ok(Authenticated { caller, justification: None })
    }

    fn by_session(&self, request: &HttpRequest) -> Result<Arc<Caller>, NotAuthenticated> {
        let secret = self.cookie.secret(request.headers())?.ok_or_else(|| {
            Problem::new(Code::Unauthenticated, "send `Authorization: Bearer` with a token from the identity service")
        })?;
        let caller = self.verifier.session_caller(&self.sessions, secret)?;
        match credentials::check_csrf_token(request, secret) {
            Ok(()) => Ok(caller),
            Err(problem) => Err(NotAuthenticated { caller: Some(caller), problem }),
        }
    }
}
