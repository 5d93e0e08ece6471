//! `PUT /api/v2/profile/{user_id}/consent`: the citizen's consent, which becomes a `user.consent.updated`.

use std::time::Instant;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actors::Status;
use domain::access::Viewer;
use domain::event::FeedEventType;
use domain::pipeline::validate::validate_consent_put;
use serde_json::json;

use super::body::{self, BodyLimits};
use super::caller;
use super::door::Door;
use super::headers;
use super::in_flight::Purpose;
use super::problem::{Code, Problem};
use super::profile::user_id;

/// Three small members.
const MAX_BODY: usize = 4 * 1024;

pub(super) async fn put(request: HttpRequest, payload: Payload, door: Data<Door>) -> Result<HttpResponse, Problem> {
    let received = Instant::now();
    let deadline = tokio::time::Instant::from_std(received) + door.http.request_timeout;
    let caller = caller::authenticate(&door.verifier, request.headers())?;
    let user = user_id(&request)?;
    // To anyone but the citizen there is nothing here, whether or not the user exists.
    if caller.viewer != Viewer::SelfCitizen(user) {
        return Err(Problem::unknown_user());
    }
    check_content_type(request.headers())?;
    let body = body::read(
        request.headers(),
        payload,
        BodyLimits {
            size: MAX_BODY,
            advice: "a consent has at most 4 KiB",
            deadline,
            pause: door.http.client_body_timeout,
            in_flight: &door.in_flight,
            purpose: Purpose::CitizenWrite,
        },
    )
    .await?;
    // The actor gives the event its id and its time: later than all that it overwrites.
    let event =
        validate_consent_put(&body, FeedEventType::UserConsentUpdated, "", user, door.clock.now_micros(), &door.rules)
            .map_err(|rejection| Problem::rejected(&rejection))?;
    let write = door.profiles.put_consent(user, event.writes, received);
    let status = tokio::time::timeout_at(deadline, write)
        .await
        .map_err(|_| Problem::new(Code::Timeout, "the consent was not acknowledged in time: send it again"))?
        .map_err(|_| Problem::new(Code::Busy, "the consent was not acknowledged: send it again"))?;
    let revision = match status {
        Status::Applied { revision } | Status::Unchanged { revision } | Status::Duplicate { revision } => revision,
        Status::Busy => return Err(Problem::new(Code::Busy, "the consent was not acknowledged: send it again")),
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(json!({ "revision": revision })))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    match headers::content_type(headers)? == "application/json" {
        true => Ok(()),
        false => Err(Problem::new(Code::UnsupportedMediaType, "allowed: application/json")),
    }
}
