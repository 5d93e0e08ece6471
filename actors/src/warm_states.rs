//! The states of warm users, as checkpoints take them.

use std::sync::Arc;

use domain::id::UserId;
use domain::port::memory::{CommittedState, CommittedStates};
use domain::record::packed_sequence;

use crate::runtime::Runtime;

/// The heads of the warm users. A user becomes warm with nothing pending, so its head is durable. Live users have no state
/// here: their heads change, and are not packed.
pub(crate) struct WarmStates(pub(crate) Arc<Runtime>);

impl CommittedStates for WarmStates {
    fn committed(&self, user: &UserId) -> Option<CommittedState> {
        let packed = self.0.roster.packed(user)?.bytes.into_vec();
        // Bytes that do not unpack are found when the user's actor starts. The checkpoint replays the frames.
        let (generation, sequence) = packed_sequence(&packed).ok()?;
        Some(CommittedState { generation, sequence, packed })
    }
}
