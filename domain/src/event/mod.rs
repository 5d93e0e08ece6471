//! Feed events: the envelope, one file per source that turns `data` into writes, and the result: writes into registers.

pub(crate) mod draft;
pub(crate) mod envelope;

mod analytics;
mod applied;
mod consent;
mod deadlines;
mod eligibility;
mod fields;
mod identity;
mod predictions;
mod schemes;
mod trust;

pub(crate) mod check;
mod display_name;
pub(crate) mod fault;
mod problem;
pub(crate) mod red;
pub(crate) mod shape;
pub mod time;
mod types;

use smol_str::SmolStr;

use crate::canonical::CanonicalJson;
use crate::id::UserId;
use crate::source::{Source, ValueKind};
use crate::table::{Leaf, LeafSet};

pub(crate) use applied::AppliedEvent;
pub use fault::EventFault;
pub(crate) use fault::Location;
pub use problem::EventProblem;
pub use types::FeedEventType;

/// Reads the data of an event into the draft.
pub(crate) fn read_data(
    event_type: FeedEventType,
    data: &check::Members<'_>,
    at: &Location<'_>,
    draft: &mut draft::Draft<'_>,
) {
    match event_type {
        FeedEventType::IdentityVerified => identity::read(data, at, draft),
        FeedEventType::UserMetadataUpdated | FeedEventType::UserProfileEdited => fields::read(data, at, draft),
        FeedEventType::EligibilityBatchComputed => eligibility::read(data, at, draft),
        FeedEventType::SchemeApplicationStatusChanged => schemes::read(data, at, draft),
        FeedEventType::DeadlineDetected => deadlines::read_detected(data, at, draft),
        FeedEventType::DeadlineCompleted => deadlines::read_completed(data, at, draft),
        FeedEventType::TrustScoreUpdated => trust::read(data, at, draft),
        FeedEventType::PredictionGenerated => predictions::read(data, at, draft),
        FeedEventType::AnalyticsCohortComputed => analytics::read(data, at, draft),
        FeedEventType::UserConsentUpdated => consent::read(data, at, draft),
    }
}

/// A validated feed event. Only validation makes one.
#[derive(Debug, Clone)]
pub struct FeedEvent {
    /// The event's id, unique per source by promise only.
    pub id: SharedText,
    /// The source that sent the event.
    pub source: Source,
    /// The user that the event is about.
    pub user: UserId,
    /// The observed_at of its values, in microseconds since the Unix epoch, UTC.
    pub time: i64,
    /// The subject of the person's token, if the server made the event from a person's request; `None` for an event of
    /// a feed.
    pub person: Option<SharedText>,
    /// Whether it opens a new generation after an erasure.
    pub registration: bool,
    /// The writes of the event. A path and kind occurs at most once.
    pub writes: Vec<RegisterWrite>,
}

/// One value for one register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterWrite {
    /// The path that is written.
    pub path: RegisterPath,
    /// The kind of the value.
    pub kind: ValueKind,
    /// The value; `None` withdraws. Sets and lists are in their final order already.
    pub value: Option<CanonicalJson>,
}

/// A path that a register is kept for. With the source and the kind it names the register.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegisterPath {
    /// A leaf of the profile. `eligibility.eligible_schemes` is the batch, whole;
    /// `trust.source_trace` what the trust source overrides.
    Leaf(Leaf),
    /// The trust source's adjudication: source to {confidence, fields}.
    SourceConfidence,
    /// `aggregated_metrics`, which is kept but not shown in the profile.
    AggregatedMetrics,
    /// The overlay of one scheme: an application_status, by scheme_id.
    SchemeStatus(SharedText),
    /// One deadline without days_remaining, by deadline_id.
    DeadlineDetails(SharedText),
    /// When one deadline was completed: an RFC 3339 time in UTC, by deadline_id.
    DeadlineCompletion(SharedText),
}

impl RegisterPath {
    /// Returns the leaves whose stored form may refer to the register: its own leaf, or the lists with its item.
    pub fn leaves(&self) -> LeafSet {
        match self {
            Self::Leaf(leaf) => LeafSet::only(*leaf),
            Self::SourceConfidence | Self::AggregatedMetrics => LeafSet::EMPTY,
            Self::SchemeStatus(_) => LeafSet::only(Leaf::EligibilityEligibleSchemes),
            Self::DeadlineDetails(_) | Self::DeadlineCompletion(_) => {
                LeafSet::only(Leaf::DeadlinesOverdue).or(LeafSet::only(Leaf::DeadlinesUpcoming))
            }
        }
    }
}

/// Short text, such as an event id or the id of an item. It is held in place; clones of a longer one share its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedText(SmolStr);

impl SharedText {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for SharedText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedText({} bytes)", self.0.len())
    }
}
