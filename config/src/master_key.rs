//! The text form of the master key, which has one or more versions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

use crate::Key;

/// The number of a key that is given without one.
const FIRST_VERSION: u32 = 1;

/// The master key in the versions that are given, by number. There is at least one.
#[derive(Debug)]
pub struct MasterKeys(Vec<(u32, Key)>);

impl MasterKeys {
    /// Parses `3:KEY,2:KEY,1:KEY`: versions in any order, between commas or white space, each with 32 bytes in base64. A key
    /// without a number is version 1. `None` if the text is not of this form, or names a version twice.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let separated = text.split(|letter: char| letter == ',' || letter.is_whitespace());
        let entries = separated.filter(|entry| !entry.is_empty()).map(|entry| match entry.split_once(':') {
            Some((number, key)) => Some((number.parse().ok().filter(|number| *number > 0)?, decode(key)?)),
            None => Some((FIRST_VERSION, decode(entry)?)),
        });
        let mut versions = entries.collect::<Option<Vec<(u32, Key)>>>()?;
        versions.sort_by_key(|(number, _)| *number);
        let is_unique = versions.windows(2).all(|pair| pair[0].0 != pair[1].0);
        (is_unique && !versions.is_empty()).then_some(Self(versions))
    }

    /// Adds a version after the newest, and keeps at most `keep` in all. Returns its number; `None` if there is none left.
    pub(crate) fn add(&mut self, key: Key, keep: usize) -> Option<u32> {
        let number = self.newest().checked_add(1)?;
        self.0.push((number, key));
        let surplus = self.0.len().saturating_sub(keep.max(1));
        self.0.drain(..surplus);
        Some(number)
    }

    /// Returns the text form, the newest version first.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for (number, key) in self.0.iter().rev() {
            let key = Zeroizing::new(STANDARD.encode(key.expose_secret()));
            let separator = if text.is_empty() { "" } else { "," };
            // Reserved at once: growing would leave a copy behind.
            text.reserve(64 * self.0.len());
            text.push_str(separator);
            text.push_str(&number.to_string());
            text.push(':');
            text.push_str(&key);
        }
        text
    }

    /// Returns the greatest number.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.0.last().map_or(0, |(number, _)| *number)
    }

    /// Returns the versions with their numbers, ascending.
    pub fn versions(&self) -> impl Iterator<Item = (u32, &Key)> {
        self.0.iter().map(|(number, key)| (*number, key))
    }
}

/// Decodes 32 bytes in base64.
pub(crate) fn decode(text: &str) -> Option<Key> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    let key: Box<[u8; 32]> = Box::new(bytes.as_slice().try_into().ok()?);
    Some(SecretBox::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const TWOS: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    fn numbers(keys: &MasterKeys) -> Vec<u32> {
        keys.versions().map(|(number, _)| number).collect()
    }

    #[test]
    fn a_plain_key_is_the_first_version_and_others_have_numbers() {
        let keys = MasterKeys::parse(ONES).unwrap();
        assert_eq!((numbers(&keys), keys.newest()), (vec![1], 1));
        for text in [format!("7:{TWOS},{ONES}"), format!("{ONES}\n7:{TWOS}\n"), format!(" 1:{ONES} , 7:{TWOS}")] {
            let keys = MasterKeys::parse(&text).unwrap();
            assert_eq!(numbers(&keys), [1, 7]);
            assert_eq!(keys.to_text().as_str(), format!("7:{TWOS},1:{ONES}"));
        }
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        let short = "c2hvcnQ=";
        for wrong in [
            String::new(),
            " \n".to_owned(),
            format!("0:{ONES}"),
            format!("-1:{ONES}"),
            format!("x:{ONES}"),
            format!("2:{short}"),
            format!("1:{ONES},{TWOS}"),
            format!("4294967296:{ONES}"),
            format!("{ONES}{TWOS}"),
        ] {
            assert!(MasterKeys::parse(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_new_version_pushes_out_the_oldest() {
        let mut keys = MasterKeys::parse(&format!("3:{ONES},2:{ONES},1:{ONES}")).unwrap();
        assert_eq!(keys.add(decode(TWOS).unwrap(), 3), Some(4));
        assert_eq!(numbers(&keys), [2, 3, 4]);
        let mut last = MasterKeys::parse(&format!("{}:{ONES}", u32::MAX)).unwrap();
        assert_eq!(last.add(decode(TWOS).unwrap(), 3), None);
        assert!(!format!("{keys:?}").contains("1, 1"));
    }
}
