//! Counts the rows of an export's file anew, and compares them with its claims.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::{COUNT_COLUMN, ClaimFault, ExportClaims, K, L};
use crate::export::{ColumnRole, ExportColumn, ExportMode, MIN_K};
use crate::port::table::NO_WORD;

/// A column of words, as a file holds it.
#[derive(Debug, Clone, Copy)]
pub struct WordsOfColumn<'f> {
    /// The different words, which `codes` refers to.
    pub words: &'f [String],
    /// The word of each row as a position in `words`; [`NO_WORD`] where there is none.
    pub codes: &'f [u16],
}

/// What a check needs of a file.
#[derive(Debug, Clone, Default)]
pub struct FileContent<'f> {
    /// The names of all columns.
    pub columns: &'f [String],
    /// The columns of words, by name.
    pub words: BTreeMap<String, WordsOfColumn<'f>>,
    /// The values of [`COUNT_COLUMN`]; `None` if the file has no such column of integers.
    pub counts: Option<&'f [Option<i64>]>,
    /// The number of rows.
    pub rows: u64,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimReport {
    /// The number of rows.
    pub rows: u64,
    /// The number of classes, or of groups of an aggregate.
    pub classes: u64,
    /// The size of the smallest class, or the least number of people of a group, with its noise; 0 without rows.
    pub smallest_class: u32,
    /// The least number of different values of a sensitive column in a class; `None` without sensitive columns.
    pub least_distinct: Option<u32>,
}

impl ExportClaims {
    /// Counts classes and values anew from the columns of the file, and compares them with the claims. The rows of an aggregate
    /// are groups, whose numbers of people are compared with k.
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn check(&self, file: &FileContent<'_>) -> Result<ClaimReport, ClaimFault> {
        if let Some(forbidden) = file.columns.iter().find(|column| !is_allowed(self.mode, column)) {
            return Err(ClaimFault::ForbiddenColumn(forbidden.clone()));
        }
        let mut names = BTreeSet::new();
        if let Some(repeated) = file.columns.iter().find(|name| !names.insert(*name)) {
            return Err(ClaimFault::RepeatedColumn(repeated.clone()));
        }
        if self.k < MIN_K {
            return Err(ClaimFault::Metadata(K));
        }
        if self.l == 0 {
            return Err(ClaimFault::Metadata(L));
        }
        if file.rows != self.rows {
            return Err(ClaimFault::Rows { claimed: self.rows, found: file.rows });
        }
        self.check_roles(file.columns)?;
        match self.mode {
            ExportMode::Records => self.check_classes(file),
            ExportMode::Aggregate => self.check_groups(file),
        }
    }

    /// Checks that each column is protected by what it is. If a file could say itself what its quasi-identifiers are, one that
    /// names none would be a single class, which is large enough for any k.
    fn check_roles(&self, columns: &[String]) -> Result<(), ClaimFault> {
        for name in columns {
            let is_grouped = self.quasi_identifiers.contains(name);
            let is_diverse = self.sensitive.contains(name);
            match ExportColumn::parse(name).map(|column| (column, column.role())) {
                // The rules of a server may make it sensitive in place of a quasi-identifier.
                Some((ExportColumn::IncomeBracket, _)) if is_diverse => {}
                Some((_, ColumnRole::QuasiIdentifier(_))) if !is_grouped => {
                    return Err(ClaimFault::NotGrouped(name.clone()));
                }
                Some((_, ColumnRole::Sensitive)) if !is_diverse => return Err(ClaimFault::NotDiverse(name.clone())),
                _ => {}
            }
        }
        Ok(())
    }

    fn check_classes(&self, file: &FileContent<'_>) -> Result<ClaimReport, ClaimFault> {
        let column = |name: &String| file.words.get(name).ok_or_else(|| ClaimFault::MissingColumn(name.clone()));
        let quasi: Vec<_> = self.quasi_identifiers.iter().map(column).collect::<Result<_, _>>()?;
        let sensitive: Vec<_> = self.sensitive.iter().map(column).collect::<Result<_, _>>()?;
        let mut classes: HashMap<Vec<u16>, Class> = HashMap::new();
        for row in 0..file.rows as usize {
            let class = classes
                .entry(quasi.iter().map(|column| column.codes[row]).collect())
                .or_insert_with(|| Class::new(sensitive.len()));
            class.size += 1;
            for (values, column) in class.values.iter_mut().zip(&sensitive) {
                values.insert(column.codes[row]);
            }
        }
        let mut report =
            ClaimReport { rows: file.rows, classes: classes.len() as u64, smallest_class: 0, least_distinct: None };
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

    fn check_groups(&self, file: &FileContent<'_>) -> Result<ClaimReport, ClaimFault> {
        let counts = file.counts.filter(|counts| counts.len() as u64 == file.rows);
        let counts = counts.ok_or(ClaimFault::NoCounts)?;
        let is_small = |count: &Option<i64>| count.is_none_or(|count| count < i64::from(self.k));
        if let Some((row, count)) = counts.iter().enumerate().find(|(_, count)| is_small(count)) {
            return Err(ClaimFault::SmallGroup { count: *count, k: self.k, row });
        }
        let smallest = counts.iter().flatten().min().copied().unwrap_or(0);
        let smallest_class = u32::try_from(smallest).unwrap_or(u32::MAX);
        Ok(ClaimReport { rows: file.rows, classes: file.rows, smallest_class, least_distinct: None })
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
/// people, and statistics whose names begin with the column that they are about.
fn is_allowed(mode: ExportMode, name: &str) -> bool {
    match mode {
        ExportMode::Records => ExportColumn::parse(name).is_some(),
        ExportMode::Aggregate => {
            name == COUNT_COLUMN
                || is_group(name)
                || ExportColumn::ALL.into_iter().any(|column| is_statistic(column, name))
        }
    }
}

/// Returns whether groups of an aggregate may have a column of that name.
fn is_group(name: &str) -> bool {
    let role = ExportColumn::parse(name).map(ExportColumn::role);
    matches!(role, Some(ColumnRole::QuasiIdentifier(_))) && name != ExportColumn::District.name()
}

fn is_statistic(column: ExportColumn, name: &str) -> bool {
    const STATISTICS: [&str; 5] = ["sum", "mean", "quartile_1", "quartile_2", "quartile_3"];
    let statistic = name.strip_prefix(column.name()).and_then(|rest| rest.strip_prefix('_'));
    column != ExportColumn::Pseudonym
        && statistic.is_some_and(|statistic| STATISTICS.contains(&statistic) || statistic.starts_with("count_"))
}
