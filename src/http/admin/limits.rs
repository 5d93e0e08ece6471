//! `POST /admin/limits/reset`: what the rate limits have counted for a caller or an address is forgotten.

use actix_web::HttpResponse;
use actix_web::web::{Data, Payload};
use serde::Deserialize;

use super::state::AdminState;
use super::subject;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::limits::AllowlistSubject;

const SHAPE: &str = "the body must be a JSON object with `caller` or `address`";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetRequest {
    caller: Option<String>,
    address: Option<String>,
}

/// Forgets what was counted.
pub(in crate::http) async fn reset(
    context: &RequestContext,
    (payload, state): (Payload, Data<AdminState>),
) -> Result<HttpResponse, Problem> {
    let ResetRequest { caller, address } = state.read(context.headers(), payload, SHAPE).await?;
    let subject = subject::parse(context, caller.as_deref(), address.as_deref())?;
    let address = match &subject {
        AllowlistSubject::Caller(_) => None,
        AllowlistSubject::Address(network) => Some(network.address().ok_or_else(|| {
            Problem::new(Code::InvalidParameter, "`address` must be one address: counts are kept by address")
        })?),
    };
    context.record_write().await?;
    match (subject, address) {
        (AllowlistSubject::Caller(subject), _) => {
            state.credentials.access_control.verifier.account(&subject).limits().reset();
        }
        (_, Some(address)) => state.limits.reset_address(address),
        (_, None) => {}
    }
    Ok(HttpResponse::NoContent().finish())
}
