//! A user's frames since the last checkpoint: the places of all, and their bytes where those are few.

use crate::journal::Position;

/// Frames of one user are held in memory up to this many bytes. Those of a longer chain are read one by one when their
/// turn comes, and 12 bytes are held of each. A frame takes at least 84 bytes of the journal, so a chain takes less than a
/// seventh of the journal that is in no checkpoint yet.
pub(crate) const HELD_BYTES: usize = 4 << 20;

/// Frames in the order of their sequences.
pub(crate) struct Chain {
    places: Vec<FrameLocation>,
    /// The bytes of each, or none at all.
    held: Vec<Box<[u8]>>,
}

#[derive(Clone, Copy)]
struct FrameLocation {
    position: Position,
    /// Offsets in a segment have 32 bits, so a frame's length has no more.
    length: u32,
}

const _: () = assert!(size_of::<FrameLocation>() == 12);

/// A frame of a user's chain.
pub(crate) struct Link {
    pub(crate) position: Position,
    pub(crate) length: usize,
    /// `None` where the bytes of the whole chain are too many to hold.
    pub(crate) bytes: Option<Box<[u8]>>,
}

impl Chain {
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn links(self) -> impl Iterator<Item = Link> {
        let mut held = self.held.into_iter();
        let link =
            move |FrameLocation { position, length }| Link { position, length: length as usize, bytes: held.next() };
        self.places.into_iter().map(link)
    }
}

/// Takes a chain from its newest frame to its oldest.
#[derive(Default)]
pub(crate) struct ChainBuilder {
    places: Vec<FrameLocation>,
    held: Vec<Box<[u8]>>,
    bytes: usize,
}

impl ChainBuilder {
    pub(crate) fn push(&mut self, position: Position, frame: &[u8]) {
        self.places.push(FrameLocation { position, length: frame.len() as u32 });
        self.bytes += frame.len();
        if self.bytes <= HELD_BYTES {
            // A copy, since what was read goes on behind the frame.
            self.held.push(frame.into());
        } else {
            self.held = Vec::new();
        }
    }

    pub(crate) fn finish(mut self) -> Chain {
        self.places.reverse();
        self.held.reverse();
        Chain { places: self.places, held: self.held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_holds_the_places_of_its_frames_alone() {
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
