//! `POST /api/v2/live/ticket` issues a ticket that opens one socket.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use serde_json::json;

use super::state::LiveState;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::origin;
use crate::http::request::tickets::{Ticket, TooManyTickets};

/// Answers with a new ticket, and with the number of seconds for which it is valid.
pub(crate) async fn post(context: &RequestContext, state: Data<LiveState>) -> Result<HttpResponse, Problem> {
    let origin = origin::check(&context.request, &state.cors_origins)?;
    let caller = Arc::clone(&context.caller);
    // Required whatever the scope: an `auth` message may later bring a token that opens profiles, and there the reason
    // cannot be given.
    let justification = context.justification();
    // A ticket is not valid for longer than the token that it was issued for.
    let expires_in_s = state.settings.ticket_life.min(state.verifier.left(&caller)).as_secs();
    let ticket = state.tickets.issue(Ticket { caller, justification, origin }).map_err(|TooManyTickets| {
        Problem::new(Code::TooManyTickets, "`live.max_tickets` tickets are waiting to be redeemed: try again later")
    })?;
    Ok(HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "ticket": ticket, "expires_in_s": expires_in_s })))
}
