//! Conditions over a person, as `facts/schemes.toml` and `facts/deadlines.toml` write them.

use domain::table::{Leaf, LeafSet};
use serde::Deserialize;

use crate::person::Person;
use crate::words::{Category, Employment, Gender, Income, Marital, RationCard, Settlement, TaxRegime, Trait};

/// Conditions on a person, all of which must hold. A trait without a condition does not matter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    age: Option<(u8, u8)>,
    gender: Option<Vec<Gender>>,
    category: Option<Vec<Category>>,
    urban_rural: Option<Vec<Settlement>>,
    income_bracket: Option<Vec<Income>>,
    employment_type: Option<Vec<Employment>>,
    tax_regime: Option<Vec<TaxRegime>>,
    bpl_status: Option<bool>,
    ration_card_type: Option<Vec<RationCard>>,
    marital_status: Option<Vec<Marital>>,
    #[serde(rename = "trait")]
    quality: Option<Trait>,
}

impl Conditions {
    /// Returns whether all conditions hold for the person.
    #[must_use]
    pub fn hold(&self, person: &Person) -> bool {
        // Cheap and selective ones first: this runs for every scheme of every person.
        self.age.is_none_or(|(from, to)| (from..=to).contains(&person.age))
            && among(&self.employment_type, person.work.employment)
            && among(&self.income_bracket, Some(person.means.income))
            && self.quality.is_none_or(|quality| person.traits.has_trait(quality))
            && self.bpl_status.is_none_or(|poor| poor == person.means.poor)
            && among(&self.gender, Some(person.gender))
            && among(&self.category, Some(person.category))
            && among(&self.urban_rural, Some(person.home.settlement))
            && among(&self.tax_regime, person.work.tax_regime)
            && among(&self.ration_card_type, Some(person.means.ration_card))
            && among(&self.marital_status, Some(person.family.marital))
    }

    /// Returns whether a profile shows that the conditions hold. If it does not, the engine infers them and is less
    /// confident.
    #[must_use]
    pub const fn profile_can_tell(&self) -> bool {
        self.quality.is_none()
    }

    /// Returns the leaves of a profile that the conditions depend on.
    #[must_use]
    pub fn leaves(&self) -> LeafSet {
        let named = [
            (self.age.is_some(), Leaf::IdentityAgeBracket),
            (self.gender.is_some(), Leaf::IdentityGender),
            (self.category.is_some(), Leaf::IdentityCategory),
            (self.urban_rural.is_some(), Leaf::DemographicsUrbanRural),
            (self.income_bracket.is_some(), Leaf::EconomicIncomeBracket),
            (self.employment_type.is_some(), Leaf::EconomicEmploymentType),
            (self.tax_regime.is_some(), Leaf::EconomicTaxRegime),
            (self.bpl_status.is_some(), Leaf::EconomicBplStatus),
            (self.ration_card_type.is_some(), Leaf::EconomicRationCardType),
            (self.marital_status.is_some(), Leaf::FamilyMaritalStatus),
        ];
        named.into_iter().filter(|(is_named, _)| *is_named).map(|(_, leaf)| leaf).collect()
    }

    /// Returns whether there are no conditions.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        format!("{self:?}") == format!("{:?}", Self::default())
    }
}

/// Returns whether the value is among the words. A missing value meets no condition.
fn among<T: PartialEq>(words: &Option<Vec<T>>, value: Option<T>) -> bool {
    words.as_ref().is_none_or(|words| value.is_some_and(|value| words.contains(&value)))
}
