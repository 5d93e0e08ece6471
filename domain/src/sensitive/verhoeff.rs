//! J. Verhoeff, *Error Detecting Decimal Codes* (1969): a check digit in the dihedral group of order ten.

/// Returns whether the last digit is the check digit of the others.
pub(super) fn holds(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let check = digits.iter().rev().enumerate().fold(0, |check, (position, digit)| {
        // The permutation has order eight.
        let permuted = (0..position % 8).fold(*digit, |digit, _| PERMUTATION[usize::from(digit)]);
        dihedral_product(check, permuted)
    });
    check == 0
}

/// Returns the product in D5: 0–4 are rotations, 5–9 reflections.
fn dihedral_product(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b) % 5 + 5,
        (false, true) => (a - b + 5) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_catches_every_single_error() {
        assert!(holds(&[2, 3, 6, 3]), "the textbook example");
        let good = [2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 6];
        assert!(holds(&good));
        for place in 0..12 {
            for digit in (0..10).filter(|digit| *digit != good[place]) {
                let mut wrong = good;
                wrong[place] = digit;
                assert!(!holds(&wrong));
            }
        }
    }
}
