//! The tables of `--stats`: the population next to published figures, the model by itself, and its traffic.

mod traffic;

use data::figures::{Measured, measure};
use data::{Population, Table};
use jiff::Timestamp;

use super::super::output::{StdoutError, print_line};

pub(super) fn print(population: &Population, until: Timestamp) -> anyhow::Result<()> {
    let people = || (0..population.users()).map(|index| population.person(index));
    let (users, seed) = (population.users(), population.options().seed);
    print_line(&format!("{users} people, seed {seed}, next to published figures; shares in percent"))?;
    print_line("(at least 200000 people, so that random variation is small)\n")?;
    print_line(&format!("  {:<34} {:>9} {:>7} {:>7} {:>8}  source", "", "published", "model", "differs", "allowed"))?;
    let measured = measure(people());
    let mut group = "";
    for line in &measured {
        if line.figure.group != group {
            group = line.figure.group;
            print_line(group)?;
        }
        print_line(&row(line))?;
    }
    let apart = measured.iter().filter(|line| !line.holds()).count();
    print_line(&format!("\n{apart} of {} figures differ by more than is allowed\n", measured.len()))?;
    print_line("Figures of the model without a published counterpart")?;
    data::tables(people(), until.as_microsecond()).iter().try_for_each(print_table)?;
    print_line("")?;
    traffic::print(population.options(), until)
}

fn row(line: &Measured) -> String {
    let figure = &line.figure;
    let mark = if line.holds() { ' ' } else { '!' };
    let name: String = figure.name.chars().take(34).collect();
    format!(
        "{mark} {name:<34} {:>9.2} {:>7.2} {:>+7.2} {:>8.2}  {}",
        figure.published,
        line.model,
        line.difference(),
        figure.tolerance,
        figure.source
    )
}

/// Prints a table without published figures.
fn print_table(table: &Table) -> Result<(), StdoutError> {
    print_line(&format!("\n  {}", table.title))?;
    // With few columns there is room for long names.
    let name_width = if table.columns.len() > 3 { 12 } else { 34 };
    let name_width = table.rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default().max(name_width);
    let width = if table.columns.len() > 5 { 8 } else { 10 };
    let heads = table.columns.iter().map(|head| format!(" {:>width$}", head.chars().take(width).collect::<String>()));
    print_line(&format!("  {:<name_width$}{}", "", heads.collect::<String>()))?;
    for (name, cells) in &table.rows {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>width$.1}")).collect();
        print_line(&format!("  {name:<name_width$}{cells}"))?;
    }
    Ok(())
}
