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
    let text = value.as_str();
    match text.strip_prefix("0.").map(str::as_bytes) {
        // Nearly all numbers are short fractions. Their digits are read as they stand.
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
            let digit = |place: usize| digits.get(place).map_or(0, |digit| digit - b'0');
            10 * digit(0) + digit(1) + u8::from(digit(2) >= 5)
        }
        _ => (text.parse().unwrap_or(0.0_f64) * 100.0).round().clamp(0.0, 100.0) as u8,
    }
}

/// Returns a whole number from 0, up to the greatest that there is.
fn whole(value: &CanonicalJson) -> u64 {
    let text = value.as_str();
    // Numbers beyond 10^21 have an exponent. The conversion saturates.
    text.parse().unwrap_or_else(|_| text.parse::<f64>().unwrap_or(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundredths_are_rounded_half_up() {
        for (number, expected) in [
            ("0", 0),
            ("1", 100),
            ("0.1", 10),
            ("0.07", 7),
            ("0.35", 35),
            ("0.145", 15),
            ("0.1449", 14),
            ("0.9949", 99),
            ("0.995", 100),
            ("1e-7", 0),
            ("0.000001", 0),
        ] {
            assert_eq!(hundredths(Some(&CanonicalJson::from_canonical(number))), expected, "{number}");
        }
        assert_eq!(hundredths(None), ABSENT_COUNT);
    }

    #[test]
    fn numbers_without_room_are_kept_as_the_greatest() {
        let number = |text| Some(CanonicalJson::from_canonical(text));
        for (text, counted, summed) in
            [("0", 0, 0), ("254", 254, 254), ("255", 254, 255), ("1e+21", 254, ABSENT_SUM - 1)]
        {
            assert_eq!((count(number(text).as_ref()), sum(number(text).as_ref())), (counted, summed), "{text}");
        }
    }
}
