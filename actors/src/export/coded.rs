//! Rows as codes of dictionaries, one column for each quasi-identifier and each sensitive column.

use domain::columns::{ABSENT_COUNT, DictionaryKind, Quasi, Risk, Row, STATUSES};
use domain::export::{
    ExportColumn, ExportRequest, ExportRules, Hierarchy, Lattice, LevelRule, QuasiIdentifier, SetupError,
};
use rayon::prelude::*;
use smol_str::SmolStr;

use super::job_context::JobEnd;
use super::rows::ExportRows;

/// A column of words: the word of each code, `None` for a missing value, and the code of each row.
pub(super) struct CodedColumn {
    pub(super) words: Vec<Option<SmolStr>>,
    pub(super) codes: Vec<u32>,
}

/// The bands of risks, each with the hundredths at which it ends. Most scores are small, so the bands are narrow there: in wide
/// ones nearly everyone would have the same value, and no class could have two.
const RISK_BANDS: [(&str, u8); 6] =
    [("0.00-0.01", 1), ("0.02", 2), ("0.03-0.05", 5), ("0.06-0.10", 10), ("0.11-0.20", 20), ("0.21-1.00", 100)];

/// Returns the lattice of a request, and the codes of the rows in its columns. The words of places are those of the rows at
/// the positions `among`: penalties depend on the number of words, so a job looks at its own rows only. Codes of other rows
/// mean nothing.
pub(super) fn quasi_identifiers(
    request: &ExportRequest,
    rules: &ExportRules,
    rows: &ExportRows,
    among: &[u32],
) -> Result<(Lattice, Vec<CodedColumn>), JobEnd> {
    let levels = rules.finest_levels(request.columns);
    let code = |(quasi_identifier, finest): &(QuasiIdentifier, usize)| {
        let hierarchy = rules.hierarchy(*quasi_identifier)?;
        Some((*quasi_identifier, quasi_column(hierarchy, *finest, rows, among)))
    };
    let coded: Vec<(QuasiIdentifier, CodedColumn)> = levels.par_iter().filter_map(code).collect();
    let words = |quasi_identifier| {
        let column = coded.iter().find(|(own, _)| *own == quasi_identifier);
        column.map_or(&[][..], |(_, column)| column.words.as_slice())
    };
    let lattice = rules.lattice(request.columns, words).map_err(|error| {
        JobEnd::Failed(match error {
            SetupError::Uncovered(_) => "`export.toml` has no group for a value that profiles have",
            SetupError::Lattice(_) => "the quasi-identifiers have too many combinations: ask for fewer",
        })
    })?;
    Ok((lattice, coded.into_iter().map(|(_, column)| column).collect()))
}

/// Returns the codes of a quasi-identifier whose levels begin at `finest`.
fn quasi_column(hierarchy: &Hierarchy, finest: usize, rows: &ExportRows, among: &[u32]) -> CodedColumn {
    let of_words = |quasi| words_of_table(quasi, rows);
    match hierarchy.quasi_identifier() {
        QuasiIdentifier::AgeBracket => of_words(Quasi::AgeBracket),
        QuasiIdentifier::Gender => of_words(Quasi::Gender),
        QuasiIdentifier::UrbanRural => of_words(Quasi::UrbanRural),
        QuasiIdentifier::IncomeBracket => of_words(Quasi::IncomeBracket),
        QuasiIdentifier::EmploymentType => of_words(Quasi::EmploymentType),
        QuasiIdentifier::Category => of_words(Quasi::Category),
        QuasiIdentifier::Place if finest > 0 => states(rows, hierarchy),
        QuasiIdentifier::Place => places(rows, among),
        QuasiIdentifier::FamilySize => {
            let most = QuasiIdentifier::FamilySize.values().len() as u32;
            let mut words = vec![None];
            words.extend((1..=most).map(|size| Some(SmolStr::from(size.to_string()))));
            let code = |row: &Row| u32::from(row.quasi(Quasi::MembersCount)).min(most);
            CodedColumn { words, codes: rows.rows.iter().map(code).collect() }
        }
    }
}

fn words_of_table(quasi: Quasi, rows: &ExportRows) -> CodedColumn {
    let mut words = vec![None];
    words.extend(quasi.words().iter().map(|word| Some(SmolStr::new_static(word))));
    // A word that only an earlier release knew counts as missing.
    let end = words.len() as u32;
    let code = |row: &Row| Some(u32::from(row.quasi(quasi))).filter(|code| *code < end).unwrap_or(0);
    CodedColumn { words, codes: rows.rows.iter().map(code).collect() }
}

/// Returns the states of the rows. The words are all states that the hierarchy knows, whoever is in the export.
fn states(rows: &ExportRows, hierarchy: &Hierarchy) -> CodedColumn {
    let known = hierarchy.levels().iter().find_map(|level| match &level.rule {
        LevelRule::Region(regions) => Some(regions.keys()),
        _ => None,
    });
    let words: Vec<Option<SmolStr>> =
        [None].into_iter().chain(known.into_iter().flatten().map(|state| Some(state.into()))).collect();
    let states = rows.dictionaries.get(DictionaryKind::State);
    let code_of_state = |code: u16| {
        let state = states.word(code);
        state.and_then(|state| words.iter().position(|word| word.as_deref() == Some(state))).unwrap_or(0) as u32
    };
    let codes: Vec<u32> = (0..=DictionaryKind::State.other()).map(code_of_state).collect();
    CodedColumn { codes: rows.rows.iter().map(|row| codes[usize::from(row.quasi(Quasi::State))]).collect(), words }
}

/// Returns the places of the rows `among` as `state/district`, or `state` where there is no district. Codes are in the order
/// of the words, so that they do not depend on the order in which profiles came.
fn places(rows: &ExportRows, among: &[u32]) -> CodedColumn {
    let (states, districts) =
        (rows.dictionaries.get(DictionaryKind::State), rows.dictionaries.get(DictionaryKind::District));
    // A place is a cell of a table: a row of all districts for each state. A row costs one look at it.
    let row_length = usize::from(DictionaryKind::District.other()) + 1;
    let cell = |row: &Row| usize::from(row.quasi(Quasi::State)) * row_length + usize::from(row.district);
    let mut found = vec![false; (usize::from(DictionaryKind::State.other()) + 1) * row_length];
    among.iter().for_each(|position| found[cell(&rows.rows[*position as usize])] = true);
    let word = |cell: usize| -> Option<SmolStr> {
        let state = states.word((cell / row_length) as u16)?;
        let district = districts.word((cell % row_length) as u16);
        Some(district.map_or_else(|| state.into(), |district| format!("{state}/{district}").into()))
    };
    let found: Vec<(usize, Option<SmolStr>)> =
        (0..found.len()).filter(|cell| found[*cell]).map(|cell| (cell, word(cell))).collect();
    let mut words: Vec<Option<SmolStr>> = found.iter().map(|(_, word)| word.clone()).chain([None]).collect();
    words.sort_unstable();
    words.dedup();
    let mut codes = vec![0; (usize::from(DictionaryKind::State.other()) + 1) * row_length];
    for (cell, word) in &found {
        codes[*cell] = words.binary_search(word).unwrap_or_default() as u32;
    }
    CodedColumn { codes: rows.rows.iter().map(|row| codes[cell(row)]).collect(), words }
}

/// Returns the sensitive columns of a request, in the order of a file.
pub(super) fn sensitive_columns(
    request: &ExportRequest,
    rules: &ExportRules,
    rows: &ExportRows,
) -> Vec<(ExportColumn, CodedColumn)> {
    let columns: Vec<ExportColumn> = rules.sensitive_columns(request.columns).collect();
    columns.into_par_iter().filter_map(|column| Some((column, word_column(column, rows)?))).collect()
}

/// Returns a column of words that is no quasi-identifier.
pub(super) fn word_column(column: ExportColumn, rows: &ExportRows) -> Option<CodedColumn> {
    let risk = match column {
        ExportColumn::ApplicationStatus => return Some(statuses(rows)),
        ExportColumn::IncomeBracket => return Some(words_of_table(Quasi::IncomeBracket, rows)),
        ExportColumn::BenefitLapseRisk => Risk::BenefitLapse,
        ExportColumn::DeadlineMissRisk => Risk::DeadlineMiss,
        ExportColumn::DocumentExpiryRisk => Risk::DocumentExpiry,
        ExportColumn::TaxPenaltyRisk => Risk::TaxPenalty,
        ExportColumn::OverallRisk => Risk::Overall,
        _ => return None,
    };
    let words = [None].into_iter().chain(RISK_BANDS.map(|(word, _)| Some(SmolStr::new_static(word)))).collect();
    let band = |row: &Row| match row.risk(risk) {
        ABSENT_COUNT => 0,
        hundredths => RISK_BANDS.iter().position(|(_, end)| hundredths <= *end).map_or(0, |band| band as u32 + 1),
    };
    Some(CodedColumn { words, codes: rows.rows.iter().map(band).collect() })
}

/// Returns the word of a code of a column that is no quasi-identifier; `none` for a missing value.
pub(super) fn word_of(column: ExportColumn, code: usize) -> String {
    let words: Vec<&str> = match column {
        ExportColumn::ApplicationStatus => FURTHEST.to_vec(),
        ExportColumn::IncomeBracket => Quasi::IncomeBracket.words().to_vec(),
        _ => RISK_BANDS.map(|(word, _)| word).to_vec(),
    };
    code.checked_sub(1).and_then(|place| words.get(place)).map_or("none", |word| word).to_owned()
}

/// The statuses of an application from the first to the furthest.
const FURTHEST: [&str; 7] = ["not_applied", "lapsed", "rejected", "applied", "under_review", "approved", "active"];

fn statuses(rows: &ExportRows) -> CodedColumn {
    let words = [None].into_iter().chain(FURTHEST.map(|word| Some(SmolStr::new_static(word)))).collect();
    // The bit of each status in a row, from the furthest on.
    let bits = FURTHEST.map(|word| STATUSES.iter().position(|status| *status == word).map_or(0, |place| 1_u8 << place));
    let furthest = |row: &Row| bits.iter().rposition(|bit| row.statuses & bit != 0).map_or(0, |place| place as u32 + 1);
    CodedColumn { words, codes: rows.rows.iter().map(furthest).collect() }
}
