//! The addresses of snapshots.

use actix_web::http::Method;

use crate::http::operation::{Answer, BodyDescription, Content, Operation, Tag};
use crate::http::problem::Code;
use crate::http::request::caller::Role;
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{CURSOR, LIMIT};
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};
use crate::http::snapshots;

/// The addresses of snapshots, on the public listener.
pub(super) static SNAPSHOTS: [Route; 4] = [
    Route {
        path: "/api/v2/profile/{user_id}/snapshots",
        name: "snapshots",
        methods: READ,
        access: Access::Callers(
            Requirements::new(
                Callers::ViewersOfUser,
                LimitClass::Sensitive,
                AuditRule::History("profile.snapshots.list"),
            ),
            |admission| admission.to(snapshots::list),
        ),
        summary: "the snapshots of a profile, the newest first",
        operation: Operation::new(Tag::History, &[Answer::new(200, &[Content::json("SnapshotPage")])])
            .query(&[&LIMIT, &CURSOR]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/snapshots",
        name: "snapshots",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::ViewersInRole(&[Role::SelfCitizen, Role::Admin]),
                LimitClass::Snapshots,
                AuditRule::Write("profile.snapshot.take"),
            )
            .with_reason(),
            |admission| admission.to(snapshots::take),
        ),
        summary: "takes a snapshot of a profile",
        operation: Operation::new(
            Tag::History,
            &[Answer::new(201, &[Content::json("Snapshot")]).headers(&["Location"])],
        )
        .body(BodyDescription::new(&[Content::json("SnapshotRequest")], snapshots::MAX_BODY).optional())
        .problems(&[Code::Invalid, Code::TooManySnapshots]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/snapshots/{id}",
        name: "snapshot",
        methods: READ,
        access: Access::Callers(
            Requirements::new(
                Callers::ViewersOfUser,
                LimitClass::Sensitive,
                AuditRule::History("profile.snapshot.read"),
            ),
            |admission| admission.to(snapshots::get),
        ),
        summary: "a snapshot, and the profile as it was then",
        operation: Operation::new(Tag::History, &[Answer::new(200, &[Content::json("SnapshotWithProfile")])])
            .problems(&[Code::UnknownSnapshot]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/snapshots/{id}",
        name: "snapshot",
        methods: &[Method::DELETE],
        access: Access::Callers(
            Requirements::new(
                Callers::ViewersInRole(&[Role::Admin]),
                LimitClass::Write,
                AuditRule::Write("profile.snapshot.remove"),
            )
            .with_reason(),
            |admission| admission.to(snapshots::remove),
        ),
        summary: "removes a snapshot",
        operation: Operation::new(Tag::History, &[Answer::new(204, &[])]).problems(&[Code::UnknownSnapshot]),
    },
];
