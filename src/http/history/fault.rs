//! Problems of points in a profile's history.

use actors::history::HistoryFault;
use domain::day::format_instant;

use crate::http::problem::{Code, Problem};

/// Returns what was read of the past.
///
/// # Errors
/// The point cannot be read.
pub(in crate::http) fn past<T>(read: Result<T, HistoryFault>) -> Result<T, Problem> {
    read.map_err(|fault| match fault {
        HistoryFault::UnknownRevision => {
            Problem::new(Code::UnknownRevision, "the profile has no such revision, or had none at that time")
        }
        HistoryFault::UnknownSnapshot => {
            Problem::new(Code::UnknownSnapshot, "the profile has no snapshot with this id, or has it no more")
        }
        HistoryFault::Future => {
            Problem::new(Code::InvalidParameter, "the time is in the future: leave it out to read the newest revision")
        }
        HistoryFault::Gone { retained_from } => Problem::history_gone(format_instant(retained_from)),
    })
}
