//! The addresses that derive something from profiles: simulations, batches and summaries.

use actix_web::http::Method;

use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};
use crate::http::{batch_get, simulate, summary};

/// The addresses that derive something from profiles, on the public listener.
pub(super) static PROFILES: [Route; 3] = [
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
        summary: Some("the profile that would result from hypothetical events"),
    },
    Route {
        path: "/api/v2/profile/{user_id}/summary",
        name: "summary",
        methods: READ,
        access: Access::Callers(
            Requirements::new(Callers::ViewersOfUser, LimitClass::Read, AuditRule::Read("profile.summary.read")),
            |admission| admission.to(summary::get),
        ),
        summary: Some("a profile in two or three plain sentences, in English or Hindi"),
    },
    Route {
        path: "/api/v2/profiles/batch-get",
        name: "batch_get",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(Callers::All, LimitClass::Read, AuditRule::ReadEach("profile.read")),
            |admission| admission.to(batch_get::post),
        ),
        summary: Some("up to 1,000 profiles, as NDJSON"),
    },
];
