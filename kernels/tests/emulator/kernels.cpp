// The CUDA sources as C++, and the table of their kernels. SOURCES is the folder of the sources: the real one, or one with
// a mutated copy.

#include "host_shim.h"
#include "table.h"

namespace pseudonyms_source {
#include <pseudonyms.cu>
}
namespace class_sizes_source {
#include <class_sizes.cu>
}
namespace aggregates_source {
#include <aggregates.cu>
}

namespace emulator {
namespace {

const std::vector<Kernel> all = {
    kernel("pseudonyms", pseudonyms_source::pseudonyms),
    kernel("pack_keys", class_sizes_source::pack_keys),
    kernel("claim_slots", class_sizes_source::claim_slots),
    kernel("count_rows", class_sizes_source::count_rows),
    kernel("list_groups", class_sizes_source::list_groups),
    kernel("number_rows", class_sizes_source::number_rows),
    kernel("mark_values", class_sizes_source::mark_values),
    kernel("aggregate", aggregates_source::aggregate),
};

} // namespace

const std::vector<Kernel> &kernels() {
    return all;
}

} // namespace emulator
