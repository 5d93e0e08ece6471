//! Tables as lines of JSON. The first line is an object with the one member `_meta`, which holds the table's metadata.

use std::collections::BTreeMap;
use std::io::Write;

use domain::port::table::{ColumnType, ColumnValues, NO_WORD, TableError, TableSchema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::arrow_batch::schema_error;
use super::encoder::not_written;

/// The type of a column of single words, as the first line has it.
pub(super) const WORD_TYPE: &str = "word";
/// The type of a column of integers.
pub(super) const INTEGER_TYPE: &str = "integer";

/// The first line of a file.
#[derive(Serialize, Deserialize)]
pub(super) struct FirstLine {
    #[serde(rename = "_meta")]
    pub(super) meta: Meta,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) columns: Vec<MetaColumn>,
    pub(super) metadata: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MetaColumn {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) values: String,
    pub(super) description: String,
}

impl Meta {
    fn of(schema: &TableSchema) -> Self {
        let columns = schema.columns.iter().map(|column| MetaColumn {
            name: column.name.clone(),
            values: type_name(&column.values).to_owned(),
            description: column.description.clone(),
        });
        Self { columns: columns.collect(), metadata: schema.metadata.clone() }
    }
}

fn type_name(values: &ColumnType) -> &'static str {
    match values {
        ColumnType::Key => "key",
        ColumnType::Word(_) => WORD_TYPE,
        ColumnType::WordList(_) => "word_list",
        ColumnType::Integer => INTEGER_TYPE,
        ColumnType::Real => "real",
    }
}

/// Writes a table as lines of JSON.
pub(super) struct NdjsonEncoder<W> {
    out: W,
    columns: Vec<LineMember>,
    line: Vec<u8>,
}

/// What the lines have in common for one column.
struct LineMember {
    /// The text before the value: a brace or comma, the name and a colon.
    before: Vec<u8>,
    /// The column's words as JSON.
    words: Vec<Vec<u8>>,
}

impl<W: Write> NdjsonEncoder<W> {
    pub(super) fn begin(schema: &TableSchema, mut out: W) -> Result<Self, TableError> {
        serde_json::to_writer(&mut out, &FirstLine { meta: Meta::of(schema) }).map_err(not_written)?;
        out.write_all(b"\n").map_err(not_written)?;
        let members = schema.columns.iter().enumerate().map(|(number, column)| {
            let words = match &column.values {
                ColumnType::Word(words) | ColumnType::WordList(words) => &words[..],
                _ => &[],
            };
            let opening = if number == 0 { '{' } else { ',' };
            let before = format!("{opening}{}:", Value::from(column.name.as_str())).into_bytes();
            let words = words.iter().map(|word| Value::from(word.as_str()).to_string().into_bytes()).collect();
            LineMember { before, words }
        });
        Ok(Self { out, columns: members.collect(), line: Vec::new() })
    }

    pub(super) fn write(&mut self, values: &[ColumnValues]) -> Result<(), TableError> {
        if values.len() != self.columns.len() {
            return Err(schema_error(format!("{} columns, not {}", values.len(), self.columns.len())));
        }
        for row in 0..values.first().map_or(0, ColumnValues::rows) {
            self.line.clear();
            for (member, values) in self.columns.iter().zip(values) {
                self.line.extend_from_slice(&member.before);
                member.append_value(values, row, &mut self.line)?;
            }
            self.line.extend_from_slice(b"}\n");
            self.out.write_all(&self.line).map_err(not_written)?;
        }
        Ok(())
    }

    pub(super) fn into_inner(self) -> W {
        self.out
    }
}

impl LineMember {
    fn append_value(&self, values: &ColumnValues, row: usize, line: &mut Vec<u8>) -> Result<(), TableError> {
        match values {
            ColumnValues::Keys(keys) => {
                line.push(b'"');
                line.extend_from_slice(hex::encode(keys[row]).as_bytes());
                line.push(b'"');
            }
            ColumnValues::Words(codes) if codes[row] == NO_WORD => line.extend_from_slice(b"null"),
            ColumnValues::Words(codes) => self.append_word(codes[row], line)?,
            ColumnValues::WordLists { words, ends } => {
                let start = row.checked_sub(1).map_or(0, |row| ends[row] as usize);
                let list = words.get(start..ends[row] as usize);
                line.push(b'[');
                for (number, &word) in list.ok_or_else(outside)?.iter().enumerate() {
                    line.extend_from_slice(if number > 0 { b"," } else { b"" });
                    self.append_word(word, line)?;
                }
                line.push(b']');
            }
            ColumnValues::Integers(integers) => append_number(integers[row].map(Value::from), line),
            ColumnValues::Reals(reals) => append_number(reals[row].map(Value::from), line),
        }
        Ok(())
    }

    fn append_word(&self, word: u16, line: &mut Vec<u8>) -> Result<(), TableError> {
        line.extend_from_slice(self.words.get(usize::from(word)).ok_or_else(outside)?);
        Ok(())
    }
}

fn append_number(number: Option<Value>, line: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = write!(line, "{}", number.unwrap_or_default());
}

fn outside() -> TableError {
    schema_error("a column has a code outside its words".to_owned())
}
