//! The port through which a checkpoint takes the states that memory holds.

use crate::id::UserId;

/// A user's committed state in its stored form.
#[derive(Clone, PartialEq, Eq)]
pub struct CommittedState {
    /// The erasure generation that the state belongs to.
    pub generation: u32,
    /// The sequence of the last frame that the state holds.
    pub sequence: u64,
    /// The packed state.
    pub packed: Vec<u8>,
}

impl std::fmt::Debug for CommittedState {
    // The state is a citizen's data in plain.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CommittedState(sequence {}, {} bytes)", self.sequence, self.packed.len())
    }
}

/// The committed states of the users that are in memory.
///
/// A state is committed when the journal has made its last frame durable, and only then does memory hold it as such. So
/// memory is never ahead of the journal. It may be behind: a frame is durable a moment before memory knows.
pub trait CommittedStates: Send + Sync {
    /// Returns a user's committed state; `None` if memory does not have it, or not in this form. Never waits for the user's
    /// actor.
    fn committed(&self, user: &UserId) -> Option<CommittedState>;
}
