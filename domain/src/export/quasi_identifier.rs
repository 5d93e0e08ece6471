//! The attributes by which a person could be recognised together with outside knowledge.

use crate::named_enum;
use crate::table::{Leaf, ValueType};

named_enum! {
    /// A quasi-identifier. The order is that of its bits in a packed key, the first one highest.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum QuasiIdentifier {
        /// The age bracket.
        AgeBracket => "age_bracket",
        /// The gender.
        Gender => "gender",
        /// State and district together, since a district belongs to one state. Values are `state/district`, or `state`
        /// where the district is not known.
        Place => "place",
        /// Urban, rural or between.
        UrbanRural => "urban_rural",
        /// The income bracket.
        IncomeBracket => "income_bracket",
        /// The kind of employment.
        EmploymentType => "employment_type",
        /// The social category.
        Category => "category",
        /// The number of members of the family.
        FamilySize => "family_size",
    }
}

impl QuasiIdentifier {
    /// Returns the leaf that decides the value; for the place, the leaf of the state.
    #[must_use]
    pub const fn leaf(self) -> Leaf {
        match self {
            Self::AgeBracket => Leaf::IdentityAgeBracket,
            Self::Gender => Leaf::IdentityGender,
            Self::Place => Leaf::DemographicsState,
            Self::UrbanRural => Leaf::DemographicsUrbanRural,
            Self::IncomeBracket => Leaf::EconomicIncomeBracket,
            Self::EmploymentType => Leaf::EconomicEmploymentType,
            Self::Category => Leaf::IdentityCategory,
            Self::FamilySize => Leaf::FamilyMembersCount,
        }
    }

    /// Returns every value that the field table allows, as text; empty for the place, whose values are not in the table.
    #[must_use]
    pub fn values(self) -> Vec<String> {
        match self.leaf().field().value {
            ValueType::Enum(words) => words.iter().map(|word| (*word).to_owned()).collect(),
            ValueType::Integer { min, max } => (min..=max).map(|value| value.to_string()).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_table_gives_the_values_of_all_but_the_place() {
        for quasi_identifier in QuasiIdentifier::ALL {
            assert_eq!(quasi_identifier.values().is_empty(), quasi_identifier == QuasiIdentifier::Place);
        }
        assert_eq!(QuasiIdentifier::FamilySize.values().len(), 60);
    }
}
