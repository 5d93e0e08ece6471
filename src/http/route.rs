//! What a row of the route table holds.

use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use bytes::Bytes;

/// The methods of an address that is read.
pub(super) const READ: &[Method] = &[Method::GET, Method::HEAD];

/// One address of the server: routes, the header `Allow`, metrics and the list of addresses are made from it.
pub(super) struct Route {
    /// The path, with placeholders such as `{user_id}`.
    pub(super) path: &'static str,
    /// The label `route` in metrics; several addresses may share it.
    pub(super) name: &'static str,
    /// The methods that the address accepts, beside `OPTIONS`.
    pub(super) methods: &'static [Method],
    /// Returns the handler of these methods.
    pub(super) handler: fn() -> actix_web::Route,
    /// What the page `/` says about the address; `None` leaves it out.
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
