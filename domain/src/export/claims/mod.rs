//! What the file of an export says about itself, and whether its rows bear it out.

mod check;
mod fault;

use std::collections::BTreeMap;

use serde_json::json;

use super::ExportMode;
pub use check::{ClaimReport, FileContent, WordsOfColumn};
pub use fault::ClaimFault;

/// The claims of a file, which are its metadata. Everything that a reader needs to check them is in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportClaims {
    /// The id of the job that made the file.
    pub job_id: String,
    /// What the rows are.
    pub mode: ExportMode,
    /// The least number of rows that have the same quasi-identifiers.
    pub k: u32,
    /// The least number of different values of each sensitive column among them.
    pub l: u32,
    /// The number of rows in the file.
    pub rows: u64,
    /// The columns that are quasi-identifiers.
    pub quasi_identifiers: Vec<String>,
    /// The columns that are sensitive.
    pub sensitive: Vec<String>,
    /// What else is said, such as the time and the levels: texts by name.
    pub others: BTreeMap<String, String>,
}

/// The column of an aggregate that holds the number of rows of a group.
pub const COUNT_COLUMN: &str = "count";

const JOB_ID: &str = "job_id";
const MODE: &str = "mode";
const K: &str = "k";
const L: &str = "l";
const ROWS: &str = "rows";
const QUASI_IDENTIFIERS: &str = "quasi_identifiers";
const SENSITIVE: &str = "sensitive";

impl ExportClaims {
    /// Returns the metadata of the file.
    #[must_use]
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        let list = |names: &[String]| json!(names).to_string();
        let mut metadata = self.others.clone();
        let own = [
            (JOB_ID, self.job_id.clone()),
            (MODE, self.mode.name().to_owned()),
            (K, self.k.to_string()),
            (L, self.l.to_string()),
            (ROWS, self.rows.to_string()),
            (QUASI_IDENTIFIERS, list(&self.quasi_identifiers)),
            (SENSITIVE, list(&self.sensitive)),
        ];
        metadata.extend(own.map(|(name, value)| (name.to_owned(), value)));
        metadata
    }

    /// Reads the metadata of a file.
    ///
    /// # Errors
    /// [`ClaimFault::Metadata`] with the first member that is missing or not understood.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, ClaimFault> {
        let text = |name: &'static str| metadata.get(name).ok_or(ClaimFault::Metadata(name));
        let number = |name| text(name)?.parse().map_err(|_| ClaimFault::Metadata(name));
        let list = |name| serde_json::from_str(text(name)?).map_err(|_| ClaimFault::Metadata(name));
        let own = [JOB_ID, MODE, K, L, ROWS, QUASI_IDENTIFIERS, SENSITIVE];
        let mut others = metadata.clone();
        others.retain(|name, _| !own.contains(&name.as_str()));
        Ok(Self {
            job_id: text(JOB_ID)?.clone(),
            mode: ExportMode::parse(text(MODE)?).ok_or(ClaimFault::Metadata(MODE))?,
            k: number(K)?,
            l: number(L)?,
            rows: text(ROWS)?.parse().map_err(|_| ClaimFault::Metadata(ROWS))?,
            quasi_identifiers: list(QUASI_IDENTIFIERS)?,
            sensitive: list(SENSITIVE)?,
            others,
        })
    }
}

#[cfg(test)]
mod tests;
