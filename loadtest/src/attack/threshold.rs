//! How well two groups can be told apart by a number or a status, and how well chance would do.

use crate::random::Random;
use serde::Serialize;

/// One measurement: the group's member that it was made of, and what was measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// The position of the member in the list of all members.
    pub(crate) member: usize,
    pub(crate) value: f64,
}

/// How well the groups are told apart. 0.5 is chance and 1 is always, but the best rule is chosen after the fact, so
/// that small samples give more than 0.5 by chance as well.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Accuracy {
    /// The share that the best rule puts into the right group.
    pub(crate) best: f64,
    /// The median of the same over groups that were drawn by lot.
    pub(crate) chance: f64,
    /// What 99 in 100 of them do not exceed.
    pub(crate) chance_99: f64,
}

/// How many times the groups are drawn by lot.
const DRAWS: usize = 1_000;

/// Applies the best single threshold. `groups` tells of each member whether it belongs to the second group.
pub(crate) fn by_threshold(samples: &[Sample], groups: &[bool]) -> Accuracy {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    compare(groups, |groups| best_threshold(&sorted, groups))
}

/// Puts every value, such as a status, to the group where it is more frequent.
pub(crate) fn by_value(samples: &[Sample], groups: &[bool]) -> Accuracy {
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

/// Members keep their samples when groups are drawn by lot, since samples of one member resemble each other.
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

/// The share that the best threshold, in the better of both directions, puts right. Equal values are not parted.
fn best_threshold(sorted: &[Sample], groups: &[bool]) -> f64 {
    let total = sorted.len();
    let seconds = sorted.iter().filter(|sample| groups[sample.member]).count();
    // With everything above the threshold, the second group is right.
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

    fn samples(values: &[f64]) -> Vec<Sample> {
        values.iter().enumerate().map(|(member, &value)| Sample { member, value }).collect()
    }

    #[test]
    fn groups_that_a_threshold_parts_are_told_apart() {
        let values: Vec<f64> = (0..24).map(f64::from).collect();
        let groups: Vec<bool> = (0..24).map(|member| member >= 12).collect();
        let apart = by_threshold(&samples(&values), &groups);
        assert!(apart.best == 1.0 && apart.chance < 0.75 && apart.chance_99 < 0.95, "{apart:?}");
        let reversed: Vec<bool> = groups.iter().map(|second| !second).collect();
        assert_eq!(by_threshold(&samples(&values), &reversed).best, 1.0);
    }

    #[test]
    fn groups_that_alternate_are_told_apart_by_chance_only() {
        let values: Vec<f64> = (0..200).map(f64::from).collect();
        let groups: Vec<bool> = (0..200).map(|member| member % 2 == 1).collect();
        let alike = by_threshold(&samples(&values), &groups);
        assert!(alike.best < 0.52 && alike.best <= alike.chance_99, "{alike:?}");
        assert_eq!(by_threshold(&samples(&[5.0; 200]), &groups).best, 0.5, "equal values are not parted");
    }

    #[test]
    fn a_status_that_one_group_alone_gets_tells() {
        let groups: Vec<bool> = (0..40).map(|member| member >= 20).collect();
        let statuses: Vec<f64> = (0..40).map(|member| if member < 10 { 503.0 } else { 404.0 }).collect();
        let told = by_value(&samples(&statuses), &groups);
        assert!(told.best == 0.75 && told.chance_99 < 0.75, "{told:?}");
        assert_eq!(by_value(&samples(&[404.0; 40]), &groups).best, 0.5);
    }
}
