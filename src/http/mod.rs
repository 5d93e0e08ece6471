//! HTTP: the route table, and a file per resource.

pub(crate) mod access_reason;
mod admin;
mod body;
pub(crate) mod caller;
mod completeness;
mod conditional;
mod consent;
mod cors;
pub(crate) mod door;
pub(crate) mod events;
pub(crate) mod expiry;
mod feed;
pub(crate) mod headers;
mod health;
pub(crate) mod in_flight;
pub(crate) mod origin;
mod pages;
pub(crate) mod problem;
pub(crate) mod profile;
pub(crate) mod query;
mod request_head;
mod request_id;
mod request_layer;
mod route;
pub(crate) mod transport;
pub(crate) mod version;
mod write_timeout;

use std::sync::Arc;

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{FromRequest, Handler, Resource, Responder};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::live;
use cors::Cors;
use door::Door;
pub(crate) use feed::{FeedMetrics, SPOOL_FILES, SpoolSpace};
use request_layer::{RequestLayer, ResourceFactory};
use route::{HttpMetrics, Route};

const GET: &str = "GET, HEAD, OPTIONS";

/// What the workers of both listeners share.
#[derive(Clone)]
pub(crate) struct Routes {
    pub(crate) door: Data<Door>,
    pub(crate) prometheus: Data<PrometheusHandle>,
    metrics: Arc<HttpMetrics>,
    cors: Arc<Cors>,
    start: u64,
}

impl Routes {
    /// `start` differs from one start of the server to the next.
    pub(crate) fn new(door: Door, prometheus: PrometheusHandle, start: u64) -> Self {
        let cors = Arc::new(Cors::new(door.http.cors_origins.clone()));
        let metrics = Arc::new(HttpMetrics::new());
        Self { door: Data::new(door), prometheus: Data::new(prometheus), metrics, cors, start }
    }

    /// The routes of the public listener.
    pub(crate) fn routes(&self, config: &mut ServiceConfig) {
        let layer = RequestLayer::new(self.start, Arc::clone(&self.metrics), Arc::clone(&self.cors));
        config.app_data(self.door.clone());
        config.service(read(&layer, "/api/v2/profile/{user_id}", Route::Profile, profile::get));
        config.service(read(&layer, "/api/v2/profile/{user_id}/completeness", Route::Completeness, completeness::get));
        config.service(
            layer
                .resource("/api/v2/profile/{user_id}/events", Route::ProfileEvents, "GET, OPTIONS")
                .route(web::get().to(live::sse::get)),
        );
        config.service(
            layer
                .resource("/api/v2/profile/{user_id}/consent", Route::Consent, "PUT, OPTIONS")
                .route(web::put().to(consent::put)),
        );
        config.service(
            layer.resource("/api/v2/feeds/{source}", Route::Feed, "POST, OPTIONS").route(web::post().to(feed::post)),
        );
        config.service(layer.resource("/api/v2/live", Route::Live, "GET, OPTIONS").route(web::get().to(live::get)));
        config.service(
            layer
                .resource("/api/v2/live/ticket", Route::LiveTicket, "POST, OPTIONS")
                .route(web::post().to(live::ticket::post)),
        );
        config
            .service(layer.resource("/api/v2/events", Route::Events, "GET, OPTIONS").route(web::get().to(events::get)));
        config.service(read(&layer, "/", Route::Home, pages::home::public));
        config.service(read(&layer, "/docs/{name}", Route::Docs, pages::docs::get));
        config.service(read(&layer, "/api/v2/schemas", Route::Schemas, version::list));
        config.service(read(&layer, "/api/v2/schemas/{version}", Route::Schema, version::get));
        shared(&layer, config);
    }

    /// The routes of the admin listener.
    pub(crate) fn admin_routes(&self, config: &mut ServiceConfig) {
        let layer = RequestLayer::new(self.start, Arc::clone(&self.metrics), Arc::clone(&self.cors));
        config.app_data(self.door.clone()).app_data(self.prometheus.clone());
        config.service(read(&layer, "/", Route::Home, pages::home::admin));
        config.service(read(&layer, "/metrics", Route::Metrics, admin::metrics));
        config.service(read(&layer, "/version", Route::Version, admin::version));
        shared(&layer, config);
    }
}

/// The routes of both listeners, and what answers at every other address.
fn shared(layer: &RequestLayer, config: &mut ServiceConfig) {
    config.service(read(layer, "/health/live", Route::Health, health::live));
    config.service(read(layer, "/health/ready", Route::Health, health::ready));
    config.service(read(layer, "/problems", Route::Problems, pages::problems::list));
    config.service(read(layer, "/problems/{code}", Route::Problems, pages::problems::get));
    config.service(layer.anywhere_else());
    config.default_service(layer.without_address());
}

/// An address that is read.
fn read<F, Args>(
    layer: &RequestLayer,
    path: &str,
    route: Route,
    handler: F,
) -> Resource<impl ResourceFactory + use<F, Args>>
where
    F: Handler<Args>,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    layer.resource(path, route, GET).route(web::get().to(handler.clone())).route(web::head().to(handler))
}
