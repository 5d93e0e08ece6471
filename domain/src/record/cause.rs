//! Why a revision was made.

use super::codec::{DecodeError, Reader, Writer};
use crate::event::SharedText;
use crate::source::Source;

const ROLL: u8 = 0;
const FEED: u8 = 1;
const PERSON: u8 = 2;

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

impl Writer {
    pub(super) fn cause(&mut self, cause: &Cause) {
        let (source, event_id) = match cause {
            Cause::Roll => return self.u8(ROLL),
            Cause::Feed { source, event_id } => {
                self.u8(FEED);
                (source, event_id)
            }
            Cause::Person { person, source, event_id } => {
                self.u8(PERSON);
                self.bytes(person.as_str().as_bytes());
                (source, event_id)
            }
        };
        self.u8(*source as u8);
        self.bytes(event_id.as_str().as_bytes());
    }
}

impl Reader<'_> {
    pub(super) fn cause(&mut self) -> Result<Cause, DecodeError> {
        match self.u8()? {
            ROLL => Ok(Cause::Roll),
            FEED => Ok(Cause::Feed { source: self.source()?, event_id: self.text()? }),
            PERSON => Ok(Cause::Person { person: self.text()?, source: self.source()?, event_id: self.text()? }),
            _ => Err(DecodeError::Unknown { what: "cause" }),
        }
    }

    pub(super) fn source(&mut self) -> Result<Source, DecodeError> {
        Source::from_number(self.u8()?).ok_or(DecodeError::Unknown { what: "source" })
    }
}
