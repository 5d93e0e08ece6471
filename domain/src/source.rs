//! Sources (upstream engines) and the kinds of value that they may claim.

/// An upstream engine. The number is stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Source {
    /// Identity verification.
    Identity = 0,
    /// The metadata store.
    Metadata = 1,
    /// The citizen.
    SelfEdit = 2,
    /// The eligibility engine.
    Eligibility = 3,
    /// Scheme application tracking.
    Schemes = 4,
    /// Deadline tracking.
    Deadlines = 5,
    /// Trust scoring.
    Trust = 6,
    /// Predictions.
    Predictions = 7,
    /// Cohort analytics.
    Analytics = 8,
    /// Consent management.
    Consent = 9,
}

impl Source {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// Every source, by number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Identity,
        Self::Metadata,
        Self::SelfEdit,
        Self::Eligibility,
        Self::Schemes,
        Self::Deadlines,
        Self::Trust,
        Self::Predictions,
        Self::Analytics,
        Self::Consent,
    ];

    /// The source's name, as in paths, scopes and stamps.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Metadata => "metadata",
            Self::SelfEdit => "self",
            Self::Eligibility => "eligibility",
            Self::Schemes => "schemes",
            Self::Deadlines => "deadlines",
            Self::Trust => "trust",
            Self::Predictions => "predictions",
            Self::Analytics => "analytics",
            Self::Consent => "consent",
        }
    }

    /// The source of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// The source of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The kinds that this source may claim, its default first.
    pub const fn kinds(self) -> &'static [ValueKind] {
        match self {
            Self::Identity => &[ValueKind::Verified],
            Self::Metadata => &[ValueKind::Verified, ValueKind::UserProvided, ValueKind::Inferred],
            Self::SelfEdit => &[ValueKind::UserProvided],
            _ => &[ValueKind::Inferred],
        }
    }
}

/// Where a value comes from. The number is stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ValueKind {
    /// Checked against a document.
    Verified = 0,
    /// The citizen's word.
    UserProvided = 1,
    /// Computed.
    Inferred = 2,
}

impl ValueKind {
    /// The kind's name in events and provenance.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::UserProvided => "user_provided",
            Self::Inferred => "inferred",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Verified, Self::UserProvided, Self::Inferred].into_iter().find(|kind| kind.name() == name)
    }

    /// The kind of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Verified, Self::UserProvided, Self::Inferred].get(usize::from(number)).copied()
    }

    /// The first key of Winner: a citizen's word and a checked value beat inference whatever the time.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Verified | Self::UserProvided => 1,
            Self::Inferred => 0,
        }
    }
}
