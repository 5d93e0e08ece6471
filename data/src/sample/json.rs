//! JSON text without a tree: the words here hold nothing that needs an escape.

/// A string in quotes.
pub(super) fn text(value: &str) -> String {
    format!("\"{value}\"")
}

/// An array of values that are JSON already.
pub(super) fn array(values: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = values.into_iter().collect();
    format!("[{}]", items.join(","))
}

/// An array of strings.
pub(super) fn texts(values: &[&str]) -> String {
    array(values.iter().map(|value| text(value)))
}

/// An object; a member without a value is left out.
pub(super) fn object(members: &[(&str, Option<String>)]) -> String {
    let mut json = String::with_capacity(256);
    for (name, value) in members {
        if let Some(value) = value {
            let before = if json.is_empty() { '{' } else { ',' };
            json.push(before);
            json.push_str(&format!("\"{name}\":{value}"));
        }
    }
    json.push_str(if json.is_empty() { "{}" } else { "}" });
    json
}
