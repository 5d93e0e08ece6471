//! The layer that speaks RFC 6455: bytes of a client come in, whole messages come out.

use actix_codec::Decoder;
use actix_http::ws::{CloseCode, CloseReason, Codec, Frame, Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
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
pub(super) struct Fault(pub(super) CloseCode, pub(super) &'static str);

/// The reading end of a socket.
pub(super) struct Wire {
    codec: Codec,
    read: BytesMut,
    /// What came so far of a message in several frames.
    begun: Option<Begun>,
    max_message: usize,
}

/// The beginning of a message.
struct Begun {
    is_text: bool,
    payload: BytesMut,
}

impl Wire {
    /// A message may have `max_message` bytes, in however many frames.
    pub(super) fn new(max_message: usize) -> Self {
        Self { codec: Codec::new().max_size(max_message), read: BytesMut::new(), begun: None, max_message }
    }

    /// Takes bytes as they come.
    pub(super) fn take(&mut self, piece: &[u8]) {
        self.read.extend_from_slice(piece);
    }

    /// The next whole thing that the client said; `None` until more bytes come.
    pub(super) fn next(&mut self) -> Result<Option<Heard>, Fault> {
        loop {
            let Some(frame) = self.codec.decode(&mut self.read).map_err(|error| fault(&error))? else {
                return Ok(None);
            };
            match frame {
                Frame::Text(text) => return whole(text).map(Some),
                Frame::Binary(bytes) => return Ok(Some(Heard::Binary(bytes))),
                Frame::Continuation(item) => {
                    if let Some(message) = self.assemble(item)? {
                        return Ok(Some(message));
                    }
                }
                Frame::Ping(payload) => return Ok(Some(Heard::Ping(payload))),
                Frame::Pong(_) => return Ok(Some(Heard::Pong)),
                Frame::Close(reason) => return Ok(Some(Heard::Close(reason))),
            }
        }
    }

    /// Puts a message in several frames together.
    fn assemble(&mut self, item: Item) -> Result<Option<Heard>, Fault> {
        let is_text = matches!(item, Item::FirstText(_));
        let (part, is_last) = match item {
            Item::FirstText(part) | Item::FirstBinary(part) => {
                self.begun = Some(Begun { is_text, payload: BytesMut::new() });
                (part, false)
            }
            Item::Continue(part) => (part, false),
            Item::Last(part) => (part, true),
        };
        let Some(begun) = &mut self.begun else {
            return Err(Fault(CloseCode::Protocol, "there is nothing to continue"));
        };
        if begun.payload.len() + part.len() > self.max_message {
            return Err(Fault(CloseCode::Size, "the message is too long"));
        }
        begun.payload.extend_from_slice(&part);
        match self.begun.take_if(|_| is_last) {
            Some(Begun { is_text: true, payload }) => whole(payload.freeze()).map(Some),
            Some(Begun { is_text: false, payload }) => Ok(Some(Heard::Binary(payload.freeze()))),
            None => Ok(None),
        }
    }
}

fn whole(text: Bytes) -> Result<Heard, Fault> {
    ByteString::try_from(text).map(Heard::Text).map_err(|_| Fault(CloseCode::Invalid, "the message is not valid UTF-8"))
}

fn fault(error: &ProtocolError) -> Fault {
    match error {
        ProtocolError::Overflow => Fault(CloseCode::Size, "the message is too long"),
        _ => Fault(CloseCode::Protocol, "the frame does not follow RFC 6455"),
    }
}
