//! What `/api/v2/openapi.json` says of both listeners, for tests that compare it with real answers.

use std::net::SocketAddr;

use serde_json::Value;

use crate::http::{Request, Response};
use crate::test_server::TestServer;

/// Headers that every answer may have, or that say how an answer is sent; the description does not repeat them.
const GENERAL: &[&str] = &[
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "referrer-policy",
    "sec-websocket-version",
    "transfer-encoding",
    "vary",
    "x-accel-buffering",
    "x-content-type-options",
];

/// The documents of both listeners.
pub(crate) struct Description {
    public: Value,
    admin: Value,
}

impl Description {
    pub(crate) fn read(server: &TestServer) -> Self {
        let read = |address: SocketAddr| Request::new("GET", "/api/v2/openapi.json").send(address).json();
        Self { public: read(server.listen), admin: read(server.admin_listen) }
    }

    /// Returns the document of a listener.
    pub(crate) fn of(&self, is_admin: bool) -> &Value {
        if is_admin { &self.admin } else { &self.public }
    }

    /// Returns an operation.
    #[track_caller]
    pub(crate) fn operation(&self, is_admin: bool, method: &str, path: &str) -> &Value {
        let operation = &self.of(is_admin)["paths"][path][method.to_ascii_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        operation
    }

    /// Checks that an answer is described: its status, its media type, the kind of its problem, and its headers.
    #[track_caller]
    pub(crate) fn check(&self, is_admin: bool, method: &str, path: &str, answer: &Response) {
        let case = format!("{method} {path}: {answer:?}");
        let responses = &self.operation(is_admin, method, path)["responses"];
        let described = self.resolve(is_admin, &responses[answer.status.to_string()]);
        assert!(described.is_object(), "the status is not described: {case}");
        if let Some(given) = answer.headers.get("content-type") {
            let described = &described["content"][media_type(given)];
            assert!(described.is_object(), "the media type is not described: {case}");
            if media_type(given) == "application/problem+json" && !answer.body.is_empty() {
                let kinds = &described["schema"]["allOf"][1]["properties"]["type"]["enum"];
                let kind = &answer.json()["type"];
                assert!(kinds.as_array().unwrap().contains(kind), "the problem is not described: {case}");
            }
        } else {
            assert!(answer.body.is_empty() && described["content"].is_null(), "a media type is missing: {case}");
        }
        let headers = described["headers"].as_object().unwrap();
        for name in answer.headers.keys().filter(|name| !GENERAL.contains(&name.as_str())) {
            let is_described = headers.keys().any(|described| described.eq_ignore_ascii_case(name));
            assert!(is_described, "the header `{name}` is not described: {case}");
        }
    }

    fn resolve<'a>(&'a self, is_admin: bool, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(target) => self.of(is_admin).pointer(target.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }
}

/// Returns a media type without `charset`, which the description leaves out, and without spaces.
fn media_type(header: &str) -> String {
    let parts = header.split(';').map(str::trim).filter(|part| !part.starts_with("charset="));
    parts.collect::<Vec<_>>().join(";")
}
