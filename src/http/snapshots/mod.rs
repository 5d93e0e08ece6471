//! Snapshots of a profile: `GET` and `POST /api/v2/profile/{user_id}/snapshots`, `GET` and `DELETE …/snapshots/{id}`.
//!
//! What callers see of the past is masked as the newest revision is for them now.

mod cursor;
mod list;
mod render;
mod state;
mod write;

pub(super) use list::{get, list};
pub(super) use render::snapshot as snapshot_json;
pub(crate) use state::SnapshotState;
pub(super) use write::{MAX_BODY, remove, take};
