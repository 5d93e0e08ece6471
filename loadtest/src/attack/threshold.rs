//! How well a number or a status distinguishes two groups, compared with chance.

use crate::random::Random;
use serde::Serialize;

/// A measured value of one member of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    /// Index of the member in the list of all members.
    pub(crate) member: usize,
    pub(crate) value: f64,
}

/// Share of measurements that a rule puts into the right group. 1 is perfect. Chance gives more than 0.5 in small
/// samples, because the best rule is chosen after the fact.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Accuracy {
    /// The share for the best rule.
    pub(crate) best: f64,
    /// The median of the share over random groupings.
    pub(crate) chance: f64,
    /// The 99th percentile of the share over random groupings.
    pub(crate) chance_99: f64,
}

/// Number of random groupings.
const DRAWS: usize = 1_000;

/// Applies the best single threshold. `groups` says for each member whether it belongs to the second group.
pub(crate) fn by_threshold(samples: &[Measurement], groups: &[bool]) -> Accuracy {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    compare(groups, |groups| best_threshold(&sorted, groups))
}

/// Assigns every value, such as a status, to the group in which it is more frequent.
pub(crate) fn by_value(samples: &[Measurement], groups: &[bool]) -> Accuracy {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    compare(groups, |groups| {
        let of_value = sorted.chunk_by(|a, b| a.value == b.value).map(|equal| {
            let second = equal.iter().filter(|sample| groups[sample.member]).count();
            second.max(equal.len() - second)
        });
        of_value.sum::<usize>() as f64 / sorted.len().max(1) as f64
    })
}

/// Compares the accuracy for the given grouping with that for random ones. A random grouping keeps the measurements of
/// a member together, because they resemble each other.
fn compare(groups: &[bool], accuracy: impl Fn(&[bool]) -> f64) -> Accuracy {
    let best = accuracy(groups);
    let (mut random, mut drawn) = (Random::new(1), groups.to_vec());
    let mut by_lot: Vec<f64> = (0..DRAWS)
        .map(|_| {
            random.shuffle(&mut drawn);
            accuracy(&drawn)
        })
        .collect();
    by_lot.sort_by(f64::total_cmp);
    Accuracy { best, chance: by_lot[DRAWS / 2], chance_99: by_lot[DRAWS * 99 / 100 - 1] }
}

/// Returns the share that the best threshold assigns correctly, in the better of the two directions. Equal values stay
/// together.
fn best_threshold(sorted: &[Measurement], groups: &[bool]) -> f64 {
    let total = sorted.len();
    let seconds = sorted.iter().filter(|sample| groups[sample.member]).count();
    // With the threshold below all values, the second group is correct.
    let mut right = seconds;
    let mut best = right.max(total - right);
    for equal in sorted.chunk_by(|a, b| a.value == b.value) {
        for sample in equal {
            if groups[sample.member] {
                right -= 1;
            } else {
                right += 1;
            }
        }
        best = best.max(right).max(total - right);
    }
    best as f64 / total.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Vec<Measurement> {
        values.iter().enumerate().map(|(member, &value)| Measurement { member, value }).collect()
    }

    #[test]
    fn a_threshold_distinguishes_separate_groups() {
        let values: Vec<f64> = (0..24).map(f64::from).collect();
        let groups: Vec<bool> = (0..24).map(|member| member >= 12).collect();
        let apart = by_threshold(&samples(&values), &groups);
        assert!(apart.best == 1.0 && apart.chance < 0.75 && apart.chance_99 < 0.95, "{apart:?}");
        let reversed: Vec<bool> = groups.iter().map(|second| !second).collect();
        assert_eq!(by_threshold(&samples(&values), &reversed).best, 1.0);
    }

    #[test]
    fn alternating_groups_are_distinguished_by_chance_only() {
        let values: Vec<f64> = (0..200).map(f64::from).collect();
        let groups: Vec<bool> = (0..200).map(|member| member % 2 == 1).collect();
        let alike = by_threshold(&samples(&values), &groups);
        assert!(alike.best < 0.52 && alike.best <= alike.chance_99, "{alike:?}");
        assert_eq!(by_threshold(&samples(&[5.0; 200]), &groups).best, 0.5, "equal values stay together");
    }

    #[test]
    fn a_status_that_only_one_group_gets_distinguishes_the_groups() {
        let groups: Vec<bool> = (0..40).map(|member| member >= 20).collect();
        let statuses: Vec<f64> = (0..40).map(|member| if member < 10 { 503.0 } else { 404.0 }).collect();
        let accuracy = by_value(&samples(&statuses), &groups);
        assert!(accuracy.best == 0.75 && accuracy.chance_99 < 0.75, "{accuracy:?}");
        assert_eq!(by_value(&samples(&[404.0; 40]), &groups).best, 0.5);
    }
}
