//! Tables as files: encoded as Parquet, Arrow or lines of JSON, and sealed under a key of their own.
//!
//! | File | Content |
//! |---|---|
//! | `exports/NAME.FORMAT` | a completed table, in the form of [`sealed_file`](crate::sealed_file) |
//! | `exports/NAME.FORMAT.new` | one that is being written; removed at the next start |

mod arrow_batch;
mod encoder;
mod files;
mod ndjson;
mod parquet_encoder;
mod read;

pub use encoder::encode;
pub(crate) use files::EncryptedTables;
pub use read::{ReadTable, WordColumn, read_table};

#[cfg(test)]
mod tests;
