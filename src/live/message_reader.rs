//! The layer that speaks RFC 6455: bytes of a client come in, whole messages come out.

use actix_codec::Decoder;
use actix_http::ws::{CloseCode, CloseReason, Codec, Frame, Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientMessage {
    /// A whole message of text.
    Text(ByteString),
    /// A whole message of bytes.
    Binary(Bytes),
    /// To be answered with a pong of the same payload.
    Ping(Bytes),
    /// It is there.
    Pong,
    /// It ends the conversation, and is to be told so too.
    Close(Option<CloseReason>),
}

/// Why the conversation cannot go on: what a close frame is to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProtocolViolation(pub(super) CloseCode, pub(super) &'static str);

/// The reading end of a socket.
pub(super) struct MessageReader {
    codec: Codec,
    read: BytesMut,
    /// What came so far of a message in several frames.
    partial: Option<PartialMessage>,
    max_message: usize,
}

/// The beginning of a message.
struct PartialMessage {
    is_text: bool,
    payload: BytesMut,
}

impl MessageReader {
    /// A message may have `max_message` bytes, in however many frames.
    pub(super) fn new(max_message: usize) -> Self {
        Self { codec: Codec::new().max_size(max_message), read: BytesMut::new(), partial: None, max_message }
    }

    /// Takes bytes as they come.
    pub(super) fn take(&mut self, piece: &[u8]) {
        self.read.extend_from_slice(piece);
    }

    /// The next whole thing that the client said; `None` until more bytes come.
    pub(super) fn next(&mut self) -> Result<Option<ClientMessage>, ProtocolViolation> {
        loop {
            let Some(frame) = self.codec.decode(&mut self.read).map_err(|error| fault(&error))? else {
                return Ok(None);
            };
            match frame {
                Frame::Text(text) => return whole(text).map(Some),
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

    /// Puts a message in several frames together.
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
            return Err(ProtocolViolation(CloseCode::Protocol, "there is nothing to continue"));
        };
        if partial.payload.len() + part.len() > self.max_message {
            return Err(ProtocolViolation(CloseCode::Size, "the message is too long"));
        }
        partial.payload.extend_from_slice(&part);
        match self.partial.take_if(|_| is_last) {
            Some(PartialMessage { is_text: true, payload }) => whole(payload.freeze()).map(Some),
            Some(PartialMessage { is_text: false, payload }) => Ok(Some(ClientMessage::Binary(payload.freeze()))),
            None => Ok(None),
        }
    }
}

fn whole(text: Bytes) -> Result<ClientMessage, ProtocolViolation> {
    ByteString::try_from(text)
        .map(ClientMessage::Text)
        .map_err(|_| ProtocolViolation(CloseCode::Invalid, "the message is not valid UTF-8"))
}

fn fault(error: &ProtocolError) -> ProtocolViolation {
    match error {
        ProtocolError::Overflow => ProtocolViolation(CloseCode::Size, "the message is too long"),
        _ => ProtocolViolation(CloseCode::Protocol, "the frame does not follow RFC 6455"),
    }
}
