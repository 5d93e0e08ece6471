//! Parameters of a query string.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The first value of the parameter `name`, decoded.
pub(crate) fn find<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    if query.is_empty() {
        return None;
    }
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.into_iter().find(|(given, _)| *given == name)?;
    match value.contains('+') {
        true => Some(percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned().into()),
        false => Some(percent_decode_str(value).decode_utf8_lossy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_is_found_and_decoded() {
        let query = "a=1&fields=eligibility%2Cdeadlines.upcoming&b&fields=no&c=x+y%2B";
        assert_eq!(find(query, "fields").as_deref(), Some("eligibility,deadlines.upcoming"));
        assert_eq!((find(query, "b").as_deref(), find(query, "c").as_deref()), (Some(""), Some("x y+")));
        assert_eq!((find(query, "d"), find("", "a")), (None, None));
    }
}
