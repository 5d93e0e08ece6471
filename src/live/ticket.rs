//! `POST /api/v2/live/ticket` issues a ticket that opens one socket; and the callers of handshakes are authenticated,
//! by token or by ticket.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::state::LiveState;
use super::tickets::{Ticket, TooManyTickets};
use crate::http::problem::{Code, Problem};
use crate::http::request::access_reason::AccessReason;
use crate::http::request::caller::{self, Caller};
use crate::http::request::{origin, query};

/// Answers with a new ticket, and with the number of seconds for which it is valid.
pub(crate) async fn post(request: HttpRequest, state: Data<LiveState>) -> Result<HttpResponse, Problem> {
    let origin = origin::check(&request, &state.cors_origins)?;
    let caller = caller::authenticate(&state.verifier, request.headers())?;
    // Required whatever the scope: an `auth` message may later bring a token that opens profiles, and there the reason
    // cannot be given.
    let reason = AccessReason::from_headers(&caller, request.headers())?;
    // A ticket is not valid for longer than the token that it was issued for.
    let expires_in_s = state.settings.ticket_life.min(state.verifier.left(&caller)).as_secs();
    let ticket = state.tickets.issue(Ticket { caller, reason, origin }).map_err(|TooManyTickets| {
        Problem::new(Code::TooManyTickets, "`live.max_tickets` tickets are waiting to be redeemed: try again later")
    })?;
    Ok(HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "ticket": ticket, "expires_in_s": expires_in_s })))
}

/// Authenticates the caller of a handshake by its token or ticket. Returns the caller and the reason for the access,
/// which an administrator must give whatever the scope, as for a ticket.
///
/// # Errors
/// The page is of an origin that is not allowed, or the token or ticket is not accepted. A ticket is used up by the
/// attempt, whatever its outcome; the answer does not say why a ticket was refused.
pub(super) fn admit(request: &HttpRequest, state: &LiveState) -> Result<(Arc<Caller>, AccessReason), Problem> {
    let query = request.query_string();
    let mut redeemed: Vec<_> = query::all(query, "ticket").map(|text| state.tickets.redeem(&text)).collect();
    query::single(query, "ticket")?;
    let origin = origin::check(request, &state.cors_origins)?;
    let Some(ticket) = redeemed.pop() else {
        let caller = caller::authenticate(&state.verifier, request.headers())?;
        let reason = AccessReason::from_headers(&caller, request.headers())?;
        return Ok((caller, reason));
    };
    if request.headers().contains_key(header::AUTHORIZATION) {
        return Err(Problem::new(Code::InvalidParameter, "send either a ticket or `Authorization`, not both"));
    }
    ticket
        .filter(|ticket| ticket.origin == origin && !state.verifier.left(&ticket.caller).is_zero())
        .map(|ticket| (ticket.caller, ticket.reason))
        .ok_or_else(|| {
            Problem::new(
                Code::InvalidTicket,
                "request a new ticket: each opens one socket, for a short time, from the origin that requested it",
            )
        })
}
