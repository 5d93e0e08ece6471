//! The words of enumerations as types: those of the field table, and the traits that no profile holds.
//!
//! Own macro and not `domain::named_enum`, since the words are also read from TOML.

use serde::Deserialize;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
        #[repr(u8)]
        pub enum $name { $(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $variant),* }

        impl $name {
            /// Every word, in the order of the field table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the word, as events and profiles have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    )*};
}

words! {
    /// `identity.age_bracket`.
    AgeBracket { Child = "0-17", Young = "18-29", Thirties = "30-40", Middle = "41-59", Senior = "60+" }
    /// `identity.gender`.
    Gender { Male = "male", Female = "female", Other = "other", Undisclosed = "undisclosed" }
    /// `identity.category`.
    Category { General = "general", Obc = "obc", Sc = "sc", St = "st", Ews = "ews" }
    /// The documents that `identity.verified_documents` may name.
    Document {
        Aadhaar = "aadhaar", DrivingLicence = "driving_licence", Pan = "pan", Passport = "passport",
        RationCard = "ration_card", VoterId = "voter_id",
    }
    /// `demographics.urban_rural`.
    Settlement { Urban = "urban", Rural = "rural", SemiUrban = "semi_urban" }
    /// `economic.income_bracket`: of the household, a year.
    Income { UpTo2_5 = "0-2.5L", UpTo5 = "2.5L-5L", UpTo10 = "5L-10L", UpTo20 = "10L-20L", Over20 = "20L+" }
    /// `economic.employment_type`.
    Employment {
        Salaried = "salaried", SelfEmployed = "self_employed", Business = "business", Agriculture = "agriculture",
        Pension = "pension", Unemployed = "unemployed", Student = "student",
    }
    /// `economic.tax_regime`.
    TaxRegime { Old = "old", New = "new", None = "none" }
    /// `economic.ration_card_type`.
    RationCard { Apl = "APL", Bpl = "BPL", Aay = "AAY", Phh = "PHH", None = "none" }
    /// `family.marital_status`.
    Marital { Single = "single", Married = "married", Widowed = "widowed", Divorced = "divorced" }
    /// `consent.data_sharing_level`.
    Sharing { Minimal = "minimal", Standard = "standard", Full = "full" }
    /// `application_status` of a scheme.
    Status {
        NotApplied = "not_applied", Applied = "applied", UnderReview = "under_review", Approved = "approved",
        Rejected = "rejected", Active = "active", Lapsed = "lapsed",
    }
    /// `priority` of a deadline.
    Priority { Low = "low", Medium = "medium", High = "high", Critical = "critical" }
    /// `trust.overall_confidence`.
    Confidence { Low = "low", Medium = "medium", High = "high" }
    /// Traits that schemes ask for and no profile holds.
    Trait {
        OwnsLand = "owns_land", StreetVendor = "street_vendor", Artisan = "artisan", Expecting = "expecting",
        GirlUnder10 = "girl_under_10", Disabled = "disabled", NoPuccaHouse = "no_pucca_house", OwnsRoof = "owns_roof",
    }
}

impl AgeBracket {
    /// Returns the bracket of an age in completed years.
    #[must_use]
    pub const fn for_age(age: u8) -> Self {
        match age {
            0..=17 => Self::Child,
            18..=29 => Self::Young,
            30..=40 => Self::Thirties,
            41..=59 => Self::Middle,
            _ => Self::Senior,
        }
    }
}

/// A set of documents or traits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WordSet(u8);

impl WordSet {
    /// Adds a document if `is_present`.
    pub(crate) fn document(&mut self, document: Document, is_present: bool) {
        self.0 |= u8::from(is_present) << document as u8;
    }

    /// Adds a trait if `is_present`.
    pub(crate) fn quality(&mut self, quality: Trait, is_present: bool) {
        self.0 |= u8::from(is_present) << quality as u8;
    }

    /// Returns whether the set has the document.
    #[must_use]
    pub const fn has_document(self, document: Document) -> bool {
        self.0 & (1 << document as u8) != 0
    }

    /// Returns whether the set has the trait.
    #[must_use]
    pub const fn has_trait(self, quality: Trait) -> bool {
        self.0 & (1 << quality as u8) != 0
    }

    /// Returns how many words are in the set.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::table::{DOCUMENTS, Leaf, ValueType};

    #[track_caller]
    fn check(path: &str, words: impl Iterator<Item = &'static str>) {
        let ValueType::Enum(expected) = Leaf::parse(path).unwrap().field().value else { panic!("{path}") };
        assert_eq!(words.collect::<Vec<_>>(), expected, "{path}");
    }

    #[test]
    fn the_words_are_those_of_the_field_table() {
        check("identity.age_bracket", AgeBracket::ALL.iter().map(|word| word.name()));
        check("identity.gender", Gender::ALL.iter().map(|word| word.name()));
        check("identity.category", Category::ALL.iter().map(|word| word.name()));
        check("demographics.urban_rural", Settlement::ALL.iter().map(|word| word.name()));
        check("economic.income_bracket", Income::ALL.iter().map(|word| word.name()));
        check("economic.employment_type", Employment::ALL.iter().map(|word| word.name()));
        check("economic.tax_regime", TaxRegime::ALL.iter().map(|word| word.name()));
        check("economic.ration_card_type", RationCard::ALL.iter().map(|word| word.name()));
        check("family.marital_status", Marital::ALL.iter().map(|word| word.name()));
        check("consent.data_sharing_level", Sharing::ALL.iter().map(|word| word.name()));
        check("trust.overall_confidence", Confidence::ALL.iter().map(|word| word.name()));
        assert!(Document::ALL.iter().map(|word| word.name()).eq(DOCUMENTS));
    }

    #[test]
    fn brackets_hold_their_ages() {
        for (age, name) in [(0, "0-17"), (17, "0-17"), (18, "18-29"), (40, "30-40"), (41, "41-59"), (60, "60+")] {
            assert_eq!(AgeBracket::for_age(age).name(), name);
        }
    }
}
