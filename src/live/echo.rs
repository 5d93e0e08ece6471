//! An echo server over `message_reader` and `frame`, the layers that implement RFC 6455 here, for conformance suites.

use std::convert::Infallible;

use actix_http::ws::{self, CloseCode};
use actix_web::body::{BodyStream, BoxBody};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, rt};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc::{Sender, channel};

use super::frame;
use super::message_reader::{ClientMessage, MessageReader, ProtocolViolation};

/// Maximum length of a message, in bytes: that of the longest in the conformance suites.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Maximum number of frames that wait to be sent.
const MAX_WAITING_FRAMES: usize = 16;
/// First byte of a message of bytes in one frame.
const FINAL_BINARY: u8 = 0x82;

/// Answers the handshake, and then sends every message back.
///
/// # Errors
/// The request is not a WebSocket handshake.
pub async fn echo(request: HttpRequest, payload: Payload) -> actix_web::Result<HttpResponse> {
    let mut response = ws::handshake(request.head()).map_err(|error| super::refusal(&error))?;
    let (out, mut frames) = channel(MAX_WAITING_FRAMES);
    rt::spawn(converse(payload, out));
    let frames = poll_fn(move |context| frames.poll_recv(context).map(|frame| frame.map(Ok::<_, Infallible>)));
    Ok(response.message_body(BoxBody::new(BodyStream::new(frames)))?.into())
}

/// Sends messages back until one side closes the socket.
async fn converse(mut payload: Payload, out: Sender<Bytes>) {
    let mut reader = MessageReader::new(MAX_MESSAGE_BYTES);
    while let Some(Ok(piece)) = payload.next().await {
        reader.take(&piece);
        loop {
            let (frame, is_last) = match reader.next() {
                Ok(None) => break,
                Ok(Some(message)) => match answer(message) {
                    Some(answer) => answer,
                    None => continue,
                },
                Err(ProtocolViolation(code, reason)) => (frame::close(Some(code), reason), true),
            };
            if out.send(frame).await.is_err() || is_last {
                return;
            }
        }
    }
}

/// Returns the frame that answers a message, and whether it is the last one.
fn answer(message: ClientMessage) -> Option<(Bytes, bool)> {
    Some(match message {
        ClientMessage::Text(text) => (frame::text(text.as_bytes()), false),
        ClientMessage::Binary(bytes) => (binary(&bytes), false),
        ClientMessage::Ping(payload) => (frame::pong(&payload), false),
        ClientMessage::Pong => return None,
        ClientMessage::Close(_) => (frame::close(Some(CloseCode::Normal), ""), true),
    })
}

/// Encodes a message of bytes, which differs from a message of text in its opcode only.
fn binary(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::from(frame::text(payload));
    frame[0] = FINAL_BINARY;
    frame.freeze()
}
