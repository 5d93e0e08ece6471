//! The classes of all rows at one node.

use super::SensitiveLayout;

/// Rows with equal quasi-identifiers at a node.
#[derive(Debug, Clone, Copy)]
pub struct EquivalenceClass<'l> {
    /// The key at the node.
    pub key: u64,
    /// The number of rows.
    pub size: u32,
    /// The sensitive values, see [`SensitiveLayout`].
    sensitive: u64,
    layout: &'l SensitiveLayout,
}

impl EquivalenceClass<'_> {
    /// Returns the least number of different values that a sensitive column has in the class; `u32::MAX` if there is none.
    #[must_use]
    pub fn distinct(&self) -> u32 {
        self.layout.distinct(self.sensitive)
    }
}

/// Classes at one node, in no particular order: three slices with an entry for each class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassTable {
    /// The key of each class at the node; no key occurs twice.
    pub keys: Vec<u64>,
    /// The number of rows of each class.
    pub sizes: Vec<u32>,
    /// The sensitive values of each class, see [`SensitiveLayout`].
    pub sensitive: Vec<u64>,
}

impl ClassTable {
    /// Returns the number of classes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether there are no classes, because there were no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.sizes.iter().map(|size| u64::from(*size)).sum()
    }

    /// Puts the classes into ascending order of their keys. Rolling up is faster then, as neighbours are added to neighbours.
    pub fn sort(&mut self) {
        if self.keys.is_sorted() {
            return;
        }
        let (sizes, sensitive) = (self.sizes.iter(), self.sensitive.iter());
        let mut classes: Vec<_> = self.keys.iter().zip(sizes).zip(sensitive).map(|((a, b), c)| (*a, *b, *c)).collect();
        classes.sort_unstable();
        self.keys = classes.iter().map(|(key, ..)| *key).collect();
        self.sizes = classes.iter().map(|(_, size, _)| *size).collect();
        self.sensitive = classes.iter().map(|(.., sensitive)| *sensitive).collect();
    }

    /// Returns the classes.
    pub fn classes<'t>(&'t self, layout: &'t SensitiveLayout) -> impl Iterator<Item = EquivalenceClass<'t>> + 't {
        self.keys.iter().zip(&self.sizes).zip(&self.sensitive).map(|((key, size), sensitive)| EquivalenceClass {
            key: *key,
            size: *size,
            sensitive: *sensitive,
            layout,
        })
    }
}
