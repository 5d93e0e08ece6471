//! The results of events, as answers contain them.

use actors::Status;
use serde::Serialize;

use crate::http::problem::{Code, Problem, ProblemBody};

/// The number of events with each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) applied: u64,
    pub(super) unchanged: u64,
    pub(super) duplicates: u64,
    pub(super) busy: u64,
    pub(super) rejected: u64,
}

impl Tally {
    /// Returns the number of events that have a result.
    pub(super) fn total(&self) -> u64 {
        self.applied + self.unchanged + self.duplicates + self.busy + self.rejected
    }
}

/// The status of one event.
#[derive(Debug)]
pub(super) enum FeedStatus {
    /// The event has made this revision of the profile.
    Applied(u64),
    /// The event has not changed the profile, which has this revision.
    Unchanged(u64),
    /// The same event was applied before. The profile had this revision then.
    Duplicate(u64),
    /// The event was not acknowledged and must be sent again.
    Busy,
    /// The event is not valid.
    Rejected(Problem),
}

impl FeedStatus {
    /// The names in answers and metrics, in the order of [`FeedStatus::number`].
    pub(super) const NAMES: [&str; 5] = ["applied", "unchanged", "duplicate", "busy", "rejected"];

    /// The number of a rejected event.
    pub(super) const REJECTED: usize = 4;

    /// Returns the number of the status.
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
            // A user without a profile has revision 0, which is not reported.
            Self::Applied(revision) | Self::Unchanged(revision) | Self::Duplicate(revision) => {
                Some(*revision).filter(|revision| *revision > 0)
            }
            Self::Busy | Self::Rejected(_) => None,
        }
    }

    /// Adds one to the count of this status.
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
            Status::Erased => Self::Rejected(erased()),
            Status::Busy => Self::Busy,
        }
    }
}

/// Returns the problem of an event of an erased user. The event is not kept as a dead letter.
fn erased() -> Problem {
    let detail =
        "the user was erased, and only a registration from after that begins a new profile: do not send it again";
    Problem::new(Code::Erased, detail)
}

/// One event of a request with its status.
#[derive(Debug)]
pub(super) struct FeedResult {
    /// Position of the event in the request, from 0.
    pub(super) index: u64,
    /// The event's id; `None` if it could not be read.
    pub(super) id: Option<String>,
    pub(super) status: FeedStatus,
}

/// The JSON of a result.
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
    /// Returns the JSON of the result.
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
