//! The addresses of the quarantine, on the admin listener.

use actix_web::http::Method;

use crate::http::quarantine;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};

/// Returns what an operation of the quarantine requires.
const fn operating(limit: LimitClass, audit: AuditRule) -> Requirements {
    Requirements::new(Callers::WithScope(&[Role::Admin], Scope::Operate), limit, audit).with_reason()
}

/// The addresses of the quarantine.
pub(super) static QUARANTINE: [Route; 5] = [
    Route {
        path: "/admin/quarantine",
        name: "quarantine",
        methods: READ,
        access: Access::Callers(operating(LimitClass::Sensitive, AuditRule::Listing("quarantine.list")), |admission| {
            admission.to(quarantine::list)
        }),
        summary: Some("the users whose frames could not be folded, by keyed hash"),
    },
    Route {
        path: "/admin/quarantine/{key}",
        name: "quarantined_user",
        methods: READ,
        access: Access::Callers(
            operating(LimitClass::Sensitive, AuditRule::Listing("quarantine.inspect")),
            |admission| admission.to(quarantine::inspect),
        ),
        summary: Some("the frames of a user in quarantine: whether they open, and whether they fold"),
    },
    Route {
        path: "/admin/quarantine/{key}",
        name: "quarantined_user",
        methods: &[Method::DELETE],
        access: Access::Callers(
            operating(LimitClass::Write, AuditRule::Write("quarantine.drop")).with_reason_and_second_factor(),
            |admission| admission.to(quarantine::drop_frames),
        ),
        summary: Some("drops the frames of a user, who goes on with the state of the last checkpoint"),
    },
    Route {
        path: "/admin/quarantine/{key}/retry",
        name: "quarantine_retry",
        methods: &[Method::POST],
        access: Access::Callers(operating(LimitClass::Write, AuditRule::Write("quarantine.retry")), |admission| {
            admission.to(quarantine::retry)
        }),
        summary: Some("folds the frames of a user again"),
    },
    Route {
        path: "/admin/quarantine/{key}/restore",
        name: "quarantine_restore",
        methods: &[Method::POST],
        access: Access::Callers(
            operating(LimitClass::Write, AuditRule::Write("quarantine.restore")).with_reason_and_second_factor(),
            |admission| admission.to(quarantine::restore),
        ),
        summary: Some("puts what a backup has of a user in place of what the store has"),
    },
];
