//! `POST /api/v2/live/ticket`: a ticket that opens one socket; and who opens a socket, by header or by ticket.

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

pub(crate) async fn post(request: HttpRequest, state: Data<LiveState>) -> Result<HttpResponse, Problem> {
    let origin = origin::check(&request, &state.cors_origins)?;
    let caller = caller::authenticate(&state.verifier, request.headers())?;
    // Asked for whatever the scope: an `auth` message on the socket may bring a token that opens profiles, and then nobody
    // asks again.
    let reason = AccessReason::of(&caller, request.headers())?;
    // It is as good as the token that bought it, and no longer.
    let expires_in_s = state.settings.ticket_life.min(state.verifier.left(&caller)).as_secs();
    let ticket = state.tickets.issue(Ticket { caller, reason, origin }).map_err(|TooManyTickets| {
        Problem::new(Code::TooManyTickets, "as many tickets wait to be used as there may be: ask again")
    })?;
    Ok(HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "ticket": ticket, "expires_in_s": expires_in_s })))
}

/// The caller of a handshake, and why an administrator looks: asked for whatever the scope, as for a ticket.
///
/// # Errors
/// A page from elsewhere; a token or ticket that is not accepted. A ticket that is named is spent whatever comes of it,
/// and what was wrong with it is not told.
pub(super) fn admit(request: &HttpRequest, state: &LiveState) -> Result<(Arc<Caller>, AccessReason), Problem> {
    let query = request.query_string();
    let mut named: Vec<_> = query::all(query, "ticket").map(|text| state.tickets.redeem(&text)).collect();
    query::single(query, "ticket")?;
    let origin = origin::check(request, &state.cors_origins)?;
    let Some(spent) = named.pop() else {
        let caller = caller::authenticate(&state.verifier, request.headers())?;
        let reason = AccessReason::of(&caller, request.headers())?;
        return Ok((caller, reason));
    };
    if request.headers().contains_key(header::AUTHORIZATION) {
        return Err(Problem::new(Code::InvalidParameter, "name a ticket, or send `Authorization`: not both"));
    }
    spent
        .filter(|ticket| ticket.origin == origin && !state.verifier.left(&ticket.caller).is_zero())
        .map(|ticket| (ticket.caller, ticket.reason))
        .ok_or_else(|| {
            Problem::new(Code::InvalidTicket, "ask for a new one: each is good once, soon, and where it was asked for")
        })
}
