use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::*;
use crate::event::{EventFault, EventProblem};
use crate::export::testing::rules as export_rules;
use crate::export::{ColumnRole, ExportColumn, ExportRules, MIN_K};
use crate::rules::{Limits, Rules};

fn parse(body: &str) -> Result<ExportRequest, Vec<EventFault>> {
    parse_with(body, &export_rules())
}

fn parse_with(body: &str, export_rules: &ExportRules) -> Result<ExportRequest, Vec<EventFault>> {
    let rules = Rules {
        zone: TimeZone::UTC,
        districts: BTreeMap::from([("goa".to_owned(), ["north_goa".to_owned()].into())]),
        not_applicable: Vec::new(),
        schemes_waiting: BTreeMap::new(),
        limits: Limits::default(),
    };
    ExportRequest::parse(body.as_bytes(), &rules, export_rules)
}

#[track_caller]
fn refused(body: &str, expected: &[(EventProblem, &str)]) {
    let faults = parse(body).expect_err(body);
    let found: Vec<_> =
        faults.iter().map(|fault| (fault.problem, fault.pointer.as_deref().unwrap_or("none"))).collect();
    assert_eq!(found, expected, "{body}: {faults:?}");
}

#[test]
fn an_empty_request_takes_all_defaults() {
    let request = parse("{}").expect("valid");
    assert_eq!((request.format, request.mode), (TableFormat::Parquet, ExportMode::Records));
    assert_eq!((request.k, request.l, request.micro_epsilon), (10, 2, None));
    assert_eq!(request.filter, ExportFilter::default());
    assert_eq!(request.columns, crate::export::ColumnSet::ALL);
}

#[test]
fn the_canonical_form_is_the_same_for_what_means_the_same_and_is_read_again() {
    let request = parse(
        r#"{"mode": "aggregate", "epsilon": 0.50, "l": 3, "filter": {"state": "goa", "min_completeness": 40,
            "district": "north_goa"}, "columns": ["total_active", "gender"]}"#,
    )
    .expect("valid");
    let canonical = concat!(
        r#"{"columns":["gender","total_active"],"epsilon":0.5,"filter":{"district":"north_goa","min_completeness":40,"#,
        r#""state":"goa"},"format":"parquet","k":10,"l":3,"mode":"aggregate"}"#
    );
    assert_eq!(request.canonical(), canonical);
    assert_eq!(parse(canonical).expect("its own form"), request);
    let records =
        parse(r#"{"k": 5, "filter": {"cohort_tag": "a\"b", "scheme_id": "pm_kisan", "income_bracket": "20L+"}}"#);
    let records = records.expect("valid");
    assert_eq!(parse(&records.canonical()).expect("its own form"), records);
}

#[test]
fn each_fault_names_its_member() {
    use EventProblem::*;
    refused("[]", &[(WrongType, "")]);
    refused("{", &[(MalformedJson, "none")]);
    refused(r#"{"k": 4}"#, &[(OutOfRange, "/k")]);
    refused(r#"{"k": 10.5, "l": 0}"#, &[(WrongType, "/k"), (OutOfRange, "/l")]);
    refused(r#"{"format": "csv", "mode": 1}"#, &[(UnknownValue, "/format"), (WrongType, "/mode")]);
    refused(r#"{"fields": []}"#, &[(UnknownMember, "/fields")]);
    refused(r#"{"columns": []}"#, &[(OutOfRange, "/columns")]);
    refused(r#"{"columns": ["gender", "gender"]}"#, &[(DuplicateItem, "/columns/1")]);
    refused(r#"{"filter": {"state": "atlantis"}}"#, &[(UnknownValue, "/filter/state")]);
    refused(r#"{"filter": {"district": "north_goa"}}"#, &[(MissingMember, "/filter/district")]);
    refused(
        r#"{"filter": {"min_completeness": 101, "age": 1}}"#,
        &[(UnknownMember, "/filter/age"), (OutOfRange, "/filter/min_completeness")],
    );
    refused(r#"{"filter": {"income_bracket": "rich"}}"#, &[(UnknownValue, "/filter/income_bracket")]);
}

#[test]
fn epsilon_belongs_to_aggregates_and_has_six_decimals() {
    use EventProblem::*;
    refused(r#"{"epsilon": 1}"#, &[(UnknownMember, "/epsilon")]);
    refused(r#"{"mode": "aggregate"}"#, &[(MissingMember, "/epsilon")]);
    for epsilon in ["0", "0.009999", "2.000001", "0.0123456", "-1", "9e15"] {
        refused(&format!(r#"{{"mode": "aggregate", "epsilon": {epsilon}}}"#), &[(OutOfRange, "/epsilon")]);
    }
    refused(r#"{"mode": "aggregate", "epsilon": "1"}"#, &[(WrongType, "/epsilon")]);
    for micro in (10_000..=2_000_000).step_by(331) {
        let epsilon = super::parse::micro_to_text(micro);
        let request = parse(&format!(r#"{{"mode": "aggregate", "epsilon": {epsilon}}}"#)).expect("in range");
        assert_eq!(request.micro_epsilon, Some(micro), "{epsilon}");
    }
}

#[test]
fn aggregates_have_groups_of_few_values_if_no_columns_are_named_and_never_of_districts() {
    use ExportColumn::{AgeBracket, Gender, State, TotalActive};
    let request = parse(r#"{"mode": "aggregate", "epsilon": 1}"#).expect("columns are optional");
    let is_group = |column: &ExportColumn| matches!(column.role(), ColumnRole::QuasiIdentifier(_));
    assert!(request.columns.iter().filter(is_group).eq([AgeBracket, Gender, State]));
    assert!(request.columns.has(TotalActive) && !request.columns.has(ExportColumn::CohortTags));
    let measured = request.columns.iter().filter(|column| !is_group(column)).count();
    let all = ExportColumn::ALL.iter().filter(|column| !is_group(column)).count();
    assert_eq!(measured, all - 2, "all but pseudonyms and tags");
    assert_eq!(parse(&request.canonical()).expect("its own form"), request);
    refused(
        r#"{"mode": "aggregate", "epsilon": 1, "columns": ["gender", "district"]}"#,
        &[(EventProblem::UnknownValue, "/columns/1")],
    );

    let mut rules = export_rules();
    rules.columns = [ExportColumn::District, ExportColumn::CohortTags].into_iter().collect();
    let faults = parse_with(r#"{"mode": "aggregate", "epsilon": 1}"#, &rules).expect_err("no column is left");
    assert_eq!((faults[0].problem, faults[0].pointer.as_deref()), (EventProblem::MissingMember, Some("/columns")));
}

#[test]
fn no_request_gets_what_identifies_a_person() {
    for name in ["display_name", "pincode", "identity_token", "profile_id", "user_id", "identity.display_name"] {
        refused(&format!(r#"{{"columns": ["{name}"]}}"#), &[(EventProblem::UnknownValue, "/columns/0")]);
    }
    for name in ["pseudonym", "cohort_tags"] {
        let body = format!(r#"{{"mode": "aggregate", "epsilon": 1, "columns": ["{name}"]}}"#);
        refused(&body, &[(EventProblem::UnknownValue, "/columns/0")]);
    }
    let gender = parse(r#"{"columns": ["gender"]}"#).expect("valid");
    assert_eq!(gender.columns.iter().collect::<Vec<_>>(), [ExportColumn::Pseudonym, ExportColumn::Gender]);
    assert_eq!(ExportColumn::Pseudonym.role(), ColumnRole::Key);
    const { assert!(MIN_K == 5) };
}
