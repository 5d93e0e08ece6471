//! Checks of strings. None repeats the string it refuses.

use super::{is_date, string};
use crate::event::display_name::is_display_name;
use crate::event::{EventFault, EventProblem, Location};
use crate::json::Json;
use crate::rules::Rules;
use crate::sensitive;

/// Characters of a token.
const TOKEN_CHARS: usize = 128;

/// Characters of a display name.
const DISPLAY_NAME_CHARS: usize = 64;

/// Returns the text if it is one of `words`.
pub(crate) fn word<'v>(value: &'v Json<'_>, words: &[&str], at: &Location<'_>) -> Result<&'v str, EventFault> {
    let text = string(value, at)?;
    if !words.contains(&text) {
        return Err(EventFault::new(
            EventProblem::UnknownValue,
            at,
            format!("must be one of `{}`", words.join("`, `")),
        ));
    }
    Ok(text)
}

/// Returns free text if it is bounded, not empty, in form NFC, and without control characters and class RED.
///
/// Text that is not in NFC is refused and not normalised, because stamps hash what the source sent.
pub(crate) fn free<'v>(value: &'v Json<'_>, chars: usize, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let text = clean(value, chars, at)?;
    check_not_red(text, at)?;
    Ok(text)
}

/// Refuses text that looks like class RED.
pub(super) fn check_not_red(text: &str, at: &Location<'_>) -> Result<(), EventFault> {
    if sensitive::in_text(text) { Err(holds_red(at)) } else { Ok(()) }
}

/// Class RED in an id, which is searched by a narrower rule: ids of other systems must not be refused by chance.
pub(crate) fn check_id_not_red(id: &str, at: &Location<'_>) -> Result<(), EventFault> {
    if sensitive::in_id(id) { Err(holds_red(at)) } else { Ok(()) }
}

fn holds_red(at: &Location<'_>) -> EventFault {
    EventFault::new(EventProblem::ClassRed, at, "must not hold an Aadhaar number, a PAN or a phone number")
}

/// Returns text of any content if it is bounded, not empty, in form NFC, and without control characters.
pub(crate) fn clean<'v>(value: &'v Json<'_>, chars: usize, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let text = string(value, at)?;
    if text.is_empty() {
        return Err(EventFault::new(EventProblem::InvalidFormat, at, "must not be empty"));
    }
    check_clean(text, chars, at)?;
    Ok(text)
}

/// Checks the length, form NFC and control characters.
pub(crate) fn check_clean(text: &str, chars: usize, at: &Location<'_>) -> Result<(), EventFault> {
    // Most text is ASCII, whose bytes are its characters and which is always in NFC.
    let ascii = text.is_ascii();
    if text.len() > chars && (ascii || text.chars().count() > chars) {
        return Err(EventFault::new(EventProblem::TooLong, at, format!("must have at most {chars} characters")));
    }
    let control = if ascii { text.bytes().any(|b| b.is_ascii_control()) } else { text.chars().any(char::is_control) };
    if control {
        return Err(EventFault::new(EventProblem::ControlCharacter, at, "must not hold a control character"));
    }
    if !ascii && !unicode_normalization::is_nfc(text) {
        return Err(EventFault::new(EventProblem::NotNfc, at, "must be in Unicode normalisation form C"));
    }
    Ok(())
}

/// Returns an id that matches `^[A-Za-z0-9_.:-]+$` and has at most `chars` characters.
pub(crate) fn item_id<'v>(value: &'v Json<'_>, chars: usize, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let is_id_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    let id = string(value, at)?;
    if !(1..=chars).contains(&id.len()) || !id.bytes().all(is_id_byte) {
        let detail = format!("must match `^[A-Za-z0-9_.:-]{{1,{chars}}}$`");
        return Err(EventFault::new(EventProblem::InvalidFormat, at, detail));
    }
    check_id_not_red(id, at)?;
    Ok(id)
}

/// Returns the text if it is a calendar date.
pub(crate) fn date<'v>(value: &'v Json<'_>, at: &Location<'_>) -> Result<&'v str, EventFault> {
    matching(value, at, "must be a date, as `YYYY-MM-DD`", is_date)
}

pub(super) fn token<'v>(value: &'v Json<'_>, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let token = matching(value, at, "must match `^tok_[A-Za-z0-9_-]{1,124}$`", |text| {
        let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let tail = text.strip_prefix("tok_").unwrap_or_default();
        (1..=TOKEN_CHARS - 4).contains(&tail.len()) && tail.bytes().all(is_token_byte)
    })?;
    check_id_not_red(token, at)?;
    Ok(token)
}

pub(super) fn display_name<'v>(value: &'v Json<'_>, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let text = clean(value, DISPLAY_NAME_CHARS, at)?;
    if !is_display_name(text) {
        return Err(EventFault::new(
            EventProblem::InvalidFormat,
            at,
            "must be a given name and an initial, as `Rajesh K.`",
        ));
    }
    Ok(text)
}

pub(super) fn state<'v>(value: &'v Json<'_>, rules: &Rules, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let text = string(value, at)?;
    if !rules.districts.contains_key(text) {
        return Err(EventFault::new(EventProblem::UnknownValue, at, "must be the slug of a state or union territory"));
    }
    Ok(text)
}

pub(super) fn slug<'v>(value: &'v Json<'_>, chars: usize, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let is_slug_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let text =
        matching(value, at, "must match `^[a-z0-9_]+$`", |text| !text.is_empty() && text.bytes().all(is_slug_byte))?;
    check_clean(text, chars, at)?;
    check_id_not_red(text, at)?;
    Ok(text)
}

pub(super) fn pincode<'v>(value: &'v Json<'_>, at: &Location<'_>) -> Result<&'v str, EventFault> {
    matching(value, at, "must match `^[1-9][0-9]{5}$`", |text| {
        text.len() == 6 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Returns a path of RFC 3986, with an optional query and fragment. `//…` is refused, because it would name another
/// host.
pub(super) fn path<'v>(value: &'v Json<'_>, chars: usize, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let text = matching(value, at, "must be a path that starts with one `/`, not a URL", |text| {
        text.starts_with('/') && !text.starts_with("//") && is_uri_text(text)
    })?;
    check_clean(text, chars, at)?;
    check_not_red(text, at)?;
    Ok(text)
}

/// Returns a URI reference that names a source.
pub(crate) fn uri_reference<'v>(value: &'v Json<'_>, chars: usize, at: &Location<'_>) -> Result<&'v str, EventFault> {
    let text = clean(value, chars, at)?;
    if !is_uri_text(text) {
        return Err(EventFault::new(EventProblem::InvalidFormat, at, "must be a URI reference"));
    }
    check_id_not_red(text, at)?;
    Ok(text)
}

/// Returns whether the text consists of characters of RFC 3986, and every `%` begins an escape.
fn is_uri_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(index, byte)| match byte {
        b'%' => bytes.get(index + 1..index + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        _ => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(byte),
    })
}

fn matching<'v>(
    value: &'v Json<'_>,
    at: &Location<'_>,
    detail: &'static str,
    fits: impl Fn(&str) -> bool,
) -> Result<&'v str, EventFault> {
    let text = string(value, at)?;
    if fits(text) { Ok(text) } else { Err(EventFault::new(EventProblem::InvalidFormat, at, detail)) }
}
