//! Writes JSON for types that consist of strings, numbers, lists and objects, which cannot fail.

use serde::Serialize;

/// Returns `value` as JSON text.
pub(crate) fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Returns `value` as JSON bytes.
pub(crate) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Returns the members of `object` without the braces around them, so that others can be written beside them.
pub(crate) fn members(object: &impl Serialize) -> String {
    let text = to_text(object);
    text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn members_stand_without_braces() {
        assert_eq!(super::members(&serde_json::json!({"a": {"b": "}"}, "c": [1]})), r#""a":{"b":"}"},"c":[1]"#);
        assert_eq!(super::members(&serde_json::json!({})), "");
    }
}
