//! A user's frames since the last checkpoint: the locations of all of them, and their bytes while those are few.

use domain::port::journal::{Record, RecordKind};
use domain::port::store::StoreError;

use super::damaged;
use crate::engine::Engine;
use crate::journal::{FrameHeader, NewestFrame, Position, SegmentItem, parse_item};
use crate::seal::Cipher;
use crate::user_hash::UserHash;
use crate::user_suffix::split_user;

/// Maximum number of bytes of one user's frames that are held in memory. The frames of a longer chain are read one by one
/// when they are needed, and only their locations are held, 12 bytes each. A frame takes at least 84 bytes of the
/// journal, so the locations take less than a seventh of the journal that no checkpoint covers yet.
pub(crate) const HELD_BYTES: usize = 4 << 20;

/// A user's frames in the order of their sequences.
pub(crate) struct Chain {
    locations: Vec<FrameLocation>,
    /// The bytes of every frame, or empty if they exceed [`HELD_BYTES`].
    held: Vec<Box<[u8]>>,
}

#[derive(Clone, Copy)]
struct FrameLocation {
    position: Position,
    /// Offsets in a segment have 32 bits, so a frame's length has no more.
    length: u32,
}

const _: () = assert!(size_of::<FrameLocation>() == 12);

/// One frame of a chain.
pub(crate) struct Link {
    pub(crate) position: Position,
    pub(crate) length: usize,
    /// `None` if the frames of the chain exceed [`HELD_BYTES`]: the frame has to be read again.
    pub(crate) bytes: Option<Box<[u8]>>,
}

impl Chain {
    /// Returns the frames, oldest first.
    pub(crate) fn links(self) -> impl Iterator<Item = Link> {
        let mut held = self.held.into_iter();
        let link =
            move |FrameLocation { position, length }| Link { position, length: length as usize, bytes: held.next() };
        self.locations.into_iter().map(link)
    }
}

/// Builds a chain from its newest frame back to its oldest.
#[derive(Default)]
struct ChainBuilder {
    locations: Vec<FrameLocation>,
    held: Vec<Box<[u8]>>,
    bytes: usize,
}

impl ChainBuilder {
    /// Adds the frame before those that were added so far.
    fn push(&mut self, position: Position, frame: &[u8]) {
        self.locations.push(FrameLocation { position, length: frame.len() as u32 });
        self.bytes += frame.len();
        if self.bytes <= HELD_BYTES {
            // A copy, because the read buffer continues behind the frame.
            self.held.push(frame.into());
        } else {
            self.held = Vec::new();
        }
    }

    fn finish(mut self) -> Chain {
        self.locations.reverse();
        self.held.reverse();
        Chain { locations: self.locations, held: self.held }
    }
}

/// Where a chain starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum ChainStart {
    /// After the frame with this sequence, which a checkpoint's record has.
    After(u64),
    /// At the first frame of the generation, as what a checkpoint has is of an earlier one.
    Generation,
}

/// Follows a user's chain back from its newest frame to its start. Returns `None` if a segment that is needed was removed
/// meanwhile.
pub(super) fn follow_chain(
    engine: &Engine,
    user: &UserHash,
    newest: Option<NewestFrame>,
    start: ChainStart,
) -> Result<Option<Chain>, StoreError> {
    let mut chain = ChainBuilder::default();
    let Some(NewestFrame { mut position, mut sequence, slot, generation, .. }) = newest else {
        return Ok(Some(chain.finish()));
    };
    let folded = match start {
        ChainStart::After(folded) => folded,
        ChainStart::Generation => 0,
    };
    while sequence > folded {
        let Some(bytes) = engine.segments.fetch(position)? else { return Ok(None) };
        let SegmentItem::Frame { header, length, .. } = parse_item(&bytes) else {
            return Err(damaged(format!("the journal at {position}")));
        };
        // It ends the generation before.
        if header.is_erasure() && header.generation + 1 == generation && header.user == *user {
            break;
        }
        if (header.user, header.sequence, header.slot, header.generation) != (*user, sequence, slot, generation) {
            return Err(damaged(format!("the journal's chain at {position}")));
        }
        chain.push(position, &bytes[..length]);
        // Only the keyring knew of the erasure: a backup from before it was restored.
        if header.previous == Position::NONE && matches!(start, ChainStart::Generation) {
            break;
        }
        (position, sequence) = (header.previous, sequence - 1);
    }
    Ok(Some(chain.finish()))
}

/// Opens a frame of a chain. Returns `None` if its segment was removed meanwhile.
pub(crate) fn open_link(engine: &Engine, link: Link, cipher: &Cipher) -> Result<Option<Record>, StoreError> {
    let Link { position, bytes, .. } = link;
    let bytes = match bytes {
        Some(bytes) => bytes.into_vec(),
        None => match engine.segments.fetch(position)? {
            Some(bytes) => bytes,
            None => return Ok(None),
        },
    };
    let SegmentItem::Frame { header, sealed, .. } = parse_item(&bytes) else {
        return Err(damaged(format!("the journal at {position}")));
    };
    match open_frame(cipher, &header, sealed) {
        Some(record) => Ok(Some(record)),
        None => Err(damaged(format!("the seal of the journal's frame at {position}"))),
    }
}

/// Opens a frame; `None` if its seal or its content is not what was written.
pub(crate) fn open_frame(cipher: &Cipher, header: &FrameHeader, sealed: &[u8]) -> Option<Record> {
    let mut body = cipher.open(&header.nonce, header.label(), sealed).ok()?;
    let user = split_user(&mut body)?;
    let (kind, generation, sequence) = (RecordKind(header.kind), header.generation, header.sequence);
    Some(Record { user, generation, sequence, kind, body })
}

/// Returns the error for a missing segment that no checkpoint covers.
pub(crate) fn segment_missing() -> StoreError {
    damaged("the journal: a segment that no checkpoint covers is missing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_holds_only_the_locations_of_its_frames() {
        let chain = |frames: u32, bytes: usize| {
            let mut builder = ChainBuilder::default();
            for number in (0..frames).rev() {
                builder.push(Position::new(1, number), &vec![number as u8; bytes]);
            }
            builder.finish()
        };
        let short: Vec<_> = chain(4, 1 << 20).links().collect();
        for (number, link) in (0..).zip(&short) {
            assert_eq!((link.position.offset, link.length), (number, 1 << 20));
            assert!(link.bytes.as_ref().is_some_and(|bytes| bytes[0] == number as u8));
        }
        let long = chain(5, 1 << 20);
        assert!(long.held.is_empty() && long.held.capacity() == 0);
        let offsets: Vec<_> = long.links().map(|link| (link.position.offset, link.bytes.is_none())).collect();
        assert_eq!(offsets, [(0, true), (1, true), (2, true), (3, true), (4, true)]);
    }
}
