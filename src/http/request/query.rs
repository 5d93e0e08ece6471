//! Parameters of a query string, decoded as form data (WHATWG URL, section 5.1): percent-encoded, and `+` for a space.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::parameter::Parameter;
use crate::http::problem::{Code, Problem};

/// Returns all values of a parameter, decoded, in their order.
pub(crate) fn all<'a>(query: &'a str, parameter: &Parameter) -> impl Iterator<Item = Cow<'a, str>> {
    let name = parameter.name;
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(move |(given, _)| decode(given) == name).map(|(_, value)| decode(value))
}

/// Whether the query has a parameter, with or without a value.
pub(crate) fn has(query: &str, parameter: &Parameter) -> bool {
    !query.is_empty() && all(query, parameter).next().is_some()
}

/// Returns the value of a parameter that may be given once.
///
/// # Errors
/// The parameter is given several times.
pub(crate) fn single<'a>(query: &'a str, parameter: &Parameter) -> Result<Option<Cow<'a, str>>, Problem> {
    // Most reads have no query.
    if query.is_empty() {
        return Ok(None);
    }
    let mut values = all(query, parameter);
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => {
            let detail = format!("the parameter `{}` must not be repeated", parameter.name);
            Err(Problem::new(Code::InvalidParameter, detail))
        }
    }
}

/// Returns the whole number in a parameter that must be given once.
///
/// # Errors
/// The parameter is absent, repeated or no number.
pub(crate) fn number(query: &str, parameter: &Parameter) -> Result<u64, Problem> {
    single(query, parameter)?.and_then(|given| given.parse().ok()).ok_or_else(|| {
        let detail = format!("the parameter `{}` is not valid: a whole number is needed", parameter.name);
        Problem::new(Code::InvalidParameter, detail)
    })
}

/// Returns the comma-separated list in a parameter. The lists of a repeated parameter are joined.
pub(crate) fn list<'a>(query: &'a str, parameter: &Parameter) -> Option<Cow<'a, str>> {
    if query.is_empty() {
        return None;
    }
    all(query, parameter).reduce(|list, more| format!("{list},{more}").into())
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return text.into();
    }
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn named(name: &'static str) -> Parameter {
        Parameter { name, schema: "{}", description: "", is_list: false, is_required: false }
    }

    #[test]
    fn names_and_values_are_decoded() {
        let query = "a=1&%66ields=eligibility%2Cdeadlines.upcoming&b&&c=x+y%2B&d+e=%zz";
        let value = |name| single(query, &named(name)).expect("one value");
        assert_eq!(value("fields").as_deref(), Some("eligibility,deadlines.upcoming"));
        assert_eq!((value("b").as_deref(), value("c").as_deref()), (Some(""), Some("x y+")));
        assert_eq!((value("d e").as_deref(), value("d"), value("")), (Some("%zz"), None, None));
        assert_eq!(number("b=12", &named("b")).ok(), Some(12));
        assert!(["b=-1", "b=", "b=1&b=1", ""].into_iter().all(|query| number(query, &named("b")).is_err()));
        let has = |query, name| has(query, &named(name));
        assert!(has("as%5Fof=1", "as_of") && !has("as%5fof=1", "as%5fof") && !has("", "a"));
        assert!(has("schema%5Fversion=1.0", "schema_version"));
    }

    #[test]
    fn lists_are_joined_and_single_values_are_not_repeated() {
        let query = "fields=a&x=1&fields=b,%20c&x=1";
        assert_eq!(list(query, &named("fields")).as_deref(), Some("a,b, c"));
        assert_eq!(list(query, &named("y")), None);
        assert!(single(query, &named("x")).is_err_and(|problem| problem.is(Code::InvalidParameter)));
    }
}
