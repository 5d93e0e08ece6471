//! The addresses of the quarantine, on the admin listener.

use actix_web::http::Method;

use crate::http::operation::{Answer, BodyDescription, Content, Operation, Tag};
use crate::http::problem::Code;
use crate::http::quarantine;
use crate::http::request::caller::{Role, Scope};
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{ACCEPT_LOSS, CONFIRM, CURSOR, DRY_RUN, LIMIT, QUARANTINED_USER};
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};
use store::backup::MAX_USER_BYTES;

/// Returns what an operation of the quarantine requires.
const fn operating(limit: LimitClass, audit: AuditRule) -> Requirements {
    Requirements::new(Callers::WithScope(&[Role::Admin], Scope::Operate), limit, audit).with_reason()
}

/// The addresses of the quarantine.
pub(super) static QUARANTINE: [Route; 5] =
    [
        Route {
            path: "/admin/quarantine",
            name: "quarantine",
            methods: READ,
            access: Access::Callers(
                operating(LimitClass::Sensitive, AuditRule::Listing("quarantine.list")),
                |admission| admission.to(quarantine::list),
            ),
            summary: "the users whose frames could not be folded, by keyed hash",
            operation: Operation::new(Tag::Quarantine, &[Answer::new(200, &[Content::json("QuarantinePage")])])
                .query(&[&LIMIT, &CURSOR, &QUARANTINED_USER]),
        },
        Route {
            path: "/admin/quarantine/{key}",
            name: "quarantined_user",
            methods: READ,
            access: Access::Callers(
                operating(LimitClass::Sensitive, AuditRule::Listing("quarantine.inspect")),
                |admission| admission.to(quarantine::inspect),
            ),
            summary: "the frames of a user in quarantine: whether they open, and whether they fold",
            operation: Operation::new(Tag::Quarantine, &[Answer::new(200, &[Content::json("QuarantinedFrames")])])
                .problems(&[Code::UnknownResource]),
        },
        Route {
            path: "/admin/quarantine/{key}",
            name: "quarantined_user",
            methods: &[Method::DELETE],
            access: Access::Callers(
                operating(LimitClass::Write, AuditRule::Write("quarantine.drop")).with_reason_and_second_factor(),
                |admission| admission.to(quarantine::drop_frames),
            ),
            summary: "drops the frames of a user, who goes on with the state of the last checkpoint",
            operation: Operation::new(Tag::Quarantine, &[Answer::new(200, &[Content::json("ReleasedUser")])])
                .query(&[&CONFIRM])
                .problems(&[Code::UnknownResource, Code::StillDamaged, Code::Erased]),
        },
        Route {
            path: "/admin/quarantine/{key}/retry",
            name: "quarantine_retry",
            methods: &[Method::POST],
            access: Access::Callers(operating(LimitClass::Write, AuditRule::Write("quarantine.retry")), |admission| {
                admission.to(quarantine::retry)
            }),
            summary: "folds the frames of a user again",
            operation: Operation::new(Tag::Quarantine, &[Answer::new(200, &[Content::json("ReleasedUser")])])
                .problems(&[Code::UnknownResource, Code::StillDamaged, Code::Erased]),
        },
        Route {
            path: "/admin/quarantine/{key}/restore",
            name: "quarantine_restore",
            methods: &[Method::POST],
            access: Access::Callers(
                operating(LimitClass::Write, AuditRule::Write("quarantine.restore")).with_reason_and_second_factor(),
                |admission| admission.to(quarantine::restore),
            ),
            summary: "puts what a backup has of a user in place of what the store has",
            operation: Operation::new(Tag::Quarantine, &[Answer::new(200, &[Content::json("RestoredUser")])])
                .query(&[&DRY_RUN, &ACCEPT_LOSS])
                .body(BodyDescription::new(&[Content::new("application/octet-stream", "Bytes")], MAX_USER_BYTES))
                .problems(&[Code::UnknownResource, Code::StillDamaged, Code::Erased]),
        },
    ];
