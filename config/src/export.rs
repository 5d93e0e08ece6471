//! `export.toml`: what bulk exports may hold, and how persons are protected in them.

mod hierarchies;

use std::path::Path;

use domain::export::{BudgetRules, ColumnSet, ExportColumn, ExportRules, MIN_K, PrivacyDefaults};
use serde::Deserialize;

use crate::ConfigError;
use crate::table_file::TableFile;
use hierarchies::{RawHierarchies, RawRegions};

/// The embedded rules of exports, which are the template for own ones.
pub const EXPORT_TOML: &str = include_str!("../export.toml");
const NAME: &str = "export.toml";

/// Maximum share of rows that may be left out, in percent: the contract of the exports.
const MAX_SUPPRESSION_PCT: u8 = 5;
/// Maximum sum of epsilon within 24 hours that can be set.
const MAX_PER_DAY: f64 = 100.0;

/// Reads `export.toml` in `data_dir`, or the embedded rules if there is none.
///
/// # Errors
/// The file cannot be read, is not TOML, names a column or value that does not exist, or has a hierarchy that is not complete
/// or not monotone.
pub fn load_export(data_dir: &Path) -> Result<ExportRules, ConfigError> {
    from_file(&TableFile::find(data_dir, NAME, EXPORT_TOML)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExport {
    privacy: RawPrivacy,
    budget: RawBudget,
    columns: RawColumns,
    regions: RawRegions,
    hierarchies: RawHierarchies,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrivacy {
    k: u32,
    l: u32,
    max_suppression_pct: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBudget {
    min_per_job: f64,
    max_per_job: f64,
    per_day: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumns {
    income_bracket: IncomeRole,
    allowed: Vec<String>,
}

/// What the income bracket is for the protection of persons.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IncomeRole {
    QuasiIdentifier,
    Sensitive,
}

fn from_file(file: &TableFile) -> Result<ExportRules, ConfigError> {
    let raw: RawExport = file.parse()?;
    let privacy = privacy(&raw.privacy).map_err(|fault| file.refuse("[privacy]", fault))?;
    let budget = budget(&raw.budget).map_err(|fault| file.refuse("[budget]", fault))?;
    let mut columns = ColumnSet::default();
    for name in &raw.columns.allowed {
        let column = ExportColumn::parse(name).filter(|column| *column != ExportColumn::Pseudonym);
        columns.insert(column.ok_or_else(|| unknown_column(file, name))?);
    }
    let income_is_quasi_identifier = raw.columns.income_bracket == IncomeRole::QuasiIdentifier;
    let hierarchies = hierarchies::read(file, &raw.regions, raw.hierarchies, income_is_quasi_identifier)?;
    Ok(ExportRules { hierarchies, columns, privacy, budget })
}

fn unknown_column(file: &TableFile, name: &str) -> ConfigError {
    let known: Vec<_> = ExportColumn::ALL.iter().skip(1).map(|column| column.name()).collect();
    file.refuse(&format!("\"{name}\""), format!("`{name}` is not a column of exports; allowed: {}", known.join(", ")))
}

fn privacy(raw: &RawPrivacy) -> Result<PrivacyDefaults, String> {
    let RawPrivacy { k, l, max_suppression_pct } = *raw;
    match () {
        () if !(MIN_K..=1_000_000).contains(&k) => Err(format!("`k` is from {MIN_K} to 1000000")),
        () if !(1..=64).contains(&l) => Err("`l` is from 1 to 64".to_owned()),
        () if max_suppression_pct > MAX_SUPPRESSION_PCT => {
            Err(format!("`max_suppression_pct` is at most {MAX_SUPPRESSION_PCT}"))
        }
        () => Ok(PrivacyDefaults { k, l, max_suppression_pct }),
    }
}

fn budget(raw: &RawBudget) -> Result<BudgetRules, String> {
    let micro = |name: &str, epsilon: f64| {
        let micro = (epsilon * 1e6).round();
        let is_exact = micro / 1e6 == epsilon && epsilon > 0.0 && epsilon <= MAX_PER_DAY;
        if is_exact {
            Ok(micro as u32)
        } else {
            Err(format!("`{name}` is above 0 and at most {MAX_PER_DAY}, with at most six decimals"))
        }
    };
    let rules = BudgetRules {
        min_per_job: micro("min_per_job", raw.min_per_job)?,
        max_per_job: micro("max_per_job", raw.max_per_job)?,
        per_day: micro("per_day", raw.per_day)?,
    };
    if rules.min_per_job <= rules.max_per_job && rules.max_per_job <= rules.per_day {
        Ok(rules)
    } else {
        Err("`min_per_job` is at most `max_per_job`, and that is at most `per_day`".to_owned())
    }
}

#[cfg(test)]
mod tests;
