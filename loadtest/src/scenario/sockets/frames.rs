//! A minimal parser of WebSocket frames (RFC 6455). The receivers share the machine with the server that is measured.

use anyhow::{Context, Result, ensure};

/// An unmasked and unfragmented frame, as servers send it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WebSocketFrame<'a> {
    pub(super) opcode: u8,
    pub(super) payload: &'a [u8],
    /// Number of bytes of the frame with its header.
    pub(super) length: usize,
}

pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Parses the first frame. Returns `None` if it is incomplete.
pub(super) fn parse_first(received: &[u8]) -> Result<Option<WebSocketFrame<'_>>> {
    let [start, length, rest @ ..] = received else { return Ok(None) };
    ensure!(start & FINAL != 0 && length & MASKED == 0, "a frame that is masked or in parts");
    let (payload_length, header) = match (*length, rest) {
        (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (usize::try_from(length).context("a frame that is too large")?, 10)
        }
        (126 | 127, _) => return Ok(None),
        (length, _) => (usize::from(length), 2),
    };
    let whole = header + payload_length;
    Ok(received.get(header..whole).map(|payload| WebSocketFrame { opcode: start & 0x0f, payload, length: whole }))
}

/// Renders a client's frame with at most 65,535 bytes. Its mask is zero, which leaves the payload unchanged.
pub(super) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FINAL | opcode];
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => frame.push(MASKED | length),
        _ => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Finds the number of a member, whose name is given as `"name":`. The server writes members in a fixed order with the
/// numbers near the start.
pub(super) fn number(text: &[u8], name: &[u8]) -> Option<u64> {
    let start = text.windows(name.len()).position(|window| window == name)? + name.len();
    let digits = text[start..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.map(|digit| u64::from(digit - b'0')).reduce(|number, digit| number * 10 + digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_parsed_when_it_is_complete() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let header = match length {
                0..=125 => vec![0x81, length as u8],
                126..=65_535 => [vec![0x81, 126], (length as u16).to_be_bytes().to_vec()].concat(),
                _ => [vec![0x81, 127], (length as u64).to_be_bytes().to_vec()].concat(),
            };
            let mut bytes = [header, vec![b'x'; length]].concat();
            for cut in [0, 1, 2, 3, 9, bytes.len() - 1] {
                assert_eq!(parse_first(&bytes[..cut.min(bytes.len() - 1)]).expect("no error"), None);
            }
            bytes.push(0x81);
            let frame = parse_first(&bytes).expect("no error").expect("whole");
            assert_eq!((frame.opcode, frame.payload.len(), frame.length), (TEXT, length, bytes.len() - 1));
        }
        assert!(parse_first(&[0x01, 0]).is_err() && parse_first(&[0x81, 0x80]).is_err());
    }

    #[test]
    fn numbers_are_read_without_parsing() {
        let text = br#"{"type":"patch","user_id":"u","base_revision":41,"revision":43,"x":1}"#;
        assert_eq!(number(text, br#""base_revision":"#), Some(41));
        assert_eq!(number(text, br#","revision":"#), Some(43));
        assert_eq!((number(text, br#""y":"#), number(br#"{"x":"1"}"#, br#""x":"#)), (None, None));
    }

    #[test]
    fn the_frames_of_a_client_are_masked() {
        assert_eq!(client_frame(TEXT, b"hi"), [0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
        assert_eq!(client_frame(TEXT, &[b'x'; 200])[..4], [0x81, 0x80 | 126, 0, 200]);
    }
}
