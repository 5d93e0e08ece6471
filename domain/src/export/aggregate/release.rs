//! Statistics of a group with noise: what may leave the server.

use super::{AggregatePlan, GroupAccumulator, Measure, MeasureKind};
use crate::export::{DiscreteLaplace, RandomBits};

/// A group with noise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedGroup {
    /// The key of the group at the finest node of the job's lattice.
    pub key: u64,
    /// The number of rows.
    pub count: u64,
    /// The statistics of each measure of the plan.
    pub measures: Vec<ReleasedMeasure>,
}

/// The statistics of a measure with noise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReleasedMeasure {
    /// The rows in each bin; what noise made negative is 0.
    pub histogram: Vec<u64>,
    /// The sum of the clamped values; `None` for words.
    pub sum: Option<i64>,
    /// The mean of the clamped values in thousandths: the noisy sum divided by the noisy number of rows that have a value.
    pub mean_thousandths: Option<i64>,
    /// The first values of the bins in which the first, second and third quartile of the noisy histogram lie.
    pub quartiles: Option<[u64; 3]>,
}

/// Adds noise to a group; `None` if its noisy count is below k. Each group of a plan is passed to this function once.
pub fn release_group(
    plan: &AggregatePlan,
    key: u64,
    group: &GroupAccumulator,
    random: &mut (impl RandomBits + ?Sized),
) -> Option<ReleasedGroup> {
    let count = noisy(plan, group.rows, 1, random);
    if count < i128::from(plan.k) {
        return None;
    }
    let measures = plan.measures.iter().zip(group.sums.iter().zip(&group.bins));
    let measures = measures.map(|(measure, (sum, bins))| release_measure(plan, measure, *sum, bins, random)).collect();
    Some(ReleasedGroup { key, count: saturated(count), measures })
}

fn release_measure(
    plan: &AggregatePlan,
    measure: &Measure,
    sum: u64,
    bins: &[u64],
    random: &mut (impl RandomBits + ?Sized),
) -> ReleasedMeasure {
    // A person is in one bin, so the sensitivity of all bins together is 1.
    let histogram: Vec<u64> = bins.iter().map(|rows| saturated(noisy(plan, *rows, 1, random))).collect();
    let MeasureKind::Integer { clamp, bins: firsts } = measure.kind else {
        return ReleasedMeasure { histogram, ..ReleasedMeasure::default() };
    };
    let sum = noisy(plan, sum, clamp, random);
    let rows: u64 = histogram.iter().sum();
    let greatest = i128::from(clamp) * 1_000;
    // What follows uses noisy values only, so it spends no epsilon.
    let mean = (rows > 0).then(|| (sum * 1_000 / i128::from(rows)).clamp(0, greatest) as i64);
    ReleasedMeasure {
        quartiles: (rows > 0).then(|| [1, 2, 3].map(|quarter| quantile(&histogram, firsts, quarter, 4))),
        histogram,
        sum: Some(sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
        mean_thousandths: mean,
    }
}

/// Returns the first value of the bin in which the quantile `part / of` lies.
fn quantile(histogram: &[u64], firsts: &[u64], part: u64, of: u64) -> u64 {
    let rows: u64 = histogram.iter().sum();
    // The smallest rank that at least this share of the rows does not exceed.
    let rank = (u128::from(rows) * u128::from(part)).div_ceil(u128::from(of));
    let mut below = 0;
    for (rows, first) in histogram.iter().zip(firsts) {
        below += u128::from(*rows);
        if below >= rank {
            return *first;
        }
    }
    firsts.last().copied().unwrap_or_default()
}

fn noisy(plan: &AggregatePlan, value: u64, sensitivity: u64, random: &mut (impl RandomBits + ?Sized)) -> i128 {
    // A plan has an epsilon above 0, and the bounds of measures are far below what has no place.
    DiscreteLaplace::new(sensitivity, plan.micro_epsilon_each)
        .map_or(i128::MIN, |laplace| i128::from(value) + laplace.sample(random))
}

fn saturated(value: i128) -> u64 {
    u64::try_from(value.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::{Random, lattice};
    use crate::export::{AggregateRefusal, ColumnRole, ExportColumn, MAX_GROUPS};

    fn plan(micro_epsilon: u64) -> AggregatePlan {
        let measure = |column| Measure::for_column(column, ColumnRole::Other, 4).expect("an aggregate");
        let measures = vec![measure(ExportColumn::ProfileCompletenessPct), measure(ExportColumn::OverallRisk)];
        AggregatePlan::new(&lattice(&[(3, 0), (2, 0)]), measures, micro_epsilon, 10).expect("a plan")
    }

    #[test]
    fn with_little_noise_the_statistics_are_those_of_the_rows() {
        let plan = plan(50_000_000_000);
        // The values from 0 to 99 of one measure, and two words of the other.
        let tens = [[10; 10].as_slice(), &[0]].concat();
        let group = GroupAccumulator { rows: 100, sums: vec![4_950, 0], bins: vec![tens, vec![50, 50, 0, 0]] };
        let released = release_group(&plan, 7, &group, &mut Random(1)).expect("above k");
        assert_eq!((released.key, released.count), (7, 100));
        let completeness = &released.measures[0];
        assert_eq!(completeness.histogram, [10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0]);
        assert_eq!((completeness.sum, completeness.mean_thousandths), (Some(4_950), Some(49_500)));
        assert_eq!(completeness.quartiles, Some([20, 40, 70]));
        let risk = ReleasedMeasure { histogram: vec![50, 50, 0, 0], ..ReleasedMeasure::default() };
        assert_eq!(released.measures[1], risk);
    }

    #[test]
    fn the_noisy_count_decides_whether_a_group_is_released() {
        let plan = plan(400_000);
        let group = GroupAccumulator { rows: 10, ..GroupAccumulator::new(&plan) };
        let mut random = Random(3);
        let released = (0..2_000).filter_map(|_| release_group(&plan, 0, &group, &mut random)).collect::<Vec<_>>();
        assert!((800..1_600).contains(&released.len()), "about half: {}", released.len());
        assert!(released.iter().all(|group| group.count >= 10));
        assert!(released.iter().any(|group| group.count > 15));
    }

    #[test]
    fn groups_are_all_combinations_and_bounded() {
        let few = lattice(&[(3, 0), (2, 0)]);
        let keys = plan(1_000_000).group_keys(&few);
        assert_eq!((keys.len() as u64, plan(1_000_000).groups), (6, 6));
        assert!(keys.is_sorted_by(|a, b| a < b));
        let many = lattice(&[(60, 0), (60, 0), (60, 0)]);
        let refused = AggregatePlan::new(&many, Vec::new(), 1_000_000, 10).err();
        assert_eq!(refused, Some(AggregateRefusal::TooManyGroups(216_000)));
        const { assert!(MAX_GROUPS < 216_000) };
        let refused = AggregatePlan::new(&few, plan(4_000_000).measures, 3, 10).err();
        assert_eq!(refused, Some(AggregateRefusal::EpsilonTooSmall(4)));
        assert_eq!(plan(4_000_000).micro_epsilon_each, 1_000_000);
    }
}
