//! Tables as Arrow knows them, which is how Parquet and Arrow IPC are written.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, ListBuilder, StringBuilder};
use arrow_array::types::UInt16Type;
use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt16Array};
use arrow_schema::{DataType, Field, Schema};
use domain::port::table::{ColumnType, ColumnValues, KEY_BYTES, NO_WORD, TableColumn, TableError, TableSchema};
use rayon::prelude::*;

/// The member of a field's metadata that describes its column.
const DESCRIPTION: &str = "description";

/// Makes Arrow's batches of a table's rows.
pub(super) struct BatchMaker {
    schema: Arc<Schema>,
    columns: Vec<(TableColumn, Option<Arc<StringArray>>)>,
}

impl BatchMaker {
    pub(super) fn new(table: &TableSchema) -> Self {
        let fields: Vec<Field> = table.columns.iter().map(field).collect();
        let metadata: HashMap<String, String> = table.metadata.clone().into_iter().collect();
        let columns = table.columns.iter().map(|column| (column.clone(), dictionary(column))).collect();
        Self { schema: Arc::new(Schema::new(fields).with_metadata(metadata)), columns }
    }

    pub(super) fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    /// Makes the batch of these rows, its columns in parallel.
    pub(super) fn batch(&self, values: &[ColumnValues]) -> Result<RecordBatch, TableError> {
        if values.len() != self.columns.len() {
            return Err(schema_error(format!("{} columns, not {}", values.len(), self.columns.len())));
        }
        let arrays = self.columns.par_iter().zip(values);
        let arrays: Vec<ArrayRef> =
            arrays.map(|((column, words), values)| array(column, words.as_ref(), values)).collect::<Result<_, _>>()?;
        RecordBatch::try_new(self.schema.clone(), arrays).map_err(|error| schema_error(error.to_string()))
    }
}

fn field(column: &TableColumn) -> Field {
    let (values, may_be_missing) = match &column.values {
        ColumnType::Key => (DataType::FixedSizeBinary(KEY_BYTES as i32), false),
        ColumnType::Word(_) => (DataType::Dictionary(DataType::UInt16.into(), DataType::Utf8.into()), true),
        ColumnType::WordList(_) => (DataType::List(item_field()), false),
        ColumnType::Integer => (DataType::Int64, true),
        ColumnType::Real => (DataType::Float64, true),
    };
    let metadata = HashMap::from([(DESCRIPTION.to_owned(), column.description.clone())]);
    Field::new(&column.name, values, may_be_missing).with_metadata(metadata)
}

fn item_field() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Utf8, false))
}

fn dictionary(column: &TableColumn) -> Option<Arc<StringArray>> {
    match &column.values {
        ColumnType::Word(words) => Some(Arc::new(StringArray::from_iter_values(words.iter()))),
        _ => None,
    }
}

fn array(
    column: &TableColumn,
    dictionary: Option<&Arc<StringArray>>,
    values: &ColumnValues,
) -> Result<ArrayRef, TableError> {
    Ok(match (&column.values, values) {
        (ColumnType::Key, ColumnValues::Keys(keys)) => {
            let mut builder = FixedSizeBinaryBuilder::with_capacity(keys.len(), KEY_BYTES as i32);
            for key in keys {
                builder.append_value(key).map_err(|error| schema_error(error.to_string()))?;
            }
            Arc::new(builder.finish())
        }
        (ColumnType::Word(_), ColumnValues::Words(codes)) => {
            let codes = UInt16Array::from_iter(codes.iter().map(|&code| (code != NO_WORD).then_some(code)));
            let dictionary = dictionary.expect("a column of words has a dictionary").clone();
            let array = DictionaryArray::<UInt16Type>::try_new(codes, dictionary);
            Arc::new(array.map_err(|error| schema_error(format!("column `{}`: {error}", column.name)))?)
        }
        (ColumnType::WordList(words), ColumnValues::WordLists { words: codes, ends }) => {
            let mut builder = ListBuilder::new(StringBuilder::new()).with_field(item_field());
            for_each_list(column, words, codes, ends, |list| {
                list.for_each(|word| builder.values().append_value(word));
                builder.append(true);
            })?;
            Arc::new(builder.finish())
        }
        (ColumnType::Integer, ColumnValues::Integers(integers)) => Arc::new(Int64Array::from(integers.clone())),
        (ColumnType::Real, ColumnValues::Reals(reals)) => Arc::new(Float64Array::from(reals.clone())),
        _ => return Err(schema_error(format!("column `{}` has values of another type", column.name))),
    })
}

/// Passes the words of each row to `row`.
pub(super) fn for_each_list<'a>(
    column: &TableColumn,
    words: &'a [String],
    codes: &[u16],
    ends: &[u32],
    mut row: impl FnMut(&mut dyn Iterator<Item = &'a str>),
) -> Result<(), TableError> {
    let wrong = || schema_error(format!("column `{}` has lists outside its words", column.name));
    let mut start = 0;
    for &end in ends {
        let list = codes.get(start..end as usize).ok_or_else(wrong)?;
        if list.iter().any(|&code| usize::from(code) >= words.len()) {
            return Err(wrong());
        }
        row(&mut list.iter().map(|&code| words[usize::from(code)].as_str()));
        start = end as usize;
    }
    Ok(())
}

pub(super) fn schema_error(detail: String) -> TableError {
    TableError::Schema(detail)
}
