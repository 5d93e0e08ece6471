//! Parameters that name a point in a profile's history.

use actors::history::HistoryPoint;
use domain::event::time::parse_micros;

use crate::http::problem::{Code, Problem};
use crate::http::request::query;

/// Returns the point that `revision` or `as_of` names; `None` if the request is for the newest revision.
///
/// # Errors
/// A parameter is repeated or malformed, or both are given.
pub(in crate::http) fn of_view(text: &str) -> Result<Option<HistoryPoint>, Problem> {
    let (revision, as_of) = (query::single(text, "revision")?, query::single(text, "as_of")?);
    match (revision, as_of) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Problem::new(Code::InvalidParameter, "give either `revision` or `as_of`, not both")),
        (Some(revision), None) => match number(&revision) {
            Some(revision) => Ok(Some(HistoryPoint::Revision(revision))),
            None => Err(invalid("revision", "it must be a whole number")),
        },
        (None, Some(as_of)) => match parse_micros(&as_of) {
            Some(instant) => Ok(Some(HistoryPoint::AsOf(instant))),
            None => {
                let advice = "it must be a time as in RFC 3339, with `Z` or an offset";
                Err(invalid("as_of", plus_advice(&as_of).unwrap_or(advice)))
            }
        },
    }
}

/// Returns the point that a parameter names: a revision, a snapshot or an instant.
///
/// # Errors
/// The parameter is absent, repeated or malformed.
pub(super) fn required(text: &str, name: &'static str) -> Result<HistoryPoint, Problem> {
    let advice = "it must be a revision, the id of a snapshot, or a time as in RFC 3339";
    let given = query::single(text, name)?.ok_or_else(|| invalid(name, advice))?;
    let point = if given.starts_with("snap_") {
        Some(HistoryPoint::Snapshot(given.to_string()))
    } else {
        number(&given).map(HistoryPoint::Revision).or_else(|| parse_micros(&given).map(HistoryPoint::AsOf))
    };
    point.ok_or_else(|| invalid(name, plus_advice(&given).unwrap_or(advice)))
}

/// Parses a revision. A number that is too large for one is greater than any.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Returns what to do about a value that would be a time if a space in it were a `+`: in a query, a `+` that is not
/// percent-encoded is a space.
fn plus_advice(text: &str) -> Option<&'static str> {
    let is_time = text.contains(' ') && parse_micros(&text.replace(' ', "+")).is_some();
    is_time.then_some("write the `+` of an offset as `%2B`, because a `+` in a query is a space")
}

/// Returns the problem of a parameter that is not valid.
pub(super) fn invalid(name: &str, advice: &str) -> Problem {
    Problem::new(Code::InvalidParameter, format!("the parameter `{name}` is not valid: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_a_revision_a_snapshot_or_an_instant_with_its_offset() {
        let noon = parse_micros("2026-01-20T12:00:00Z").expect("a time");
        for (text, expected) in [
            ("since=17", HistoryPoint::Revision(17)),
            ("since=99999999999999999999", HistoryPoint::Revision(u64::MAX)),
            ("since=snap_x", HistoryPoint::Snapshot("snap_x".to_owned())),
            ("since=2026-01-20T12:00:00Z", HistoryPoint::AsOf(noon)),
            ("since=2026-01-20T17:30:00%2B05:30", HistoryPoint::AsOf(noon)),
            // The clocks of New York go from -05:00 to -04:00: both spellings are one instant.
            ("since=2026-01-20T07:00:00-05:00", HistoryPoint::AsOf(noon)),
            ("since=2026-01-20T08:00:00-04:00", HistoryPoint::AsOf(noon)),
            ("since=2016-12-31T23:59:60Z", HistoryPoint::AsOf(1_483_228_799_999_999)),
        ] {
            assert_eq!(required(text, "since").ok(), Some(expected), "{text}");
        }
        for text in
            ["", "since=", "since=-1", "since=1.5", "since=x", "since=1&since=1", "since=2026-01-20", "since=0x1"]
        {
            assert!(required(text, "since").is_err_and(|problem| problem.is(Code::InvalidParameter)), "{text}");
        }
    }

    #[test]
    fn a_plus_that_is_not_encoded_is_refused_and_the_answer_says_how_to_write_it() {
        let advice = |text: &str| plus_advice(&query::single(text, "t").expect("one").expect("a value")).is_some();
        assert!(advice("t=2026-01-20T17:30:00+05:30") && advice("t=2026-01-20T17:30:00.5%2005:30"));
        for text in ["t=2026-01-20T17:30:00%2B05:30", "t=2026-01-20+17:30:00Z", "t=+", "t=17", "t="] {
            assert!(!advice(text), "{text}");
        }
        for text in ["since=2026-01-20T17:30:00+05:30", "since=2026-01-20T17:30:00%2005:30"] {
            assert!(required(text, "since").is_err_and(|problem| problem.is(Code::InvalidParameter)), "{text}");
        }
        assert!(of_view("as_of=2026-01-20T17:30:00+05:30").is_err());
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
