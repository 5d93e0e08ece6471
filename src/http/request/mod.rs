//! What handlers share: they learn here who calls, what the caller may see and which representation it wants, and they
//! read the body.
//!
//! All handlers build on these modules, and no module here depends on a handler.

pub(crate) mod access;
pub(crate) mod access_control;
pub(crate) mod admission;
pub(crate) mod audit;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod conditional;
pub(crate) mod connection_context;
pub(crate) mod content_coding;
pub(crate) mod context;
pub(crate) mod credentials;
pub(crate) mod event_stream;
pub(crate) mod expiry;
pub(crate) mod headers;
pub(crate) mod in_flight;
pub(crate) mod include;
pub(crate) mod justification;
pub(crate) mod limits;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod parameter;
pub(crate) mod query;
pub(crate) mod requirements;
pub(crate) mod schema_version;
pub(crate) mod tickets;
pub(crate) mod write_timeout;
