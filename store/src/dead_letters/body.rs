//! A dead letter as bytes: a format number, the time, then each text or body as presence, length and content.

use domain::id::UserId;
use domain::port::dead_letters::DeadLetter;

const LETTER_FORMAT: u8 = 1;

pub(super) fn encode(letter: &DeadLetter) -> Vec<u8> {
    let user = letter.user.as_ref().map(|user| user.as_str().as_bytes());
    let text = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    let mut bytes = vec![LETTER_FORMAT];
    bytes.extend_from_slice(&letter.rejected_at.to_le_bytes());
    put(&mut bytes, Some(letter.source.as_bytes()));
    put(&mut bytes, user);
    put(&mut bytes, text(&letter.event_id).as_deref());
    put(&mut bytes, text(&letter.event_type).as_deref());
    put(&mut bytes, Some(letter.problem.as_bytes()));
    put(&mut bytes, text(&letter.pointer).as_deref());
    put(&mut bytes, letter.body.as_deref());
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Option<DeadLetter> {
    let (&[LETTER_FORMAT], rest) = bytes.split_first_chunk()? else { return None };
    let (rejected_at, mut rest) = rest.split_first_chunk()?;
    let source = text(&mut rest)??;
    let user = match text(&mut rest)? {
        Some(user) => Some(UserId::parse(&user).ok()?),
        None => None,
    };
    Some(DeadLetter {
        source,
        user,
        event_id: text(&mut rest)?,
        event_type: text(&mut rest)?,
        problem: text(&mut rest)??,
        pointer: text(&mut rest)?,
        body: take(&mut rest)?.map(<[u8]>::to_vec),
        rejected_at: i64::from_le_bytes(*rejected_at),
    })
}

fn put(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    bytes.push(part.is_some().into());
    if let Some(part) = part {
        bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
    }
}

/// The next part; the outer `None` is for bytes that are none of ours.
fn take<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (&[present], rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    if present == 0 {
        return Some(None);
    }
    let (length, rest) = bytes.split_first_chunk()?;
    let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = rest;
    Some(Some(part))
}

fn text(bytes: &mut &[u8]) -> Option<Option<String>> {
    match take(bytes)? {
        Some(part) => Some(Some(String::from_utf8(part.to_vec()).ok()?)),
        None => Some(None),
    }
}
