//! A guard against two exports whose difference isolates few persons.
//!
//! Each export by itself has at least k rows in each class. Who has two of them can subtract one from the other, and what is
//! left can be fewer rows than k, or one. This module compares a new export with an earlier one, both evaluated over the rows
//! of now:
//!
//! 1. If one has rows that the other lacks, but fewer than k of them, the new one is **refused**. So it is if there happen to be
//!    none and the filters do not say so: whether an export is refused must not tell nobody from somebody.
//! 2. Else rows are compared by class at the finest node that covers both exports' nodes, since an owner of both can
//!    generalise them that far and no less. Each class that differs in fewer than k rows, in either direction, is left out of the
//!    new export whole. If more rows are left out then than the requirement allows, the new one is refused.
//!
//! It does not protect against what changed between the two exports, against three and more exports combined (Denning, Denning
//! and Schwartz, "The tracker", 1979), or against knowledge from elsewhere (Ganta, Kasiviswanathan and Smith, "Composition
//! attacks and auxiliary information in data privacy", KDD 2008). k-anonymity has no bound there; aggregates with noise have.

use std::collections::BTreeMap;

use super::{ExportFilter, Lattice, Node};

/// A row that is in at least one of the two exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComparedRow {
    /// The key at the finest node of the new export's lattice.
    pub key: u64,
    /// Whether the earlier export would write the row: its filter accepts it, and its class is not left out.
    pub is_in_earlier: bool,
    /// Whether the new export would write the row.
    pub is_in_new: bool,
}

/// What the filters of two exports say about their rows, whatever rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterRelation {
    /// Each row that the earlier filter accepts is accepted by the new one.
    pub earlier_is_within_new: bool,
    /// Each row that the new filter accepts is accepted by the earlier one.
    pub new_is_within_earlier: bool,
}

impl FilterRelation {
    /// Returns the relation of two filters.
    #[must_use]
    pub fn between(earlier: &ExportFilter, new: &ExportFilter) -> Self {
        Self { earlier_is_within_new: earlier.is_within(new), new_is_within_earlier: new.is_within(earlier) }
    }
}

/// What the comparison of two exports gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Nothing has to be left out.
    Harmless,
    /// The rows of these classes must be left out of the new export.
    LeaveOut {
        /// The node of the classes.
        node: Node,
        /// The keys of the classes, ascending.
        keys: Vec<u64>,
        /// The number of rows of the new export in them.
        rows: u64,
    },
    /// The exports differ in so few rows that the new one must not be made.
    Isolates {
        /// The number of rows that one export has and the other lacks, or the other way round, whichever is below k.
        rows: u64,
    },
}

#[derive(Default)]
struct Counts {
    only_earlier: u64,
    only_new: u64,
    new: u64,
}

impl Counts {
    fn isolated(&self, k: u64) -> Option<u64> {
        [self.only_new, self.only_earlier].into_iter().find(|rows| (1..k).contains(rows))
    }

    /// The same for all rows, where no rows are as telling as few if the filters leave open whether there are any.
    fn isolated_in_all(&self, k: u64, filters: FilterRelation) -> Option<u64> {
        let sides =
            [(self.only_new, filters.new_is_within_earlier), (self.only_earlier, filters.earlier_is_within_new)];
        let is_few = |(rows, is_known): &(u64, bool)| *rows < k && !(*rows == 0 && *is_known);
        sides.into_iter().find(is_few).map(|(rows, _)| rows)
    }
}

/// Compares a new export with an earlier one. `earlier` is the node of the earlier export in the new one's lattice, with the
/// coarsest level for a quasi-identifier that it did not have; `new` is the node of the new export. Of the two k, `k` is the
/// greater one. `filters` is the relation of their filters.
pub fn compare(
    lattice: &Lattice,
    (earlier, new): (&Node, &Node),
    filters: FilterRelation,
    k: u32,
    rows: impl IntoIterator<Item = ComparedRow>,
) -> Difference {
    let node = earlier.join(new);
    let translation = lattice.translation(&lattice.finest(), &node);
    let mut classes: BTreeMap<u64, Counts> = BTreeMap::new();
    let mut total = Counts::default();
    for row in rows {
        for counts in [&mut total, classes.entry(translation.translate(row.key)).or_default()] {
            counts.only_earlier += u64::from(row.is_in_earlier && !row.is_in_new);
            counts.only_new += u64::from(row.is_in_new && !row.is_in_earlier);
            counts.new += u64::from(row.is_in_new);
        }
    }
    let k = u64::from(k);
    if let Some(rows) = total.isolated_in_all(k, filters) {
        return Difference::Isolates { rows };
    }
    // A class that the new export has no rows of shows nothing but the earlier export.
    let isolating = classes.into_iter().filter(|(_, counts)| counts.new > 0 && counts.isolated(k).is_some());
    let (keys, left_out): (Vec<_>, Vec<_>) = isolating.map(|(key, counts)| (key, counts.new)).unzip();
    match keys.is_empty() {
        true => Difference::Harmless,
        false => Difference::LeaveOut { node, keys, rows: left_out.iter().sum() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::{Random, lattice};

    /// The filters are the same.
    const SAME: FilterRelation = FilterRelation { earlier_is_within_new: true, new_is_within_earlier: true };

    fn row(key: u64, is_in_earlier: bool, is_in_new: bool) -> ComparedRow {
        ComparedRow { key, is_in_earlier, is_in_new }
    }

    #[test]
    fn two_exports_that_differ_in_fewer_than_k_rows_are_not_both_made() {
        let lattice = lattice(&[(6, 0)]);
        let nodes = (&lattice.finest(), &lattice.finest());
        let rows = |differing: usize, row_of: ComparedRow| {
            std::iter::repeat_n(row(0, true, true), 50).chain(std::iter::repeat_n(row_of, differing))
        };
        for (differing, lacking) in [(1, row(0, true, false)), (9, row(1, false, true))] {
            let rows_of = |count| compare(&lattice, nodes, SAME, 10, rows(count, lacking));
            assert_eq!(rows_of(differing), Difference::Isolates { rows: differing as u64 });
            assert_eq!(rows_of(0), Difference::Harmless);
            assert_eq!(rows_of(10), Difference::Harmless, "in one class");
        }
    }

    #[test]
    fn a_class_whose_difference_is_small_is_left_out_whole() {
        let lattice = lattice(&[(6, 0)]);
        let nodes = (&lattice.finest(), &lattice.finest());
        let rows = (0..6).flat_map(|key| {
            let common = std::iter::repeat_n(row(key, true, true), 20);
            common.chain(std::iter::repeat_n(row(key, false, true), if key == 2 { 3 } else { 12 }))
        });
        let left_out = Difference::LeaveOut { node: lattice.finest(), keys: vec![2], rows: 23 };
        assert_eq!(compare(&lattice, nodes, SAME, 10, rows.clone()), left_out);
        // Who has one of them at the coarsest node only can compare nothing finer.
        let nodes = (&lattice.coarsest(), &lattice.finest());
        assert_eq!(compare(&lattice, nodes, SAME, 10, rows), Difference::Harmless);
    }

    #[test]
    fn a_refusal_does_not_tell_nobody_from_somebody() {
        let lattice = lattice(&[(6, 0)]);
        let nodes = (&lattice.finest(), &lattice.finest());
        let narrower = ExportFilter { min_completeness: Some(50), ..ExportFilter::default() };
        let everyone = ExportFilter::default();
        for (earlier, new, lacking) in
            [(&everyone, &narrower, row(0, true, false)), (&narrower, &everyone, row(0, false, true))]
        {
            let filters = FilterRelation::between(earlier, new);
            for (differing, is_refused) in [(0, true), (1, true), (9, true), (10, false)] {
                let rows = std::iter::repeat_n(row(0, true, true), 50).chain(std::iter::repeat_n(lacking, differing));
                let is_isolating = matches!(compare(&lattice, nodes, filters, 10, rows), Difference::Isolates { .. });
                assert_eq!(is_isolating, is_refused, "{differing} rows, {filters:?}");
            }
        }
        // Two filters of which neither is within the other: each direction needs enough rows.
        let of_state = ExportFilter { state: Some("goa".into()), ..ExportFilter::default() };
        let filters = FilterRelation::between(&of_state, &narrower);
        let rows = [(row(0, true, true), 50), (row(0, false, true), 20)];
        let rows = rows.into_iter().flat_map(|(row, count)| std::iter::repeat_n(row, count));
        assert_eq!(compare(&lattice, nodes, filters, 10, rows), Difference::Isolates { rows: 0 });
    }

    /// What an owner of both exports can compute at the node that both can be generalised to.
    fn smallest_difference(lattice: &Lattice, node: &Node, rows: &[ComparedRow]) -> Option<u64> {
        let translation = lattice.translation(&lattice.finest(), node);
        let mut sides = BTreeMap::<(u64, bool), u64>::new();
        let mut shown = std::collections::BTreeSet::new();
        for row in rows {
            let key = translation.translate(row.key);
            if row.is_in_new {
                shown.insert(key);
            }
            if row.is_in_new != row.is_in_earlier {
                *sides.entry((key, row.is_in_new)).or_default() += 1;
            }
        }
        sides.into_iter().filter(|((key, _), _)| shown.contains(key)).map(|(_, count)| count).min()
    }

    #[test]
    fn after_it_no_class_that_both_exports_show_differs_in_few_rows() {
        let lattice = lattice(&[(8, 0), (5, 0)]);
        let nodes = lattice.nodes();
        let (mut left_out, mut isolating) = (0, 0);
        for seed in 0..400 {
            let mut random = Random(seed);
            let (earlier, new) = (nodes[random.below(nodes.len())], nodes[random.below(nodes.len())]);
            let odds = 1 + random.below(30);
            let mut rows: Vec<_> = (0..random.below(300))
                .map(|_| {
                    let codes = [8, 5].map(|count| random.below(count) as u16);
                    let key = lattice.key_of_codes(&lattice.finest(), &codes);
                    row(key, random.below(odds) > 0, random.below(odds) > 0)
                })
                .collect();
            let k = 2 + random.below(8) as u32;
            match compare(&lattice, (&earlier, &new), SAME, k, rows.iter().copied()) {
                Difference::Isolates { rows } => {
                    assert!(rows < u64::from(k));
                    isolating += 1;
                    continue;
                }
                Difference::Harmless => {}
                Difference::LeaveOut { node, keys, rows: count } => {
                    let translation = lattice.translation(&lattice.finest(), &node);
                    let mut removed = 0;
                    for row in &mut rows {
                        let leaves = row.is_in_new && keys.binary_search(&translation.translate(row.key)).is_ok();
                        removed += u64::from(leaves);
                        row.is_in_new &= !leaves;
                    }
                    assert_eq!(removed, count, "seed {seed}");
                    left_out += 1;
                }
            }
            let smallest = smallest_difference(&lattice, &earlier.join(&new), &rows);
            assert!(smallest.is_none_or(|rows| rows >= u64::from(k)), "seed {seed}: {smallest:?}");
        }
        assert!(left_out > 50 && isolating > 10, "{left_out} {isolating}");
    }
}
