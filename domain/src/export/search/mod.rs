//! The search for the node with the lowest information loss that reaches k and l.

mod candidates;
mod loss;
#[cfg(test)]
mod tests;

use candidates::{Candidates, Status};
pub use loss::{InformationLoss, column_losses};

use super::{ClassSource, EquivalenceClass, Lattice, Node};

/// What every class of an export must reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrivacyRequirement {
    /// The least number of rows of a class.
    pub k: u32,
    /// The least number of different values that each sensitive column has in a class.
    pub l: u32,
    /// Maximum share of the rows that are left out, in percent; below 100.
    pub max_suppression_pct: u8,
}

impl PrivacyRequirement {
    /// Returns whether a class may be written.
    #[must_use]
    pub fn is_met_by(&self, class: &EquivalenceClass<'_>) -> bool {
        class.size >= self.k && class.distinct() >= self.l
    }

    /// Returns whether so many of the rows may be left out.
    #[must_use]
    pub fn allows_suppressed(&self, suppressed: u64, rows: u64) -> bool {
        u128::from(suppressed) * 100 <= u128::from(rows) * u128::from(self.max_suppression_pct)
    }
}

/// The best node of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchOutcome {
    /// The node.
    pub node: Node,
    /// The number of rows, with those that are left out.
    pub rows: u64,
    /// The number of rows in classes that do not meet the requirement.
    pub suppressed_rows: u64,
    /// The number of classes that meet the requirement.
    pub classes: u64,
    /// The information that is lost by generalisation and by leaving rows out.
    pub loss: InformationLoss,
    /// The number of nodes whose classes were counted.
    pub evaluated_nodes: u32,
}

/// Why a search has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError<E> {
    /// There are no rows.
    #[error("no row matches")]
    NoRows,
    /// Even the coarsest node leaves out too many rows.
    #[error("no generalisation reaches the requirement: there are too few rows, or too few different sensitive values")]
    Unreachable,
    /// Classes could not be counted.
    #[error("classes could not be counted")]
    Source(E),
}

/// What the classes of a node give.
#[derive(Clone, Copy, Default)]
struct Evaluation {
    rows: u64,
    suppressed_rows: u64,
    classes: u64,
    /// What leaving rows out loses beyond the generalisation of these rows, see [`InformationLoss`].
    suppression_loss: u64,
}

/// Finds the node with the lowest information loss among those that meet the requirement after rows of small classes are
/// left out. Of several with the same loss the one with the lowest sum of levels is taken, then the first one.
///
/// `losses` come from [`column_losses`] of the same rows.
///
/// # Errors
/// There are no rows, no node meets the requirement, or `source` failed.
pub fn search<S: ClassSource>(
    lattice: &Lattice,
    losses: &[Vec<u64>],
    requirement: &PrivacyRequirement,
    source: &mut S,
) -> Result<SearchOutcome, SearchError<S::Error>> {
    let candidates = Candidates::new(lattice, losses);
    let mut search =
        Search { lattice, requirement, source, candidates, most_suppressed: u64::MAX, best: None, evaluated: 0 };
    search.run()?;
    let (at, evaluation) = search.best.ok_or(SearchError::Unreachable)?;
    let candidate = search.candidates.at(at);
    let units = candidate.generalisation_loss + evaluation.suppression_loss;
    Ok(SearchOutcome {
        node: candidate.node,
        rows: evaluation.rows,
        suppressed_rows: evaluation.suppressed_rows,
        classes: evaluation.classes,
        loss: InformationLoss::new(units, evaluation.rows, lattice.columns().len()),
        evaluated_nodes: search.evaluated,
    })
}

struct Search<'s, S: ClassSource> {
    lattice: &'s Lattice,
    requirement: &'s PrivacyRequirement,
    source: &'s mut S,
    candidates: Candidates,
    /// How many rows may be left out; not known before the first node is evaluated.
    most_suppressed: u64,
    /// The best node so far.
    best: Option<(usize, Evaluation)>,
    evaluated: u32,
}

impl<S: ClassSource> Search<'_, S> {
    fn run(&mut self) -> Result<(), SearchError<S::Error>> {
        // If the coarsest node does not meet the requirement, no other one does.
        let top = self.candidates.last();
        let rows = self.evaluate(top)?.rows;
        if rows == 0 {
            return Err(SearchError::NoRows);
        }
        self.most_suppressed = rows * u64::from(self.requirement.max_suppression_pct) / 100;
        while let Some(at) = self.candidates.next() {
            if self.best.as_ref().is_some_and(|(best, evaluation)| {
                self.candidates.rank(at) > self.candidates.exact_rank(*best, evaluation.suppression_loss)
            }) {
                break;
            }
            if self.candidates.at(at).status == Status::Unknown {
                self.probe(at)?;
            }
            if self.candidates.at(at).status == Status::Feasible {
                self.evaluate(at)?;
            }
        }
        Ok(())
    }

    /// Finds by bisection where a path from `at` to a node that meets the requirement begins to meet it. Whether a node meets
    /// it is monotone, so the nodes in the middle decide about all that are finer or coarser, and they have fewer classes
    /// than `at` (the idea of "optimal lattice anonymization", El Emam et al., JAMIA 2009).
    fn probe(&mut self, at: usize) -> Result<(), SearchError<S::Error>> {
        let path = self.candidates.path_to_feasible(self.lattice, at);
        let (mut low, mut high) = (0, path.len() - 1);
        while low < high {
            let middle = low.midpoint(high);
            if self.candidates.at(path[middle]).status == Status::Unknown {
                self.evaluate(path[middle])?;
            }
            if self.candidates.at(path[middle]).status == Status::Infeasible {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, at: usize) -> Result<Evaluation, SearchError<S::Error>> {
        let (lattice, requirement, most_suppressed) = (self.lattice, self.requirement, self.most_suppressed);
        let node = self.candidates.at(at).node;
        let full = lattice.columns().len() as u64 * u64::from(super::PENALTY_UNIT);
        let penalties = lattice.penalties(&node);
        let mut evaluation = Evaluation::default();
        let visited = self.source.visit_classes(&node, &mut |class| {
            let rows = u64::from(class.size);
            evaluation.rows += rows;
            if requirement.is_met_by(class) {
                evaluation.classes += 1;
                return;
            }
            evaluation.suppressed_rows += rows;
            // The loss of a node that leaves out too many rows is not needed.
            if evaluation.suppressed_rows <= most_suppressed {
                evaluation.suppression_loss += rows * (full - penalties.sum(class.key));
            }
        });
        visited.map_err(SearchError::Source)?;
        self.evaluated += 1;
        let is_feasible = requirement.allows_suppressed(evaluation.suppressed_rows, evaluation.rows);
        self.candidates.record(at, is_feasible, evaluation.suppression_loss);
        let rank =
            |(at, evaluation): &(usize, Evaluation)| self.candidates.exact_rank(*at, evaluation.suppression_loss);
        let this = (at, evaluation);
        if is_feasible && self.best.as_ref().is_none_or(|best| rank(&this) < rank(best)) {
            self.best = Some(this);
        }
        Ok(evaluation)
    }
}
