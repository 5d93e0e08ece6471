//! The addresses of reads through the history of a profile.

use crate::http::history;
use crate::http::request::limits::LimitClass;
use crate::http::request::parameter::{AS_OF, INCLUDE, REVISION};
use crate::http::request::requirements::{AuditRule, Callers, QueryRequirements, Requirements};
use crate::http::route::{Access, READ, Route};

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
        summary: Some("the revisions of a profile, newest first: when and why each was made, and what it changed"),
    },
    Route {
        path: "/api/v2/profile/{user_id}/delta",
        name: "profile_delta",
        methods: READ,
        access: Access::Callers(reading(LimitClass::Sensitive, "profile.delta.read"), |admission| {
            admission.to(history::delta)
        }),
        summary: Some("what changed in a profile from a revision or snapshot to now, as JSON Patch"),
    },
    Route {
        path: "/api/v2/profile/{user_id}/diff",
        name: "profile_diff",
        methods: READ,
        access: Access::Callers(reading(LimitClass::Diff, "profile.diff.read"), |admission| {
            admission.to(history::diff)
        }),
        summary: Some("the difference between two revisions or snapshots of a profile, as JSON Patch"),
    },
];
