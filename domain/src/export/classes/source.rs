//! Where a search gets the classes of a node from.

use super::{ClassTable, EquivalenceClass, SensitiveLayout};
use crate::export::{Lattice, Node};

/// Gives the classes of a node. A back end that counts rows for each node can implement it, and [`RolledUpClasses`] does.
pub trait ClassSource {
    /// Why classes could not be counted, such as a cancelled job.
    type Error;

    /// Calls `visit` with each class of the node, once, in any order.
    ///
    /// # Errors
    /// The classes could not be counted.
    fn visit_classes(&mut self, node: &Node, visit: &mut dyn FnMut(&EquivalenceClass<'_>)) -> Result<(), Self::Error>;
}

/// Computes the classes of a coarser node from those of a finer one, as [`ClassTable::roll_up`] does.
pub type RollUp = fn(&ClassTable, &Lattice, &Node, &Node) -> ClassTable;

/// Classes that were counted once at the finest node. Those of other nodes are rolled up from the smallest table of a finer
/// node that is at hand, so a node costs classes and not rows.
#[derive(Debug)]
pub struct RolledUpClasses<'l> {
    roll_up: RollUp,
    lattice: &'l Lattice,
    layout: &'l SensitiveLayout,
    /// The finest table first, the others from the least to the most recently used.
    tables: Vec<(Node, ClassTable)>,
}

/// How many times the classes of the finest table the kept tables have, itself excluded.
const KEPT: usize = 2;

impl<'l> RolledUpClasses<'l> {
    /// Returns a source from the classes at the finest node.
    #[must_use]
    pub fn new(lattice: &'l Lattice, layout: &'l SensitiveLayout, mut finest: ClassTable) -> Self {
        finest.sort();
        Self { roll_up: ClassTable::roll_up, lattice, layout, tables: vec![(lattice.finest(), finest)] }
    }

    /// Returns the source with another way to roll classes up, such as on several threads. It must give the same classes.
    #[must_use]
    pub fn rolled_up_by(mut self, roll_up: RollUp) -> Self {
        self.roll_up = roll_up;
        self
    }

    /// Returns the classes at the finest node.
    #[must_use]
    pub fn finest(&self) -> &ClassTable {
        &self.tables[0].1
    }

    /// Returns the classes at a node.
    pub fn table(&mut self, node: &Node) -> &ClassTable {
        let finer = self.tables.iter().enumerate().filter(|(_, (finer, _))| node.covers(finer));
        // The finest node is covered by all.
        let index = finer.min_by_key(|(_, (_, table))| table.len()).map_or(0, |(index, _)| index);
        let (from, table) = &self.tables[index];
        if from != node {
            let rolled = (self.roll_up)(table, self.lattice, from, node);
            self.make_room(rolled.len());
            self.tables.push((*node, rolled));
            return &self.tables[self.tables.len() - 1].1;
        }
        if index > 0 {
            let used = self.tables.remove(index);
            self.tables.push(used);
            return &self.tables[self.tables.len() - 1].1;
        }
        &self.tables[0].1
    }

    /// Drops the tables that were not used for the longest time, so that another one with so many classes may be kept.
    fn make_room(&mut self, classes: usize) {
        let bound = KEPT * self.tables[0].1.len();
        let mut kept: usize = classes + self.tables[1..].iter().map(|(_, table)| table.len()).sum::<usize>();
        while kept > bound && self.tables.len() > 1 {
            kept -= self.tables.remove(1).1.len();
        }
    }
}

impl ClassSource for RolledUpClasses<'_> {
    type Error = std::convert::Infallible;

    fn visit_classes(&mut self, node: &Node, visit: &mut dyn FnMut(&EquivalenceClass<'_>)) -> Result<(), Self::Error> {
        let layout = self.layout;
        self.table(node).classes(layout).for_each(|class| visit(&class));
        Ok(())
    }
}
