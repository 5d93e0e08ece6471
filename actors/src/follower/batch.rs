//! What a follower receives.

use domain::publication::PublishedEventType;

/// A published event, masked for one follower.
#[derive(Debug, Clone)]
pub struct MaskedEvent {
    /// The cursor that continues after this event.
    pub cursor: String,
    /// The type of the event.
    pub kind: PublishedEventType,
    /// The CloudEvent as JSON, with the extension attribute `cursor`.
    pub text: String,
}

/// The events of one read.
#[derive(Debug, Default)]
pub struct EventBatch {
    /// The events, in the journal's order.
    pub events: Vec<MaskedEvent>,
    /// The cursor that continues after all of them.
    pub cursor: String,
}
