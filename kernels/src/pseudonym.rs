//! Keys and texts of pseudonyms.

use crate::KernelError;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A pseudonym: HMAC-SHA-256 (RFC 2104) of a text under the key of an export.
pub type Pseudonym = [u8; 32];

/// The initial state of SHA-256 (FIPS 180-4, 5.3.3).
const INITIAL_STATE: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The key of one export, as the two states of SHA-256 that its blocks lead to. It is wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PseudonymKey {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl PseudonymKey {
    /// Prepares a key. The caller wipes its own copy.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self { inner: state_after(key, 0x36), outer: state_after(key, 0x5c) }
    }

    /// Returns the state after the inner block of the key.
    pub(crate) fn inner(&self) -> &[u32; 8] {
        &self.inner
    }

    /// Returns the state after the outer block of the key.
    pub(crate) fn outer(&self) -> &[u32; 8] {
        &self.outer
    }
}

impl std::fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PseudonymKey")
    }
}

fn state_after(key: &[u8; 32], pad: u8) -> [u32; 8] {
    let mut block = [pad; 64];
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
    let mut state = INITIAL_STATE;
    sha2::block_api::compress256(&mut state, &[block]);
    block.zeroize();
    state
}

/// Texts, one per row, one after the other in one slice of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    bytes: &'a [u8],
    layout: Layout<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Layout<'a> {
    /// All texts have this many bytes.
    Fixed { width: usize, rows: usize },
    /// Where each text starts, and where the last one ends.
    Starts(&'a [u32]),
}

impl<'a> Texts<'a> {
    /// Returns texts of `width` bytes each.
    ///
    /// # Errors
    /// [`KernelError::TextBounds`] when the bytes are no multiple of `width`, [`KernelError::TooManyRows`] when 32 bits do not
    /// address them.
    pub fn fixed(bytes: &'a [u8], width: usize) -> Result<Self, KernelError> {
        let rows = bytes.len().checked_div(width).unwrap_or(0);
        if rows * width != bytes.len() {
            return Err(KernelError::TextBounds { row: rows, end: (rows + 1) * width });
        }
        crate::error::check_rows(bytes.len())?;
        Ok(Self { bytes, layout: Layout::Fixed { width, rows } })
    }

    /// Returns texts that start where `starts` says; its last entry is where the last text ends.
    ///
    /// # Errors
    /// [`KernelError::TextBounds`] when the starts descend or exceed the bytes, [`KernelError::TooManyRows`] when 32 bits do not
    /// address the bytes.
    pub fn variable(bytes: &'a [u8], starts: &'a [u32]) -> Result<Self, KernelError> {
        crate::error::check_rows(bytes.len())?;
        crate::error::check_rows(starts.len())?;
        let wrong = starts.windows(2).position(|pair| pair[1] < pair[0] || pair[1] as usize > bytes.len());
        if let Some(row) = wrong {
            return Err(KernelError::TextBounds { row, end: starts[row + 1] as usize });
        }
        Ok(Self { bytes, layout: Layout::Starts(starts) })
    }

    /// Returns the number of texts.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self.layout {
            Layout::Fixed { rows, .. } => rows,
            Layout::Starts(starts) => starts.len().saturating_sub(1),
        }
    }

    /// Returns the text of a row.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> &'a [u8] {
        match self.layout {
            Layout::Fixed { width, .. } => &self.bytes[row * width..][..width],
            Layout::Starts(starts) => &self.bytes[starts[row] as usize..starts[row + 1] as usize],
        }
    }

    /// Returns all bytes.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns where the texts start, unless all have the same width.
    pub(crate) fn starts(&self) -> Option<&'a [u32]> {
        match self.layout {
            Layout::Fixed { .. } => None,
            Layout::Starts(starts) => Some(starts),
        }
    }

    /// Returns the common width, or 0.
    pub(crate) fn width(&self) -> usize {
        match self.layout {
            Layout::Fixed { width, .. } => width,
            Layout::Starts(_) => 0,
        }
    }
}
