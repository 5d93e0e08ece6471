//! Sources (upstream engines) and the kinds of value that they may claim.

use crate::named_enum;

named_enum! {
    /// An upstream engine. The number is stored: never reuse one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(u8)]
    pub enum Source {
        /// Identity verification.
        Identity = 0 => "identity",
        /// The metadata store.
        Metadata = 1 => "metadata",
        /// The citizen.
        SelfEdit = 2 => "self",
        /// The eligibility engine.
        Eligibility = 3 => "eligibility",
        /// Scheme application tracking.
        Schemes = 4 => "schemes",
        /// Deadline tracking.
        Deadlines = 5 => "deadlines",
        /// Trust scoring.
        Trust = 6 => "trust",
        /// Predictions.
        Predictions = 7 => "predictions",
        /// Cohort analytics.
        Analytics = 8 => "analytics",
        /// Consent management.
        Consent = 9 => "consent",
    }
}

impl Source {
    /// Returns the source stored under that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Returns the kinds that this source may claim, its default first.
    pub const fn kinds(self) -> &'static [ValueKind] {
        match self {
            Self::Identity => &[ValueKind::Verified],
            Self::Metadata => &[ValueKind::Verified, ValueKind::UserProvided, ValueKind::Inferred],
            Self::SelfEdit => &[ValueKind::UserProvided],
            _ => &[ValueKind::Inferred],
        }
    }
}

named_enum! {
    /// The source of a value. The number is stored: never reuse one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[repr(u8)]
    pub enum ValueKind {
        /// Checked against a document.
        Verified = 0 => "verified",
        /// Stated by the citizen.
        UserProvided = 1 => "user_provided",
        /// Computed by an engine.
        Inferred = 2 => "inferred",
    }
}

impl ValueKind {
    /// Returns the kind stored under that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Returns the first sort key of the winner rule: a value from the citizen or a checked one beats an inferred one,
    /// however new that is.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Verified | Self::UserProvided => 1,
            Self::Inferred => 0,
        }
    }
}
