//! What jobs write, and how they end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::export::{COUNT_COLUMN, ExportProgress, ExportStage};
use domain::port::journal::RowId;
use domain::port::table::{ColumnType, ColumnValues, TableFiles};
use kernels::Cpu;

use super::super::device::Device;
use super::super::job_context::{JobEnd, NOT_PROTECTED};
use super::fixture::{columns, count, erase, request, run, run_on, table, taking_part};
use super::memory::{Hook, MemoryTables};

#[test]
fn k_and_l_hold_for_every_request_and_everybody_is_there_once_or_left_out() {
    let columns = columns();
    let all = taking_part(&columns).len() as u64;
    for (seed, text) in [
        r#"{"k": 5, "l": 1}"#,
        r#"{"k": 10, "l": 2}"#,
        r#"{"k": 25, "l": 2, "columns": ["age_bracket", "district", "income_bracket", "application_status"]}"#,
        r#"{"k": 5, "l": 3, "columns": ["region", "state", "overall_risk", "deadline_miss_risk"]}"#,
        r#"{"k": 50, "l": 1, "columns": ["total_active", "cohort_tags"]}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let (tables, request) = (MemoryTables::default(), request(text));
        let end = run(&columns, &tables, &request, &[], seed as u64).end;
        let end = end.unwrap_or_else(|end| panic!("{text}: {end:?}"));
        let (file, report) = (table(&tables), table(&tables).check());
        assert_eq!((report.rows, end.rows_written + end.rows_suppressed), (end.rows_written, all), "{text}");
        let pseudonyms = file.pseudonyms();
        assert_eq!(pseudonyms.iter().collect::<HashSet<_>>().len(), pseudonyms.len(), "{text}");
        // The same moment and the same key give the same file, and another key other pseudonyms.
        run(&columns, &tables, &request, &[], seed as u64).written();
        assert!(table(&tables).batches == file.batches, "{text}");
        run(&columns, &tables, &request, &[], 1_000).written();
        let others: HashSet<_> = table(&tables).pseudonyms().into_iter().collect();
        assert!(pseudonyms.iter().all(|pseudonym| !others.contains(pseudonym)), "{text}");
    }
}

#[test]
fn people_who_leave_while_the_file_is_written_are_not_in_it() {
    let columns = Arc::new(columns());
    let all = taking_part(&columns);
    let leaving: Vec<RowId> = all.iter().copied().step_by(40).collect();
    let erased = columns.clone();
    let (first, second) = (leaving[0], leaving[1..].to_vec());
    let when_written: Hook = Arc::new(move |number| {
        let leaving = if number == 0 { std::slice::from_ref(&first) } else { &second[..] };
        leaving.iter().for_each(|row| erase(&erased, *row));
    });
    let tables = MemoryTables { when_written: Some(when_written), ..MemoryTables::default() };
    let request = request(r#"{"k": 10, "columns": ["gender", "age_bracket", "overall_risk"]}"#);
    let ran = run(&columns, &tables, &request, &[], 3);
    let most = ran.progress.iter().map(|step| step.rows_written).max();
    assert!(most > Some(0) && most <= Some(all.len() as u64), "attempts do not add up: {most:?}");
    assert!(ran.progress.iter().map(ExportProgress::percent).is_sorted(), "the percentage falls");
    let last = *ran.progress.last().expect("progress");
    let end = ran.written();
    assert_eq!((last.rows_written, last.rows_suppressed), (end.rows_written, end.rows_suppressed));
    assert_eq!(tables.written.load(Ordering::Relaxed), 3, "written in the third attempt");
    assert_eq!(table(&tables).check().rows, end.rows_written);
    assert_eq!(
        end.rows_written + end.rows_suppressed,
        (all.len() - leaving.len()) as u64,
        "nobody counts who has left"
    );
}

#[test]
fn people_who_leave_while_an_aggregate_is_written_are_not_counted() {
    let columns = Arc::new(columns());
    let all = taking_part(&columns);
    let leaving: Vec<RowId> = all.iter().copied().step_by(2).collect();
    let when_written: Hook = {
        let (columns, leaving) = (columns.clone(), leaving.clone());
        Arc::new(move |_| leaving.iter().for_each(|row| erase(&columns, *row)))
    };
    let tables = MemoryTables { when_written: Some(when_written), ..MemoryTables::default() };
    let request = request(r#"{"mode": "aggregate", "k": 5, "epsilon": 2, "columns": ["gender"]}"#);
    let ran = run(&columns, &tables, &request, &[], 3);
    assert!(ran.progress.iter().map(ExportProgress::percent).is_sorted(), "the percentage falls");
    let end = ran.written();
    assert_eq!(tables.written.load(Ordering::Relaxed), 2, "written anew");
    assert!(!leaving.iter().any(|row| end.rows.has(*row)));
    let file = table(&tables);
    let place = file.schema.columns.iter().position(|column| column.name == COUNT_COLUMN).expect("counts");
    let ColumnValues::Integers(counts) = &file.batches[0][place] else { panic!("integers") };
    let counted: i64 = counts.iter().flatten().sum();
    let rest = (all.len() - leaving.len()) as i64;
    assert!((counted - rest).abs() < 60, "{counted} of {rest} people, and noise");
}

#[test]
fn people_whose_profiles_are_hidden_are_in_no_file_until_they_are_shown_again() {
    let columns = columns();
    let all = taking_part(&columns);
    let hidden: Vec<RowId> = all.iter().copied().step_by(3).collect();
    hidden.iter().for_each(|row| columns.withhold(*row));
    let request = request(r#"{"k": 5, "columns": ["gender"]}"#);
    let counted = || {
        let written = run(&columns, &MemoryTables::default(), &request, &[], 1).written();
        let has_hidden = hidden.iter().any(|row| written.rows.has(*row));
        ((written.rows_written + written.rows_suppressed) as usize, has_hidden)
    };
    assert_eq!(counted(), (all.len() - hidden.len(), false));
    hidden.iter().for_each(|row| columns.release(*row));
    assert_eq!(counted(), (all.len(), true));
}

#[test]
fn a_file_names_only_places_that_its_rows_have() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let request = request(r#"{"k": 5, "l": 1, "columns": ["region", "state", "district"]}"#);
    run(&columns, &tables, &request, &[], 1).written();
    let file = table(&tables);
    for (number, column) in file.schema.columns.iter().enumerate() {
        let ColumnType::Word(words) = &column.values else { continue };
        let used: HashSet<u16> = file.words(number).into_iter().collect();
        let unused = (0..words.len() as u16).filter(|word| !used.contains(word)).count();
        assert_eq!(unused, 0, "of {}", column.name);
    }
}

#[test]
fn a_job_for_nobody_ends_as_one_for_too_few_people_does() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let complete = count(taking_part(&columns).into_iter().map(|row| columns.row(row).completeness_pct));
    let (most, people) = complete.last_key_value().expect("people");
    let k = (people + 1).max(5);
    let few = request(&format!(r#"{{"k": {k}, "filter": {{"min_completeness": {most}}}}}"#));
    let few = run(&columns, &tables, &few, &[], 1);
    assert_eq!(few.end.err(), Some(NOT_PROTECTED), "{people} people");
    for nobody in [r#"{"scheme_id": "sch_nobody_has"}"#, r#"{"cohort_tag": "nobody_has", "min_completeness": 99}"#] {
        let nobody = request(&format!(r#"{{"k": {k}, "filter": {nobody}}}"#));
        let nobody = run(&columns, &tables, &nobody, &[], 1);
        assert_eq!(nobody.end.err(), Some(NOT_PROTECTED));
        assert_eq!(nobody.progress, few.progress);
    }
    assert!(tables.names().expect("lists").is_empty());
}

#[test]
fn a_job_that_is_cancelled_in_any_stage_leaves_no_file() {
    let columns = columns();
    let request = request(r#"{"k": 10, "columns": ["gender", "overall_risk"]}"#);
    let device = Device::new(Arc::new(Cpu::new()));
    let cancelled = AtomicBool::new(true);
    let tables = MemoryTables::default();
    let ran = run_on(&device, &cancelled, (&columns, &tables), &request, &[], 1);
    assert_eq!(ran.end.err(), Some(JobEnd::Cancelled));
    assert_eq!(ran.progress.iter().map(|step| step.stage).max(), Some(ExportStage::Scanning));
    // While the file is written: it was begun, and is not completed.
    let cancelled = Arc::new(AtomicBool::new(false));
    let when_begun: Hook = {
        let cancelled = cancelled.clone();
        Arc::new(move |_| cancelled.store(true, Ordering::Relaxed))
    };
    let tables = MemoryTables { when_begun: Some(when_begun), ..MemoryTables::default() };
    let ran = run_on(&device, &cancelled, (&columns, &tables), &request, &[], 1);
    assert_eq!(ran.end.err(), Some(JobEnd::Cancelled));
    assert_eq!(ran.progress.last().map(|step| step.stage), Some(ExportStage::Writing));
    assert!(tables.names().expect("lists").is_empty());
    assert_eq!(tables.written.load(Ordering::Relaxed), 0);
    // With the same device and tables, a job that nobody cancels is written.
    run_on(&device, &AtomicBool::new(false), (&columns, &tables), &request, &[], 1).written();
}
