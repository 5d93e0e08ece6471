//! WebSocket frames as a server sends them (RFC 6455): unmasked, so one encoding serves every socket.

use actix_http::ws::CloseCode;
use bytes::{BufMut, Bytes, BytesMut};

const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const LONGEST_HEADER: usize = 10;

/// A whole text message.
pub(super) fn text(payload: &[u8]) -> Bytes {
    encode(TEXT, payload)
}

/// Appends a whole text message whose payload comes in parts.
pub(super) fn put_text(out: &mut BytesMut, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum();
    out.reserve(length + LONGEST_HEADER);
    put_header(out, TEXT, length);
    parts.iter().for_each(|part| out.put_slice(part));
}

/// A ping.
pub(super) fn ping() -> Bytes {
    encode(PING, b"")
}

/// The answer to a ping, with its payload.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    encode(PONG, payload)
}

/// A close with its reason.
pub(super) fn close(code: CloseCode, reason: &str) -> Bytes {
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&u16::from(code).to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    encode(CLOSE, &payload)
}

fn encode(opcode: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + LONGEST_HEADER);
    put_header(&mut frame, opcode, payload.len());
    frame.put_slice(payload);
    frame.freeze()
}

fn put_header(out: &mut BytesMut, opcode: u8, length: usize) {
    out.put_u8(FINAL | opcode);
    match length {
        0..=125 => out.put_u8(length as u8),
        126..=0xffff => {
            out.put_u8(126);
            out.put_u16(length as u16);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
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
        let mut bytes = BytesMut::from(&close(CloseCode::Other(4401), "expired")[..]);
        let frame = Codec::new().client_mode().decode(&mut bytes).expect("a frame").expect("whole");
        let Frame::Close(Some(reason)) = frame else { panic!("a close") };
        assert_eq!((u16::from(reason.code), reason.description.as_deref()), (4401, Some("expired")));
    }
}
