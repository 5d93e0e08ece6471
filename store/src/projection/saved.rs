//! Reading the saved projection.

use std::io;
use std::path::Path;
use std::sync::Arc;

use domain::port::log::LogPosition;
use domain::port::projection::SavedProjection;
use domain::port::store::StoreError;

use super::header::{HEADER_BYTES, Header, PIECE_HEADER_BYTES};
use crate::bytes::{array_at, u32_at};
use crate::disk::{Disk, DiskFile, read_full_at};
use crate::engine::Engine;
use crate::keyring::FIRST_GENERATION;
use crate::seal::{Cipher, TAG_BYTES};

/// The file of an earlier run.
pub(super) struct SavedFile {
    file: Arc<dyn DiskFile>,
    header: Header,
    cipher: Cipher,
    /// Where each piece begins, and where the last one ends.
    places: Vec<u64>,
}

impl SavedFile {
    /// Opens the file. `None` if it is not one of this store, or not of the present key.
    pub(super) fn open(engine: &Engine, disk: &dyn Disk, path: &Path) -> Result<Option<Self>, StoreError> {
        let file = disk.open(path).map_err(unreadable)?;
        let mut bytes = [0; HEADER_BYTES];
        let filled = read_full_at(&*file, &mut bytes, 0).map_err(unreadable)?;
        let Some(header) = Header::decode(&bytes).filter(|_| filled == HEADER_BYTES) else { return Ok(None) };
        let key = engine.sled.projection_key().map_err(|error| unreadable(io::Error::other(error)))?;
        let is_ours = key.is_some_and(|key| key.slot == header.slot)
            && header.epoch == engine.segments.epoch()
            && header.position <= engine.durable_end();
        if !is_ours {
            return Ok(None);
        }
        let cipher = engine.cipher(header.slot, FIRST_GENERATION)?;
        let places = places(&*file, header.pieces)?;
        Ok(Some(Self { file, header, cipher, places }))
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }
}

/// Returns where each of the pieces begins, and where the last one ends.
fn places(file: &dyn DiskFile, pieces: u32) -> Result<Vec<u64>, StoreError> {
    let (mut places, length) = (vec![HEADER_BYTES as u64], file.length().map_err(unreadable)?);
    let mut end = HEADER_BYTES as u64;
    for _ in 0..pieces {
        let mut content = [0; 4];
        let filled = read_full_at(file, &mut content, end).map_err(unreadable)?;
        end += (PIECE_HEADER_BYTES + TAG_BYTES) as u64 + u64::from(u32_at(&content, 0));
        if filled < content.len() || end > length {
            return Err(StoreError::Damaged { what: "the saved columns are cut off".to_owned() });
        }
        places.push(end);
    }
    Ok(places)
}

impl SavedProjection for SavedFile {
    fn position(&self) -> LogPosition {
        LogPosition(self.header.position.to_u64())
    }

    fn pieces(&self) -> u32 {
        self.header.pieces
    }

    fn read(&self, number: u32) -> Result<Vec<u8>, StoreError> {
        let damaged = || StoreError::Damaged { what: format!("piece {number} of the saved columns") };
        let [start, end] = *self.places.get(number as usize..number as usize + 2).ok_or_else(damaged)? else {
            return Err(damaged());
        };
        let mut bytes = vec![0; (end - start) as usize];
        if read_full_at(&*self.file, &mut bytes, start).map_err(unreadable)? < bytes.len() {
            return Err(damaged());
        }
        let nonce = array_at(&bytes, 4);
        let content = self.cipher.open(&nonce, self.header.label(number), &bytes[PIECE_HEADER_BYTES..]);
        content.map_err(|_| damaged())
    }
}

fn unreadable(source: io::Error) -> StoreError {
    StoreError::Unavailable { doing: "reading the saved columns", source: source.into() }
}
