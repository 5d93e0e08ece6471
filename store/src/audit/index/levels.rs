//! When runs are merged: as in a log-structured merge tree, eight runs of a level become one of the next.
//!
//! A line is then written again once for each level, and a segment of *n* lines has at most seven runs for each of its
//! log₈(*n* / lines of a run) levels.

/// Number of runs of one level that are merged.
const FAN_OUT: usize = 8;

/// Returns the level of a run: 0 for one that was written from memory.
fn level(lines: u64, run_lines: u64) -> u32 {
    let (mut level, mut bound) = (0, run_lines.max(1).saturating_mul(FAN_OUT as u64));
    while lines >= bound && bound < u64::MAX {
        (level, bound) = (level + 1, bound.saturating_mul(FAN_OUT as u64));
    }
    level
}

/// Returns how many of the last runs are to become one run; 0 if none. `lines` has the number of lines of each run, in the
/// order of the segment, and `run_lines` is the number of lines of a run that is written from memory.
pub(in crate::audit) fn runs_to_merge(lines: &[u64], run_lines: u64) -> usize {
    let levels: Vec<u32> = lines.iter().map(|lines| level(*lines, run_lines)).collect();
    let highest = levels.iter().copied().max().unwrap_or(0);
    for merged in 0..=highest {
        // Those of lower levels between them go along.
        let last = || levels.iter().rev().take_while(|level| **level <= merged);
        if last().filter(|level| **level == merged).count() >= FAN_OUT {
            return last().count();
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds runs and merges them, and returns the number of lines of each, and how many lines were written by merges.
    fn grow(runs: impl Iterator<Item = u64>, run_lines: u64) -> (Vec<u64>, u64, usize) {
        let (mut lines, mut rewritten, mut most) = (Vec::new(), 0, 0);
        for run in runs {
            lines.push(run);
            loop {
                let count = runs_to_merge(&lines, run_lines);
                if count == 0 {
                    break;
                }
                let merged: u64 = lines.drain(lines.len() - count..).sum();
                rewritten += merged;
                lines.push(merged);
            }
            most = most.max(lines.len());
        }
        (lines, rewritten, most)
    }

    #[test]
    fn the_number_of_runs_and_of_rewrites_grows_with_the_logarithm() {
        for (count, levels) in [(7, 1), (63, 2), (511, 3), (4_095, 4), (32_767, 5)] {
            let (lines, rewritten, most) = grow((0..count).map(|_| 10), 10);
            assert_eq!(lines.iter().sum::<u64>(), count * 10);
            assert_eq!((lines.len(), most), (7 * levels, 7 * levels), "{count} runs");
            assert!(rewritten <= count * 10 * (levels as u64 - 1), "{count} runs: {rewritten} lines");
        }
    }

    #[test]
    fn runs_of_other_sizes_are_merged_as_well() {
        // A long run after short ones, as a start without an index leaves it.
        let (lines, ..) = grow([10; 5].into_iter().chain([900]).chain([10; 4_000]), 10);
        assert_eq!(lines.iter().sum::<u64>(), 5 * 10 + 900 + 40_000);
        assert!(lines.len() <= 7 * 4 + 5, "{lines:?}");
        assert_eq!(runs_to_merge(&[], 10), 0);
        assert_eq!(runs_to_merge(&[u64::MAX; 8], u64::MAX), 8);
    }
}
