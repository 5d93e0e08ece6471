//! One user's live state, and all rules of how it changes. It knows no actix and no roster: the shard calls it, with an
//! [`Environment`], and carries out its [`Effects`].
//!
//! Read `state` first, then `apply` (an event becomes pending), `settle` (pending becomes the head), `read` and
//! `subscribers`.

mod apply;
mod environment;
mod erasure;
mod frame_builder;
mod handle;
mod outlet;
mod outlet_class;
mod outlets;
mod per_class;
mod read;
mod settle;
mod snapshot;
mod state;
mod subscribers;

pub(crate) use environment::{Effects, Environment};
pub(crate) use outlets::Outlets;
pub(crate) use settle::AfterSettle;
pub(crate) use state::{FirstHead, ProfileState};
