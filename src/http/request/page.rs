//! The parameters `limit` and `cursor` of lists that are answered in pages.

use super::parameter::{CURSOR, LIMIT};
use super::query;
use crate::http::problem::{Code, Problem};

/// Number of items of a page by default.
const DEFAULT_LIMIT: usize = 50;
/// Maximum number of items of a page.
const MAX_LIMIT: usize = 200;

/// Returns where the page begins that is asked for, and how many items it has at most. `decode` reads a cursor, and returns `None`
/// for one that no page gave.
///
/// # Errors
/// A parameter is repeated or not valid.
pub(crate) fn page<T>(text: &str, decode: impl Fn(&str) -> Option<T>) -> Result<(Option<T>, usize), Problem> {
    let invalid = |detail| Problem::new(Code::InvalidParameter, detail);
    let limit = match query::single(text, &LIMIT)? {
        None => DEFAULT_LIMIT,
        Some(given) => {
            let limit = given.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            limit.ok_or_else(|| invalid(format!("`limit` must be an integer from 1 to {MAX_LIMIT}")))?
        }
    };
    let start = query::single(text, &CURSOR)?.map(|given| {
        decode(&given).ok_or_else(|| invalid("`cursor` must be the `next_cursor` of the page before".to_owned()))
    });
    Ok((start.transpose()?, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_the_api_has_the_same_bounds() {
        let schema: serde_json::Value = serde_json::from_str(LIMIT.schema).expect("a schema");
        assert_eq!((&schema["default"], &schema["maximum"]), (&DEFAULT_LIMIT.into(), &MAX_LIMIT.into()));
    }

    #[test]
    fn a_page_has_50_items_unless_the_caller_says_otherwise() {
        let page = |text| page(text, |cursor| cursor.strip_prefix('c')?.parse::<u8>().ok());
        assert_eq!(page("").ok(), Some((None, 50)));
        assert_eq!(page("limit=200&cursor=c7").ok(), Some((Some(7), 200)));
        let bad = [
            "limit=0",
            "limit=201",
            "limit=x",
            "limit=",
            "cursor=x",
            "cursor=",
            "limit=1&limit=2",
            "cursor=c1&cursor=c1",
        ];
        for text in bad {
            assert!(page(text).is_err_and(|problem| problem.is(Code::InvalidParameter)), "{text}");
        }
    }
}
