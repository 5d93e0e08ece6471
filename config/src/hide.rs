//! Hides secrets in the values that errors and `config print` show.

use toml::Value;

/// Returns a value as errors and `config print` show it, without secrets and without passwords in URLs.
pub(crate) fn shown(key: &str, value: &Value) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    let secret = ["secret", "password", "token", "key"];
    if secret.iter().any(|word| name == *word || name.ends_with(&format!("_{word}"))) {
        return "(hidden)".to_owned();
    }
    match value {
        Value::String(text) => without_password(text),
        other => other.to_string(),
    }
}

/// Returns a URL without its user and password.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://(hidden){}", &rest[user.len()..]),
        None => text.to_owned(),
    }
}
