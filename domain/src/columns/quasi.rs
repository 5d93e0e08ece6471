//! The quasi-identifiers of a row, packed into 31 bits.

use super::dictionary::DictionaryKind;
use crate::table::{Leaf, ValueType};

/// A quasi-identifier of few values: what is publicly known about a person and could name one in combination. The district
/// has a column of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quasi {
    /// `identity.age_bracket`.
    AgeBracket,
    /// `identity.gender`.
    Gender,
    /// `demographics.state`, a code of its dictionary.
    State,
    /// `demographics.urban_rural`.
    UrbanRural,
    /// `economic.income_bracket`.
    IncomeBracket,
    /// `economic.employment_type`.
    EmploymentType,
    /// `identity.category`.
    Category,
    /// `family.members_count`: the number itself.
    MembersCount,
}

impl Quasi {
    /// Every quasi-identifier.
    pub const ALL: [Self; 8] = [
        Self::AgeBracket,
        Self::Gender,
        Self::State,
        Self::UrbanRural,
        Self::IncomeBracket,
        Self::EmploymentType,
        Self::Category,
        Self::MembersCount,
    ];

    /// Returns the leaf that it shows.
    pub const fn leaf(self) -> Leaf {
        match self {
            Self::AgeBracket => Leaf::IdentityAgeBracket,
            Self::Gender => Leaf::IdentityGender,
            Self::State => Leaf::DemographicsState,
            Self::UrbanRural => Leaf::DemographicsUrbanRural,
            Self::IncomeBracket => Leaf::EconomicIncomeBracket,
            Self::EmploymentType => Leaf::EconomicEmploymentType,
            Self::Category => Leaf::IdentityCategory,
            Self::MembersCount => Leaf::FamilyMembersCount,
        }
    }

    /// Returns the number of bits of its code.
    pub const fn bits(self) -> u32 {
        match self {
            Self::AgeBracket | Self::Gender | Self::UrbanRural | Self::IncomeBracket | Self::Category => 3,
            Self::EmploymentType => 4,
            Self::State | Self::MembersCount => 6,
        }
    }

    /// Returns the code of a value that has no code of its own: the greatest that there is room for. 0 stands for an absent
    /// value. The codes of words are their places in the field table, from 1.
    pub const fn other(self) -> u8 {
        (1 << self.bits()) - 1
    }

    /// Returns the place of its lowest bit.
    const fn shift(self) -> u32 {
        let (mut shift, mut index) = (0, 0);
        while index < self as usize {
            shift += Self::ALL[index].bits();
            index += 1;
        }
        shift
    }

    /// Returns the words of its leaf, whose codes are their places from 1; none for a number and for the state.
    pub fn words(self) -> &'static [&'static str] {
        match self.leaf().field().value {
            ValueType::Enum(words) => words,
            _ => &[],
        }
    }

    pub(super) const fn get(self, packed: u32) -> u8 {
        (packed >> self.shift()) as u8 & self.other()
    }

    pub(super) const fn set(self, packed: u32, code: u8) -> u32 {
        let mask = (self.other() as u32) << self.shift();
        packed & !mask | (code as u32) << self.shift() & mask
    }
}

const _: () = assert!(Quasi::MembersCount.shift() + Quasi::MembersCount.bits() <= u32::BITS);
const _: () = assert!(Quasi::State.other() as u16 == DictionaryKind::State.other());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_code_and_codes_do_not_touch_each_other() {
        for (index, quasi) in Quasi::ALL.into_iter().enumerate() {
            assert_eq!(quasi as usize, index);
            assert!(quasi.words().len() < usize::from(quasi.other()), "{quasi:?}");
            for others in [0, u32::MAX] {
                for code in 0..=quasi.other() {
                    let packed = quasi.set(others, code);
                    assert_eq!(quasi.get(packed), code);
                    let unchanged = Quasi::ALL.into_iter().filter(|other| *other != quasi);
                    assert!(unchanged.into_iter().all(|other| other.get(packed) == other.get(others)), "{quasi:?}");
                }
            }
        }
    }
}
