//! The header `Range` (RFC 9110, section 14), of which one range of bytes is served.

/// What part of a file of `length` bytes a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: there is no header, or one that is not understood, which is ignored.
    Whole,
    /// From the first to the last byte.
    Bytes { first: u64, last: u64 },
    /// A range outside of the file.
    Unsatisfiable,
}

/// Reads the header.
pub(super) fn parse(header: Option<&str>, length: u64) -> Part {
    let range = header.and_then(|header| header.trim().strip_prefix("bytes="));
    // Several ranges would need a multipart answer, which RFC 9110 leaves to the server.
    let Some((first, last)) = range.filter(|range| !range.contains(',')).and_then(|range| range.split_once('-')) else {
        return Part::Whole;
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX));
    match (first.trim(), last.trim()) {
        ("", "") => Part::Whole,
        ("", suffix) => match number(suffix) {
            None => Part::Whole,
            Some(0) => Part::Unsatisfiable,
            Some(_) if length == 0 => Part::Unsatisfiable,
            Some(suffix) => Part::Bytes { first: length.saturating_sub(suffix), last: length - 1 },
        },
        (first, last) => {
            let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
            match (number(first), last) {
                (Some(first), Some(last)) if first > last => Part::Whole,
                (Some(first), Some(_)) if first >= length => Part::Unsatisfiable,
                (Some(first), Some(last)) => Part::Bytes { first, last: last.min(length - 1) },
                _ => Part::Whole,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_what_is_not_understood_is_ignored() {
        let bytes = |first, last| Part::Bytes { first, last };
        let cases = [
            (None, Part::Whole),
            (Some("bytes=0-0"), bytes(0, 0)),
            (Some("bytes=2-5"), bytes(2, 5)),
            (Some("bytes=2-"), bytes(2, 9)),
            (Some("bytes=2-99999999999999999999"), bytes(2, 9)),
            (Some("bytes=-3"), bytes(7, 9)),
            (Some("bytes=-30"), bytes(0, 9)),
            (Some("bytes=9-"), bytes(9, 9)),
            (Some("bytes=10-"), Part::Unsatisfiable),
            (Some("bytes=-0"), Part::Unsatisfiable),
            (Some("bytes=5-2"), Part::Whole),
            (Some("bytes=-"), Part::Whole),
            (Some("bytes=a-b"), Part::Whole),
            (Some("bytes=0-1,4-5"), Part::Whole),
            (Some("lines=0-1"), Part::Whole),
        ];
        for (header, part) in cases {
            assert_eq!(parse(header, 10), part, "{header:?}");
        }
        assert_eq!(parse(Some("bytes=0-"), 0), Part::Unsatisfiable);
        assert_eq!(parse(Some("bytes=-5"), 0), Part::Unsatisfiable);
    }
}
