//! Exports after earlier ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::columns::{Quasi, Row};
use domain::export::ExportRequest;
use domain::port::journal::RowId;

use super::super::job_context::NOT_PROTECTED;
use super::super::run::{EarlierExport, Written};
use super::fixture::{columns, count, erase, request, run, table, taking_part};
use super::memory::{Hook, MemoryTables};
use crate::columns::ColumnStore;

/// Makes an export that later ones are compared with.
fn made(columns: &ColumnStore, request: &ExportRequest) -> [EarlierExport; 1] {
    [earlier_of(request, run(columns, &MemoryTables::default(), request, &[], 1).written())]
}

fn earlier_of(request: &ExportRequest, written: Written) -> EarlierExport {
    EarlierExport { request: request.clone(), levels: written.levels, left_out: written.left_out }
}

#[test]
fn an_export_that_differs_from_an_earlier_one_in_few_people_or_in_nobody_is_refused() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let first = request(r#"{"k": 10, "l": 1, "columns": ["gender", "age_bracket"]}"#);
    let earlier = made(&columns, &first);
    // The same people again show nothing new.
    run(&columns, &tables, &first, &earlier, 2).written();
    // A filter that leaves few people out would single them out.
    let completeness = |row: &RowId| columns.row(*row).completeness_pct;
    let mut all: Vec<u8> = taking_part(&columns).iter().map(completeness).collect();
    all.sort_unstable();
    let least = all.iter().copied().find(|pct| *pct > all[0]).expect("profiles differ");
    let few = all.iter().filter(|pct| **pct < least).count();
    assert!((1..10).contains(&few), "{few} people have the lowest completeness: the population has changed");
    for (least, few) in [(least, few), (all[0], 0)] {
        let narrower = request(&format!(
            r#"{{"k": 10, "l": 1, "columns": ["gender", "age_bracket"], "filter": {{"min_completeness": {least}}}}}"#
        ));
        assert_eq!(run(&columns, &tables, &narrower, &earlier, 3).end.err(), Some(NOT_PROTECTED), "{few} people");
        // Without the earlier one it is an export like any other.
        run(&columns, &tables, &narrower, &[], 4).written();
    }
}

#[test]
fn somebody_who_leaves_while_the_same_export_is_made_again_does_not_end_it() {
    let columns = Arc::new(columns());
    let request = request(r#"{"k": 10, "l": 1, "columns": ["gender", "age_bracket"]}"#);
    let earlier = made(&columns, &request);
    let leaving = taking_part(&columns)[7];
    let when_written: Hook = {
        let columns = columns.clone();
        Arc::new(move |_| erase(&columns, leaving))
    };
    let tables = MemoryTables { when_written: Some(when_written), ..MemoryTables::default() };
    let written = run(&columns, &tables, &request, &earlier, 2).written();
    assert!(!written.rows.has(leaving));
    assert_eq!(tables.written.load(Ordering::Relaxed), 2, "written anew");
}

#[test]
fn what_an_earlier_export_left_out_is_not_found_by_a_coarser_one() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let all = taking_part(&columns).len() as u64;
    let fine =
        request(r#"{"k": 10, "l": 2, "columns": ["age_bracket", "district", "employment_type", "overall_risk"]}"#);
    let first = run(&columns, &tables, &fine, &[], 1).written();
    assert!((1..60).contains(&first.rows_suppressed), "{} of {all} were left out", first.rows_suppressed);
    // Everybody is in it, so the difference of both files is those whom the first one left out.
    let coarse = request(r#"{"k": 60, "l": 1, "columns": ["gender"]}"#);
    run(&columns, &tables, &coarse, &[], 2).written();
    let earlier = [earlier_of(&fine, first)];
    assert_eq!(run(&columns, &tables, &coarse, &earlier, 3).end.err(), Some(NOT_PROTECTED));
}

#[test]
fn a_class_that_differs_from_an_earlier_export_in_few_people_is_left_out_whole() {
    let columns = columns();
    let age = |row: &RowId| columns.row(*row).quasi(Quasi::AgeBracket);
    let is_incomplete = |row: &RowId, least: u8| columns.row(*row).completeness_pct < least;
    let mut completeness: Vec<u8> =
        taking_part(&columns).iter().map(|row| columns.row(*row).completeness_pct).collect();
    completeness.sort_unstable();
    let least = completeness[completeness.len() / 2];
    // Of one age bracket two people are left below the bound and eight above.
    let ages = count(taking_part(&columns).iter().map(age));
    let (small, _) = ages.into_iter().filter(|(age, _)| *age != 0).min_by_key(|(_, people)| *people).expect("ages");
    for (below, kept) in [(true, 2), (false, 8)] {
        let rows = taking_part(&columns).into_iter().filter(|row| age(row) == small);
        let rows: Vec<RowId> = rows.filter(|row| is_incomplete(row, least) == below).collect();
        assert!(rows.len() >= kept, "{} people: the population has changed", rows.len());
        rows[kept..].iter().for_each(|row| erase(&columns, *row));
    }
    let below = taking_part(&columns).into_iter().filter(|row| is_incomplete(row, least));
    let below = count(below.map(|row| age(&row)));
    assert!(below.iter().all(|(age, people)| *people >= 5 || *age == small), "{below:?}");

    let everyone = request(r#"{"k": 5, "l": 1, "columns": ["age_bracket"]}"#);
    let earlier = made(&columns, &everyone);
    let narrower =
        format!(r#"{{"k": 5, "l": 1, "columns": ["age_bracket"], "filter": {{"min_completeness": {least}}}}}"#);
    let (narrower, tables) = (request(&narrower), MemoryTables::default());
    let alone = run(&columns, &tables, &narrower, &[], 2).written();
    let compared = run(&columns, &tables, &narrower, &earlier, 3).written();
    assert_eq!((alone.rows_suppressed, compared.rows_suppressed), (0, 8));
    assert_eq!((compared.rows_written + 8, compared.levels), (alone.rows_written, alone.levels));
    let lost = |loss: Option<u64>| loss.expect("of records");
    let (alone, compared_loss) = (lost(alone.information_loss_ppm), lost(compared.information_loss_ppm));
    assert!(compared_loss > alone, "{compared_loss} {alone}: what is left out is lost, too");
    let file = table(&tables);
    assert_eq!(file.check().rows, compared.rows_written);
    let word = Quasi::AgeBracket.words()[usize::from(small) - 1];
    let domain::port::table::ColumnType::Word(words) = &file.schema.columns[1].values else { panic!("words") };
    assert!(!words.iter().any(|own| own == word), "{words:?} without {word}");
}

#[test]
fn what_was_left_out_of_an_earlier_export_hides_no_small_difference_from_it() {
    let columns = columns();
    let completeness = |row: RowId| columns.row(row).completeness_pct;
    let age = |row: RowId| columns.row(row).quasi(Quasi::AgeBracket);
    let mut all: Vec<u8> = taking_part(&columns).into_iter().map(completeness).collect();
    all.sort_unstable();
    let [least, more] = [all[all.len() / 3], all[all.len() * 2 / 3]];
    let ages = count(taking_part(&columns).into_iter().map(age));
    let (one, _) = ages.iter().filter(|(age, _)| **age != 0).max_by_key(|(_, people)| **people).expect("ages");
    // Every other age bracket has enough people below the first bound and above the second, or none.
    for other in ages.keys().filter(|other| *other != one) {
        let rows: Vec<RowId> = taking_part(&columns).into_iter().filter(|row| age(*row) == *other).collect();
        let below = rows.iter().filter(|row| completeness(**row) < least).count();
        let above = rows.iter().filter(|row| completeness(**row) >= more).count();
        if below.min(above) < 5 {
            rows.iter().for_each(|row| erase(&columns, *row));
        }
    }
    // Of the one, two people are below the first bound, and eight between both. Of the others, two are between both.
    let band = |row: RowId| (age(row) == *one, completeness(row) >= least, completeness(row) >= more);
    for (own, kept) in
        [((true, false, false), 2), ((true, true, false), 8), ((true, true, true), 0), ((false, true, false), 2)]
    {
        let rows: Vec<RowId> = taking_part(&columns).into_iter().filter(|row| band(*row) == own).collect();
        assert!(rows.len() >= kept, "{} people: the population has changed", rows.len());
        rows[kept..].iter().for_each(|row| erase(&columns, *row));
    }
    let text = |columns: &str, least: u8| {
        let filter = format!(r#""filter": {{"min_completeness": {least}}}"#);
        request(&format!(r#"{{"k": 5, "l": 1, "columns": ["{columns}"], {filter}}}"#))
    };
    let tables = MemoryTables::default();
    let [everyone] = made(&columns, &text("age_bracket", 0));
    let narrower = text("age_bracket", least);
    let written = run(&columns, &tables, &narrower, std::slice::from_ref(&everyone), 2).written();
    assert_eq!(written.rows_suppressed, 8, "the difference from the first one");
    let narrower = earlier_of(&narrower, written);
    // It lacks ten of those whom the second filter accepts, and two of those who are in its file.
    let narrowest = text("total_active", more);
    assert_eq!(run(&columns, &tables, &narrowest, &[everyone, narrower.clone()], 3).end.err(), Some(NOT_PROTECTED));
    let all_ten = EarlierExport { left_out: Vec::new(), ..narrower };
    run(&columns, &tables, &narrowest, &[all_ten], 3).written();
}

#[test]
fn the_levels_of_an_export_do_not_depend_on_people_of_earlier_ones() {
    let (columns, tables) = (columns(), MemoryTables::default());
    let dictionaries = columns.dictionaries();
    let state_of = |row: Row| row.quasi(Quasi::State);
    let states = count(taking_part(&columns).into_iter().map(|row| state_of(columns.row(row))));
    let (state, people) = states.into_iter().max_by_key(|(_, people)| *people).expect("states");
    let state = dictionaries.get(domain::columns::DictionaryKind::State).word(state.into()).expect("a state");
    assert!(people > 40, "{people} people in {state}");
    let of_state =
        request(&format!(r#"{{"k": 5, "l": 1, "columns": ["gender", "district"], "filter": {{"state": "{state}"}}}}"#));
    let alone = run(&columns, &tables, &of_state, &[], 1).written();
    let file = table(&tables);
    // The earlier export has people of all places and no quasi-identifier, so nobody has to be left out.
    let earlier = made(&columns, &request(r#"{"k": 5, "l": 1, "columns": ["total_active"]}"#));
    let compared = run(&columns, &tables, &of_state, &earlier, 1).written();
    assert_eq!((compared.levels, compared.information_loss_ppm), (alone.levels, alone.information_loss_ppm));
    assert!(table(&tables).batches == file.batches);
}
