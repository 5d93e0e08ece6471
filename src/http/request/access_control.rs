//! What decides about requests: verified tokens, tickets and limits.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header;

use super::audit::AccessRecorder;
use super::caller::{Caller, Verifier};
use super::justification::Justification;
use super::limits::Limits;
use super::requirements::Requirements;
use super::tickets::Tickets;
use super::{credentials, origin, query};
use crate::http::problem::{Code, Problem};

/// Shared by all operations that need a caller.
pub(crate) struct AccessControl {
    pub(crate) verifier: Arc<Verifier>,
    /// The tickets that open sockets.
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) limits: Limits,
    pub(crate) recorder: Arc<AccessRecorder>,
    /// Origins of pages that may open a socket, besides the server's own.
    pub(crate) cors_origins: Vec<String>,
}

/// An authenticated caller, with the justification that came with a ticket.
pub(super) struct Authenticated {
    pub(super) caller: Arc<Caller>,
    pub(super) justification: Option<Box<Justification>>,
}

impl AccessControl {
    /// Returns the caller of a request. A refusal is counted for the address of the client.
    ///
    /// # Errors
    /// The request has no credential, or one that is not accepted.
    pub(super) fn authenticate(
        &self,
        request: &HttpRequest,
        requirements: &Requirements,
    ) -> Result<Authenticated, Problem> {
        let authenticated =
            if requirements.opens_socket { self.by_ticket_or_token(request) } else { self.by_token(request) };
        authenticated.map_err(|problem| self.limits.count_failure(request.peer_addr().map(|peer| peer.ip()), problem))
    }

    /// Returns the caller of a handshake, which may present a ticket.
    ///
    /// # Errors
    /// As [`Self::authenticate`]. The answer does not say why a ticket was refused.
    fn by_ticket_or_token(&self, request: &HttpRequest) -> Result<Authenticated, Problem> {
        let query = request.query_string();
        // A ticket is used up by the attempt, whatever its outcome.
        let mut redeemed: Vec<_> = query::all(query, "ticket").map(|text| self.tickets.redeem(&text)).collect();
        query::single(query, "ticket")?;
        let origin = origin::check(request, &self.cors_origins)?;
        let Some(ticket) = redeemed.pop() else { return self.by_token(request) };
        if request.headers().contains_key(header::AUTHORIZATION) {
            return Err(Problem::new(Code::InvalidParameter, "send either a ticket or `Authorization`, not both"));
        }
        ticket
            .filter(|ticket| ticket.origin == origin && !self.verifier.left(&ticket.caller).is_zero())
            .map(|ticket| Authenticated { caller: ticket.caller, justification: Some(Box::new(ticket.justification)) })
            .ok_or_else(|| {
                Problem::new(
                    Code::InvalidTicket,
                    "request a new ticket: each opens one socket, for a short time, from the origin that requested it",
                )
            })
    }

    fn by_token(&self, request: &HttpRequest) -> Result<Authenticated, Problem> {
        let token = credentials::bearer_token(request.headers())?;
        Ok(Authenticated { caller: self.verifier.caller(token)?, justification: None })
    }
}
