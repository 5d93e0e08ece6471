//! What the file of an export says about itself, and whether its rows bear it out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::{ColumnRole, ExportColumn, ExportMode, MIN_K};
use crate::port::table::NO_WORD;

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

/// Why a file is not what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimFault {
    /// A member of the metadata is missing or is not understood.
    #[error("the metadata has no `{0}`, or another value than this release understands: is this an export?")]
    Metadata(&'static str),
    /// A column that the metadata names is not in the file, or does not hold words.
    #[error("the file has no column `{0}` of words, which its metadata names")]
    MissingColumn(String),
    /// There is a column that no export may have.
    #[error("the file has a column `{0}`, which no export may have")]
    ForbiddenColumn(String),
    /// A column that could tell who a person is, or something sensitive, is not among those that are protected.
    #[error("the file has a column `{0}`, which its metadata does not name among the protected ones")]
    Unclaimed(String),
    /// The number of rows is another one.
    #[error("the file has {found} rows, and its metadata says {claimed}")]
    Rows {
        /// The number of rows in the metadata.
        claimed: u64,
        /// The number of rows in the file.
        found: u64,
    },
    /// A class is too small.
    #[error("a class has {size} rows, and k is {k}: {class}")]
    SmallClass {
        /// The size of the class.
        size: u32,
        /// What the file claims.
        k: u32,
        /// The values of the quasi-identifiers.
        class: String,
    },
    /// A class has too few different values.
    #[error("a class has {distinct} different values of `{column}`, and l is {l}: {class}")]
    FewValues {
        /// The sensitive column.
        column: String,
        /// The number of different values.
        distinct: u32,
        /// What the file claims.
        l: u32,
        /// The values of the quasi-identifiers.
        class: String,
    },
}

/// A column of words, as a file holds it.
#[derive(Debug, Clone, Copy)]
pub struct WordsOfColumn<'f> {
    /// The words.
    pub words: &'f [String],
    /// The word of each row as a position in `words`; [`NO_WORD`] where there is none.
    pub codes: &'f [u16],
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimReport {
    /// The number of rows.
    pub rows: u64,
    /// The number of classes.
    pub classes: u64,
    /// The size of the smallest class; 0 without rows.
    pub smallest_class: u32,
    /// The least number of different values of a sensitive column in a class; `None` without sensitive columns.
    pub least_distinct: Option<u32>,
}

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

    /// Counts classes and values anew from the columns of the file, and compares them with the claims. The rows of an
    /// aggregate are groups and not persons, so only their columns are checked.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn check(
        &self,
        columns: &[String],
        words: &BTreeMap<String, WordsOfColumn<'_>>,
        rows: u64,
    ) -> Result<ClaimReport, ClaimFault> {
        if let Some(forbidden) = columns.iter().find(|column| !is_allowed(self.mode, column)) {
            return Err(ClaimFault::ForbiddenColumn(forbidden.clone()));
        }
        if self.k < MIN_K {
            return Err(ClaimFault::Metadata(K));
        }
        if rows != self.rows {
            return Err(ClaimFault::Rows { claimed: self.rows, found: rows });
        }
        if self.mode == ExportMode::Aggregate {
            return Ok(ClaimReport { rows, classes: rows, smallest_class: 0, least_distinct: None });
        }
        let claimed = |name: &String| self.quasi_identifiers.contains(name) || self.sensitive.contains(name);
        let must_be_claimed = |name: &str| {
            let role = ExportColumn::parse(name).map(ExportColumn::role);
            matches!(role, Some(ColumnRole::QuasiIdentifier(_) | ColumnRole::Sensitive))
        };
        if let Some(unclaimed) = columns.iter().find(|name| must_be_claimed(name) && !claimed(name)) {
            return Err(ClaimFault::Unclaimed(unclaimed.clone()));
        }
        let column = |name: &String| words.get(name).ok_or_else(|| ClaimFault::MissingColumn(name.clone()));
        let quasi: Vec<_> = self.quasi_identifiers.iter().map(column).collect::<Result<_, _>>()?;
        let sensitive: Vec<_> = self.sensitive.iter().map(column).collect::<Result<_, _>>()?;
        let mut classes: HashMap<Vec<u16>, Class> = HashMap::new();
        for row in 0..rows as usize {
            let class = classes
                .entry(quasi.iter().map(|column| column.codes[row]).collect())
                .or_insert_with(|| Class::new(sensitive.len()));
            class.size += 1;
            for (values, column) in class.values.iter_mut().zip(&sensitive) {
                values.insert(column.codes[row]);
            }
        }
        let mut report = ClaimReport { rows, classes: classes.len() as u64, smallest_class: 0, least_distinct: None };
        report.smallest_class = classes.values().map(|class| class.size).min().unwrap_or(0);
        // The least tuple of codes decides which fault is named, so that a file gives the same one each time.
        let mut classes: Vec<_> = classes.into_iter().collect();
        classes.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (key, class) in &classes {
            let named = || self.class_text(key, &quasi);
            if class.size < self.k {
                return Err(ClaimFault::SmallClass { size: class.size, k: self.k, class: named() });
            }
            for (name, values) in self.sensitive.iter().zip(&class.values) {
                let distinct = values.len() as u32;
                if distinct < self.l {
                    return Err(ClaimFault::FewValues { column: name.clone(), distinct, l: self.l, class: named() });
                }
                report.least_distinct = Some(report.least_distinct.map_or(distinct, |least| least.min(distinct)));
            }
        }
        Ok(report)
    }

    fn class_text(&self, key: &[u16], quasi: &[&WordsOfColumn<'_>]) -> String {
        let members = self.quasi_identifiers.iter().zip(key.iter().zip(quasi)).map(|(name, (&code, column))| {
            let word = (code != NO_WORD).then(|| column.words[usize::from(code)].as_str());
            (name.clone(), json!(word))
        });
        Value::Object(members.collect::<Map<_, _>>()).to_string()
    }
}

struct Class {
    size: u32,
    values: Vec<BTreeSet<u16>>,
}

impl Class {
    fn new(sensitive: usize) -> Self {
        Self { size: 0, values: vec![BTreeSet::new(); sensitive] }
    }
}

/// Returns whether a file may have a column of that name. Those of an aggregate are the columns of groups, the number of
/// rows, and statistics whose names begin with the column that they are about.
fn is_allowed(mode: ExportMode, name: &str) -> bool {
    match mode {
        ExportMode::Records => ExportColumn::parse(name).is_some(),
        ExportMode::Aggregate => {
            let is_about = |column: ExportColumn| {
                column != ExportColumn::Pseudonym
                    && name.strip_prefix(column.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            };
            name == COUNT_COLUMN || ExportColumn::ALL.into_iter().any(is_about)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> ExportClaims {
        ExportClaims {
            job_id: "exp_1".to_owned(),
            mode: ExportMode::Records,
            k: 5,
            l: 2,
            rows: 10,
            quasi_identifiers: vec!["gender".to_owned(), "state".to_owned()],
            sensitive: vec!["overall_risk".to_owned()],
            others: BTreeMap::from([("created_at".to_owned(), "2026-01-01T00:00:00Z".to_owned())]),
        }
    }

    /// Checks a file with these codes of gender, state and risk.
    fn check(claims: &ExportClaims, codes: [&[u16]; 3]) -> Result<ClaimReport, ClaimFault> {
        let words: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        let names = ["gender", "state", "overall_risk"];
        let columns =
            names.into_iter().zip(codes).map(|(name, codes)| (name.to_owned(), WordsOfColumn { words: &words, codes }));
        claims.check(&names.map(str::to_owned), &columns.collect(), codes[0].len() as u64)
    }

    #[test]
    fn metadata_is_read_back_and_each_member_is_needed() {
        let metadata = claims().to_metadata();
        assert_eq!(ExportClaims::from_metadata(&metadata), Ok(claims()));
        for name in [JOB_ID, MODE, K, L, ROWS, QUASI_IDENTIFIERS, SENSITIVE] {
            let mut without = metadata.clone();
            without.remove(name);
            assert_eq!(ExportClaims::from_metadata(&without), Err(ClaimFault::Metadata(name)));
            if name != JOB_ID {
                without.insert(name.to_owned(), "-".to_owned());
                assert_eq!(ExportClaims::from_metadata(&without), Err(ClaimFault::Metadata(name)));
            }
        }
    }

    #[test]
    fn classes_and_values_are_counted_anew() {
        let (gender, state) = ([[0; 5], [1; 5]].concat(), [[2; 5], [NO_WORD; 5]].concat());
        let report = check(&claims(), [&gender, &state, &[0, 1, 0, 0, 0, 2, 2, 2, 2, NO_WORD]]).expect("holds");
        let expected = ClaimReport { rows: 10, classes: 2, smallest_class: 5, least_distinct: Some(2) };
        assert_eq!(report, expected);
        let few = check(&claims(), [&gender, &state, &[0, 1, 0, 0, 0, 2, 2, 2, 2, 2]]);
        let class = r#"{"gender":"b","state":null}"#.to_owned();
        assert_eq!(few, Err(ClaimFault::FewValues { column: "overall_risk".to_owned(), distinct: 1, l: 2, class }));
        let small =
            check(&claims(), [&[[0; 2].as_slice(), &[1; 8]].concat(), &state, &[0, 1, 0, 1, 0, 2, 2, 2, 2, NO_WORD]]);
        let class = r#"{"gender":"a","state":"c"}"#.to_owned();
        assert_eq!(small, Err(ClaimFault::SmallClass { size: 2, k: 5, class }));
    }

    #[test]
    fn other_rows_and_columns_than_claimed_are_found() {
        let rows = check(&claims(), [&[0; 5], &[0; 5], &[0, 1, 0, 1, 0]]);
        assert_eq!(rows, Err(ClaimFault::Rows { claimed: 10, found: 5 }));
        let unclaimed = ExportClaims { quasi_identifiers: vec!["gender".to_owned()], ..claims() };
        let unclaimed = check(&unclaimed, [&[0; 10], &[0; 10], &[0; 10]]);
        assert_eq!(unclaimed, Err(ClaimFault::Unclaimed("state".to_owned())));
        let lowered = check(&ExportClaims { k: 1, ..claims() }, [&[0; 10], &[0; 10], &[0; 10]]);
        assert_eq!(lowered, Err(ClaimFault::Metadata(K)));
        let sensitive = ["overall_risk", "tax_penalty_risk"].map(str::to_owned).into();
        let missing = check(&ExportClaims { sensitive, ..claims() }, [&[0; 10], &[0; 10], &[0; 10]]);
        assert_eq!(missing, Err(ClaimFault::MissingColumn("tax_penalty_risk".to_owned())));
        for name in ["profile_id", "display_name", "genders", "count"] {
            let found = claims().check(&[name.to_owned()], &BTreeMap::new(), 10);
            assert_eq!(found, Err(ClaimFault::ForbiddenColumn(name.to_owned())));
        }
        let aggregate = ExportClaims { mode: ExportMode::Aggregate, ..claims() };
        for (name, is_allowed) in
            [("count", true), ("total_active_sum", true), ("pseudonym", false), ("user_id", false)]
        {
            let checked = aggregate.check(&[name.to_owned()], &BTreeMap::new(), 10);
            assert_eq!(checked.is_ok(), is_allowed, "{name}: {checked:?}");
        }
    }
}
