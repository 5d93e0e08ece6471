//! Aadhaar numbers and Indian phone numbers, in groups of digits as people write them.

use super::SensitiveKind;
use super::groups::{Gap, Group, MAX_DIGITS};
use super::{steps, verhoeff};

/// Calls `found` for every number that ends with the last group of the run, with its kind and the index of its first
/// group.
pub(super) fn ending_here(run: &[Group], mut found: impl FnMut(SensitiveKind, usize)) {
    let mut digits = Digits::default();
    for first in (0..run.len()).rev() {
        steps::count(1);
        if !digits.put_before(run[first].digits(), run[first].length) {
            return;
        }
        let groups = &run[first..];
        let kind = if is_aadhaar(groups, digits.all()) {
            SensitiveKind::Aadhaar
        } else if is_phone(groups, digits.all()) {
            SensitiveKind::Phone
        } else {
            continue;
        };
        if kind != SensitiveKind::Phone || !is_inside_helpline(run, first) {
            found(kind, first);
        }
    }
}

/// Digits of some groups, gathered from the last to the first.
struct Digits {
    digits: [u8; MAX_DIGITS],
    start: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self { digits: [0; MAX_DIGITS], start: MAX_DIGITS }
    }
}

impl Digits {
    /// Puts the digits in front. Returns `false` when there are more digits than any number has.
    fn put_before(&mut self, digits: &[u8], length: usize) -> bool {
        let Some(start) = self.start.checked_sub(length) else { return false };
        self.digits[start..self.start].copy_from_slice(digits);
        self.start = start;
        true
    }

    fn all(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// Returns whether there are twelve digits, the first from 2, the last a check digit, in groups in which an Aadhaar
/// number is written.
fn is_aadhaar(groups: &[Group], digits: &[u8]) -> bool {
    digits.len() == 12 && digits[0] >= 2 && is_aadhaar_shaped(groups) && verhoeff::holds(digits)
}

/// Returns whether the groups have the shape of an Aadhaar number. White space may separate the digits anywhere. Other
/// separators also stand in dates, times and network addresses, so with them the groups must be long or of one shape.
/// Marks such as a comma also stand in lists, so with them there must be three groups of four.
fn is_aadhaar_shaped(groups: &[Group]) -> bool {
    if groups.len() > 1 && groups.iter().all(is_year) {
        return false;
    }
    if groups[1..].iter().all(|group| group.gap == Gap::Space) {
        return true;
    }
    // A financial year and a count: `2025-2026-0009`.
    if groups[..2].iter().all(is_year) {
        return false;
    }
    if has_mark(groups) {
        return lengths(groups).eq([4, 4, 4]);
    }
    groups.iter().all(|group| group.length >= 4) || is_even(groups)
}

/// Returns whether a mark such as a comma stands between the groups.
fn has_mark(groups: &[Group]) -> bool {
    groups[1..].iter().any(|group| group.gap == Gap::Mark)
}

fn lengths(groups: &[Group]) -> impl Iterator<Item = usize> {
    groups.iter().map(|group| group.length)
}

/// Returns whether all groups have one length and one separator, which is not one of dates or network addresses.
fn is_even(groups: &[Group]) -> bool {
    let mut gaps = groups[1..].iter().map(|group| group.gap);
    let first = gaps.next();
    lengths(groups).all(|length| length == groups[0].length)
        && gaps.all(|gap| Some(gap) == first)
        && !matches!(first, Some(Gap::Mixed | Gap::Separator('.' | ':')))
}

/// Returns whether the group is a year of the twentieth or twenty-first century: three of them in a row are not an
/// Aadhaar number.
fn is_year(group: &Group) -> bool {
    group.length == 4 && is_in_two_centuries(group.digits())
}

/// Returns whether the digits are an Indian mobile number (ten digits from 6) or a landline number, with or without the
/// prefix of the country or the trunk prefix.
///
/// A landline number is known by its prefix alone: `011-23456789`, `+91 11 2345 6789`.
fn is_phone(groups: &[Group], digits: &[u8]) -> bool {
    if has_mark(groups) {
        return lengths(groups).eq([5, 5]) && digits[0] >= 6;
    }
    match digits {
        [6..=9, rest @ ..] if rest.len() == 9 => is_mobile_shaped(groups),
        [0, rest @ ..] if rest.len() == 10 => is_trunk_call(groups, rest[0]),
        [9, 1, rest @ ..] if groups[0].plus.is_some() => is_abroad(groups, 2, rest),
        [0, 0, 9, 1, rest @ ..] if rest.len() == 10 => is_abroad(groups, 4, rest),
        [9, 1, 6..=9, rest @ ..] if rest.len() == 9 => is_prefixed(groups, 2),
        _ => false,
    }
}

/// Returns whether the groups are long, or are pairs or single digits with one separator that no date has.
fn is_mobile_shaped(groups: &[Group]) -> bool {
    if groups.iter().all(is_long) {
        return !is_number_of_year(groups);
    }
    groups[0].length <= 2 && is_even(groups) && groups[1].gap != Gap::Separator('/')
}

/// Returns whether the groups are a pincode or a file number, followed by a year, a financial year or a month:
/// `712345/2026`, `6001/202526`.
fn is_number_of_year(groups: &[Group]) -> bool {
    let [first, last] = groups else { return false };
    match (first.length, last.digits()) {
        (6, _) => is_year(last),
        (4, digits @ ([1, 9, ..] | [2, 0, ..])) => {
            let (year, rest) = (number(&digits[..4]), number(&digits[4..]));
            rest == (year + 1) % 100 || (1..=12).contains(&rest)
        }
        _ => false,
    }
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(*digit))
}

/// Returns whether the group has at least three digits. A date beside an amount has ten digits too, but a phone number
/// has no shorter group.
fn is_long(group: &Group) -> bool {
    group.length > 2
}

/// Returns whether the first group is the prefix, or begins with it, and the other groups are long.
fn is_prefixed(groups: &[Group], prefix: usize) -> bool {
    groups[0].length >= prefix && groups[1..].iter().all(is_long)
}

/// Returns whether the digits are `0` and ten digits: a mobile number, or a landline number whose area code is a group
/// of its own.
fn is_trunk_call(groups: &[Group], first: u8) -> bool {
    let is_landline = groups.len() > 1 && (3..=5).contains(&groups[0].length);
    is_prefixed(groups, 1) && ((6..=9).contains(&first) || (first > 0 && is_landline))
}

/// Returns whether the digits after `+91` or `0091` are a number of the country that is not a help line. They may
/// include the trunk prefix.
fn is_abroad(groups: &[Group], prefix: usize, number: &[u8]) -> bool {
    let number = match number {
        [0, rest @ ..] if rest.len() == 10 => rest,
        number => number,
    };
    let is_whole =
        groups[0].length >= prefix && groups[1..].iter().all(|group| group.length != 1 || group.digits() == [0]);
    is_whole && number.len() == 10 && number[0] > 0 && !starts_helpline(number)
}

/// Returns whether the digits start a toll-free or shared-cost number. Such numbers belong to offices, and texts may
/// hold them.
fn starts_helpline(digits: &[u8]) -> bool {
    matches!(digits, [1, 8, 0 | 6, 0, ..])
}

/// Returns whether groups that look like a phone number continue the number of a help line: `1800-890-1222-333`.
fn is_inside_helpline(run: &[Group], at: usize) -> bool {
    // A help line's number has neither so many consecutive digits nor such groups.
    if run[at..].len() == 1 || lengths(&run[at..]).eq([5, 5]) {
        return false;
    }
    let mut between = 0;
    for index in (1..=at).rev() {
        steps::count(1);
        let before = &run[index - 1];
        if run[index].gap == Gap::Mark || between >= HELPLINE_DIGITS {
            return false;
        }
        if before.length == 4 && starts_helpline(before.digits()) {
            return true;
        }
        between += before.length;
    }
    false
}

/// The minimum number of digits after `1800` in the number of a help line.
const HELPLINE_DIGITS: usize = 6;

/// Returns whether the groups make a number that no id has by chance: not part of a hash, and not a date with a count.
pub(super) fn stands_alone(kind: SensitiveKind, groups: &[Group]) -> bool {
    let (first, last) = (&groups[0], &groups[groups.len() - 1]);
    let is_apart = !first.mixed_before && !last.letter_after;
    let mut digits = Digits::default();
    let is_whole = groups.iter().rev().all(|group| digits.put_before(group.digits(), group.length));
    let digits = digits.all();
    is_apart
        && is_whole
        && match (kind, groups.len()) {
            (SensitiveKind::Aadhaar, count) => {
                (count == 1 || lengths(groups).eq([4, 4, 4])) && !starts_with_date(digits) && !starts_with_years(digits)
            }
            (_, 1) => true,
            _ => {
                let has_prefix = first.plus.is_some() || digits[0] == 0 || (digits.len() == 12 && first.length == 2);
                has_prefix || lengths(groups).eq([5, 5])
            }
        }
}

/// Returns whether the digits start with a date (`20250131`), as ids of a date and a count do.
fn starts_with_date(digits: &[u8]) -> bool {
    is_in_two_centuries(&digits[..4])
        && (1..=12).contains(&number(&digits[4..6]))
        && (1..=31).contains(&number(&digits[6..8]))
}

/// Returns whether the digits start with two years (`20252026`), as ids of a financial year and a count do.
fn starts_with_years(digits: &[u8]) -> bool {
    is_in_two_centuries(&digits[..4]) && is_in_two_centuries(&digits[4..8])
}

fn is_in_two_centuries(year: &[u8]) -> bool {
    matches!(year, [1, 9, ..] | [2, 0, ..])
}
