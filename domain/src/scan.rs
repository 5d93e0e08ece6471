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
        let after = &rest[name_end + 2..];
        let end = value_end(after);
        rest = after[end..].strip_prefix(',').unwrap_or("");
        Some((name, &after[..end]))
    })
}

/// Returns the raw value of one member of a canonical object.
pub fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    members(object).find(|(found, _)| *found == name).map(|(_, value)| value)
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
    // The lowest marked byte is a zero byte; marks above it may be false.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut words = text.chunks_exact(8);
    for (index, word) in words.by_ref().take(4).enumerate() {
        let word = u64::from_le_bytes(*word.first_chunk()?);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let passed = text.len().min(32) / 8 * 8;
    let rest = &text[passed..];
    let at = match rest.len() {
        0..8 => rest.iter().position(|byte| matches!(byte, b'"' | b'\\')),
        _ => memchr2(b'"', b'\\', rest),
    };
    at.map(|at| passed + at)
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
        match byte {
            b'"' => index += 1 + string_end(&bytes[index + 1..]).unwrap_or(0),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        index += 1;
        if depth == 0 {
            return index;
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
    }
}
