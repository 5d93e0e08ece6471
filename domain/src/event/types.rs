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
            /// Returns the only source that may send events of this type.
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
    /// A merge patch over the same sections, from the citizen.
    UserProfileEdited = "user.profile.edited", SelfEdit;
    /// The verdict on all schemes, which replaces the last one.
    EligibilityBatchComputed = "eligibility.batch.computed", Eligibility;
    /// The application status of one scheme.
    SchemeApplicationStatusChanged = "scheme.application.status_changed", Schemes;
    /// The details of one deadline.
    DeadlineDetected = "deadline.detected", Deadlines;
    /// The completion of one deadline.
    DeadlineCompleted = "deadline.completed", Deadlines;
    /// Trust scores, and which source to believe about which field.
    TrustScoreUpdated = "trust.score.updated", Trust;
    /// Predicted events, recommended actions and risk scores.
    PredictionGenerated = "prediction.generated", Predictions;
    /// Cohort tags and aggregated metrics.
    AnalyticsCohortComputed = "analytics.cohort.computed", Analytics;
    /// What the citizen consents to.
    UserConsentUpdated = "user.consent.updated", Consent;
}
