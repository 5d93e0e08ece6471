//! The addresses of the public listener.

use actix_web::http::Method;
use actix_web::web;

use super::history::{SENSITIVE_STREAMS, SENSITIVE_VIEWS};
use crate::http::pages::{docs, home};
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};
use crate::http::{audit, completeness, consent, events, feed, operations, profile, schemas, session};
use crate::live;

/// Returns what the addresses of the audit log require, besides the access log of a citizen.
const fn auditing(action: &'static str) -> Requirements {
    let callers = Callers::WithRole(&[Role::Auditor, Role::SelfCitizen]);
    Requirements::new(callers, LimitClass::Sensitive, AuditRule::Refusals(action))
}

/// The addresses of the public listener only.
pub(super) static PUBLIC: [Route; 21] = [
    Route {
        path: "/api/v2/profile/{user_id}",
        name: "profile",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::ViewersOfUser, LimitClass::Read, AuditRule::Read("profile.read"))
                .by_query(&SENSITIVE_VIEWS),
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
            Requirements::new(Callers::ViewersOfUser, LimitClass::Read, AuditRule::Subscribe("profile.subscribe"))
                .by_query(&SENSITIVE_STREAMS),
            |admission| admission.to(live::sse::get),
        ),
        summary: Some("changes of a profile, as Server-Sent Events"),
    },
    Route {
        path: "/api/v2/feeds/{source}",
        name: "feed",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(Callers::FeedOfPath, LimitClass::Feed, AuditRule::Refusals("feed.post")),
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
            Requirements::new(Callers::All, LimitClass::Auth, AuditRule::Refusals("live.ticket")).with_reason(),
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
        access: Access::OpenCounted(LimitClass::Auth, || web::to(session::post)),
        summary: Some("begins a session of a page with a one-time code"),
    },
    Route {
        path: "/api/v2/session",
        name: "session",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::All, LimitClass::Auth, AuditRule::Refusals("session.list")),
            |admission| admission.to(session::get),
        ),
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
            Requirements::new(Callers::CitizenOfPath, LimitClass::Sensitive, AuditRule::Refusals("access_log.read"))
                .also_of_blocked_users(),
            |admission| admission.to(audit::access_log),
        ),
        summary: Some("who accessed a profile, when and why; for its citizen, with proofs"),
    },
    Route {
        path: "/api/v2/audit",
        name: "audit",
        methods: READ,
        access: Access::Callers(auditing("audit.read"), |admission| admission.to(audit::get)),
        summary: Some("entries of the audit log, with proofs; citizens get those about themselves"),
    },
    Route {
        path: "/api/v2/audit/tree-head",
        name: "audit_tree_head",
        methods: READ,
        access: Access::Callers(auditing("audit.tree_head.read"), |admission| admission.to(audit::tree_head)),
        summary: Some("a signed statement of what the audit log holds, and the public key"),
    },
    Route {
        path: "/api/v2/audit/inclusion",
        name: "audit_inclusion",
        methods: READ,
        access: Access::Callers(auditing("audit.inclusion.read"), |admission| admission.to(audit::inclusion)),
        summary: Some("the proof that an entry is in the audit log"),
    },
    Route {
        path: "/api/v2/audit/consistency",
        name: "audit_consistency",
        methods: READ,
        access: Access::Callers(auditing("audit.consistency.read"), |admission| admission.to(audit::consistency)),
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
        access: Access::Open(|| web::to(docs::get)),
        summary: Some("one of the guides listed below"),
    },
    Route { path: "/", name: "home", methods: READ, access: Access::Open(|| web::to(home::get)), summary: None },
];
