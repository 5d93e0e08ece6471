//! Columns: what a commit costs them, once it is durable.

use std::collections::HashMap;

use actors::columns::ColumnStore;
use domain::columns::{Codes, DictionaryKind, Row};
use domain::id::UserId;
use domain::port::journal::RowId;
use domain::port::projection::Projection;
use domain::rules::Rules;

use super::chain::{Step, context, steps};
use super::meter::{Meter, measure};
use super::people::Person;

/// A dictionary that knows every word.
struct OneCode;

impl Codes for OneCode {
    fn code(&self, _: DictionaryKind, _: &str) -> u16 {
        1
    }
}

/// Counts commits that change a column, those that change none, and rows that are made of a whole state.
pub(crate) fn count(meter: &mut dyn Meter, people: &[Person], rules: &Rules) {
    let (updates, leaf_updates) = steps(people, &context(rules));
    let columns = ColumnStore::default();
    let mut rows: HashMap<UserId, RowId> = HashMap::new();
    let mut commits = [Vec::new(), Vec::new()];
    for step in updates.iter().chain(&leaf_updates) {
        let next = RowId(rows.len() as u32);
        let row = *rows.entry(step.event.user).or_insert(next);
        if row == next {
            columns.loaded(row, &step.before);
        }
        let changed = step.finished.delta.as_ref().map(|delta| delta.changed().and(columns.interest()));
        let touches = changed.is_some_and(|changed| !changed.is_empty());
        commits[usize::from(touches)].push((row, step));
    }
    let [mut without, mut with] = commits;
    measure(meter, "commit that changes no column", &mut without, |(row, step)| commit(&columns, *row, step));
    measure(meter, "commit that changes a column", &mut with, |(row, step)| commit(&columns, *row, step));
    measure(meter, "row of a state", &mut with, |(_, step)| Row::from_state(&step.finished.state, &OneCode));
}

/// Does what an actor does when its commit is durable.
fn commit(columns: &dyn Projection, row: RowId, step: &Step) {
    let Some(delta) = &step.finished.delta else { return };
    let changed = delta.changed().and(columns.interest());
    if !changed.is_empty() {
        columns.committed(row, &step.finished.state, changed);
    }
}
