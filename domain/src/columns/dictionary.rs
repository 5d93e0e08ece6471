//! Dictionaries: words that are not known beforehand, such as the ids of schemes, and their codes.
//!
//! The stored form of the dictionaries:
//!
//! ```text
//! length  field
//!         -- for each dictionary, in the order of `DictionaryKind::ALL`
//!      2  number of words
//!         for each of them, in the order of their codes: length (2 bytes), and the word
//! ```

use std::collections::BTreeMap;

/// The dictionary that a word belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DictionaryKind {
    /// Slugs of states.
    State,
    /// Slugs of districts.
    District,
    /// Ids of schemes.
    Scheme,
    /// Cohort tags.
    Tag,
}

impl DictionaryKind {
    /// Every dictionary.
    pub const ALL: [Self; 4] = [Self::State, Self::District, Self::Scheme, Self::Tag];

    /// Returns the maximum number of words.
    pub const fn bound(self) -> u16 {
        match self {
            Self::State => 62,
            Self::District | Self::Scheme => 4096,
            Self::Tag => 64,
        }
    }

    /// Returns the code of all words that find no room in the dictionary.
    pub const fn other(self) -> u16 {
        self.bound() + 1
    }
}

/// The words of one kind. The code of a word is its place, from 1, and never changes; 0 stands for an absent value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionary {
    words: Vec<Box<str>>,
    codes: BTreeMap<Box<str>, u16>,
}

impl Dictionary {
    /// Returns the words, in the order of their codes.
    pub fn words(&self) -> &[Box<str>] {
        &self.words
    }

    /// Returns the word of a code; `None` for an absent value and for all words without room.
    pub fn word(&self, code: u16) -> Option<&str> {
        self.words.get(usize::from(code.checked_sub(1)?)).map(AsRef::as_ref)
    }

    fn push(&mut self, word: &str) -> u16 {
        let code = self.words.len() as u16 + 1;
        self.words.push(word.into());
        self.codes.insert(word.into(), code);
        code
    }
}

/// The dictionaries of a column store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dictionaries([Dictionary; DictionaryKind::ALL.len()]);

impl Dictionaries {
    /// Returns one of the dictionaries.
    pub fn get(&self, kind: DictionaryKind) -> &Dictionary {
        &self.0[kind as usize]
    }

    /// Returns the code of a word; `None` if the word is new and there is room for it.
    pub fn code(&self, kind: DictionaryKind, word: &str) -> Option<u16> {
        let dictionary = self.get(kind);
        let is_full = dictionary.words.len() >= usize::from(kind.bound());
        dictionary.codes.get(word).copied().or(is_full.then_some(kind.other()))
    }

    /// Returns the code of a word. A new word is added, if there is room for it.
    pub fn add(&mut self, kind: DictionaryKind, word: &str) -> u16 {
        self.code(kind, word).unwrap_or_else(|| self.0[kind as usize].push(word))
    }

    /// Returns the stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for dictionary in &self.0 {
            out.extend_from_slice(&(dictionary.words.len() as u16).to_le_bytes());
            for word in &dictionary.words {
                // Words are far shorter: the feeds accept ids of some hundred bytes.
                let word = &word.as_bytes()[..word.len().min(usize::from(u16::MAX))];
                out.extend_from_slice(&(word.len() as u16).to_le_bytes());
                out.extend_from_slice(word);
            }
        }
        out
    }

    /// Returns the dictionaries of a stored form.
    ///
    /// # Errors
    /// The bytes are not what [`Self::to_bytes`] made.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, ReadFault> {
        let mut dictionaries = Self::default();
        for kind in DictionaryKind::ALL {
            for number in 1..=take_number(&mut bytes)? {
                let length = usize::from(take_number(&mut bytes)?);
                let (word, rest) = bytes.split_at_checked(length).ok_or(ReadFault)?;
                bytes = rest;
                let word = std::str::from_utf8(word).map_err(|_| ReadFault)?;
                if dictionaries.add(kind, word) != number {
                    return Err(ReadFault);
                }
            }
        }
        if bytes.is_empty() { Ok(dictionaries) } else { Err(ReadFault) }
    }
}

fn take_number(bytes: &mut &[u8]) -> Result<u16, ReadFault> {
    let (number, rest) = bytes.split_first_chunk().ok_or(ReadFault)?;
    *bytes = rest;
    Ok(u16::from_le_bytes(*number))
}

/// The error for stored columns that are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored columns are not what was written")]
pub struct ReadFault;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_its_code_and_words_without_room_share_one() {
        let mut dictionaries = Dictionaries::default();
        let kind = DictionaryKind::Tag;
        for number in 1..=kind.bound() {
            assert_eq!(dictionaries.code(kind, &format!("tag-{number}")), None);
            assert_eq!(dictionaries.add(kind, &format!("tag-{number}")), number);
        }
        for number in 1..=kind.bound() + 2 {
            let code = dictionaries.add(kind, &format!("tag-{number}"));
            assert_eq!(code, number.min(kind.other()));
            assert_eq!(dictionaries.get(kind).word(code).is_some(), number <= kind.bound());
        }
        assert_eq!(dictionaries.get(kind).word(0), None);
        assert_eq!(dictionaries.get(kind).words().len(), 64);
    }

    #[test]
    fn dictionaries_read_back_and_anything_else_is_refused() {
        let mut dictionaries = Dictionaries::default();
        for (kind, word) in [
            (DictionaryKind::Tag, "a"),
            (DictionaryKind::State, "goa"),
            (DictionaryKind::Scheme, ""),
            (DictionaryKind::Tag, "ü"),
        ] {
            dictionaries.add(kind, word);
        }
        let bytes = dictionaries.to_bytes();
        assert_eq!(Dictionaries::from_bytes(&bytes), Ok(dictionaries));
        for end in 0..bytes.len() {
            assert_eq!(Dictionaries::from_bytes(&bytes[..end]), Err(ReadFault));
        }
        assert_eq!(Dictionaries::from_bytes(&[&bytes[..], &[0]].concat()), Err(ReadFault), "a tail");
        let twice = [0, 0, 0, 0, 0, 0, 2, 0, 1, 0, b'a', 1, 0, b'a'];
        assert_eq!(Dictionaries::from_bytes(&twice), Err(ReadFault), "a word with two codes");
    }
}
