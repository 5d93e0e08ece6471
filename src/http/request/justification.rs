//! The headers `X-Access-Reason` and `X-Purpose`, in which callers say why they access a citizen's data.

use actix_web::http::header::{HeaderMap, HeaderName};
use unicode_normalization::UnicodeNormalization;

use super::caller::{Caller, Role};
use super::headers;
use crate::http::problem::{Code, Problem};

static X_ACCESS_REASON: HeaderName = HeaderName::from_static("x-access-reason");
static X_PURPOSE: HeaderName = HeaderName::from_static("x-purpose");

/// Maximum number of characters of a reason or purpose.
const MAX_CHARS: usize = 256;

/// Why a caller accesses a citizen's data, as the audit log keeps it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Justification {
    /// The header `X-Access-Reason`, which administrators must send. It is not read for other callers.
    pub(crate) reason: Option<String>,
    /// The header `X-Purpose`.
    pub(crate) purpose: Option<String>,
}

impl Justification {
    /// Reads the justification from the headers of a request. An administrator must give a reason if `needs_reason`.
    ///
    /// Values are read as UTF-8, though header values may be any bytes (RFC 9110, section 5.5). The logs replace personal
    /// numbers in them, as in all their lines.
    ///
    /// # Errors
    /// An administrator has given no reason, or a value has more than 256 characters or control characters.
    pub(crate) fn from_headers(caller: &Caller, headers: &HeaderMap, needs_reason: bool) -> Result<Self, Problem> {
        let purpose = read(headers, &X_PURPOSE)?;
        if caller.role != Role::Admin {
            return Ok(Self { reason: None, purpose });
        }
        let reason = read(headers, &X_ACCESS_REASON)?;
        if needs_reason && reason.is_none() {
            return Err(Problem::new(
                Code::AccessReasonMissing,
                "an administrator's access needs the header `X-Access-Reason`",
            ));
        }
        Ok(Self { reason, purpose })
    }
}

/// Returns the value of a header; `None` if it is absent or empty.
fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let given = headers::single(headers, name)?.map(|value| value.as_bytes().trim_ascii()).unwrap_or_default();
    if given.is_empty() {
        return Ok(None);
    }
    parse(given).map(Some).ok_or_else(|| {
        Problem::new(
            Code::InvalidParameter,
            format!("the header `{name}` must hold at most 256 characters in UTF-8, and no control characters"),
        )
    })
}

/// Returns a value in Unicode normalization form C; `None` if it is not valid.
fn parse(bytes: &[u8]) -> Option<String> {
    // A character has at most four bytes in UTF-8, so longer text is refused before it is counted.
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_CHARS * 4)?;
    let reason: String = text.trim().nfc().collect();
    let breaks_lines = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    ((1..=MAX_CHARS).contains(&reason.chars().count()) && !reason.contains(breaks_lines)).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_bounded_text_in_any_language() {
        for (given, reason) in [
            ("complaint 42", Some("complaint 42")),
            ("Pru\u{308}fung", Some("Prüfung")),
            ("शिकायत की जाँच", Some("शिकायत की जाँच")),
            ("\u{3000}", None),
            ("a\u{85}b", None),
            ("a\u{2028}b", None),
        ] {
            assert_eq!(parse(given.as_bytes()).as_deref(), reason, "{given:?}");
        }
        assert_eq!(parse("क".repeat(256).as_bytes()), Some("क".repeat(256)));
        assert_eq!(parse("क".repeat(257).as_bytes()), None);
        assert_eq!(parse("a".repeat(100_000).as_bytes()), None);
        assert_eq!(parse(b"Pr\xfcfung"), None, "Latin-1 is no UTF-8");
    }
}
