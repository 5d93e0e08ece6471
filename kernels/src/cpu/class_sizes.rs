//! Class sizes for k-anonymity, distinct sensitive values for l-diversity.

use super::partition::{Plan, mix};
use crate::{Classes, KernelError};

/// Groups n rows by their packed quasi-identifiers.
///
/// Linear in n: one pass counts the partitions, one places the keys, one groups them partition by partition, one
/// tells each row its class; then the classes alone are sorted.
///
/// # Errors
/// [`KernelError::TooManyRows`] when n does not fit into 32 bits.
pub fn class_sizes(keys: &[u64]) -> Result<Classes, KernelError> {
    check_rows(keys)?;
    let plan = Plan::new(keys);
    let mut groups = Groups::default();
    let placed_groups = groups.collect(&plan, &plan.scatter(keys));

    let mut order: Vec<(u64, u32)> = (0..).zip(&groups.keys).map(|(group, &key)| (key, group)).collect();
    order.sort_unstable();
    let mut class_of_group = vec![0_u32; order.len()];
    for (class, &(_, group)) in (0..).zip(&order) {
        class_of_group[group as usize] = class;
    }

    // A row's position is found again by its key: partitions keep the order of their rows.
    let mut cursors = plan.cursors();
    let class_of_row = keys.iter().map(|&key| {
        let cursor = &mut cursors[plan.partition_of(key)];
        let group = placed_groups[*cursor];
        *cursor += 1;
        class_of_group[group as usize]
    });
    let class_of_row = class_of_row.collect();
    Ok(Classes {
        sizes: order.iter().map(|&(_, group)| groups.sizes[group as usize]).collect(),
        keys: order.into_iter().map(|(key, _)| key).collect(),
        class_of_row,
    })
}

/// Counts how many different values of a sensitive column each class holds; one entry per class.
///
/// # Errors
/// [`KernelError::ColumnLength`] when the column has another number of rows than the classes were made from.
pub fn distinct_values(classes: &Classes, codes: &[u32]) -> Result<Vec<u32>, KernelError> {
    let expected = classes.class_of_row.len();
    if codes.len() != expected {
        return Err(KernelError::ColumnLength { expected, given: codes.len() });
    }
    // Pairs of class and value are keys like any other: each different pair is one value of its class.
    let pairs = classes.class_of_row.iter().zip(codes);
    let pairs: Vec<u64> = pairs.map(|(&class, &code)| (u64::from(class) << 32) | u64::from(code)).collect();
    let plan = Plan::new(&pairs);
    let mut groups = Groups::default();
    groups.collect(&plan, &plan.scatter(&pairs));

    let mut distinct = vec![0; classes.len()];
    for pair in groups.keys {
        distinct[(pair >> 32) as usize] += 1;
    }
    Ok(distinct)
}

fn check_rows(keys: &[u64]) -> Result<(), KernelError> {
    // Below the greatest, because a table slot holds a group's number plus one.
    match u32::try_from(keys.len()) {
        Ok(u32::MAX) | Err(_) => Err(KernelError::TooManyRows { rows: keys.len() }),
        Ok(_) => Ok(()),
    }
}

/// The groups found so far, in no particular order.
#[derive(Default)]
struct Groups {
    keys: Vec<u64>,
    sizes: Vec<u32>,
}

impl Groups {
    /// Groups the placed keys and gives the group of each.
    fn collect(&mut self, plan: &Plan, placed: &[u64]) -> Vec<u32> {
        let mut table = Table::new(plan.bits());
        let mut group_of_key = Vec::with_capacity(placed.len());
        for range in plan.ranges() {
            table.clear();
            group_of_key.extend(placed[range].iter().map(|&key| table.count(key, self)));
        }
        group_of_key
    }
}

/// An open-addressing table over the groups of one partition. It grows with the groups, not with the rows, so that
/// it stays small where classes are large.
struct Table {
    /// A group's number plus one, or 0 where nothing is.
    slots: Vec<u32>,
    /// How many slots are taken.
    taken: usize,
    /// The highest bits of a mixed key are the same all over a partition; the next ones choose the slot.
    skip: u32,
}

impl Table {
    const FEWEST_SLOTS: usize = 256;

    fn new(skip: u32) -> Self {
        Self { slots: vec![0; Self::FEWEST_SLOTS], taken: 0, skip }
    }

    fn clear(&mut self) {
        self.slots.fill(0);
        self.taken = 0;
    }

    /// Counts one row of `key` and gives its group.
    fn count(&mut self, key: u64, groups: &mut Groups) -> u32 {
        let mut slot = self.first_slot(key);
        loop {
            match self.slots[slot].checked_sub(1) {
                Some(group) if groups.keys[group as usize] == key => {
                    groups.sizes[group as usize] += 1;
                    return group;
                }
                Some(_) => slot = (slot + 1) & (self.slots.len() - 1),
                None => return self.add(slot, key, groups),
            }
        }
    }

    fn add(&mut self, slot: usize, key: u64, groups: &mut Groups) -> u32 {
        // Fits: there are no more groups than rows, and those fit.
        let group = groups.keys.len() as u32;
        groups.keys.push(key);
        groups.sizes.push(1);
        self.slots[slot] = group + 1;
        self.taken += 1;
        if self.taken * 2 > self.slots.len() {
            self.grow(groups);
        }
        group
    }

    fn grow(&mut self, groups: &Groups) {
        let first = groups.keys.len() - self.taken;
        self.slots = vec![0; self.slots.len() * 4];
        for (position, &key) in groups.keys.iter().enumerate().skip(first) {
            let mut slot = self.first_slot(key);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = position as u32 + 1;
        }
    }

    fn first_slot(&self, key: u64) -> usize {
        let bits = self.slots.len().ilog2();
        ((mix(key) << self.skip) >> (u64::BITS - bits)) as usize
    }
}
