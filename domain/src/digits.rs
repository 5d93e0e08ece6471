//! Decimal digits as text that is made when the crate is compiled.

/// "00" to "99".
static PAIRS: &str = text(&PAIR_BYTES);
static PAIR_BYTES: [u8; 200] = pairs();
/// "0.00" to "0.99".
static FRACTIONS: &str = text(&FRACTION_BYTES);
static FRACTION_BYTES: [u8; 400] = fractions();

const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("digits are text"),
    }
}

const fn pairs() -> [u8; 200] {
    let mut pairs = [0; 200];
    let mut value = 0;
    while value < 100 {
        pairs[value * 2] = b'0' + value as u8 / 10;
        pairs[value * 2 + 1] = b'0' + value as u8 % 10;
        value += 1;
    }
    pairs
}

const fn fractions() -> [u8; 400] {
    let mut fractions = [0; 400];
    let mut value = 0;
    while value < 100 {
        fractions[value * 4] = b'0';
        fractions[value * 4 + 1] = b'.';
        fractions[value * 4 + 2] = b'0' + value as u8 / 10;
        fractions[value * 4 + 3] = b'0' + value as u8 % 10;
        value += 1;
    }
    fractions
}

/// Returns the two digits of a number below 100.
pub(crate) fn pair(value: usize) -> &'static str {
    PAIRS.get(value * 2..value * 2 + 2).unwrap_or_default()
}

/// Returns "0.5" or "0.55" of a number of hundredths below 100.
pub(crate) fn fraction(hundredths: usize) -> &'static str {
    let digits = 4 - usize::from(hundredths.is_multiple_of(10));
    FRACTIONS.get(hundredths * 4..hundredths * 4 + digits).unwrap_or_default()
}

/// Returns a number below 100 without zeros in front; `None` for any other.
pub(crate) fn small(value: i64) -> Option<&'static str> {
    match value {
        0..10 => Some(pair(value as usize).split_at(1).1),
        10..100 => Some(pair(value as usize)),
        _ => None,
    }
}

/// Appends a number without zeros in front.
pub(crate) fn push_number(out: &mut String, value: u64) {
    match small(i64::try_from(value).unwrap_or(i64::MAX)) {
        Some(digits) => out.push_str(digits),
        None => {
            push_number(out, value / 100);
            out.push_str(pair((value % 100) as usize));
        }
    }
}
