//! Measures the search of an export over synthetic rows: `cargo run --release -p config --example export_search -- ROWS`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::time::Instant;

use config::load_export;
use domain::export::{
    ClassSource, ClassTable, EquivalenceClass, ExportColumn, Lattice, Node, PrivacyRequirement, QuasiIdentifier,
    RolledUpClasses, SensitiveLayout, column_losses, search,
};
use domain::splitmix64;

/// Districts of each state: about as many as there are.
const DISTRICTS: usize = 22;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let rules = load_export(std::path::Path::new(""))?;
    let values = |quasi_identifier: QuasiIdentifier| match quasi_identifier {
        QuasiIdentifier::Place => places(),
        other => other.values(),
    };
    let dictionary = |quasi_identifier| -> Vec<_> {
        std::iter::once(None).chain(values(quasi_identifier).into_iter().map(|value| Some(value.into()))).collect()
    };
    let dictionaries = QuasiIdentifier::ALL.map(dictionary);
    let columns = ExportColumn::ALL.into_iter().collect();
    let lattice = rules.lattice(columns, |quasi_identifier| dictionaries[quasi_identifier as usize].as_slice())?;
    let (finest, layout) = (lattice.finest(), SensitiveLayout::new(&[8, 4])?);
    let mut state = 1;
    let keys: Vec<(u64, u64)> = (0..rows).map(|_| row(&lattice, &finest, &layout, &mut state)).collect();

    let start = Instant::now();
    let table = ClassTable::from_rows(keys.iter().copied());
    println!("{rows} rows, {} classes at the finest node, {:?}", table.len(), start.elapsed());
    let start = Instant::now();
    let losses = column_losses(&lattice, &table);
    let mut source = Counting { source: RolledUpClasses::new(&lattice, &layout, table), classes: 0 };
    let requirement = PrivacyRequirement { k: 10, l: 2, max_suppression_pct: 5 };
    let outcome = search(&lattice, &losses, &requirement, &mut source).map_err(|error| error.to_string())?;
    println!(
        "searched in {:?}: {} of {} nodes counted, {} classes visited",
        start.elapsed(),
        outcome.evaluated_nodes,
        lattice.nodes().len(),
        source.classes
    );
    let names = (0..lattice.columns().len()).map(|column| lattice.level(&outcome.node, column).name.as_str());
    println!(
        "{} of {} rows suppressed, loss {} ppm, {:?}",
        outcome.suppressed_rows,
        outcome.rows,
        outcome.loss.parts_per_million(),
        names.collect::<Vec<_>>()
    );
    Ok(())
}

fn places() -> Vec<String> {
    let rules = include_str!("../export.toml");
    let regions = rules.split("[regions]").nth(1).and_then(|rest| rest.split("[[").next()).unwrap_or_default();
    let states =
        regions.lines().filter(|line| line.starts_with("    ")).flat_map(|line| line.split('"').skip(1).step_by(2));
    states.flat_map(|state| (0..DISTRICTS).map(move |number| format!("{state}/d{number}"))).collect()
}

/// Returns a row whose low codes are more frequent.
fn row(lattice: &Lattice, finest: &Node, layout: &SensitiveLayout, state: &mut u64) -> (u64, u64) {
    let mut below = |bound: usize| (splitmix64::next(state) % bound as u64) as usize;
    let codes = (0..lattice.columns().len()).map(|column| {
        let values = lattice.columns()[column].levels.levels()[0].groups.len();
        let bound = match lattice.columns()[column].quasi_identifier {
            QuasiIdentifier::FamilySize => 9,
            _ => values,
        };
        let first = 1 + below(bound - 1);
        // Missing now and then.
        if below(50) == 0 { 0 } else { (1 + below(first)) as u16 }
    });
    let codes: Vec<u16> = codes.collect();
    (lattice.key_of_codes(finest, &codes), layout.row(&[below(8) as u32, below(4) as u32]))
}

struct Counting<'l> {
    source: RolledUpClasses<'l>,
    classes: u64,
}

impl ClassSource for Counting<'_> {
    type Error = std::convert::Infallible;

    fn visit_classes(&mut self, node: &Node, visit: &mut dyn FnMut(&EquivalenceClass)) -> Result<(), Self::Error> {
        let classes = &mut self.classes;
        self.source.visit_classes(node, &mut |class| {
            *classes += 1;
            visit(class);
        })
    }
}
