//! The addresses of dead letters.

use actix_web::http::Method;

use crate::http::feed::rejected;
use crate::http::operation::{Answer, Content, Operation, Tag};
use crate::http::problem::Code;
use crate::http::request::caller::Scope;
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{CURSOR, LIMIT};
use crate::http::request::requirements::{AuditRule, Callers, Requirements};
use crate::http::route::{Access, READ, Route};

/// The addresses of dead letters, on the public listener.
pub(super) static REJECTED: [Route; 2] = [
    Route {
        path: "/api/v2/feeds/{source}/rejected",
        name: "rejected",
        methods: READ,
        access: Access::Callers(
            Requirements::new(
                Callers::FeedOfPathOrAdmins(Scope::Operate),
                LimitClass::Sensitive,
                AuditRule::Listing("feed.rejected.list"),
            ),
            |admission| admission.to(rejected::get),
        ),
        summary: "the rejected events of a source, the newest first, without the events themselves",
        operation: Operation::new(Tag::Feeds, &[Answer::new(200, &[Content::json("RejectedPage")])])
            .query(&[&LIMIT, &CURSOR]),
    },
    Route {
        path: "/api/v2/feeds/{source}/rejected/{id}/retry",
        name: "rejected_retry",
        methods: &[Method::POST],
        access: Access::Callers(
            Requirements::new(
                Callers::FeedOfPathOrAdmins(Scope::Operate),
                LimitClass::Feed,
                AuditRule::Write("feed.rejected.retry"),
            )
            .with_reason(),
            |admission| admission.to(rejected::post),
        ),
        summary: "takes a rejected event again",
        operation: Operation::new(Tag::Feeds, &[Answer::new(200, &[Content::json("FeedAnswer")])])
            .headers(&["Prefer"])
            .problems(&[Code::NotRetryable, Code::Erased])
            .event_problems(),
    },
];
