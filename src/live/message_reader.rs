//! Decodes what a client sends (RFC 6455): bytes in, whole messages out.

use actix_codec::Decoder;
use actix_http::ws::{CloseCode, CloseReason, Codec, Frame, Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

/// A message or control frame of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientMessage {
    /// A text message.
    Text(ByteString),
    /// A binary message.
    Binary(Bytes),
    /// A ping, to be answered with a pong of the same payload.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A close frame, to be answered with one.
    Close(Option<CloseReason>),
}

/// A breach of the protocol: the code and the reason of the close frame that answers it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProtocolViolation(pub(super) CloseCode, pub(super) &'static str);

/// Assembles messages from the bytes that a socket receives.
pub(super) struct MessageReader {
    codec: Codec,
    read: BytesMut,
    /// The beginning of a message that comes in several frames.
    partial: Option<PartialMessage>,
    max_message_bytes: usize,
}

/// A message whose last frame has not come yet.
struct PartialMessage {
    is_text: bool,
    payload: BytesMut,
}

impl MessageReader {
    /// Returns a reader of messages of at most `max_message_bytes`, in any number of frames.
    pub(super) fn new(max_message_bytes: usize) -> Self {
        let codec = Codec::new().max_size(max_message_bytes);
        Self { codec, read: BytesMut::new(), partial: None, max_message_bytes }
    }

    /// Adds bytes that were received.
    pub(super) fn take(&mut self, piece: &[u8]) {
        self.read.extend_from_slice(piece);
    }

    /// Returns the next complete message; `None` until more bytes are added.
    ///
    /// # Errors
    /// The client has broken the protocol, and nothing more can be read.
    pub(super) fn next(&mut self) -> Result<Option<ClientMessage>, ProtocolViolation> {
        loop {
            let Some(frame) = self.codec.decode(&mut self.read).map_err(|error| violation(&error))? else {
                return Ok(None);
            };
            match frame {
                Frame::Text(text) => return text_message(text).map(Some),
                Frame::Binary(bytes) => return Ok(Some(ClientMessage::Binary(bytes))),
                Frame::Continuation(item) => {
                    if let Some(message) = self.assemble(item)? {
                        return Ok(Some(message));
                    }
                }
                Frame::Ping(payload) => return Ok(Some(ClientMessage::Ping(payload))),
                Frame::Pong(_) => return Ok(Some(ClientMessage::Pong)),
                Frame::Close(reason) => return Ok(Some(ClientMessage::Close(reason))),
            }
        }
    }

    /// Adds a frame of a fragmented message, and returns the message with its last frame.
    fn assemble(&mut self, item: Item) -> Result<Option<ClientMessage>, ProtocolViolation> {
        let is_text = matches!(item, Item::FirstText(_));
        let (part, is_last) = match item {
            Item::FirstText(part) | Item::FirstBinary(part) => {
                self.partial = Some(PartialMessage { is_text, payload: BytesMut::new() });
                (part, false)
            }
            Item::Continue(part) => (part, false),
            Item::Last(part) => (part, true),
        };
        let Some(partial) = &mut self.partial else {
            return Err(ProtocolViolation(CloseCode::Protocol, "there is no message to continue"));
        };
        if partial.payload.len() + part.len() > self.max_message_bytes {
            return Err(ProtocolViolation(CloseCode::Size, "the message is too long"));
        }
        partial.payload.extend_from_slice(&part);
        match self.partial.take_if(|_| is_last) {
            Some(PartialMessage { is_text: true, payload }) => text_message(payload.freeze()).map(Some),
            Some(PartialMessage { is_text: false, payload }) => Ok(Some(ClientMessage::Binary(payload.freeze()))),
            None => Ok(None),
        }
    }
}

fn text_message(text: Bytes) -> Result<ClientMessage, ProtocolViolation> {
    ByteString::try_from(text)
        .map(ClientMessage::Text)
        .map_err(|_| ProtocolViolation(CloseCode::Invalid, "the message is not valid UTF-8"))
}

fn violation(error: &ProtocolError) -> ProtocolViolation {
    match error {
        ProtocolError::Overflow => ProtocolViolation(CloseCode::Size, "the message is too long"),
        _ => ProtocolViolation(CloseCode::Protocol, "the frame does not follow RFC 6455"),
    }
}
