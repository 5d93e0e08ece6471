//! `GET /api/v2/live`: a WebSocket whose client follows profiles as they change.
//!
//! The response to the handshake streams frames that were encoded once for a whole mask class; a task of its
//! own reads what the client sends. Read `message_reader` for how bytes become messages, `session` for what a client may
//! say, `outgoing` for what it gets.

mod connection;
pub(crate) mod echo;
mod frame;
mod message;
mod message_reader;
mod outgoing;
mod read_pace;
mod session;
mod sockets;
pub(crate) mod sse;
mod state;
pub(crate) mod ticket;
mod tickets;

use std::rc::Rc;

use actix_http::ws::{self, HandshakeError};
use actix_web::body::BoxBody;
use actix_web::http::Version;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, rt};

use crate::http::problem::{Code, Problem};
use crate::http::request::headers;
use crate::http::transport;
use connection::{LiveBody, LiveConnection};
use outgoing::{Outgoing, PendingIds};
use session::{Channels, Session};
pub(crate) use sockets::Sockets;
pub(crate) use state::LiveState;
pub(crate) use tickets::Tickets;

/// The one sub-protocol that is spoken.
const PROTOCOL: &str = "civic-profile.v1";

/// Pieces of the session's answers that may wait to be sent, the close frame's place among them.
const WAITING_ANSWERS: usize = 64;

pub(crate) async fn get(
    request: HttpRequest,
    payload: Payload,
    state: Data<LiveState>,
) -> Result<HttpResponse, Problem> {
    let (caller, reason) = ticket::admit(&request, &state)?;
    if request.version() < Version::HTTP_11 {
        // RFC 9110, section 7.8: `Upgrade` in a request of HTTP/1.0 is ignored.
        return Err(Problem::new(Code::UpgradeRequired, "ask for the WebSocket over HTTP/1.1"));
    }
    let mut response = ws::handshake(request.head()).map_err(|error| refusal(&error))?;
    if speaks_protocol(request.headers())? {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL)));
    }
    let slot = state.sockets.enter(&caller.subject).ok_or_else(Problem::too_many_sockets)?;
    let (control, answers) = tokio::sync::mpsc::channel(WAITING_ANSWERS);
    let (outlet, frames) = actors::outlet::channel(state.settings.outlet_queue_frames);
    let (again, ended) = tokio::sync::mpsc::unbounded_channel();
    let pending_ids = Rc::new(PendingIds::default());
    let open = LiveConnection::new(slot, transport::connection(&request).cloned());
    let body = LiveBody::new(Outgoing::new(answers, frames, Rc::clone(&pending_ids), again), Rc::clone(&open));
    let close_permit = control.clone().try_reserve_owned().map_err(|_| internal())?;
    let channels = Channels { outlet, pending_ids, answers: control, close_permit, ended };
    let session = Session::new(state.clone(), caller, reason, channels);
    rt::spawn(async move {
        let end = session.run(payload).await;
        open.end(&end, *state.closing.borrow());
    });
    Ok(HttpResponse::from(response.message_body(BoxBody::new(body)).map_err(|_| internal())?))
}

/// Whether the client asks for the protocol. One that names others only is refused; one that names none gets it.
fn speaks_protocol(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut offered = headers::elements(headers, &header::SEC_WEBSOCKET_PROTOCOL).peekable();
    if offered.peek().is_none() {
        return Ok(false);
    }
    match offered.any(|name| name == PROTOCOL.as_bytes()) {
        true => Ok(true),
        false => {
            Err(Problem::new(Code::InvalidParameter, "the sub-protocol that is spoken here is `civic-profile.v1`"))
        }
    }
}

fn refusal(error: &HandshakeError) -> Problem {
    match error {
        HandshakeError::GetMethodRequired => Problem::method_not_allowed(HeaderValue::from_static("GET, OPTIONS")),
        HandshakeError::NoWebsocketUpgrade | HandshakeError::NoConnectionUpgrade => {
            Problem::new(Code::UpgradeRequired, "ask with `Connection: Upgrade` and `Upgrade: websocket`")
        }
        HandshakeError::NoVersionHeader | HandshakeError::UnsupportedVersion => {
            Problem::new(Code::UpgradeRequired, "ask with `Sec-WebSocket-Version: 13`")
        }
        HandshakeError::BadWebsocketKey => {
            Problem::new(Code::InvalidParameter, "the header `Sec-WebSocket-Key` must hold 16 bytes in base64")
        }
    }
}

fn internal() -> Problem {
    Problem::new(Code::Internal, "the handshake could not be answered")
}
