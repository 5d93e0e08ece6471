//! The route table, with one row for each address.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use actix_web::web::{self, Data, ServiceConfig};
use metrics_exporter_prometheus::PrometheusHandle;

use super::admin::AdminState;
use super::audit::{AuditState, ServiceReads};
use super::consent::ConsentState;
use super::cors::Cors;
use super::credential_state::CredentialState;
use super::events::EventsState;
use super::feed::FeedState;
use super::health::Readiness;
use super::operations::OperationsHistory;
use super::pages::home::HomePage;
use super::read_state::ProfileReadState;
use super::request::access_control::AccessControl;
use super::request::caller::{Role, Scope};
use super::request::limits::{LimitClass, Limits};
use super::request::requirements::{AuditRule, Callers, Requirements};
use super::request_layer::RequestLayer;
use super::route::{Access, HEALTH, READ, Route, allow};
use super::{admin, audit, completeness, consent, events, feed, health, operations, pages, profile, schemas, session};
use crate::live::{self, LiveState};

/// What the addresses of the audit log require, besides the access log of a citizen.
const AUDITING: Requirements = Requirements::new(
    Callers::WithRole(&[Role::Auditor, Role::SelfCitizen]),
    LimitClass::Sensitive,
    AuditRule::Nothing,
);

/// The addresses of the public listener only.
static PUBLIC: [Route; 21] = [
    Route {
        path: "/api/v2/profile/{user_id}",
        name: "profile",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::ViewersOfUser, LimitClass::Read, AuditRule::Read("profile.read")),
            |admission| admission.to(profile::get),
        ),
        summary: Some("a profile, as the caller may see it"),
    },
    Route {
        path: "/api/v2/profile/{user_id}/completeness",
        name: "completeness",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::ViewersOfUser, LimitClass::Read, AuditRule::Read("profile.completeness.read")),
            |admission| admission.to(completeness::get),
        ),
        summary: Some("which fields of a profile are missing"),
    },
    Route {
        path: "/api/v2/profile/{user_id}/consent",
        name: "consent",
        methods: &[Method::PUT],
        access: Access::Callers(
            Requirements::new(Callers::CitizenOfPath, LimitClass::Write, AuditRule::Write("consent.update")),
            |admission| admission.to(consent::put),
        ),
        summary: Some("the citizen's consent"),
    },
    Route {
        path: "/api/v2/profile/{user_id}/events",
        name: "profile_events",
        methods: &[Method::GET],
        access: Access::Callers(
            Requirements::new(Callers::ViewersOfUser, LimitClass::Read, AuditRule::Subscribe("profile.subscribe")),
            |admission| admission.to(live::sse::get),
        ),
        summary: Some("changes of a profile, as Server-Sent Events"),
    },
    Route {
        path: "/api/v2/feeds/{source}",
        name: "feed",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(Callers::FeedOfPath, LimitClass::Feed, AuditRule::Nothing),
            |admission| admission.to(feed::post),
        ),
        summary: Some("feed events in: one, a batch, or a stream of NDJSON"),
    },
    Route {
        path: "/api/v2/live",
        name: "live",
        methods: &[Method::GET],
        access: Access::Callers(
            Requirements::new(Callers::All, LimitClass::Read, AuditRule::Subscribe("profile.subscribe"))
                .opening_socket(),
            |admission| admission.to(live::get),
        ),
        summary: Some("changes of profiles, over a WebSocket; accepts a ticket in place of the token"),
    },
    Route {
        path: "/api/v2/live/ticket",
        name: "live_ticket",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(Callers::All, LimitClass::Auth, AuditRule::Nothing).with_reason(),
            |admission| admission.to(live::ticket::post),
        ),
        summary: Some("a ticket with which a page opens a WebSocket"),
    },
    Route {
        path: "/api/v2/events",
        name: "events",
        methods: &[Method::GET],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Service, Role::Admin], Scope::EventsRead),
                LimitClass::Read,
                AuditRule::Subscribe("profiles.subscribe"),
            ),
            |admission| admission.to(events::get),
        ),
        summary: Some("changes of all profiles, as Server-Sent Events or NDJSON"),
    },
    Route {
        path: "/api/v2/session",
        name: "session",
        methods: &[Method::POST],
        access: Access::Open(|| web::to(session::post)),
        summary: Some("begins a session of a page with a one-time code"),
    },
    Route {
        path: "/api/v2/session",
        name: "session",
        methods: READ,
        access: Access::Callers(Requirements::new(Callers::All, LimitClass::Auth, AuditRule::Nothing), |admission| {
            admission.to(session::get)
        }),
        summary: Some("the caller's sessions"),
    },
    Route {
        path: "/api/v2/session",
        name: "session",
        methods: &[Method::DELETE],
        access: Access::Callers(
            Requirements::new(Callers::All, LimitClass::Auth, AuditRule::Write("session.end")),
            |admission| admission.to(session::delete),
        ),
        summary: Some("ends a session"),
    },
    Route {
        path: "/api/v2/operations",
        name: "operations",
        methods: READ,
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Read,
                AuditRule::Read("operations.read"),
            ),
            |admission| admission.to(operations::get),
        ),
        summary: Some("what the server does now and did in the last hour, for operators"),
    },
    Route {
        path: "/api/v2/profile/{user_id}/access-log",
        name: "access_log",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::CitizenOfPath, LimitClass::Sensitive, AuditRule::Nothing),
            |admission| admission.to(audit::access_log),
        ),
        summary: Some("who accessed a profile, when and why; for its citizen, with proofs"),
    },
    Route {
        path: "/api/v2/audit",
        name: "audit",
        methods: READ,
        access: Access::Callers(AUDITING, |admission| admission.to(audit::get)),
        summary: Some("entries of the audit log, with proofs; citizens get those about themselves"),
    },
    Route {
        path: "/api/v2/audit/tree-head",
        name: "audit_tree_head",
        methods: READ,
        access: Access::Callers(AUDITING, |admission| admission.to(audit::tree_head)),
        summary: Some("a signed statement of what the audit log holds, and the public key"),
    },
    Route {
        path: "/api/v2/audit/inclusion",
        name: "audit_inclusion",
        methods: READ,
        access: Access::Callers(AUDITING, |admission| admission.to(audit::inclusion)),
        summary: Some("the proof that an entry is in the audit log"),
    },
    Route {
        path: "/api/v2/audit/consistency",
        name: "audit_consistency",
        methods: READ,
        access: Access::Callers(AUDITING, |admission| admission.to(audit::consistency)),
        summary: Some("the proof that the audit log was only added to"),
    },
    Route {
        path: "/api/v2/schemas",
        name: "schemas",
        methods: READ,
        access: Access::Open(|| web::to(schemas::list)),
        summary: Some("versions of the profile and their JSON Schemas"),
    },
    Route {
        path: "/api/v2/schemas/{version}",
        name: "schema",
        methods: READ,
        access: Access::Open(|| web::to(schemas::get)),
        summary: Some("the JSON Schema of one version"),
    },
    Route {
        path: "/docs/{name}",
        name: "docs",
        methods: READ,
        access: Access::Open(|| web::to(pages::docs::get)),
        summary: Some("one of the guides listed below"),
    },
    Route { path: "/", name: "home", methods: READ, access: Access::Open(|| web::to(pages::home::get)), summary: None },
];

/// The addresses of the admin listener only.
static ADMIN: [Route; 10] = [
    Route {
        path: "/metrics",
        name: "metrics",
        methods: READ,
        access: Access::Open(|| web::to(admin::metrics)),
        summary: Some("metrics in the text format of Prometheus"),
    },
    Route {
        path: "/version",
        name: "version",
        methods: READ,
        access: Access::Open(|| web::to(admin::version)),
        summary: Some("the version of the server and of its schemas"),
    },
    Route {
        path: "/admin/revocations",
        name: "revocations",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("credential.revoke"),
            )
            .with_reason()
            .with_fresh_second_factor()
            // In an incident one operator revokes many.
            .uncounted(),
            |admission| admission.to(admin::revocations::post),
        ),
        summary: Some("revokes a token, the tokens of a subject, or a key"),
    },
    Route {
        path: "/admin/allowlist",
        name: "allowlist",
        methods: READ,
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Read("allowlist.list"),
            ),
            |admission| admission.to(admin::allowlist::get),
        ),
        summary: Some("callers and addresses that the rate limits do not apply to"),
    },
    Route {
        path: "/admin/allowlist",
        name: "allowlist",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("allowlist.add"),
            )
            .with_reason(),
            |admission| admission.to(admin::allowlist::post),
        ),
        summary: Some("exempts a caller or an address from the rate limits"),
    },
    Route {
        path: "/admin/allowlist",
        name: "allowlist",
        methods: &[Method::DELETE],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("allowlist.remove"),
            )
            .with_reason(),
            |admission| admission.to(admin::allowlist::delete),
        ),
        summary: Some("ends an exemption"),
    },
    Route {
        path: "/admin/limits/reset",
        name: "limits_reset",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("limits.reset"),
            )
            .with_reason(),
            |admission| admission.to(admin::limits::reset),
        ),
        summary: Some("forgets what the rate limits have counted for a caller or an address"),
    },
    Route {
        path: "/admin/passivate",
        name: "passivate",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("user.passivate"),
            )
            .with_reason(),
            |admission| admission.to(admin::users::passivate),
        ),
        summary: Some("ends the actor of a user"),
    },
    Route {
        path: "/admin/reload",
        name: "reload",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::WithScope(&[Role::Admin], Scope::Operate),
                LimitClass::Write,
                AuditRule::Write("config.reload"),
            )
            .with_reason(),
            |admission| admission.to(admin::reload::post),
        ),
        summary: Some("reads access.toml and limits.toml now"),
    },
    Route { path: "/", name: "home", methods: READ, access: Access::Open(|| web::to(pages::home::get)), summary: None },
];

/// The addresses of both listeners.
static SHARED: [Route; 4] = [
    Route {
        path: "/problems",
        name: "problems",
        methods: READ,
        access: Access::Open(|| web::to(pages::problems::list)),
        summary: Some("what every error means and what to do about it"),
    },
    Route {
        path: "/problems/{code}",
        name: "problems",
        methods: READ,
        access: Access::Open(|| web::to(pages::problems::get)),
        summary: None,
    },
    Route {
        path: "/health/live",
        name: HEALTH,
        methods: READ,
        access: Access::Open(|| web::to(health::live)),
        summary: Some("whether the server answers"),
    },
    Route {
        path: "/health/ready",
        name: HEALTH,
        methods: READ,
        access: Access::Open(|| web::to(health::ready)),
        summary: Some("whether the server can serve requests"),
    },
];

/// The state of each feature's handlers.
#[derive(Clone)]
pub(crate) struct HandlerStates {
    pub(crate) access_control: Data<AccessControl>,
    pub(crate) credentials: Data<CredentialState>,
    pub(crate) profile_reads: Data<ProfileReadState>,
    pub(crate) consent: Data<ConsentState>,
    pub(crate) feed: Data<FeedState>,
    pub(crate) live: Data<LiveState>,
    pub(crate) events: Data<EventsState>,
    pub(crate) admin: Data<AdminState>,
    pub(crate) operations: Data<OperationsHistory>,
    pub(crate) audit: Data<AuditState>,
    /// Counts the reads of services, on each worker.
    pub(crate) service_reads: Arc<ServiceReads>,
    pub(crate) readiness: Data<Readiness>,
    pub(crate) prometheus: Data<PrometheusHandle>,
}

/// The routes of both listeners. Each worker registers them for itself.
#[derive(Clone)]
pub(crate) struct Routes {
    states: HandlerStates,
    cors: Arc<Cors>,
    public_home: Data<HomePage>,
    admin_home: Data<HomePage>,
    start: u64,
}

impl Routes {
    /// Returns the routes for these states. Pages of `cors_origins` may read answers. `start` differs from one start of
    /// the server to the next and is part of request ids.
    pub(crate) fn new(states: HandlerStates, cors_origins: Vec<String>, start: u64) -> Self {
        Self {
            states,
            cors: Arc::new(Cors::new(cors_origins)),
            public_home: Data::new(HomePage::public(PUBLIC.iter().chain(&SHARED))),
            admin_home: Data::new(HomePage::admin(ADMIN.iter().chain(&SHARED))),
            start,
        }
    }

    /// Registers the routes of the public listener.
    pub(crate) fn register_public(&self, config: &mut ServiceConfig) {
        let states = self.states.clone();
        config.app_data(states.credentials);
        config.app_data(states.profile_reads).app_data(states.consent).app_data(states.feed);
        config.app_data(states.live).app_data(states.events).app_data(states.readiness);
        config.app_data(states.operations).app_data(states.prometheus);
        config.app_data(states.audit).app_data(self.public_home.clone());
        states.service_reads.start_worker();
        let limits = Arc::clone(&self.states.access_control.limits);
        self.register(PUBLIC.iter().chain(&SHARED), Some(limits), config);
    }

    /// Registers the routes of the admin listener.
    pub(crate) fn register_admin(&self, config: &mut ServiceConfig) {
        let states = self.states.clone();
        config.app_data(states.credentials);
        config.app_data(states.admin);
        config.app_data(states.readiness).app_data(states.prometheus).app_data(self.admin_home.clone());
        self.register(ADMIN.iter().chain(&SHARED), None, config);
    }

    fn register(
        &self,
        routes: impl Iterator<Item = &'static Route>,
        limits: Option<Arc<Limits>>,
        config: &mut ServiceConfig,
    ) {
        let layer = RequestLayer::new(self.start, Arc::clone(&self.cors), limits);
        for rows in by_path(routes) {
            config.service(layer.resource(&rows, &self.states.access_control));
        }
        config.service(layer.unknown_addresses());
        config.default_service(layer.without_address(server_methods()));
    }
}

/// Returns the rows of each path, in the order of the paths' first rows.
fn by_path(routes: impl Iterator<Item = &'static Route>) -> Vec<Vec<&'static Route>> {
    let mut paths: Vec<Vec<&Route>> = Vec::new();
    for route in routes {
        match paths.iter_mut().find(|rows| rows[0].path == route.path) {
            Some(rows) => rows.push(route),
            None => paths.push(vec![route]),
        }
    }
    paths
}

/// Returns the methods that some address of the server accepts, as the value of `Allow`.
fn server_methods() -> HeaderValue {
    let all = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];
    allow(all.iter().filter(|method| PUBLIC.iter().any(|route| route.methods.contains(method))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_name_and_each_of_its_methods_once() {
        for listener in [&PUBLIC[..], &ADMIN[..]] {
            for rows in by_path(listener.iter().chain(&SHARED)) {
                let mut methods: Vec<_> = rows.iter().flat_map(|row| row.methods).map(Method::as_str).collect();
                let count = methods.len();
                methods.sort_unstable();
                methods.dedup();
                assert_eq!(methods.len(), count, "{}", rows[0].path);
                assert!(rows.iter().all(|row| row.name == rows[0].name), "{}", rows[0].path);
            }
        }
    }
}
