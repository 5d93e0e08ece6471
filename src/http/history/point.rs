//! Parameters that name a point in a profile's history.

use actors::history::HistoryPoint;
use domain::event::time::parse_micros;

use crate::http::problem::{Code, Problem};
use crate::http::request::parameter::{AS_OF, Parameter, REVISION};
use crate::http::request::query;

/// Returns the point that `revision` or `as_of` names; `None` if the request is for the newest revision.
///
/// # Errors
/// A parameter is repeated or malformed, or both are given.
pub(in crate::http) fn of_view(text: &str) -> Result<Option<HistoryPoint>, Problem> {
    let (revision, as_of) = (query::single(text, &REVISION)?, query::single(text, &AS_OF)?);
    match (revision, as_of) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Problem::new(Code::InvalidParameter, "give either `revision` or `as_of`, not both")),
        (Some(revision), None) => match number(&revision) {
            Some(revision) => Ok(Some(HistoryPoint::Revision(revision))),
            None => Err(invalid("revision", "it must be a whole number")),
        },
        (None, Some(as_of)) => match instant(&as_of) {
            Some(instant) => Ok(Some(HistoryPoint::AsOf(instant))),
            None => Err(invalid("as_of", "it must be a time as in RFC 3339, with `Z` or an offset")),
        },
    }
}

/// Returns the point that a parameter names: a revision, a snapshot or an instant.
///
/// # Errors
/// The parameter is absent, repeated or malformed.
pub(super) fn required(text: &str, parameter: &Parameter) -> Result<HistoryPoint, Problem> {
    let advice = "it must be a revision, the id of a snapshot, or a time as in RFC 3339";
    let given = query::single(text, parameter)?.ok_or_else(|| invalid(parameter.name, advice))?;
    let point = if given.starts_with("snap_") {
        Some(HistoryPoint::Snapshot(given.into_owned()))
    } else {
        number(&given).map(HistoryPoint::Revision).or_else(|| instant(&given).map(HistoryPoint::AsOf))
    };
    point.ok_or_else(|| invalid(parameter.name, advice))
}

/// Parses a revision. A number that is too large for one is greater than any.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Parses an instant. In a query, a `+` that is not percent-encoded is a space; no time has a space elsewhere.
fn instant(text: &str) -> Option<i64> {
    parse_micros(&text.replace(' ', "+"))
}

/// Returns the problem of a parameter that is not valid.
pub(super) fn invalid(name: &str, advice: &str) -> Problem {
    Problem::new(Code::InvalidParameter, format!("the parameter `{name}` is not valid: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::parameter::SINCE;

    #[test]
    fn a_point_is_a_revision_a_snapshot_or_an_instant_with_its_offset() {
        let noon = parse_micros("2026-01-20T12:00:00Z").expect("a time");
        for (text, expected) in [
            ("since=17", HistoryPoint::Revision(17)),
            ("since=99999999999999999999", HistoryPoint::Revision(u64::MAX)),
            ("since=snap_x", HistoryPoint::Snapshot("snap_x".to_owned())),
            ("since=2026-01-20T12:00:00Z", HistoryPoint::AsOf(noon)),
            ("since=2026-01-20T17:30:00%2B05:30", HistoryPoint::AsOf(noon)),
            ("since=2026-01-20T17:30:00+05:30", HistoryPoint::AsOf(noon)),
            // The clocks of New York go from -05:00 to -04:00: both spellings are one instant.
            ("since=2026-01-20T07:00:00-05:00", HistoryPoint::AsOf(noon)),
            ("since=2026-01-20T08:00:00-04:00", HistoryPoint::AsOf(noon)),
            ("since=2016-12-31T23:59:60Z", HistoryPoint::AsOf(1_483_228_799_999_999)),
        ] {
            assert_eq!(required(text, &SINCE).ok(), Some(expected), "{text}");
        }
        for text in
            ["", "since=", "since=-1", "since=1.5", "since=x", "since=1&since=1", "since=2026-01-20", "since=0x1"]
        {
            assert!(required(text, &SINCE).is_err_and(|problem| problem.is(Code::InvalidParameter)), "{text}");
        }
    }

    #[test]
    fn a_view_has_one_point_or_none() {
        assert!(matches!(of_view("fields=identity"), Ok(None)));
        assert_eq!(of_view("fields=x&revision=3").ok().flatten(), Some(HistoryPoint::Revision(3)));
        assert_eq!(of_view("as%5Fof=1970-01-01T00:00:00.000001Z").ok().flatten(), Some(HistoryPoint::AsOf(1)));
        for text in
            ["revision=1&as_of=2026-01-20T12:00:00Z", "as_of=2026-01-20 12:00:00Z", "as_of=17", "revision=snap_x"]
        {
            assert!(of_view(text).is_err_and(|problem| problem.is(Code::InvalidParameter)), "{text}");
        }
    }
}
