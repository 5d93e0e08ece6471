//! `GET /api/v2/live`: a WebSocket whose client follows profiles as they change.
//!
//! The response to the handshake streams frames, each encoded once for a whole mask class. A separate task reads what
//! the client sends. `message_reader` turns bytes into messages, `session` handles them, and `outgoing` writes the
//! response.

mod connection;
pub(crate) mod echo;
mod frame;
mod message;
mod message_reader;
mod outgoing;
mod read_pace;
mod requested_view;
mod session;
mod sockets;
pub(crate) mod sse;
mod state;
pub(crate) mod ticket;

use std::rc::Rc;
use std::sync::Arc;

use actix_http::ws::{self, HandshakeError};
use actix_web::body::BoxBody;
use actix_web::http::Version;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpResponse, rt};

use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::headers;
use crate::http::transport;
use connection::{LiveBody, LiveConnection};
use outgoing::{Outgoing, PendingIds};
use session::{Channels, Session};
pub(crate) use sockets::Sockets;
pub(crate) use state::LiveState;

/// The only sub-protocol that is supported.
const PROTOCOL: &str = "civic-profile.v1";

/// Maximum number of batches of answers that wait to be sent, including the place of the close frame.
const MAX_WAITING_ANSWERS: usize = 64;

/// Answers the handshake and starts the session of the socket.
pub(crate) async fn get(
    context: &RequestContext,
    (payload, state): (Payload, Data<LiveState>),
) -> Result<HttpResponse, Problem> {
    let (request, caller) = (&context.request, Arc::clone(&context.caller));
    if request.version() < Version::HTTP_11 {
        // RFC 9110, section 7.8: `Upgrade` in a request of HTTP/1.0 is ignored.
        return Err(Problem::new(Code::UpgradeRequired, "a WebSocket needs HTTP/1.1"));
    }
    let mut response = ws::handshake(request.head()).map_err(|error| refusal(&error))?;
    if offers_protocol(request.headers())? {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL)));
    }
    let slot = state.sockets.enter(caller.subject()).ok_or_else(Problem::too_many_sockets)?;
    let (control, answers) = tokio::sync::mpsc::channel(MAX_WAITING_ANSWERS);
    let (outlet, frames) = actors::outlet::channel(state.settings.outlet_queue_frames);
    let (report_ended, ended) = tokio::sync::mpsc::unbounded_channel();
    let pending_ids = Rc::new(PendingIds::default());
    let connection = LiveConnection::new(slot, transport::connection(request).cloned());
    let outgoing = Outgoing::new(answers, frames, Rc::clone(&pending_ids), report_ended);
    let body = LiveBody::new(outgoing, Rc::clone(&connection));
    let close_permit = control.clone().try_reserve_owned().map_err(|_| internal())?;
    let channels = Channels { outlet, pending_ids, answers: control, close_permit, ended };
    let session = Session::new(state.clone(), caller, context.connection(), channels);
    rt::spawn(async move {
        let end = session.run(payload).await;
        connection.end(&end, *state.closing.borrow());
    });
    Ok(HttpResponse::from(response.message_body(BoxBody::new(body)).map_err(|_| internal())?))
}

/// Returns whether the client offers the sub-protocol. A client that offers no sub-protocol at all is served without
/// one.
///
/// # Errors
/// The client offers other sub-protocols only.
fn offers_protocol(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut offered = headers::elements(headers, &header::SEC_WEBSOCKET_PROTOCOL).peekable();
    if offered.peek().is_none() {
        return Ok(false);
    }
    if offered.any(|name| name == PROTOCOL.as_bytes()) {
        return Ok(true);
    }
    Err(Problem::new(Code::InvalidParameter, "the only supported sub-protocol is `civic-profile.v1`"))
}

/// Returns the problem that answers a malformed handshake.
fn refusal(error: &HandshakeError) -> Problem {
    match error {
        HandshakeError::GetMethodRequired => Problem::method_not_allowed(HeaderValue::from_static("GET, OPTIONS")),
        HandshakeError::NoWebsocketUpgrade | HandshakeError::NoConnectionUpgrade => {
            Problem::new(Code::UpgradeRequired, "send `Connection: Upgrade` and `Upgrade: websocket`")
        }
        HandshakeError::NoVersionHeader | HandshakeError::UnsupportedVersion => {
            Problem::new(Code::UpgradeRequired, "send `Sec-WebSocket-Version: 13`")
        }
        HandshakeError::BadWebsocketKey => {
            Problem::new(Code::InvalidParameter, "the header `Sec-WebSocket-Key` must hold 16 bytes in base64")
        }
    }
}

fn internal() -> Problem {
    Problem::new(Code::Internal, "the handshake could not be answered")
}
