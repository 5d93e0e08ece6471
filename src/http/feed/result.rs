//! What became of events, as answers tell it.

use actors::Status;
use serde::Serialize;

use crate::http::problem::{Problem, ProblemBody};

/// How many events came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) applied: u64,
    pub(super) unchanged: u64,
    pub(super) duplicates: u64,
    pub(super) busy: u64,
    pub(super) rejected: u64,
}

impl Tally {
    /// How many events have their result.
    pub(super) fn total(&self) -> u64 {
        self.applied + self.unchanged + self.duplicates + self.busy + self.rejected
    }
}

/// What became of one event.
#[derive(Debug)]
pub(super) enum FeedStatus {
    Applied(u64),
    Unchanged(u64),
    Duplicate(u64),
    Busy,
    Rejected(Problem),
}

impl FeedStatus {
    /// Names in answers and metrics, by [`FeedStatus::number`].
    pub(super) const NAMES: [&str; 5] = ["applied", "unchanged", "duplicate", "busy", "rejected"];

    /// The number of a rejection.
    pub(super) const REJECTED: usize = 4;

    pub(super) const fn number(&self) -> usize {
        match self {
            Self::Applied(_) => 0,
            Self::Unchanged(_) => 1,
            Self::Duplicate(_) => 2,
            Self::Busy => 3,
            Self::Rejected(_) => Self::REJECTED,
        }
    }

    pub(super) const fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }

    pub(super) const fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }

    fn revision(&self) -> Option<u64> {
        match self {
            // A user who has no revision yet has none to name.
            Self::Applied(revision) | Self::Unchanged(revision) | Self::Duplicate(revision) => {
                Some(*revision).filter(|revision| *revision > 0)
            }
            Self::Busy | Self::Rejected(_) => None,
        }
    }

    pub(super) fn count(&self, tally: &mut Tally) {
        *match self {
            Self::Applied(_) => &mut tally.applied,
            Self::Unchanged(_) => &mut tally.unchanged,
            Self::Duplicate(_) => &mut tally.duplicates,
            Self::Busy => &mut tally.busy,
            Self::Rejected(_) => &mut tally.rejected,
        } += 1;
    }
}

impl From<Status> for FeedStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Applied { revision } => Self::Applied(revision),
            Status::Unchanged { revision } => Self::Unchanged(revision),
            Status::Duplicate { revision } => Self::Duplicate(revision),
            Status::Busy => Self::Busy,
        }
    }
}

/// One event of a request, and what became of it.
#[derive(Debug)]
pub(super) struct FeedResult {
    /// The event's place in the request, from 0.
    pub(super) index: u64,
    /// The event's id, where it could be read.
    pub(super) id: Option<String>,
    pub(super) status: FeedStatus,
}

/// How a result is written.
#[derive(Serialize)]
pub(super) struct ResultLine<'a> {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemBody<'a>>,
}

impl FeedResult {
    pub(super) fn line(&self) -> ResultLine<'_> {
        ResultLine {
            index: self.index,
            id: self.id.as_deref(),
            status: FeedStatus::NAMES[self.status.number()],
            revision: self.status.revision(),
            problem: match &self.status {
                FeedStatus::Rejected(problem) => Some(problem.body(None, None)),
                _ => None,
            },
        }
    }
}
