//! The rows of the route table.

use std::rc::Rc;

use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use actix_web::web::Data;
use bytes::Bytes;

use super::operation::Operation;
use super::request::access_control::AccessControl;
use super::request::admission::Admission;
use super::request::limits::LimitClass;
use super::request::requirements::Requirements;
use super::request_id::RequestIds;

/// The methods of a resource that can only be read.
pub(super) const READ: &[Method] = &[Method::GET, Method::HEAD];

/// The label `route` of health checks.
pub(super) const HEALTH: &str = "health";

/// One address of the server, with methods that share a handler. An address whose methods have different handlers has
/// several rows. Routes, the header `Allow`, metrics, admission and the page `/` are made from them.
pub(super) struct Route {
    /// The path, with placeholders such as `{user_id}`.
    pub(super) path: &'static str,
    /// The label `route` of metrics. Several addresses may share it.
    pub(super) name: &'static str,
    /// The methods of the row. `OPTIONS` belongs to every address.
    pub(super) methods: &'static [Method],
    /// Who may call, and the handler of all its methods.
    pub(super) access: Access,
    /// What the address gives, in one line: for the page `/` and the description of the API.
    pub(super) summary: &'static str,
    /// What else the description of the API says of the row.
    pub(super) operation: Operation,
}

/// Who may call an address.
pub(super) enum Access {
    /// Everyone. The handler learns nothing about the caller. Calls count as anonymous ones.
    Open(fn() -> actix_web::Route),
    /// Everyone, as with [`Self::Open`]. Calls count for the class, by the address of the client.
    OpenCounted(LimitClass, fn() -> actix_web::Route),
    /// Callers who meet the requirements. The handler gets the context of each admitted request.
    Callers(Requirements, fn(Admission) -> actix_web::Route),
}

impl Route {
    /// Returns the actix route of the row's handler.
    pub(super) fn handler(&'static self, control: &Data<AccessControl>, ids: &Rc<RequestIds>) -> actix_web::Route {
        match &self.access {
            Access::Open(handler) | Access::OpenCounted(_, handler) => handler(),
            Access::Callers(requirements, handler) => {
                handler(Admission::new(control.clone(), Rc::clone(ids), requirements))
            }
        }
    }

    /// Returns the names of the methods, separated by commas.
    pub(super) fn method_list(&self) -> String {
        joined(self.methods.iter())
    }
}

/// Returns the value of `Allow` for `methods` and `OPTIONS`.
pub(super) fn allow<'a>(methods: impl Iterator<Item = &'a Method>) -> HeaderValue {
    let text = joined(methods.chain([&Method::OPTIONS]));
    // Names of methods are valid in headers.
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

fn joined<'a>(methods: impl Iterator<Item = &'a Method>) -> String {
    methods.map(Method::as_str).collect::<Vec<_>>().join(", ")
}
