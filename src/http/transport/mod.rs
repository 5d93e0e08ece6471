//! The transport below HTTP: TCP connections with their limits and time-outs.
//!
//! actix's HTTP/1 dispatcher runs on [`Connection`], which owns the socket and adds what the dispatcher lacks (ADR
//! 0009): time-outs for idle clients, for incomplete request heads and for unread answers; closing in a way that the
//! client can read the last answer; and complete answers to requests that the parser refuses. `listener` accepts
//! connections, `connection` reads and writes them, and `exchange` connects them with requests and answers.

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

/// Returns the connection of a request; `None` if the request did not come from a [`Listener`], as in tests.
pub(crate) fn connection(request: &HttpRequest) -> Option<&ConnectionHandle> {
    request.conn_data()
}

/// Prepares the connection of a request for a stream of events: bounds its send buffer, and ends the stream as soon as
/// the client closes the connection.
pub(crate) fn begin_event_stream(request: &HttpRequest) {
    if let Some(connection) = connection(request) {
        connection.bound_send_buffer();
        connection.end_with_client();
    }
}

/// Bounds the send buffer of the connection of a request whose answer may have to end before all of it is sent.
pub(crate) fn bound_send_buffer(request: &HttpRequest) {
    if let Some(connection) = connection(request) {
        connection.bound_send_buffer();
    }
}

/// Returns the address of the listener that received the request.
pub(crate) fn listen_address(request: &HttpRequest) -> SocketAddr {
    connection(request).map_or_else(|| request.app_config().local_addr(), ConnectionHandle::listen_address)
}
