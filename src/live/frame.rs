//! Encodes WebSocket frames as a server sends them (RFC 6455): unmasked, so one encoding serves every socket.
//!
//! No library's encoder is used: they write to one connection, and take a payload in one piece. Here all sockets of a
//! mask class share an encoded frame, and a payload may come in parts.

use actix_http::ws::CloseCode;
use actors::outlet::text_header;
use bytes::{BufMut, Bytes, BytesMut};

const FINAL_CLOSE: u8 = 0x88;
const FINAL_PING: u8 = 0x89;
const FINAL_PONG: u8 = 0x8a;
/// Maximum length of the payload of a control frame, in bytes.
const MAX_CONTROL_BYTES: usize = 125;

/// Encodes a text message.
pub(super) fn text(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    put_text(&mut frame, &[payload]);
    frame.freeze()
}

/// Encodes a text message whose payload comes in parts, and appends it to `out`.
pub(super) fn put_text(out: &mut BytesMut, parts: &[&[u8]]) {
    let (header, header_length) = text_header(parts.iter().map(|part| part.len()).sum());
    out.put_slice(&header[..header_length]);
    parts.iter().for_each(|part| out.put_slice(part));
}

/// Encodes a ping.
pub(super) fn ping() -> Bytes {
    control(FINAL_PING, b"")
}

/// Encodes the answer to a ping, with the payload of the ping.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    control(FINAL_PONG, payload)
}

/// Encodes a close frame with a code and a reason. Without a code the frame is empty.
pub(super) fn close(code: Option<CloseCode>, reason: &str) -> Bytes {
    let mut payload = Vec::with_capacity(2 + reason.len());
    if let Some(code) = code {
        payload.extend_from_slice(&u16::from(code).to_be_bytes());
        payload.extend_from_slice(reason.as_bytes());
    }
    control(FINAL_CLOSE, &payload)
}

fn control(first: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(MAX_CONTROL_BYTES)];
    let mut frame = BytesMut::with_capacity(2 + payload.len());
    frame.put_u8(first);
    frame.put_u8(payload.len() as u8);
    frame.put_slice(payload);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use actix_codec::Decoder;
    use actix_http::ws::{Codec, Frame};

    use super::*;

    #[test]
    fn a_client_reads_what_was_encoded() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
            let payload = "x".repeat(length);
            let mut bytes = BytesMut::from(&text(payload.as_bytes())[..]);
            let frame =
                Codec::new().client_mode().max_size(1 << 20).decode(&mut bytes).expect("a frame").expect("whole");
            assert_eq!(frame, Frame::Text(Bytes::from(payload)));
            assert!(bytes.is_empty());
        }
        let mut bytes = BytesMut::from(&close(Some(CloseCode::Other(4401)), "expired")[..]);
        let frame = Codec::new().client_mode().decode(&mut bytes).expect("a frame").expect("whole");
        let Frame::Close(Some(reason)) = frame else { panic!("a close") };
        assert_eq!((u16::from(reason.code), reason.description.as_deref()), (4401, Some("expired")));
    }
}
