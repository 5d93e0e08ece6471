//! Times in tokens: the `NumericDate` of RFC 7519, section 2.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds in a second.
const MICROS: i64 = 1_000_000;

/// A time in microseconds since the Unix epoch. In JSON it is a number of seconds, which may have a fraction or
/// exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NumericDate(i64);

impl NumericDate {
    /// Returns the time that is `seconds` after the Unix epoch.
    pub(crate) const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS))
    }

    /// Returns the microseconds since the Unix epoch.
    pub(crate) const fn micros(self) -> i64 {
        self.0
    }

    /// Returns the seconds since the Unix epoch, rounded down.
    pub(crate) const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS)
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let micros = f64::deserialize(deserializer)? * MICROS as f64;
        // The cast saturates at about 292,000 years from now, which is late enough for any token.
        Ok(Self(micros.round() as i64))
    }
}

impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % MICROS {
            0 => serializer.serialize_i64(self.0 / MICROS),
            _ => serializer.serialize_f64(self.0 as f64 / MICROS as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_seconds_is_a_time() {
        for (text, micros) in [
            ("1795906764", 1_795_906_764_000_000),
            ("1795906764.5", 1_795_906_764_500_000),
            ("1795906764.0", 1_795_906_764_000_000),
            ("1.795906764e9", 1_795_906_764_000_000),
            ("1795906764.123456", 1_795_906_764_123_456),
            ("-0.5", -500_000),
            ("-1e300", i64::MIN),
        ] {
            let time: NumericDate = serde_json::from_str(text).expect(text);
            assert_eq!(time.micros(), micros, "{text}");
            let again = serde_json::to_string(&time).expect("a number");
            assert_eq!(serde_json::from_str::<NumericDate>(&again).ok(), Some(time), "{again}");
        }
        assert_eq!(NumericDate(-1).seconds(), -1);
        assert_eq!(serde_json::to_string(&NumericDate::from_seconds(7)).ok().as_deref(), Some("7"));
        for text in ["\"1795906764\"", "null", "1e400", "true", "[1]"] {
            assert!(serde_json::from_str::<NumericDate>(text).is_err(), "{text}");
        }
    }
}
