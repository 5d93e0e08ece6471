//! Why a revision was made.

use crate::event::SharedText;
use crate::source::Source;

/// The cause of a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// No event: the day turned, or the rules of assembly or the access policy changed.
    Roll,
    /// An event of a source's feed.
    Feed {
        /// The source that sent the event.
        source: Source,
        /// The event's id.
        event_id: SharedText,
    },
    /// A request of a person, which the server turned into an event of a source.
    Person {
        /// The subject of the person's token.
        person: SharedText,
        /// The source of the event.
        source: Source,
        /// The id that the server gave to the event.
        event_id: SharedText,
    },
}

impl Cause {
    /// Returns the cause of a revision that an event made; `person` is the one whose request it was.
    pub(super) fn of_event(source: Source, event_id: SharedText, person: Option<SharedText>) -> Self {
        match person {
            None => Self::Feed { source, event_id },
            Some(person) => Self::Person { person, source, event_id },
        }
    }
}
