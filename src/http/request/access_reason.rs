//! The header `X-Access-Reason`, in which administrators say why they access a citizen's data.

use actix_web::http::header::{HeaderMap, HeaderName};
use domain::id::UserId;
use unicode_normalization::UnicodeNormalization;

use super::caller::{Caller, Role};
use super::headers;
use crate::http::problem::{Code, Problem};

static X_ACCESS_REASON: HeaderName = HeaderName::from_static("x-access-reason");

/// Maximum number of characters of a reason.
const MAX_CHARS: usize = 256;

/// The reason that an administrator gives for an access. Other callers need none.
pub(crate) struct AccessReason(Option<String>);

impl AccessReason {
    /// Reads the reason from the headers of an administrator's request.
    ///
    /// The value is read as UTF-8, though header values may be any bytes (RFC 9110, section 5.5). The log replaces
    /// personal numbers in the reason, as in all its lines.
    ///
    /// # Errors
    /// An administrator has given no reason, or one with more than 256 characters or with control characters.
    pub(crate) fn from_headers(caller: &Caller, headers: &HeaderMap) -> Result<Self, Problem> {
        if caller.role != Role::Admin {
            return Ok(Self(None));
        }
        let given = headers::single(headers, &X_ACCESS_REASON)?.map(|value| value.as_bytes().trim_ascii());
        let given = given.unwrap_or_default();
        if given.is_empty() {
            return Err(Problem::new(
                Code::AccessReasonMissing,
                "an administrator's read needs the header `X-Access-Reason`",
            ));
        }
        parse(given).map(|reason| Self(Some(reason))).ok_or_else(|| {
            Problem::new(
                Code::InvalidParameter,
                "the header `X-Access-Reason` must hold at most 256 characters in UTF-8, and no control characters",
            )
        })
    }

    /// Returns the absence of a reason, for tests.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Logs an administrator's access to all users.
    pub(crate) fn record_of_all(&self, caller: &Caller, action: &'static str) {
        if let Some(reason) = &self.0 {
            let actor = caller.subject.as_str();
            tracing::info!(target: "audit", actor, action, reason, "administrative access to all users");
        }
    }

    /// Logs an administrator's access to `user`. The log replaces the user id by its keyed hash.
    pub(crate) fn record(&self, caller: &Caller, action: &'static str, user: &UserId) {
        if let Some(reason) = &self.0 {
            let (actor, user) = (caller.subject.as_str(), user.as_str());
            tracing::info!(target: "audit", actor, action, user, reason, "administrative access");
        }
    }
}

/// Returns the reason in Unicode normalization form C; `None` if it is not valid.
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
