// Aggregates: histograms and sums of a measure by group, in integers.
//
// The number of values in a group is the sum of its bins. Limits: fewer than 2^32 - 1 rows; `low` and `high` within
// 32 bits, so that no sum exceeds 64.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

// Bins and groups that fit into a block's shared memory, and rows that a thread adds up.
enum { SHARED_BINS = 2048, SHARED_GROUPS = 512, ROWS_PER_THREAD = 8 };
#define NO_GROUP 0xffffffffu
#define MISSING (-0x7fffffffffffffffll - 1)

// The number of edges that are not above the value.
__device__ u32 bin_of(const i64 *edges, u32 edge_count, i64 value) {
    u32 low = 0, high = edge_count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (edges[middle] <= value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Adds each row's value, clamped to low..=high, to its group: histogram has edge_count + 1 bins per group, sums one
// number. Rows of NO_GROUP and values that are MISSING are left out. Without values (has_values is 0) each row counts
// as 0. A group that is not below `groups` sets *first_error to the least row with such a group.
extern "C" __global__ void aggregate(const u32 *group_of_row, const i64 *values, u32 has_values, u32 rows, u32 groups,
                                     i64 low, i64 high, const i64 *edges, u32 edge_count, u64 *histogram, u64 *sums,
                                     u64 *first_error) {
    __shared__ u32 shared_bins[SHARED_BINS];
    __shared__ u64 shared_sums[SHARED_GROUPS];
    u32 bins = edge_count + 1;
    u64 all_bins = (u64)groups * bins;
    bool is_shared = all_bins <= SHARED_BINS && groups <= SHARED_GROUPS;
    if (is_shared) {
        for (u32 bin = threadIdx.x; bin < all_bins; bin += blockDim.x) shared_bins[bin] = 0;
        for (u32 group = threadIdx.x; group < groups; group += blockDim.x) shared_sums[group] = 0;
    }
    __syncthreads();
    u64 first = (u64)blockIdx.x * blockDim.x * ROWS_PER_THREAD + threadIdx.x;
    for (u32 turn = 0; turn < ROWS_PER_THREAD; ++turn) {
        u64 row = first + (u64)turn * blockDim.x;
        if (row >= rows) break;
        u32 group = group_of_row[row];
        if (group == NO_GROUP) continue;
        if (group >= groups) {
            atomicMin(first_error, row);
            continue;
        }
        i64 value = has_values ? values[row] : 0;
        if (value == MISSING) continue;
        value = value < low ? low : value > high ? high : value;
        u64 bin = (u64)group * bins + bin_of(edges, edge_count, value);
        if (is_shared) {
            atomicAdd(&shared_bins[bin], 1u);
            atomicAdd(&shared_sums[group], (u64)value);
        } else {
            atomicAdd(&histogram[bin], (u64)1);
            atomicAdd(&sums[group], (u64)value);
        }
    }
    __syncthreads();
    if (!is_shared) return;
    for (u32 bin = threadIdx.x; bin < all_bins; bin += blockDim.x) {
        if (shared_bins[bin] != 0) atomicAdd(&histogram[bin], (u64)shared_bins[bin]);
    }
    for (u32 group = threadIdx.x; group < groups; group += blockDim.x) {
        if (shared_sums[group] != 0) atomicAdd(&sums[group], shared_sums[group]);
    }
}
