//! What a search knows of each node.

use std::collections::HashMap;

use crate::export::{Lattice, Node};

/// Whether a node meets the requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing is known.
    Unknown,
    /// It does not, because it or a coarser node was found not to.
    Infeasible,
    /// It does, because a finer node was found to. Its classes were not counted.
    Feasible,
    /// It does, and its classes were counted.
    Evaluated,
}

#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) node: Node,
    /// What generalisation loses.
    pub(super) generalisation_loss: u64,
    /// The least that leaving rows out loses in addition. A coarser node leaves out no row that this node keeps, and its
    /// penalties are not lower, so its loss is a lower bound.
    suppression_loss: u64,
    pub(super) status: Status,
}

/// All nodes of a lattice, in ascending order.
pub(super) struct Candidates {
    candidates: Vec<Candidate>,
    numbers: HashMap<Node, usize>,
}

/// The order of nodes: the loss, then the sum of levels, then the levels.
pub(super) type Rank = (u64, u32, Node);

impl Candidates {
    pub(super) fn new(lattice: &Lattice, losses: &[Vec<u64>]) -> Self {
        let loss = |node: &Node| losses.iter().enumerate().map(|(column, levels)| levels[node.level(column)]).sum();
        let candidate = |node: Node| Candidate {
            node,
            generalisation_loss: loss(&node),
            suppression_loss: 0,
            status: Status::Unknown,
        };
        let candidates: Vec<_> = lattice.nodes().into_iter().map(candidate).collect();
        let numbers = candidates.iter().enumerate().map(|(number, candidate)| (candidate.node, number)).collect();
        Self { candidates, numbers }
    }

    pub(super) fn at(&self, number: usize) -> &Candidate {
        &self.candidates[number]
    }

    /// Returns the coarsest node.
    pub(super) fn last(&self) -> usize {
        self.candidates.len() - 1
    }

    /// Returns a lower bound of the rank of a node.
    pub(super) fn rank(&self, number: usize) -> Rank {
        self.exact_rank(number, self.candidates[number].suppression_loss)
    }

    /// Returns the rank of a node that loses this much by leaving rows out.
    pub(super) fn exact_rank(&self, number: usize, suppression_loss: u64) -> Rank {
        let Candidate { node, generalisation_loss, .. } = &self.candidates[number];
        (generalisation_loss + suppression_loss, node.height(), *node)
    }

    /// Returns the node with the lowest bound whose classes were not counted and that may meet the requirement.
    pub(super) fn next(&self) -> Option<usize> {
        let is_open = |number: &usize| matches!(self.candidates[*number].status, Status::Unknown | Status::Feasible);
        (0..self.candidates.len()).filter(is_open).min_by_key(|number| self.rank(*number))
    }

    /// Returns a path from a node to one that meets the requirement, along the parents that lose the least.
    pub(super) fn path_to_feasible(&self, lattice: &Lattice, from: usize) -> Vec<usize> {
        let (mut path, mut at) = (vec![from], from);
        while !matches!(self.candidates[at].status, Status::Feasible | Status::Evaluated) {
            let node = self.candidates[at].node;
            let parents = lattice.parents(&node).map(|parent| self.numbers[&parent]);
            match parents.min_by_key(|parent| (self.candidates[*parent].generalisation_loss, *parent)) {
                Some(parent) => at = parent,
                None => break,
            }
            path.push(at);
        }
        path
    }

    /// Records what the classes of a node gave, for it and for the nodes about which it decides.
    pub(super) fn record(&mut self, number: usize, is_feasible: bool, suppression_loss: u64) {
        let node = self.candidates[number].node;
        for candidate in &mut self.candidates {
            if node.covers(&candidate.node) {
                if is_feasible {
                    candidate.suppression_loss = candidate.suppression_loss.max(suppression_loss);
                } else {
                    candidate.status = Status::Infeasible;
                }
            } else if is_feasible && candidate.status == Status::Unknown && candidate.node.covers(&node) {
                candidate.status = Status::Feasible;
            }
        }
        if is_feasible {
            self.candidates[number].status = Status::Evaluated;
        }
    }
}
