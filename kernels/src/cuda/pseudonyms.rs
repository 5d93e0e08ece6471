//! Pseudonyms on the device.

use super::driver::Buffer;
use super::error::CudaError;
use super::lane::Lane;
use super::program::Program;
use crate::{Pseudonym, PseudonymKey, Texts};

/// Bytes on the device.
pub(super) fn bytes(texts: &Texts<'_>) -> u64 {
    (texts.bytes().len() + texts.starts().map_or(0, size_of_val) + texts.rows() * size_of::<Pseudonym>()) as u64
}

pub(super) fn pseudonyms(
    lane: &mut Lane,
    program: &Program,
    key: &PseudonymKey,
    texts: &Texts<'_>,
) -> Result<Vec<Pseudonym>, CudaError> {
    let rows = texts.rows();
    if rows == 0 {
        return Ok(Vec::new());
    }
    let mut key_states = [0; 16];
    key_states[..8].copy_from_slice(key.inner());
    key_states[8..].copy_from_slice(key.outer());
    let key_states = lane.upload(&key_states)?;
    let bytes = lane.upload(texts.bytes())?;
    let starts = lane.upload(texts.starts().unwrap_or_default())?;
    let has_starts = u32::from(texts.starts().is_some());
    let out = Buffer::<Pseudonym>::new(rows)?;
    // Fits: texts are addressed with 32 bits.
    let (width, row_count) = (texts.width() as u32, rows as u32);
    lane.launch(
        &program.pseudonyms,
        rows,
        1,
        [
            (&key_states).into(),
            (&bytes).into(),
            (&starts).into(),
            has_starts.into(),
            width.into(),
            row_count.into(),
            (&out).into(),
        ],
    )?;
    let out = lane.download(&out, rows)?;
    lane.wipe(&key_states)?;
    Ok(out)
}
