//! Tables of the model for which no published figures exist: traits by other traits, and what is computed from them.
//! `profile-server generate --stats` prints it.

use crate::day::Day;
use crate::obligation::{duties, obligations};
use crate::outlook::ahead;
use crate::person::Person;
use crate::scheme::schemes;
use crate::verdict::verdicts;
use crate::words::{AgeBracket, Employment, Income, RationCard, Status, TaxRegime};

/// A table of shares of the model.
#[derive(Debug, Clone)]
pub struct Table {
    /// The content of the table.
    pub title: &'static str,
    /// The headings of the columns.
    pub columns: Vec<&'static str>,
    /// A name and a number for each column.
    pub rows: Vec<(String, Vec<f64>)>,
}

/// Number of schemes that have a row of their own.
const LARGEST: usize = 12;

/// Returns the tables of some people at a time, in microseconds since the Unix epoch.
#[must_use]
pub fn tables(people: impl Iterator<Item = Person>, time: i64) -> Vec<Table> {
    let today = Day::from_micros(time);
    let incomes = || Income::ALL.iter().map(|income| income.name());
    let ages = || AgeBracket::ALL.iter().map(|bracket| bracket.name());
    let mut shares = CrossTable::new(
        "income, percent of people; only up to 5 lakh and over 20 lakh are published",
        ["all"],
        incomes(),
    );
    let work = Employment::ALL.iter().map(|word| word.name());
    let mut working = CrossTable::new("income by work, percent of each bracket from 15 on", incomes(), work);
    let regimes = TaxRegime::ALL.iter().map(|word| word.name()).chain(["not asked"]);
    let mut taxed = CrossTable::new("income by tax regime, percent of adults of each bracket", incomes(), regimes);
    let cards = RationCard::ALL.iter().map(|word| word.name());
    let mut fed = CrossTable::new("poverty by ration card, percent", ["poor", "not poor"], cards);
    let family = ["married %", "parents %", "dependents"];
    let mut families = CrossTable::new("family by age; dependents: mean number", ages(), family);
    let mut eligible = CrossTable::new("schemes, percent of people", ["eligible", "have it"], ids_of_schemes());
    let calendar = obligations().iter().map(|obligation| obligation.id.as_str());
    let mut due = CrossTable::new("deadlines, percent of people who have them", ["people"], calendar);
    let mut events = CrossTable::new("predicted life events, percent of each age group", ages(), []);
    for person in people {
        let (income, age) = (person.means.income as usize, person.age_bracket() as usize);
        shares.count(0, [(income, 100.0)]);
        if person.age >= 15 {
            working.count(income, person.work.employment.map(|word| (word as usize, 100.0)));
        }
        if person.age >= 18 {
            taxed.count(income, [(person.work.tax_regime.map_or(TaxRegime::ALL.len(), |word| word as usize), 100.0)]);
        }
        fed.count(usize::from(!person.means.poor), [(person.means.ration_card as usize, 100.0)]);
        let percent = |holds: bool| f64::from(u8::from(holds)) * 100.0;
        let (is_married, is_parent) = (person.family.is_married(), person.family.children().next().is_some());
        let dependents = f64::from(person.family.dependents);
        families.count(age, [(0, percent(is_married)), (1, percent(is_parent)), (2, dependents)]);
        let verdicts = verdicts(&person);
        let of = |id: &str| schemes().iter().position(|scheme| scheme.id == id).unwrap_or_default();
        let accepted: Vec<(usize, bool)> =
            verdicts.iter().map(|verdict| (of(&verdict.scheme.id), verdict.status == Status::Active)).collect();
        eligible.count(0, accepted.iter().map(|(scheme, _)| (*scheme, 100.0)));
        eligible.count(1, accepted.iter().filter(|(_, has)| *has).map(|(scheme, _)| (*scheme, 100.0)));
        let position = |id: &str| obligations().iter().position(|known| known.id == id).unwrap_or_default();
        due.count(0, duties(&person, today, None).iter().map(|duty| (position(&duty.obligation.id), 100.0)));
        let ahead: Vec<usize> = ahead(&person, today).iter().map(|event| events.column(event.event)).collect();
        events.count(age, ahead.into_iter().map(|column| (column, 100.0)));
    }
    let crossed = [working, taxed, fed, families].map(CrossTable::table);
    let mut shares = shares.transposed().table();
    let assumed = shares.rows.iter_mut().filter(|(name, _)| name != Income::Over20.name());
    assumed.for_each(|(name, _)| name.push_str(" (assumed)"));
    let mut tables = vec![shares];
    tables.extend(crossed);
    tables.extend([largest(eligible.transposed().table()), due.transposed().table(), events.transposed().table()]);
    tables
}

fn ids_of_schemes() -> impl Iterator<Item = &'static str> {
    schemes().iter().map(|scheme| scheme.id.as_str())
}

/// Keeps the largest rows, and counts the others.
fn largest(mut table: Table) -> Table {
    table.rows.sort_by(|(_, a), (_, b)| b[0].total_cmp(&a[0]));
    let rest = table.rows.len().saturating_sub(LARGEST);
    table.rows.truncate(LARGEST + 1);
    if let Some((name, _)) = table.rows.get_mut(LARGEST) {
        *name = format!("the largest of {rest} others");
    }
    table
}

/// A table while people are counted: each cell is a mean over the people of its row.
struct CrossTable {
    title: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<&'static str>,
    people: Vec<f64>,
    sums: Vec<Vec<f64>>,
}

impl CrossTable {
    fn new(
        title: &'static str,
        rows: impl IntoIterator<Item = &'static str>,
        columns: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let (rows, columns) = (Vec::from_iter(rows), Vec::from_iter(columns));
        Self { title, people: vec![0.0; rows.len()], sums: vec![vec![0.0; columns.len()]; rows.len()], columns, rows }
    }

    /// Counts a person in a row.
    fn count(&mut self, row: usize, cells: impl IntoIterator<Item = (usize, f64)>) {
        self.people[row] += 1.0;
        cells.into_iter().for_each(|(column, by)| self.sums[row][column] += by);
    }

    /// Returns the position of a column, which is added if it is new.
    fn column(&mut self, name: &'static str) -> usize {
        self.columns.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.columns.push(name);
            self.sums.iter_mut().for_each(|row| row.push(0.0));
            self.columns.len() - 1
        })
    }

    /// Returns the table with means in place of sums, and rows and columns exchanged.
    fn transposed(self) -> Self {
        let mean = |row: usize, column: usize| self.sums[row][column] / self.people[row].max(1.0);
        let sums = |column| (0..self.rows.len()).map(|row| mean(row, column)).collect();
        let sums: Vec<Vec<f64>> = (0..self.columns.len()).map(sums).collect();
        let people = vec![1.0; self.columns.len()];
        Self { title: self.title, columns: self.rows, rows: self.columns, people, sums }
    }

    fn table(self) -> Table {
        let means = |(sums, people): (Vec<f64>, f64)| sums.into_iter().map(|sum| sum / people.max(1.0)).collect();
        let names = self.rows.into_iter().map(str::to_owned);
        let rows = names.zip(self.sums.into_iter().zip(self.people).map(means)).collect();
        Table { title: self.title, columns: self.columns, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_words_add_up_and_everything_computed_is_there() {
        let tables = tables((0..3_000).map(|index| Person::new(1, index)), 1_768_996_800_000_000);
        for table in &tables {
            assert!(table.rows.iter().all(|(_, cells)| cells.len() == table.columns.len()), "{table:?}");
        }
        for (_, cells) in tables[1..4].iter().flat_map(|table| &table.rows) {
            assert!((cells.iter().sum::<f64>() - 100.0).abs() < 1e-6, "{cells:?}");
        }
        assert_eq!((tables[0].rows.len(), tables[5].rows.len()), (5, LARGEST + 1));
        assert_eq!((tables[6].rows.len(), tables[7].columns.len()), (obligations().len(), 5));
    }
}
