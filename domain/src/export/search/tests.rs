use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::export::testing::{Random, lattice, random_rows};
use crate::export::{ClassTable, PENALTY_UNIT, RolledUpClasses, SensitiveLayout};

type Rows = Vec<(Vec<u16>, u32)>;

/// What a node gives, counted row by row.
struct Naive {
    suppressed: u64,
    loss: u64,
}

fn naive(lattice: &Lattice, node: &Node, rows: &Rows, requirement: &PrivacyRequirement) -> Naive {
    let mut classes: BTreeMap<Vec<u16>, (u32, BTreeSet<u32>)> = BTreeMap::new();
    let groups = |codes: &[u16]| -> Vec<u16> {
        (0..codes.len()).map(|column| lattice.level(node, column).groups[usize::from(codes[column])]).collect()
    };
    for (codes, value) in rows {
        let class = classes.entry(groups(codes)).or_default();
        class.0 += 1;
        class.1.insert(*value);
    }
    let mut found = Naive { suppressed: 0, loss: 0 };
    for (groups, (size, values)) in classes {
        let penalties = groups.iter().enumerate();
        let penalty: u64 = penalties
            .map(|(column, group)| u64::from(lattice.level(node, column).penalties[usize::from(*group)]))
            .sum();
        if size < requirement.k || (values.len() as u32) < requirement.l {
            found.suppressed += u64::from(size);
            found.loss += u64::from(size) * lattice.columns().len() as u64 * u64::from(PENALTY_UNIT);
        } else {
            found.loss += u64::from(size) * penalty;
        }
    }
    found
}

fn table(lattice: &Lattice, rows: &Rows) -> ClassTable {
    ClassTable::from_rows(
        rows.iter().map(|(codes, value)| (lattice.key_of_codes(&lattice.finest(), codes), 1 << value)),
    )
}

#[test]
fn the_result_reaches_k_and_l_and_no_node_loses_less() {
    let (mut found, mut unreachable, mut with_suppression) = (0, 0, 0);
    for seed in 0..600 {
        let mut random = Random(seed);
        let columns: Vec<(u16, usize)> =
            (0..1 + random.below(4)).map(|_| (1 + random.below(14) as u16, random.below(3))).collect();
        let counts: Vec<u16> = columns.iter().map(|(count, _)| *count).collect();
        let lattice = lattice(&columns);
        let rows = random_rows(&mut random, &counts, 300, 4);
        let requirement = PrivacyRequirement {
            k: 1 + random.below(12) as u32,
            l: 1 + random.below(3) as u32,
            max_suppression_pct: [0, 5, 20][random.below(3)],
        };
        let table = table(&lattice, &rows);
        let losses = column_losses(&lattice, &table);
        let layout = SensitiveLayout::new(&[4]).expect("few");
        let mut source = RolledUpClasses::new(&lattice, &layout, table);
        let result = search(&lattice, &losses, &requirement, &mut source);
        let best = lattice.nodes().into_iter().filter_map(|node| {
            let Naive { suppressed, loss } = naive(&lattice, &node, &rows, &requirement);
            let allowed = suppressed * 100 <= rows.len() as u64 * u64::from(requirement.max_suppression_pct);
            allowed.then_some((loss, node.height(), node))
        });
        match (result, best.min()) {
            (Ok(outcome), Some((loss, _, node))) => {
                assert_eq!((outcome.node, outcome.loss.units()), (node, loss), "seed {seed}");
                let naive = naive(&lattice, &node, &rows, &requirement);
                assert_eq!(
                    (outcome.suppressed_rows, outcome.rows),
                    (naive.suppressed, rows.len() as u64),
                    "seed {seed}"
                );
                let classes = source.table(&outcome.node).classes(&layout);
                let written = classes.filter(|class| requirement.is_met_by(class));
                let written: Vec<u64> =
                    written.flat_map(|class| std::iter::repeat_n(class.key, class.size as usize)).collect();
                let loss = InformationLoss::from_rows(&lattice, &node, written.into_iter(), outcome.suppressed_rows);
                assert_eq!(loss, outcome.loss, "seed {seed}");
                assert!(outcome.loss.parts_per_million() <= u64::from(PENALTY_UNIT), "seed {seed}");
                found += 1;
                with_suppression += u32::from(outcome.suppressed_rows > 0);
            }
            (Err(SearchError::Unreachable), None) => unreachable += 1,
            (result, best) => panic!("seed {seed}: {result:?}, and by brute force {best:?}"),
        }
    }
    assert!(found > 300 && unreachable > 10 && with_suppression > 50, "{found} {unreachable} {with_suppression}");
}

#[test]
fn a_coarser_node_never_suppresses_more() {
    let requirement = PrivacyRequirement { k: 4, l: 2, max_suppression_pct: 5 };
    for seed in 0..60 {
        let mut random = Random(seed);
        let lattice = lattice(&[(9, 0), (4, 0), (7, 0)]);
        let rows = random_rows(&mut random, &[9, 4, 7], 200, 3);
        for node in lattice.nodes() {
            let own = naive(&lattice, &node, &rows, &requirement).suppressed;
            for parent in lattice.parents(&node) {
                assert!(naive(&lattice, &parent, &rows, &requirement).suppressed <= own, "seed {seed}");
            }
        }
    }
}

#[test]
fn far_fewer_nodes_are_counted_than_there_are() {
    let columns = [(20, 0), (5, 0), (9, 0), (4, 0), (6, 0), (8, 0)];
    let lattice = lattice(&columns);
    let counts: Vec<u16> = columns.iter().map(|(count, _)| *count).collect();
    let rows = random_rows(&mut Random(7), &counts, 1, 3);
    let mut random = Random(11);
    let rows: Rows = (0..5_000).flat_map(|_| random_rows(&mut random, &counts, 1, 3)).chain(rows).collect();
    let table = table(&lattice, &rows);
    let losses = column_losses(&lattice, &table);
    let layout = SensitiveLayout::new(&[3]).expect("few");
    let mut source = RolledUpClasses::new(&lattice, &layout, table);
    let requirement = PrivacyRequirement { k: 10, l: 2, max_suppression_pct: 5 };
    let outcome = search(&lattice, &losses, &requirement, &mut source).expect("reachable");
    let nodes = lattice.nodes().len();
    assert!(outcome.evaluated_nodes as usize * 4 < nodes, "{} of {nodes}", outcome.evaluated_nodes);
}

#[test]
fn no_rows_and_failures_of_the_source_are_errors() {
    struct Cancelled;
    impl ClassSource for Cancelled {
        type Error = &'static str;
        fn visit_classes(
            &mut self,
            _: &Node,
            _: &mut dyn FnMut(&crate::export::EquivalenceClass<'_>),
        ) -> Result<(), Self::Error> {
            Err("cancelled")
        }
    }
    let lattice = lattice(&[(3, 0)]);
    let requirement = PrivacyRequirement { k: 5, l: 1, max_suppression_pct: 5 };
    let losses = column_losses(&lattice, &ClassTable::default());
    let layout = SensitiveLayout::default();
    let mut empty = RolledUpClasses::new(&lattice, &layout, ClassTable::default());
    assert_eq!(search(&lattice, &losses, &requirement, &mut empty), Err(SearchError::NoRows));
    assert_eq!(search(&lattice, &losses, &requirement, &mut Cancelled), Err(SearchError::Source("cancelled")));
}
