//! The content of a feed event about a person, before it is written as JSON.

use crate::words::Sharing;

/// The content of an event. `duty` is a position among the person's next deadlines; it wraps around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventContent {
    /// Identity and address, as verified; stale if an old document was used.
    Identity { stale: bool },
    /// Everything that the metadata store knows about the person.
    Metadata,
    /// The metadata store changes one topic, by a check or by inference, correctly or not.
    MetadataChanged { topic: Topic, inferred: bool, wrong: bool },
    /// The metadata store withdraws one topic.
    MetadataWithdrawn { topic: Topic },
    /// The citizen edits one topic.
    Edited { topic: Topic, wrong: bool },
    /// The citizen withdraws one topic.
    EditWithdrawn { topic: Topic },
    /// The citizen's usual consent, or the given level of sharing.
    Consented { sharing: Option<Sharing> },
    /// The eligibility engine evaluates every scheme.
    Evaluated,
    /// An application moves on, if one is open.
    Applied,
    /// A deadline is found.
    Due { duty: u8 },
    /// A deadline is met.
    Met { duty: u8 },
    /// Predictions, advice and risks.
    Predicted,
    /// Risk scores alone.
    Risked,
    /// Trust scores, with or without an adjudication of one topic.
    Trusted { topic: Option<Topic> },
    /// Cohort tags and usage figures.
    Counted,
}

impl EventContent {
    /// Returns the prefix of the id, `source` and `type`.
    pub(crate) const fn envelope(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Identity { .. } => ("idn", "/engines/identity", "identity.verified"),
            Self::Metadata | Self::MetadataChanged { .. } | Self::MetadataWithdrawn { .. } => {
                ("met", "/engines/metadata", "user.metadata.updated")
            }
            Self::Edited { .. } | Self::EditWithdrawn { .. } => ("slf", "/engines/self", "user.profile.edited"),
            Self::Consented { .. } => ("con", "/engines/consent", "user.consent.updated"),
            Self::Evaluated => ("elg", "/engines/eligibility", "eligibility.batch.computed"),
            Self::Applied => ("sta", "/engines/schemes", "scheme.application.status_changed"),
            Self::Due { .. } => ("ddl", "/engines/deadlines", "deadline.detected"),
            Self::Met { .. } => ("ddl", "/engines/deadlines", "deadline.completed"),
            Self::Predicted | Self::Risked => ("prd", "/engines/predictions", "prediction.generated"),
            Self::Trusted { .. } => ("tru", "/engines/trust", "trust.score.updated"),
            Self::Counted => ("ana", "/engines/analytics", "analytics.cohort.computed"),
        }
    }

    /// Returns the name of the feed that the event belongs to.
    pub(crate) fn source(self) -> &'static str {
        self.envelope().1.trim_start_matches("/engines/")
    }

    /// Returns whether the event depends on the person's deadlines.
    pub(crate) const fn is_about_duties(self) -> bool {
        matches!(self, Self::Due { .. } | Self::Met { .. } | Self::Predicted | Self::Risked)
    }
}

/// A field that more than one source writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    District,
    Settlement,
    ResidencyYears,
    Income,
    Employment,
    RationCard,
    Dependents,
    Members,
    SchoolChildren,
}

impl Topic {
    pub(crate) const ALL: [Self; 9] = [
        Self::District,
        Self::Settlement,
        Self::ResidencyYears,
        Self::Income,
        Self::Employment,
        Self::RationCard,
        Self::Dependents,
        Self::Members,
        Self::SchoolChildren,
    ];

    /// Returns the section and the name of the field.
    pub(crate) const fn section_and_name(self) -> (&'static str, &'static str) {
        match self {
            Self::District => ("demographics", "district"),
            Self::Settlement => ("demographics", "urban_rural"),
            Self::ResidencyYears => ("demographics", "residency_years"),
            Self::Income => ("economic", "income_bracket"),
            Self::Employment => ("economic", "employment_type"),
            Self::RationCard => ("economic", "ration_card_type"),
            Self::Dependents => ("family", "dependents"),
            Self::Members => ("family", "members_count"),
            Self::SchoolChildren => ("family", "children_school_age"),
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::District => "demographics.district",
            Self::Settlement => "demographics.urban_rural",
            Self::ResidencyYears => "demographics.residency_years",
            Self::Income => "economic.income_bracket",
            Self::Employment => "economic.employment_type",
            Self::RationCard => "economic.ration_card_type",
            Self::Dependents => "family.dependents",
            Self::Members => "family.members_count",
            Self::SchoolChildren => "family.children_school_age",
        }
    }
}
