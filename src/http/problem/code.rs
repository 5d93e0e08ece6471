//! The kinds of problems, except those of events, which the domain defines.

use actix_web::http::StatusCode;

macro_rules! codes {
    ($($variant:ident = $status:ident, $name:literal, $title:literal;)*) => {
        /// The kind of a problem, which is the last segment of its `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $($variant),* }

        impl Code {
            /// All kinds.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the last segment of `type`, in kebab case.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns the title, a short sentence that is the same for all problems of this kind.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// Returns the status of the answer.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }
        }
    };
}

// `docs/problems.md` has a section for each kind.
codes! {
    MalformedBody = BAD_REQUEST, "malformed-body", "The body is malformed";
    InvalidParameter = BAD_REQUEST, "invalid-parameter", "A parameter is not valid";
    InvalidRequest = BAD_REQUEST, "invalid-request", "The request contradicts itself";
    AccessReasonMissing = BAD_REQUEST, "access-reason-missing", "The reason for this access is missing";
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "A token is needed";
    InvalidToken = UNAUTHORIZED, "invalid-token", "The token is not accepted";
    SecondFactorNeeded = UNAUTHORIZED, "second-factor-needed", "A fresh second factor is needed";
    InvalidTicket = UNAUTHORIZED, "invalid-ticket", "The ticket is not accepted";
    MissingScope = FORBIDDEN, "missing-scope", "The token lacks a scope";
    Forbidden = FORBIDDEN, "forbidden", "This caller may not do this";
    UnknownUser = NOT_FOUND, "unknown-user", "There is no such profile";
    UnknownRevision = NOT_FOUND, "unknown-revision", "There is no such revision";
    UnknownSnapshot = NOT_FOUND, "unknown-snapshot", "There is no such snapshot";
    UnknownResource = NOT_FOUND, "unknown-resource", "There is nothing at this address";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "This address does not accept this method";
    NotAcceptable = NOT_ACCEPTABLE, "not-acceptable", "Nothing acceptable is served";
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The request came too slowly";
    PreconditionFailed = PRECONDITION_FAILED, "precondition-failed", "The condition of the request does not hold";
    TooLarge = PAYLOAD_TOO_LARGE, "too-large", "The body is too large";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "This content type is not accepted";
    Invalid = UNPROCESSABLE_ENTITY, "invalid", "The content is not valid";
    UpgradeRequired = UPGRADE_REQUIRED, "upgrade-required", "A WebSocket is needed here";
    RateLimitExceeded = TOO_MANY_REQUESTS, "rate-limit-exceeded", "A rate limit was reached";
    TooManySockets = TOO_MANY_REQUESTS, "too-many-sockets", "Too many sockets are open";
    TooManyTickets = TOO_MANY_REQUESTS, "too-many-tickets", "Too many tickets are outstanding";
    TooManyFollowers = TOO_MANY_REQUESTS, "too-many-followers", "Too many streams are open";
    PrivacyBudgetSpent = TOO_MANY_REQUESTS, "privacy-budget-spent", "The privacy budget is spent";
    TooManySnapshots = CONFLICT, "too-many-snapshots", "There are too many snapshots";
    NotRetryable = CONFLICT, "not-retryable", "The event cannot be taken again";
    StillDamaged = CONFLICT, "still-damaged", "The user cannot leave the quarantine in this way";
    NotReady = CONFLICT, "not-ready", "The job has no file";
    RangeNotSatisfiable = RANGE_NOT_SATISFIABLE, "range-not-satisfiable", "The range is outside of the file";
    Erased = GONE, "erased", "The citizen was erased";
    ExportGone = GONE, "export-gone", "The file of the export is gone";
    ErasurePending = GONE, "erasure-pending", "The profile is to be erased";
    HistoryGone = GONE, "history-gone", "History does not reach back so far";
    CursorGone = GONE, "cursor-gone", "The cursor cannot be continued";
    Internal = INTERNAL_SERVER_ERROR, "internal", "The server failed";
    Busy = SERVICE_UNAVAILABLE, "busy", "The server is busy";
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "The server cannot do this now";
    Timeout = GATEWAY_TIMEOUT, "timeout", "The request took too long";
    MalformedRequest = BAD_REQUEST, "malformed-request", "The request is malformed";
    UriTooLong = URI_TOO_LONG, "uri-too-long", "The address is too long";
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "The headers of the request are too large";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_problem_has_a_name_of_its_own() {
        let events = domain::event::EventProblem::ALL.iter().map(|problem| problem.name());
        let names: Vec<_> = Code::ALL.iter().map(|code| code.name()).chain(events).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}
