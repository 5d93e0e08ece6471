//! What a profile state needs from outside, and what it asks for.

use crate::services::Services;

/// What a profile state needs of its shard and the system.
pub(crate) struct Environment<'a> {
    pub(crate) services: &'a Services,
    /// The index of the shard.
    pub(crate) shard: u16,
    /// The number of the shard's ticks since the start.
    pub(crate) tick: u32,
}

/// What a profile state asks of its shard, to be carried out after the call that asked for it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Effects {
    /// Add the actor to the hot ring.
    pub(crate) keep_hot: bool,
    /// Flush the actor's deferred patches at the next tick.
    pub(crate) flush_soon: bool,
}
