//! `/metrics` and `/version` of the admin listener, and the operations of administrators.

pub(super) mod allowlist;
pub(super) mod keys;
pub(super) mod limits;
pub(super) mod reload;
pub(super) mod revocations;
mod state;
mod subject;
pub(super) mod users;

use actix_web::HttpResponse;
use actix_web::web::Data;
use metrics_exporter_prometheus::PrometheusHandle;
pub(crate) use revocations::REVOKE_ACTION;
use serde_json::json;
pub(crate) use state::AdminState;

/// Answers with all metrics, in the text format of Prometheus.
pub(super) async fn metrics(handle: Data<PrometheusHandle>) -> HttpResponse {
    crate::telemetry::process::observe();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(handle.render())
}

/// Answers with the version of the server and the schema versions that it serves.
pub(super) async fn version() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "schema_versions": super::request::schema_version::SERVED,
    }))
}
