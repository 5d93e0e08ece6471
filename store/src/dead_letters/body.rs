//! A dead letter as bytes, before it is sealed:
//!
//! ```text
//! offset  length  field (little-endian)
//!      0       1  format, 2
//!      1       8  time of the rejection in microseconds since the Unix epoch
//!      9          source, user, event id, event type, problem, pointer and body, one after the other:
//!                 u8 0 if there is none, else u8 1, length u32 and content
//! ```

use domain::id::UserId;
use domain::port::dead_letters::DeadLetter;

const LETTER_FORMAT: u8 = 2;

/// Encodes a letter.
pub(super) fn encode(letter: &DeadLetter) -> Vec<u8> {
    let user = letter.user.as_ref().map(|user| user.as_str().as_bytes());
    let text = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    let mut bytes = vec![LETTER_FORMAT];
    bytes.extend_from_slice(&letter.rejected_at.to_le_bytes());
    put_part(&mut bytes, Some(letter.source.as_bytes()));
    put_part(&mut bytes, user);
    put_part(&mut bytes, text(&letter.event_id).as_deref());
    put_part(&mut bytes, text(&letter.event_type).as_deref());
    put_part(&mut bytes, Some(letter.problem.as_bytes()));
    put_part(&mut bytes, text(&letter.pointer).as_deref());
    put_part(&mut bytes, letter.body.as_deref());
    bytes
}

/// Decodes what [`encode`] made; `None` if the bytes are not a dead letter of this format.
pub(super) fn decode(bytes: &[u8]) -> Option<DeadLetter> {
    let (&[LETTER_FORMAT], rest) = bytes.split_first_chunk()? else { return None };
    let (rejected_at, rest) = rest.split_first_chunk()?;
    let mut parts = Parts(rest);
    let source = parts.text()?.present()?;
    let user = match parts.text()? {
        Part::Present(user) => Some(UserId::parse(&user).ok()?),
        Part::Absent => None,
    };
    Some(DeadLetter {
        source,
        user,
        event_id: parts.text()?.present(),
        event_type: parts.text()?.present(),
        problem: parts.text()?.present()?,
        pointer: parts.text()?.present(),
        body: parts.bytes()?.present().map(<[u8]>::to_vec),
        rejected_at: i64::from_le_bytes(*rejected_at),
    })
}

fn put_part(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    bytes.push(part.is_some().into());
    if let Some(part) = part {
        bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
    }
}

/// The parts that are still to be decoded. Each method returns `None` if the bytes are malformed.
struct Parts<'a>(&'a [u8]);

enum Part<T> {
    Present(T),
    Absent,
}

impl<T> Part<T> {
    fn present(self) -> Option<T> {
        match self {
            Self::Present(part) => Some(part),
            Self::Absent => None,
        }
    }
}

impl<'a> Parts<'a> {
    fn bytes(&mut self) -> Option<Part<&'a [u8]>> {
        let (&[present], rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        match present {
            0 => return Some(Part::Absent),
            1 => {}
            _ => return None,
        }
        let (length, rest) = rest.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(Part::Present(part))
    }

    fn text(&mut self) -> Option<Part<String>> {
        match self.bytes()? {
            Part::Present(part) => Some(Part::Present(String::from_utf8(part.to_vec()).ok()?)),
            Part::Absent => Some(Part::Absent),
        }
    }
}
