//! Pseudonyms on the device.

use super::driver::Buffer;
use super::error::CudaError;
use super::lane::Lane;
use super::program::Program;
use crate::{Pseudonym, PseudonymKey, Texts};
use zeroize::Zeroizing;

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
    let mut key_states = Zeroizing::new([0; 16]);
    key_states[..8].copy_from_slice(key.inner());
    key_states[8..].copy_from_slice(key.outer());
    let on_device = Buffer::new(key_states.len())?;
    let sent = lane.upload_into(&*key_states, &on_device, 0);
    let computed = sent.and_then(|()| compute(lane, program, &on_device, texts));
    // Also after a failure: whoever has the key can join the pseudonyms with the users.
    let wiped = lane.wipe(&on_device, key_states.len());
    let pseudonyms = computed?;
    wiped.map(|()| pseudonyms)
}

/// Computes the pseudonyms of the texts with the states of a key that are on the device.
fn compute(
    lane: &mut Lane,
    program: &Program,
    key_states: &Buffer<u32>,
    texts: &Texts<'_>,
) -> Result<Vec<Pseudonym>, CudaError> {
    let rows = texts.rows();
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
            key_states.into(),
            (&bytes).into(),
            (&starts).into(),
            has_starts.into(),
            width.into(),
            row_count.into(),
            (&out).into(),
        ],
    )?;
    lane.download(&out, rows)
}
