//! Feed events: the envelope, one file per source that turns `data` into writes, and what comes of it:
//! who says what about whom, as writes into registers.

pub(crate) mod draft;
pub(crate) mod envelope;

mod analytics;
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

use bytestring::ByteString;

use crate::canonical::CanonicalJson;
use crate::id::UserId;
use crate::source::{Kind, Source};
use crate::table::Leaf;

pub use fault::Fault;
pub(crate) use fault::{At, presentable};
pub use problem::Problem;
pub use types::EventType;

/// Reads the data of an event into the draft.
pub(crate) fn read_data(event_type: EventType, data: &check::Members<'_>, at: &At<'_>, draft: &mut draft::Draft<'_>) {
    match event_type {
        EventType::IdentityVerified => identity::read(data, at, draft),
        EventType::UserMetadataUpdated | EventType::UserProfileEdited => fields::read(data, at, draft),
        EventType::EligibilityBatchComputed => eligibility::read(data, at, draft),
        EventType::SchemeApplicationStatusChanged => schemes::read(data, at, draft),
        EventType::DeadlineDetected => deadlines::read_detected(data, at, draft),
        EventType::DeadlineCompleted => deadlines::read_completed(data, at, draft),
        EventType::TrustScoreUpdated => trust::read(data, at, draft),
        EventType::PredictionGenerated => predictions::read(data, at, draft),
        EventType::AnalyticsCohortComputed => analytics::read(data, at, draft),
        EventType::UserConsentUpdated => consent::read(data, at, draft),
    }
}

/// A validated feed event. Only validation makes one.
#[derive(Debug, Clone)]
pub struct FeedEvent {
    /// The event's id, unique per source by promise only.
    pub id: Text,
    /// Who sent it.
    pub source: Source,
    /// Whom it is about.
    pub user: UserId,
    /// The observed_at of its values, in microseconds since the Unix epoch, UTC.
    pub time: i64,
    /// Whether it opens a new generation after an erasure.
    pub registration: bool,
    /// What it says. A path and kind occurs at most once.
    pub writes: Vec<Write>,
}

/// One value for one register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The register's path.
    pub path: RegisterPath,
    /// The register's kind.
    pub kind: Kind,
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
    /// Kept, not in the profile.
    AggregatedMetrics,
    /// The overlay of one scheme: an application_status, by scheme_id.
    SchemeStatus(Text),
    /// One deadline without days_remaining, by deadline_id.
    DeadlineDetails(Text),
    /// When one deadline was completed: an RFC 3339 time in UTC, by deadline_id.
    DeadlineCompletion(Text),
}

/// Short text that many registers share: an event id, an item's id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(ByteString);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Stored text, which shares its buffer.
    pub(crate) fn from_stored(text: ByteString) -> Self {
        Self(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}
