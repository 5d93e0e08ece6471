//! `/health/live` and `/health/ready`, which answer with a status and no details.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use actors::Profiles;
use tokio::sync::watch;

/// What tells whether the server can serve requests.
pub(crate) struct Readiness {
    pub(crate) profiles: Profiles,
    pub(crate) store: store::StoreStatus,
    /// Turns true when the server stops.
    pub(crate) closing: watch::Receiver<bool>,
}

impl Readiness {
    /// Whether the store can be read and written, and the server is not stopping.
    fn is_ready(&self) -> bool {
        !*self.closing.borrow() && self.store.is_ready() && self.profiles.is_ready()
    }
}

/// Answers 200 as long as the process runs.
pub(super) async fn live() -> HttpResponse {
    answer(true)
}

/// Answers 200 if requests can be served, else 503.
pub(super) async fn ready(readiness: Data<Readiness>) -> HttpResponse {
    answer(readiness.is_ready())
}

fn answer(is_ok: bool) -> HttpResponse {
    let mut answer = if is_ok { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer.content_type("text/plain; charset=utf-8").body(if is_ok { "ok\n" } else { "not ok\n" })
}
