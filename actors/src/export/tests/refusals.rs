//! What callers see of a job that is refused: the same, whatever the reason.

use domain::export::{ExportBackend, ExportJob};
use serde_json::Value;

use super::super::job_context::{JobEnd, NOT_PROTECTED};
use super::super::run::EarlierExport;
use super::fixture::{ID, NOW, Ran, columns, erase, request, run, taking_part};
use super::memory::MemoryTables;

const SECOND: i64 = 1_000_000;

/// Returns every status that callers see of a job that was refused, without what the request says.
#[track_caller]
fn statuses(ran: Ran) -> Vec<Value> {
    let mut job = ExportJob::new(ID, "adm:analyst".to_owned(), "{}".to_owned(), NOW);
    job.start(ExportBackend::Cpu, NOW).expect("it waits");
    let mut statuses = vec![job.to_json(NOW)];
    for progress in ran.progress {
        job.advance(progress, ran.backend);
        statuses.push(job.to_json(NOW + SECOND));
    }
    let end = ran.end.expect_err("refused");
    assert_eq!(end, NOT_PROTECTED);
    let JobEnd::Failed(reason) = end else { panic!("{end:?}") };
    job.fail(reason, NOW + SECOND).expect("it runs");
    statuses.push(job.to_json(NOW + SECOND));
    statuses.dedup();
    statuses
}

#[test]
fn every_refusal_looks_the_same_whatever_the_reason() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let completeness = |row| columns.row(row).completeness_pct;
    let mut all: Vec<u8> = taking_part(&columns).into_iter().map(completeness).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    // Ten people or more meet a condition, and exactly one more the next lower one.
    let most = all[9];
    let people = all.iter().filter(|pct| **pct >= most).count();
    let next = all[people];
    let others = taking_part(&columns).into_iter().filter(|row| completeness(*row) == next);
    others.skip(1).for_each(|row| erase(&columns, row));
    let text = |least: u8, k: usize, more: &str| {
        format!(r#"{{"k": {k}, "l": 1, "columns": ["total_active"], "filter": {{"min_completeness": {least}{more}}}}}"#)
    };
    let first = request(&text(next, 5, ""));
    let made = run(&columns, &tables, &first, &[], 1).written();
    assert_eq!(made.rows_written, people as u64 + 1);
    let earlier = [EarlierExport { request: first, levels: made.levels, left_out: Vec::new() }];
    run(&columns, &tables, &request(&text(most, people, "")), &[], 2).written();

    let status_of = |text: &str| statuses(run(&columns, &MemoryTables::default(), &request(text), &earlier, 3));
    let too_few = status_of(&text(most, people + 1, ""));
    let no_difference = status_of(&text(most, people, ""));
    let nobody = status_of(&text(most, people, r#", "scheme_id": "sch_nobody_has""#));
    let too_alike = status_of(r#"{"k": 5, "l": 60, "columns": ["overall_risk"]}"#);
    for other in [no_difference, nobody, too_alike] {
        assert_eq!(other, too_few);
    }
    let last = too_few.last().expect("a status");
    assert_eq!((&last["state"], &last["percent"]), (&Value::from("failed"), &Value::from(0)));
}
