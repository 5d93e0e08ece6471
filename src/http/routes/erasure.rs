//! The addresses of erasure.

use actix_web::http::Method;
use domain::erasure_receipt::ERASE_ACTION;

use crate::erasure::{SCHEDULE_ACTION, UNDO_ACTION};
use crate::http::erasure;
use crate::http::operation::{Answer, Content, Operation, Tag};
use crate::http::problem::Code;
use crate::http::request::caller::Role;
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::RETAIN_DAYS;
use crate::http::request::requirements::{AuditRule, Callers, QueryRequirements, Requirements};
use crate::http::route::{Access, Route};

/// Returns what erasing, and undoing it, requires.
const fn erasing(action: &'static str) -> Requirements {
    let callers = Callers::ViewersInRole(&[Role::SelfCitizen, Role::Admin]);
    Requirements::new(callers, LimitClass::Write, AuditRule::Write(action))
        .with_reason_and_second_factor()
        .also_of_blocked_users()
}

static SCHEDULING: Requirements = erasing(SCHEDULE_ACTION);
static SCHEDULED: [QueryRequirements; 1] = [QueryRequirements { parameter: &RETAIN_DAYS, requirements: &SCHEDULING }];

/// The addresses of erasure, on the public listener.
pub(super) static ERASURE: [Route; 2] = [
    Route {
        path: "/api/v2/profile/{user_id}",
        name: "profile",
        methods: &[Method::DELETE],
        access: Access::Callers(erasing(ERASE_ACTION).by_query(&SCHEDULED), |admission| admission.to(erasure::erase)),
        summary: "erases a citizen, at once or after some days, and gives a receipt",
        operation: Operation::new(
            Tag::Rights,
            &[
                Answer::new(200, &[Content::json("ErasureReceipt")]),
                Answer::new(202, &[Content::json("ScheduledErasure")]),
            ],
        )
        .query(&[&RETAIN_DAYS]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/erasure",
        name: "erasure",
        methods: &[Method::DELETE],
        access: Access::Callers(erasing(UNDO_ACTION), |admission| admission.to(erasure::undo)),
        summary: "undoes an erasure that is scheduled",
        operation: Operation::new(Tag::Rights, &[Answer::new(204, &[])]).problems(&[Code::UnknownResource]),
    },
];
