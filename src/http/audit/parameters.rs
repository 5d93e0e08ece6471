//! The parameters of a request for entries.

use std::sync::Arc;

use domain::event::time::parse_micros;
use domain::id::UserId;
use domain::port::audit::{AuditActor, AuditCategory};
use domain::port::audit_trail::AuditQuery;

use super::cursor;
use crate::http::problem::{Code, Problem};
use crate::http::request::page::page;
use crate::http::request::parameter::{ACTION, ACTOR, CATEGORY, FROM_TIME, Parameter, SUBJECT, UNTIL};
use crate::http::request::query;

/// Parses the parameters that every caller may use: `category`, `action`, `from`, `until`, `cursor` and `limit`.
///
/// # Errors
/// A parameter is repeated or not valid.
pub(super) fn parse(text: &str) -> Result<AuditQuery, Problem> {
    let (cursor, limit) = page(text, cursor::decode)?;
    let mut parsed = AuditQuery { cursor, ..AuditQuery::newest(limit) };
    if let Some(names) = query::list(text, &CATEGORY) {
        let categories = names.split(',').map(|name| AuditCategory::parse(name.trim()));
        parsed.categories = categories.collect::<Option<_>>().ok_or_else(|| {
            invalid("category", "allowed: `compliance`, `security`, `operations`, separated by commas")
        })?;
    }
    parsed.action = query::single(text, &ACTION)?.map(|action| action.into_owned());
    parsed.from = time(text, &FROM_TIME)?;
    parsed.until = time(text, &UNTIL)?;
    Ok(parsed)
}

/// Parses the parameters `subject` and `actor`, which only auditors may use.
///
/// # Errors
/// A parameter is repeated or not valid.
pub(super) fn parse_people(text: &str, into: &mut AuditQuery) -> Result<(), Problem> {
    if let Some(given) = query::single(text, &SUBJECT)? {
        into.subject = Some(UserId::parse(&given).map_err(|_| invalid("subject", "it must be a user id"))?);
    }
    if let Some(given) = query::single(text, &ACTOR)? {
        into.actor = Some(match (&*given, UserId::parse(&given)) {
            (_, Ok(user)) => AuditActor::Citizen(user),
            ("system", _) => AuditActor::System,
            ("anonymous", _) => AuditActor::Anonymous,
            (name, _) => AuditActor::Caller(Arc::from(name)),
        });
    }
    Ok(())
}

fn time(text: &str, parameter: &Parameter) -> Result<Option<i64>, Problem> {
    let Some(given) = query::single(text, parameter)? else { return Ok(None) };
    parse_micros(&given)
        .map(Some)
        .ok_or_else(|| invalid(parameter.name, "it must be a time as in RFC 3339, with `Z` or an offset"))
}

fn invalid(name: &str, advice: &str) -> Problem {
    Problem::new(Code::InvalidParameter, format!("the parameter `{name}` is not valid: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_a_query() {
        let text = "category=compliance,security&action=profile.read&from=2026-11-01T00:00:00Z&limit=7&subject=usr_7Qm2Xr9TzKpA&actor=adm:a";
        let mut query = parse(text).expect("a query");
        assert_eq!(query.subject, None, "only on request");
        parse_people(text, &mut query).expect("a query");
        assert_eq!(query.categories, [AuditCategory::Compliance, AuditCategory::Security]);
        assert_eq!((query.action.as_deref(), query.limit), (Some("profile.read"), 7));
        assert_eq!(query.from, Some(1_793_491_200_000_000));
        assert_eq!(query.actor, Some(AuditActor::Caller("adm:a".into())));
        assert!(query.subject.is_some() && query.until.is_none());
    }

    #[test]
    fn parameters_that_are_not_valid_are_refused() {
        for text in ["category=all", "from=yesterday", "cursor=x", "limit=0", "limit=201", "limit=5&limit=6"] {
            assert!(parse(text).is_err_and(|problem| problem.is(Code::InvalidParameter)), "{text}");
        }
        assert!(parse_people("subject=you", &mut AuditQuery::newest(1)).is_err());
    }
}
