// Kernels by name, callable with the untyped arguments that the driver is given.
#pragma once

#include "device.h"

#include <tuple>
#include <utility>
#include <vector>

namespace emulator {

struct Kernel {
    const char *name;
    // Copies the arguments at once, as the driver does, and returns what runs one thread with them.
    std::function<Launch(void **)> prepare;
};

template <typename... P, size_t... I>
Launch prepare(void (*function)(P...), void **arguments, std::index_sequence<I...>) {
    auto values = std::make_tuple(*static_cast<P *>(arguments[I])...);
    return [function, values] { std::apply(function, values); };
}

template <typename... P>
Kernel kernel(const char *name, void (*function)(P...)) {
    return {name, [function](void **arguments) {
                return prepare(function, arguments, std::index_sequence_for<P...>());
            }};
}

const std::vector<Kernel> &kernels();

} // namespace emulator
