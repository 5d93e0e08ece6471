//! Tables and a registry in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::export::{COUNT_COLUMN, ClaimReport, ExportClaims, FileContent, WordsOfColumn};
use domain::port::registry::{ListedEntry, Registry, RegistryEntry, RegistryError, RegistryKind};
use domain::port::table::{
    ColumnType, ColumnValues, TableError, TableFile, TableFiles, TableFormat, TableSchema, TableWriter,
};
use parking_lot::Mutex;

/// What a test does when a file is begun or completed. It is given the number of the file.
pub(super) type Hook = Arc<dyn Fn(usize) + Send + Sync>;

/// A table in memory.
#[derive(Clone)]
pub(super) struct MemoryTable {
    pub(super) schema: TableSchema,
    pub(super) batches: Vec<Vec<ColumnValues>>,
}

/// Keeps the tables that are written.
#[derive(Default)]
pub(super) struct MemoryTables {
    pub(super) tables: Arc<Mutex<BTreeMap<String, MemoryTable>>>,
    pub(super) when_begun: Option<Hook>,
    pub(super) when_written: Option<Hook>,
    pub(super) begun: AtomicUsize,
    pub(super) written: Arc<AtomicUsize>,
    /// How many of the next removals fail.
    pub(super) failing_removals: AtomicUsize,
}

struct MemoryWriter {
    name: String,
    table: MemoryTable,
    tables: Arc<Mutex<BTreeMap<String, MemoryTable>>>,
    when_written: Option<Hook>,
    written: Arc<AtomicUsize>,
}

impl MemoryTables {
    /// Returns a copy of a completed table.
    pub(super) fn table(&self, name: &str) -> MemoryTable {
        self.tables.lock().get(name).expect("a completed table").clone()
    }

    /// Adds a completed table without rows.
    pub(super) fn add(&self, name: &str) {
        let schema = TableSchema { columns: Vec::new(), metadata: BTreeMap::new() };
        self.tables.lock().insert(name.to_owned(), MemoryTable { schema, batches: Vec::new() });
    }
}

impl TableWriter for MemoryWriter {
    fn write(&mut self, columns: &[ColumnValues]) -> Result<(), TableError> {
        self.table.batches.push(columns.to_vec());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<u64, TableError> {
        self.tables.lock().insert(self.name, self.table);
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        self.when_written.iter().for_each(|hook| hook(number));
        Ok(1)
    }
}

impl TableFiles for MemoryTables {
    fn create(&self, name: &str, _: TableFormat, schema: &TableSchema) -> Result<Box<dyn TableWriter>, TableError> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        self.when_begun.iter().for_each(|hook| hook(number));
        Ok(Box::new(MemoryWriter {
            name: name.to_owned(),
            table: MemoryTable { schema: schema.clone(), batches: Vec::new() },
            tables: self.tables.clone(),
            when_written: self.when_written.clone(),
            written: self.written.clone(),
        }))
    }

    fn open(&self, _: &str) -> Result<Option<Arc<dyn TableFile>>, TableError> {
        Ok(None)
    }

    fn remove(&self, name: &str) -> Result<(), TableError> {
        let fails = |left: usize| left.checked_sub(1);
        if self.failing_removals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fails).is_ok() {
            return Err(TableError::Unavailable { doing: "removed", source: "a test".into() });
        }
        self.tables.lock().remove(name);
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, TableError> {
        Ok(self.tables.lock().keys().cloned().collect())
    }
}

impl MemoryTable {
    /// Counts k and l anew.
    #[track_caller]
    pub(super) fn check(&self) -> ClaimReport {
        let claims = ExportClaims::from_metadata(&self.schema.metadata).expect("claims");
        let names: Vec<String> = self.schema.columns.iter().map(|column| column.name.clone()).collect();
        let codes: Vec<Vec<u16>> = (0..names.len()).map(|column| self.words(column)).collect();
        let words = self.schema.columns.iter().zip(&codes).filter_map(|(column, codes)| match &column.values {
            ColumnType::Word(words) => Some((column.name.clone(), WordsOfColumn { words, codes })),
            _ => None,
        });
        let rows: usize = self.batches.iter().map(|batch| batch[0].rows()).sum();
        let counts = names.iter().position(|name| name == COUNT_COLUMN).map(|column| self.integers(column));
        let (words, counts) = (words.collect(), counts.as_deref());
        let file = FileContent { columns: &names, words, counts, rows: rows as u64 };
        claims.check(&file).unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// Returns the values of a column of integers; nothing for another one.
    pub(super) fn integers(&self, column: usize) -> Vec<Option<i64>> {
        let batches = self.batches.iter().map(|batch| &batch[column]);
        let integers = batches.map(|values| match values {
            ColumnValues::Integers(integers) => integers.clone(),
            _ => Vec::new(),
        });
        integers.flatten().collect()
    }

    /// Returns the codes of a column of words; nothing for another one.
    pub(super) fn words(&self, column: usize) -> Vec<u16> {
        let batches = self.batches.iter().map(|batch| &batch[column]);
        batches
            .flat_map(|values| if let ColumnValues::Words(codes) = values { codes.clone() } else { Vec::new() })
            .collect()
    }

    pub(super) fn pseudonyms(&self) -> Vec<[u8; 32]> {
        let keys = self.batches.iter().map(|batch| &batch[0]);
        keys.flat_map(|values| if let ColumnValues::Keys(keys) = values { keys.clone() } else { Vec::new() }).collect()
    }
}

type Entries = HashMap<(RegistryKind, Vec<u8>), Arc<RegistryEntry>>;

/// A registry that outlives the supervisors of a test.
#[derive(Default)]
pub(super) struct MemoryRegistry {
    entries: Mutex<Entries>,
    /// Whether nothing can be written.
    pub(super) fails: AtomicBool,
    /// How often something was written.
    pub(super) writes: AtomicUsize,
}

impl MemoryRegistry {
    fn write(&self) -> Result<(), RegistryError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let fails = self.fails.load(Ordering::Relaxed);
        if fails { Err(RegistryError::Unavailable { source: "a full disk".into() }) } else { Ok(()) }
    }
}

impl Registry for MemoryRegistry {
    fn get(&self, kind: RegistryKind, key: &[u8], now: i64) -> Option<Arc<RegistryEntry>> {
        self.entries.lock().get(&(kind, key.to_vec())).filter(|entry| !entry.has_expired(now)).cloned()
    }

    fn list(&self, kind: RegistryKind, now: i64) -> Vec<ListedEntry> {
        let entries = self.entries.lock();
        let listed = entries.iter().filter(|((own, _), entry)| *own == kind && !entry.has_expired(now));
        let mut listed: Vec<ListedEntry> = listed.map(|((_, key), entry)| (key.clone(), entry.clone())).collect();
        listed.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        listed
    }

    fn put(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry) -> Result<(), RegistryError> {
        self.write()?;
        self.entries.lock().insert((kind, key.to_vec()), Arc::new(entry));
        Ok(())
    }

    fn put_new(&self, kind: RegistryKind, key: &[u8], entry: RegistryEntry, now: i64) -> Result<bool, RegistryError> {
        let is_new = self.get(kind, key, now).is_none();
        if is_new {
            self.put(kind, key, entry)?;
        }
        Ok(is_new)
    }

    fn remove(&self, kind: RegistryKind, key: &[u8]) -> Result<Option<Arc<RegistryEntry>>, RegistryError> {
        self.write()?;
        Ok(self.entries.lock().remove(&(kind, key.to_vec())))
    }
}
