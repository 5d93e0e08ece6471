//! The routes by name, and the metrics of each.

use std::sync::OnceLock;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram};

use crate::telemetry::metric;

/// An address of the server, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Profile,
    Completeness,
    ProfileEvents,
    Consent,
    Feed,
    Live,
    LiveTicket,
    Events,
    Schemas,
    Schema,
    Home,
    Docs,
    Problems,
    Health,
    Metrics,
    Version,
    Unknown,
}

impl Route {
    const ALL: [Self; 17] = [
        Self::Profile,
        Self::Completeness,
        Self::ProfileEvents,
        Self::Consent,
        Self::Feed,
        Self::Live,
        Self::LiveTicket,
        Self::Events,
        Self::Schemas,
        Self::Schema,
        Self::Home,
        Self::Docs,
        Self::Problems,
        Self::Health,
        Self::Metrics,
        Self::Version,
        Self::Unknown,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Completeness => "completeness",
            Self::ProfileEvents => "profile_events",
            Self::Consent => "consent",
            Self::Feed => "feed",
            Self::Live => "live",
            Self::LiveTicket => "live_ticket",
            Self::Events => "events",
            Self::Schemas => "schemas",
            Self::Schema => "schema",
            Self::Home => "home",
            Self::Docs => "docs",
            Self::Problems => "problems",
            Self::Health => "health",
            Self::Metrics => "metrics",
            Self::Version => "version",
            Self::Unknown => "unknown",
        }
    }
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"];
/// Statuses from 100 to 599.
const STATUSES: usize = 500;

/// Handles of one route's metrics, each registered at its first use and kept.
struct RouteMetrics {
    name: &'static str,
    duration: Histogram,
    answered: Vec<OnceLock<Counter>>,
}

/// The metrics of every route.
pub(super) struct HttpMetrics(Vec<RouteMetrics>);

impl HttpMetrics {
    pub(super) fn new() -> Self {
        let of = |route: Route| RouteMetrics {
            name: route.name(),
            duration: metric::request_duration(route.name()),
            answered: std::iter::repeat_with(OnceLock::new).take(METHODS.len() * STATUSES).collect(),
        };
        Self(Route::ALL.map(of).into())
    }

    pub(super) fn count(&self, route: Route, method: &Method, status: StatusCode, took: Duration) {
        let metrics = &self.0[route as usize];
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        let code = status.as_u16();
        let slot = method * STATUSES + usize::from(code.clamp(100, 599) - 100);
        metrics.answered[slot].get_or_init(|| metric::requests(metrics.name, METHODS[method], code)).increment(1);
        metrics.duration.record(took);
    }
}
