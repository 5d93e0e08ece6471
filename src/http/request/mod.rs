//! What handlers ask of a request: who calls, what they may see, which representation they want, and the body.
//!
//! Every handler builds on these modules, and none of them knows a handler.

pub(crate) mod access;
pub(crate) mod access_reason;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod conditional;
pub(crate) mod event_stream;
pub(crate) mod expiry;
pub(crate) mod headers;
pub(crate) mod in_flight;
pub(crate) mod origin;
pub(crate) mod query;
pub(crate) mod schema_version;
pub(crate) mod write_timeout;
