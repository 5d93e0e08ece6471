//! Claims hold, or it is said which do not.

use super::*;
use crate::port::table::NO_WORD;

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
    let (columns, words) = (&names.map(str::to_owned)[..], columns.collect());
    claims.check(&FileContent { columns, words, counts: None, rows: codes[0].len() as u64 })
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
    assert_eq!(unclaimed, Err(ClaimFault::NotGrouped("state".to_owned())));
    for (lowered, member) in [(ExportClaims { k: 1, ..claims() }, K), (ExportClaims { l: 0, ..claims() }, L)] {
        let lowered = check(&lowered, [&[0; 10], &[0; 10], &[0; 10]]);
        assert_eq!(lowered, Err(ClaimFault::Metadata(member)));
    }
    let sensitive = ["overall_risk", "tax_penalty_risk"].map(str::to_owned).into();
    let missing = check(&ExportClaims { sensitive, ..claims() }, [&[0; 10], &[0; 10], &[0; 10]]);
    assert_eq!(missing, Err(ClaimFault::MissingColumn("tax_penalty_risk".to_owned())));
    for name in ["profile_id", "display_name", "genders", "count"] {
        let columns = &[name.to_owned()];
        let found = claims().check(&FileContent { columns, rows: 10, ..FileContent::default() });
        assert_eq!(found, Err(ClaimFault::ForbiddenColumn(name.to_owned())));
    }
    let columns = &["gender".to_owned(), "gender".to_owned()];
    let repeated = claims().check(&FileContent { columns, rows: 10, ..FileContent::default() });
    assert_eq!(repeated, Err(ClaimFault::RepeatedColumn("gender".to_owned())));
}

#[test]
fn a_file_does_not_decide_itself_what_its_quasi_identifiers_are() {
    // Each row is a person who differs from all others: with these as sensitive columns it would be one class of 10 rows.
    let unlike: Vec<u16> = [0, 1, 2, 0, 1, 2, 0, 1, 2, NO_WORD].into();
    let all = ["gender", "state", "overall_risk"].map(str::to_owned).to_vec();
    let moved = ExportClaims { quasi_identifiers: Vec::new(), sensitive: all.clone(), ..claims() };
    let checked = check(&moved, [&unlike, &[0; 10], &unlike]);
    assert_eq!(checked, Err(ClaimFault::NotGrouped("gender".to_owned())));
    // A sensitive column among the quasi-identifiers would have no l.
    let moved = ExportClaims { quasi_identifiers: all, sensitive: Vec::new(), ..claims() };
    let checked = check(&moved, [&[0; 10], &[0; 10], &[0; 10]]);
    assert_eq!(checked, Err(ClaimFault::NotDiverse("overall_risk".to_owned())));
}

#[test]
fn the_income_bracket_alone_may_be_sensitive_in_place_of_a_quasi_identifier() {
    let words: Vec<String> = ["a", "b"].map(str::to_owned).into();
    let column = ["income_bracket".to_owned()];
    let codes = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1];
    let file = |codes| FileContent {
        columns: &column,
        words: [(column[0].clone(), WordsOfColumn { words: &words, codes })].into(),
        counts: None,
        rows: 10,
    };
    let claims = |quasi_identifiers, sensitive| ExportClaims { quasi_identifiers, sensitive, ..claims() };
    let (grouped, diverse) = (claims(column.to_vec(), Vec::new()), claims(Vec::new(), column.to_vec()));
    for claims in [&grouped, &diverse] {
        assert_eq!(claims.check(&file(&codes)).map(|report| report.rows), Ok(10));
    }
    assert!(matches!(diverse.check(&file(&[0; 10])), Err(ClaimFault::FewValues { distinct: 1, .. })));
    let neither = claims(Vec::new(), Vec::new()).check(&file(&codes));
    assert_eq!(neither, Err(ClaimFault::NotGrouped(column[0].clone())));
}

#[test]
fn the_groups_of_an_aggregate_have_at_least_k_people() {
    let aggregate = ExportClaims { mode: ExportMode::Aggregate, sensitive: Vec::new(), rows: 3, ..claims() };
    let columns = ["gender", "state", "count"].map(str::to_owned);
    let check = |counts: Option<&[Option<i64>]>| {
        aggregate.check(&FileContent { columns: &columns, counts, rows: 3, ..FileContent::default() })
    };
    let report = check(Some(&[Some(5), Some(7), Some(6)])).expect("holds");
    assert_eq!((report.rows, report.classes, report.smallest_class), (3, 3, 5));
    for (counts, count, row) in [
        ([Some(5), Some(4), Some(1)], Some(4), 1),
        ([Some(-9), Some(5), None], Some(-9), 0),
        ([Some(5), Some(5), None], None, 2),
    ] {
        assert_eq!(check(Some(&counts)), Err(ClaimFault::SmallGroup { count, k: 5, row }));
    }
    for counts in [None, Some(&[Some(5)][..])] {
        assert_eq!(check(counts), Err(ClaimFault::NoCounts));
    }
}

#[test]
fn an_aggregate_has_groups_and_statistics_and_no_values_of_persons() {
    let aggregate = ExportClaims {
        mode: ExportMode::Aggregate,
        quasi_identifiers: ["state", "income_bracket"].map(str::to_owned).into(),
        sensitive: Vec::new(),
        rows: 0,
        ..claims()
    };
    for (name, is_allowed) in [
        ("count", true),
        ("state", true),
        ("income_bracket", true),
        ("income_bracket_count_2l-5l", true),
        ("total_active_sum", true),
        ("total_active_quartile_3", true),
        ("overall_risk_count_0.05", true),
        ("total_active", false),
        ("overall_risk", false),
        ("total_active_of_one", false),
        ("district", false),
        ("pseudonym", false),
        ("pseudonym_sum", false),
        ("user_id", false),
    ] {
        let columns = &[name.to_owned()];
        let checked = aggregate.check(&FileContent { columns, counts: Some(&[]), ..FileContent::default() });
        assert_eq!(checked.is_ok(), is_allowed, "{name}: {checked:?}");
    }
}
