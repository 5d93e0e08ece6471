//! How much of a leaf's value a schema version shows.

use std::borrow::Cow;

use crate::scan;

/// How much of a leaf's value a schema version shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projection {
    /// All of it.
    Whole,
    /// Of each item of the list, these members only.
    ItemMembers(&'static [&'static str]),
}

impl Projection {
    /// Returns what the version shows of a value in canonical form, in canonical form.
    pub(crate) fn apply(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Whole => Cow::Borrowed(value),
            Self::ItemMembers(names) => Cow::Owned(list(value, names)),
        }
    }
}

fn list(value: &str, names: &[&str]) -> String {
    let mut out = String::with_capacity(value.len());
    out.push('[');
    for item in scan::elements(value) {
        if out.len() > 1 {
            out.push(',');
        }
        let mut open = '{';
        for (name, value) in scan::members(item).filter(|(name, _)| names.contains(name)) {
            out.push(open);
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            out.push_str(value);
            open = ',';
        }
        if open == '{' {
            out.push('{');
        }
        out.push('}');
    }
    out.push(']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_that_are_named_stay_in_their_order() {
        let apply = |value| Projection::ItemMembers(&["id", "b"]).apply(value).into_owned();
        assert_eq!(apply("[]"), "[]");
        assert_eq!(
            apply(r#"[{"a":[1,{"id":2}],"b":"x,}","id":"1"},{"b":3},{"c":1}]"#),
            r#"[{"b":"x,}","id":"1"},{"b":3},{}]"#
        );
        assert_eq!(Projection::Whole.apply(r#"{"a":1}"#), r#"{"a":1}"#);
    }
}
