//! The plain-language summary of a profile: two or three sentences from a few facts, by a template for each language.
//!
//! The facts hold nothing that the viewer may not see, and no field of the identity. A template for another language is a file
//! with a function from [`SummaryFacts`] to text, and its line in [`SummaryLanguage`].

mod english;
mod hindi;

use crate::canonical::CanonicalJson;
use crate::day::Day;
use crate::named_enum;
use crate::profile::Profile;
use crate::scan;
use crate::table::{Leaf, LeafSet};

/// A risk above this value is named.
const RAISED_RISK: f64 = 0.15;

named_enum! {
    /// A language that summaries are written in. Its name is the language tag (RFC 5646).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum SummaryLanguage {
        /// English.
        English => "en",
        /// Hindi.
        Hindi => "hi",
    }
}

/// What a summary says. A fact that the viewer may not see is missing, as one that the profile does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct SummaryFacts {
    /// The number of schemes that the citizen qualifies for.
    pub(crate) total_eligible: Option<u64>,
    /// The number of upcoming deadlines.
    pub(crate) upcoming_deadlines: Option<usize>,
    /// The description and the due date of the next deadline.
    pub(crate) next_deadline: Option<(String, Day)>,
    /// The completeness in percent.
    pub(crate) completeness: Option<u64>,
    /// The risks above [`RAISED_RISK`], in the order of the profile; `None` if no risk is known.
    pub(crate) raised_risks: Option<Vec<Risk>>,
}

/// A risk that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Risk {
    /// A benefit lapses.
    BenefitLapse,
    /// A deadline is missed.
    DeadlineMiss,
    /// A document expires.
    DocumentExpiry,
    /// A tax penalty is due.
    TaxPenalty,
}

impl Risk {
    const ALL: [(Leaf, Self); 4] = [
        (Leaf::RiskScoresBenefitLapseRisk, Self::BenefitLapse),
        (Leaf::RiskScoresDeadlineMissRisk, Self::DeadlineMiss),
        (Leaf::RiskScoresDocumentExpiryRisk, Self::DocumentExpiry),
        (Leaf::RiskScoresTaxPenaltyRisk, Self::TaxPenalty),
    ];
}

impl SummaryFacts {
    /// The leaves that facts are read from.
    pub const LEAVES: [Leaf; 7] = [
        Leaf::EligibilityTotalEligible,
        Leaf::DeadlinesUpcoming,
        Leaf::ProfileCompletenessPct,
        Leaf::RiskScoresBenefitLapseRisk,
        Leaf::RiskScoresDeadlineMissRisk,
        Leaf::RiskScoresDocumentExpiryRisk,
        Leaf::RiskScoresTaxPenaltyRisk,
    ];

    /// Returns the facts of a profile that viewers who see the leaves of `seen` may know.
    pub fn of(profile: &Profile, seen: LeafSet) -> Self {
        let value = |leaf| if seen.has(leaf) { profile.get(leaf) } else { None };
        let number = |leaf| value(leaf).and_then(|value| value.as_str().parse().ok());
        let deadlines = value(Leaf::DeadlinesUpcoming).map(CanonicalJson::as_str);
        let risks = Risk::ALL.into_iter().filter_map(|(leaf, risk)| Some((value(leaf)?, risk)));
        let is_raised = |value: &CanonicalJson| value.as_str().parse::<f64>().is_ok_and(|value| value > RAISED_RISK);
        let raised = risks.clone().filter(|(value, _)| is_raised(value)).map(|(_, risk)| risk);
        Self {
            total_eligible: number(Leaf::EligibilityTotalEligible),
            upcoming_deadlines: deadlines.map(|list| scan::elements(list).count()),
            next_deadline: deadlines.and_then(|list| next_deadline(scan::elements(list).next()?)),
            completeness: number(Leaf::ProfileCompletenessPct),
            raised_risks: risks.clone().next().is_some().then(|| raised.collect()),
        }
    }

    /// Writes the summary in a language.
    pub fn text(&self, language: SummaryLanguage) -> String {
        let sentences = match language {
            SummaryLanguage::English => english::sentences(self),
            SummaryLanguage::Hindi => hindi::sentences(self),
        };
        sentences.join(" ")
    }
}

/// Reads the description and the due date of a deadline. Upcoming deadlines are in the order of their due dates.
fn next_deadline(deadline: &str) -> Option<(String, Day)> {
    let description = serde_json::from_str(scan::member(deadline, "description")?).ok()?;
    Some((description, Day::parse(scan::text_member(deadline, "due_date")?)?))
}

#[cfg(test)]
mod tests;
