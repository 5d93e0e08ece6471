//! The chunks by row. They are made when they are first needed, and are found without a lock.

use std::sync::OnceLock;

use domain::port::journal::RowId;

use super::chunk::{CHUNK_ROWS, Chunk};

/// Number of chunks of a block, and of blocks: together they cover every row that there can be.
const FAN_OUT: usize = 1024;
const _: () = assert!(FAN_OUT * FAN_OUT * CHUNK_ROWS == 1 << u32::BITS);

type Block = Box<[OnceLock<Chunk>]>;

/// The chunks of all rows.
pub(super) struct ChunkTable(Box<[OnceLock<Block>]>);

impl Default for ChunkTable {
    fn default() -> Self {
        Self(empty())
    }
}

fn empty<T>() -> Box<[OnceLock<T>]> {
    (0..FAN_OUT).map(|_| OnceLock::new()).collect()
}

/// Returns the place of a row: its block, its chunk in the block, and its place in the chunk.
fn place(row: RowId) -> (usize, usize, usize) {
    let RowId(number) = row;
    let number = number as usize;
    (number / CHUNK_ROWS / FAN_OUT, number / CHUNK_ROWS % FAN_OUT, number % CHUNK_ROWS)
}

impl ChunkTable {
    /// Returns the chunk of a row, and the row's place in it. The chunk is made if it is missing.
    pub(super) fn get_or_add(&self, row: RowId) -> (&Chunk, usize) {
        let (block, chunk, place) = place(row);
        (self.0[block].get_or_init(empty)[chunk].get_or_init(Chunk::default), place)
    }

    /// Returns the chunk of a row, and the row's place in it; `None` if no row of the chunk was ever filled.
    pub(super) fn get(&self, row: RowId) -> Option<(&Chunk, usize)> {
        let (block, chunk, place) = place(row);
        Some((self.0[block].get()?[chunk].get()?, place))
    }

    /// Returns all chunks, each with its first row, in the order of the rows.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RowId, &Chunk)> {
        let blocks = self.0.iter().enumerate().filter_map(|(number, block)| Some((number, block.get()?)));
        blocks.flat_map(|(block, chunks)| {
            let first = move |chunk| RowId(((block * FAN_OUT + chunk) * CHUNK_ROWS) as u32);
            chunks.iter().enumerate().filter_map(move |(number, chunk)| Some((first(number), chunk.get()?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_place_of_its_own() {
        let table = ChunkTable::default();
        let rows = [0, 1, 4095, 4096, 4096 * 1024 - 1, 4096 * 1024, u32::MAX - 4096, u32::MAX].map(RowId);
        assert!(rows.iter().all(|row| table.get(*row).is_none()));
        let mut places = Vec::new();
        for row in rows {
            let (chunk, place) = table.get_or_add(row);
            assert!(table.get(row).is_some_and(|(found, at)| std::ptr::eq(found, chunk) && at == place));
            places.push((std::ptr::from_ref(chunk), place));
        }
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), rows.len());
        let firsts: Vec<u32> = table.iter().map(|(row, _)| row.0).collect();
        assert_eq!(firsts, [0, 4096, 4096 * 1023, 4096 * 1024, u32::MAX - 8191, u32::MAX - 4095]);
    }
}
