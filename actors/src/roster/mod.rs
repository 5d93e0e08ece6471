//! Who is live: user to actor, found from any thread; and the shards that the actors live on.

mod actor;
mod local;
mod map;
mod sweep;
mod turns;

pub(crate) use actor::{Observe, RosterActor};
pub(crate) use local::{Local, ShardEvent};
pub(crate) use map::{Presence, Roster};
