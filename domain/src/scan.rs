//! Scanning canonical JSON without parsing it: members and elements are returned as slices of the text.
//!
//! No library: the input is JSON that this server wrote (valid, without white space), so the scan needs no error
//! handling, no tree and no allocation, which every general parser has. Merge, enrich and diff depend on that.

use memchr::memchr2;

/// Returns the members of a canonical object as (name as written between its quotes, raw value).
pub fn members(object: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = object.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or("");
    std::iter::from_fn(move || {
        let name_end = 1 + string_end(rest.get(1..)?.as_bytes())?;
        let name = &rest[1..name_end];
        let after = rest.get(name_end + 2..)?;
        let end = value_end(after);
        rest = after[end..].strip_prefix(',').unwrap_or("");
        Some((name, &after[..end]))
    })
}

/// Returns the raw value of one member of a canonical object.
pub fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    members(object).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Returns where a member of a canonical object begins: the index of the quote before its name.
pub(crate) fn place(object: &str, name: &str) -> Option<usize> {
    let (found, _) = members(object).find(|(found, _)| *found == name)?;
    // The name is a slice of the object.
    Some(found.as_ptr() as usize - object.as_ptr() as usize - 1)
}

/// Returns the content of a string member that holds no escape.
pub fn text_member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    member(object, name)?.strip_prefix('"')?.strip_suffix('"')
}

/// Returns the raw elements of a canonical array.
pub fn elements(array: &str) -> impl Iterator<Item = &str> {
    let mut rest = array.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or("");
    std::iter::from_fn(move || {
        let end = (!rest.is_empty()).then(|| value_end(rest))?;
        let element = &rest[..end];
        rest = rest[end..].strip_prefix(',').unwrap_or("");
        Some(element)
    })
}

/// Returns the index of the closing quote of the string whose content begins at the start of `bytes`.
fn string_end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        from += find_quote(bytes.get(from..)?)?;
        if bytes[from] == b'"' {
            return Some(from);
        }
        from += 2;
    }
}

/// Returns the position of the first quote or backslash. Most strings end within a few words, which takes less than the
/// call of a search that is faster on longer ones.
pub(crate) fn find_quote(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    const WORDS: usize = 4;
    // The lowest marked byte is a zero byte; marks above it may be false.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (mut rest, mut passed) = (text, 0);
    while let Some((word, behind)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(passed + found.trailing_zeros() as usize / 8);
        }
        (rest, passed) = (behind, passed + 8);
        if passed == 8 * WORDS {
            return memchr2(b'"', b'\\', rest).map(|at| passed + at);
        }
    }
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|at| passed + at)
}

/// Returns where the value that begins at the start of `text` ends.
fn value_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'"') => string_end(&bytes[1..]).map_or(bytes.len(), |end| end + 2),
        Some(b'{' | b'[') => nested_end(bytes),
        _ => bytes.iter().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(bytes.len()),
    }
}

/// Returns where the object or array that begins at the start of `bytes` ends.
fn nested_end(bytes: &[u8]) -> usize {
    let (mut depth, mut index) = (0, 0);
    while let Some(byte) = bytes.get(index) {
        index += 1;
        match byte {
            b'"' => index += string_end(&bytes[index..]).map_or(0, |end| end + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return index;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_come_out_as_they_stand() {
        let object = r#"{"a":"x,\"}","b":[1,{"c":"]"}],"d":-1.5,"e":{}}"#;
        let found: Vec<_> = members(object).collect();
        assert_eq!(found, [("a", r#""x,\"}""#), ("b", r#"[1,{"c":"]"}]"#), ("d", "-1.5"), ("e", "{}")]);
        assert_eq!(elements(found[1].1).collect::<Vec<_>>(), ["1", r#"{"c":"]"}"#]);
        assert_eq!(elements("[]").count() + members("{}").count(), 0);
        assert_eq!(text_member(r#"{"id":"x","n":1}"#, "id"), Some("x"));
        assert_eq!(text_member(r#"{"id":"x","n":1}"#, "n"), None);
        assert_eq!(place(object, "d").map(|at| &object[at..at + 4]), Some(r#""d":"#));
        assert_eq!(place(object, "c"), None, "it is not a member of the object itself");
    }

    #[test]
    fn a_quote_or_a_backslash_is_found_at_every_place() {
        for length in 0..80 {
            let mut text = vec![b'x'; length];
            assert_eq!(find_quote(&text), None);
            for at in (0..length).rev() {
                text[at] = if at % 3 == 0 { b'\\' } else { b'"' };
                assert_eq!(find_quote(&text), Some(at), "of {length}");
            }
        }
    }

    #[test]
    fn text_that_is_not_json_ends_without_a_panic() {
        let object = r#"{"a":"x,\"}","b":[1,{"c":"]"}],"d":-1.5}"#;
        for end in 0..object.len() {
            for text in [&object[..end], &format!("{}}}", &object[..end]), &format!("[{}]", &object[..end])] {
                let _ = members(text).count() + elements(text).count() + usize::from(place(text, "d").is_some());
            }
        }
    }
}
