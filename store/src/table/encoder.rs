//! Encodes tables in the format that was asked for.

use std::io::Write;

use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use domain::port::table::{ColumnValues, TableError, TableFormat, TableSchema};

use super::arrow_batch::BatchMaker;
use super::ndjson::NdjsonEncoder;
use super::parquet_encoder::ParquetEncoder;

/// Writes a table in one format to `W`. The same rows make the same bytes.
pub(super) enum TableEncoder<W: Write + Send> {
    Parquet(Box<ParquetEncoder<W>>),
    Arrow(Box<FileWriter<W>>, BatchMaker),
    Ndjson(NdjsonEncoder<W>),
}

impl<W: Write + Send> TableEncoder<W> {
    pub(super) fn begin(format: TableFormat, schema: &TableSchema, out: W) -> Result<Self, TableError> {
        check_names(schema)?;
        Ok(match format {
            TableFormat::Parquet => Self::Parquet(Box::new(ParquetEncoder::begin(schema, out)?)),
            TableFormat::Arrow => {
                let maker = BatchMaker::new(schema);
                let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD));
                let options = options.map_err(not_written)?;
                let writer = FileWriter::try_new_with_options(out, &maker.schema(), options);
                Self::Arrow(Box::new(writer.map_err(not_written)?), maker)
            }
            TableFormat::Ndjson => Self::Ndjson(NdjsonEncoder::begin(schema, out)?),
        })
    }

    /// Appends rows.
    pub(super) fn write(&mut self, values: &[ColumnValues]) -> Result<(), TableError> {
        check_rows(values)?;
        match self {
            Self::Parquet(encoder) => encoder.write(values),
            Self::Arrow(writer, maker) => writer.write(&maker.batch(values)?).map_err(not_written),
            Self::Ndjson(encoder) => encoder.write(values),
        }
    }

    /// Writes what belongs at the end and returns the output.
    pub(super) fn finish(self) -> Result<W, TableError> {
        match self {
            Self::Parquet(encoder) => encoder.finish(),
            Self::Arrow(writer, _) => writer.into_inner().map_err(not_written),
            Self::Ndjson(encoder) => Ok(encoder.into_inner()),
        }
    }
}

/// Writes a whole table to `out`, unencrypted.
///
/// # Errors
/// The rows do not fit to the schema, or `out` fails.
pub fn encode<W: Write + Send>(
    format: TableFormat,
    schema: &TableSchema,
    batches: &[Vec<ColumnValues>],
    out: W,
) -> Result<W, TableError> {
    let mut encoder = TableEncoder::begin(format, schema, out)?;
    batches.iter().try_for_each(|batch| encoder.write(batch))?;
    encoder.finish()
}

fn check_names(schema: &TableSchema) -> Result<(), TableError> {
    let mut names: Vec<&str> = schema.columns.iter().map(|column| column.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(TableError::Schema(format!("column `{}` is there twice", pair[0]))),
        None => Ok(()),
    }
}

fn check_rows(values: &[ColumnValues]) -> Result<(), TableError> {
    let rows = values.first().map_or(0, ColumnValues::rows);
    match values.iter().find(|column| column.rows() != rows) {
        Some(column) => Err(TableError::Schema(format!("a column has {} rows, not {rows}", column.rows()))),
        None => Ok(()),
    }
}

pub(super) fn not_written(source: impl std::error::Error + Send + Sync + 'static) -> TableError {
    TableError::Unavailable { doing: "written", source: Box::new(source) }
}
