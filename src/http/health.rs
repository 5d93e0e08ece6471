//! `/health/live` and `/health/ready`: ok or not, and nothing else.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;

use super::door::Door;

/// The process answers.
pub(super) async fn live() -> HttpResponse {
    state(true)
}

/// Requests can be served.
pub(super) async fn ready(door: Data<Door>) -> HttpResponse {
    state(door.is_ready())
}

fn state(is_ok: bool) -> HttpResponse {
    let mut answer = if is_ok { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.content_type("text/plain; charset=utf-8").body(if is_ok { "ok\n" } else { "not ok\n" })
}
