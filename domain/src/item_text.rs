//! Items of lists as a section shows them: the text of a register with one member put in or exchanged.

use crate::canonical::write_integer;

/// Appends a deadline's details with `days_remaining` in its canonical place, before `deadline_id`.
pub(crate) fn push_with_days(out: &mut String, details: &str, days: i32) {
    // A quote within a string is escaped, so this text can only be the member's name.
    let place = details.find("\"deadline_id\":").unwrap_or(1);
    out.push_str(&details[..place]);
    out.push_str("\"days_remaining\":");
    write_integer(out, i64::from(days));
    out.push(',');
    out.push_str(&details[place..]);
}

/// Appends a scheme with `status` in place of `own`, the status that it has.
pub(crate) fn push_with_status(out: &mut String, scheme: &str, own: &str, status: &str) {
    const NAME: &str = "\"application_status\":";
    // A quote within a string is escaped, so this text can only be the member's name.
    let Some(name) = scheme.find(NAME).filter(|_| own != status) else { return out.push_str(scheme) };
    let start = name + NAME.len();
    out.push_str(&scheme[..start]);
    out.push_str(status);
    out.push_str(&scheme[start + own.len()..]);
}
