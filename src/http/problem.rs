//! Errors of the API, all written as `application/problem+json` (RFC 9457).
//!
//! A handler returns a [`Problem`]; the request layer adds `instance` and `request_id`. A problem contains neither
//! internal messages nor values that were sent.

mod code;

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use domain::pipeline::validate::Rejection;
use domain::port::audit::AuditDecision;
use domain::port::dead_letters::LetterDropped;
use serde::Serialize;

use crate::json_text;
pub(crate) use code::Code;

/// The member `error` of every 429, which the contract of the API requires.
const RATE_LIMIT_EXCEEDED: &str = "rate_limit_exceeded";

/// A fault in the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// Where the fault is, as a JSON Pointer.
    pub(crate) pointer: String,
    /// What is wrong there, without the value.
    pub(crate) detail: Cow<'static, str>,
}

/// An error that answers a request.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<ProblemParts>);

#[derive(Debug, Clone)]
struct ProblemParts {
    name: &'static str,
    title: &'static str,
    status: StatusCode,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    served: &'static [&'static str],
    oldest: Option<String>,
    retained_from: Option<String>,
    dropped_letter: Option<LetterDropped>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The JSON of a problem. Members that do not apply are absent.
#[derive(Serialize)]
pub(crate) struct ProblemBody<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    served: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retained_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    /// Present if the rejected event was not kept as a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_reason: Option<&'static str>,
}

impl Problem {
    /// Returns a problem of this kind, with a detail that says how to fix it.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let headers = match code {
            Code::Unauthenticated | Code::InvalidTicket => challenge("Bearer"),
            Code::InvalidToken => challenge("Bearer error=\"invalid_token\""),
            // RFC 9470, section 3.
            Code::SecondFactorNeeded => challenge("Bearer error=\"insufficient_user_authentication\", max_age=300"),
            Code::InvalidRequest => challenge("Bearer error=\"invalid_request\""),
            // Required in the answer to any faulty handshake (RFC 6455, section 4.4).
            Code::UpgradeRequired => vec![
                // actix adds `Connection: upgrade`.
                (header::UPGRADE, HeaderValue::from_static("websocket")),
                (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
            ],
            _ => Vec::new(),
        };
        let (name, title, status) = (code.name(), code.title(), code.status());
        let (detail, errors) = (detail.into(), Vec::new());
        let (served, oldest, retained_from, dropped_letter) = (&[], None, None, None);
        Self(Box::new(ProblemParts {
            name,
            title,
            status,
            detail,
            errors,
            served,
            oldest,
            retained_from,
            dropped_letter,
            headers,
        }))
    }

    /// Returns a problem whose name, title and status the domain defines.
    pub(crate) fn for_event(name: &'static str, title: &'static str, status: u16, detail: String) -> Self {
        let mut problem = Self::new(Code::Invalid, detail);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        (problem.0.name, problem.0.title, problem.0.status) = (name, title, status);
        problem
    }

    /// Returns the problem of a rejected event, with the faults that were found.
    pub(crate) fn rejected(rejection: &Rejection) -> Self {
        let problem = rejection.problem();
        let mut detail = rejection.detail().to_owned();
        if rejection.has_more_faults() {
            detail.push_str("; there are more faults than `errors` lists");
        }
        let faults = rejection.faults().iter();
        faults.fold(Self::for_event(problem.name(), problem.title(), problem.status(), detail), |problem, fault| {
            problem.at(fault.pointer.clone().unwrap_or_default(), fault.detail.clone())
        })
    }

    /// Returns the problem of a profile that does not exist or is not visible to the caller, which must look the same.
    pub(crate) fn unknown_user() -> Self {
        Self::new(Code::UnknownUser, "no profile with this id is visible to this caller")
    }

    /// Returns the problem of a caller who has the maximum number of sockets and streams.
    pub(crate) fn too_many_sockets() -> Self {
        Self::new(Code::TooManySockets, "`live.max_sockets_per_caller` sockets and streams are open: close one first")
    }

    /// Returns the name of the problem, which is the last segment of its `type`.
    pub(crate) fn name(&self) -> &'static str {
        self.0.name
    }

    /// Returns the seconds after which the caller may try again; `None` if the problem does not say.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        let after = self.0.headers.iter().find(|(name, _)| name == header::RETRY_AFTER);
        after.and_then(|(_, value)| value.to_str().ok()?.parse().ok())
    }

    /// Returns what was decided about a call that is answered with the problem.
    pub(crate) fn decision(&self) -> AuditDecision {
        if self.0.status.is_client_error() { AuditDecision::Denied } else { AuditDecision::Failed }
    }

    /// Whether this is a problem of the kind `code`.
    pub(crate) fn is(&self, code: Code) -> bool {
        self.0.name == code.name()
    }

    /// Returns the problem of a method that the address does not accept; `allow` lists the accepted ones.
    pub(crate) fn method_not_allowed(allow: HeaderValue) -> Self {
        let mut problem = Self::new(Code::MethodNotAllowed, "the header `Allow` lists the methods of this address");
        problem.0.headers.push((header::ALLOW, allow));
        problem
    }

    /// Returns the problem of a body with a content coding (RFC 9110, section 8.4).
    pub(crate) fn unsupported_encoding() -> Self {
        let mut problem = Self::new(Code::UnsupportedMediaType, "send the body without a `Content-Encoding`");
        problem.0.headers.push((header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
        problem
    }

    /// Returns the problem of a caller who accepts none of the representations `served`.
    pub(crate) fn not_acceptable(detail: &'static str, served: &'static [&'static str]) -> Self {
        let mut problem = Self::new(Code::NotAcceptable, detail);
        problem.0.served = served;
        problem
    }

    /// Returns the problem of an erased citizen.
    pub(crate) fn erased() -> Self {
        Self::new(Code::Erased, "the citizen's data was erased; a registration may begin a new profile")
    }

    /// Returns the problem of a cursor that cannot be continued; `oldest` is the oldest that can.
    pub(crate) fn cursor_gone(why: &'static str, oldest: String) -> Self {
        let mut problem = Self::new(Code::CursorGone, format!("{why}; `oldest` is the oldest cursor that works"));
        problem.0.oldest = Some(oldest);
        problem
    }

    /// Returns the problem of a point before the history that is kept, which goes back to the instant `retained_from`.
    pub(crate) fn history_gone(retained_from: String) -> Self {
        let detail = "history does not reach back to this point; `retained_from` says how far it does";
        let mut problem = Self::new(Code::HistoryGone, detail);
        problem.0.retained_from = Some(retained_from);
        problem
    }

    /// Adds a header to the answer.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Adds a fault at a place in the body.
    pub(crate) fn at(mut self, pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Adds why the rejected event was not kept as a dead letter; `None` if it was kept.
    pub(crate) fn with_dropped_letter(mut self, dropped: Option<LetterDropped>) -> Self {
        self.0.dropped_letter = dropped;
        self
    }

    /// Returns the JSON of the problem. `instance` and `request_id` are absent from problems of a part of a request.
    pub(crate) fn body<'a>(&'a self, instance: Option<&'a str>, request_id: Option<&'a str>) -> ProblemBody<'a> {
        let is_limit = self.0.status == StatusCode::TOO_MANY_REQUESTS;
        ProblemBody {
            r#type: format!("/problems/{}", self.0.name),
            title: self.0.title,
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            instance,
            request_id,
            errors: &self.0.errors,
            served: self.0.served,
            oldest: self.0.oldest.as_deref(),
            retained_from: self.0.retained_from.as_deref(),
            error: is_limit.then_some(RATE_LIMIT_EXCEEDED),
            message: is_limit.then_some(&*self.0.detail),
            dead_letter: self.0.dropped_letter.map(|_| "dropped"),
            dead_letter_reason: self.0.dropped_letter.map(LetterDropped::name),
        }
    }

    /// Returns the status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns the whole answer.
    pub(crate) fn answer(&self, instance: Option<&str>, request_id: Option<&str>) -> HttpResponse {
        let mut answer = HttpResponse::build(self.0.status);
        answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json")));
        answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
        for (name, value) in &self.0.headers {
            answer.insert_header((name.clone(), value.clone()));
        }
        answer.body(json_text::to_bytes(&self.body(instance, request_id)))
    }
}

/// Returns the header that tells the caller how to authenticate (RFC 6750, section 3).
fn challenge(text: &'static str) -> Vec<(HeaderName, HeaderValue)> {
    vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static(text))]
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.name, self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        self.answer(None, None)
    }
}
