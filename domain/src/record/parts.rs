//! Further parts of a change, behind its fixed ones: each is a tag and its bytes.
//!
//! A part changes what the change means, so a change with an unknown tag is refused, not read without the part.

use super::codec::{DecodeError, Reader, Writer};
use super::snapshot_mark::{read_mark, write_mark};
use crate::event::SharedText;
use crate::snapshot::SnapshotMark;

/// The subject of the person whose request the event is, as text.
const PERSON: u8 = 1;
/// A snapshot that was taken or removed, as in `snapshot_mark`.
const SNAPSHOT: u8 = 2;

/// The parts of one change.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parts {
    /// The subject of the person whose request the event is; `None` for an event of a feed.
    pub(super) person: Option<SharedText>,
    /// What the change says about snapshots.
    pub(super) snapshot: Option<SnapshotMark>,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.person.is_none() && self.snapshot.is_none()
    }

    /// Appends the parts in the order of their tags. They extend to the end of the body.
    pub(super) fn write(&self, out: &mut Writer) {
        if let Some(person) = &self.person {
            out.u8(PERSON);
            out.bytes(person.as_str().as_bytes());
        }
        if let Some(mark) = &self.snapshot {
            out.u8(SNAPSHOT);
            let mut bytes = Writer(Vec::with_capacity(48));
            write_mark(&mut bytes, mark);
            out.bytes(&bytes.0);
        }
    }

    /// Reads parts up to the end of the body.
    ///
    /// # Errors
    /// There is no part, a tag is unknown, or the tags are not in order.
    pub(super) fn read(input: &mut Reader) -> Result<Self, DecodeError> {
        let (mut parts, mut last) = (Self::default(), 0);
        while !input.is_empty() {
            match input.u8()? {
                tag if tag <= last => return Err(DecodeError::Unknown { what: "order of parts" }),
                PERSON => (parts.person, last) = (Some(input.text()?), PERSON),
                SNAPSHOT => {
                    let mut bytes = Reader::new(input.bytes()?);
                    (parts.snapshot, last) = (Some(read_mark(&mut bytes)?), SNAPSHOT);
                    if !bytes.is_empty() {
                        return Err(DecodeError::Unknown { what: "tail" });
                    }
                }
                _ => return Err(DecodeError::Unknown { what: "part" }),
            }
        }
        if parts.is_empty() { Err(DecodeError::Unknown { what: "part" }) } else { Ok(parts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Parts, DecodeError> {
        Parts::read(&mut Reader::new(bytes))
    }

    #[test]
    fn parts_read_back_and_anything_else_is_refused() {
        let parts = Parts { person: Some("usr_x".into()), snapshot: None };
        let mut out = Writer(Vec::new());
        parts.write(&mut out);
        assert_eq!(out.0, b"\x01\x05usr_x");
        assert_eq!(read(&out.0), Ok(parts));
        for (bytes, what) in [
            (&b""[..], "part"),
            (b"\x03\x00", "part"),
            (b"\x02\x01\x09", "mark of a snapshot"),
            (b"\x02\x03\x02\x05\x00", "tail"),
            (b"\x01\x00\x01\x00", "order of parts"),
            (b"\x00\x00", "order of parts"),
        ] {
            assert_eq!(read(bytes), Err(DecodeError::Unknown { what }), "{bytes:?}");
        }
        assert!(read(b"\x01\x05usr").is_err(), "cut off");
        let parts = Parts { person: None, snapshot: Some(SnapshotMark::Removed { taken: 5 }) };
        let mut out = Writer(Vec::new());
        parts.write(&mut out);
        assert_eq!(out.0, b"\x02\x02\x02\x05");
        assert_eq!(read(&out.0), Ok(parts));
    }
}
