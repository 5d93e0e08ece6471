//! A filter over the codes of rows.

use domain::columns::{ABSENT_COUNT, Dictionaries, DictionaryKind, Quasi, Row};
use domain::export::ExportFilter;

/// The conditions of a request, as codes: a row is compared without a look at a word.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RowFilter {
    state: Option<u8>,
    district: Option<u16>,
    income_bracket: Option<u8>,
    scheme: Option<u16>,
    tag: Option<u64>,
    min_completeness: u8,
}

impl RowFilter {
    /// Returns the filter; `None` if no row can match, because no profile has one of the words.
    pub(super) fn new(filter: &ExportFilter, dictionaries: &Dictionaries) -> Option<Self> {
        let code = |kind: DictionaryKind, word: &Option<String>| match word {
            None => Some(None),
            // A word without a code of its own cannot be told from the others.
            Some(word) => dictionaries.code(kind, word).filter(|code| *code != kind.other()).map(Some),
        };
        let income = match &filter.income_bracket {
            None => None,
            Some(word) => Some(Quasi::IncomeBracket.words().iter().position(|known| known == word)? as u8 + 1),
        };
        Some(Self {
            state: code(DictionaryKind::State, &filter.state)?.map(|code| code as u8),
            district: code(DictionaryKind::District, &filter.district)?,
            income_bracket: income,
            scheme: code(DictionaryKind::Scheme, &filter.scheme_id)?,
            tag: code(DictionaryKind::Tag, &filter.cohort_tag)?.map(|code| 1 << (code - 1)),
            min_completeness: filter.min_completeness.unwrap_or(0),
        })
    }

    /// Returns whether a row belongs to someone who takes part in analytics and meets the conditions.
    pub(super) fn accepts(&self, row: &Row) -> bool {
        let completeness = if row.completeness_pct == ABSENT_COUNT { 0 } else { row.completeness_pct };
        row.is_present()
            && row.is_opted_in()
            && self.state.is_none_or(|state| row.quasi(Quasi::State) == state)
            && self.district.is_none_or(|district| row.district == district)
            && self.income_bracket.is_none_or(|income| row.quasi(Quasi::IncomeBracket) == income)
            && self.scheme.is_none_or(|scheme| row.schemes.iter().any(|own| own.code() == scheme))
            && self.tag.is_none_or(|tag| row.cohort_tags & tag != 0)
            && completeness >= self.min_completeness
    }
}
