//! Writes Parquet. The columns of a row group are encoded in parallel, on the threads of the pool that the caller runs in.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use domain::port::table::{ColumnValues, TableError, TableSchema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;

use super::arrow_batch::BatchMaker;
use super::encoder::not_written;

/// Rows of a row group: what a reader can skip or read on its own.
const ROW_GROUP_ROWS: usize = 128 << 10;
/// The level of zstd: higher ones take much longer and save little here.
const ZSTD_LEVEL: i32 = 1;
/// The name of the writer in files. It holds no version, so that two releases write the same bytes.
const CREATED_BY: &str = "profile-server";

/// Writes a table as Parquet to `W`. The bytes are those that one thread writes, whatever the number of threads.
pub(super) struct ParquetEncoder<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    groups: ArrowRowGroupWriterFactory,
    maker: BatchMaker,
    /// The row group that is being filled; `None` before its first row.
    group: Option<RowGroup>,
}

/// The columns of a row group. A column of a table is one column in Parquet.
struct RowGroup {
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
}

impl<W: Write + Send> ParquetEncoder<W> {
    pub(super) fn begin(schema: &TableSchema, out: W) -> Result<Self, TableError> {
        let maker = BatchMaker::new(schema);
        let writer = ArrowWriter::try_new(out, maker.schema(), Some(properties(schema)));
        let (writer, groups) = writer.and_then(ArrowWriter::into_serialized_writer).map_err(not_written)?;
        Ok(Self { writer, groups, maker, group: None })
    }

    /// Appends rows.
    pub(super) fn write(&mut self, values: &[ColumnValues]) -> Result<(), TableError> {
        let batch = self.maker.batch(values)?;
        self.write_batch(&batch).map_err(not_written)
    }

    /// Writes what belongs at the end and returns the output.
    pub(super) fn finish(mut self) -> Result<W, TableError> {
        self.end_group().and_then(|()| self.writer.into_inner()).map_err(not_written)
    }

    fn write_batch(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let (schema, mut first) = (self.maker.schema(), 0);
        while first < batch.num_rows() {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => {
                    let number = self.writer.flushed_row_groups().len();
                    RowGroup { columns: self.groups.create_column_writers(number)?, rows: 0 }
                }
            };
            let rows = (batch.num_rows() - first).min(ROW_GROUP_ROWS - group.rows);
            group.write(&schema, &batch.slice(first, rows))?;
            let is_full = group.rows == ROW_GROUP_ROWS;
            self.group = Some(group);
            if is_full {
                self.end_group()?;
            }
            first += rows;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let chunks: Vec<ArrowColumnChunk> =
            group.columns.into_par_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>()?;
        let mut writer = self.writer.next_row_group()?;
        chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut writer))?;
        writer.close().map(drop)
    }
}

impl RowGroup {
    fn write(&mut self, schema: &Schema, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.rows += batch.num_rows();
        let columns = schema.fields()[..].par_iter().zip(batch.columns());
        self.columns.par_iter_mut().zip(columns).try_for_each(|(writer, (field, values))| {
            compute_leaves(field, values)?.iter().try_for_each(|leaf| writer.write(leaf))
        })
    }
}

fn properties(schema: &TableSchema) -> WriterProperties {
    let metadata = schema.metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("zstd has this level");
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(metadata))
        .set_created_by(CREATED_BY.to_owned())
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::port::table::{ColumnType, NO_WORD, TableColumn};

    use super::*;

    fn schema() -> TableSchema {
        let words: std::sync::Arc<[String]> = ["bihar", "goa", "kerala"].map(str::to_owned).into();
        let column = |name: &str, values| TableColumn { name: name.to_owned(), description: name.to_owned(), values };
        let columns = vec![
            column("pseudonym", ColumnType::Key),
            column("state", ColumnType::Word(words.clone())),
            column("tags", ColumnType::WordList(words)),
            column("schemes", ColumnType::Integer),
            column("mean", ColumnType::Real),
        ];
        TableSchema { columns, metadata: BTreeMap::from([("k".to_owned(), "10".to_owned())]) }
    }

    fn batch(first: usize, rows: usize) -> Vec<ColumnValues> {
        let rows = || first..first + rows;
        vec![
            ColumnValues::Keys(rows().map(|row| [(row * 7 % 256) as u8; 32]).collect()),
            ColumnValues::Words(rows().map(|row| [0, 1, 2, NO_WORD][row % 4]).collect()),
            ColumnValues::WordLists {
                words: rows().filter(|row| row % 3 == 0).map(|row| (row % 2) as u16).collect(),
                ends: rows()
                    .scan(0, |end, row| {
                        *end += u32::from(row % 3 == 0);
                        Some(*end)
                    })
                    .collect(),
            },
            ColumnValues::Integers(rows().map(|row| (row % 5 > 0).then_some(row as i64 % 41)).collect()),
            ColumnValues::Reals(rows().map(|row| Some(row as f64 / 8.0)).collect()),
        ]
    }

    #[test]
    fn any_number_of_threads_writes_what_one_writer_writes() {
        // Batches end before, at and after the ends of row groups, and there is an empty one.
        let sizes = [ROW_GROUP_ROWS - 10, 10, 0, ROW_GROUP_ROWS / 2, 2 * ROW_GROUP_ROWS, 5];
        let starts = sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end - size)
        });
        let batches: Vec<Vec<ColumnValues>> = starts.zip(sizes).map(|(first, rows)| batch(first, rows)).collect();
        let maker = BatchMaker::new(&schema());
        let mut writer = ArrowWriter::try_new(Vec::new(), maker.schema(), Some(properties(&schema()))).expect("begins");
        for batch in &batches {
            writer.write(&maker.batch(batch).expect("fits")).expect("writes");
        }
        let expected = writer.into_inner().expect("ends");
        for threads in [1, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let written = pool.install(|| {
                let mut encoder = ParquetEncoder::begin(&schema(), Vec::new()).expect("begins");
                batches.iter().for_each(|batch| encoder.write(batch).expect("writes"));
                encoder.finish().expect("ends")
            });
            assert!(written == expected, "{threads} threads: {} bytes, not {}", written.len(), expected.len());
        }
    }
}
