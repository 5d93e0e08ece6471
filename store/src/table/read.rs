//! Reads a table's file, for those who check it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt16Type};
use arrow_ipc::reader::FileReader;
use domain::port::table::{NO_WORD, TableError, TableFormat};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::ndjson::{FirstLine, INTEGER_TYPE, WORD_TYPE};

/// What a table's file says about itself, and those of its columns that hold single words.
#[derive(Debug, Default)]
pub struct ReadTable {
    /// The file's metadata.
    pub metadata: BTreeMap<String, String>,
    /// The names of all columns, in their order in the file.
    pub columns: Vec<String>,
    /// The columns of single words, by name.
    pub words: BTreeMap<String, WordColumn>,
    /// The columns of integers that were asked for, by name.
    pub integers: BTreeMap<String, Vec<Option<i64>>>,
    /// The number of rows.
    pub rows: usize,
}

/// A column of single words.
#[derive(Debug, Default)]
pub struct WordColumn {
    /// The words, in the order in which they came up.
    pub words: Vec<String>,
    /// The word of each row as a position in `words`; [`NO_WORD`] where there is none.
    pub codes: Vec<u16>,
    positions: HashMap<String, u16>,
}

/// Reads an unencrypted file of that format: its columns of single words, and those of integers that have one of the names in
/// `integers`.
///
/// # Errors
/// The file cannot be read, or is not of that format.
pub fn read_table(path: &Path, format: TableFormat, integers: &[&str]) -> Result<ReadTable, TableError> {
    let file = File::open(path).map_err(not_read)?;
    let mut table = ReadTable::default();
    match format {
        TableFormat::Parquet => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(not_read)?;
            let metadata = builder.metadata().file_metadata().key_value_metadata().into_iter().flatten();
            let metadata = metadata.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)));
            // The Arrow schema is another form of the columns, and says nothing about the table.
            table.metadata = metadata.filter(|(key, _)| key != "ARROW:schema").collect();
            for batch in builder.build().map_err(not_read)? {
                table.add(&batch.map_err(not_read)?, integers)?;
            }
        }
        TableFormat::Arrow => {
            let reader = FileReader::try_new(file, None).map_err(not_read)?;
            table.metadata = reader.schema().metadata().clone().into_iter().collect();
            for batch in reader {
                table.add(&batch.map_err(not_read)?, integers)?;
            }
        }
        TableFormat::Ndjson => table.add_lines(BufReader::new(file), integers)?,
    }
    Ok(table)
}

impl ReadTable {
    fn add(&mut self, batch: &RecordBatch, integers: &[&str]) -> Result<(), TableError> {
        let schema = batch.schema();
        self.columns = schema.fields().iter().map(|field| field.name().clone()).collect();
        for (name, array) in self.columns.iter().zip(batch.columns()) {
            let is_wanted = integers.contains(&name.as_str());
            if let Some(values) = array.as_primitive_opt::<Int64Type>().filter(|_| is_wanted) {
                self.integers.entry(name.clone()).or_default().extend(values.iter());
            }
            let Some(array) = array.as_dictionary_opt::<UInt16Type>() else { continue };
            let words = array.values().as_string_opt::<i32>();
            let words = words.ok_or_else(|| TableError::Damaged(format!("`{name}` does not hold words")))?;
            let column = self.words.entry(name.clone()).or_default();
            let codes: Vec<u16> = words.iter().map(|word| column.code(word)).collect::<Result<_, _>>()?;
            column.codes.extend(array.keys().iter().map(|key| key.map_or(NO_WORD, |key| codes[usize::from(key)])));
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    fn add_lines(&mut self, lines: impl BufRead, integers: &[&str]) -> Result<(), TableError> {
        let mut lines = lines.lines();
        let first = lines.next().ok_or_else(|| TableError::Damaged("it is empty".to_owned()))?.map_err(not_read)?;
        let FirstLine { meta } = serde_json::from_str(&first).map_err(not_read)?;
        self.metadata = meta.metadata;
        let words = meta.columns.iter().filter(|column| column.values == WORD_TYPE);
        self.words = words.map(|column| (column.name.clone(), WordColumn::default())).collect();
        let numbers = meta.columns.iter().filter(|column| column.values == INTEGER_TYPE);
        let wanted = numbers.filter(|column| integers.contains(&column.name.as_str()));
        self.integers = wanted.map(|column| (column.name.clone(), Vec::new())).collect();
        self.columns = meta.columns.into_iter().map(|column| column.name).collect();
        for line in lines {
            let row: BTreeMap<String, Value> = serde_json::from_str(&line.map_err(not_read)?).map_err(not_read)?;
            if let Some(unknown) = row.keys().find(|name| !self.columns.contains(name)) {
                return Err(TableError::Damaged(format!("a line has a member `{unknown}`, which is no column")));
            }
            for (name, column) in &mut self.words {
                let word = match row.get(name) {
                    None | Some(Value::Null) => None,
                    Some(Value::String(word)) => Some(word.as_str()),
                    // Taken as missing, all of them would be alike.
                    Some(_) => return Err(TableError::Damaged(format!("`{name}` holds something else than a word"))),
                };
                let code = column.code(word)?;
                column.codes.push(code);
            }
            for (name, values) in &mut self.integers {
                values.push(row.get(name).and_then(Value::as_i64));
            }
            self.rows += 1;
        }
        Ok(())
    }
}

impl WordColumn {
    /// Returns the position of a word, which is added if it is new.
    fn code(&mut self, word: Option<&str>) -> Result<u16, TableError> {
        let Some(word) = word else { return Ok(NO_WORD) };
        if let Some(&code) = self.positions.get(word) {
            return Ok(code);
        }
        let code = u16::try_from(self.words.len()).ok().filter(|&code| code != NO_WORD);
        let code = code.ok_or_else(|| TableError::Damaged("a column has too many different words".to_owned()))?;
        self.words.push(word.to_owned());
        self.positions.insert(word.to_owned(), code);
        Ok(code)
    }
}

fn not_read(source: impl std::error::Error + Send + Sync + 'static) -> TableError {
    TableError::Unavailable { doing: "read", source: Box::new(source) }
}
