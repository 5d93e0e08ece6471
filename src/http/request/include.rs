//! `include`: what is added to an answer when it is asked for. The only thing so far is `provenance`.

use super::parameter::INCLUDE;
use super::query;
use crate::http::problem::{Code, Problem};

/// Returns whether the query asks for provenance.
///
/// # Errors
/// `include` names something else.
pub(crate) fn asks_for_provenance(query: &str) -> Result<bool, Problem> {
    query::list(query, &INCLUDE).map_or(Ok(false), |names| has_provenance(names.split(',').map(str::trim)))
}

/// Returns whether a list of what to include has `provenance`.
///
/// # Errors
/// The list names something else.
pub(crate) fn has_provenance<'a>(names: impl Iterator<Item = &'a str>) -> Result<bool, Problem> {
    let mut is_asked_for = false;
    for name in names {
        if name != "provenance" {
            return Err(Problem::new(Code::InvalidParameter, "`include` may be `provenance`"));
        }
        is_asked_for = true;
    }
    Ok(is_asked_for)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_can_be_included() {
        assert!(matches!(asks_for_provenance("include=provenance"), Ok(true)));
        assert!(matches!(asks_for_provenance("fields=trust"), Ok(false)));
        for query in ["include=", "include=history", "include=provenance,x", "include=provenance&include=x"] {
            assert!(asks_for_provenance(query).is_err_and(|problem| problem.is(Code::InvalidParameter)), "{query}");
        }
        assert!(matches!(has_provenance(std::iter::empty()), Ok(false)));
    }
}
