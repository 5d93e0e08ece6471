//! The field table: the single source of truth for validation, owner, class, weight, masks and the JSON Schema.

use crate::source::Source;

/// How sensitive a field is. Classes steer audit, redaction and errors; the access table alone decides who sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// G: general.
    General,
    /// Y: sensitive.
    Sensitive,
}

/// The weight of a field in completeness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// C, counts 3.
    Critical,
    /// O, counts 2.
    Optional,
    /// N, counts 1.
    NiceToHave,
    /// Does not count in completeness.
    None,
}

/// The owner of a field, which may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This source alone.
    Source(Source),
    /// Identity's address, metadata and self, decided by Winner.
    Shared,
    /// Nobody: the server computes it, and refuses it at the feed.
    Derived,
}

/// The type of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`.
    Bool,
    /// An integer in a closed range.
    Integer {
        /// The smallest value that is allowed.
        min: i64,
        /// The greatest value that is allowed.
        max: i64,
    },
    /// A number from 0 to 1.
    Fraction,
    /// An integer from 0; derived only.
    Count,
    /// An integer from 0 to 100; derived only.
    Percent,
    /// A number of hours with one decimal, from 0; derived only.
    Hours,
    /// An RFC 3339 time in UTC; derived only.
    Instant,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// An opaque `tok_…`.
    Token,
    /// A given name plus an initial: "Rajesh K.".
    DisplayName,
    /// The slug of one of the states and union territories.
    State,
    /// A slug: lower-case letters, digits and underscores.
    Slug,
    /// `^[1-9][0-9]{5}$`.
    Pincode,
    /// A set of strings, sorted bytewise.
    Set(SetOf),
    /// The list of schemes, by scheme_id.
    Schemes,
    /// A list of deadlines, by (due_date, deadline_id).
    Deadlines,
    /// The list of predicted events, as sent.
    PredictedEvents,
    /// The list of recommended actions, as sent.
    RecommendedActions,
    /// An object: source to "verified_/synced_/computed_" + date.
    SourceTrace,
}

/// The type of the items of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOf {
    /// Kinds of identity document.
    Documents,
    /// Cohort tags.
    Tags,
}

/// The documents that `identity.verified_documents` may name.
pub const DOCUMENTS: [&str; 6] = ["aadhaar", "driving_licence", "pan", "passport", "ration_card", "voter_id"];

/// One row of the table.
#[derive(Debug)]
pub struct Field {
    /// The leaf that the row is about.
    pub leaf: Leaf,
    /// The number under which it is stored: it never changes and is never reused.
    pub number: u8,
    /// The top-level member that it belongs to.
    pub member: Member,
    /// Its name within the member; empty where the member itself is the leaf.
    pub name: &'static str,
    /// The dotted path of the leaf.
    pub path: &'static str,
    /// The type of its value.
    pub value: ValueType,
    /// The owner, which may write it.
    pub owner: Owner,
    /// How sensitive it is.
    pub class: Class,
    /// Its weight in completeness.
    pub weight: Weight,
}

macro_rules! members {
    ($($variant:ident = $number:literal, $name:literal, $first:ident ..= $last:ident;)*) => {
        /// A top-level member of the profile that is not of the envelope, in canonical (bytewise) order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Member { $(#[doc = concat!("`", $name, "`.")] $variant),* }

        impl Member {
            /// Every member, in canonical order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Returns the member's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns the number under which it is stored: it never changes and is never reused.
            pub const fn number(self) -> u8 {
                match self { $(Self::$variant => $number),* }
            }

            /// Returns the member that is stored under that number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// Returns the leaves of the member.
            pub const fn leaves(self) -> LeafSet {
                match self { $(Self::$variant => LeafSet::range(Leaf::$first, Leaf::$last)),* }
            }
        }
    };
}

macro_rules! fields {
    ($($leaf:ident = $number:literal, $member:ident, $name:literal, $path:literal, $value:expr, $owner:expr, $class:ident, $weight:ident;)*) => {
        /// A leaf of the profile, in canonical order: the order of its bytes in a document.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Leaf { $(#[doc = concat!("`", $path, "`.")] $leaf),* }

        impl Leaf {
            /// How many there are.
            pub const COUNT: usize = FIELDS.len();

            /// Returns the leaf that is stored under that number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$leaf),)* _ => None }
            }
        }

        /// The stored number of each leaf, in canonical order.
        const NUMBERS: [u8; Leaf::COUNT] = [$($number),*];

        /// The table, in canonical order.
        pub static FIELDS: [Field; [$($number),*].len()] = [
            $(Field {
                leaf: Leaf::$leaf, number: $number, member: Member::$member, name: $name, path: $path,
                value: { use ValueType::*; $value }, owner: $owner, class: Class::$class, weight: Weight::$weight,
            }),*
        ];
    };
}

impl Leaf {
    /// Returns the leaf's row of the table.
    pub fn field(self) -> &'static Field {
        &FIELDS[self as usize]
    }

    /// Returns the leaf of that dotted path.
    pub fn parse(path: &str) -> Option<Self> {
        FIELDS.iter().find(|field| field.path == path).map(|field| field.leaf)
    }

    /// Returns the leaf called `name` in `member`.
    pub fn in_member(member: Member, name: &str) -> Option<Self> {
        member.leaves().iter().find(|leaf| leaf.field().name == name)
    }
}

impl Member {
    /// Returns the member of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|member| member.name() == name)
    }

    /// Returns whether the member is itself a leaf and not a section.
    pub fn is_leaf(self) -> bool {
        self.leaves().first().is_some_and(|leaf| leaf.field().name.is_empty())
    }
}

/// A set of leaves: a mask, a fieldset, what an event touched, what is present.
///
/// Its bits are in canonical order, which makes it fast to go through. They move when a leaf is inserted in the table, so
/// they stay in memory. What leaves the process, or is compared with what another release made, is [`Self::numbers`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct LeafSet(u64);

impl LeafSet {
    /// The set without any leaf.
    pub const EMPTY: Self = Self(0);
    /// The set of every leaf.
    pub const ALL: Self = Self((1 << FIELDS.len()) - 1);

    /// Returns the leaves from `first` to `last`, inclusive.
    pub const fn range(first: Leaf, last: Leaf) -> Self {
        Self(((1 << (last as u8 + 1)) - 1) & !((1 << first as u8) - 1))
    }

    /// Returns the set of one leaf.
    pub const fn only(leaf: Leaf) -> Self {
        Self(1 << leaf as u8)
    }

    /// Returns whether `leaf` is in the set.
    pub const fn has(self, leaf: Leaf) -> bool {
        self.0 & (1 << leaf as u8) != 0
    }

    /// Adds `leaf` to the set.
    pub const fn insert(&mut self, leaf: Leaf) {
        self.0 |= 1 << leaf as u8;
    }

    /// Returns the union.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the intersection.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the leaves of `self` that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether every leaf of `self` is in `other`.
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Returns the first leaf in canonical order.
    pub fn first(self) -> Option<Leaf> {
        self.iter().next()
    }

    /// Returns the number of leaves in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Returns the leaves, in canonical order.
    pub fn iter(self) -> impl Iterator<Item = Leaf> + Clone {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let index = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                FIELDS[index].leaf
            })
        })
    }

    /// Returns the members that have a leaf in the set, in canonical order.
    pub fn members(self) -> impl Iterator<Item = Member> {
        Member::ALL.iter().copied().filter(move |member| !self.and(member.leaves()).is_empty())
    }

    /// Returns the set as bits by stored number: bit `n` is the leaf with [`Field::number`] `n`. A leaf that is inserted in
    /// the table, moved or renamed changes nothing in the bits of the others. Costs some instructions for each leaf.
    pub const fn numbers(self) -> u64 {
        by_number(self.0, &NUMBERS)
    }
}

const _: () =
    assert!(by_number(LeafSet::ALL.0, &NUMBERS).count_ones() == Leaf::COUNT as u32, "one bit for each stored number");

/// Returns the bits of a set by number. `set` has them by the places in `numbers`, each of which must be below 64.
const fn by_number(set: u64, numbers: &[u8]) -> u64 {
    let (mut rest, mut bits) = (set, 0);
    while rest != 0 {
        bits |= 1 << numbers[rest.trailing_zeros() as usize];
        rest &= rest - 1;
    }
    bits
}

impl FromIterator<Leaf> for LeafSet {
    fn from_iter<T: IntoIterator<Item = Leaf>>(leaves: T) -> Self {
        leaves.into_iter().fold(Self::EMPTY, |set, leaf| set.or(Self::only(leaf)))
    }
}

impl std::fmt::Debug for LeafSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|leaf| leaf.field().path)).finish()
    }
}

members! {
    CohortTags = 11, "cohort_tags", CohortTags ..= CohortTags;
    Consent = 12, "consent", ConsentAnalyticsOptIn ..= ConsentThirdPartySharing;
    Deadlines = 7, "deadlines", DeadlinesCompletedLast90d ..= DeadlinesUpcoming;
    Demographics = 3, "demographics", DemographicsDistrict ..= DemographicsUrbanRural;
    Economic = 4, "economic", EconomicBplStatus ..= EconomicTaxRegime;
    Eligibility = 6, "eligibility", EligibilityEligibleSchemes ..= EligibilityTotalEligible;
    Family = 5, "family", FamilyChildrenSchoolAge ..= FamilySeniorCitizenDependents;
    Identity = 2, "identity", IdentityAgeBracket ..= IdentityVerifiedDocuments;
    IdentityToken = 0, "identity_token", IdentityToken ..= IdentityToken;
    Predictions = 9, "predictions", PredictionsPredictedEvents ..= PredictionsRecommendedActions;
    ProfileCompletenessPct = 1, "profile_completeness_pct", ProfileCompletenessPct ..= ProfileCompletenessPct;
    RiskScores = 8, "risk_scores", RiskScoresBenefitLapseRisk ..= RiskScoresTaxPenaltyRisk;
    Trust = 10, "trust", TrustDataFreshnessHours ..= TrustSourceTrace;
}

fields! {
    CohortTags = 41, CohortTags, "", "cohort_tags", Set(SetOf::Tags), Owner::Source(Source::Analytics), Sensitive, None;
    ConsentAnalyticsOptIn = 43, Consent, "analytics_opt_in", "consent.analytics_opt_in", Bool, Owner::Source(Source::Consent), General, Critical;
    ConsentConsentUpdatedAt = 45, Consent, "consent_updated_at", "consent.consent_updated_at", Instant, Owner::Derived, General, None;
    ConsentDataSharingLevel = 42, Consent, "data_sharing_level", "consent.data_sharing_level", Enum(&["minimal", "standard", "full"]), Owner::Source(Source::Consent), General, Critical;
    ConsentThirdPartySharing = 44, Consent, "third_party_sharing", "consent.third_party_sharing", Bool, Owner::Source(Source::Consent), General, Optional;
    DeadlinesCompletedLast90d = 30, Deadlines, "completed_last_90d", "deadlines.completed_last_90d", Count, Owner::Derived, General, None;
    DeadlinesOverdue = 29, Deadlines, "overdue", "deadlines.overdue", Deadlines, Owner::Source(Source::Deadlines), Sensitive, None;
    DeadlinesUpcoming = 28, Deadlines, "upcoming", "deadlines.upcoming", Deadlines, Owner::Source(Source::Deadlines), Sensitive, None;
    DemographicsDistrict = 9, Demographics, "district", "demographics.district", Slug, Owner::Shared, General, Critical;
    DemographicsPincode = 11, Demographics, "pincode", "demographics.pincode", Pincode, Owner::Shared, Sensitive, Optional;
    DemographicsResidencyYears = 12, Demographics, "residency_years", "demographics.residency_years", Integer { min: 0, max: 120 }, Owner::Shared, General, NiceToHave;
    DemographicsState = 8, Demographics, "state", "demographics.state", State, Owner::Shared, General, Critical;
    DemographicsUrbanRural = 10, Demographics, "urban_rural", "demographics.urban_rural", Enum(&["urban", "rural", "semi_urban"]), Owner::Shared, General, Optional;
    EconomicBplStatus = 16, Economic, "bpl_status", "economic.bpl_status", Bool, Owner::Shared, Sensitive, Critical;
    EconomicEmploymentType = 14, Economic, "employment_type", "economic.employment_type", Enum(&["salaried", "self_employed", "business", "agriculture", "pension", "unemployed", "student"]), Owner::Shared, General, Critical;
    EconomicIncomeBracket = 13, Economic, "income_bracket", "economic.income_bracket", Enum(&["0-2.5L", "2.5L-5L", "5L-10L", "10L-20L", "20L+"]), Owner::Shared, Sensitive, Critical;
    EconomicRationCardType = 17, Economic, "ration_card_type", "economic.ration_card_type", Enum(&["APL", "BPL", "AAY", "PHH", "none"]), Owner::Shared, Sensitive, Optional;
    EconomicTaxRegime = 15, Economic, "tax_regime", "economic.tax_regime", Enum(&["old", "new", "none"]), Owner::Shared, General, NiceToHave;
    EligibilityEligibleSchemes = 23, Eligibility, "eligible_schemes", "eligibility.eligible_schemes", Schemes, Owner::Source(Source::Eligibility), Sensitive, None;
    EligibilityPotentialAnnualBenefitInr = 27, Eligibility, "potential_annual_benefit_inr", "eligibility.potential_annual_benefit_inr", Count, Owner::Derived, Sensitive, None;
    EligibilityTotalActive = 26, Eligibility, "total_active", "eligibility.total_active", Count, Owner::Derived, Sensitive, None;
    EligibilityTotalApplied = 25, Eligibility, "total_applied", "eligibility.total_applied", Count, Owner::Derived, Sensitive, None;
    EligibilityTotalEligible = 24, Eligibility, "total_eligible", "eligibility.total_eligible", Count, Owner::Derived, Sensitive, None;
    FamilyChildrenSchoolAge = 22, Family, "children_school_age", "family.children_school_age", Integer { min: 0, max: 50 }, Owner::Shared, Sensitive, NiceToHave;
    FamilyDependents = 19, Family, "dependents", "family.dependents", Integer { min: 0, max: 50 }, Owner::Shared, Sensitive, Optional;
    FamilyMaritalStatus = 18, Family, "marital_status", "family.marital_status", Enum(&["single", "married", "widowed", "divorced"]), Owner::Shared, Sensitive, Optional;
    FamilyMembersCount = 20, Family, "members_count", "family.members_count", Integer { min: 1, max: 60 }, Owner::Shared, Sensitive, Optional;
    FamilySeniorCitizenDependents = 21, Family, "senior_citizen_dependents", "family.senior_citizen_dependents", Integer { min: 0, max: 50 }, Owner::Shared, Sensitive, NiceToHave;
    IdentityAgeBracket = 3, Identity, "age_bracket", "identity.age_bracket", Enum(&["0-17", "18-29", "30-40", "41-59", "60+"]), Owner::Source(Source::Identity), General, Critical;
    IdentityCategory = 5, Identity, "category", "identity.category", Enum(&["general", "obc", "sc", "st", "ews"]), Owner::Source(Source::Identity), Sensitive, Critical;
    IdentityDelegationActive = 7, Identity, "delegation_active", "identity.delegation_active", Bool, Owner::Source(Source::Identity), General, None;
    IdentityDisplayName = 2, Identity, "display_name", "identity.display_name", DisplayName, Owner::Source(Source::Identity), Sensitive, Critical;
    IdentityGender = 4, Identity, "gender", "identity.gender", Enum(&["male", "female", "other", "undisclosed"]), Owner::Source(Source::Identity), Sensitive, Optional;
    IdentityVerifiedDocuments = 6, Identity, "verified_documents", "identity.verified_documents", Set(SetOf::Documents), Owner::Source(Source::Identity), Sensitive, Critical;
    IdentityToken = 0, IdentityToken, "", "identity_token", Token, Owner::Source(Source::Identity), Sensitive, None;
    PredictionsPredictedEvents = 36, Predictions, "predicted_events", "predictions.predicted_events", PredictedEvents, Owner::Source(Source::Predictions), Sensitive, None;
    PredictionsRecommendedActions = 37, Predictions, "recommended_actions", "predictions.recommended_actions", RecommendedActions, Owner::Source(Source::Predictions), Sensitive, None;
    ProfileCompletenessPct = 1, ProfileCompletenessPct, "", "profile_completeness_pct", Percent, Owner::Derived, General, None;
    RiskScoresBenefitLapseRisk = 32, RiskScores, "benefit_lapse_risk", "risk_scores.benefit_lapse_risk", Fraction, Owner::Source(Source::Predictions), Sensitive, None;
    RiskScoresDeadlineMissRisk = 31, RiskScores, "deadline_miss_risk", "risk_scores.deadline_miss_risk", Fraction, Owner::Source(Source::Predictions), Sensitive, None;
    RiskScoresDocumentExpiryRisk = 34, RiskScores, "document_expiry_risk", "risk_scores.document_expiry_risk", Fraction, Owner::Source(Source::Predictions), Sensitive, None;
    RiskScoresOverall = 35, RiskScores, "overall", "risk_scores.overall", Fraction, Owner::Derived, Sensitive, None;
    RiskScoresTaxPenaltyRisk = 33, RiskScores, "tax_penalty_risk", "risk_scores.tax_penalty_risk", Fraction, Owner::Source(Source::Predictions), Sensitive, None;
    TrustDataFreshnessHours = 39, Trust, "data_freshness_hours", "trust.data_freshness_hours", Hours, Owner::Derived, General, None;
    TrustOverallConfidence = 38, Trust, "overall_confidence", "trust.overall_confidence", Enum(&["low", "medium", "high"]), Owner::Source(Source::Trust), General, None;
    TrustSourceTrace = 40, Trust, "source_trace", "trust.source_trace", SourceTrace, Owner::Source(Source::Trust), General, None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splitmix64;

    #[test]
    fn the_table_is_in_canonical_order_and_its_numbers_are_unique() {
        let keys: Vec<_> = FIELDS.iter().map(|field| (field.member.name(), field.name)).collect();
        assert!(keys.is_sorted());
        for (index, field) in FIELDS.iter().enumerate() {
            assert_eq!(field.leaf as usize, index);
            assert_eq!(Leaf::from_number(field.number), Some(field.leaf));
            assert_eq!(Leaf::parse(field.path), Some(field.leaf));
            assert!(field.member.leaves().has(field.leaf), "{}", field.path);
        }
        for member in Member::ALL {
            assert_eq!(Member::from_number(member.number()), Some(*member));
        }
        let all = Member::ALL.iter().fold(LeafSet::EMPTY, |set, member| set.or(member.leaves()));
        assert_eq!((all, all.len()), (LeafSet::ALL, FIELDS.len()));
    }

    /// Cursors and ETags of an earlier release hold these bits.
    #[test]
    fn the_bits_of_a_set_by_number_are_those_of_the_first_release() {
        for (leaves, numbers) in [
            (&[][..], 0),
            (&[Leaf::IdentityToken], 1),
            (&[Leaf::CohortTags, Leaf::DemographicsState, Leaf::EconomicIncomeBracket], 0x200_0000_2100),
            (&[Leaf::ConsentConsentUpdatedAt, Leaf::ConsentDataSharingLevel], 0x2400_0000_0000),
            (&[Leaf::TrustSourceTrace, Leaf::FamilyDependents, Leaf::DeadlinesOverdue], 0x100_2008_0000),
        ] {
            let set: LeafSet = leaves.iter().copied().collect();
            assert_eq!(set.numbers(), numbers, "{set:?}");
        }
    }

    #[test]
    fn a_leaf_that_is_inserted_or_moved_leaves_the_bits_of_the_others_as_they_were() {
        for seed in 0..1_000 {
            let mut state = seed;
            let mut below = |bound: usize| (splitmix64::next(&mut state) % bound as u64) as usize;
            let mut later = NUMBERS.to_vec();
            // Leaves move.
            for _ in 0..below(4) {
                let (from, to) = (below(later.len()), below(later.len()));
                let moved = later.remove(from);
                later.insert(to, moved);
            }
            // New leaves with the next free numbers are inserted.
            let free = NUMBERS.len() as u8;
            for number in free..free + below(65 - NUMBERS.len()) as u8 {
                later.insert(below(later.len() + 1), number);
            }
            let members: Vec<u8> = NUMBERS.iter().copied().filter(|_| below(2) == 0).collect();
            let set = |order: &[u8]| {
                let places = order.iter().enumerate().filter(|(_, number)| members.contains(number));
                places.fold(0, |set, (place, _)| set | 1 << place)
            };
            let expected = members.iter().fold(0, |bits, number| bits | 1 << number);
            assert_eq!(by_number(set(&NUMBERS), &NUMBERS), expected, "seed {seed}");
            assert_eq!(by_number(set(&later), &later), expected, "seed {seed}");
        }
    }
}
