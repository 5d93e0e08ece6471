//! RFC 3339 times.

use jiff::Timestamp;

/// 2000-01-01T00:00:00Z: no observation is older.
pub(crate) const YEAR_2000: i64 = 946_684_800_000_000;

/// Microseconds since the Unix epoch of an RFC 3339 `date-time`; `None` for anything else.
/// Decimals beyond the sixth are cut off.
pub(crate) fn parse_micros(text: &str) -> Option<i64> {
    // jiff reads more forms than RFC 3339 has: only the strict shape gets to it.
    has_shape(text.as_bytes()).then(|| text.parse::<Timestamp>().ok()).flatten().map(Timestamp::as_microsecond)
}

fn has_shape(text: &[u8]) -> bool {
    let Some((head, tail)) = text.split_at_checked(19) else { return false };
    let head_fits = head.iter().zip(b"0000-00-00T00:00:00").all(|(byte, pattern)| match pattern {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't'),
        other => byte == other,
    });
    let zone = match tail.strip_prefix(b".") {
        Some(tail) => {
            let decimals = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&decimals) {
                return false;
            }
            &tail[decimals..]
        }
        None => tail,
    };
    head_fits && is_zone(zone)
}

fn is_zone(zone: &[u8]) -> bool {
    match zone {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            let digits = [h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit);
            digits && (*h1, *h2) <= (b'2', b'3') && *m1 <= b'5'
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_rfc_3339_are_read_to_the_microsecond() {
        assert_eq!(parse_micros("2000-01-01T00:00:00Z"), Some(YEAR_2000));
        assert_eq!(parse_micros("2000-01-01t05:30:00.5+05:30"), Some(YEAR_2000 + 500_000));
        assert_eq!(parse_micros("1999-12-31T23:59:59.1234569-00:00"), Some(YEAR_2000 - 876_544));
    }

    #[test]
    fn other_forms_are_not() {
        for bad in [
            "",
            "2026-01-10",
            "2026-01-10T06:00:00",
            "2026-01-10 06:00:00Z",
            "2026-01-10T06:00Z",
            "2026-01-10T06:00:00.Z",
            "2026-01-10T06:00:00.1234567890Z",
            "2026-01-10T06:00:00+0530",
            "2026-01-10T06:00:00+05:30[Asia/Kolkata]",
            "2026-01-10T06:00:00+24:00",
            "2026-01-10T06:00:00+05:60",
            "2026-02-29T06:00:00Z",
            "2026-13-01T06:00:00Z",
            "2026-01-10T24:00:00Z",
            "20260110T060000Z",
            "２026-01-10T06:00:00Z",
            "9999-12-31T23:59:59-23:00",
        ] {
            assert_eq!(parse_micros(bad), None, "{bad}");
        }
    }
}
