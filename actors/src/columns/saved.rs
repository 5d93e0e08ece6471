//! The saved form of the columns: pieces of rows, and a last piece with the dictionaries.
//!
//! A piece of rows:
//!
//! ```text
//! length  field
//!      4  first row
//!         for each of the rows from that one on: its 64 bytes
//! ```

use domain::columns::{Dictionaries, ROW_BYTES, ReadFault, Row};
use domain::port::journal::RowId;
use domain::port::projection::SavedProjection;
use domain::port::store::StoreError;

use super::chunk::CHUNK_ROWS;
use super::chunk_table::ChunkTable;
use super::shared_dictionaries::SharedDictionaries;

/// Returns the number of pieces with rows.
pub(super) fn row_pieces(saved: &dyn SavedProjection) -> usize {
    (saved.pieces() as usize).saturating_sub(1)
}

/// Reads the dictionaries.
pub(super) fn dictionaries(saved: &dyn SavedProjection) -> Result<Dictionaries, StoreError> {
    let last = saved.pieces().checked_sub(1).ok_or_else(|| damaged(ReadFault))?;
    Dictionaries::from_bytes(&saved.read(last)?).map_err(damaged)
}

/// Returns the rows of a piece that are not empty.
pub(super) fn rows(piece: &[u8]) -> Result<Vec<(RowId, Row)>, StoreError> {
    let (first, rows) = piece.split_first_chunk().ok_or_else(|| damaged(ReadFault))?;
    let first = u32::from_le_bytes(*first);
    let (rows, []) = rows.as_chunks::<ROW_BYTES>() else { return Err(damaged(ReadFault)) };
    let mut read = Vec::with_capacity(rows.len());
    for (number, bytes) in (0..).zip(rows) {
        let row = Row::from_bytes(bytes).map_err(damaged)?;
        if row != Row::EMPTY {
            read.push((RowId(first.checked_add(number).ok_or_else(|| damaged(ReadFault))?), row));
        }
    }
    Ok(read)
}

fn damaged(fault: ReadFault) -> StoreError {
    StoreError::Damaged { what: fault.to_string() }
}

/// Hands all columns to `save`, piece by piece.
pub(super) fn pieces(
    chunks: &ChunkTable,
    dictionaries: &SharedDictionaries,
    save: &mut dyn FnMut(Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for (first, chunk) in chunks.iter() {
        let rows = chunk.read(<[Row]>::to_vec);
        let mut piece = Vec::with_capacity(4 + CHUNK_ROWS * ROW_BYTES);
        piece.extend_from_slice(&first.0.to_le_bytes());
        rows.iter().for_each(|row| piece.extend_from_slice(&row.to_bytes()));
        save(piece)?;
    }
    // After the rows: it has every code that they have.
    save(dictionaries.copy().to_bytes())
}

#[cfg(test)]
mod tests {
    use domain::columns::Version;

    use super::*;

    #[test]
    fn rows_of_a_piece_read_back_and_anything_else_is_refused() {
        let row = Row::erased(Version::new(1, 2));
        let piece = [&7_u32.to_le_bytes()[..], &Row::EMPTY.to_bytes(), &row.to_bytes()].concat();
        assert_eq!(rows(&piece).ok(), Some(vec![(RowId(8), row)]));
        for bad in [&piece[..3], &piece[..piece.len() - 1], &[&[255; 4], &piece[4..]].concat()] {
            assert!(rows(bad).is_err());
        }
    }
}
