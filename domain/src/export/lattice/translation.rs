//! Tables that turn keys of a node into keys of a coarser one.

/// Maximum number of bits of a key that one table looks at: tables fit into the first-level cache together.
const TABLE_BITS: u32 = 11;

/// How one column is translated.
pub(super) struct TranslatedColumn {
    /// The first bit of its field.
    pub(super) shift: u32,
    /// The number of bits of its field.
    pub(super) width: u32,
    /// The group at the coarser node of each group at the finer one.
    pub(super) groups: Vec<u16>,
    /// How many groups the column has at the coarser node.
    pub(super) groups_after: u64,
}

/// Turns keys of a node into keys of a coarser one, and numbers the coarser ones without gaps.
///
/// A key and a number are sums of what each column contributes, so one table gives the contributions of all columns whose
/// fields lie in the same bits of a key.
#[derive(Debug, Clone)]
pub struct KeyTranslation {
    tables: Vec<Table>,
    cells: u64,
}

#[derive(Debug, Clone)]
struct Table {
    shift: u32,
    mask: u64,
    /// The contributions to the key and to the number of the cell.
    parts: Vec<(u64, u64)>,
}

impl KeyTranslation {
    /// Returns the tables for columns whose fields follow each other, the first one in the highest bits.
    pub(super) fn new(columns: &[TranslatedColumn]) -> Self {
        let (mut tables, mut cells) = (Vec::new(), 1_u64);
        let mut table: Option<Table> = None;
        for column in columns.iter().rev() {
            if column.width > 0 {
                let bits = table.as_ref().map_or(0, |table| table.mask.count_ones());
                if bits + column.width > TABLE_BITS {
                    tables.extend(table.take());
                }
                let table = table.get_or_insert_with(|| Table { shift: column.shift, mask: 0, parts: vec![(0, 0)] });
                table.add(column, cells);
            }
            cells = cells.saturating_mul(column.groups_after);
        }
        tables.extend(table);
        Self { tables, cells }
    }

    /// Returns the key at the coarser node.
    #[must_use]
    pub fn translate(&self, key: u64) -> u64 {
        self.tables.iter().fold(0, |after, table| after | table.part(key).0)
    }

    /// Returns the number of different keys that there can be at the coarser node; `u64::MAX` if it has no place in 64 bits.
    pub(crate) const fn cells(&self) -> u64 {
        self.cells
    }

    /// Returns the key at the coarser node and its number below [`Self::cells`].
    pub(crate) fn translate_to_cell(&self, key: u64) -> (u64, u64) {
        self.tables.iter().fold((0, 0), |(after, cell), table| {
            let (key, number) = table.part(key);
            (after | key, cell + number)
        })
    }
}

impl Table {
    /// Adds a column whose field is above those of the table.
    fn add(&mut self, column: &TranslatedColumn, cells: u64) {
        let (width, bits) = (column.width, self.mask.count_ones());
        let mut parts = Vec::with_capacity(self.parts.len() << width);
        for group in 0..1_usize << width {
            // Codes beyond the last group do not occur.
            let after = column.groups.get(group).map_or(0, |after| u64::from(*after));
            let (key, cell) = (after << column.shift, after.wrapping_mul(cells));
            parts.extend(self.parts.iter().map(|(own, number)| (own | key, number.wrapping_add(cell))));
        }
        self.mask = (1 << (bits + width)) - 1;
        self.parts = parts;
    }

    fn part(&self, key: u64) -> (u64, u64) {
        self.parts[(key >> self.shift & self.mask) as usize]
    }
}
