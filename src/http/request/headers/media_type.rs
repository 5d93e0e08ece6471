//! Media types, and ranges of them, with their parameters (RFC 9110, sections 8.3.1 and 12.5.1).
//!
//! The crate `mime` is not used: it refuses ranges that clients send, such as `*`, and allocates for most ranges of
//! every read.

use super::parts;

/// A media type such as `text/html`, or a range such as `text/*`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MediaType<'h> {
    name: &'h str,
    parameters: &'h str,
}

impl<'h> MediaType<'h> {
    /// Separates the type from its parameters. Any text is accepted; a malformed one equals no type.
    pub(crate) fn parse(text: &'h str) -> Self {
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        Self { name: name.trim_ascii(), parameters }
    }

    /// Returns the type without parameters, in the case that it was sent in.
    pub(super) fn name(&self) -> &'h str {
        self.name
    }

    /// Whether this is the type `name`, whatever its parameters and its case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Returns the value of a parameter without its quotes.
    pub(super) fn parameter(&self, name: &str) -> Option<&'h str> {
        let pairs =
            parts(self.parameters.as_bytes(), b';').filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
        let mut values = pairs.filter(|(given, _)| given.trim().eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim().trim_matches('"'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_whatever_its_case_and_parameters() {
        let json = MediaType::parse(" Application/JSON ; charset=utf-8; Version=\"2;0\"");
        assert!(
            json.is("application/json") && !json.is("application/*") && !MediaType::parse("").is("application/json")
        );
        assert_eq!((json.parameter("version"), json.parameter("q")), (Some("2;0"), None));
    }
}
