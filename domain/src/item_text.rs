//! Items of lists as a section shows them: the text of a register with one member put in or exchanged.

use crate::canonical::write_integer;
use crate::scan;

/// Appends a deadline's details with `days_remaining` in its canonical place, before `deadline_id`.
pub(crate) fn push_with_days(out: &mut String, details: &str, days: i32) {
    let place = scan::place(details, "deadline_id").unwrap_or(1);
    out.push_str(&details[..place]);
    out.push_str("\"days_remaining\":");
    write_integer(out, i64::from(days));
    out.push(',');
    out.push_str(&details[place..]);
}

/// The member of a scheme that holds its status.
const NAME: &str = "application_status";

/// Appends a scheme with `status` in place of `own`, the status that it has.
pub(crate) fn push_with_status(out: &mut String, scheme: &str, own: &str, status: &str) {
    let place = if own == status { None } else { scan::place(scheme, NAME) };
    let Some(place) = place else { return out.push_str(scheme) };
    let start = place + NAME.len() + 3;
    out.push_str(&scheme[..start]);
    out.push_str(status);
    out.push_str(&scheme[start + own.len()..]);
}
