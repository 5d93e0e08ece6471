//! The rows of the route table.

use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use bytes::Bytes;

/// The methods of a resource that can only be read.
pub(super) const READ: &[Method] = &[Method::GET, Method::HEAD];

/// One address of the server. Routes, the header `Allow`, metrics and the page `/` are made from it.
pub(super) struct Route {
    /// The path, with placeholders such as `{user_id}`.
    pub(super) path: &'static str,
    /// The label `route` of metrics. Several addresses may share it.
    pub(super) name: &'static str,
    /// The methods that the address accepts, besides `OPTIONS`.
    pub(super) methods: &'static [Method],
    /// Returns the handler of all its methods.
    pub(super) handler: fn() -> actix_web::Route,
    /// What the page `/` says about the address; `None` if it does not list the address.
    pub(super) summary: Option<&'static str>,
}

impl Route {
    /// Returns the value of `Allow`: the methods of the address and `OPTIONS`.
    pub(super) fn allow(&self) -> HeaderValue {
        allow(self.methods.iter())
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
