//! The addresses of the public listener.

use actix_web::http::Method;
use actix_web::web;

use super::history::{SENSITIVE_STREAMS, SENSITIVE_VIEWS};
use crate::http::credential_state::MAX_LOGIN_BODY;
use crate::http::operation::{Answer, BodyDescription, BodySize, Content, Operation, Tag};
use crate::http::pages::{docs, home};
use crate::http::problem::Code;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{
    ACTION, ACTOR, AS_OF, CATEGORY, CURSOR, EVENTS_CURSOR, FIELDS, FROM_SIZE, FROM_TIME, INCLUDE, LEAF, LIMIT,
    REVISION, SCHEMA_VERSION, SESSION_ID, SIZE, SUBJECT, TICKET, TO_SIZE, TYPES, UNTIL,
};
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};
use crate::http::{audit, completeness, consent, events, feed, operations, profile, schemas, session};
use crate::live;

/// A profile in its versions.
const VIEW: &[Content] = &[
    Content::new("application/vnd.civic.profile+json;version=2.0", "Profile-2.0"),
    Content::new("application/vnd.civic.profile+json;version=1.0", "Profile-1.0"),
];
const VIEW_HEADERS: &[&str] =
    &["X-Profile-Revision", "Content-Encoding", "Deprecation", "Sunset", "X-Cache", "Server-Timing"];

/// Feed events.
const FEED_BODY: BodyDescription = BodyDescription {
    content: &[
        Content::new("application/cloudevents+json", "FeedEvent"),
        Content::new("application/cloudevents-batch+json", "FeedEvents"),
        Content::stream("application/x-ndjson", "FeedEvent"),
    ],
    size: BodySize::Settings(
        "One event has at most `http.max_event_bytes`, a batch at most `http.max_body_bytes`; a stream has any length.",
    ),
    is_optional: false,
};

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
        summary: "a profile, as the caller may see it",
        operation: Operation::new(Tag::Profiles, &[Answer::new(200, VIEW).headers(VIEW_HEADERS)])
            .query(&[&FIELDS, &SCHEMA_VERSION, &REVISION, &AS_OF, &INCLUDE])
            .problems(&[Code::NotAcceptable, Code::UnknownRevision, Code::HistoryGone])
            .etag(),
    },
    Route {
        path: "/api/v2/profile/{user_id}/completeness",
        name: "completeness",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::ViewersOfUser, LimitClass::Read, AuditRule::Read("profile.completeness.read")),
            |admission| admission.to(completeness::get),
        ),
        summary: "which fields of a profile are missing",
        operation: Operation::new(Tag::Profiles, &[Answer::new(200, &[Content::json("Completeness")])]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/consent",
        name: "consent",
        methods: &[Method::PUT],
        access: Access::Callers(
            Requirements::new(Callers::CitizenOfPath, LimitClass::Write, AuditRule::Write("consent.update")),
            |admission| admission.to(consent::put),
        ),
        summary: "the citizen's consent",
        operation: Operation::new(Tag::Rights, &[Answer::new(200, &[Content::json("AcknowledgedRevision")])])
            .body(BodyDescription::new(&[Content::json("ConsentChange")], consent::MAX_BODY))
            .event_problems(),
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
        summary: "changes of a profile, as Server-Sent Events",
        operation: Operation::new(
            Tag::Live,
            &[Answer::new(200, &[Content::stream("text/event-stream", "LiveFrame")])
                .headers(&["Deprecation", "Sunset"])],
        )
        .query(&[&FIELDS, &SCHEMA_VERSION, &INCLUDE])
        .headers(&["Last-Event-ID"])
        .problems(&[Code::NotAcceptable, Code::TooManySockets]),
    },
    Route {
        path: "/api/v2/feeds/{source}",
        name: "feed",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(Callers::FeedOfPath, LimitClass::Feed, AuditRule::Refusals("feed.post")),
            |admission| admission.to(feed::post),
        ),
        summary: "feed events in: one, a batch, or a stream of NDJSON",
        operation: Operation::new(
            Tag::Feeds,
            &[Answer::new(200, &[Content::json("FeedAnswer"), Content::stream("application/x-ndjson", "FeedLine")])],
        )
        .headers(&["Prefer"])
        .body(FEED_BODY)
        .problems(&[Code::Erased])
        .event_problems(),
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
        summary: "changes of profiles, over a WebSocket; accepts a ticket in place of the token",
        operation: Operation::new(Tag::Live, &[Answer::new(101, &[]).headers(&["Upgrade", "Sec-WebSocket-Protocol"])])
            .details(
                "The sub-protocol is `civic-profile.v1`; [Following profiles live](/docs/live) describes the frames.",
            )
            .query(&[&TICKET])
            .problems(&[Code::UpgradeRequired, Code::TooManySockets]),
    },
    Route {
        path: "/api/v2/live/ticket",
        name: "live_ticket",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(Callers::All, LimitClass::Auth, AuditRule::Refusals("live.ticket")).with_reason(),
            |admission| admission.to(live::ticket::post),
        ),
        summary: "a ticket with which a page opens a WebSocket",
        operation: Operation::new(Tag::Live, &[Answer::new(201, &[Content::json("Ticket")])])
            .problems(&[Code::TooManyTickets]),
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
        summary: "changes of all profiles, as Server-Sent Events or NDJSON",
        operation: Operation::new(
            Tag::Live,
            &[Answer::new(
                200,
                &[
                    Content::stream("text/event-stream", "PublishedEvent"),
                    Content::stream("application/x-ndjson", "PublishedEvent"),
                ],
            )],
        )
        .query(&[&TYPES, &EVENTS_CURSOR])
        .headers(&["Last-Event-ID"])
        .problems(&[Code::NotAcceptable, Code::CursorGone, Code::TooManyFollowers]),
    },
    Route {
        path: "/api/v2/session",
        name: "session",
        methods: &[Method::POST],
        access: Access::OpenCounted(LimitClass::Auth, || web::to(session::post)),
        summary: "begins a session of a page with a one-time code",
        operation: Operation::new(
            Tag::Sessions,
            &[Answer::new(201, &[Content::json("NewSession")]).headers(&["Set-Cookie"])],
        )
        .body(BodyDescription::new(&[Content::json("Login")], MAX_LOGIN_BODY))
        .problems(&[Code::InvalidToken, Code::Forbidden]),
    },
    Route {
        path: "/api/v2/session",
        name: "session",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::All, LimitClass::Auth, AuditRule::Refusals("session.list")),
            |admission| admission.to(session::get),
        ),
        summary: "the caller's sessions",
        operation: Operation::new(Tag::Sessions, &[Answer::new(200, &[Content::json("Sessions")])]),
    },
    Route {
        path: "/api/v2/session",
        name: "session",
        methods: &[Method::DELETE],
        access: Access::Callers(
            Requirements::new(Callers::All, LimitClass::Auth, AuditRule::Write("session.end")),
            |admission| admission.to(session::delete),
        ),
        summary: "ends a session",
        operation: Operation::new(Tag::Sessions, &[Answer::new(204, &[]).headers(&["Set-Cookie"])])
            .query(&[&SESSION_ID])
            .problems(&[Code::UnknownResource]),
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
        summary: "what the server does now and did in the last hour, for operators",
        operation: Operation::new(Tag::Operations, &[Answer::new(200, &[Content::json("Operations")])]),
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
        summary: "who accessed a profile, when and why; for its citizen, with proofs",
        operation: Operation::new(Tag::Rights, &[Answer::new(200, &[Content::json("AuditPage")])])
            .query(&[&CATEGORY, &ACTION, &FROM_TIME, &UNTIL, &LIMIT, &CURSOR]),
    },
    Route {
        path: "/api/v2/audit",
        name: "audit",
        methods: READ,
        access: Access::Callers(auditing("audit.read"), |admission| admission.to(audit::get)),
        summary: "entries of the audit log, with proofs; citizens get those about themselves",
        operation: Operation::new(Tag::Audit, &[Answer::new(200, &[Content::json("AuditPage")])])
            .query(&[&CATEGORY, &ACTION, &FROM_TIME, &UNTIL, &LIMIT, &CURSOR, &SUBJECT, &ACTOR]),
    },
    Route {
        path: "/api/v2/audit/tree-head",
        name: "audit_tree_head",
        methods: READ,
        access: Access::Callers(auditing("audit.tree_head.read"), |admission| admission.to(audit::tree_head)),
        summary: "a signed statement of what the audit log holds, and the public key",
        operation: Operation::new(Tag::Audit, &[Answer::new(200, &[Content::json("SignedTreeHead")])]),
    },
    Route {
        path: "/api/v2/audit/inclusion",
        name: "audit_inclusion",
        methods: READ,
        access: Access::Callers(auditing("audit.inclusion.read"), |admission| admission.to(audit::inclusion)),
        summary: "the proof that an entry is in the audit log",
        operation: Operation::new(Tag::Audit, &[Answer::new(200, &[Content::json("InclusionProof")])])
            .query(&[&LEAF, &SIZE]),
    },
    Route {
        path: "/api/v2/audit/consistency",
        name: "audit_consistency",
        methods: READ,
        access: Access::Callers(auditing("audit.consistency.read"), |admission| admission.to(audit::consistency)),
        summary: "the proof that the audit log was only added to",
        operation: Operation::new(Tag::Audit, &[Answer::new(200, &[Content::json("ConsistencyProof")])])
            .query(&[&FROM_SIZE, &TO_SIZE]),
    },
    Route {
        path: "/api/v2/schemas",
        name: "schemas",
        methods: READ,
        access: Access::Open(|| web::to(schemas::list)),
        summary: "versions of the profile and their JSON Schemas",
        operation: Operation::new(Tag::Reference, &[Answer::new(200, &[Content::json("SchemaList")])])
            .problems(&[Code::NotAcceptable]),
    },
    Route {
        path: "/api/v2/schemas/{version}",
        name: "schema",
        methods: READ,
        access: Access::Open(|| web::to(schemas::get)),
        summary: "the JSON Schema of one version",
        operation: Operation::new(
            Tag::Reference,
            &[Answer::new(200, &[Content::new("application/schema+json", "JsonSchema")])
                .headers(&["Deprecation", "Sunset"])],
        )
        .problems(&[Code::NotAcceptable, Code::UnknownResource]),
    },
    Route {
        path: "/docs/{name}",
        name: "docs",
        methods: READ,
        access: Access::Open(|| web::to(docs::get)),
        summary: "one of the guides",
        operation: Operation::page(&[Code::NotAcceptable, Code::UnknownResource]),
    },
    Route {
        path: "/",
        name: "home",
        methods: READ,
        access: Access::Open(|| web::to(home::get)),
        summary: "what this listener serves",
        operation: Operation::home(),
    },
];
