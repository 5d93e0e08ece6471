//! Positions in the journal.

use std::fmt;

/// A segment and a byte offset in it. Positions only grow, so they order what was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

impl Position {
    /// Before every frame: segments count from 1.
    pub(crate) const NONE: Self = Self { segment: 0, offset: 0 };

    pub(crate) fn new(segment: u32, offset: u32) -> Self {
        Self { segment, offset }
    }

    /// Returns the position as one number, in the same order.
    pub(crate) fn to_u64(self) -> u64 {
        u64::from(self.segment) << 32 | u64::from(self.offset)
    }

    pub(crate) fn from_u64(number: u64) -> Self {
        Self { segment: (number >> 32) as u32, offset: number as u32 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}, offset {}", self.segment, self.offset)
    }
}
