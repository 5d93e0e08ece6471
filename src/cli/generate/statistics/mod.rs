//! The tables of `--stats`: the population beside published figures, the model alone, and what its traffic is like.

mod traffic;

use data::figures::{Measured, measure};
use data::{Population, Table};
use jiff::Timestamp;

use super::super::{Unsaid, print_line};

pub(super) fn print(population: &Population, until: Timestamp) -> anyhow::Result<()> {
    let people = || (0..population.users()).map(|index| population.person(index));
    let (users, seed) = (population.users(), population.options().seed);
    print_line(&format!("{users} people of seed {seed} beside published figures; shares in percent"))?;
    print_line("(at least 200000 whatever --users is, so that chance hardly shows)\n")?;
    print_line(&format!("  {:<34} {:>9} {:>7} {:>7} {:>8}  source", "", "published", "model", "differs", "may by"))?;
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
    print_line(&format!("\n{apart} of {} figures are farther apart than they may be\n", measured.len()))?;
    print_line("The model alone: what it draws and computes, with nothing published beside it")?;
    data::tables(people(), until.as_microsecond()).iter().try_for_each(show)?;
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

/// A table of the model alone.
fn show(table: &Table) -> Result<(), Unsaid> {
    print_line(&format!("\n  {}", table.title))?;
    // One column may have a long name's room; many share the line.
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
