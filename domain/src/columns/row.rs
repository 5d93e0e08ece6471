//! One user's row.

use super::code;
use super::dictionary::DictionaryKind;
use super::quasi::Quasi;
use super::schemes::{SCHEMES, SchemeColumn, SchemeColumns};
use crate::canonical::CanonicalJson;
use crate::scan;
use crate::state::UserState;
use crate::table::{Leaf, LeafSet};

/// Bytes of a row in memory and on disk.
pub const ROW_BYTES: usize = 64;
/// Stands for a count, a percentage or hundredths that are absent. Greater counts are kept as the one below.
pub const ABSENT_COUNT: u8 = u8::MAX;
/// Stands for a sum that is absent. Greater sums are kept as the one below.
pub const ABSENT_SUM: u32 = u32::MAX;

/// The leaves that rows are made of. A change of any other leaf changes no row.
pub const INTEREST: LeafSet = {
    let mut interest = LeafSet::EMPTY;
    let (mut index, mut quasi, mut risk) = (0, 0, 0);
    while index < OTHERS.len() {
        interest.insert(OTHERS[index]);
        index += 1;
    }
    while quasi < Quasi::ALL.len() {
        interest.insert(Quasi::ALL[quasi].leaf());
        quasi += 1;
    }
    while risk < Risk::ALL.len() {
        interest.insert(Risk::ALL[risk].leaf());
        risk += 1;
    }
    interest
};

/// The leaves that are neither quasi-identifiers of few values nor risks.
const OTHERS: [Leaf; 10] = [
    Leaf::CohortTags,
    Leaf::ConsentAnalyticsOptIn,
    Leaf::DeadlinesCompletedLast90d,
    Leaf::DemographicsDistrict,
    Leaf::EligibilityEligibleSchemes,
    Leaf::EligibilityPotentialAnnualBenefitInr,
    Leaf::EligibilityTotalActive,
    Leaf::EligibilityTotalApplied,
    Leaf::EligibilityTotalEligible,
    Leaf::ProfileCompletenessPct,
];

/// A risk score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    /// `risk_scores.deadline_miss_risk`.
    DeadlineMiss,
    /// `risk_scores.benefit_lapse_risk`.
    BenefitLapse,
    /// `risk_scores.tax_penalty_risk`.
    TaxPenalty,
    /// `risk_scores.document_expiry_risk`.
    DocumentExpiry,
    /// `risk_scores.overall`.
    Overall,
}

impl Risk {
    /// Every risk score.
    pub const ALL: [Self; 5] =
        [Self::DeadlineMiss, Self::BenefitLapse, Self::TaxPenalty, Self::DocumentExpiry, Self::Overall];

    /// Returns the leaf that it shows.
    pub const fn leaf(self) -> Leaf {
        match self {
            Self::DeadlineMiss => Leaf::RiskScoresDeadlineMissRisk,
            Self::BenefitLapse => Leaf::RiskScoresBenefitLapseRisk,
            Self::TaxPenalty => Leaf::RiskScoresTaxPenaltyRisk,
            Self::DocumentExpiry => Leaf::RiskScoresDocumentExpiryRisk,
            Self::Overall => Leaf::RiskScoresOverall,
        }
    }
}

/// Gives words their codes.
pub trait Codes {
    /// Returns the code of a word in a dictionary. A new word is added, if there is room for it.
    fn code(&self, kind: DictionaryKind, word: &str) -> u16;
}

/// The erasure generation (20 bits) and the sequence (44 bits) of a state. Those of one user only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Version(pub(super) u64);

const SEQUENCE_BITS: u32 = 44;

impl Version {
    /// Returns the version of a generation and a sequence.
    pub const fn new(generation: u32, sequence: u64) -> Self {
        Self((generation as u64) << SEQUENCE_BITS | sequence & ((1 << SEQUENCE_BITS) - 1))
    }

    /// Returns the version of a state.
    pub fn from_state(state: &UserState) -> Self {
        Self::new(state.generation, state.sequence)
    }

    /// Returns the generation.
    pub const fn generation(self) -> u32 {
        (self.0 >> SEQUENCE_BITS) as u32
    }

    /// Returns the sequence.
    pub const fn sequence(self) -> u64 {
        self.0 & ((1 << SEQUENCE_BITS) - 1)
    }
}

pub(super) const IS_PRESENT: u8 = 1;
pub(super) const IS_OPTED_IN: u8 = 2;
pub(super) const HAS_MORE_SCHEMES: u8 = 4;
pub(super) const HAS_OTHER_TAGS: u8 = 8;

/// What the columns hold of one user. It is one cache line, so that a commit touches no more.
///
/// The state that it was made of may be older than the user's newest one, if what came since changed no column.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Row {
    pub(super) version: Version,
    /// `cohort_tags`: a bit for each tag, that of code 1 being the lowest.
    pub cohort_tags: u64,
    /// `eligibility.potential_annual_benefit_inr`, in rupees.
    pub potential_annual_benefit: u32,
    pub(super) quasi: u32,
    /// Schemes; the places behind them are empty.
    pub schemes: [SchemeColumn; SCHEMES],
    /// `demographics.district`, a code of its dictionary; 0 if absent.
    pub district: u16,
    pub(super) flags: u8,
    /// `profile_completeness_pct`.
    pub completeness_pct: u8,
    pub(super) risks: [u8; Risk::ALL.len()],
    /// `eligibility.total_eligible`.
    pub total_eligible: u8,
    /// `eligibility.total_applied`.
    pub total_applied: u8,
    /// `eligibility.total_active`.
    pub total_active: u8,
    /// `deadlines.completed_last_90d`.
    pub completed_last_90d: u8,
    /// A bit for each status that occurs among all of the user's schemes, that of code 1 being the lowest.
    pub statuses: u8,
    /// Room for later columns.
    pub(super) reserved: [u8; 6],
}

const _: () = assert!(size_of::<Row>() == ROW_BYTES && align_of::<Row>() == ROW_BYTES);

impl Row {
    /// The row of no user.
    pub const EMPTY: Self = Self {
        version: Version(0),
        cohort_tags: 0,
        potential_annual_benefit: ABSENT_SUM,
        quasi: 0,
        schemes: [SchemeColumn(0); SCHEMES],
        district: 0,
        flags: 0,
        completeness_pct: ABSENT_COUNT,
        risks: [ABSENT_COUNT; Risk::ALL.len()],
        total_eligible: ABSENT_COUNT,
        total_applied: ABSENT_COUNT,
        total_active: ABSENT_COUNT,
        completed_last_90d: ABSENT_COUNT,
        statuses: 0,
        reserved: [0; 6],
    };

    /// Returns the row of a state.
    pub fn from_state(state: &UserState, codes: &impl Codes) -> Self {
        let mut row = Self { version: Version::from_state(state), flags: IS_PRESENT, ..Self::EMPTY };
        row.set_all(state, state.profile.present().and(INTEREST), codes);
        row
    }

    /// Returns the row of a user who was erased at a version. No state of the erased generation replaces it.
    pub const fn erased(version: Version) -> Self {
        Self { version, ..Self::EMPTY }
    }

    /// Makes this the row of a later state, which differs from the row's own in the leaves `changed` and in leaves that no
    /// column shows. Returns whether the state is a later one; otherwise nothing has changed.
    pub fn advance(&mut self, state: &UserState, changed: LeafSet, codes: &impl Codes) -> bool {
        let version = Version::from_state(state);
        if version <= self.version {
            return false;
        }
        self.set_all(state, changed.and(INTEREST), codes);
        self.version = version;
        true
    }

    /// Returns the version of the state that the row was made of; the least version for a row that was never filled.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Returns whether the row is that of a user.
    pub const fn is_present(&self) -> bool {
        self.flags & IS_PRESENT != 0
    }

    /// Returns whether the user takes part in analytics: `consent.analytics_opt_in`.
    pub const fn is_opted_in(&self) -> bool {
        self.flags & IS_OPTED_IN != 0
    }

    /// Returns whether the user has schemes that the row does not show.
    pub const fn has_more_schemes(&self) -> bool {
        self.flags & HAS_MORE_SCHEMES != 0
    }

    /// Returns whether the user has tags that found no room in the dictionary.
    pub const fn has_other_tags(&self) -> bool {
        self.flags & HAS_OTHER_TAGS != 0
    }

    /// Returns the code of a quasi-identifier; 0 if it is absent.
    pub const fn quasi(&self, quasi: Quasi) -> u8 {
        quasi.get(self.quasi)
    }

    /// Returns a risk score in hundredths; [`ABSENT_COUNT`] if it is absent.
    pub const fn risk(&self, risk: Risk) -> u8 {
        self.risks[risk as usize]
    }

    fn set_all(&mut self, state: &UserState, leaves: LeafSet, codes: &impl Codes) {
        for leaf in leaves.iter() {
            self.set(leaf, state.profile.get(leaf), codes);
        }
    }

    /// Sets the columns that show a leaf.
    fn set(&mut self, leaf: Leaf, value: Option<&CanonicalJson>, codes: &impl Codes) {
        match leaf {
            Leaf::IdentityAgeBracket => self.set_word(Quasi::AgeBracket, value),
            Leaf::IdentityGender => self.set_word(Quasi::Gender, value),
            Leaf::DemographicsUrbanRural => self.set_word(Quasi::UrbanRural, value),
            Leaf::EconomicIncomeBracket => self.set_word(Quasi::IncomeBracket, value),
            Leaf::EconomicEmploymentType => self.set_word(Quasi::EmploymentType, value),
            Leaf::IdentityCategory => self.set_word(Quasi::Category, value),
            Leaf::FamilyMembersCount => {
                self.quasi = Quasi::MembersCount.set(self.quasi, code::small_number(Quasi::MembersCount, value));
            }
            Leaf::DemographicsState => {
                let code = open_code(DictionaryKind::State, value, codes);
                self.quasi = Quasi::State.set(self.quasi, code as u8);
            }
            Leaf::DemographicsDistrict => self.district = open_code(DictionaryKind::District, value, codes),
            Leaf::RiskScoresDeadlineMissRisk => self.set_risk(Risk::DeadlineMiss, value),
            Leaf::RiskScoresBenefitLapseRisk => self.set_risk(Risk::BenefitLapse, value),
            Leaf::RiskScoresTaxPenaltyRisk => self.set_risk(Risk::TaxPenalty, value),
            Leaf::RiskScoresDocumentExpiryRisk => self.set_risk(Risk::DocumentExpiry, value),
            Leaf::RiskScoresOverall => self.set_risk(Risk::Overall, value),
            Leaf::ProfileCompletenessPct => self.completeness_pct = code::count(value),
            Leaf::EligibilityTotalEligible => self.total_eligible = code::count(value),
            Leaf::EligibilityTotalApplied => self.total_applied = code::count(value),
            Leaf::EligibilityTotalActive => self.total_active = code::count(value),
            Leaf::EligibilityPotentialAnnualBenefitInr => self.potential_annual_benefit = code::sum(value),
            Leaf::DeadlinesCompletedLast90d => self.completed_last_90d = code::count(value),
            Leaf::ConsentAnalyticsOptIn => {
                self.set_flag(IS_OPTED_IN, value.is_some_and(|value| value.as_str() == "true"));
            }
            Leaf::EligibilityEligibleSchemes => self.set_schemes(value, codes),
            Leaf::CohortTags => self.set_tags(value, codes),
            _ => debug_assert!(false, "{} has no column", leaf.field().path),
        }
    }

    fn set_word(&mut self, quasi: Quasi, value: Option<&CanonicalJson>) {
        self.quasi = quasi.set(self.quasi, code::word(quasi, value));
    }

    fn set_risk(&mut self, risk: Risk, value: Option<&CanonicalJson>) {
        self.risks[risk as usize] = code::hundredths(value);
    }

    fn set_flag(&mut self, flag: u8, is_set: bool) {
        self.flags = if is_set { self.flags | flag } else { self.flags & !flag };
    }

    fn set_schemes(&mut self, list: Option<&CanonicalJson>, codes: &impl Codes) {
        let SchemeColumns { first, has_more, statuses } = SchemeColumns::from_list(list, codes);
        (self.schemes, self.statuses) = (first, statuses);
        self.set_flag(HAS_MORE_SCHEMES, has_more);
    }

    fn set_tags(&mut self, list: Option<&CanonicalJson>, codes: &impl Codes) {
        let (mut tags, mut has_others) = (0, false);
        for item in list.into_iter().flat_map(|list| scan::elements(list.as_str())) {
            match codes.code(DictionaryKind::Tag, word_of(item)) {
                code if code == DictionaryKind::Tag.other() => has_others = true,
                code => tags |= 1_u64 << (code - 1),
            }
        }
        self.cohort_tags = tags;
        self.set_flag(HAS_OTHER_TAGS, has_others);
    }
}

/// Returns the code of a word that the field table does not list; 0 if it is absent.
fn open_code(kind: DictionaryKind, value: Option<&CanonicalJson>, codes: &impl Codes) -> u16 {
    value.map_or(0, |value| codes.code(kind, word_of(value.as_str())))
}

/// Returns the content of a string, with its escapes.
fn word_of(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

impl std::fmt::Debug for Row {
    // Its columns may be sensitive (class Y).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row(generation {}, sequence {})", self.version.generation(), self.version.sequence())
    }
}
