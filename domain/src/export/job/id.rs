//! The id of an export job.

use std::fmt;

/// The id of an export job: `exp_` and 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExportJobId([u8; 16]);

impl ExportJobId {
    /// Creates an id from 16 random bytes.
    #[must_use]
    pub const fn from_random(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// Returns the id of that text; `None` if it has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("exp_").filter(|digits| digits.len() == 32)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        digits.bytes().all(is_digit).then_some(())?;
        u128::from_str_radix(digits, 16).ok().map(|number| Self(number.to_be_bytes()))
    }

    /// Returns the 16 bytes, which are the key of the registry's entries.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns the id from a key of the registry; `None` if it has another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for ExportJobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exp_{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_parsed_as_it_is_printed() {
        let id = ExportJobId::from_random([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff]);
        assert_eq!(id.to_string(), "exp_000102030405060708090a0b0c0d0eff");
        assert_eq!(ExportJobId::parse(&id.to_string()), Some(id));
        assert_eq!(ExportJobId::from_bytes(id.as_bytes()), Some(id));
        for text in [
            "exp_",
            "exp_000102030405060708090A0b0c0d0eff",
            "exp_+00102030405060708090a0b0c0d0eff",
            "000102030405060708090a0b0c0d0eff",
        ] {
            assert_eq!(ExportJobId::parse(text), None, "{text}");
        }
    }
}
