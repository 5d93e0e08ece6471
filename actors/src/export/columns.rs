//! The columns of a file of records.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::columns::{ABSENT_COUNT, ABSENT_SUM, DictionaryKind, Row};
use domain::export::{ColumnRole, ExportColumn, ExportRules, Hierarchy, Lattice, LevelRule, Node, QuasiIdentifier};
use domain::port::table::{ColumnType, ColumnValues, NO_WORD, TableColumn};
use rayon::prelude::*;
use smol_str::SmolStr;

use super::coded::CodedColumn;

/// A word for each of a number of codes, as a table has it: the words, and their place by code.
pub(super) struct Vocabulary {
    words: Arc<[String]>,
    place_of_code: Vec<u16>,
}

impl Vocabulary {
    /// Returns the vocabulary of these words, in the order of the alphabet.
    pub(super) fn new<'w>(words_of_codes: impl Iterator<Item = Option<&'w str>> + Clone) -> Self {
        let places: BTreeMap<&str, u16> = words_of_codes.clone().flatten().map(|word| (word, 0)).collect();
        let places: BTreeMap<&str, u16> = places.into_keys().zip(0..).collect();
        let place = |word: Option<&str>| word.map_or(NO_WORD, |word| places[word]);
        let place_of_code = words_of_codes.map(place).collect();
        Self { words: places.into_keys().map(str::to_owned).collect(), place_of_code }
    }

    fn words_of(column: &CodedColumn) -> Self {
        Self::new(column.words.iter().map(|word| word.as_deref()))
    }

    pub(super) fn column_type(&self) -> ColumnType {
        ColumnType::Word(self.words.clone())
    }

    pub(super) fn place(&self, code: u32) -> u16 {
        self.place_of_code[code as usize]
    }
}

/// Where the values of a column of a file come from.
enum Values {
    Pseudonym,
    /// The group of a quasi-identifier, by its position in the lattice.
    Group(usize, Vocabulary),
    /// A sensitive column, by its position.
    Sensitive(usize, Vocabulary),
    Integer(fn(&Row) -> Option<i64>),
    /// Tags, by the place of each bit; [`NO_WORD`] for tags that are left out.
    Tags(Arc<[String]>, [u16; 64]),
}

/// The columns of a file of records.
pub(super) struct FileColumns<'e> {
    lattice: &'e Lattice,
    columns: Vec<(ExportColumn, Values)>,
}

/// What the columns are made of.
pub(super) struct FileInput<'e> {
    /// The keys of the rows that are written: words of other groups are not in the file.
    pub(super) keys: &'e [u64],
    pub(super) rules: &'e ExportRules,
    pub(super) lattice: &'e Lattice,
    pub(super) node: &'e Node,
    pub(super) sensitive: &'e [(ExportColumn, CodedColumn)],
    /// The tags that enough persons of the export have, by the bit of their code.
    pub(super) tags: &'e [Option<String>; 64],
}

impl<'e> FileColumns<'e> {
    pub(super) fn new(columns: impl Iterator<Item = ExportColumn>, input: &FileInput<'e>) -> Self {
        let columns = columns.filter_map(|column| Some((column, values(column, input)?)));
        Self { lattice: input.lattice, columns: columns.collect() }
    }

    /// Returns the columns as a table describes them.
    pub(super) fn schema(&self) -> Vec<TableColumn> {
        let describe = |(column, values): &(ExportColumn, Values)| TableColumn {
            name: column.name().to_owned(),
            description: column.description().to_owned(),
            values: match values {
                Values::Pseudonym => ColumnType::Key,
                Values::Group(_, words) | Values::Sensitive(_, words) => words.column_type(),
                Values::Integer(_) => ColumnType::Integer,
                Values::Tags(words, _) => ColumnType::WordList(words.clone()),
            },
        };
        self.columns.iter().map(describe).collect()
    }

    /// Returns the names of the columns that are quasi-identifiers.
    pub(super) fn quasi_identifiers(&self) -> Vec<String> {
        let groups = self.columns.iter().filter(|(_, values)| matches!(values, Values::Group(..)));
        groups.map(|(column, _)| column.name().to_owned()).collect()
    }

    /// Returns the values of some rows. `keys` are their classes at the node.
    pub(super) fn batch(
        &self,
        rows: &[u32],
        keys: &[u64],
        pseudonyms: &[[u8; 32]],
        all: &[Row],
        sensitive: &[(ExportColumn, CodedColumn)],
    ) -> Vec<ColumnValues> {
        let values = self.columns.par_iter().map(|(_, values)| match values {
            Values::Pseudonym => ColumnValues::Keys(pseudonyms.to_vec()),
            Values::Group(column, words) => ColumnValues::Words(
                keys.iter().map(|key| words.place(self.lattice.group(*key, *column).into())).collect(),
            ),
            Values::Sensitive(column, words) => {
                let codes = &sensitive[*column].1.codes;
                ColumnValues::Words(rows.iter().map(|row| words.place(codes[*row as usize])).collect())
            }
            Values::Integer(value) => {
                ColumnValues::Integers(rows.iter().map(|row| value(&all[*row as usize])).collect())
            }
            Values::Tags(_, places) => tag_lists(rows.iter().map(|row| all[*row as usize].cohort_tags), places),
        });
        values.collect()
    }
}

fn tag_lists(tags: impl Iterator<Item = u64>, places: &[u16; 64]) -> ColumnValues {
    let (mut words, mut ends) = (Vec::new(), Vec::new());
    for mut rest in tags {
        let start = words.len();
        while rest != 0 {
            let place = places[rest.trailing_zeros() as usize];
            words.extend((place != NO_WORD).then_some(place));
            rest &= rest - 1;
        }
        words[start..].sort_unstable();
        ends.push(words.len() as u32);
    }
    ColumnValues::WordLists { words, ends }
}

fn values(column: ExportColumn, input: &FileInput<'_>) -> Option<Values> {
    let sensitive = input.sensitive.iter().position(|(own, _)| *own == column);
    if let Some(position) = sensitive {
        return Some(Values::Sensitive(position, Vocabulary::words_of(&input.sensitive[position].1)));
    }
    match column.role() {
        ColumnRole::Key => Some(Values::Pseudonym),
        ColumnRole::QuasiIdentifier(quasi_identifier) => group(column, quasi_identifier, input),
        ColumnRole::Sensitive => None,
        ColumnRole::Other if column == ExportColumn::CohortTags => {
            // In the order of the words, and not in that in which the columns came to know them: after the columns were
            // filled anew, the same people give the same file.
            let mut words: Vec<String> = input.tags.iter().flatten().cloned().collect();
            words.sort_unstable();
            let mut places = [NO_WORD; 64];
            for (own, tag) in places.iter_mut().zip(input.tags) {
                let place = tag.as_ref().and_then(|tag| words.binary_search(tag).ok());
                *own = place.and_then(|place| u16::try_from(place).ok()).unwrap_or(NO_WORD);
            }
            Some(Values::Tags(words.into(), places))
        }
        ColumnRole::Other => Some(Values::Integer(integer(column)?)),
    }
}

fn group(column: ExportColumn, quasi_identifier: QuasiIdentifier, input: &FileInput<'_>) -> Option<Values> {
    let position = input.lattice.columns().iter().position(|own| own.quasi_identifier == quasi_identifier)?;
    let level = input.lattice.level(input.node, position);
    let hierarchy = input.rules.hierarchy(quasi_identifier)?;
    let rule = &hierarchy.levels()[input.node.level(position)].rule;
    let word = |label: &Option<SmolStr>| match column {
        ExportColumn::Region | ExportColumn::State | ExportColumn::District => {
            place_word(column, hierarchy, rule, label.as_deref()?)
        }
        _ => label.clone(),
    };
    let mut is_used = vec![false; level.labels.len()];
    input.keys.iter().for_each(|key| is_used[usize::from(input.lattice.group(*key, position))] = true);
    let words = level.labels.iter().zip(&is_used).map(|(label, is_used)| word(label).filter(|_| *is_used));
    let words: Vec<Option<SmolStr>> = words.collect();
    Some(Values::Group(position, Vocabulary::new(words.iter().map(|word| word.as_deref()))))
}

/// What a column of places says where the level of the place is coarser than the column.
const ANY: &str = "any";

/// Returns the word of a column of places for a group with that label.
fn place_word(column: ExportColumn, hierarchy: &Hierarchy, rule: &LevelRule, label: &str) -> Option<SmolStr> {
    let (state, district) = label.split_once('/').map_or((label, None), |(state, rest)| (state, Some(rest)));
    let region = || hierarchy.levels().iter().find(|level| matches!(level.rule, LevelRule::Region(_)))?.label(state);
    match (column, rule) {
        (ExportColumn::District, LevelRule::Exact) => district.map(SmolStr::from),
        (ExportColumn::State, LevelRule::Exact | LevelRule::State) => Some(state.into()),
        (ExportColumn::Region, LevelRule::Exact | LevelRule::State) => region().map(SmolStr::from),
        (ExportColumn::Region, LevelRule::Region(_)) => Some(label.into()),
        _ => Some(SmolStr::new_static(ANY)),
    }
}

/// Returns how a column of integers is read from a row.
pub(super) fn integer(column: ExportColumn) -> Option<fn(&Row) -> Option<i64>> {
    fn count(count: u8) -> Option<i64> {
        (count != ABSENT_COUNT).then_some(count.into())
    }
    Some(match column {
        ExportColumn::ProfileCompletenessPct => |row| count(row.completeness_pct),
        ExportColumn::TotalEligible => |row| count(row.total_eligible),
        ExportColumn::TotalApplied => |row| count(row.total_applied),
        ExportColumn::TotalActive => |row| count(row.total_active),
        ExportColumn::DeadlinesCompletedLast90d => |row| count(row.completed_last_90d),
        ExportColumn::PotentialAnnualBenefitInr => {
            |row| (row.potential_annual_benefit != ABSENT_SUM).then_some(row.potential_annual_benefit.into())
        }
        _ => return None,
    })
}

/// Returns the tags that at least `k` of the rows have, by the bit of their code.
pub(super) fn common_tags(
    rows: impl Iterator<Item = u64>,
    dictionaries: &domain::columns::Dictionaries,
    k: u32,
) -> [Option<String>; 64] {
    let mut counts = [0_u32; 64];
    for mut rest in rows {
        while rest != 0 {
            counts[rest.trailing_zeros() as usize] += 1;
            rest &= rest - 1;
        }
    }
    let words = dictionaries.get(DictionaryKind::Tag);
    let tag = |bit: usize| (counts[bit] >= k).then(|| words.word(bit as u16 + 1).map(str::to_owned)).flatten();
    std::array::from_fn(tag)
}
