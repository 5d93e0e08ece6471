//! The addresses that derive something from profiles: simulations, batches, summaries, and where values come from.

use actix_web::http::Method;

use crate::http::operation::{Answer, BodyDescription, Content, Operation, Tag};
use crate::http::problem::Code;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{FIELDS, PATH, SCHEMA_VERSION};
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};
use crate::http::{batch_get, origin, simulate, summary};

/// The addresses that derive something from profiles, on the public listener.
pub(super) static PROFILES: [Route; 6] = [
    Route {
        path: "/api/v2/profile/{user_id}/simulate",
        name: "simulate",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::ViewersOrServices(&[Role::SelfCitizen, Role::Admin], Scope::Simulate),
                LimitClass::Read,
                AuditRule::Read("profile.simulate"),
            ),
            |admission| admission.to(simulate::post),
        ),
        summary: "the profile that would result from hypothetical events",
        operation: Operation::new(
            Tag::Profiles,
            &[Answer::new(200, &[Content::json("Simulation")]).headers(&["Deprecation", "Sunset"])],
        )
        .query(&[&SCHEMA_VERSION])
        .body(BodyDescription::new(
            &[
                Content::new("application/cloudevents-batch+json", "HypotheticalEvents"),
                Content::json("HypotheticalEvents"),
            ],
            simulate::MAX_BODY,
        ))
        .problems(&[Code::NotAcceptable, Code::Invalid])
        .event_problems(),
    },
    Route {
        path: "/api/v2/profile/{user_id}/summary",
        name: "summary",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::ViewersOfUser, LimitClass::Read, AuditRule::Read("profile.summary.read")),
            |admission| admission.to(summary::get),
        ),
        summary: "a profile in two or three plain sentences, in English or Hindi",
        operation: Operation::new(
            Tag::Profiles,
            &[Answer::new(200, &[Content::json("Summary")]).headers(&["Content-Language"])],
        )
        .headers(&["Accept-Language"]),
    },
    Route {
        path: "/api/v2/profiles/batch-get",
        name: "batch_get",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(Callers::All, LimitClass::Read, AuditRule::ReadEach("profile.read")),
            |admission| admission.to(batch_get::post),
        ),
        summary: "up to 1,000 profiles, as NDJSON",
        operation: Operation::new(
            Tag::Profiles,
            &[Answer::new(200, &[Content::stream("application/x-ndjson", "BatchLine")])
                .headers(&["Deprecation", "Sunset"])],
        )
        .query(&[&FIELDS, &SCHEMA_VERSION])
        .body(BodyDescription::new(&[Content::json("BatchRequest")], batch_get::MAX_BODY))
        .problems(&[Code::NotAcceptable, Code::Invalid]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/explain",
        name: "explain",
        methods: READ,
        access: Access::Callers(
            Requirements::new(
                Callers::ViewersInRole(&[Role::SelfCitizen, Role::Admin]),
                LimitClass::Sensitive,
                AuditRule::Read("profile.explain"),
            ),
            |admission| admission.to(origin::explain),
        ),
        summary: "why a field has its value",
        operation: Operation::new(Tag::Profiles, &[Answer::new(200, &[Content::json("Explanation")])])
            .query(&[&PATH])
            .problems(&[Code::UnknownResource]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/integrity",
        name: "integrity",
        methods: READ,
        access: Access::Callers(
            Requirements::new(
                Callers::ViewersInRole(&[Role::SelfCitizen, Role::Admin, Role::Service]),
                LimitClass::Read,
                AuditRule::Read("profile.integrity.read"),
            ),
            |admission| admission.to(origin::integrity),
        ),
        summary: "the hashes of the members under profile_hash",
        operation: Operation::new(Tag::Profiles, &[Answer::new(200, &[Content::json("Integrity")])]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/access",
        name: "access",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::ViewersOfUser, LimitClass::Read, AuditRule::Read("profile.access.read")),
            |admission| admission.to(origin::access),
        ),
        summary: "what the caller may see of a profile, and what masks the rest",
        operation: Operation::new(Tag::Profiles, &[Answer::new(200, &[Content::json("Access")])]),
    },
];
