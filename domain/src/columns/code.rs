//! Codes and numbers of single values.

use super::quasi::Quasi;
use super::row::{ABSENT_COUNT, ABSENT_SUM};
use crate::canonical::CanonicalJson;

/// Returns the code of a word of the field table.
pub(super) fn word(quasi: Quasi, value: Option<&CanonicalJson>) -> u8 {
    let Some(value) = value else { return 0 };
    let place = value.plain_str().and_then(|word| quasi.words().iter().position(|known| *known == word));
    // A profile may hold a word that an earlier release knew.
    place.map_or(quasi.other(), |place| place as u8 + 1)
}

/// Returns the code of a number from 1.
pub(super) fn small_number(quasi: Quasi, value: Option<&CanonicalJson>) -> u8 {
    value.map_or(0, |value| whole(value).clamp(1, u64::from(quasi.other())) as u8)
}

/// Returns a count, which may be [`ABSENT_COUNT`].
pub(super) fn count(value: Option<&CanonicalJson>) -> u8 {
    value.map_or(ABSENT_COUNT, |value| whole(value).min(u64::from(ABSENT_COUNT) - 1) as u8)
}

/// Returns a sum, which may be [`ABSENT_SUM`].
pub(super) fn sum(value: Option<&CanonicalJson>) -> u32 {
    value.map_or(ABSENT_SUM, |value| whole(value).min(u64::from(ABSENT_SUM) - 1) as u32)
}

/// Returns the hundredths of a number from 0 to 1, rounded half up; [`ABSENT_COUNT`] if there is none.
pub(super) fn hundredths(value: Option<&CanonicalJson>) -> u8 {
    let Some(value) = value else { return ABSENT_COUNT };
    let number: f64 = value.as_str().parse().unwrap_or(0.0);
    (number * 100.0).round().clamp(0.0, 100.0) as u8
}

/// Returns a whole number from 0, up to the greatest that there is.
fn whole(value: &CanonicalJson) -> u64 {
    let text = value.as_str();
    // Numbers beyond 10^21 have an exponent. The conversion saturates.
    text.parse().unwrap_or_else(|_| text.parse::<f64>().unwrap_or(0.0) as u64)
}
