//! The types of feed events.

use crate::named_enum;
use crate::source::Source;

macro_rules! types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $source:ident;)*) => {
        named_enum! {
            /// The type of a feed event. Its name is the CloudEvents `type`.
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
            pub enum FeedEventType { $($(#[$doc])* $variant => $name,)* }
        }

        impl FeedEventType {
            /// The only source that may send it.
            pub const fn source(self) -> Source {
                match self { $(Self::$variant => Source::$source),* }
            }
        }
    };
}

types! {
    /// Identity, token and address, as verified.
    IdentityVerified = "identity.verified", Identity;
    /// A merge patch over demographics, economic and family.
    UserMetadataUpdated = "user.metadata.updated", Metadata;
    /// The same from the citizen.
    UserProfileEdited = "user.profile.edited", SelfEdit;
    /// The whole verdict on schemes.
    EligibilityBatchComputed = "eligibility.batch.computed", Eligibility;
    /// The application status of one scheme.
    SchemeApplicationStatusChanged = "scheme.application.status_changed", Schemes;
    /// One deadline.
    DeadlineDetected = "deadline.detected", Deadlines;
    /// The completion of one deadline.
    DeadlineCompleted = "deadline.completed", Deadlines;
    /// Trust and adjudication.
    TrustScoreUpdated = "trust.score.updated", Trust;
    /// Predictions and risks.
    PredictionGenerated = "prediction.generated", Predictions;
    /// Cohort tags.
    AnalyticsCohortComputed = "analytics.cohort.computed", Analytics;
    /// What the citizen consents to.
    UserConsentUpdated = "user.consent.updated", Consent;
}
