//! Encodes tables in the format that was asked for.

use std::io::Write;

use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use domain::port::table::{ColumnValues, TableError, TableFormat, TableSchema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::arrow_batch::BatchMaker;
use super::ndjson::NdjsonEncoder;

/// Rows of a row group: what a reader can skip or read on its own.
const ROW_GROUP_ROWS: usize = 128 << 10;
/// The level of zstd: higher ones take much longer and save little here.
const ZSTD_LEVEL: i32 = 1;
/// The name of the writer in files. It holds no version, so that two releases write the same bytes.
const CREATED_BY: &str = "profile-server";

/// Writes a table in one format to `W`. The same rows make the same bytes.
pub(super) enum TableEncoder<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>, BatchMaker),
    Arrow(Box<FileWriter<W>>, BatchMaker),
    Ndjson(NdjsonEncoder<W>),
}

impl<W: Write + Send> TableEncoder<W> {
    pub(super) fn begin(format: TableFormat, schema: &TableSchema, out: W) -> Result<Self, TableError> {
        check_names(schema)?;
        let maker = BatchMaker::new(schema);
        Ok(match format {
            TableFormat::Parquet => {
                let writer = ArrowWriter::try_new(out, maker.schema(), Some(parquet_properties(schema)));
                Self::Parquet(Box::new(writer.map_err(not_written)?), maker)
            }
            TableFormat::Arrow => {
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
            Self::Parquet(writer, maker) => writer.write(&maker.batch(values)?).map_err(not_written),
            Self::Arrow(writer, maker) => writer.write(&maker.batch(values)?).map_err(not_written),
            Self::Ndjson(encoder) => encoder.write(values),
        }
    }

    /// Writes what belongs at the end and returns the output.
    pub(super) fn finish(self) -> Result<W, TableError> {
        match self {
            Self::Parquet(writer, _) => writer.into_inner().map_err(not_written),
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

fn parquet_properties(schema: &TableSchema) -> WriterProperties {
    let metadata = schema.metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("zstd has this level");
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(metadata))
        .set_created_by(CREATED_BY.to_owned())
        .build()
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
