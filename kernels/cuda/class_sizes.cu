// Class sizes: rows with equal generalised quasi-identifiers are grouped, counted, and their sensitive values noted.
//
// A batch takes the kernels in the order of this file. Between `list_groups` and `number_rows` the host sorts the groups
// by key, so that classes have the same numbers whichever row came first. Limits: fewer than 2^32 - 1 rows, and a table
// with more slots than rows.

typedef unsigned int u32;
typedef unsigned long long u64;

// Entries of a block's cache of counts, and greatest number of threads of a block.
enum { CACHED = 256, MOST_THREADS = 256 };
// Rows that a thread of `count_rows` counts.
enum { ROWS_PER_THREAD = 8 };
#define NOTHING 0xffffffffu

// Spreads keys that differ in a few bits over all bits (the finaliser of SplitMix64).
__device__ u64 mix(u64 key) {
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9ull;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebull;
    return key ^ (key >> 31);
}

// Generalises and packs the codes of each row.
//
// codes: column after column. Column c uses lookups[lookup_starts[c] .. lookup_starts[c + 1]], which gives the
// generalised code of each code, and widths[c] bits of the key. A code without an entry sets *first_error to the least
// (column << 32 | row) of all such codes.
extern "C" __global__ void pack_keys(const u32 *codes, u32 columns, u32 rows, const u32 *lookup_starts,
                                     const u32 *lookups, const u32 *widths, u64 *keys, u64 *first_error) {
    u64 row = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    u64 key = 0;
    for (u32 column = 0; column < columns; ++column) {
        u32 code = codes[(u64)column * rows + row];
        u32 start = lookup_starts[column];
        if (code >= lookup_starts[column + 1] - start) {
            atomicMin(first_error, ((u64)column << 32) | row);
            return;
        }
        key = (key << widths[column]) | lookups[start + code];
    }
    keys[row] = key;
}

// Finds or takes the slot of each row's key in a table with open addressing. A slot holds 1 + the row that took it, or 0.
extern "C" __global__ void claim_slots(const u64 *keys, u32 rows, u32 *slots, u32 mask, u32 *slot_of_row) {
    u64 row = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    u64 key = keys[row];
    u32 slot = (u32)mix(key) & mask;
    for (;;) {
        u32 owner = *(volatile u32 *)&slots[slot];
        if (owner == 0) owner = atomicCAS(&slots[slot], 0u, (u32)row + 1);
        if (owner == 0 || keys[owner - 1] == key) break;
        slot = (slot + 1) & mask;
    }
    slot_of_row[row] = slot;
}

// Counts the rows of each slot and finds the first of them. A block counts in shared memory what it sees often, so that
// one great class does not make all threads wait for one word.
extern "C" __global__ void count_rows(const u32 *slot_of_row, u32 rows, u32 *sizes, u32 *first_rows) {
    __shared__ u32 cached_slots[CACHED];
    __shared__ u32 cached_sizes[CACHED];
    __shared__ u32 cached_rows[CACHED];
    for (u32 entry = threadIdx.x; entry < CACHED; entry += blockDim.x) {
        cached_slots[entry] = NOTHING;
        cached_sizes[entry] = 0;
        cached_rows[entry] = NOTHING;
    }
    __syncthreads();
    u64 first = (u64)blockIdx.x * blockDim.x * ROWS_PER_THREAD + threadIdx.x;
    for (u32 turn = 0; turn < ROWS_PER_THREAD; ++turn) {
        u64 row = first + (u64)turn * blockDim.x;
        if (row >= rows) break;
        u32 slot = slot_of_row[row];
        u32 entry = slot % CACHED;
        u32 owner = atomicCAS(&cached_slots[entry], NOTHING, slot);
        bool is_cached = owner == NOTHING || owner == slot;
        atomicAdd(is_cached ? &cached_sizes[entry] : &sizes[slot], 1u);
        atomicMin(is_cached ? &cached_rows[entry] : &first_rows[slot], (u32)row);
    }
    __syncthreads();
    for (u32 entry = threadIdx.x; entry < CACHED; entry += blockDim.x) {
        u32 slot = cached_slots[entry];
        if (slot == NOTHING) continue;
        atomicAdd(&sizes[slot], cached_sizes[entry]);
        atomicMin(&first_rows[slot], cached_rows[entry]);
    }
}

// Lists the taken slots without gaps, in no particular order. *group_count must be 0 before.
extern "C" __global__ void list_groups(const u32 *slots, u32 slot_count, const u64 *keys, const u32 *sizes,
                                       const u32 *first_rows, u32 *group_count, u64 *group_keys, u32 *group_sizes,
                                       u32 *group_rows, u32 *group_of_slot) {
    __shared__ u32 ranks[MOST_THREADS];
    __shared__ u32 first_group;
    u64 slot = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u32 thread = threadIdx.x;
    bool is_taken = slot < slot_count && slots[slot] != 0;
    // Inclusive prefix sums (Hillis and Steele 1986).
    ranks[thread] = is_taken ? 1 : 0;
    __syncthreads();
    for (u32 step = 1; step < blockDim.x; step *= 2) {
        u32 before = thread >= step ? ranks[thread - step] : 0;
        __syncthreads();
        ranks[thread] += before;
        __syncthreads();
    }
    if (thread == blockDim.x - 1) first_group = atomicAdd(group_count, ranks[thread]);
    __syncthreads();
    if (!is_taken) return;
    u32 group = first_group + ranks[thread] - 1;
    group_keys[group] = keys[slots[slot] - 1];
    group_sizes[group] = sizes[slot];
    group_rows[group] = first_rows[slot];
    group_of_slot[slot] = group;
}

// Gives each row the number of its class.
extern "C" __global__ void number_rows(const u32 *slot_of_row, u32 rows, const u32 *group_of_slot,
                                       const u32 *class_of_group, u32 *class_of_row) {
    u64 row = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (row < rows) class_of_row[row] = class_of_group[group_of_slot[slot_of_row[row]]];
}

// Notes which values of a sensitive column occur in each class, one bit per value, `words` words per class. A code that
// is not below `cardinality` sets *first_error to the least row with such a code.
extern "C" __global__ void mark_values(const u32 *class_of_row, const u32 *codes, u32 rows, u32 cardinality, u32 words,
                                       u32 *marks, u64 *first_error) {
    u64 row = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    u32 code = codes[row];
    if (code >= cardinality) {
        atomicMin(first_error, row);
        return;
    }
    u32 *word = &marks[(u64)class_of_row[row] * words + code / 32];
    u32 bit = 1u << (code % 32);
    // Most rows find their bit set already, and need no atomic write.
    if ((*(volatile u32 *)word & bit) == 0) atomicOr(word, bit);
}
