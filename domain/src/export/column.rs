//! The columns that an export may hold: a closed list, which settings can shorten and never extend.

use crate::export::QuasiIdentifier;
use crate::named_enum;
use crate::table::Leaf;

/// What a column is for the protection of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnRole {
    /// The key of a row, which no other export has.
    Key,
    /// Generalised until every class of equal rows has at least k of them.
    QuasiIdentifier(QuasiIdentifier),
    /// Every class has at least l different values.
    Sensitive,
    /// Written as it is.
    Other,
}

/// The type of a column's values. Values of all types but the first can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// 32 bytes; in lines of JSON as lower-case hexadecimal digits.
    Pseudonym,
    /// One of few words, written with a dictionary.
    Word,
    /// An integer from 0.
    Integer,
    /// A list of words.
    Words,
}

macro_rules! columns {
    ($($variant:ident = $name:literal, $role:expr, $kind:ident, [$($leaf:ident),*], $description:literal;)*) => {
        named_enum! {
            /// A column of an export, in the order of the columns of a file.
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub enum ExportColumn { $(#[doc = $description] $variant => $name,)* }
        }

        impl ExportColumn {
            /// Returns what the column is for the protection of persons. The income bracket can be sensitive instead, see
            /// [`ExportRules::role`](crate::export::ExportRules::role).
            #[must_use]
            pub const fn role(self) -> ColumnRole {
                match self { $(Self::$variant => $role),* }
            }

            /// Returns the type of the values.
            #[must_use]
            pub const fn column_type(self) -> ColumnType {
                match self { $(Self::$variant => ColumnType::$kind),* }
            }

            /// Returns one sentence for the schema of a file.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),* }
            }

            /// Returns the leaves of the profile that the values are computed from.
            #[must_use]
            pub const fn sources(self) -> &'static [Leaf] {
                match self { $(Self::$variant => &[$(Leaf::$leaf),*]),* }
            }
        }
    };
}

use ColumnRole::{Key, Other, Sensitive};

const fn quasi(quasi_identifier: QuasiIdentifier) -> ColumnRole {
    ColumnRole::QuasiIdentifier(quasi_identifier)
}

columns! {
    Pseudonym = "pseudonym", Key, Pseudonym, [], "The key of the row, which holds within this export only.";
    AgeBracket = "age_bracket", quasi(QuasiIdentifier::AgeBracket), Word, [IdentityAgeBracket], "The age bracket.";
    Gender = "gender", quasi(QuasiIdentifier::Gender), Word, [IdentityGender], "The gender.";
    Region = "region", quasi(QuasiIdentifier::Place), Word, [DemographicsState], "The region of the country that the state belongs to.";
    State = "state", quasi(QuasiIdentifier::Place), Word, [DemographicsState], "The state or union territory.";
    District = "district", quasi(QuasiIdentifier::Place), Word, [DemographicsState, DemographicsDistrict], "The district within the state.";
    UrbanRural = "urban_rural", quasi(QuasiIdentifier::UrbanRural), Word, [DemographicsUrbanRural], "Urban, rural or between.";
    IncomeBracket = "income_bracket", quasi(QuasiIdentifier::IncomeBracket), Word, [EconomicIncomeBracket], "The income bracket in lakh rupees a year.";
    EmploymentType = "employment_type", quasi(QuasiIdentifier::EmploymentType), Word, [EconomicEmploymentType], "The kind of employment.";
    Category = "category", quasi(QuasiIdentifier::Category), Word, [IdentityCategory], "The social category.";
    FamilySize = "family_size", quasi(QuasiIdentifier::FamilySize), Word, [FamilyMembersCount], "The number of members of the family.";
    ApplicationStatus = "application_status", Sensitive, Word, [EligibilityEligibleSchemes], "The furthest status that an application of the person has.";
    BenefitLapseRisk = "benefit_lapse_risk", Sensitive, Word, [RiskScoresBenefitLapseRisk], "The band of the risk that a benefit lapses.";
    DeadlineMissRisk = "deadline_miss_risk", Sensitive, Word, [RiskScoresDeadlineMissRisk], "The band of the risk that a deadline is missed.";
    DocumentExpiryRisk = "document_expiry_risk", Sensitive, Word, [RiskScoresDocumentExpiryRisk], "The band of the risk that a document expires.";
    TaxPenaltyRisk = "tax_penalty_risk", Sensitive, Word, [RiskScoresTaxPenaltyRisk], "The band of the risk of a tax penalty.";
    OverallRisk = "overall_risk", Sensitive, Word, [RiskScoresOverall], "The band of the overall risk.";
    ProfileCompletenessPct = "profile_completeness_pct", Other, Integer, [ProfileCompletenessPct], "How complete the profile is, in percent.";
    TotalEligible = "total_eligible", Other, Integer, [EligibilityTotalEligible], "The number of schemes that the person is eligible for.";
    TotalApplied = "total_applied", Other, Integer, [EligibilityTotalApplied], "The number of schemes that the person has applied for.";
    TotalActive = "total_active", Other, Integer, [EligibilityTotalActive], "The number of schemes that the person draws a benefit of.";
    PotentialAnnualBenefitInr = "potential_annual_benefit_inr", Other, Integer, [EligibilityPotentialAnnualBenefitInr], "The yearly benefit that the person could draw, in rupees.";
    DeadlinesCompletedLast90d = "deadlines_completed_last_90d", Other, Integer, [DeadlinesCompletedLast90d], "The number of deadlines that were met in the last 90 days.";
    CohortTags = "cohort_tags", Other, Words, [CohortTags], "The tags of the person that at least k persons of the export have.";
}

/// A set of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ColumnSet(u32);

impl ColumnSet {
    /// The set of every column.
    pub const ALL: Self = Self((1 << ExportColumn::COUNT) - 1);

    /// Adds a column.
    pub const fn insert(&mut self, column: ExportColumn) {
        self.0 |= 1 << column as u32;
    }

    /// Returns whether the column is in the set.
    #[must_use]
    pub const fn has(self, column: ExportColumn) -> bool {
        self.0 & (1 << column as u32) != 0
    }

    /// Returns the columns, in the order of a file.
    pub fn iter(self) -> impl Iterator<Item = ExportColumn> {
        ExportColumn::ALL.into_iter().filter(move |column| self.has(*column))
    }
}

impl FromIterator<ExportColumn> for ColumnSet {
    fn from_iter<T: IntoIterator<Item = ExportColumn>>(columns: T) -> Self {
        let mut set = Self::default();
        columns.into_iter().for_each(|column| set.insert(column));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{FIELDS, LeafSet};

    /// Leaves that name or locate one person. No column may come near them.
    const IDENTIFYING: [Leaf; 3] = [Leaf::IdentityDisplayName, Leaf::DemographicsPincode, Leaf::IdentityToken];

    /// Leaves that no column is computed from. A new leaf must be put here, or get a column.
    const NOT_EXPORTED: [Leaf; 21] = [
        Leaf::DeadlinesOverdue,
        Leaf::DeadlinesUpcoming,
        Leaf::ConsentAnalyticsOptIn,
        Leaf::ConsentConsentUpdatedAt,
        Leaf::ConsentDataSharingLevel,
        Leaf::ConsentThirdPartySharing,
        Leaf::DemographicsResidencyYears,
        Leaf::EconomicBplStatus,
        Leaf::EconomicRationCardType,
        Leaf::EconomicTaxRegime,
        Leaf::FamilyChildrenSchoolAge,
        Leaf::FamilyDependents,
        Leaf::FamilyMaritalStatus,
        Leaf::FamilySeniorCitizenDependents,
        Leaf::IdentityDelegationActive,
        Leaf::IdentityVerifiedDocuments,
        Leaf::PredictionsPredictedEvents,
        Leaf::PredictionsRecommendedActions,
        Leaf::TrustDataFreshnessHours,
        Leaf::TrustOverallConfidence,
        Leaf::TrustSourceTrace,
    ];

    #[test]
    fn every_leaf_has_a_column_or_is_named_as_not_exported() {
        let exported: LeafSet =
            ExportColumn::ALL.into_iter().flat_map(|column| column.sources().iter().copied()).collect();
        let withheld: LeafSet = NOT_EXPORTED.into_iter().chain(IDENTIFYING).collect();
        assert!(exported.and(withheld).is_empty(), "{:?}", exported.and(withheld));
        let forgotten = LeafSet::ALL.without(exported).without(withheld);
        assert!(forgotten.is_empty(), "{forgotten:?}");
    }

    #[test]
    fn no_column_has_the_name_of_what_identifies_a_person() {
        let mut names: Vec<_> = IDENTIFYING.iter().flat_map(|leaf| [leaf.field().name, leaf.field().path]).collect();
        names.retain(|name| !name.is_empty());
        names.extend(["profile_id", "user_id", "subject", "profile_hash", "phone", "aadhaar"]);
        for column in ExportColumn::ALL {
            assert!(!names.contains(&column.name()), "{}", column.name());
            assert!(column.description().ends_with('.'));
        }
        assert!(FIELDS.iter().filter(|field| names.contains(&field.path)).count() == 3);
    }

    #[test]
    fn a_set_keeps_its_columns_in_the_order_of_a_file() {
        let set: ColumnSet = [ExportColumn::Gender, ExportColumn::AgeBracket].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [ExportColumn::AgeBracket, ExportColumn::Gender]);
        assert_eq!(ColumnSet::ALL.iter().count(), ExportColumn::COUNT);
    }
}
