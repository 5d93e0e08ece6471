//! The transport below HTTP: accepted TCP connections, their time-outs, limits and ends.
//!
//! actix's HTTP/1 dispatcher is served over [`Connection`], which owns the one descriptor of a connection. What the
//! dispatcher does not offer happens there: time-outs for idle clients, for unfinished request heads and for answers
//! that are not read; a close that a client can read to its end; and complete answers where the parser refuses a
//! request. See ADR 0009. Read `listener` for how a listener is served, `connection` for what is read and written, and
//! `exchange` for what a request and its answer do to their connection.

mod admission;
mod blocked_write;
mod closing;
mod connection;
pub(crate) mod descriptors;
mod exchange;
mod handle;
mod listener;
mod parser_answer;
mod read_control;
mod timeouts;
mod worker;

use std::net::SocketAddr;

use actix_web::HttpRequest;

pub(crate) use admission::ConnectionLimits;
pub(crate) use handle::ConnectionHandle;
pub(crate) use listener::Listener;
pub(crate) use timeouts::Timeouts;

/// The connection that a request came on; `None` where the request did not come from a listener of ours.
pub(crate) fn connection(request: &HttpRequest) -> Option<&ConnectionHandle> {
    request.conn_data()
}

/// Prepares the request's connection for an answer that is a stream of events: the send buffer is bounded, and the
/// stream ends as soon as its client closes the connection.
pub(crate) fn begin_event_stream(request: &HttpRequest) {
    if let Some(connection) = connection(request) {
        connection.bound_send_buffer();
        connection.end_with_client();
    }
}

/// The address of the listener that the request came in at.
pub(crate) fn listen_address(request: &HttpRequest) -> SocketAddr {
    connection(request).map_or_else(|| request.app_config().local_addr(), ConnectionHandle::listen_address)
}
