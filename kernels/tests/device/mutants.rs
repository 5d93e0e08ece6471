//! Sources with a mistake: the tests on the emulated device must notice each.

use crate::emulator::Emulator;

/// A mistake.
struct Mutant {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// What the child says about it.
    expected: &'static str,
}

const fn mutant(
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    expected: &'static str,
) -> Mutant {
    Mutant { name, file, from, to, expected }
}

const CLASS_SIZES: &str = "class_sizes.cu";
const AGGREGATES: &str = "aggregates.cu";

const MUTANTS: &[Mutant] = &[
    mutant(
        "no_barrier_after_clearing_the_cache",
        CLASS_SIZES,
        "cached_rows[entry] = NOTHING;\n    }\n    __syncthreads();",
        "cached_rows[entry] = NOTHING;\n    }\n",
        "a read of memory that was never written, in kernel `count_rows`",
    ),
    mutant(
        "no_barrier_before_the_cache_is_read",
        CLASS_SIZES,
        "__syncthreads();\n    for (u32 entry = threadIdx.x; entry < CACHED; entry += blockDim.x) {\n        u32 slot",
        "for (u32 entry = threadIdx.x; entry < CACHED; entry += blockDim.x) {\n        u32 slot",
        "a data race, in kernel `count_rows`",
    ),
    mutant(
        "no_barrier_within_a_step_of_prefix_sums",
        CLASS_SIZES,
        "ranks[thread - step] : 0;\n        __syncthreads();",
        "ranks[thread - step] : 0;\n",
        "a data race, in kernel `list_groups`",
    ),
    mutant(
        "a_count_that_is_not_cleared",
        CLASS_SIZES,
        "cached_sizes[entry] = 0;",
        "",
        "a read of memory that was never written, in kernel `count_rows`",
    ),
    mutant(
        "one_row_too_many",
        CLASS_SIZES,
        "if (row >= rows) return;\n    u64 key = keys[row];",
        "if (row > rows) return;\n    u64 key = keys[row];",
        "an access out of bounds, in kernel `claim_slots`",
    ),
    mutant(
        "some_threads_leave_before_a_barrier",
        CLASS_SIZES,
        "__shared__ u32 cached_slots[CACHED];",
        "if (blockIdx.x * blockDim.x + threadIdx.x >= rows) return;\n    __shared__ u32 cached_slots[CACHED];",
        "a barrier that some threads of the block never reach, in kernel `count_rows`",
    ),
    mutant(
        "a_shared_array_that_is_too_small",
        CLASS_SIZES,
        "__shared__ u32 ranks[MOST_THREADS];",
        "__shared__ u32 ranks[MOST_THREADS / 2];",
        "out of bounds for type",
    ),
    mutant(
        "a_slot_that_is_claimed_without_an_atomic",
        CLASS_SIZES,
        "owner = atomicCAS(&slots[slot], 0u, (u32)row + 1);",
        "slots[slot] = (u32)row + 1;",
        "a data race, in kernel `claim_slots`",
    ),
    mutant(
        "bits_that_are_set_without_an_atomic",
        CLASS_SIZES,
        "atomicOr(word, bit);",
        "*word |= bit;",
        "a data race, in kernel `mark_values`",
    ),
    mutant(
        "a_sum_over_blocks_without_an_atomic",
        AGGREGATES,
        "atomicAdd(&histogram[bin], (u64)shared_bins[bin]);",
        "histogram[bin] += shared_bins[bin];",
        "a data race, in kernel `aggregate`",
    ),
    mutant(
        "values_that_are_clamped_to_the_wrong_end",
        AGGREGATES,
        "value < low ? low : value > high",
        "value < low ? high : value > high",
        "the device differs from the CPU",
    ),
    mutant(
        "a_length_without_the_block_of_the_key",
        "pseudonyms.cu",
        "((u64)length + 64) * 8",
        "(u64)length * 8",
        "the device differs from the CPU",
    ),
];

/// Panics unless each mutant is noticed for the expected reason.
pub(crate) fn all_are_noticed(emulator: &Emulator) {
    let survivors: Vec<String> = std::thread::scope(|scope| {
        // Compiling takes most of the time.
        let workers: Vec<_> = MUTANTS
            .chunks(MUTANTS.len().div_ceil(WORKERS))
            .map(|mutants| {
                scope.spawn(move || mutants.iter().filter_map(|mutant| survives(emulator, mutant)).collect())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|_| vec!["a panic".to_owned()])).collect()
    });
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}

/// Mutants that are compiled at once.
const WORKERS: usize = 2;

/// Returns what a mutant does if that is not what is expected.
fn survives(emulator: &Emulator, mutant: &Mutant) -> Option<String> {
    let Mutant { name, file, from, to, expected } = mutant;
    let run = emulator.mutant(name, file, from, to).run(&["suite", "1"], &[("EMULATOR_SEED", 1)]);
    let text = run.text();
    let is_noticed = !run.succeeded() && text.contains(expected);
    (!is_noticed).then(|| format!("mutant `{name}` was not noticed as `{expected}`:\n{text}"))
}
