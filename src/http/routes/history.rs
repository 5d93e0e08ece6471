//! The addresses of reads through the history of a profile.

use crate::http::history;
use crate::http::operation::{Answer, Content, Operation, Tag};
use crate::http::problem::Code;
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{
    AS_OF, CURSOR, FROM_POINT, INCLUDE, LIMIT, REVISION, SCHEMA_VERSION, SINCE, TO_POINT,
};
use crate::http::request::requirements::{AuditRule, Callers, QueryRequirements, Requirements};
use crate::http::route::{Access, READ, Route};

/// A difference, in its two forms.
const DIFFERENCE: Answer =
    Answer::new(200, &[Content::json("Difference"), Content::new("application/json-patch+json", "JsonPatch")])
        .headers(&["Deprecation", "Sunset"]);

/// Returns what a read through history requires.
const fn reading(limit: LimitClass, action: &'static str) -> Requirements {
    Requirements::new(Callers::ViewersOfUser, limit, AuditRule::History(action))
}

/// What a read of an earlier revision requires.
static PAST: Requirements = reading(LimitClass::Sensitive, "profile.past.read");

/// What a read of the sources of values requires.
static WITH_PROVENANCE: Requirements =
    Requirements::new(Callers::ViewersOfUser, LimitClass::Sensitive, AuditRule::Read("profile.read"));

/// The parameters that make the read of a profile a sensitive one.
pub(super) static SENSITIVE_VIEWS: [QueryRequirements; 3] = [
    QueryRequirements { parameter: &REVISION, requirements: &PAST },
    QueryRequirements { parameter: &AS_OF, requirements: &PAST },
    QueryRequirements { parameter: &INCLUDE, requirements: &WITH_PROVENANCE },
];

/// What a stream of changes with the sources of values requires.
static STREAM_WITH_PROVENANCE: Requirements =
    Requirements::new(Callers::ViewersOfUser, LimitClass::Sensitive, AuditRule::Subscribe("profile.subscribe"));

/// The parameters that make the stream of a profile's changes a sensitive read.
pub(super) static SENSITIVE_STREAMS: [QueryRequirements; 1] =
    [QueryRequirements { parameter: &INCLUDE, requirements: &STREAM_WITH_PROVENANCE }];

/// The addresses of reads through history, on the public listener.
pub(super) static HISTORY: [Route; 3] = [
    Route {
        path: "/api/v2/profile/{user_id}/history",
        name: "profile_history",
        methods: READ,
        access: Access::Callers(reading(LimitClass::Sensitive, "profile.history.read"), |admission| {
            admission.to(history::revisions)
        }),
        summary: "the revisions of a profile, newest first: when and why each was made, and what it changed",
        operation: Operation::new(Tag::History, &[Answer::new(200, &[Content::json("RevisionPage")])])
            .query(&[&LIMIT, &CURSOR]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/delta",
        name: "profile_delta",
        methods: READ,
        access: Access::Callers(reading(LimitClass::Sensitive, "profile.delta.read"), |admission| {
            admission.to(history::delta)
        }),
        summary: "what changed in a profile from a revision or snapshot to now, as JSON Patch",
        operation: Operation::new(Tag::History, &[DIFFERENCE]).query(&[&SINCE, &SCHEMA_VERSION]).problems(&[
            Code::NotAcceptable,
            Code::UnknownRevision,
            Code::UnknownSnapshot,
            Code::HistoryGone,
        ]),
    },
    Route {
        path: "/api/v2/profile/{user_id}/diff",
        name: "profile_diff",
        methods: READ,
        access: Access::Callers(reading(LimitClass::Diff, "profile.diff.read"), |admission| {
            admission.to(history::diff)
        }),
        summary: "the difference between two revisions or snapshots of a profile, as JSON Patch",
        operation: Operation::new(Tag::History, &[DIFFERENCE])
            .query(&[&FROM_POINT, &TO_POINT, &SCHEMA_VERSION])
            .problems(&[Code::NotAcceptable, Code::UnknownRevision, Code::UnknownSnapshot, Code::HistoryGone]),
    },
];
