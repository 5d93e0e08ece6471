//! What a feed event can say about a person, before it is written as JSON.

use crate::words::Sharing;

/// What an event says. Positions of a deadline among the next ones wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventContent {
    /// Identity checks who the person is and where they live; now and then from an old document.
    Identity { stale: bool },
    /// All that the metadata store knows.
    Metadata,
    /// The metadata store learns one thing: by a check, or by inference, rightly or not.
    MetadataChanged { topic: Topic, inferred: bool, wrong: bool },
    /// The metadata store takes one thing back.
    MetadataWithdrawn { topic: Topic },
    /// The citizen says one thing.
    Edited { topic: Topic, wrong: bool },
    /// The citizen takes one thing back.
    EditWithdrawn { topic: Topic },
    /// The citizen's usual consent, or another level for a while.
    Consented { sharing: Option<Sharing> },
    /// The engine looks at every scheme.
    Evaluated,
    /// An application moves on, where one is open.
    Applied,
    /// A deadline is found.
    Due { duty: u8 },
    /// A deadline is met.
    Met { duty: u8 },
    /// Predictions, advice and risks.
    Predicted,
    /// Risks alone.
    Risked,
    /// Trust, perhaps with a word on whom to believe about one thing.
    Trusted { topic: Option<Topic> },
    /// Cohorts.
    Counted,
}

impl EventContent {
    /// Short name, `source` and `type`.
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

    /// Whose feed it goes to.
    pub(crate) fn source(self) -> &'static str {
        self.envelope().1.trim_start_matches("/engines/")
    }

    /// Whether it speaks of deadlines.
    pub(crate) const fn is_about_duties(self) -> bool {
        matches!(self, Self::Due { .. } | Self::Met { .. } | Self::Predicted | Self::Risked)
    }
}

/// Something that more than one source has an opinion on.
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

    /// Section and name of the field.
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
