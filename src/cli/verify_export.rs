//! `verify-export`: checks the file of an export offline.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use domain::export::{COUNT_COLUMN, ExportClaims, ExportMode, FileContent, WordsOfColumn};
use domain::port::table::TableFormat;
use serde_json::json;
use store::table::read_table;

use super::output::print_line;

/// Counts the classes of an export anew, from the file alone, and fails if k or l do not hold. The groups of an aggregate must
/// have a `count` of at least k.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server verify-export exp_4kXw.parquet
  profile-server verify-export --format ndjson export.txt")]
pub(super) struct VerifyExportArguments {
    /// File of an export
    file: PathBuf,
    /// Format of the file: parquet, arrow or ndjson [default: by the file's extension]
    #[arg(long, value_parser = parse_format)]
    format: Option<TableFormat>,
}

fn parse_format(text: &str) -> Result<TableFormat, String> {
    let names = TableFormat::ALL.map(TableFormat::name).join(", ");
    TableFormat::parse(text).ok_or_else(|| format!("it must be one of {names}"))
}

pub(super) fn run(arguments: &VerifyExportArguments) -> anyhow::Result<()> {
    let file = &arguments.file;
    let by_extension = || TableFormat::parse(file.extension()?.to_str()?);
    let format = arguments.format.or_else(by_extension);
    let format =
        format.ok_or_else(|| anyhow!("the format of `{}` is not known: name it with `--format`", file.display()))?;
    let table = read_table(file, format, &[COUNT_COLUMN])
        .with_context(|| format!("`{}` is not a whole {} file", file.display(), format.name()))?;
    let claims = ExportClaims::from_metadata(&table.metadata)?;
    let words = table
        .words
        .iter()
        .map(|(name, column)| (name.clone(), WordsOfColumn { words: &column.words, codes: &column.codes }));
    let counts = table.integers.get(COUNT_COLUMN).map(Vec::as_slice);
    let (columns, rows) = (&table.columns[..], table.rows as u64);
    let report = claims.check(&FileContent { columns, words: words.collect(), counts, rows })?;
    let mut answer = json!({
        "job_id": claims.job_id,
        "mode": claims.mode.name(),
        "rows": report.rows,
        "k": claims.k,
    });
    match claims.mode {
        _ if report.rows == 0 => {}
        ExportMode::Records => {
            answer["l"] = json!(claims.l);
            answer["classes"] = json!(report.classes);
            answer["smallest_class"] = json!(report.smallest_class);
            answer["least_distinct"] = json!(report.least_distinct);
        }
        // Its `count`, which has noise.
        ExportMode::Aggregate => answer["smallest_group"] = json!(report.smallest_class),
    }
    print_line(&answer.to_string())?;
    Ok(())
}
