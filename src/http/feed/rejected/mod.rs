//! `GET /api/v2/feeds/{source}/rejected` and `POST …/rejected/{id}/retry`: the dead letters of a source, for its own engine and
//! for operators. The events themselves are never shown.

mod list;
mod retry;
mod state;

pub(in crate::http) use list::get;
pub(in crate::http) use retry::post;
pub(crate) use state::RejectedState;
