//! An echo over the very layers that speak RFC 6455 here, `message_reader` and `frame`: what conformance suites want to talk to.

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

/// As long as the longest message of the suites.
const MAX_MESSAGE: usize = 16 << 20;
/// Frames that wait to be sent.
const WAITING: usize = 16;
const FINAL_BINARY: u8 = 0x82;

/// Answers the handshake and sends every message back.
///
/// # Errors
/// When the request is no handshake.
pub async fn echo(request: HttpRequest, payload: Payload) -> actix_web::Result<HttpResponse> {
    let mut response = ws::handshake(request.head()).map_err(|error| super::refusal(&error))?;
    let (out, mut frames) = channel(WAITING);
    rt::spawn(converse(payload, out));
    let frames = poll_fn(move |context| frames.poll_recv(context).map(|frame| frame.map(Ok::<_, Infallible>)));
    Ok(response.message_body(BoxBody::new(BodyStream::new(frames)))?.into())
}

/// Reads until one side ends it, and says goodbye.
async fn converse(mut payload: Payload, out: Sender<Bytes>) {
    let mut reader = MessageReader::new(MAX_MESSAGE);
    while let Some(Ok(piece)) = payload.next().await {
        reader.take(&piece);
        loop {
            let (frame, is_last) = match reader.next() {
                Ok(None) => break,
                Ok(Some(heard)) => match answer(heard) {
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

/// What is sent for what was heard, and whether it is the last.
fn answer(heard: ClientMessage) -> Option<(Bytes, bool)> {
    Some(match heard {
        ClientMessage::Text(text) => (frame::text(text.as_bytes()), false),
        ClientMessage::Binary(bytes) => (binary(&bytes), false),
        ClientMessage::Ping(payload) => (frame::pong(&payload), false),
        ClientMessage::Pong => return None,
        ClientMessage::Close(_) => (frame::close(Some(CloseCode::Normal), ""), true),
    })
}

/// The server itself sends text only: the opcode is all that differs.
fn binary(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::from(frame::text(payload));
    frame[0] = FINAL_BINARY;
    frame.freeze()
}
